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

SAMPLE_RATE = 16_000
N_SAMPLES = 33_280
"""2.08 s: 208 log-mel frames of 10 ms, 13 patches of 16 frames."""

LEVEL_DBFS = -24.0
LEVEL_JITTER_DB = 2.0
NOISE_FLOOR_DBFS = (-72.0, -60.0)

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
    envelope = np.abs(sound)
    loud = np.flatnonzero(envelope > envelope.max(initial=0.0) * 10 ** (threshold_db / 20))
    return sound[loud[0] : loud[-1] + 1] if loud.size else sound[:0]


def place(
    sound: NDArray[np.floating],
    rng: np.random.Generator,
    active_seconds: tuple[float, float] = (1.2, 1.9),
    fade_seconds: float = 0.02,
) -> Waveform:
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
    ndarray of float32, shape (33280,)

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
    return clip.astype(np.float32)
