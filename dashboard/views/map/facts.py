"""What the map's page tells in words, and which units it lists; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.text.facts import Q_LIMIT, in_words
from dashboard.shared.text.numbers import counted, number
from dashboard.shared.text.words import listed, plain

AREA = 1000
"""An area's corners are in thousandths of the map's side."""
MOST_CORNERS = 64
MOST_LISTED = 1_000
NEAREST = 100
"""Units that are listed around a chosen one."""
Corners = tuple[tuple[int, int], ...]


def trust(facts: Mapping[Any, Any]) -> str:
    """Say in Markdown what nearness means here, and how far it holds.

    Parameters
    ----------
    facts : mapping
        A row of the view ``unit_maps``.
    """
    names = listed([str(name) for name in facts["datasets"].split(", ")])
    text = (
        f"Near means **alike responses**, far means little. Trustworthiness **{facts['trustworthiness']:.2f}** of 1 "
        f"(places dealt anew {facts['trustworthiness_chance']:.2f}): {facts['method']} over "
        f"{counted(int(facts['n_clips']), 'clip')} of {names}."
    )
    n_without = int(facts["n_units"] - facts["n_placed"])
    return (
        text if not n_without else f"{text} {counted(n_without, 'unit')} never varied and {_has(n_without)} no place."
    )


def _has(n: int) -> str:
    return "has" if n == 1 else "have"


def task_sentence(n_specific: int, coverage: pd.DataFrame, preset: str) -> str:
    """Say how many units are specific in any task, beside what shuffled labels give over all tasks.

    Parameters
    ----------
    n_specific : int
        Units that are specific for some class of some task.
    coverage : DataFrame
        Rows of ``task_coverage`` of one model and preset.
    """
    text = f"By {preset}, {counted(n_specific, 'unit')} {_is(n_specific)} specific for a class of some task"
    null = coverage["null_n_class_specific_mean"]
    if null.isna().any():
        return f"{text}; how many shuffled labels give was not computed for all tasks."
    return (
        f"{text}; shuffled labels give at most {number(float(null.sum()), ',.1f')}, summed over "
        f"{counted(len(coverage), 'task')}. The colour is the task of the lowest p."
    )


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def selectivity_sentence(units: pd.DataFrame, task: str) -> str:
    """Say how many units are more selective than shuffled labels make them."""
    q = units["entropy_q_value"]
    if q.isna().all():
        return f"Whether shuffled labels give such entropies was not computed for {plain(task)}."
    n = int((q < Q_LIMIT).sum())
    return (
        f"1 − entropy / ln(classes) in {plain(task)}: 100% answers to one class alone. {counted(n, 'unit')} "
        f"{_is(n)} below the entropy that shuffled labels give (q < {Q_LIMIT}); the others are grey."
    )


def effect_sentence(units: pd.DataFrame, task: str) -> str:
    """Say for how many units the estimated effect is not 0, and how many would be by chance."""
    known = units[units["attribution"].notna()]
    if known.empty:
        return f"No effect was estimated for {plain(task)}."
    n = int((known["attribution"].abs() > 1.959963984540054 * known["standard_error"]).sum())
    return (
        f"Attribution: margin that the unit’s class in {plain(task)} is estimated to lose without it (orange), or gain "
        f"(blue). Of {counted(len(known), 'unit')} {n:,} have a 95 % interval without 0; some {len(known) / 20:,.0f} "
        "would where nothing is there."
    )


def words_sentence(units: pd.DataFrame, dataset: str) -> str:
    """Say how many units have a description that is worth something, beside what would be by chance."""
    known = units[units["predicts"].notna()]
    if known.empty:
        return f"No unit is described over {plain(dataset)}."
    n = int((known["beats_null"] == 1).sum())
    return (
        f"Of {counted(len(units), 'unit')} {len(known):,} have a description over {plain(dataset)}, and {n:,} of these "
        f"predict better than other units’ descriptions; by chance 1 in 40 would. The colour is the first term, of "
        "those that do."
    )


def sentences(said: pd.DataFrame) -> list[str]:
    """Tell each unit in words, as `dashboard.shared.text.facts.in_words` does.

    Parameters
    ----------
    said : DataFrame
        Of `db.reads.descriptions.best`.
    """
    names = ["description", "author", "correlation", "null_correlation_high", "beats_null"]
    rows = zip(*(said[name].tolist() for name in names), strict=True)
    return [in_words(dict(zip(names, row, strict=True))) for row in rows]


def corners(area: str | None) -> Corners | None:
    """Read an area from the address, corners ``x.y`` with dashes between them; None where it is none.

    Examples
    --------
    >>> corners("0.0-1000.0-1000.500"), corners("0.0-1.1"), corners("0.0-1.1-2000.0"), corners("x")
    (((0, 0), (1000, 0), (1000, 500)), None, None, None)
    """
    parts = [corner.partition(".")[::2] for corner in (area or "").split("-")]
    if not 3 <= len(parts) <= MOST_CORNERS:
        return None
    if not all(one.isascii() and one.isdecimal() and len(one) < 5 for corner in parts for one in corner):
        return None
    found = tuple((int(x), int(y)) for x, y in parts)
    return found if all(max(corner) <= AREA for corner in found) else None


def inside(units: pd.DataFrame, area: Corners) -> NDArray[np.bool_]:
    """Which units lie in an area, by the even-odd rule.

    Parameters
    ----------
    units : DataFrame
        ``x``, ``y`` in [0, 1].
    area : tuple of (x, y)
    """
    x, y = (units[name].to_numpy(float) * AREA for name in ("x", "y"))
    within = np.zeros(len(units), dtype=np.bool_)
    for (x0, y0), (x1, y1) in zip(area, (*area[1:], area[0]), strict=True):
        crosses = (y0 > y) != (y1 > y)
        if y0 != y1:
            within ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return within


def around(units: pd.DataFrame, row: int) -> pd.DataFrame:
    """The units nearest to one in the picture, itself first."""
    from_it = units[["x", "y"]].to_numpy(float) - units[["x", "y"]].iloc[row].to_numpy(float)
    return units.iloc[np.argsort((from_it**2).sum(axis=1), kind="stable")[: NEAREST + 1]]


def strongest(units: pd.DataFrame, by: str) -> pd.DataFrame:
    """Units in the order of what they are coloured by: of effects the greatest first, of descriptions those that exceed
    what they must beat most, of entropies the lowest, else of q the lowest and then of lift the highest; those of which
    nothing is known come last.
    """
    if by == "effect":
        return units.sort_values("attribution", key=pd.Series.abs, ascending=False, kind="stable")
    if by == "words":
        beyond = units["correlation"] - units["null_correlation_high"]
        return units.iloc[np.argsort(-beyond.to_numpy(float), kind="stable")]
    if by == "selectivity":
        return units.sort_values(["entropy_q_value", "entropy"], kind="stable")
    return units.sort_values(["q_value", "lift"], ascending=[True, False], kind="stable")


def row_of(units: pd.DataFrame, layer: str | None, neuron: str | None) -> int | None:
    """Row of the unit that an address names; None where it names none that has a place."""
    if not all(one and one.isascii() and one.isdecimal() and len(one) < 16 for one in (layer, neuron)):
        return None
    found = np.flatnonzero((units["layer"] == int(layer or 0)) & (units["neuron"] == int(neuron or 0)))
    return int(found[0]) if len(found) else None
