"""Counts beside their null, and the order of classes in groups; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.pages.heatmap.picture import category_colours
from dashboard.shared.charts.common import class_order

NULL_LIMIT = 0.975


@dataclass(frozen=True)
class Order:
    """Classes in the order they are drawn, and which group each belongs to.

    ``attribute`` is empty, and so is ``group_of``, where no attribute of the dataset groups the classes.
    """

    classes: tuple[str, ...]
    attribute: str = ""
    group_of: Mapping[str, str] | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups in the order they are drawn."""
        return tuple(
            dict.fromkeys((self.group_of or {}).get(name, "") for name in self.classes) if self.group_of else ()
        )


def in_groups(classes: Sequence[str], groups: pd.DataFrame, attribute: str | None) -> Order:
    """Order classes by group and, in each, as they come.

    Parameters
    ----------
    classes : sequence of str
    groups : DataFrame
        ``attribute``, ``class_name``, ``group_name``.
    attribute : str or None
        Which grouping; None for none.
    """
    chosen = groups[groups["attribute"] == attribute]
    group_of = dict(zip(chosen["class_name"].astype(str), chosen["group_name"].astype(str), strict=True))
    if not set(classes) <= set(group_of):
        return Order(tuple(classes))
    names = class_order(group_of[name] for name in classes)
    ordered = sorted(classes, key=lambda name: names.index(group_of[name]))  # stable: as they come within a group
    return Order(tuple(ordered), str(attribute), {name: group_of[name] for name in ordered})


def colours(order: Order) -> tuple[str, ...]:
    """Return a colour for each class: its group's, or its own where there are no groups."""
    if order.group_of is None:
        return tuple(category_colours(len(order.classes)))
    of_group = dict(zip(order.groups, category_colours(len(order.groups)), strict=True))
    return tuple(of_group[order.group_of[name]] for name in order.classes)


def groupings(groups: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the attributes that group the classes, first those that leave them in their order."""
    found = [str(name) for name in dict.fromkeys(groups["attribute"])]
    return sorted(found, key=lambda name: in_groups(classes, groups, name).classes != tuple(classes))


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
    found = f"**{int(row['n_class_specific']):,}** neurons are class-specific"
    if pd.isna(row["null_n_class_specific_mean"]):
        return f"{found}; no shuffled-label null was computed, so the count says little."
    low, high = row["null_coverage_low"], row["null_coverage_high"]
    return (
        f"{found}; shuffled labels give {row['null_n_class_specific_mean']:,.1f} on average. They cover "
        f"**{row['coverage']:.0%}** of {int(row['n_classes'])} classes, shuffled labels {low:.0%} to {high:.0%}. "
        f"**{int(stands.sum()):,}** of {len(stands):,} cells hold more than the null gives."
    )
