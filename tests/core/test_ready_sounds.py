"""Sounds made by rule: the same every time, sound and not silence, and of the pitch they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.demo import ready
from core.datasets.demo.synthesis.clip import SAMPLE_RATE
from dashboard.views.listen import sounds, uploads


@pytest.fixture(scope="module")
def made() -> dict[str, NDArray[np.float32]]:
    return {name: ready.make(name) for name in ready.SOUNDS}


def loudest(sound: NDArray[np.float32]) -> float:
    """Frequency of the strongest part, in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(sound))


def test_the_page_offers_what_is_made(made: dict[str, NDArray[np.float32]]) -> None:
    assert list(sounds.READY) == list(made)
    with pytest.raises(KeyError):
        ready.make("thunder")


def test_every_sound_is_short_loud_and_the_same_again(made: dict[str, NDArray[np.float32]]) -> None:
    for name, sound in made.items():
        assert sound.dtype == np.float32
        assert 1.5 < len(sound) / SAMPLE_RATE < 4, name
        assert np.abs(sound).max() == pytest.approx(0.5), name
        assert np.sqrt(np.mean(sound**2)) > 0.05, name
        assert np.array_equal(sound, ready.make(name)), name
    keys = {uploads.made(sound, SAMPLE_RATE).key for sound in made.values()}
    assert len(keys) == len(made)


def test_the_chirp_rises_by_octaves(made: dict[str, NDArray[np.float32]]) -> None:
    pieces = np.array_split(made["chirp"], 6)
    heard = np.array([loudest(piece) for piece in pieces[1:]])
    assert (np.diff(heard) > 0).all()
    # 3 s from 80 Hz to 7 kHz: each half second rises by (7000 / 80) ** (1 / 6), 2.11.
    assert heard[1:] / heard[:-1] == pytest.approx(2.11, rel=0.35)


def test_the_scale_has_its_notes(made: dict[str, NDArray[np.float32]]) -> None:
    notes = np.array_split(made["scale"], 8)
    for midi, note in zip((60, 62, 64, 65, 67, 69, 71, 72), notes, strict=True):
        ratio = loudest(note) / (440 * 2 ** ((midi - 69) / 12))
        assert ratio == pytest.approx(round(ratio), rel=0.02), "a harmonic of the note"
        assert ratio > 0.9


def test_bursts_are_each_twice_as_long_as_the_last(made: dict[str, NDArray[np.float32]]) -> None:
    # Noise crosses 0 at single samples: what is silent for 5 ms is a pause.
    width = SAMPLE_RATE // 200
    on = np.convolve(np.abs(made["bursts"]) > 0, np.ones(width), "same") > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    lengths = np.diff(edges)[::2] / SAMPLE_RATE
    assert lengths == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32], abs=0.006)
