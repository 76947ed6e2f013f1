"""Procedural events: balanced, varied, told apart by their spectrum, not by their level."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.demo.synthesis.clip import LEVEL_DBFS, LEVEL_JITTER_DB, N_SAMPLES, SAMPLE_RATE, Waveform
from core.datasets.demo.synthesis.events import EVENTS, GROUPS, KINDS

SEED = 0
SPECS = EVENTS.specs(SEED)
CHANCE = 1 / len(KINDS)


def mel_filters() -> NDArray[np.float64]:
    """40 triangles, shape (257, 40)."""
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(512, 1 / SAMPLE_RATE) / 700)
    edges = np.linspace(60, 2820, 42)
    rising = (mel[:, None] - edges[:-2]) / (edges[1] - edges[0])
    falling = (edges[2:] - mel[:, None]) / (edges[1] - edges[0])
    triangles: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return triangles


FILTERS = mel_filters()


def log_mel(clip: Waveform) -> NDArray[np.float64]:
    """Mean and deviation over time of 40 log-mel bands, shape (80,)."""
    frames = np.lib.stride_tricks.sliding_window_view(clip, 400)[::160] * np.hanning(400)
    bands = np.log(np.abs(np.fft.rfft(frames, 512)) ** 2 @ FILTERS + 1e-6)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def level(clip: Waveform) -> NDArray[np.float64]:
    """RMS dB, peak dB, active seconds, share of silent frames, start in seconds; shape (5,)."""
    rms = np.sqrt(np.mean(clip.astype(np.float64).reshape(-1, 160) ** 2, axis=1))
    peak = float(np.abs(clip).max())
    loud = np.flatnonzero(rms > 0.01 * peak)
    overall = 20 * np.log10(np.sqrt(np.mean(clip**2)))
    seconds = (loud[-1] - loud[0]) / 100
    return np.array([overall, 20 * np.log10(peak), seconds, 1 - loud.size / 208, loud[0] / 100])


@pytest.fixture(scope="module")
def clips() -> dict[str, list[tuple[str, Waveform]]]:
    """Every training and test clip as (event, samples), by split."""
    return {
        split: [(s.labels["event"], EVENTS.render(s)) for s in SPECS if s.split == split] for split in ("train", "test")
    }


def accuracy(
    clips: dict[str, list[tuple[str, Waveform]]],
    features: object,
) -> float:
    """Share of test clips that a ridge classifier on some features names right."""
    assert callable(features)
    kinds = list(KINDS)
    found, named = {}, {}
    for split, pairs in clips.items():
        found[split] = np.stack([features(clip) for _, clip in pairs])
        named[split] = np.array([kinds.index(event) for event, _ in pairs])
    centre, spread = found["train"].mean(axis=0), found["train"].std(axis=0) + 1e-9
    design = {s: np.c_[(x - centre) / spread, np.ones(len(x))] for s, x in found.items()}
    gram = design["train"].T @ design["train"] + np.eye(design["train"].shape[1])
    weights = np.linalg.solve(gram, design["train"].T @ np.eye(len(kinds))[named["train"]])
    return float(np.mean((design["test"] @ weights).argmax(axis=1) == named["test"]))


def test_a_spec_alone_makes_the_clip() -> None:
    chosen = SPECS[::61]
    forward = [EVENTS.render(spec) for spec in chosen]
    backward = [EVENTS.render(spec) for spec in reversed(chosen)][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.dtype == np.float32 and one.shape == (N_SAMPLES,)
        np.testing.assert_array_equal(one, other)


def test_specs_depend_on_the_seed_alone() -> None:
    assert EVENTS.specs(SEED) == SPECS
    assert EVENTS.specs(1)[0].seed != SPECS[0].seed
    assert len({spec.name for spec in SPECS}) == len({spec.seed for spec in SPECS}) == len(SPECS)


def test_kinds_and_groups_are_balanced() -> None:
    assert {len(kinds) for kinds in GROUPS.values()} == {4} and len(KINDS) == 20
    for split, count in (("train", 20), ("valid", 6), ("test", 21)):
        events = Counter(spec.labels["event"] for spec in SPECS if spec.split == split)
        assert events == dict.fromkeys(KINDS, count)
    for spec in SPECS:
        assert spec.labels["event"] in GROUPS[spec.labels["group"]]


def test_training_clips_are_none_of_the_corpus() -> None:
    rng = np.random.default_rng(0)
    specs = [EVENTS.training_spec(rng) for _ in range(120)]
    assert {spec.labels["event"] for spec in specs} == set(KINDS)
    assert not {spec.seed for spec in SPECS} & {spec.seed for spec in specs}
    for spec in specs:
        assert np.isfinite(EVENTS.render(spec)).all()


def test_level_and_fill(clips: dict[str, list[tuple[str, Waveform]]]) -> None:
    for event, clip in clips["test"]:
        frames = np.sqrt(np.mean(clip.reshape(-1, 160) ** 2, axis=1))
        loud = np.flatnonzero(frames > 0.02 * frames.max())
        sound = clip[160 * loud[0] : 160 * (loud[-1] + 1)]
        rms = 20 * np.log10(np.sqrt(np.mean(sound**2)))
        assert abs(rms - LEVEL_DBFS) < LEVEL_JITTER_DB + 0.6, event
        assert 0.85 < sound.size / SAMPLE_RATE < 1.95, event


def test_clips_of_a_kind_differ(clips: dict[str, list[tuple[str, Waveform]]]) -> None:
    for kind in KINDS:
        own = np.stack([log_mel(clip) for event, clip in clips["test"] if event == kind])
        apart = np.sqrt(np.mean((own[:, None] - own[None]) ** 2, axis=2))
        assert apart[~np.eye(len(own), dtype=bool)].min() > 0.1, kind


def test_the_spectrum_tells_the_kind(clips: dict[str, list[tuple[str, Waveform]]]) -> None:
    assert accuracy(clips, log_mel) > 8 * CHANCE


def test_the_level_does_not_tell_the_kind(clips: dict[str, list[tuple[str, Waveform]]]) -> None:
    assert accuracy(clips, level) < CHANCE + 0.1
