"""Which models' units are matched with which: those of a run, and those that the store holds of earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from itertools import combinations

from core.errors import InputError
from core.results import ModelRecord

Pair = tuple[ModelRecord, ModelRecord]
MOST_ON_CPU = 200_000_000
"""Correlations of two models' units that a CPU looks through unasked: ten seconds a dataset for every 20 million."""


def pairs(
    match: tuple[str, ...], of_run: Sequence[ModelRecord], of_store: Sequence[ModelRecord], device_type: str,
    tell: Callable[[str], None],
) -> list[Pair]:  # fmt: skip
    """Every two models to be matched, each once, the two and all in the order of their names.

    Parameters
    ----------
    match : tuple of str
        As `core.run.config.AnalysisConfig.match`.
    of_run, of_store : sequence of ModelRecord
        The store may hold those of the run, too.
    device_type : str
    tell : callable
        Told of two models that are left out because they are large.

    Raises
    ------
    InputError
        If a name is of no model, or neither of two is of the run.
    """
    in_run = {model.name for model in of_run}
    known = {model.name: model for model in [*of_store, *of_run]}
    if match == ("none",):
        return []
    if match not in (("auto",), ("run",), ("store",)):
        return _of_names(match, known, in_run)
    every = [known[name] for name in sorted(known if match == ("store",) else in_run)]
    found = [(a, b) for a, b in combinations(every, 2) if a.unit_kind == b.unit_kind and {a.name, b.name} & in_run]
    if match != ("auto",) or device_type != "cpu":
        return found
    for a, b in (pair for pair in found if _size(pair) > MOST_ON_CPU):
        tell(f"{a.name} and {b.name}: on a CPU so many units are matched only if asked for: --match run")
    return [pair for pair in found if _size(pair) <= MOST_ON_CPU]


def _size(pair: Pair) -> int:
    return sum(pair[0].layer_widths) * sum(pair[1].layer_widths)


def _of_names(names: tuple[str, ...], known: Mapping[str, ModelRecord], in_run: Set[str]) -> list[Pair]:
    for name in names:
        if name not in known:
            raise InputError(f"--match {name} is no model of this run or of the store; expected {', '.join(known)}")
    found = list(combinations([known[name] for name in sorted(set(names))], 2))
    for a, b in found:
        if not {a.name, b.name} & in_run:
            raise InputError(f"--match {a.name},{b.name}: neither is a model of this run; name one of them, --model")
    return found
