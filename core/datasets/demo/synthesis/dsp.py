"""Small vectorised building blocks shared by the synthesiser and the event generators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.datasets.demo.synthesis.clip import SAMPLE_RATE

Signal = NDArray[np.floating]

TABLE_SIZE = 2048
BLOCK = 160
CONTROL = 32
"""Samples between two points of a control curve: 2 ms."""


def between(low: float, high: float, unit: float) -> float:
    """Geometric interpolation: ``low`` at 0, ``high`` at 1, extrapolated outside."""
    return float(low * (high / low) ** unit)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One draw, uniform in the logarithm."""
    return between(low, high, float(rng.random()))


def cycles(frequency: Signal | float, n: int) -> Signal:
    """Running phase of an oscillator, in cycles.

    Parameters
    ----------
    frequency : float or ndarray, shape (n,)
        Hz.
    n : int
        Samples.

    Returns
    -------
    ndarray, shape (n,)
    """
    if np.ndim(frequency) == 0:
        return np.arange(n) * (float(frequency) / SAMPLE_RATE)
    return np.cumsum(frequency) / SAMPLE_RATE


def wavetable(phase: Signal, spectra: Signal) -> Signal:
    """Read a periodic wave whose harmonics change over time.

    Parameters
    ----------
    phase : ndarray, shape (n,)
        In cycles.
    spectra : ndarray, shape (rows, harmonics)
        Amplitudes of harmonics 1, 2, ...; the rows are spread evenly over the sound.

    Returns
    -------
    ndarray, shape (n,)
    """
    spectra = np.atleast_2d(spectra)[:, : TABLE_SIZE // 8]
    rows, harmonics = spectra.shape
    bins = np.zeros((rows, TABLE_SIZE // 2 + 1), dtype=np.complex128)
    # Quadratic phases spread the energy over the period and keep the crest factor low.
    order = np.arange(1, harmonics + 1)
    bins[:, 1 : harmonics + 1] = spectra * np.exp(-1j * np.pi * order * (order - 1) / harmonics)
    tables = (np.fft.irfft(bins, TABLE_SIZE, axis=1) * (TABLE_SIZE / 2)).astype(np.float32)
    # Two more columns: the neighbour of the last, and room for a phase rounded up to one.
    tables = np.concatenate([tables, tables[:, :2]], axis=1)

    position = ((phase - np.floor(phase)) * TABLE_SIZE).astype(np.float32)
    column = position.astype(np.int32)
    position -= column
    if rows == 1:
        return _read(tables.ravel(), column, position)
    place = np.linspace(0, rows - 1, phase.shape[0], endpoint=False, dtype=np.float32)
    row = place.astype(np.int32)
    column += row * (TABLE_SIZE + 2)
    now = _read(tables.ravel(), column, position)
    column += TABLE_SIZE + 2
    later = _read(tables.ravel(), column, position)
    return now + (place - row) * (later - now)


def _read(table: Signal, index: NDArray[np.int32], fraction: Signal) -> Signal:
    """Linear interpolation between neighbours in a table."""
    low = table.take(index)
    high = table[1:].take(index)
    return low + fraction * (high - low)


def resonate(
    sound: Signal,
    frequencies: Sequence[float],
    bandwidths: Sequence[float],
    gains: Sequence[float] = (1.0,),
) -> Signal:
    """Sum of two-pole resonators, in one filter.

    Parameters
    ----------
    sound : ndarray, shape (n,)
    frequencies, bandwidths : sequence of float
        Hz; each resonator has zeros at 0 Hz and Nyquist.
    gains : sequence of float
        At the centres.

    Returns
    -------
    ndarray, shape (n,)
    """
    top, bottom = np.zeros(1), np.ones(1)
    for frequency, bandwidth, gain in zip(frequencies, bandwidths, gains, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        angle = 2 * np.pi * min(frequency, 0.48 * SAMPLE_RATE) / SAMPLE_RATE
        scale = gain * (1 - radius**2) / 2
        poles = np.array([1, -2 * radius * np.cos(angle), radius**2])
        top = np.convolve(top, poles) + np.convolve([scale, 0, -scale], bottom)
        bottom = np.convolve(bottom, poles)
    resonant: Signal = lfilter(top, bottom, sound)
    return resonant


def lowpass(sound: Signal, frequency: float) -> Signal:
    """One-pole low-pass, cutoff in Hz."""
    pole = np.exp(-2 * np.pi * frequency / SAMPLE_RATE)
    dull: Signal = lfilter([1 - pole], [1, -pole], sound)
    return dull


def upsample(coarse: Signal, factor: int = CONTROL) -> Signal:
    """Lay values ``factor`` samples apart out on the samples, linearly; the last value is held."""
    rise = np.append(np.diff(coarse), 0.0) / factor
    return np.add(coarse[:, None], rise[:, None] * np.arange(factor)).ravel()


def wander(rng: np.random.Generator, n: int, rate: float, low: float, high: float) -> Signal:
    """Smooth random curve of ``n`` points between two bounds, with ``rate`` knots a second.

    The points are ``CONTROL`` samples apart: lay them out with `upsample`.
    """
    knots = max(2, round(n * CONTROL / SAMPLE_RATE * rate) + 2)
    grid = np.linspace(0, knots - 1, n, endpoint=False)
    left = grid.astype(np.intp)
    share = grid - left
    share = share * share * (3 - 2 * share)
    values = rng.uniform(low, high, knots)
    return values[left] + share * (values[left + 1] - values[left])


def even_level(
    sound: Signal,
    rng: np.random.Generator,
    crest_db: tuple[float, float] = (10.5, 13.5),
) -> Signal:
    """Bring a sound to a drawn crest factor, so that its dynamics do not tell its class.

    A smooth random swell is laid over it, then a gain that follows the level in blocks of 10 ms
    compresses (decays, knocks) or expands (steady tones) until peak over root mean square, over
    the first 1.55 s, is the drawn one. What is left of the peaks is clipped softly.

    Parameters
    ----------
    sound : ndarray, shape (n,)
        At 16 kHz.
    rng : numpy.random.Generator
        Draws the swell and the crest factor.
    crest_db : pair of float
        Range of the crest factor, dB.

    Returns
    -------
    ndarray, shape (n rounded down to 10 ms,)
    """
    n_blocks = sound.shape[0] // BLOCK
    blocks = sound[: n_blocks * BLOCK].reshape(n_blocks, BLOCK)
    peak = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
    power = np.einsum("ij,ij->i", blocks, blocks) / BLOCK
    swell = 10 ** (wander(rng, n_blocks, rng.uniform(10, 30), -5, 5) / 20)
    target = 10 ** (rng.uniform(*crest_db) / 20)
    # The gain is down before an onset arrives: it looks one block ahead and one behind.
    around = np.max([np.append(peak[1:], 0), peak, np.append(0, peak[:-1])], axis=0)
    around = np.maximum(around / around.max(), 10 ** (-40 / 20))

    heard = slice(0, round(1.55 * SAMPLE_RATE / BLOCK))
    low, high = -1.5, 1.0
    for _ in range(10):
        share = (low + high) / 2
        gain = swell ** (1 - share) * around**-share
        crest = (peak * gain)[heard].max() / np.sqrt(np.mean((power * gain**2)[heard]))
        low, high = (share, high) if crest > target else (low, share)

    edges = np.append(gain[0], 0.5 * (gain[1:] + gain[:-1]))
    evened = blocks.ravel() * upsample(edges, BLOCK)
    ceiling = 1.15 * target * np.sqrt(np.mean(evened[: round(1.55 * SAMPLE_RATE)] ** 2))
    shaped: Signal = np.clip(evened / ceiling, -1.5, 1.5)
    shaped -= shaped * shaped * shaped * (4 / 27)
    return shaped
