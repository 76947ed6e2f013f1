"""Counts beside their null, and the order of classes in groups; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text.numbers import spread

NULL_LIMIT = 0.975


def beside_null(counts: pd.DataFrame, null_mean: float, null_high: float) -> pd.DataFrame:
    """Set each cell's count against what shuffled labels give there.

    The null is known for the whole model and all classes: its pairs are spread evenly over the neurons and the
    classes. A cell stands where its count is beyond the 97.5th percentile of a Poisson count whose mean is the cell's
    part of the null's own 97.5th percentile: a cell varies more than the total does.

    Parameters
    ----------
    counts : DataFrame
        ``n_neurons`` and ``expected_null`` (the cell's part of ``null_mean``).
    null_mean, null_high : float
        Mean and 97.5th percentile of the pairs found on shuffled labels; NaN without shuffles.

    Returns
    -------
    DataFrame
        With ``above`` (count - expected), ``limit`` (the largest count that the null gives) and ``stands``; all
        NaN and False where there is no null.
    """
    high = null_high if np.isfinite(null_high) else null_mean
    part = high / null_mean if null_mean > 0 else 0.0
    expected = counts["expected_null"].astype(float)
    limit = _poisson_limit(np.asarray(expected * part, dtype=np.float64))
    above = counts["n_neurons"] - expected
    return counts.assign(above=above, limit=limit, stands=counts["n_neurons"] > limit)


def _poisson_limit(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest count that at least 97.5 % of Poisson counts of each mean do not exceed; NaN stays NaN."""
    distinct, place = np.unique(means, return_inverse=True)
    limits = np.full(len(distinct), np.nan)
    for i, mean in enumerate(distinct):
        if np.isfinite(mean):
            counts = np.arange(1, int(mean + 6 * np.sqrt(mean)) + 9)
            logs = np.concatenate([[0.0], np.cumsum(np.log(max(mean, 1e-300) / counts))]) - mean
            limits[i] = np.searchsorted(np.exp(logs).cumsum(), NULL_LIMIT)
    return limits[place]


def sentence(row: Mapping[Any, Any], stands: pd.Series) -> str:
    """Tell a selection in two sentences of Markdown, its null beside it.

    Parameters
    ----------
    row : mapping
        A row of the view ``task_coverage``.
    stands : Series of bool
        Which cells are beyond the null.
    """
    n = int(row["n_class_specific"])
    count_text = f"**{n:,}** {'neuron is' if n == 1 else 'neurons are'} class-specific"
    if pd.isna(row["null_n_class_specific_mean"]):
        return f"{count_text}; no shuffled-label null was computed, so the count says little."
    low, high = row["null_coverage_low"], row["null_coverage_high"]
    return (
        f"{count_text}; shuffled labels give {row['null_n_class_specific_mean']:,.1f} on average. They cover "
        f"**{row['coverage']:.0%}** of {int(row['n_classes'])} classes, shuffled labels {spread(low, high, '.0%')}. "
        f"**{int(stands.sum()):,}** of {len(stands):,} cells are above the permutation null."
    )
