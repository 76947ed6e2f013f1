"""Classes in groups (kinds of events, families of languages, octaves): their order and colours; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dashboard.shared.charts.common import class_order
from dashboard.shared.theme import MODEL_COLOURS

_MORE_COLOURS = ("#7F5B34", "#4BA3C3", "#93AF3C", "#A95A5A")


def category_colours(n: int) -> list[str]:
    """Return ``n`` colours to tell kinds apart; beyond ten they come again, neighbours always differing."""
    colours = [*MODEL_COLOURS, *_MORE_COLOURS] if n > len(MODEL_COLOURS) else [*MODEL_COLOURS]
    return [colours[i % len(colours)] for i in range(n)]


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
    attributes = [str(name) for name in dict.fromkeys(groups["attribute"])]
    return sorted(attributes, key=lambda name: in_groups(classes, groups, name).classes != tuple(classes))
