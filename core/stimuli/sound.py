"""What made sounds are built of: tones from their partials, noise from its spectrum, and the frame around both.

A clip is 2.08 s at 16 kHz with nothing above 7.4 kHz. Tones and noise are made in the frequency domain, over the
clip's own 33,280 bins (0.48 Hz apart): partials lie on bins, so that a tone is periodic, exact and fast, and no partial
falls beside the band it is meant for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

RATE = 16_000
N_SAMPLES = 33_280
SECONDS = N_SAMPLES / RATE
TOP_HZ = 7_400.0
LEVEL_DB = -26.0
"""Root mean square of a sound while it lasts, dB of full scale, where level is not varied."""
FLOOR_DB = -72.0
"""Of the white noise under every sound: digital silence is like nothing that an encoder has heard."""
ACTIVE_SECONDS = 1.9
RAMP_SECONDS = 0.02
DETUNE_CENTS = 15.0
"""A tone's F0 is drawn so far around its level's."""
Signal = NDArray[np.float64]
Amplitudes = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""Amplitude of each partial, by its number and its frequency in Hz."""

_STEP_HZ = RATE / N_SAMPLES


def hertz(midi: float) -> float:
    """Frequency of a MIDI note."""
    return float(440.0 * 2 ** ((midi - 69) / 12))


def detuned(frequency: float, rng: np.random.Generator) -> float:
    """A frequency a few cents off: the nuisance of every tone, with its phases and its onset."""
    return float(frequency * 2 ** (rng.uniform(-DETUNE_CENTS, DETUNE_CENTS) / 1200))


def tone(f0: float, amplitudes: Amplitudes, rng: np.random.Generator, jitter: float = 0.0) -> Signal:
    """A steady complex tone in random phases, (33280,).

    Parameters
    ----------
    f0 : float
        Hz; taken to the nearest bin, 0.24 Hz away at most.
    amplitudes : callable
    rng : numpy.random.Generator
    jitter : float
        Partials but the first are moved by up to this share of F0, up or down.
    """
    first = max(1, round(f0 / _STEP_HZ))
    number = np.arange(1, max(2, int(TOP_HZ / f0) + 1), dtype=np.float64)
    moved = first * (number + jitter * rng.uniform(-1, 1, len(number)) * (number > 1))
    bins = np.rint(moved).astype(np.int64)
    heard = bins * _STEP_HZ <= TOP_HZ
    spectrum = np.zeros(N_SAMPLES // 2 + 1, dtype=np.complex128)
    size = amplitudes(number[heard], number[heard] * f0)
    np.add.at(spectrum, bins[heard], size * np.exp(2j * np.pi * rng.random(int(heard.sum()))))
    sound: Signal = irfft(spectrum, N_SAMPLES)
    return sound


def noise(rng: np.random.Generator, low: float = 50.0, high: float = TOP_HZ, slope: float = 0.0) -> Signal:
    """Gaussian noise between two frequencies in Hz, its power falling with frequency to the power ``slope``."""
    first, last = int(np.ceil(low / _STEP_HZ)), int(min(high, TOP_HZ) / _STEP_HZ)
    bins = np.arange(first, last + 1)
    spectrum = np.zeros(N_SAMPLES // 2 + 1, dtype=np.complex128)
    drawn = rng.standard_normal((2, len(bins)))
    spectrum[bins] = (drawn[0] + 1j * drawn[1]) * bins ** (-slope / 2)
    sound: Signal = irfft(spectrum, N_SAMPLES)
    return sound


def pink(rng: np.random.Generator) -> Signal:
    """Noise with as much power in every octave."""
    return noise(rng, slope=1.0)


def seconds() -> Signal:
    """Time of each sample."""
    return np.arange(N_SAMPLES) / RATE


def unit(sound: Signal) -> Signal:
    """At a root mean square of 1."""
    scaled: Signal = sound / np.sqrt(np.mean(sound**2))
    return scaled


def mixed(signal: Signal, masker: Signal, snr_db: float | Signal) -> Signal:
    """A signal in a masker, at a ratio of their powers in dB, which may change; the power of their sum does not."""
    gain = 10 ** (np.asarray(snr_db, dtype=np.float64) / 20)
    sound: Signal = (unit(signal) * gain + unit(masker)) / np.sqrt(1 + gain**2)
    return sound


def framed(sound: Signal, rng: np.random.Generator, level_db: float = LEVEL_DB) -> NDArray[np.float32]:
    """A clip of a sound: from a drawn onset on 1.9 s of it, with soft edges, at the level while it lasts.

    Parameters
    ----------
    sound : ndarray, shape (33280,)
        At any level.
    rng : numpy.random.Generator
        Draws the onset and the noise floor.
    level_db : float

    Returns
    -------
    ndarray of float32, shape (33280,)
    """
    n, n_ramp = round(ACTIVE_SECONDS * RATE), round(RAMP_SECONDS * RATE)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(n_ramp) + 0.5) / n_ramp)
    active = sound[:n].copy()
    active[:n_ramp] *= ramp
    active[-n_ramp:] *= ramp[::-1]
    clip = rng.standard_normal(N_SAMPLES) * 10 ** (FLOOR_DB / 20)
    start = int(rng.integers(0, N_SAMPLES - n + 1))
    clip[start : start + n] += unit(active) * 10 ** (level_db / 20)
    return clip.astype(np.float32)
