"""What is found is what was planted, and nothing where nothing is: the benchmark of planted truth in small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import truth
from benchmarks.planted import (
    CLASS_TONES,
    N_CLASSES,
    NEURONS,
    Planted,
    count,
    planted_counts,
    planted_sound,
    sounding_encoder,
)
from benchmarks.recordings import DEALT, recorded_counts
from core.encoders import load_encoder
from core.evidence.exchange import Exchange
from core.evidence.fdr import significant

MAKES = [planted_counts, planted_sound]


def of_kind(planted: Planted, mask: np.ndarray, *kinds: str) -> int:
    return int(mask[:, np.isin(planted.kinds, kinds)].sum())


def calibrated(planted: Planted, within_speaker: bool = False) -> np.ndarray:
    return truth.calibrated(planted, truth.evident(planted, within_speaker))


# What was planted is what it says.


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("confounding", ["weak", "strong"])
def test_neurons_are_what_they_were_made_to_be(make: truth.Make, confounding: str) -> None:
    planted = make(20, 0.0, 0, confounding)
    rates = planted.rates
    assert (rates[:, planted.kinds == "dead"] == 0).all()
    assert (planted.total[:, planted.kinds == "dead"] == 0).all()
    assert rates[:, planted.kinds == "always"].min() > 0.4
    assert np.ptp(rates[:, planted.kinds == "always"], axis=0).max() < 0.01
    turned = np.isin(planted.kinds, ["specific", "shared"])
    assert rates[planted.truth].min() > 0.4 > 0.05 > rates[~planted.truth & turned].max()
    clip_rates = planted.positive / planted.tokens[:, None]
    for neuron in np.flatnonzero(planted.kinds == "speaker"):
        by_speaker = [clip_rates[planted.speakers == s, neuron].mean() for s in range(N_CLASSES)]
        assert sorted(by_speaker)[-1] > 0.4 > 0.05 > sorted(by_speaker)[-2]
    assert planted.members.sum(axis=0).tolist() == [20] * N_CLASSES


def test_counts_and_sums_go_together() -> None:
    planted = planted_counts(20, 1.0)
    assert len(planted.kinds) == sum(NEURONS.values())
    assert (planted.positive <= planted.tokens[:, None]).all()
    live = planted.kinds != "dead"
    assert np.corrcoef(planted.positive[:, live].ravel(), planted.total[:, live].ravel())[0, 1] > 0.8


def test_sound_of_a_class_reaches_the_neurons_of_the_class_alone() -> None:
    # One clip that holds nothing but a class's tone, through the same encoder.
    encoder, kinds, made_for = sounding_encoder()
    time = np.arange(2000) / encoder.sample_rate
    tones = [(0.15 * np.sin(2 * np.pi * f * time)).astype(np.float32) for f in CLASS_TONES]
    positive, _, tokens = count(encoder, tones)
    turned = np.isin(kinds, ["specific", "shared"])
    np.testing.assert_array_equal(positive[:, turned], (made_for * tokens[:, None])[:, turned])
    assert not positive[:, kinds == "speaker"].any()


# What is found.


@pytest.mark.parametrize("class_size", [6, 20])
@pytest.mark.parametrize("make", MAKES)
def test_without_noise_the_rule_of_evidence_finds_all_and_nothing_else(make: truth.Make, class_size: int) -> None:
    for seed in range(3):
        planted = make(class_size, 0.0, seed, "weak")
        precision, recall, false = truth.judge(calibrated(planted), planted.truth)
        assert (precision, recall, false) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_false_discoveries_stay_within_the_rate_under_noise(noise: float) -> None:
    shares = []
    for seed in range(8):
        planted = planted_counts(20, noise, seed)
        _, recall, false = truth.judge(calibrated(planted), planted.truth)
        assert recall > 0.7
        shares.append(false)
    assert np.mean(shares) <= 0.05


def test_null_takes_false_neurons_from_a_quota_and_keeps_the_true_ones() -> None:
    good = truth.judged(planted_counts(20, 0.5))
    for selector in ("top by `lap`", "top by `cas`", "top by `aape`"):
        alone, with_null, _ = good[selector]
        assert alone[0] < 0.85
        assert with_null[0] > 0.97
        assert with_null[1] == alone[1]


def test_speakers_that_go_with_the_classes_pass_until_labels_are_dealt_within_them() -> None:
    planted = planted_counts(20, 0.5, confounding="strong")
    over_all, within = calibrated(planted), calibrated(planted, within_speaker=True)
    assert of_kind(planted, over_all & ~planted.truth, "speaker") == NEURONS["speaker"]
    assert of_kind(planted, within & ~planted.truth, "speaker") == 0
    assert (within & planted.truth).sum() == planted.truth.sum()
    # Loudness is no group: dealing labels cannot tell it from the class.
    assert of_kind(planted, within & ~planted.truth, "level") == (within & ~planted.truth).sum() > 0


def test_judgement_worked_by_hand() -> None:
    made_for = np.array([[True, True, False, False]])
    assert truth.judge(np.array([[True, False, True, False]]), made_for) == (0.5, 0.5, 0.5)
    precision, recall, false = truth.judge(np.zeros((1, 4), dtype=bool), made_for)
    assert np.isnan(precision)
    assert (recall, false) == (0.0, 0.0)


def test_top_takes_as_many_as_asked_and_never_the_unknown() -> None:
    scores = np.array([[0.1, np.nan, 0.9, 0.9], [np.nan, np.nan, np.nan, 0.2]])
    np.testing.assert_array_equal(truth.top(scores, [2, 2]), [[0, 0, 1, 1], [0, 0, 0, 1]])


# Where nothing is.


@pytest.mark.parametrize(("class_size", "noise"), [(6, 0.5), (20, 1.0)])
def test_two_hundred_shuffles_give_false_discoveries_within_the_rate(class_size: int, noise: float) -> None:
    any_pair, any_calibrated, _ = truth.shuffled_runs(class_size, noise, 200)
    assert any_pair <= 0.05
    assert any_calibrated <= any_pair


GROUPED = ["within recordings", "whole recordings"]


@pytest.mark.parametrize("dealt", GROUPED)
def test_two_hundred_shuffles_of_recordings_stay_within_the_rate(dealt: str) -> None:
    any_pair, _ = truth.shuffled_recordings(dealt, 60, 200, n_neurons=150)
    assert any_pair <= 0.05


def test_whole_recordings_dealt_as_clips_break_the_rate() -> None:
    """So that the test above could fail."""
    rng, broken = np.random.default_rng(0), 0
    for seed in range(20):
        nothing = recorded_counts("whole recordings", 60, seed, 150).shuffled(rng)
        apart = replace(nothing, exchange=Exchange.of_clips(len(nothing.tokens)))
        broken += significant(apart.p_values(), 0.05).any()
    assert broken > 15


@pytest.mark.parametrize("conditional", [True, False])
def test_p_of_neurons_that_three_recordings_dominate_is_right(
    conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not conditional:  # so that this could fail
        monkeypatch.setattr("core.evidence.permutation.raised", lambda *arguments: arguments[-1])
    rng, found = np.random.default_rng(0), []
    for seed in range(60):
        nothing = recorded_counts("whole recordings", 40, seed, 300).shuffled(rng)
        found.append(nothing.p_values()[:, nothing.kinds == "loud"])
    p = np.concatenate(found, axis=1)
    shares = [(p <= level).mean() / level for level in (0.05, 0.01, 0.001)]
    if conditional:
        assert max(shares) <= 1.05
    else:
        assert shares[0] > 1.2


@pytest.mark.parametrize("dealt", DEALT)
def test_false_discoveries_stay_within_the_rate_where_a_few_recordings_dominate(dealt: str) -> None:
    judged = [truth.found_in_recordings(recorded_counts(dealt, 90, seed, 300)) for seed in range(8)]
    for step in (0, 1):
        assert np.mean([run[step][2] for run in judged]) <= 0.05
        assert np.mean([run[step][1] for run in judged]) > 0.9


@pytest.mark.parametrize("dealt", DEALT)
def test_recordings_are_of_one_to_six_clips_and_labels_stay_with_what_is_dealt(dealt: str) -> None:
    recorded = recorded_counts(dealt, 60)
    exchange = recorded.exchange
    n_of = {
        "clips": exchange.sizes,
        "within recordings": exchange.sizes,
        "whole recordings": np.bincount(exchange.unit),
    }
    assert (dealt == "clips") == (set(n_of[dealt].tolist()) != set(range(1, 7)))
    assert (recorded.members.sum(axis=1) == 1).all()
    assert len(set(recorded.members.sum(axis=0).tolist())) > 3
    dealt_anew = recorded.shuffled(np.random.default_rng(0))
    assert not dealt_anew.truth.any() and (dealt_anew.members != recorded.members).any()
    for members in (recorded.members, dealt_anew.members):
        of_units = members[exchange.first]
        np.testing.assert_array_equal(of_units[exchange.unit], members)
        np.testing.assert_array_equal(exchange.drawn(of_units), exchange.drawn(recorded.members[exchange.first]))


def test_shuffles_take_the_truth_away() -> None:
    planted = planted_counts(20, 0.0)
    shuffled = planted.shuffled(np.random.default_rng(0))
    assert not shuffled.truth.any()
    np.testing.assert_array_equal(shuffled.members.sum(axis=0), planted.members.sum(axis=0))
    assert calibrated(planted).sum() > 100 > calibrated(shuffled).sum()


@pytest.fixture(scope="module")
def untrained() -> Planted:
    """60 clips of tones and noise in three kinds, and what an untrained network's neurons count of them."""
    rng = np.random.default_rng(0)
    kinds = np.arange(60) % 3
    waveforms = []
    for kind in kinds:
        time = np.arange(rng.integers(6000, 12000)) / 16_000
        tone = np.sin(2 * np.pi * rng.uniform(0.8, 1.25) * (300, 1500, 0)[kind] * time)
        noise = rng.standard_normal(len(time))
        waveforms.append((rng.uniform(0.1, 0.5) * tone + (0.05, 0.05, 0.2)[kind] * noise).astype(np.float32))
    torch.manual_seed(0)
    positive, total, tokens = count(load_encoder("nano-untrained"), waveforms, at_once=20)
    members = kinds[:, None] == np.arange(3)
    n_neurons = positive.shape[1]
    return Planted(
        positive, total, tokens, members, np.zeros(60, np.int64), np.full(n_neurons, "?"), np.ones((3, n_neurons), bool)
    )


def test_untrained_network_on_shuffled_labels_finds_nothing_beyond_chance(untrained: Planted) -> None:
    rng = np.random.default_rng(1)
    n_runs = 40
    n_with_any = sum(truth.evident(untrained.shuffled(rng)).any() for _ in range(n_runs))
    assert n_with_any <= 5  # of 40 runs at 5 %, more than 5 come in 1.4 % of cases


def test_untrained_network_on_true_labels_does_find_some(untrained: Planted) -> None:
    """So that the test above could fail."""
    assert truth.evident(untrained).sum() > 1000


# The table.


def test_tables_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "CLASS_SIZES", (6,))
    monkeypatch.setattr(truth, "NOISE", (0.0, 1.0))
    monkeypatch.setattr(truth, "N_RECORDINGS", (30,))
    truth.main(["--runs", "1", "--shuffles", "2"])
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("| preset `calibrated`"))
    assert row.startswith("| preset `calibrated` | 1.00 1.00 |")
    assert printed.count("### ") == 8
    assert "| whole recordings | 30 |" in printed
