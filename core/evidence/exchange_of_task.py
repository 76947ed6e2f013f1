"""Which clips and groups of a task may exchange their labels, by what is known of where a clip comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.datasets.groups import group_attributes, telling_attributes
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.evidence.exchange import Exchange
from core.results import IntArray, Mask

WEAK = 0.001
"""Classes whose p cannot be smaller are warned of: to pass at q < 0.05 a fiftieth of all pairs would have to."""


def exchange_of(task: Task, chosen: Mask) -> Exchange:
    """What may be exchanged in a task, from the first group attribute that is of use.

    Clips of a group that holds several classes are dealt within it. Groups of one class (of one set
    of classes, where clips may have several) are dealt as wholes, among themselves; a clip whose
    group is not known is such a group by itself. Where each class is one group, and no group holds
    two classes, exchanging groups can show nothing: clips are dealt instead, and the warning says
    what a small p then means.

    Parameters
    ----------
    scan : Scan
    attribute : str
        The task's.
    chosen : ndarray of bool, shape (n_clips,)
        Clips that are looked at; the result speaks of these.
    """
    members = task.members
    members = members[chosen]
    grouping = _groups(task, chosen)
    if grouping is None:
        return Exchange.of_clips(len(members))
    name, group = grouping
    kind = np.unique(members, axis=0, return_inverse=True)[1].ravel()
    kind_of_group = np.zeros(group.max() + 1, dtype=np.int64)
    kind_of_group[group] = kind
    whole = np.ones(len(kind_of_group), dtype=bool)
    whole[group[kind != kind_of_group[group]]] = False
    if whole.all() and np.bincount(kind_of_group).max() == 1:
        return Exchange.of_clips(
            len(members),
            f"clips (each {task.attribute} is one {name}: nothing tells them apart)",
            f"each {task.attribute} is one {name}: a neuron for the {name} and one for the {task.attribute} cannot be "
            "told apart",
        )
    return _restricted(members, group, whole, name, task.attribute)


def group_of_clips(task: Task, chosen: Mask | None = None) -> IntArray | None:
    """Group of each chosen clip (of all), by the attribute that `exchange_of` takes; one without it is its own."""
    every = np.ones(len(task.dataset.clips), dtype=bool)
    grouping = _groups(task, every if chosen is None else chosen)
    return None if grouping is None else grouping[1]


def group_of_scan(scan: Scan) -> IntArray | None:
    """Group of each clip of a dataset, by what says where it comes from; None where nothing does."""
    attributes = telling_attributes(scan) or scan.dataset.attributes
    return group_of_clips(Task(scan, attributes[0])) if attributes else None


def _restricted(members: Mask, group: IntArray, whole: Mask, name: str, attribute: str) -> Exchange:
    """Whole groups are stratum 0; clips of every other group have a stratum of their own."""
    is_whole = whole[group]
    # A unit is a whole group, or a clip of any other.
    unit_key = np.where(is_whole, group, len(whole) + np.arange(len(group)))
    _, first, unit = np.unique(unit_key, return_index=True, return_inverse=True)
    by_first = np.argsort(first)  # numbered as they come
    unit = np.argsort(by_first)[unit]
    stratum_key = np.where(is_whole, -1, group)[np.sort(first)]
    stratum = np.unique(stratum_key, return_inverse=True)[1]
    several = _plural(name)
    if whole.all():
        description = f"whole {several}"
    elif not whole.any():
        description = f"clips within {name}"
    else:
        description = f"clips within {name}, whole {several} that have one {attribute}"
    exchange = Exchange(unit, stratum, description)
    least = exchange.least_p(exchange.drawn(members[exchange.first]))
    present = members.any(axis=0)
    stuck = least[present] > WEAK
    if not stuck.any():
        return exchange
    warning = (
        f"what is shuffled is {description}: {stuck.sum()} of {present.sum()} classes have too few to tell much, "
        f"their p is never under {least[present][stuck].min():.2g}"
    )
    return replace(exchange, warning=warning)


def _groups(task: Task, chosen: Mask) -> tuple[str, IntArray] | None:
    """Name of the group attribute, and the group of each chosen clip; a clip without one is its own."""
    declared = task.dataset.groups
    for name, of_clip in sorted(group_attributes(task), key=lambda item: item[0] not in declared):
        values = of_clip[chosen]
        known = values != ""
        if 2 <= len(np.unique(values[known])) < known.sum():
            own = np.char.add("\0", np.arange(len(values)).astype(str))  # no value starts so
            return name.replace("_", " "), np.unique(np.where(known, values, own), return_inverse=True)[1]
    return None


def _plural(name: str) -> str:
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")
