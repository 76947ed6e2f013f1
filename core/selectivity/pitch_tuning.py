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
            [(w @ counts[of]) / (w @ tokens[of])[:, None] for w, of in zip(weights, by_note, strict=True)]
        )
        rows.append(_table(block, np.moveaxis(curves, 0, -1), notes))
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
    n_draws, n = draws.shape
    interval = np.full((2, n), np.nan)
    n_known = n_draws - np.isnan(draws).sum(axis=0)
    enough = np.flatnonzero((2 * n_known >= n_draws) & (n_known > 0))
    in_order = np.sort(draws[:, enough], axis=0)  # what is not known comes last
    for row, share in zip(interval, (0.025, 0.975), strict=True):
        place = share * (n_known[enough] - 1)
        below = np.floor(place).astype(np.int64)
        low, high = (in_order[at, np.arange(len(enough))] for at in (below, np.ceil(place).astype(np.int64)))
        share_of_high = place - below
        step = high - low
        row[enough] = np.where(share_of_high < 0.5, low + step * share_of_high, high - step * (1 - share_of_high))
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
    shape, n_notes = curves.shape[:-1], len(notes)
    of_notes = np.moveaxis(curves, -1, 0).reshape(n_notes, -1)  # a note of all curves after the other: long loops
    excess = of_notes - of_notes.min(axis=0)
    best, peak = np.zeros(excess.shape[1], dtype=np.int64), excess[0].copy()
    for place in range(1, n_notes):
        np.copyto(best, place, where=excess[place] > peak)
        np.maximum(peak, excess[place], out=peak)
    over = np.maximum(excess - peak / 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        center = (notes @ over) / over.sum(axis=0)
    width = _fall(excess, best, peak, notes) + _fall(excess[::-1], n_notes - 1 - best, peak, -notes[::-1])
    measures = notes[best].astype(np.float64), center, width, _octave_equivalence(excess, best, notes)
    preferred, center, width, index = (values.reshape(shape) for values in measures)
    return preferred, center, width, index


def _fall(excess: FloatArray, best: IntArray, peak: FloatArray, notes: IntArray) -> FloatArray:
    """Semitones from the peak upwards to where the curve falls to half height; NaN where it does not."""
    half, outer = peak / 2, np.zeros(len(best), dtype=np.int64)
    for place in range(len(notes) - 1, 0, -1):
        np.copyto(outer, place, where=(excess[place] <= half) & (best < place))
    inner, every = np.maximum(outer - 1, 0), np.arange(len(best))
    low, high = excess[outer, every], excess[inner, every]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (high - half) / (high - low)
        crossing = notes[inner] + share * (notes[outer] - notes[inner])
    return np.where(outer > 0, crossing - notes[best], np.nan)


def _octave_equivalence(excess: FloatArray, best: IntArray, notes: IntArray) -> FloatArray:
    """Contrast of octaves with their neighbours a tritone away, around the note at position ``best``."""
    position = {note: place for place, note in enumerate(notes.tolist())}
    at, beside = np.zeros(len(best)), np.zeros(len(best))
    for place, note in enumerate(notes.tolist()):
        of = np.flatnonzero(best == place)
        for octave in _OCTAVES:
            steps = (note + octave + step for step in (-_TRITONE, 0, _TRITONE))
            played = [position[step] for step in steps if step in position]
            if len(played) == 3:
                lower, own, upper = (excess[i, of] for i in played)
                at[of] += own
                beside[of] += (lower + upper) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return (at - beside) / (at + beside)
