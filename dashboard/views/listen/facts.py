"""What one clip says, given how a model's neurons answered to it; pure functions.

A neuron's percentile is that of the clip's mean activation among the clips of a dataset: 97 means that 97 % of
them drive the neuron less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HIGH = 95.0
"""Percentile above which a neuron counts as strongly driven."""
_EXACT_UP_TO = 400
_MIDDLE = 0.95
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def percentiles(means: NDArray[np.floating], levels: FloatArray, values: NDArray[np.floating]) -> FloatArray:
    """Place each neuron's mean activation among a dataset's clips.

    Parameters
    ----------
    means : ndarray, shape (n_neurons,)
        Of the clip.
    levels : ndarray, shape (n_levels,)
        Ascending shares of clips, in [0, 1].
    values : ndarray, shape (n_neurons, n_levels)
        The mean activations at these levels.

    Returns
    -------
    ndarray, shape (n_neurons,)
        In [0, 100], between levels linear; the middle of the levels where several have just this value. NaN where
        nothing is known.
    """
    x = np.asarray(means, dtype=np.float64)[:, None]
    values = np.asarray(values, dtype=np.float64)
    below, up_to = (values < x).sum(1), (values <= x).sum(1)
    rows, last = np.arange(len(values)), len(levels) - 1
    low, high = np.clip(below - 1, 0, last), np.clip(below, 0, last)
    start, width = values[rows, low], values[rows, high] - values[rows, low]
    part = np.divide(x[:, 0] - start, width, out=np.zeros(len(values)), where=width > 0)
    between = levels[low] + part * (levels[high] - levels[low])
    tied = (levels[high] + levels[np.clip(up_to - 1, 0, last)]) / 2
    shares = np.where(up_to > below, tied, between)
    shares = np.where(up_to == 0, 0.0, np.where(below == len(levels), 1.0, shares))
    shares[np.isnan(values).any(1) | np.isnan(x[:, 0])] = np.nan
    return 100 * shares


def pooled(parts: Sequence[FloatArray], n_clips: Sequence[int]) -> FloatArray:
    """Percentiles over several datasets as one: each counts by its clips."""
    return np.average(np.stack(parts), axis=0, weights=np.asarray(n_clips, dtype=float))


def beyond(means: NDArray[np.floating], levels: FloatArray, values: NDArray[np.floating]) -> FloatArray:
    """How far over a dataset's median a mean activation lies, in steps from the median to the 95th percentile.

    What ranks neurons whose percentile is 100. NaN where half of the clips or more have the same value as the
    upper ones, so that there is no such step.
    """
    known_values = np.asarray(values, dtype=np.float64)
    median, high = (at_level(levels, known_values, level) for level in (0.5, HIGH / 100))
    step = high - median
    known = step > 1e-6 * np.maximum(np.abs(median), 1e-6)
    return np.divide(np.asarray(means, dtype=np.float64) - median, step, out=np.full(len(step), np.nan), where=known)


def at_level(levels: FloatArray, values: FloatArray, level: float) -> FloatArray:
    """The value of each neuron at one level, between levels linear; shape (n_neurons,)."""
    right = int(np.clip(np.searchsorted(levels, level), 1, len(levels) - 1))
    part = (level - levels[right - 1]) / (levels[right] - levels[right - 1])
    interpolated: FloatArray = values[:, right - 1] * (1 - part) + values[:, right] * part
    return interpolated


def strongest(
    percentile: FloatArray, step: FloatArray, means: NDArray[np.floating], rates: NDArray[np.floating],
    layer_widths: Sequence[int], most: int,
) -> pd.DataFrame:  # fmt: skip
    """Rank neurons by percentile, ties by how far they lie beyond; without percentiles by positive rate.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``flat_index``, ``percentile``, ``beyond``, ``mean_activation``, ``activation_rate``.
    """
    layer = np.repeat(np.arange(len(layer_widths)), layer_widths)
    first = np.concatenate([[0], np.cumsum(layer_widths)])[layer]
    everyone = pd.DataFrame(
        {
            "layer": layer,
            "neuron": np.arange(len(layer)) - first,
            "flat_index": np.arange(len(layer)),
            "percentile": percentile,
            "beyond": step,
            "mean_activation": np.asarray(means, dtype=np.float64),
            "activation_rate": np.asarray(rates, dtype=np.float64),
        }
    )
    order = ["percentile", "beyond", "activation_rate"]
    return everyone.sort_values(order, ascending=False, na_position="last", kind="stable").head(most)


def with_classes(rows: pd.DataFrame, pairs: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """Add for each neuron the classes that it is specific for, the strongest first.

    Parameters
    ----------
    rows : DataFrame
        With ``flat_index``.
    pairs : DataFrame
        ``class_id``, ``flat_index``, ``lift``, ``q_value``.
    classes : DataFrame
        ``class_id``, ``task``, ``class_name``.

    Returns
    -------
    DataFrame
        With ``classes`` (list of texts such as ``rain (events)``), ``lift`` and ``q_value`` of the first of them.
    """
    own = pairs[pairs["flat_index"].isin(rows["flat_index"])].merge(classes, on="class_id")
    own = own.sort_values(["q_value", "lift"], ascending=[True, False], kind="stable")
    own["named"] = own["class_name"].astype(str) + " (" + own["task"].astype(str) + ")"
    by_neuron = own.groupby("flat_index", sort=False).agg(
        classes=("named", list), lift=("lift", "first"), q_value=("q_value", "first")
    )
    joined = rows.merge(by_neuron, left_on="flat_index", right_index=True, how="left")
    joined["classes"] = [names if isinstance(names, list) else [] for names in joined["classes"]]
    return joined


def spoken_for(
    high: BoolArray, layer_widths: Sequence[int], pairs: pd.DataFrame, classes: pd.DataFrame, fewest: int = 3
) -> pd.DataFrame:
    """For each class, how many of its class-specific neurons are strongly driven, beside a random set's.

    A random set has as many neurons in each layer. q is over the classes.

    Parameters
    ----------
    high : ndarray of bool, shape (n_neurons,)
        Which neurons are strongly driven.
    layer_widths : sequence of int
    pairs, classes : DataFrame
        As of `with_classes`.
    fewest : int
        Classes with fewer neurons are left out.

    Returns
    -------
    DataFrame
        ``task``, ``class_name``, ``n_neurons``, ``n_high``, ``share``, ``expected``, ``low``, ``high`` (shares of a
        random set: mean, 2.5 % and 97.5 %), ``p_value``, ``q_value``; the smallest p first.
    """
    edges = np.concatenate([[0], np.cumsum(layer_widths)])
    in_layer = np.array(layer_widths)
    n_high_in_layer = np.add.reduceat(high.astype(np.int64), edges[:-1])
    named = dict(zip(classes["class_id"], zip(classes["task"], classes["class_name"], strict=True), strict=True))
    rows = []
    for class_id, flat in pairs.groupby("class_id")["flat_index"]:
        neurons = flat.to_numpy()
        if len(neurons) < fewest or class_id not in named:
            continue
        drawn = np.histogram(neurons, edges)[0]
        n_high = int(high[neurons].sum())
        chance = random_set(in_layer, n_high_in_layer, drawn, n_high)
        n = len(neurons)
        rows.append((*named[class_id], n, n_high, n_high / n, *(value / n for value in chance[:3]), chance[3]))
    columns = ["task", "class_name", "n_neurons", "n_high", "share", "expected", "low", "high", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    table["q_value"] = false_discovery(table["p_value"].to_numpy(float))
    return table.sort_values(["p_value", "share"], ascending=[True, False], kind="stable", ignore_index=True)


def random_set(
    in_layer: NDArray[np.int64], marked: NDArray[np.int64], drawn: NDArray[np.int64], n_seen: int
) -> tuple[float, float, float, float]:
    """Marked neurons in a random set with ``drawn`` of each layer's ``in_layer``, ``marked`` of which are marked.

    Returns
    -------
    mean, low, high, p_value : float
        2.5 and 97.5 % quantiles; p: so many as ``n_seen`` or more. Exact for small sets (sum of hypergeometric
        counts), by the normal distribution with the exact variance for large ones.
    """
    layers = np.flatnonzero(drawn)
    mean = float((drawn[layers] * marked[layers] / in_layer[layers]).sum())
    if drawn.sum() <= _EXACT_UP_TO:
        chance = np.ones(1)
        for i in layers:
            chance = np.convolve(chance, hypergeometric(int(in_layer[i]), int(marked[i]), int(drawn[i])))
        up_to = np.cumsum(chance)
        low, high = (int(np.searchsorted(up_to, level)) for level in ((1 - _MIDDLE) / 2, (1 + _MIDDLE) / 2))
        return mean, low, min(high, len(chance) - 1), float(min(1.0, chance[n_seen:].sum()))
    n, share = in_layer[layers], marked[layers] / in_layer[layers]
    variance = (drawn[layers] * share * (1 - share) * (n - drawn[layers]) / np.maximum(n - 1, 1)).sum()
    spread = float(np.sqrt(variance))
    if spread == 0:
        return mean, mean, mean, 1.0
    reach = NormalDist().inv_cdf((1 + _MIDDLE) / 2) * spread
    p_value = math.erfc((n_seen - 0.5 - mean) / (spread * math.sqrt(2))) / 2  # to the far tail, unlike 1 - cdf
    return mean, max(mean - reach, 0.0), min(mean + reach, float(drawn.sum())), p_value


def hypergeometric(n: int, n_marked: int, n_drawn: int) -> FloatArray:
    """Probability of 0, 1, ... ``n_drawn`` marked ones among ``n_drawn`` of ``n``; shape (n_drawn + 1,)."""
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # logarithms

    def choose(of: int, k: NDArray[np.int64]) -> FloatArray:
        chosen: FloatArray = factorial[of] - factorial[k] - factorial[of - k]
        return chosen

    probabilities = np.zeros(n_drawn + 1)
    k = np.arange(max(0, n_drawn - (n - n_marked)), min(n_drawn, n_marked) + 1)
    every = choose(n, np.array([n_drawn]))
    probabilities[k] = np.exp(choose(n_marked, k) + choose(n - n_marked, n_drawn - k) - every)
    return probabilities


def false_discovery(p_values: FloatArray) -> FloatArray:
    """Benjamini and Hochberg's q."""
    n = len(p_values)
    order = np.argsort(-p_values)
    q = np.minimum.accumulate(p_values[order] * n / np.arange(n, 0, -1))
    q_values = np.empty(n)
    q_values[order] = q
    return q_values


def by_layer(high: BoolArray, rates: NDArray[np.floating], layer_widths: Sequence[int]) -> pd.DataFrame:
    """Of each layer: ``layer``, ``width``, ``n_high``, ``share_high`` (strongly driven), ``mean_rate``."""
    edges = np.concatenate([[0], np.cumsum(layer_widths)])[:-1]
    widths = np.array(layer_widths)
    n_high = np.add.reduceat(high.astype(np.int64), edges)
    rate = np.add.reduceat(np.asarray(rates, dtype=np.float64), edges) / widths
    return pd.DataFrame(
        {
            "layer": np.arange(len(widths)),
            "width": widths,
            "n_high": n_high,
            "share_high": n_high / widths,
            "mean_rate": rate,
        }
    )


def peak(pattern: NDArray[np.floating], column_seconds: float) -> float:
    """Seconds from the beginning to the middle of the column at which a neuron is strongest, mean over bands; NaN where
    it is nowhere active.
    """
    levels = np.maximum(np.asarray(pattern, dtype=np.float64), 0).mean(axis=0)
    return (int(levels.argmax()) + 0.5) * column_seconds if levels.max(initial=0.0) > 0 else math.nan


def over_time(
    patterns: Sequence[NDArray[np.floating]], names: Sequence[str], column_seconds: float, most: int
) -> pd.DataFrame:
    """Activations over time, one row of cells a neuron, each against its own peak.

    Parameters
    ----------
    patterns : sequence of ndarray, each (n_bands, n_columns)
    names : sequence of str
    column_seconds : float
    most : int
        Columns; more are averaged together.

    Returns
    -------
    DataFrame
        ``name``, ``start``, ``end`` (seconds), ``activation`` (mean over bands; below 0 counts as 0), ``strength``
        (of the row's peak, in [0, 1]).
    """
    rows = []
    for name, pattern in zip(names, patterns, strict=True):
        levels = np.maximum(np.asarray(pattern, dtype=np.float64), 0).mean(axis=0)
        together = -(-len(levels) // most)
        starts = np.arange(0, len(levels), together)
        levels = np.add.reduceat(levels, starts) / np.diff(np.append(starts, len(levels)))
        peak = levels.max(initial=0.0)
        ends = np.minimum(starts + together, pattern.shape[1]) * column_seconds
        rows.append(
            pd.DataFrame(
                {
                    "name": name,
                    "start": starts * column_seconds,
                    "end": ends,
                    "activation": levels,
                    "strength": levels / peak if peak > 0 else 0.0,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
