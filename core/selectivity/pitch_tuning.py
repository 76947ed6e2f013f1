"""What a neuron prefers in an ordered attribute: pitch.

The tuning curve is a neuron's activation probability at each MIDI note. On the semitone axis equal
steps are equal ratios of frequency.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.arrays.blocks import Matrix, neurons_at_once, slices
from core.results import FloatArray, IntArray

_OCTAVES, _TRITONE = (-24, -12, 12, 24), 6
_MEASURES = ("preferred_pitch", "center", "bandwidth_semitones", "octave_equivalence_index")
_SHORT = ("preferred", "center", "bandwidth", "oei")


def pitch_tuning(
    positive: Matrix,
    tokens: IntArray,
    pitches: IntArray,
    neurons: IntArray | None = None,
    n_draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Preferred pitch, bandwidth and octave equivalence of neurons, with intervals.

    Parameters
    ----------
    positive : ndarray of int, shape (n_clips, n_neurons)
        Tokens with the event, of the selection clips.
    tokens, pitches : ndarray of int, shape (n_clips,)
        Counted tokens, and MIDI note (C4 = 60), of each clip.
    neurons : ndarray of int, optional
        Flat indices to look at; all by default.
    n_draws : int
        Bootstrap draws: clips are drawn anew within each note.
    seed : int

    Returns
    -------
    DataFrame
        One row a neuron that fires: ``neuron_index``; ``peak_rate``, the highest activation probability of a
        note, and ``floor_rate``, the lowest; ``preferred_pitch``, the note with the highest (of several the
        lowest); ``center``, the mean note (MIDI), weighted by what exceeds half height; ``bandwidth_semitones``,
        the width around the preferred note within which the curve, drawn straight between notes, stays over
        half height, that is half way from ``floor_rate`` to ``peak_rate`` (NaN where it does not fall so low
        on both sides within the notes there are); ``octave_equivalence_index``. Then the 95 % intervals
        of these four: ``preferred_low``, ``preferred_high``, ``center_low``, ``center_high``, ``bandwidth_low``,
        ``bandwidth_high``, ``oei_low``, ``oei_high``; percentiles of the draws, for the bandwidth reflected at it
        (Davison and Hinkley 1997, section 5.2); NaN where under half of the draws have a value.

    Notes
    -----
    The octave equivalence index is this project's own. Of the notes one and two octaves from the preferred one,
    those count whose two neighbours a tritone away were played too. With excess e over ``floor_rate`` it is the
    sum of e at them minus the sum of the neighbours' mean e, over the sum of both: 1 = answers at the octaves
    and not between, 0 = no difference, as in a curve that falls in a straight line, -1 = only between. A curve
    that just falls off lies at or under 0. NaN where nothing exceeds the floor there.
    """
    chosen = np.arange(positive.shape[1]) if neurons is None else np.asarray(neurons)
    notes, note_of = np.unique(pitches, return_inverse=True)
    by_note = [np.flatnonzero(note_of == i) for i in range(len(notes))]
    rng = np.random.default_rng(seed)
    weights = [_weights(rng, len(of), n_draws) for of in by_note]
    rows = []
    for at in slices(len(chosen), neurons_at_once(len(pitches))):
        block = chosen[at]
        counts = positive[:, block].astype(np.float64)
        curves = np.stack(
            [(w @ counts[of]) / (w @ tokens[of])[:, None] for w, of in zip(weights, by_note, strict=True)], axis=-1
        )
        rows.append(_table(block, curves, notes))
    tuning = pd.concat(rows, ignore_index=True) if rows else _table(chosen, np.zeros((1, 0, len(notes))), notes)
    return tuning[tuning["peak_rate"] > 0].reset_index(drop=True)


def _weights(rng: np.random.Generator, n_clips: int, n_draws: int) -> NDArray[np.uint16]:
    """How often each clip counts, (1 + n_draws, n_clips): once, then in each bootstrap draw."""
    weights = np.ones((1 + n_draws, n_clips), dtype=np.uint16)  # a draw of 65,536 times the same clip does not happen
    for draw in weights[1:]:
        draw[:] = rng.multinomial(n_clips, np.full(n_clips, 1 / n_clips))
    return weights


def _table(neurons: IntArray, curves: FloatArray, notes: IntArray) -> pd.DataFrame:
    """Measures of the first of the curves (n_draws, n_neurons, n_notes), and their intervals over the others."""
    values = dict(zip(_MEASURES, describe(curves, notes), strict=True))
    columns = {"neuron_index": neurons, "peak_rate": curves[0].max(axis=-1), "floor_rate": curves[0].min(axis=-1)}
    columns |= {name: of[0] for name, of in values.items()}
    for short, of in zip(_SHORT, values.values(), strict=True):
        columns[f"{short}_low"], columns[f"{short}_high"] = _interval(of[1:])
    # Peak and floor are extremes, so draws are wider than the curve by as much as the curve than the truth.
    low, high, width = columns["bandwidth_low"], columns["bandwidth_high"], columns["bandwidth_semitones"]
    columns["bandwidth_low"], columns["bandwidth_high"] = np.maximum(2 * width - high, 0), 2 * width - low
    return pd.DataFrame(columns)


def _interval(draws: FloatArray) -> FloatArray:
    """2.5th and 97.5th percentile of each column, (2, n); NaN where under half of the draws are known."""
    known = np.mean(~np.isnan(draws), axis=0) if len(draws) else np.zeros(draws.shape[1])
    interval = np.full((2, draws.shape[1]), np.nan)
    enough = (known >= 0.5) & (known > 0)
    if enough.any():
        interval[:, enough] = np.nanquantile(draws[:, enough], [0.025, 0.975], axis=0)
    return interval


def describe(curves: FloatArray, notes: IntArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Preferred pitch, centre, bandwidth and octave equivalence index, as `pitch_tuning` defines them.

    Parameters
    ----------
    curves : ndarray, shape (..., n_notes)
        Activation probabilities.
    notes : ndarray of int, shape (n_notes,)
        MIDI notes, rising.

    Returns
    -------
    four ndarrays of float, shape (...)
    """
    excess = curves - curves.min(axis=-1, keepdims=True)
    best = excess.argmax(axis=-1)
    peak = np.take_along_axis(excess, best[..., None], axis=-1)
    over = np.maximum(excess - peak / 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        center = (over @ notes) / over.sum(axis=-1)
    width = _fall(excess, best, notes) + _fall(excess[..., ::-1], len(notes) - 1 - best, -notes[::-1])
    return notes[best].astype(np.float64), center, width, _octave_equivalence(excess, best, notes)


def _fall(excess: FloatArray, best: IntArray, notes: IntArray) -> FloatArray:
    """Semitones from the peak upwards to where the curve falls to half height; NaN where it does not."""
    half = np.take_along_axis(excess, best[..., None], axis=-1) / 2
    below = (excess <= half) & (np.arange(len(notes)) > best[..., None])
    end = below.argmax(axis=-1)
    falls = below.any(axis=-1)
    outer, inner = end[..., None], np.maximum(end - 1, 0)[..., None]
    low, high = (np.take_along_axis(excess, i, axis=-1)[..., 0] for i in (outer, inner))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (high - half[..., 0]) / (high - low)
        crossing = notes[inner[..., 0]] + share * (notes[outer[..., 0]] - notes[inner[..., 0]])
    return np.where(falls, crossing - notes[best], np.nan)


def _octave_equivalence(excess: FloatArray, best: IntArray, notes: IntArray) -> FloatArray:
    """Contrast of octaves with their neighbours a tritone away, around the note at position ``best``."""
    # Notes that were not played are NaN in a table from two octaves and a tritone below the lowest on.
    margin = max(_OCTAVES) + _TRITONE
    table = np.full((*excess.shape[:-1], int(notes[-1] - notes[0]) + 1 + 2 * margin), np.nan)
    table[..., notes - notes[0] + margin] = excess
    place = (notes[best] - notes[0] + margin)[..., None]
    at, beside = np.zeros(best.shape), np.zeros(best.shape)
    for octave in _OCTAVES:
        three = np.take_along_axis(table, place + octave + np.array([-_TRITONE, 0, _TRITONE]), axis=-1)
        played = ~np.isnan(three).any(axis=-1)
        at += np.where(played, three[..., 1], 0)
        beside += np.where(played, (three[..., 0] + three[..., 2]) / 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (at - beside) / (at + beside)
