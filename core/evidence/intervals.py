"""How large an effect is: the lift of a class's rate and its odds ratio, with intervals.

The sampling unit is the clip, or the group (speaker, source) where clips come in groups. Rates are
ratios of two sums over units, so their logarithms are linearised (Woodruff 1971; Wolter 2007,
*Introduction to Variance Estimation*, section 6; for a ratio of two rates Katz et al. 1978), and a
unit that gives clips to several classes enters with all of them. A class of few units knows its own
variance badly: it counts for no less than what variance in proportion to the mean, as over all
classes (McCullagh and Nelder 1989, section 6.2), makes of it, in the manner of Smyth (2004). The
quantile is Student's t with the degrees of freedom of Satterthwaite (1946).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import t as student_t

from core.arrays.blocks import Matrix, neurons_at_once, slices
from core.results import FloatArray, IntArray, Mask

_PRIOR_UNITS = 4.0
"""Units that the variance over all classes is worth beside a class's own."""


def lift_intervals(
    positive_by_clip: Matrix,
    tokens: IntArray,
    members: Mask,
    pairs: tuple[IntArray, IntArray],
    groups: IntArray | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Lift and odds ratio of (class, neuron) pairs, each with an interval.

    Parameters
    ----------
    positive_by_clip : ndarray of int, shape (n_clips, n_neurons)
    tokens : ndarray of int, shape (n_clips,)
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip has.
    pairs : two ndarrays of int, each of shape (n_pairs,)
        Class index and flat neuron index.
    groups : ndarray of int, shape (n_clips,), optional
        Group of each clip, negative where none is known; by default each clip stands for itself.
    level : float
        Of the two-sided intervals.

    Returns
    -------
    DataFrame
        One row a pair, in order: ``class_index``, ``neuron_index``, ``rate`` (positive tokens over
        tokens), ``lift`` (rate over the mean rate of the other classes), ``lift_low``, ``lift_high``,
        ``odds_ratio``, ``odds_low``, ``odds_high``. A lift of 0 has an interval
        from 0 to what n units without any event allow; an infinite one begins where the others' silence
        allows. Intervals are NaN for a class of one unit and where both rates are 0; that of an odds ratio
        of 0 or infinity is NaN, too.

    Raises
    ------
    ValueError
        If a class has no token, or there are fewer than two classes.
    """
    design = _Design.of(np.asarray(tokens, dtype=np.float64), members, groups)
    class_index, neuron_index = (np.asarray(index, dtype=np.int64) for index in pairs)
    effects = np.full((7, len(class_index)), np.nan)
    order = np.argsort(neuron_index, kind="stable")
    neurons, first = np.unique(neuron_index[order], return_index=True)
    first = np.append(first, len(order))
    for at in slices(len(neurons), neurons_at_once(len(members), 2)):
        block = neurons[at]
        rows = order[first[at.start] : first[at.stop]]
        column = np.searchsorted(block, neuron_index[rows])
        moments = _Moments.of(design, np.asarray(positive_by_clip[:, block], dtype=np.float64))
        effects[:, rows] = _effects(design, moments, class_index[rows], column, level)
    names = ["rate", "lift", "lift_low", "lift_high", "odds_ratio", "odds_low", "odds_high"]
    columns = {"class_index": class_index, "neuron_index": neuron_index, **dict(zip(names, effects, strict=True))}
    return pd.DataFrame(columns)


def sampling_units(groups: IntArray | None, n_clips: int) -> IntArray:
    """Unit of each clip, from 0: its group, or itself where no group is known (None, negative)."""
    if groups is None:
        return np.arange(n_clips)
    own = -1 - np.arange(n_clips)
    units: IntArray = np.unique(np.where(np.asarray(groups) < 0, own, groups), return_inverse=True)[1]
    return units


@dataclass(frozen=True)
class _Design:
    """Clips in cells: what one unit has in one class. A clip of several classes is in several cells.

    ``cells`` (n_cells, n_clips), ``of_class`` (n_classes, n_cells) and ``of_unit`` (n_units, n_cells) are
    indicators; ``concentration`` is the sum of a class's squared shares of tokens, 1 / n for n equal units.
    """

    cells: csr_array
    of_class: csr_array
    of_unit: csr_array
    cell_class: IntArray
    cell_unit: IntArray
    cell_tokens: FloatArray
    class_tokens: FloatArray
    n_units: IntArray
    concentration: FloatArray

    @classmethod
    def of(cls, tokens: FloatArray, members: Mask, groups: IntArray | None) -> _Design:
        n_clips, n_classes = members.shape
        if n_classes < 2:
            raise ValueError(f"{n_classes} class(es); a lift needs at least 2")
        unit = sampling_units(groups, n_clips)
        clip, of_clip = np.nonzero(members & (tokens > 0)[:, None])
        cell, place = np.unique(unit[clip] * n_classes + of_clip, return_inverse=True)
        cell_unit, cell_class = np.divmod(cell, n_classes)
        cells = _indicator(place, clip, (len(cell), n_clips))
        every = np.arange(len(cell))
        of_class = _indicator(cell_class, every, (n_classes, len(cell)))
        cell_tokens = cells @ tokens
        class_tokens = of_class @ cell_tokens
        if (class_tokens <= 0).any():
            raise ValueError(f"class {int(np.argmax(class_tokens <= 0))} has no token; leave such classes out")
        return cls(
            cells=cells,
            of_class=of_class,
            of_unit=_indicator(cell_unit, every, (int(unit.max()) + 1, len(cell))),
            cell_class=cell_class,
            cell_unit=cell_unit,
            cell_tokens=cell_tokens,
            class_tokens=class_tokens,
            n_units=np.bincount(cell_class, minlength=n_classes),
            concentration=(of_class @ cell_tokens**2) / class_tokens**2,
        )


def _indicator(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


@dataclass(frozen=True)
class _Moments:
    """Of a block of neurons: rates, and sums of squares of what each unit adds to their error.

    ``rates``, ``own`` (variance of each rate), ``cross`` (its covariance with the sum of all rates) and
    ``extra`` (what a class of few units is to count beyond its own variance) are (n_classes, n_neurons);
    ``total`` (variance of the sum of all rates) and ``burst`` (mean square over mean of what a unit has in
    one class, as a rate: how much comes at once) are (n_neurons,).
    """

    rates: FloatArray
    own: FloatArray
    cross: FloatArray
    total: FloatArray
    burst: FloatArray
    extra: FloatArray

    @classmethod
    def of(cls, design: _Design, positive: FloatArray) -> _Moments:
        in_cell = design.cells @ positive
        rates = (design.of_class @ in_cell) / design.class_tokens[:, None]
        freedom = (design.n_units - 1.0)[:, None]
        # n / (n - 1) for each class, as its units' errors add up to 0.
        weight = np.sqrt(design.n_units / np.maximum(design.n_units - 1, 1)) / design.class_tokens
        error = in_cell - design.cell_tokens[:, None] * rates[design.cell_class]
        error *= weight[design.cell_class][:, None]
        by_unit = design.of_unit @ error
        own = design.of_class @ error**2
        at_mean = rates * design.concentration[:, None]
        fires = at_mean > 0
        ratio = np.divide(own, at_mean, where=fires, out=np.zeros_like(own))
        known = (freedom * fires).sum(axis=0)
        dispersion = np.divide((freedom * ratio).sum(axis=0), known, where=known > 0, out=np.full_like(known, np.nan))
        events, squares = in_cell.sum(axis=0), (in_cell**2 / design.cell_tokens[:, None]).sum(axis=0)
        share = _PRIOR_UNITS / (_PRIOR_UNITS + freedom)
        return cls(
            rates=rates,
            own=own,
            cross=design.of_class @ (error * by_unit[design.cell_unit]),
            total=(by_unit**2).sum(axis=0),
            burst=np.divide(squares, events, where=events > 0, out=np.full_like(events, np.nan)),
            extra=np.maximum(share * (dispersion * at_mean - own), 0.0),
        )


def _effects(design: _Design, moments: _Moments, k: IntArray, column: IntArray, level: float) -> FloatArray:
    """Rate, lift, odds ratio and their bounds for pairs of class ``k`` and a column of the block."""
    n_others = len(design.n_units) - 1
    rate = moments.rates[k, column]
    others = (moments.rates.sum(axis=0)[column] - rate) / n_others
    others[others < 1e-12] = 0.0  # dust of the subtraction
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lift = rate / others
        spread, own_spread, others_spread = _spreads(design, moments, k, column, 1 / rate, 1 / others, level)
        low, high = lift * np.exp(-spread), lift * np.exp(spread)
        # Rare events that come in bursts have a variance of burst * rate / n: with none in n units the rate is
        # at most t**2 * burst / n.
        most = student_t.ppf((1 + level) / 2, (design.n_units - 1).sum()) ** 2 * moments.burst[column]
        silent, alone = (rate == 0) & (others > 0), (rate > 0) & (others == 0)
        most_own = most * design.concentration[k]
        most_others = most * (design.concentration.sum() - design.concentration[k]) / n_others**2
        low = np.where(silent, 0.0, np.where(alone, rate * np.exp(-own_spread) / most_others, low))
        high = np.where(silent, most_own / others * np.exp(others_spread), np.where(alone, np.inf, high))
        odds = rate / (1 - rate) / (others / (1 - others))
        weights = 1 / (rate * (1 - rate)), 1 / (others * (1 - others))
        odds_spread = _spreads(design, moments, k, column, *weights, level)[0]
        odds_low, odds_high = odds * np.exp(-odds_spread), odds * np.exp(odds_spread)
    effects = np.stack([rate, lift, low, high, odds, odds_low, odds_high])
    effects[2:4, design.n_units[k] < 2] = np.nan
    effects[5:7, (design.n_units[k] < 2) | ~((odds > 0) & np.isfinite(odds))] = np.nan
    return effects


# More than six: asked with two pairs of derivatives of the same moments.
def _spreads(
    design: _Design,
    moments: _Moments,
    k: IntArray,
    column: IntArray,
    per_rate: FloatArray,
    per_others: FloatArray,
    level: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Half widths, on the log scale, of the whole, of the class's own part and of the others' part.

    ``per_rate`` and ``per_others`` are the derivatives by the class's rate and by the mean of the others.
    """
    a, b = per_rate, per_others / (len(design.n_units) - 1)
    own, extra, cross = (m[k, column] for m in (moments.own, moments.extra, moments.cross))
    both, total = moments.own + moments.extra, moments.total[column]
    freedom = np.maximum(design.n_units - 1.0, 1.0)
    extra_others = moments.extra.sum(axis=0)[column] - extra
    of_own = a**2 * (own + extra)
    of_others = np.maximum(b**2 * (total - 2 * cross + own + extra_others), 0.0)
    variance = np.maximum((a + b) ** 2 * own - 2 * (a + b) * b * cross + b**2 * total, 0.0)
    variance += a**2 * extra + b**2 * extra_others
    parts = both**2 / freedom[:, None]
    mine = parts[k, column]
    rest = b**4 * np.maximum(parts.sum(axis=0)[column] - mine, 0.0)
    quantile = (1 + level) / 2

    def half_width(var: FloatArray, uncertainty: FloatArray) -> FloatArray:
        # Satterthwaite's lie between the smallest class's and the sum of all.
        df = np.clip(var**2 / uncertainty, freedom.min(), freedom.sum())
        width: FloatArray = student_t.ppf(quantile, np.where(var > 0, df, 1.0)) * np.sqrt(var)
        return width

    return half_width(variance, a**4 * mine + rest), half_width(of_own, a**4 * mine), half_width(of_others, rest)
