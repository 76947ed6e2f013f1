"""What lies between a source and the microphone: a levelling amplifier and a small room.

Both keep level features from telling the class: the amplifier takes out decay and stress, the
room's echoes fill stops and gaps and mix the phases of the partials, which decide the height of
the peaks over the level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from core.datasets.demo.synthesis.clip import SAMPLE_RATE

_HOP = SAMPLE_RATE // 100


def even_out(
    sound: NDArray[np.float64], strength: float, max_gain_db: float, seconds: float = 0.1
) -> NDArray[np.float64]:
    """Reduce the slow changes of the level.

    Parameters
    ----------
    sound : ndarray, shape (n,)
        At 16 kHz.
    strength : float
        0 leaves the level as it is, 1 makes it constant.
    max_gain_db : float
        How far soft parts may be raised over the loudest.
    seconds : float
        Length of the smoothing.

    Returns
    -------
    ndarray, shape (n,)
    """
    frames = sound[: sound.size // _HOP * _HOP].reshape(-1, _HOP)
    power = np.mean(frames**2, axis=1)
    width = max(1, round(seconds * SAMPLE_RATE / _HOP / 2))
    for _ in range(2):
        power = uniform_filter1d(power, width, mode="nearest")
    gain = np.maximum(power / power.max(), 1e-12) ** (-strength / 2)
    gain = np.minimum(gain, 10 ** (max_gain_db / 20))
    centres = (np.arange(gain.size) + 0.5) * _HOP
    evened: NDArray[np.float64] = sound * np.interp(np.arange(sound.size), centres, gain)
    return evened


def reverberate(
    sound: NDArray[np.float64],
    rng: np.random.Generator,
    echo_db: tuple[float, float] = (-4.0, 2.0),
    decay_seconds: tuple[float, float] = (0.2, 0.45),
) -> NDArray[np.float64]:
    """Add the diffuse echoes of a room drawn anew for each clip.

    Parameters
    ----------
    sound : ndarray, shape (n,)
        At 16 kHz.
    rng : numpy.random.Generator
        Draws the room.
    echo_db : pair of float
        Energy of the echoes relative to the direct sound, for a white sound, in dB.
    decay_seconds : pair of float
        Time in which the echoes fall by 60 dB.

    Returns
    -------
    ndarray, shape (n,)
    """
    decay = rng.uniform(*decay_seconds)
    n = round(0.6 * decay * SAMPLE_RATE)  # down to -36 dB
    echoes = rng.standard_normal(n, dtype=np.float32)
    echoes *= np.exp(np.arange(n, dtype=np.float32) * np.float32(-6.9078 / (decay * SAMPLE_RATE)))
    echoes *= np.float32(10 ** (rng.uniform(*echo_db) / 20) / np.sqrt(np.sum(echoes**2)))
    echoes[0] += 1.0
    size = next_fast_len(sound.size + n - 1, real=True)
    spectrum = rfft(sound.astype(np.float32), size) * rfft(echoes, size)
    heard: NDArray[np.float32] = irfft(spectrum, size)[: sound.size]
    return heard.astype(np.float64)
