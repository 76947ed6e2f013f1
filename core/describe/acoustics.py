"""Acoustic descriptors of stretches of sound, all stretches of a clip at once.

Frames of 64 ms under a Hann window, three a stretch, give one power spectrum a stretch and three estimates of pitch;
an envelope in steps of 10 ms gives what unfolds in time. pYIN of librosa tracks a path by Viterbi, frame after frame,
and takes hundreds of times as long; here pitch is the highest normalised autocorrelation (Boersma 1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.describe.descriptors import BAND_EDGES_HZ, NAMES, PITCH_CLASSES, PLACE
from core.results import FloatArray, IntArray, Mask

FRAME_SECONDS, STEP_SECONDS = 0.064, 0.01
FRAMES = 3
"""Of each stretch, spread over it, or over 80 ms around its middle if it is shorter."""
F0_MIN, F0_MAX = 60.0, 1000.0
VOICED = 0.45
"""Normalised autocorrelation from which on a frame has a pitch (Boersma 1993, voicing threshold)."""
SILENT_DB = -70.0
"""Below, nothing but level, onset and bands is told."""
ROLLOFF = 0.85
_FLOOR = 1e-10
_NEAR_BEST, _PEAK = 0.9, 1e-3
_LOOK_BACK, _AM_STEPS = 50, 128
_AM_HZ = (2.0, 32.0)
_TEMPO_BPM, _TEMPO_STEPS = (40.0, 240.0), 300
_AM_WINDOW = np.hanning(_AM_STEPS + 1)[:-1].astype(np.float32)
_AM_BINS = np.flatnonzero([_AM_HZ[0] <= hertz <= _AM_HZ[1] for hertz in np.fft.rfftfreq(_AM_STEPS, STEP_SECONDS)])
_HIDDEN = np.array([name not in ("level", "onset") and not name.startswith("band ") for name in NAMES])
"""What silence does not tell."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Scale:
    """What depends on the sampling rate alone."""

    window: Floats
    hertz: Floats
    bands: Floats
    chroma: Floats
    audible: Mask
    lags: IntArray
    of_window: Floats


@cache
def _scale(rate: int) -> _Scale:
    n = 2 * round(FRAME_SECONDS * rate / 2)
    window = np.hanning(n + 1)[:-1].astype(np.float32)
    hertz = np.fft.rfftfreq(n, 1 / rate)
    edges = np.array(BAND_EDGES_HZ)
    bands = (hertz[:, None] >= edges[:-1]) & (hertz[:, None] < edges[1:])
    tone = np.zeros((len(hertz), len(PITCH_CLASSES)))
    heard = (hertz >= F0_MIN) & (hertz <= 4000)
    midi = np.rint(69 + 12 * np.log2(hertz[heard] / 440)).astype(int)
    tone[np.flatnonzero(heard), midi % 12] = 1
    lags = np.arange(int(rate / F0_MAX), int(rate / F0_MIN) + 2)
    own = np.fft.irfft(np.abs(np.fft.rfft(window)) ** 2)
    of_window = (own[lags] / own[0]).astype(np.float32)
    # A sine of amplitude 1 has a mean square of 1/2 over the bins of its band.
    level = 2 / (n * (window**2).sum())
    return _Scale(
        window, hertz.astype(np.float32), (bands * level).astype(np.float32), tone.astype(np.float32),
        (hertz >= BAND_EDGES_HZ[0]) & (hertz <= BAND_EDGES_HZ[-1]), lags, of_window,
    )  # fmt: skip


def measure(waveform: Floats, rate: int, spans: FloatArray) -> Floats:
    """Describe stretches of one clip.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
    rate : int
        Hz.
    spans : ndarray, shape (n, 2)
        Where each begins and ends, in seconds; they may reach past the end, which is silent.

    Returns
    -------
    ndarray of float32, shape (n, n_descriptors)
        By `core.describe.descriptors.DESCRIPTORS`, in their units; NaN where there is nothing to tell: all but level,
        onset and bands of silence (`SILENT_DB`), and pitch of what has none.
    """
    found = np.full((len(spans), len(NAMES)), np.nan, dtype=np.float32)
    scale = _scale(rate)
    power = _power(waveform, rate, spans, scale)
    _tell_envelope(found, waveform, rate, spans)
    _tell_spectrum(found, power.mean(axis=1), scale)
    _tell_pitch(found, power, rate, scale)
    found[(found[:, PLACE["level"]] < SILENT_DB)[:, None] & _HIDDEN] = np.nan
    return found


def _db(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(np.maximum(power, _FLOOR)), dtype=np.float32)


def _power(waveform: Floats, rate: int, spans: FloatArray, scale: _Scale) -> Floats:
    """Power spectra of the frames, shape (n_spans, FRAMES, n_bins)."""
    from scipy.fft import rfft

    n = len(scale.window)
    middle, length = spans.mean(axis=1), np.maximum(np.diff(spans, axis=1)[:, 0], 0.08)
    at = middle[:, None] + length[:, None] * ((np.arange(FRAMES) + 0.5) / FRAMES - 0.5)
    start = np.rint(at * rate).astype(np.int64)  # of the padded sound
    padded = np.zeros(n + max(len(waveform), int(start.max(initial=0))) + n // 2, dtype=np.float32)
    padded[n // 2 : n // 2 + len(waveform)] = waveform
    frames = np.lib.stride_tricks.sliding_window_view(padded, n)[np.maximum(start, 0)]
    frames *= scale.window
    spectrum = rfft(frames, axis=-1, overwrite_x=True)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def _tell_spectrum(found: Floats, power: Floats, scale: _Scale) -> None:
    """Centroid, bandwidth, flatness, roll-off (Peeters et al. 2011), bands and chroma of spectra (n_spans, n_bins)."""
    hertz, heard = scale.hertz[scale.audible], power[:, scale.audible] + np.float32(1e-12)
    share = heard / heard.sum(axis=1, keepdims=True)
    centroid = share @ hertz
    found[:, PLACE["centroid"]] = centroid
    found[:, PLACE["bandwidth"]] = np.sqrt(np.maximum(share @ hertz**2 - centroid**2, 0))
    found[:, PLACE["flatness"]] = np.exp(np.log(heard).mean(axis=1)) / heard.mean(axis=1)
    found[:, PLACE["rolloff"]] = hertz[(share.cumsum(axis=1) >= ROLLOFF).argmax(axis=1)]
    first = PLACE["band 1"]
    found[:, first : first + scale.bands.shape[1]] = _db(power @ scale.bands)
    first, tones = PLACE["chroma C"], power @ scale.chroma
    found[:, first : first + len(PITCH_CLASSES)] = tones / np.maximum(tones.sum(axis=1, keepdims=True), 1e-12)


def _tell_pitch(found: Floats, power: Floats, rate: int, scale: _Scale) -> None:
    """F0, voicing, harmonicity (Boersma 1993), inharmonicity and FM of spectra (n_spans, FRAMES, n_bins)."""
    from scipy.fft import irfft

    flat = power.reshape(-1, power.shape[-1])
    total = irfft(flat, axis=-1)
    size = np.maximum(total[:, :1], _FLOOR)
    r = total[:, scale.lags[0] - 1 : scale.lags[-1] + 2] / size
    r[:, 1:-1] /= scale.of_window
    inner = r[:, 1:-1]
    is_peak = (inner[:, 1:-1] > inner[:, :-2]) & (inner[:, 1:-1] >= inner[:, 2:])
    heights = np.where(is_peak, inner[:, 1:-1], 0)
    best = heights.max(axis=1)
    place = (heights >= np.maximum(_NEAR_BEST * best, 1e-6)[:, None]).argmax(axis=1) + 1  # the shortest period near it
    rows = np.arange(len(inner))
    before, here, after = (inner[rows, place + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    lag = scale.lags[place] + np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0)
    f0 = np.where(best >= VOICED, rate / lag, np.nan).reshape(power.shape[:2])
    strength = np.clip(best, 0, 0.9999).reshape(power.shape[:2])
    voiced, which = np.isfinite(f0), strength.argmax(axis=1)
    own = np.arange(len(f0))
    found[:, PLACE["f0"]] = f0[own, which]
    found[:, PLACE["voicing"]] = strength.mean(axis=1)
    ratio = np.maximum(strength.mean(axis=1), 1e-4)
    found[:, PLACE["harmonicity"]] = 10 * np.log10(ratio / (1 - ratio))
    tone = 12 * np.log2(np.where(voiced, f0, F0_MIN))
    n = voiced.sum(axis=1)
    mean = (tone * voiced).sum(axis=1) / np.maximum(n, 1)
    spread = np.sqrt(((tone - mean[:, None]) ** 2 * voiced).sum(axis=1) / np.maximum(n, 1))
    found[:, PLACE["fm"]] = np.where(n > 1, spread, np.nan)
    found[:, PLACE["inharmonicity"]] = _inharmonicity(power[own, which], f0[own, which], scale)


def _inharmonicity(power: Floats, f0: FloatArray, scale: _Scale) -> FloatArray:
    """How far strong partials lie from multiples of F0, 0 to 1, weighted by their power (Peeters et al. 2011)."""
    inner = power[:, 1:-1]
    is_peak = (inner > power[:, :-2]) & (inner >= power[:, 2:]) & (inner > _PEAK * power.max(axis=1, keepdims=True))
    row, column = np.nonzero(is_peak & np.isfinite(f0)[:, None])
    left, here, right = (np.log(power[row, column + step] + 1e-20) for step in (0, 1, 2))
    bend = left - 2 * here + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1), 0)
    number = (scale.hertz[column + 1] + shift * scale.hertz[1]) / f0[row]
    counts = (number > 0.5) & (number < 10.5)
    row, number, weight = row[counts], number[counts], inner[row[counts], column[counts]]
    away = np.bincount(row, weight * 2 * np.abs(number - np.rint(number)), len(power))
    total = np.bincount(row, weight, len(power))
    return np.where(total > 0, away / np.where(total > 0, total, 1), np.nan)


def _tell_envelope(found: Floats, waveform: Floats, rate: int, spans: FloatArray) -> None:
    """Level, onset (Bello et al. 2005: rise of log energy), attack, AM and tempo."""
    step = round(STEP_SECONDS * rate)
    n = max(-(-len(waveform) // step), int(np.ceil(spans.max() / STEP_SECONDS)))
    padded = np.zeros(n * step, dtype=np.float32)
    padded[: len(waveform)] = waveform
    steps = padded.reshape(n, step)
    squares = np.einsum("ij,ij->i", steps, steps) / np.float32(step)
    level, envelope = _db(squares), np.sqrt(squares)
    rise = np.zeros(n, dtype=np.float32)
    floored = np.maximum(level, -80)
    rise[1:2], rise[2:] = np.maximum(np.diff(floored[:2]), 0), np.maximum(floored[2:] - floored[:-2], 0)
    first = np.minimum((spans[:, 0] / STEP_SECONDS + 1e-6).astype(np.int64), n - 1)
    wide = max(1, round(float(np.diff(spans, axis=1).max()) / STEP_SECONDS))
    at = np.minimum(first[:, None] + np.arange(wide), n - 1)
    found[:, PLACE["level"]] = _db(squares[at].mean(axis=1))
    found[:, PLACE["onset"]] = rise[at].max(axis=1)
    peak = at[np.arange(len(at)), envelope[at].argmax(axis=1)]
    found[:, PLACE["attack"]] = _attack(envelope, peak)
    found[:, PLACE["am rate"]], found[:, PLACE["am depth"]] = _modulation(envelope, at[:, wide // 2])
    found[:, PLACE["tempo"]] = _tempo(rise)


def _attack(envelope: Floats, peak: IntArray) -> FloatArray:
    """Seconds from the last time below a tenth of the peak to the last below nine; at most half a second."""
    at = peak[:, None] + np.arange(-_LOOK_BACK, 1)
    before = np.where(at >= 0, envelope[np.maximum(at, 0)], 0)
    top = envelope[peak][:, None]
    ends = [_LOOK_BACK - (before < share * top)[:, ::-1].argmax(axis=1) for share in (0.1, 0.9)]
    started = (before < 0.1 * top).any(axis=1)
    return np.where(started, (ends[1] - ends[0] + 1) * STEP_SECONDS, _LOOK_BACK * STEP_SECONDS)


def _modulation(envelope: Floats, middle: IntArray) -> tuple[FloatArray, FloatArray]:
    """Rate (Hz) and depth (share of the mean) of the strongest modulation at 2 to 32 Hz in 1.28 s around."""
    from scipy.fft import rfft

    n = len(envelope)
    first = np.clip(middle - _AM_STEPS // 2, 0, max(n - _AM_STEPS, 0))
    at = first[:, None] + np.arange(_AM_STEPS)
    inside = at < n
    around = np.where(inside, envelope[np.minimum(at, n - 1)], 0)
    mean = around.sum(axis=1, keepdims=True) / inside.sum(axis=1, keepdims=True)
    power = np.abs(rfft(np.where(inside, around - mean, 0) * _AM_WINDOW, axis=1))
    best = _AM_BINS[power[:, _AM_BINS].argmax(axis=1)]
    depth = 2 * power[np.arange(len(best)), best] / (_AM_WINDOW.sum() * np.maximum(mean[:, 0], 1e-6))
    return best / (_AM_STEPS * STEP_SECONDS), depth


def _tempo(rise: Floats) -> float:
    """Beats a minute: lag of the highest autocorrelation of onsets, weighted towards 120 (Ellis 2007); NaN without."""
    rise = rise[: 2 * _TEMPO_STEPS] - rise[: 2 * _TEMPO_STEPS].mean()
    lags = np.arange(int(6000 / _TEMPO_BPM[1]), min(int(6000 / _TEMPO_BPM[0]), len(rise) // 2))
    total = float((rise**2).sum())
    if not len(lags) or total < 1e-6:
        return float("nan")
    from scipy.fft import irfft, rfft

    n = 2 * len(rise)
    own = irfft(np.abs(rfft(rise, n)) ** 2, n)
    weight = np.exp(-0.5 * (np.log2(6000 / lags / 120) / 0.9) ** 2)
    return float(6000 / lags[(own[lags] * weight).argmax()])
