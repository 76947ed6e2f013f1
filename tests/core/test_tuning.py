"""Pitch tuning: curves whose measures are known, and intervals that hold what is true."""

from __future__ import annotations

import numpy as np
import pytest

from core.selectivity.pitch_tuning import describe, pitch_tuning

NOTES = np.arange(48, 84)


def measures(curve: np.ndarray, notes: np.ndarray = NOTES) -> tuple[float, ...]:
    return tuple(float(value) for value in describe(curve, notes))


def bump(at: float, width: float = 1.5) -> np.ndarray:
    return np.exp(-(((NOTES - at) / width) ** 2) / 2)


def test_triangle_by_hand() -> None:
    # Peak 0.9 at 60 over a floor of 0.1, falling by 0.2 a semitone: half height 0.5 is two semitones away.
    curve = np.maximum(0.9 - 0.2 * np.abs(NOTES - 60), 0.1)
    preferred, center, width, _ = measures(curve)
    assert (preferred, center) == pytest.approx((60, 60))
    assert width == pytest.approx(4)


def test_width_is_read_between_notes_and_over_notes_that_were_not_played() -> None:
    # From 1 at 60 to 0.2 at 61: half height (floor 0) is crossed 0.625 on; to the left it falls to 0 two below.
    notes = np.array([50, 58, 60, 61, 70])
    preferred, center, width, _ = measures(np.array([0.0, 0.0, 1.0, 0.2, 0.0]), notes)
    assert preferred == 60
    assert width == pytest.approx(1 + 0.625)
    # Weights over half height: 0.5 at 60 only.
    assert center == 60


def test_peak_at_the_edge_has_no_width() -> None:
    assert np.isnan(measures(np.linspace(0, 1, 36))[2])
    assert np.isnan(measures(np.linspace(1, 0, 36))[2])
    assert measures(np.linspace(0, 1, 36))[0] == 83


@pytest.mark.parametrize(
    ("curve", "index"),
    [
        (bump(60) + 0.9 * bump(72), 1.0),
        (bump(66), -1.0),
        (np.where(NOTES % 12 == 0, 1.0, np.where(NOTES % 12 == 6, 0.25, 0.0)), 0.6),
        (1 - np.abs(NOTES - 66) / 20, 0.0),
    ],
    ids=["octave", "one bump", "by hand", "straight fall"],
)
def test_octave_equivalence(curve: np.ndarray, index: float) -> None:
    found = measures(curve)[3]
    if np.isclose(index, -1.0):
        assert found < 0 or np.isnan(found)
    else:
        assert found == pytest.approx(index, abs=0.01)


def test_octaves_without_their_neighbours_do_not_count() -> None:
    notes = np.array([48, 54, 60, 66, 72])  # around 60, 48 and 72 lack a neighbour
    assert np.isnan(measures(np.array([0.5, 0.0, 1.0, 0.0, 0.5]), notes)[3])
    assert measures(np.array([1.0, 0.0, 0.5, 0.1, 0.0]), notes)[3] == pytest.approx((0.5 - 0.05) / 0.55)


def test_silent_neuron_has_no_row_and_a_flat_one_no_width() -> None:
    positive = np.stack([np.zeros(72), np.full(72, 7)], axis=1).astype(np.int64)
    found = pitch_tuning(positive, np.full(72, 10), np.repeat(NOTES, 2), n_draws=20)
    assert found["neuron_index"].tolist() == [1]
    assert found[["bandwidth_semitones", "octave_equivalence_index", "bandwidth_low"]].isna().all(axis=None)
    assert found[["peak_rate", "floor_rate"]].to_numpy().tolist() == [[0.7, 0.7]]


def drawn(curve: np.ndarray, rng: np.random.Generator, n_neurons: int, per_note: int = 20) -> tuple[np.ndarray, ...]:
    pitches = np.repeat(NOTES, per_note)
    rates = np.clip(curve[pitches - 48][:, None] + rng.normal(0, 0.05, (len(pitches), n_neurons)), 0, 1)
    return rng.binomial(40, rates), np.full(len(pitches), 40), pitches


def test_intervals_hold_what_is_true_and_octave_neurons_are_told_from_others() -> None:
    rng = np.random.default_rng(0)
    octave = pitch_tuning(*drawn(0.05 + 0.5 * bump(62) + 0.3 * bump(74), rng, 60))
    assert (octave["preferred_pitch"] == 62).mean() > 0.9
    assert (octave["oei_low"] > 0.5).all()
    single = pitch_tuning(*drawn(0.05 + 0.5 * bump(62), rng, 200))
    assert (single["oei_low"] > 0).mean() < 0.06  # 0.025 and the luck of 200 neurons
    # Half height of the bump itself: 2.355 widths of 1.5; the floor found is the lowest of 36 noisy notes.
    held = (single["bandwidth_low"] <= 3.53) & (single["bandwidth_high"] >= 3.53)
    assert held.mean() > 0.85
    assert single["bandwidth_semitones"].median() == pytest.approx(3.53, abs=0.15)
    assert (single["bandwidth_high"] - single["bandwidth_low"]).median() < 0.8


def test_order_of_clips_and_choice_of_neurons_change_nothing() -> None:
    rng = np.random.default_rng(1)
    positive, tokens, pitches = drawn(0.1 + 0.4 * bump(70), rng, 5, per_note=4)
    whole = pitch_tuning(positive, tokens, pitches)
    some = pitch_tuning(positive, tokens, pitches, neurons=np.array([3, 1]))
    assert some.equals(whole.loc[[3, 1]].reset_index(drop=True))
    order = rng.permutation(len(pitches))
    mixed = pitch_tuning(positive[order], tokens[order], pitches[order])
    plain = ["preferred_pitch", "center", "bandwidth_semitones", "octave_equivalence_index"]
    np.testing.assert_allclose(mixed[plain], whole[plain])
    assert pitch_tuning(positive, tokens, pitches, neurons=np.array([], dtype=np.int64)).empty
