"""The same selections and entropies after dealing the labels anew, many times.

Percentiles pick neurons from noise too, so no selection stands without this beside it: not at the
settings of the run, nor at any other point of its curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
import pandas as pd
from scipy.special import gammaincc

from core.arrays.blocks import in_blocks, mapping
from core.arrays.neurons import layer_starts
from core.evidence.curves import COLUMNS, Grid, Labels, band
from core.evidence.fdr import benjamini_hochberg
from core.evidence.permutation import ClipCounts, Moments, significant_pairs
from core.evidence.tails import pearson3_upper_tail
from core.results import FloatArray, IntArray, Mask, NullSummary
from core.selectivity.presets import SelectionSettings, entropy, lift

_ENOUGH = 10
"""So many shuffles as low, and their share is p; with fewer a fitted tail is."""
_TO_FIT = 50
"""Fewer shuffles than these are too few to fit a tail to: their share is p."""
_OF_CURVE = 50
"""Shuffles that feed the curves; the setting's own point has them all."""
_AT_ONCE, _AT_ONCE_READ = 4, 8
"""Shuffles whose class sums are one matrix product; where the counts are too large to be held, one reading."""


@dataclass(frozen=True)
class Null:
    """What shuffles gave.

    Attributes
    ----------
    summaries : list of NullSummary or None
        One for each of the settings; None without shuffles.
    layers : list of ndarray of float, each (n_shuffles, n_layers, 2)
        Class-specific neurons and classes with one, layer by layer (`of_layers`), for each of the settings.
    curve : DataFrame
        See `core.results.TaskScores`.
    entropy_p, entropy_q : ndarray of float, shape (n_neurons,)
    """

    summaries: list[NullSummary | None]
    layers: list[FloatArray]
    curve: pd.DataFrame
    entropy_p: FloatArray
    entropy_q: FloatArray


def shuffled_null(
    counts: ClipCounts,
    members: Mask,
    settings: Sequence[SelectionSettings],
    n_shuffles: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Null:
    """Selections, curves and entropies on shuffled labels.

    A unit's labels are dealt together, so that classes that go together still do, and only within
    its stratum (`core.evidence.exchange`).

    Parameters
    ----------
    counts : ClipCounts
        Of the selection clips.
    members : ndarray of bool, shape (n_units, n_classes)
        Which classes each unit has.
    settings : sequence of SelectionSettings
        Each gets its own summary from the same shuffles.
    n_shuffles : int
        0 gives no summaries, a curve without its null, and p and q NaN.
    seed : int
    progress : callable, optional
        Called with the number of shuffles done.
    """
    observed = _Point.of(*counts.by_class(members))
    grids = [Grid.of(setting) for setting in settings]
    own_points = [Grid.of(setting, whole=False) for setting in settings]
    curve: list[list[FloatArray]] = [[] for _ in settings]
    null_points: list[list[FloatArray]] = [[] for _ in settings]
    null_layers: list[list[FloatArray]] = [[] for _ in settings]
    tally = _EntropyTally(observed)
    moments = Moments.of(counts, members)

    def select(setting: SelectionSettings, grid: Grid | None, dealt: Mask, point: _Point) -> tuple[FloatArray, ...]:
        if grid:
            return grid.points(point.labels), of_layers(*grid.pairs(point.labels), counts.layer_widths)
        pairs = _large(point, significant_pairs(counts, moments, point.positive, dealt, setting.q_max), setting)
        return _summed(*pairs, len(point.positive)), of_layers(*pairs, counts.layer_widths)

    with mapping(len(observed.entropies)) as map_over:
        for n_done, (dealt, point) in enumerate(_deals(counts, members, n_shuffles, seed), start=1):
            tally.add(point.entropies)
            at = grids if n_done <= _OF_CURVE else own_points
            selected = list(map_over(select, settings, at, repeat(dealt), repeat(point)))
            for i, (grid, (points, layers)) in enumerate(zip(at, selected, strict=True)):
                null_points[i].append(points[grid.own] if grid else points)
                null_layers[i].append(layers)
                if n_done <= _OF_CURVE:
                    curve[i].append(points)
            if progress:
                progress(n_done)
    own = [np.array(rows) for rows in null_points]
    entropy_p = tally.p(counts.sparse.neuron, counts.sparse.all_in_one(moments.drawn, counts.exchange))
    return Null(
        [_summary(rows, counts.exchange.description) if n_shuffles else None for rows in own],
        [np.array(rows).reshape(n_shuffles, len(counts.layer_widths), 2) for rows in null_layers],
        _curves(grids, curve, observed, members.shape[1]),
        entropy_p,
        benjamini_hochberg(entropy_p),
    )


def _curves(
    grids: Sequence[Grid | None], null: Sequence[Sequence[FloatArray]], observed: _Point, n_classes: int
) -> pd.DataFrame:
    """Coverage over the settings of each grid, beside the same on shuffled labels."""
    curves = [
        grid.curve(n_classes, grid.points(observed.labels), np.array(of_null))
        for grid, of_null in zip(grids, null, strict=True)
        if grid
    ]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=list(COLUMNS))


@dataclass(frozen=True)
class _Point:
    """One way of dealing the labels; matrices (n_classes, n_neurons), entropies (n_neurons,)."""

    positive: FloatArray
    probabilities: FloatArray
    entropies: FloatArray

    @cached_property
    def labels(self) -> Labels:
        """What grids ask of it."""
        return Labels(self.probabilities, self.entropies)

    @classmethod
    def of(cls, positive: FloatArray, tokens: FloatArray) -> _Point:
        probabilities, entropies = np.empty(positive.shape), np.empty(positive.shape[1])

        def fill(block: slice) -> None:
            np.divide(positive[:, block], tokens[:, None], out=probabilities[:, block])
            entropies[block] = entropy(probabilities[:, block])

        in_blocks(len(entropies), fill)
        return cls(positive, probabilities, entropies)


def _deals(counts: ClipCounts, members: Mask, n_shuffles: int, seed: int) -> Iterator[tuple[Mask, _Point]]:
    """Dealt members, and what they give; the class sums of several are one matrix product."""
    rng = np.random.default_rng(seed)
    n_classes = members.shape[1]
    at_once = _AT_ONCE if counts.units.held is not None else _AT_ONCE_READ
    for start in range(0, n_shuffles, at_once):
        deals = [counts.exchange.deal(rng) for _ in range(min(at_once, n_shuffles - start))]
        positive, tokens = counts.by_class(members, deals)
        for i, deal in enumerate(deals):
            rows = slice(i * n_classes, (i + 1) * n_classes)
            yield members[deal], _Point.of(positive[rows], tokens[rows])


def of_layers(class_index: IntArray, neuron: IntArray, layer_widths: Sequence[int]) -> FloatArray:
    """Class-specific neurons and classes that have one, layer by layer, (n_layers, 2); by class and neuron of pairs."""
    n_layers, starts = len(layer_widths), layer_starts(layer_widths)

    def layers(neurons: IntArray) -> IntArray:
        return np.searchsorted(starts, neurons, side="right") - 1

    of_class = np.unique(np.stack([layers(neuron), class_index]), axis=1)[0]
    counted = [np.bincount(each, minlength=n_layers) for each in (layers(np.unique(neuron)), of_class)]
    return np.stack(counted, axis=1).astype(float)


def _large(point: _Point, pairs: tuple[IntArray, IntArray], settings: SelectionSettings) -> tuple[IntArray, IntArray]:
    """Of significant pairs those that are large enough."""
    class_index, neuron = pairs
    at, place = np.unique(neuron, return_inverse=True)
    of_neurons = point.probabilities[:, at]
    large = (of_neurons >= settings.rate_min) & (lift(of_neurons) >= settings.lift_min)
    kept = large[class_index, place]
    return class_index[kept], neuron[kept]


def _summed(class_index: IntArray, neuron: IntArray, n_classes: int) -> FloatArray:
    """Share of classes covered, neurons and pairs."""
    return np.array([len(np.unique(class_index)) / n_classes, len(np.unique(neuron)), len(neuron)], dtype=float)


class _EntropyTally:
    """How low entropies come by chance: counts and three moments over shuffles, no matrix of them all."""

    def __init__(self, observed: _Point) -> None:
        self.most = np.log(len(observed.probabilities))
        self.observed = observed.entropies
        self.n = 0
        self.as_low, self.sum, self.squares, self.cubes = (np.zeros(self.observed.shape) for _ in range(4))

    def add(self, entropies: FloatArray) -> None:
        """One more shuffle."""
        self.n += 1
        below = self.most - entropies
        self.as_low += entropies <= self.observed + 1e-12
        self.sum += below
        self.squares += below**2
        self.cubes += below**3

    def p(self, sparse: IntArray, least: FloatArray) -> FloatArray:
        """Chance of an entropy as low, (n_neurons,); NaN for a neuron that never fires, or without shuffles.

        Their share of the shuffles, (b + 1) / (n + 1), where enough are as low; else the larger of two
        fitted tails of ln K - H: a gamma variable from 0 with its mean and variance (it is near a
        chi-squared one where all classes fire) and a Pearson type III with its skewness too (which knows
        the lumps of a neuron that fires in few clips). ``least`` is the chance that all units in which each
        neuron of ``sparse`` fires fall to one class: nothing is rarer.
        """
        dead = np.isnan(self.observed)
        if self.n == 0:
            return np.full(self.observed.shape, np.nan)
        p = (self.as_low + 1) / (self.n + 1)
        if self.n >= _TO_FIT:
            mean = self.sum / self.n
            variance = self.squares / self.n - mean**2
            fit = (self.as_low < _ENOUGH) & (variance > 1e-9 * mean**2) & ~dead
            mean, variance, below = mean[fit], variance[fit], self.most - self.observed[fit]
            third = self.cubes[fit] / self.n - mean * (3 * variance + mean**2)
            p[fit] = np.maximum(
                gammaincc(mean**2 / variance, below * mean / variance),
                pearson3_upper_tail((below - mean) / np.sqrt(variance), third / variance**1.5),
            )
        p[sparse] = np.maximum(p[sparse], least)
        return np.where(dead, np.nan, p)


def _summary(rows: FloatArray, shuffled: str) -> NullSummary:
    """From coverage, neurons and pairs of every shuffle, (n_shuffles, 3)."""
    coverage, neurons, pairs = band(rows).T.tolist()
    return NullSummary(
        n_shuffles=len(rows),
        coverage_mean=coverage[0],
        coverage_low=coverage[1],
        coverage_high=coverage[2],
        n_class_specific_mean=neurons[0],
        n_pairs_mean=pairs[0],
        n_class_specific_low=neurons[1],
        n_class_specific_high=neurons[2],
        n_pairs_low=pairs[1],
        n_pairs_high=pairs[2],
        shuffled=shuffled,
    )
