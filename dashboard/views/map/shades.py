"""What the map's units are coloured by, and what is told of each; pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.charts import groups as class_groups
from dashboard.shared.text.facts import Q_LIMIT
from dashboard.shared.text.numbers import p_value
from dashboard.shared.theme import HIGHLIGHT, MODEL_COLOURS, NULL_COLOUR, OTHER_COLOUR

BY = {
    "layer": "Layer", "task": "Task", "class": "Class", "selectivity": "Selectivity", "effect": "Effect",
    "words": "Description",
}  # fmt: skip
N_STEPS = 4
"""Of selectivity."""
N_SIZES = 3
"""Of effects, on either side of 0."""
MOST_NAMED = 10
"""Groups that have a colour of their own; there are no more that can be told apart."""
_OTHERS = "#7F888D"
_GAINS, _LOSES = ("#A5C6DF", MODEL_COLOURS[0]), ("#E9BE98", HIGHLIGHT)
_LAYER_STOPS = ("#C98E12", "#D5651B", "#C26B9D", "#6C6FB5", "#3A78B8")
_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Shading:
    """Colours of units.

    Attributes
    ----------
    shade : ndarray of int, shape (n_units,)
        Places in ``entries``.
    entries : tuple of (name, colour)
        In the order they are told and drawn, the first below.
    labels : tuple of str
        One a unit, without line breaks.
    has_quiet : bool
        Whether the first entry is of units that nothing stands out of.
    """

    shade: NDArray[np.int64]
    entries: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]
    has_quiet: bool = True


def shaded(by: str, units: pd.DataFrame, n_classes: int, order: class_groups.Order) -> Shading:
    """Colour units.

    Parameters
    ----------
    by : str
        One of `BY`.
    units : DataFrame
        ``layer``, ``neuron``, and what `db.reads.maps.of_task` tells, by ``task`` `db.reads.maps.tasks`, by ``effect``
        `db.reads.maps.effects`, by ``words`` ``predicts`` and ``beats_null`` of the best description.
    n_classes : int
        Of the task.
    order : Order
        The task's classes.
    """
    if by == "layer":
        return _by_layer(units)
    if by == "task":
        return _by_task(units)
    if by == "words":
        return _by_words(units)
    if by == "class":
        return _by_class(units, order)
    return _by_selectivity(units, n_classes) if by == "selectivity" else _by_effect(units)


def _by_layer(units: pd.DataFrame) -> Shading:
    layers, shade = np.unique(units["layer"].to_numpy(), return_inverse=True)
    entries = tuple((f"layer {layer}", colour) for layer, colour in zip(layers, ramp(len(layers)), strict=True))
    return Shading(shade, entries, _labels(units, [""] * len(units)), has_quiet=False)


def ramp(n: int, stops: Sequence[str] = _LAYER_STOPS) -> list[str]:
    """``n`` colours in even steps along others."""
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops])
    at = np.linspace(0, len(stops) - 1, n)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), rgb[:, c]) for c in range(3)], axis=1).round().astype(int)
    return ["#{:02X}{:02X}{:02X}".format(*colour) for colour in mixed]


def _by_task(units: pd.DataFrame) -> Shading:
    told = [
        "specific for no class of any task" if pd.isna(task)
        else f"{task}: {of_class}, q {p_value(q)}" + (f" (in {int(n)} tasks)" if n > 1 else "")
        for task, of_class, q, n in _columns(units, "task", "class_name", "q_value", "n_tasks")
    ]  # fmt: skip
    names = sorted(set(units["task"].dropna()))
    shade, entries = _largest(units["task"], names, "tasks", "specific for none")
    return Shading(shade, entries, _labels(units, told))


def _by_class(units: pd.DataFrame, order: class_groups.Order) -> Shading:
    told = [
        f"specific for none, most active for {top}" if pd.isna(name) and not pd.isna(top)
        else "never fires" if pd.isna(name)
        else f"{name}{f' and {int(n) - 1} more' if n > 1 else ''}, lift {lift:.1f}×, q {p_value(q)}"
        for name, top, n, lift, q in _columns(units, "class_name", "top_class", "n_specific", "lift", "q_value")
    ]  # fmt: skip
    of = (units["class_name"], order.classes, "classes")
    if order.group_of is not None:  # kinds of classes: they are fewer
        of = (units["class_name"].map(order.group_of), order.groups, "kinds")
    shade, entries = _largest(*of, "specific for none")
    return Shading(shade, entries, _labels(units, told))


def _by_words(units: pd.DataFrame) -> Shading:
    terms = [
        () if pd.isna(predicts) else tuple(term.partition(":")[2] for term in predicts.split("; "))
        for (predicts,) in _columns(units, "predicts")
    ]
    told = [", ".join(of) or "not described" for of in terms]
    pairs = zip(terms, units["beats_null"] == 1, strict=True)
    first = pd.Series([of[0] if better else None for of, better in pairs], index=units.index, dtype=object)
    shade, entries = _largest(first, sorted(set(first.dropna())), "first terms", "no better than others’")
    return Shading(shade, entries, _labels(units, told))


def _largest(
    names: pd.Series, known: Sequence[str], what: str, none: str
) -> tuple[NDArray[np.int64], tuple[tuple[str, str], ...]]:
    """Colour the largest groups of units, the others together.

    Parameters
    ----------
    names : Series
        Each unit's group; NaN without.
    known : sequence of str
        Groups; of those with as many units the first comes first.
    what, none : str
        What groups are called, and what having none is.

    Returns
    -------
    shade : ndarray of int
    entries : tuple of (name, colour)
        As `Shading` has them.
    """
    sizes = names.value_counts()
    ranked = sorted((name for name in known if sizes.get(name, 0)), key=lambda name: -int(sizes[name]))
    named, n_other = ranked[:MOST_NAMED], len(ranked) - MOST_NAMED
    entries = [(none, NULL_COLOUR), *zip(named, class_groups.category_colours(len(named)), strict=True)]
    shade = _places(names, named)
    if n_other > 0:
        shade[names.isin(ranked[MOST_NAMED:])] = len(entries)
        entries.append((f"{n_other} other {what}", _OTHERS))
    return shade, tuple(entries)


def _by_selectivity(units: pd.DataFrame, n_classes: int) -> Shading:
    most = math.log(max(n_classes, 2))
    selectivity = 1 - units["entropy"].to_numpy(float) / most
    q = units["entropy_q_value"].to_numpy(float)
    stands = np.isfinite(selectivity) & ((q < Q_LIMIT) | np.isnan(q).all())
    step = np.clip(selectivity * N_STEPS, 0, N_STEPS - 1)
    shade = np.where(stands, 1 + np.nan_to_num(step).astype(int), 0)
    bounds = [f"{i / N_STEPS:.0%} to {(i + 1) / N_STEPS:.0%}" for i in range(N_STEPS)]
    entries = (
        ("as shuffled labels give", NULL_COLOUR),
        *zip(bounds, ramp(N_STEPS, (OTHER_COLOUR, "#C98E12", HIGHLIGHT)), strict=True),
    )
    told = [
        "never fires" if pd.isna(entropy) else f"{top}: entropy {entropy:.2f} of {most:.2f} nats, q {p_value(one)}"
        for entropy, top, one in _columns(units, "entropy", "top_class", "entropy_q_value")
    ]
    return Shading(shade, entries, _labels(units, told))


def _by_effect(units: pd.DataFrame) -> Shading:
    effect = units["attribution"].to_numpy(float)
    half = _Z * units["standard_error"].to_numpy(float)
    stands = np.abs(effect) > half
    size = np.abs(effect)
    bounds = np.quantile(size[stands], np.arange(1, N_SIZES) / N_SIZES) if stands.any() else np.zeros(N_SIZES - 1)
    step = np.searchsorted(bounds, size, side="right")
    shade = np.where(stands, np.where(effect > 0, 1 + N_SIZES + step, 1 + step), 0)
    low, high = (f"{bound:.2g}" for bound in bounds)
    sizes = (f"up to {low}", f"to {high}", f"over {high}")
    entries = (
        ("interval holds 0", NULL_COLOUR),
        *((f"gains {of}", colour) for of, colour in zip(sizes, ramp(N_SIZES, _GAINS), strict=True)),
        *((f"loses {of}", colour) for of, colour in zip(sizes, ramp(N_SIZES, _LOSES), strict=True)),
    )
    told = [
        "no estimated effect" if pd.isna(value)
        else f"{name}: {_signed(value)} logits"
        + ("" if pd.isna(error) else f" [{_signed(value - _Z * error)}, {_signed(value + _Z * error)}]")
        for name, value, error in _columns(units, "effect_class", "attribution", "standard_error")
    ]  # fmt: skip
    return Shading(shade, entries, _labels(units, told))


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


def _places(names: pd.Series, known: Sequence[str]) -> NDArray[np.int64]:
    """Place of each name among those known, from 1; 0 where there is none."""
    return 1 + pd.Categorical(names, categories=list(known)).codes.astype(np.int64)


def _columns(units: pd.DataFrame, *names: str) -> zip[tuple[Any, ...]]:
    return zip(*(units[name] for name in names), strict=True)


def _labels(units: pd.DataFrame, told: Sequence[str]) -> tuple[str, ...]:
    places = zip(units["layer"], units["neuron"], told, strict=True)
    return tuple(f"L{layer}·{neuron} {text}".replace("\n", " ").rstrip() for layer, neuron, text in places)
