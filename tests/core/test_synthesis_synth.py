"""Synthetic notes: balanced, in tune, disjoint patches, the same whatever came before."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.demo.synthesis.clip import (
    LEVEL_DBFS,
    LEVEL_JITTER_DB,
    N_SAMPLES,
    SAMPLE_RATE,
    ClipSpec,
    Waveform,
)
from core.datasets.demo.synthesis.synth import PITCHES, SYNTH, TIMBRES

SEED = 0
SPECS = SYNTH.specs(SEED)
HARMONIC = [timbre for timbre in TIMBRES if timbre != "fm_bell"]


def active(clip: Waveform) -> Waveform:
    """The clip without the faint noise before and after the note."""
    rms = np.sqrt(np.mean(clip.reshape(-1, 160) ** 2, axis=1))
    loud = np.flatnonzero(rms > 0.02 * rms.max())
    return clip[160 * loud[0] : 160 * (loud[-1] + 1)]


def a_few(timbre: str) -> list[ClipSpec]:
    """Test clips of a timbre from the lowest to the highest pitch."""
    own = [s for s in SPECS if s.split == "test" and s.labels["timbre"] == timbre]
    return sorted(own, key=lambda spec: int(spec.labels["pitch"]))[::5]


def spectrum(sound: Waveform) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Frequencies in Hz and power of the last second."""
    window = np.hanning(SAMPLE_RATE)
    last = sound[-SAMPLE_RATE:].astype(np.float64)
    power: NDArray[np.float64] = np.abs(np.fft.rfft(last * window, 65536)) ** 2
    return np.arange(power.size) * (SAMPLE_RATE / 65536), power


def test_a_spec_alone_makes_the_clip() -> None:
    chosen = SPECS[::97]
    forward = [SYNTH.render(spec) for spec in chosen]
    backward = [SYNTH.render(spec) for spec in reversed(chosen)][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.dtype == np.float32 and one.shape == (N_SAMPLES,)
        np.testing.assert_array_equal(one, other)


def test_specs_depend_on_the_seed_alone() -> None:
    assert SYNTH.specs(SEED) == SPECS
    assert SYNTH.specs(1)[0].parameters != SPECS[0].parameters
    assert len({spec.name for spec in SPECS}) == len({spec.seed for spec in SPECS}) == len(SPECS)


@pytest.mark.parametrize(("split", "per_pitch"), [("train", 12), ("valid", 6), ("test", 8)])
def test_pitch_and_timbre_are_crossed_evenly(split: str, per_pitch: int) -> None:
    labels = [spec.labels for spec in SPECS if spec.split == split]
    assert Counter(label["pitch"] for label in labels) == {str(p): per_pitch for p in PITCHES}
    for attribute in ("timbre", "octave", "pitch_class"):
        assert len(set(Counter(label[attribute] for label in labels).values())) == 1
    crossed = Counter((label["timbre"], label["octave"]) for label in labels)
    assert len(crossed) == 8 * 3 and len(set(crossed.values())) == 1


def test_labels_agree() -> None:
    spec = next(s for s in SPECS if s.labels["pitch"] == "61")
    assert spec.labels["octave"] == "4" and spec.labels["pitch_class"] == "C#"


def test_patches_are_disjoint_between_splits() -> None:
    splits: dict[object, set[str]] = {}
    for spec in SPECS:
        splits.setdefault(spec.parameters["knobs"], set()).add(spec.split)
    assert len(splits) == 8 * (24 + 6 + 9)
    assert all(len(found) == 1 for found in splits.values())


def test_training_clips_are_wider_and_none_of_the_corpus() -> None:
    rng = np.random.default_rng(0)
    specs = [SYNTH.training_spec(rng) for _ in range(300)]
    pitches = {int(spec.labels["pitch"]) for spec in specs}
    assert min(pitches) < 40 and max(pitches) > 85
    own = {spec.parameters["knobs"] for spec in SPECS}
    assert not own & {spec.parameters["knobs"] for spec in specs}
    assert not {spec.seed for spec in SPECS} & {spec.seed for spec in specs}
    for spec in specs[::6]:
        assert np.isfinite(SYNTH.render(spec)).all()


@pytest.mark.parametrize("timbre", HARMONIC)
def test_the_pitch_is_the_one_on_the_label(timbre: str) -> None:
    for spec in a_few(timbre):
        wanted = 440 * 2 ** ((int(spec.labels["pitch"]) - 69) / 12)
        frequency, power = spectrum(active(SYNTH.render(spec)))
        # An octave too low would show off the multiples, one too high at no fundamental.
        number = np.maximum(np.round(frequency / wanted), 1)
        near = np.abs(frequency - number * wanted) < wanted * np.minimum(0.03 * number, 0.25)
        assert power[near].sum() > 0.95 * power.sum(), spec.name
        around = np.abs(np.log2(frequency / wanted + 1e-9)) < 0.25
        assert power[around].sum() > 1e-3 * power.sum(), spec.name
        measured = frequency[around][np.argmax(power[around])]
        assert abs(12 * np.log2(measured / wanted)) < 0.4, spec.name


def test_the_bell_rings_on_at_its_pitch() -> None:
    for spec in a_few("fm_bell"):
        frequency, power = spectrum(active(SYNTH.render(spec)))
        measured = 69 + 12 * np.log2(frequency[np.argmax(power)] / 440)
        assert abs(measured - int(spec.labels["pitch"])) < 0.4, spec.name


def test_level_and_fill() -> None:
    for spec in SPECS[::13]:
        sound = active(SYNTH.render(spec))
        level = 20 * np.log10(np.sqrt(np.mean(sound**2)))
        assert abs(level - LEVEL_DBFS) < LEVEL_JITTER_DB + 0.6
        assert 1.1 < sound.size / SAMPLE_RATE < 1.95


def test_two_patches_of_a_timbre_differ() -> None:
    for timbre in TIMBRES:
        first, second = (
            np.log(np.abs(np.fft.rfft(active(SYNTH.render(spec))[:16000])[:8000]) + 1e-3)
            for spec in [s for s in SPECS if s.labels["timbre"] == timbre][:2]
        )
        assert np.sqrt(np.mean((first - second) ** 2)) > 0.3
