"""Sounds to play a model at once, made by rule: no recording, no download, the same samples every time.

Events and notes come from the generators of the demo's corpora with seeds of their own, so none is a clip of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from core.datasets.demo.synthesis.clip import SAMPLE_RATE, ClipSpec
from core.datasets.demo.synthesis.dsp import resonate
from core.datasets.demo.synthesis.events import EVENTS
from core.datasets.demo.synthesis.synth import N_KNOBS, SYNTH, labels_of

Samples = NDArray[np.float32]
_SEED = 0x50AD
_PEAK = 0.5
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
"""Formants (Hz) of a, e, i, o, u: means over 33 men (Peterson and Barney, JASA 24, 1952)."""
_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72)


def _seconds(seconds: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _faded(sound: NDArray[np.floating], seconds: float = 0.01) -> NDArray[np.float64]:
    ramp = np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / (seconds * SAMPLE_RATE)
    return np.asarray(sound * np.clip(ramp, 0, 1), dtype=np.float64)


def chirp() -> NDArray[np.float64]:
    """A sine that rises from 80 Hz to 7 kHz in 3 s, as many octaves in each second."""
    low, high, length = 80.0, 7_000.0, 3.0
    growth = np.log(high / low) / length
    return _faded(np.sin(2 * np.pi * low * np.expm1(growth * _seconds(length)) / growth))


def bursts() -> NDArray[np.float64]:
    """White noise in bursts of 20 to 320 ms, each twice as long as the last."""
    rng = np.random.default_rng(_SEED)
    pause = np.zeros(round(0.25 * SAMPLE_RATE))
    parts = [_faded(rng.standard_normal(round(0.02 * 2**i * SAMPLE_RATE)), 0.005) for i in range(5)]
    return np.concatenate([part for burst in parts for part in (burst, pause)])


def vowels() -> NDArray[np.float64]:
    """A voice at about 120 Hz that says a, e, i, o, u: pulses through three formants."""
    t = _seconds(0.5)
    phase = np.cumsum(120 * (1 + 0.03 * np.sin(2 * np.pi * 5 * t)) / SAMPLE_RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    return np.concatenate([_faded(resonate(pulses, f, (80, 100, 140), (1.0, 0.6, 0.3)), 0.03) for f in _VOWELS])


def _note(pitch: int, timbre: str) -> NDArray[np.float64]:
    spec = ClipSpec("ready", "train", labels_of(pitch, timbre), {"knobs": (0.5,) * N_KNOBS}, (_SEED, pitch))
    return SYNTH.render(spec).astype(np.float64)


def scale() -> NDArray[np.float64]:
    """C major from C4 to C5, plucked."""
    notes = []
    for pitch in _MAJOR:
        note = _note(pitch, "pluck")
        start = int(np.argmax(np.abs(note) > 0.2 * np.abs(note).max()))
        notes.append(_faded(note[start : start + round(0.4 * SAMPLE_RATE)]))
    return np.concatenate(notes)


def bell() -> NDArray[np.float64]:
    """A bell at A4, by frequency modulation."""
    return _note(69, "fm_bell")


def event(kind: str) -> NDArray[np.float64]:
    """One of the demo's kinds of event."""
    return EVENTS.render(ClipSpec("ready", "train", {"event": kind}, seed=(_SEED, len(kind)))).astype(np.float64)


SOUNDS: Mapping[str, Callable[[], NDArray[np.float64]]] = {
    "chirp": chirp,
    "scale": scale,
    "bell": bell,
    "bursts": bursts,
    "vowels": vowels,
    "rain": lambda: event("rain"),
    "siren": lambda: event("siren"),
    "dog": lambda: event("dog"),
}


def make(name: str) -> Samples:
    """Make a sound of `SOUNDS`.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Mono, 16 kHz, peak 0.5.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    sound = SOUNDS[name]()
    return (sound * (_PEAK / np.abs(sound).max())).astype(np.float32)
