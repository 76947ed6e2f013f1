"""Sampled notes: in tune, balanced, disjoint instruments, the same whatever came before."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.demo.synthesis import notes
from core.datasets.demo.synthesis.clip import LEVEL_DBFS, LEVEL_JITTER_DB, N_SAMPLES, SAMPLE_RATE
from core.datasets.demo.synthesis.corpus import SPLITS

SEED = 0


@pytest.fixture
def sampler() -> None:
    pytest.importorskip("tinysoundfont", reason="demo package tinysoundfont is not installed")
    pytest.importorskip("pretty_midi", reason="demo package pretty_midi is not installed")


def sounding_pitch(sound: NDArray[np.float64], lowest: float = 40, highest: float = 3000) -> float:
    """MIDI pitch (fractional) of the shortest period that repeats as well as any."""
    n = 8192
    start = round(0.15 * SAMPLE_RATE)
    window = np.hanning(n)

    def autocorrelation(signal: NDArray[np.float64]) -> NDArray[np.float64]:
        power = np.abs(np.fft.rfft(signal, 4 * n)) ** 2
        lags = np.fft.irfft(power)[: n // 2]
        return lags / lags[0]

    repeats = autocorrelation(sound[start : start + n] * window) / autocorrelation(window)
    lags = np.arange(int(SAMPLE_RATE / highest), int(SAMPLE_RATE / lowest))
    peaks = lags[(repeats[lags] > repeats[lags - 1]) & (repeats[lags] >= repeats[lags + 1])]
    first = peaks[repeats[peaks] > 0.88 * repeats[peaks].max()][0]
    # Later repeats give the same period more finely.
    period, count = float(first), 1
    while count < 8 and (count + 1) * period + 3 < n // 4:
        around = round((count + 1) * period) + np.arange(-2, 3)
        lag = int(around[np.argmax(repeats[around])])
        left, centre, right = repeats[lag - 1 : lag + 2]
        if centre < 0.6 or centre < left or centre < right:
            break
        count += 1
        period = (lag + 0.5 * (left - right) / (left - 2 * centre + right)) / count
    return float(69 + 12 * np.log2(SAMPLE_RATE / period / 440))


def test_every_demo_program_plays_in_tune_over_the_demo_range(sampler: None) -> None:
    wrong = []
    for splits in notes.FAMILIES.values():
        for program in (program for programs in splits.values() for program in programs):
            for pitch in (*notes.PITCHES[::7], notes.PITCHES[-1]):
                # Up to an octave over the range. The dulcimer's stretched partials make it half a semitone sharp at C3.
                heard = sounding_pitch(notes.play(program, pitch, 90), highest=2000)
                if not abs(heard - pitch) < (0.55 if program == 15 else 0.5):
                    wrong.append((notes.NAMES[program], pitch, round(heard, 2)))
    assert wrong == []


def test_training_programs_play_in_tune(sampler: None) -> None:
    wrong = []
    for programs in notes.EXTRA_FAMILIES.values():
        for program in programs:
            for pitch in (40, 57, 76):
                heard = sounding_pitch(notes.play(program, pitch, 90))
                if not abs(heard - pitch) < 0.5:
                    wrong.append((notes.NAMES[program], pitch, round(heard, 2)))
    assert wrong == []


def test_quietest_training_note_of_every_program_sounds(sampler: None) -> None:
    pools = notes.training_programs()
    for program in (program for programs in pools.values() for program in programs):
        for pitch in notes.TRAINING_PITCHES:  # a program may lack a single key
            assert np.abs(notes.play(program, pitch, 50)).max() > 1e-3, (program, pitch)


def test_pitch_and_family_are_crossed_evenly() -> None:
    specs = notes.NOTES.specs(SEED)
    assert len({spec.name for spec in specs}) == len(specs) == 1008
    for split in SPLITS:
        chosen = [spec for spec in specs if spec.split == split]
        assert len(set(Counter(spec.labels["pitch"] for spec in chosen).values())) == 1
        assert len(set(Counter(spec.labels["family"] for spec in chosen).values())) == 1
        assert len(set(Counter(spec.labels["octave"] for spec in chosen).values())) == 1
        cells = Counter((spec.labels["pitch"], spec.labels["family"]) for spec in chosen)
        assert len(set(cells.values())) == 1
    test = [spec for spec in specs if spec.split == "test"]
    assert Counter(spec.labels["pitch"] for spec in test)["60"] >= 6


def test_splits_share_no_instrument_and_training_none_of_the_test_split() -> None:
    used = {
        split: {spec.labels["instrument"] for spec in notes.NOTES.specs(SEED) if spec.split == split}
        for split in SPLITS
    }
    assert not used["train"] & used["valid"]
    assert not used["train"] & used["test"]
    assert not used["valid"] & used["test"]
    rng = np.random.default_rng(1)
    trained = {notes.NOTES.training_spec(rng).labels["instrument"] for _ in range(1000)}
    assert not trained & used["test"]
    assert len(set(notes.NAMES.values())) == len(notes.NAMES)


def test_every_family_has_instruments_enough_to_deal_them_anew() -> None:
    for family, programs in notes.FAMILIES.items():
        assert len(programs["train"]) + len(programs["valid"]) >= 5, family
        assert len(programs["test"]) >= 2, family


def harmonics(program: int) -> NDArray[np.float64]:
    """Level of the first eight harmonics over the range, in dB under the sum."""
    found = []
    for pitch in (48, 55, 62, 69, 76, 83):
        sound = notes.level(notes.play(program, pitch, 90))[:SAMPLE_RATE]
        power = np.abs(np.fft.rfft(sound * np.hanning(SAMPLE_RATE))) ** 2
        fundamental = 440 * 2 ** ((pitch - 69) / 12)
        edges = np.round(fundamental * (np.arange(9) + 0.5)).astype(int)
        bands = np.array([power[low:high].sum() for low, high in pairwise(edges)])
        found.append(10 * np.log10(bands / bands.sum() + 1e-4))
    return np.concatenate(found)


def test_no_two_instruments_are_the_same_sound(sampler: None) -> None:
    programs = [p for family in notes.FAMILIES.values() for own in family.values() for p in own]
    levels = np.array([harmonics(program) for program in programs])
    apart = np.sqrt(np.mean((levels[:, None] - levels) ** 2, axis=2)) + 99 * np.eye(len(programs))
    assert apart.min() > 1.5
    test = np.isin(programs, [p for family in notes.FAMILIES.values() for p in family["test"]])
    assert apart[test][:, ~test].min() > 2.5


def test_clip_depends_on_its_spec_only(sampler: None) -> None:
    specs = notes.NOTES.specs(SEED)[::40]
    forward = [notes.NOTES.render(spec) for spec in specs]
    backward = [notes.NOTES.render(spec) for spec in reversed(specs)][::-1]
    for first, second in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(first, second)


def test_same_seed_same_specs() -> None:
    assert notes.NOTES.specs(3) == notes.NOTES.specs(3)
    assert notes.NOTES.specs(3) != notes.NOTES.specs(4)


def test_sound_fills_its_stretch_at_the_common_level(sampler: None) -> None:
    rng = np.random.default_rng(2)
    specs = notes.NOTES.specs(SEED)[::40] + [notes.NOTES.training_spec(rng) for _ in range(40)]
    for spec in specs:
        clip = notes.NOTES.render(spec)
        assert clip.shape == (N_SAMPLES,) and clip.dtype == np.float32
        frames = clip.reshape(-1, 320)
        decibels = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1))
        loud = np.flatnonzero(decibels > LEVEL_DBFS - 15)
        assert 1.1 < (loud[-1] - loud[0] + 1) * 0.02 < 1.95
        assert loud.size > 0.9 * (loud[-1] - loud[0] + 1)
        assert abs(np.median(decibels[loud]) - LEVEL_DBFS) < LEVEL_JITTER_DB + 3
