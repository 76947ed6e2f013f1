"""How loud a clip is and what its mean spectrum is: measured on every file while it is looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE, FRAME = 16_000, 400
SILENCE_DBFS = -60.0
LEVEL_FEATURES = ("seconds", "level_db", "peak_db", "active_share")
BAND_FEATURES = tuple(f"band_{i:02d}" for i in range(16))
"""Mean spectrum of a clip."""
_WINDOW, _HOP, _FLOOR_DB = 1024, 768, -120.0
_AT_ONCE = (1 << 21) // FRAME * FRAME
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


def _levels(waveform: NDArray[np.float32]) -> dict[str, float]:
    def db(value: float) -> float:
        return round(20 * np.log10(max(value, 1e-8)), 3)

    n_active, squares = 0, 0.0
    for start in range(0, len(waveform), _AT_ONCE):
        part = waveform[start : start + _AT_ONCE]
        frames = np.pad(part, (0, -len(part) % FRAME)).reshape(-1, FRAME)
        n_active += int((np.sqrt(np.mean(frames**2, axis=1)) > 10 ** (SILENCE_DBFS / 20)).sum())
        squares += float(np.mean(part**2)) * len(part)
    return {
        "seconds": len(waveform) / SAMPLE_RATE,
        "level_db": db(float(np.sqrt(squares / len(waveform)))),
        "peak_db": db(max(float(waveform.max()), -float(waveform.min()))),
        "active_share": round(n_active / -(-len(waveform) // FRAME), 4),
    }


def _band_edges() -> NDArray[np.int64]:
    """FFT bin at which each band begins, and the one after the last; equal steps in mel, 50 Hz to 8 kHz."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (50, SAMPLE_RATE / 2))
    hertz = 700 * (10 ** (np.linspace(low, high, len(BAND_FEATURES) + 1) / 2595) - 1)
    return np.ceil(hertz * _WINDOW / SAMPLE_RATE - 1e-9).astype(np.int64)


_EDGES = _band_edges()


def spectrum(waveform: NDArray[np.float32]) -> dict[str, float]:
    """Power in each of 16 bands of equal width in mel from 50 Hz to 8 kHz, averaged over a clip.

    In dB: a sine of amplitude 1 has -3 dB in its band; together the bands have the clip's mean square. The power
    is averaged before the logarithm, so that silence shifts all bands by the same.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        At 16 kHz.

    Returns
    -------
    dict of str to float
        ``band_00`` to ``band_15``; at least -120 dB, which a silent clip has everywhere.
    """
    from scipy.fft import rfft

    power = np.zeros(_WINDOW // 2 + 1)
    n_frames = (len(waveform) + _WINDOW - _HOP) // _HOP + 1
    for start in range(0, n_frames, 1024):
        frames = _frames(waveform, start, min(start + 1024, n_frames))
        spectra = rfft(frames * _HANN, axis=1)
        power += (spectra.real**2 + spectra.imag**2).sum(axis=0, dtype=np.float64)
    # A sample's squared windows sum to 3/8 of window / hop in the mean; twice for the negative frequencies.
    per_frame = 0.375 * _WINDOW / _HOP * _WINDOW * len(waveform)
    bands = np.add.reduceat(power[: _EDGES[-1]], _EDGES[:-1]) * 2 / per_frame
    in_db = 10 * np.log10(np.maximum(bands, 10 ** (_FLOOR_DB / 10)))
    return {name: round(float(value), 2) for name, value in zip(BAND_FEATURES, in_db, strict=True)}


def _frames(waveform: NDArray[np.float32], first: int, end: int) -> NDArray[np.float32]:
    """Windows ``first`` to ``end`` of a waveform with zeros before and behind it, shape (n, _WINDOW)."""
    start, stop = first * _HOP - (_WINDOW - _HOP), (end - 1) * _HOP - (_WINDOW - _HOP) + _WINDOW
    part = waveform[max(start, 0) : stop]
    padded = np.pad(part, (max(-start, 0), stop - max(start, 0) - len(part)))
    return np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
