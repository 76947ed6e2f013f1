"""Which models' units are matched with which: those of a run, and those that the store holds of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from core.errors import InputError
from core.results import ModelRecord

Pair = tuple[ModelRecord, ModelRecord]


def pairs(match: tuple[str, ...], of_run: Sequence[ModelRecord], of_store: Sequence[ModelRecord]) -> list[Pair]:
    """Every two models to be matched, each once, the two and all in the order of their names.

    Parameters
    ----------
    match : tuple of str
        As `core.run.config.AnalysisConfig.match`.
    of_run, of_store : sequence of ModelRecord
        The store may hold those of the run, too.

    Raises
    ------
    InputError
        If a name is of no model.
    """
    in_run = {model.name for model in of_run}
    known = {model.name: model for model in [*of_store, *of_run]}
    if match == ("none",):
        return []
    if match in (("run",), ("store",)):
        every = [known[name] for name in sorted(in_run if match == ("run",) else known)]
        return [
            (a, b) for a, b in combinations(every, 2) if a.unit_kind == b.unit_kind and {a.name, b.name} & in_run
        ]  # fmt: skip
    for name in match:
        if name not in known:
            raise InputError(f"--match {name} is no model of this run or of the store; expected {', '.join(known)}")
    of_names = list(combinations([known[name] for name in sorted(set(match))], 2))
    for a, b in of_names:
        if not {a.name, b.name} & in_run:
            raise InputError(f"--match {a.name},{b.name}: neither is a model of this run; name one of them, --model")
    return of_names
