"""Acoustic descriptors of stretches of sound, all stretches of some clips at once.

Frames of 64 ms under a Hann window, three a stretch, give one power spectrum a stretch and three estimates of pitch;
an envelope in steps of 10 ms gives what unfolds in time. pYIN of librosa tracks a path by Viterbi, frame after frame,
and takes hundreds of times as long; here pitch is the highest normalised autocorrelation (Boersma 1993).

Sums go row by row, none by matrix products, whose last bits hang on how many rows there are: a stretch has the same
numbers whatever is measured with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.describe.descriptors import BAND_EDGES_HZ, N_BANDS, NAMES, PITCH_CLASSES, PLACE
from core.results import FloatArray, IntArray

FRAME_SECONDS, STEP_SECONDS = 0.064, 0.01
FRAMES = 3
"""Of each stretch, spread over it, or over 80 ms around its middle if it is shorter."""
F0_MIN, F0_MAX = 60.0, 1000.0
VOICED = 0.45
"""Normalised autocorrelation from which on a frame has a pitch (Boersma 1993, voicing threshold)."""
SILENT_DB = -70.0
"""Below, nothing but level, onset and bands is told."""
ROLLOFF = 0.85
CLIPS_AT_ONCE = 8
"""That are best measured together: few enough to stay near the processor."""
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
    """What depends on the sampling rate alone.

    Attributes
    ----------
    window : ndarray, shape (n_samples of a frame,)
    hertz : ndarray, shape (n_bins,)
    level : float
        Mean square of a sine of amplitude 1, which is 1/2, over its power in all bins.
    bands : ndarray of int, shape (n_bands + 1,)
        Bins at which they begin, and at which the last ends.
    audible : slice
        Bins of all bands.
    tones, pitch_class : ndarray of int
        Bins by pitch class, and where among these each class begins.
    lags : ndarray of int
    of_window : ndarray, shape (n_lags,)
        The window's own autocorrelation.
    """

    window: Floats
    hertz: Floats
    level: float
    bands: IntArray
    audible: slice
    tones: IntArray
    pitch_class: IntArray
    lags: IntArray
    of_window: Floats


@cache
def _scale(rate: int) -> _Scale:
    n = 2 * round(FRAME_SECONDS * rate / 2)
    window = np.hanning(n + 1)[:-1].astype(np.float32)
    hertz = np.fft.rfftfreq(n, 1 / rate)
    heard = np.flatnonzero((hertz >= F0_MIN) & (hertz <= 4000))
    own_class = np.rint(69 + 12 * np.log2(hertz[heard] / 440)).astype(int) % 12
    order = np.argsort(own_class, kind="stable")
    lags = np.arange(int(rate / F0_MAX), int(rate / F0_MIN) + 2)
    own = np.fft.irfft(np.abs(np.fft.rfft(window)) ** 2)
    return _Scale(
        window, hertz.astype(np.float32), float(2 / (n * (window**2).sum())), np.searchsorted(hertz, BAND_EDGES_HZ),
        slice(*np.searchsorted(hertz, [BAND_EDGES_HZ[0], np.nextafter(BAND_EDGES_HZ[-1], np.inf)])),
        heard[order], np.searchsorted(own_class[order], np.arange(12)), lags, (own[lags] / own[0]).astype(np.float32),
    )  # fmt: skip


@dataclass(frozen=True)
class _Stretches:
    """Stretches of some clips, clip after clip: their spans (n, 2), in seconds, and whose each is (n,)."""

    spans: FloatArray
    clip: IntArray


def measure(waveforms: Sequence[Floats], rate: int, spans: Sequence[FloatArray]) -> list[Floats]:
    """Describe stretches of some clips.

    Parameters
    ----------
    waveforms : sequence of ndarray of float32, shape (n_samples,)
    rate : int
        Hz.
    spans : sequence of ndarray, shape (n, 2)
        Of each clip where stretches begin and end, in seconds; they may reach past the end, which is silent.

    Returns
    -------
    list of ndarray of float32, shape (n, n_descriptors)
        By `core.describe.descriptors.DESCRIPTORS`, in their units; NaN where there is nothing to tell: all but level,
        onset and bands of silence (`SILENT_DB`), and pitch of what has none.
    """
    sizes = [len(of_clip) for of_clip in spans]
    stretches = _Stretches(np.concatenate(spans), np.repeat(np.arange(len(spans)), sizes))
    found = np.full((len(stretches.spans), len(NAMES)), np.nan, dtype=np.float32)
    if not len(found):
        return [found for _ in spans]
    scale = _scale(rate)
    power = _power(waveforms, rate, stretches, scale)
    _tell_envelope(found, _Envelope.of(waveforms, rate, stretches))
    _tell_spectrum(found, power.mean(axis=1), scale)
    _tell_pitch(found, power, rate, scale)
    found[(found[:, PLACE["level"]] < SILENT_DB)[:, None] & _HIDDEN] = np.nan
    return np.split(found, np.cumsum(sizes)[:-1])


def _db(power: Floats) -> Floats:
    return np.asarray(10 * np.log10(np.maximum(power, _FLOOR)), dtype=np.float32)


def _power(waveforms: Sequence[Floats], rate: int, stretches: _Stretches, scale: _Scale) -> Floats:
    """Power spectra of the frames, shape (n_stretches, FRAMES, n_bins)."""
    from scipy.fft import rfft

    n, spans = len(scale.window), stretches.spans
    middle, length = spans.mean(axis=1), np.maximum(spans[:, 1] - spans[:, 0], 0.08)
    at = middle[:, None] + length[:, None] * ((np.arange(FRAMES) + 0.5) / FRAMES - 0.5)
    start = np.maximum(np.rint(at * rate).astype(np.int64), 0)  # of the sound with half a frame before it
    last = np.zeros(len(waveforms), dtype=np.int64)
    np.maximum.at(last, stretches.clip, start.max(axis=1))
    sizes = np.maximum(last, [len(waveform) for waveform in waveforms]) + n + n // 2
    first = np.cumsum(sizes) - sizes
    padded = np.zeros(int(sizes.sum()), dtype=np.float32)
    for begin, waveform in zip((first + n // 2).tolist(), waveforms, strict=True):
        padded[begin : begin + len(waveform)] = waveform
    frames = np.lib.stride_tricks.sliding_window_view(padded, n)[start + first[stretches.clip][:, None]]
    frames *= scale.window
    spectrum = rfft(frames, axis=-1, overwrite_x=True)
    return np.asarray(spectrum.real**2 + spectrum.imag**2, dtype=np.float32)


def _tell_spectrum(found: Floats, power: Floats, scale: _Scale) -> None:
    """Centroid, bandwidth, flatness, roll-off (Peeters et al. 2011), bands and chroma of spectra (n_spans, n_bins)."""
    hertz, heard = scale.hertz[scale.audible], power[:, scale.audible] + np.float32(1e-12)
    share = heard / heard.sum(axis=1, keepdims=True)
    centroid = np.einsum("ij,j->i", share, hertz)
    found[:, PLACE["centroid"]] = centroid
    found[:, PLACE["bandwidth"]] = np.sqrt(np.maximum(np.einsum("ij,j->i", share, hertz**2) - centroid**2, 0))
    found[:, PLACE["flatness"]] = np.exp(np.log(heard).mean(axis=1)) / heard.mean(axis=1)
    found[:, PLACE["rolloff"]] = hertz[(share.cumsum(axis=1) >= ROLLOFF).argmax(axis=1)]
    of_bands = np.zeros((len(power), N_BANDS), dtype=np.float32)
    has_bins, stop = np.diff(scale.bands) > 0, scale.bands[-1]
    of_bands[:, has_bins] = np.add.reduceat(power[:, :stop], scale.bands[:-1][has_bins], axis=1)
    at = PLACE["band 1"]
    found[:, at : at + N_BANDS] = _db(of_bands * np.float32(scale.level))
    at, tones = PLACE["chroma C"], np.add.reduceat(power[:, scale.tones], scale.pitch_class, axis=1)
    found[:, at : at + len(PITCH_CLASSES)] = tones / np.maximum(tones.sum(axis=1, keepdims=True), 1e-12)


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


@dataclass(frozen=True)
class _Envelope:
    """Levels of some clips in steps of `STEP_SECONDS`, one clip after the other.

    Attributes
    ----------
    squares, root, rise : ndarray of float32, shape (n_steps of all,)
        Mean square and its root; rise of the level over 20 ms, dB (Bello et al. 2005: rise of log energy).
    first, stop : ndarray of int, shape (n_clips,)
        Steps of each clip.
    at : ndarray of int, shape (n_stretches, width)
        Steps of each stretch; the last again where others are longer.
    wide : ndarray of int, shape (n_stretches,)
        How many of them are its own.
    clip : ndarray of int, shape (n_stretches,)
    """

    squares: Floats
    root: Floats
    rise: Floats
    first: IntArray
    stop: IntArray
    at: IntArray
    wide: IntArray
    clip: IntArray

    @classmethod
    def of(cls, waveforms: Sequence[Floats], rate: int, stretches: _Stretches) -> _Envelope:
        step, spans, clip = round(STEP_SECONDS * rate), stretches.spans, stretches.clip
        end, longest = np.zeros(len(waveforms)), np.zeros(len(waveforms))
        np.maximum.at(end, clip, spans[:, 1])
        np.maximum.at(longest, clip, spans[:, 1] - spans[:, 0])
        n = np.array([max(1, -(-len(waveform) // step)) for waveform in waveforms])
        n = np.maximum(n, np.ceil(end / STEP_SECONDS).astype(np.int64))
        stop = np.cumsum(n)
        first = stop - n
        padded = np.zeros(int(n.sum()) * step, dtype=np.float32)
        for begin, waveform in zip((first * step).tolist(), waveforms, strict=True):
            padded[begin : begin + len(waveform)] = waveform
        steps = padded.reshape(-1, step)
        squares = np.einsum("ij,ij->i", steps, steps) / np.float32(step)
        floored = np.maximum(_db(squares), -80)
        before = np.maximum(np.arange(len(floored)) - 2, np.repeat(first, n))
        rise = np.maximum(floored - floored[before], 0)
        wide = np.maximum(1, np.rint(longest / STEP_SECONDS).astype(np.int64))[clip]
        within = np.minimum((spans[:, 0] / STEP_SECONDS + 1e-6).astype(np.int64), n[clip] - 1)
        at = within[:, None] + np.minimum(np.arange(int(wide.max())), wide[:, None] - 1)
        at = first[clip][:, None] + np.minimum(at, n[clip][:, None] - 1)
        return cls(squares, np.sqrt(squares), rise, first, stop, at, wide, clip)


def _tell_envelope(found: Floats, envelope: _Envelope) -> None:
    """Level, onset, attack, AM and tempo."""
    at, rows = envelope.at, np.arange(len(envelope.at))
    own = np.arange(at.shape[1]) < envelope.wide[:, None]
    found[:, PLACE["level"]] = _db((envelope.squares[at] * own).sum(axis=1) / envelope.wide)
    found[:, PLACE["onset"]] = envelope.rise[at].max(axis=1)
    peak = at[rows, envelope.root[at].argmax(axis=1)]
    found[:, PLACE["attack"]] = _attack(envelope, peak)
    found[:, PLACE["am rate"]], found[:, PLACE["am depth"]] = _modulation(envelope, at[rows, envelope.wide // 2])
    of_clips = zip(envelope.first.tolist(), envelope.stop.tolist(), strict=True)
    found[:, PLACE["tempo"]] = np.array([_tempo(envelope.rise[first:stop]) for first, stop in of_clips])[envelope.clip]


def _attack(envelope: _Envelope, peak: IntArray) -> FloatArray:
    """Seconds from the last time below a tenth of the peak to the last below nine; at most half a second."""
    at, first = peak[:, None] + np.arange(-_LOOK_BACK, 1), envelope.first[envelope.clip][:, None]
    before = np.where(at >= first, envelope.root[np.maximum(at, first)], 0)
    top = envelope.root[peak][:, None]
    ends = [_LOOK_BACK - (before < share * top)[:, ::-1].argmax(axis=1) for share in (0.1, 0.9)]
    started = (before < 0.1 * top).any(axis=1)
    return np.where(started, (ends[1] - ends[0] + 1) * STEP_SECONDS, _LOOK_BACK * STEP_SECONDS)


def _modulation(envelope: _Envelope, middle: IntArray) -> tuple[FloatArray, FloatArray]:
    """Rate (Hz) and depth (share of the mean) of the strongest modulation at 2 to 32 Hz in 1.28 s around."""
    from scipy.fft import rfft

    first, stop = envelope.first[envelope.clip], envelope.stop[envelope.clip]
    begin = np.clip(middle - _AM_STEPS // 2, first, np.maximum(stop - _AM_STEPS, first))
    at = begin[:, None] + np.arange(_AM_STEPS)
    inside = at < stop[:, None]
    around = np.where(inside, envelope.root[np.minimum(at, stop[:, None] - 1)], 0)
    mean = around.sum(axis=1, keepdims=True) / inside.sum(axis=1, keepdims=True)
    power = np.abs(rfft(np.where(inside, around - mean, 0) * _AM_WINDOW, axis=1)[:, _AM_BINS])
    best = power.argmax(axis=1)
    depth = 2 * power[np.arange(len(best)), best] / (_AM_WINDOW.sum() * np.maximum(mean[:, 0], 1e-6))
    return _AM_BINS[best] / (_AM_STEPS * STEP_SECONDS), depth


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
