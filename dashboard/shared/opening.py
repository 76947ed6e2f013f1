"""On what a page opens where nobody has chosen: the task of the store that tells most there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboard.shared import data
from db.reads import findings

Telling = Callable[[data.Store, str, str], list[str]]
"""Of a store, a model and a preset: tasks, the most telling first; those with nothing to see may be missing."""


def first(names: Sequence[str], telling: Sequence[str]) -> str:
    """The most telling of the tasks that a page offers; the first of them where none tells anything."""
    return next((name for name in telling if name in names), names[0])


def by_replication(store: data.Store, model: str, preset: str) -> list[str]:
    """Tasks by how many class-specific neurons replicate on test clips."""
    rows = data.read(store, findings.telling_tasks, model, preset)
    return [str(name) for name in rows.loc[rows["n_pairs"] > 0, "task"]]


def by_effect(store: data.Store, model: str, preset: str) -> list[str]:
    """Tasks by how many classes lose something of their own without their neurons; then as `by_replication`."""
    lowered = [str(name) for name in data.read(store, findings.lowered_tasks, model)["task"]]
    ablated = [str(name) for name in data.read(store, findings.ablated_tasks, model)["task"]]
    telling = by_replication(store, model, preset)
    return [*lowered, *(name for name in telling if name in ablated), *ablated]


def by_sharing(store: data.Store, model: str, preset: str) -> list[str]:
    """The task of the first class of `pair`; then as `by_replication`."""
    shared = pair(store, model, preset)
    return [*(shared[:1] if shared else ()), *by_replication(store, model, preset)]


def pair(store: data.Store, model: str, preset: str) -> tuple[str, str] | None:
    """Two tasks of which classes share neurons: by octave where there are any, else the most surprising."""
    rows = data.read(store, findings.shared_pair, preset, model)
    return None if rows.empty else (str(rows["task_a"].iloc[0]), str(rows["task_b"].iloc[0]))
