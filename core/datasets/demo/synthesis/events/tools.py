"""What the kinds of events are made of: noise, onsets, arcs, voices and struck modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from core.datasets.demo.synthesis.clip import SAMPLE_RATE
from core.datasets.demo.synthesis.dsp import CONTROL, Signal, cycles, resonate, upsample, wavetable

N_SOUND = 36_000
"""2.25 s: what is left after the widest change of speed still fills a clip."""
N_CONTROL = N_SOUND // CONTROL

Kind = Callable[[np.random.Generator], Signal]


def noise(rng: np.random.Generator) -> Signal:
    """White noise, uniform in -1 to 1, shape (36000,)."""
    return 2 * rng.random(N_SOUND, dtype=np.float32) - 1


def unit_power(sound: Signal) -> Signal:
    """The sound at a standard deviation of 1."""
    scaled: Signal = sound / sound.std()
    return scaled


def unit_peak(sound: Signal) -> Signal:
    """The sound at a peak of 1."""
    scaled: Signal = sound / np.abs(sound).max()
    return scaled


def regular(rng: np.random.Generator, gap: float, jitter: float) -> NDArray[np.intp]:
    """Onsets in samples, ``gap`` seconds apart, each gap off by up to the share ``jitter``."""
    count = int(N_SOUND / SAMPLE_RATE / gap / max(0.3, 1 - jitter)) + 2
    gaps = gap * (1 + jitter * rng.uniform(-1, 1, count))
    times = np.cumsum(gaps) - gap * (1 - 0.3 * rng.random())
    onsets = (np.maximum(times, 0) * SAMPLE_RATE).astype(np.intp)
    return onsets[onsets < N_SOUND]


def scattered(rng: np.random.Generator, rate: float) -> NDArray[np.intp]:
    """Onsets in samples of a Poisson process with ``rate`` onsets a second."""
    return rng.integers(0, N_SOUND, max(4, int(rng.poisson(rate * N_SOUND / SAMPLE_RATE))))


def impulses(onsets: NDArray[np.intp], gains: Signal | float = 1.0) -> Signal:
    """Impulse train, shape (36000,)."""
    train = np.zeros(N_SOUND)
    np.add.at(train, onsets, gains)
    return train


def decay(train: Signal, seconds: float) -> Signal:
    """Every impulse becomes an exponential that falls by 60 dB in ``seconds``."""
    pole = np.exp(-6.9 / (seconds * SAMPLE_RATE))
    fading: Signal = lfilter([1.0], [1.0, -pole], train)
    return fading


def arcs(
    rng: np.random.Generator, length: tuple[float, float], gap: tuple[float, float]
) -> tuple[Signal, NDArray[np.intp]]:
    """Stretches of sound with pauses between, at the control rate.

    Parameters
    ----------
    rng : numpy.random.Generator
    length, gap : pair of float
        Seconds; each stretch and each pause is drawn from these.

    Returns
    -------
    progress : ndarray, shape (1125,)
        0 to 1 over each stretch, 0 in the pauses.
    number : ndarray of int, shape (1125,)
        1 in the first stretch, 2 in the second, ...; 0 in the pauses.
    """
    progress = np.zeros(N_CONTROL)
    number = np.zeros(N_CONTROL, dtype=np.intp)
    per_second = SAMPLE_RATE / CONTROL
    at, count = rng.uniform(0, gap[1]) * per_second * 0.3, 0
    while at < N_CONTROL:
        end = at + rng.uniform(*length) * per_second
        start, stop = int(at), min(int(end), N_CONTROL)
        count += 1
        progress[start:stop] = np.linspace(0, 1, int(end) - start)[: stop - start]
        number[start:stop] = count
        at = end + rng.uniform(*gap) * per_second
    return progress, number


def bump(progress: Signal, rise: float, fall: float = 1.0) -> Signal:
    """Envelope of an arc: 0 at both ends, highest where progress is ``rise / (rise + fall)``."""
    top = rise / (rise + fall)
    scale = top**rise * (1 - top) ** fall
    envelope: Signal = progress**rise * np.maximum(1 - progress, 0) ** fall / scale
    return envelope


def voice(frequency: Signal, slope: float, highest: float) -> Signal:
    """Buzz with all harmonics at ``number ** -slope``; frequency in Hz at the control rate."""
    number = np.arange(1, max(3, int(7500 / highest)) + 1, dtype=np.float64)[:80]
    return wavetable(cycles(upsample(frequency), N_SOUND), number**-slope)


def formants(sound: Signal, centres: Sequence[float], bandwidth: float) -> Signal:
    """Sum of resonators, each 3 dB under the one before; bandwidth is a share of the centre."""
    widths = [bandwidth * centre for centre in centres]
    return resonate(sound, centres, widths, [0.7**order for order in range(len(centres))])


def ring(train: Signal, modes: Sequence[float], seconds: float) -> Signal:
    """Impulses through damped modes in Hz; higher modes are weaker and die faster."""
    widths = [2.2 / seconds * (mode / modes[0]) ** 0.5 for mode in modes]
    gains = [1 / (width * (1 + 0.5 * order)) for order, width in enumerate(widths)]
    return resonate(train, modes, widths, gains)
