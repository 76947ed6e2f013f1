"""What every generated clip has in common: its description, its level, its length, its place in time.

A clip is 2.08 s at 16 kHz. The sound fills a stretch whose length and start are drawn without
looking at the label, its level over that stretch is the same for every class, and a faint noise
lies under the whole clip, so that neither level nor duration nor silence tells the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Segment

SAMPLE_RATE = 16_000
N_SAMPLES = 33_280
"""2.08 s: 208 log-mel frames of 10 ms, 13 patches of 16 frames."""

LEVEL_DBFS = -24.0
LEVEL_JITTER_DB = 2.0
NOISE_FLOOR_DBFS = (-72.0, -60.0)

FADE_SECONDS = 0.02
FADE = round(FADE_SECONDS * SAMPLE_RATE)
PART_SECONDS = 0.1
NOTE_PARTS = ("onset", "sustain", "release")
"""Of a note that is held until it is cut: its first 100 ms; until it begins to fade; and 100 ms from there, of which
the fade takes 20 and the noise under the clip the rest."""

Waveform = NDArray[np.float32]


@dataclass(frozen=True)
class ClipSpec:
    """All that is needed to make one clip again: same spec, same samples.

    Attributes
    ----------
    name : str
        File stem, unique in its corpus.
    split : str
        ``train``, ``valid`` or ``test``.
    labels : mapping of str to str
        Attribute name to value; what the manifest holds.
    parameters : mapping
        What the generator needs beyond the labels (program, velocity, voice, ...).
    seed : tuple of int
        Entropy of the clip's own random generator, so that clips can be made in any order.
    """

    name: str
    split: str
    labels: Mapping[str, str]
    parameters: Mapping[str, object] = field(default_factory=dict)
    seed: tuple[int, ...] = (0,)

    def rng(self) -> np.random.Generator:
        """The clip's own random generator."""
        return np.random.default_rng(self.seed)


def trim(sound: NDArray[np.floating], threshold_db: float = -45.0) -> NDArray[np.floating]:
    """Cut what lies before the first and after the last sample above a threshold under the peak."""
    return sound[slice(*audible(sound, threshold_db))]


def audible(sound: NDArray[np.floating], threshold_db: float = -45.0) -> tuple[int, int]:
    """The first sample above a threshold under the peak, and the one after the last; 0 and 0 where there is none."""
    envelope = np.abs(sound)
    loud = np.flatnonzero(envelope > envelope.max(initial=0.0) * 10 ** (threshold_db / 20))
    return (int(loud[0]), int(loud[-1]) + 1) if loud.size else (0, 0)


@dataclass(frozen=True)
class Placed:
    """A sound in its clip.

    Attributes
    ----------
    clip : ndarray of float32, shape (33280,)
    start : int
        Sample of the clip at which the sound begins.
    n_active : int
        Samples of it that were kept.
    """

    clip: Waveform
    start: int
    n_active: int

    def segment(self, attribute: str, label: str, onset: float, offset: float) -> Segment | None:
        """A part of the sound as one of the clip; None where nothing of it was kept.

        Parameters
        ----------
        attribute, label : str
        onset, offset : float
            Samples from the sound's start, at 16 kHz; to the nearest.
        """
        begin, end = (min(max(round(at), 0), self.n_active) for at in (onset, offset))
        if begin >= end:
            return None
        return Segment(attribute, label, (self.start + begin) / SAMPLE_RATE, (self.start + end) / SAMPLE_RATE)

    def note_parts(self) -> tuple[Segment, ...]:
        """`NOTE_PARTS` of a note that is the sound; the last as far as the clip goes."""
        part, begin, let_go = round(PART_SECONDS * SAMPLE_RATE), self.start, self.start + self.n_active - FADE
        places = ((begin, begin + part), (begin + part, let_go), (let_go, min(let_go + part, N_SAMPLES)))
        return tuple(
            Segment("note_part", label, first / SAMPLE_RATE, stop / SAMPLE_RATE)
            for label, (first, stop) in zip(NOTE_PARTS, places, strict=True)
        )


def place(
    sound: NDArray[np.floating],
    rng: np.random.Generator,
    active_seconds: tuple[float, float] = (1.2, 1.9),
    fade_seconds: float = FADE_SECONDS,
) -> Waveform:
    """`placed`, the clip alone."""
    return placed(sound, rng, active_seconds, fade_seconds).clip


def placed(
    sound: NDArray[np.floating],
    rng: np.random.Generator,
    active_seconds: tuple[float, float] = (1.2, 1.9),
    fade_seconds: float = FADE_SECONDS,
) -> Placed:
    """Put a sound into a clip at the common level, for a drawn length, from a drawn start.

    Parameters
    ----------
    sound : ndarray, shape (n,)
        At 16 kHz, any level, at least ``active_seconds[1]`` long; its first part is kept.
    rng : numpy.random.Generator
        Draws length, start, level jitter and noise floor.
    active_seconds : pair of float
        The length kept is uniform in this range, in seconds.
    fade_seconds : float
        Raised-cosine fade at both ends.

    Returns
    -------
    Placed

    Raises
    ------
    ValueError
        If the sound is shorter than the drawn length, silent, or not finite.
    """
    n_active = round(rng.uniform(*active_seconds) * SAMPLE_RATE)
    if sound.shape[0] < n_active:
        raise ValueError(f"sound of {sound.shape[0]} samples, {n_active} needed")
    active = np.array(sound[:n_active], dtype=np.float64)
    active -= active.mean()
    n_fade = round(fade_seconds * SAMPLE_RATE)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_fade) + 0.5) / n_fade)
    active[:n_fade] *= ramp
    active[-n_fade:] *= ramp[::-1]
    rms = float(np.sqrt(np.mean(active**2)))
    if not np.isfinite(rms) or rms < 1e-9:
        raise ValueError("sound is silent or not finite")
    level = LEVEL_DBFS + rng.uniform(-LEVEL_JITTER_DB, LEVEL_JITTER_DB)
    active *= 10 ** (level / 20) / rms
    clip = rng.standard_normal(N_SAMPLES) * 10 ** (rng.uniform(*NOISE_FLOOR_DBFS) / 20)
    start = int(rng.integers(0, N_SAMPLES - n_active + 1))
    clip[start : start + n_active] += active
    peak = np.abs(clip).max()
    if peak > 0.99:
        # Soft limit rather than rescale: rescaling would let the crest factor change the level.
        clip = np.tanh(clip / 0.99) * 0.99
    return Placed(clip.astype(np.float32), start, n_active)
