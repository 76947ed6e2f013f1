"""Formants, jitter and shimmer of voices whose numbers are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.signal import lfilter

from core.describe import voice
from core.describe.acoustics import measure
from core.describe.descriptors import NAMES, PLACE, VOICE
from core.errors import InputError

RATE = 16_000
SPANS = np.column_stack([np.arange(12) * 0.16, np.arange(12) * 0.16 + 0.16])


def vowel(formants: tuple[float, ...], jitter: float = 0.0, shimmer: float = 0.0, f0: float = 120.0) -> np.ndarray:
    """Two seconds of pulses through resonances; every second period is longer and louder by these shares."""
    pulses, at, is_odd = np.zeros(2 * RATE), 0.0, False
    while at < len(pulses):
        pulses[int(at)] = 1 + (shimmer / 2 if is_odd else -shimmer / 2)
        at += RATE / f0 * (1 + (jitter / 2 if is_odd else -jitter / 2))
        is_odd = not is_odd
    for hertz in formants:
        r, angle = np.exp(-np.pi * 80 / RATE), 2 * np.pi * hertz / RATE
        pulses = lfilter([1], [1, -2 * r * np.cos(angle), r**2], pulses)
    return (0.3 * pulses / np.abs(pulses).max()).astype(np.float32)


def measure_voice(sound: np.ndarray, spans: np.ndarray = SPANS) -> np.ndarray:
    (found,) = measure([sound], RATE, [spans])
    voice.add_voice(found, sound, RATE, spans)
    return found


def middle(sound: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, measure_voice(sound)[5].tolist(), strict=True))


@pytest.mark.parametrize("formants", [(730, 1090, 2440), (270, 2290, 3010)])
def test_formants_of_vowels(formants: tuple[float, ...]) -> None:
    """Of [a] and [i] (Peterson and Barney 1952)."""
    of = middle(vowel((*formants, 3500, 4500)))
    assert [of[name] for name in VOICE[:3]] == pytest.approx(formants, rel=0.06, abs=80), "harmonics lie 120 Hz apart"
    assert of["jitter"] < 0.006 and of["shimmer"] < 0.08


def test_irregular_periods_have_jitter_and_uneven_ones_shimmer() -> None:
    even, rough, loud = (middle(vowel((730, 1090, 2440), *how)) for how in ((0, 0), (0.03, 0), (0, 0.3)))
    assert rough["jitter"] == pytest.approx(0.03, abs=0.01) and even["jitter"] < 0.005
    assert loud["shimmer"] > 0.1 > 2 * even["shimmer"] and loud["jitter"] < 0.015


def test_nothing_is_told_of_what_has_no_pitch_nor_unasked() -> None:
    rng, columns = np.random.default_rng(0), [PLACE[name] for name in VOICE]
    noise = (0.1 * rng.standard_normal(2 * RATE)).astype(np.float32)
    assert np.isnan(measure_voice(noise)[:, columns]).all()
    assert np.isnan(measure_voice(np.zeros(40, np.float32), SPANS[:1])[:, columns]).all()
    voiced = vowel((730, 1090, 2440))
    (plain,), asked = measure([voiced], RATE, [SPANS]), measure_voice(voiced)
    assert np.isnan(plain[:, columns]).all() and np.isfinite(asked[:, columns]).all()
    others = [i for i in range(len(NAMES)) if i not in columns]
    assert np.array_equal(plain[:, others], asked[:, others], equal_nan=True)


def test_a_missing_library_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(InputError, match=r"--voice needs parselmouth: pip install 'audio-neuron-atlas\[voice\]'"):
        voice.check()
