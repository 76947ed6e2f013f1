"""Which neurons are ablated, and for whom: presets' own sets, ladders, pairs of classes, lists from a file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from core.arrays.neurons import layer_starts
from core.errors import InputError
from core.results import FloatArray, IntArray, Mask
from core.selectivity.presets import PRESETS
from core.selectivity.selectors import SELECTORS
from core.untrusted_text import user_path

MAX_PAIRS = 50
COLUMNS = ("name", "layer", "neuron")
"""Of a file of targets."""
Size = Callable[[Sequence[IntArray]], FloatArray]
"""From sets of neurons (flat indices) to what taking each out removes (`core.ablation.removed`)."""


@dataclass(frozen=True)
class Target:
    """Neurons to change: how they were chosen, for whom, which (flat indices), and for what norm, where for one."""

    selection: str
    name: str
    neurons: IntArray
    norm: float = 0.0


@dataclass(frozen=True)
class Choice:
    """How neurons are chosen.

    Attributes
    ----------
    kind : str
        ``preset`` (its own sets), ``top`` (evidence), ``selector`` (its scores), ``pairs`` or ``file``.
    name : str
        Of the preset or selector; path of the file.
    share : float
        Of all neurons, where the kind is a ladder.
    count : int
        Neurons, in place of a share.
    norm : float
        What they remove together (`core.ablation.removed`), in place of a share: the first neurons that do.
    """

    kind: str
    name: str
    share: float = 0.0
    count: int = 0
    norm: float = 0.0

    @classmethod
    def of(cls, text: str) -> Choice:
        """From ``PRESET``, ``top:SHARE``, ``SELECTOR:SHARE``, ``pairs:SHARE`` or ``file:PATH``.

        In place of a share ``n=COUNT`` or ``norm=NORM``.

        Raises
        ------
        InputError
            For anything else.
        """
        if text in PRESETS:
            return cls("preset", text)
        kind, _, rest = text.partition(":")
        if kind == "file" and rest:
            return cls("file", rest)
        amount = _amount(rest)
        if kind not in ("top", "pairs", *SELECTORS) or amount is None:
            raise InputError(
                f"--ablate '{text}' is not known; expected top:SHARE (for instance top:0.01), pairs:SHARE, "
                f"SELECTOR:SHARE with one of {', '.join(SELECTORS)}, n=COUNT or norm=NORM in place of a SHARE, "
                f"file:PATH, or {', '.join(PRESETS)}"
            )
        return cls("selector" if kind in SELECTORS else kind, kind, **amount)

    def __str__(self) -> str:
        """How the store calls it: ``top:0.01`` is ``top 1%``."""
        if self.kind == "file":
            return f"file {Path(self.name).name}"
        if self.count or self.norm:
            return f"{self.name} n={self.count}" if self.count else f"{self.name} norm={self.norm:g}"
        return f"{self.name} {self.share * 100:g}%" if self.share else self.name

    @property
    def key(self) -> tuple[object, ...]:
        """What it stands for: a file for its content."""
        if self.kind != "file":
            others = (self.count, self.norm) if self.count or self.norm else ()
            return (self.kind, self.name, self.share, *others)
        return ("file", str(self), hashlib.sha256(_content(self.name)).hexdigest())


@dataclass(frozen=True)
class Material:
    """What targets are chosen from; matrices have shape (n_classes, n_neurons).

    Attributes
    ----------
    names : sequence of str
        Classes, in the order of the rows.
    z, p : ndarray
        From `core.evidence.permutation.evidence`.
    layer_widths : sequence of int
    mask : ndarray of bool or None
        A preset's own sets.
    scores : mapping
        Selector to its scores, higher = more specific for the class; NaN is never chosen.
    size : callable or None
        What sets of neurons remove together, for choices by norm.
    """

    names: Sequence[str]
    z: FloatArray
    p: FloatArray
    layer_widths: Sequence[int]
    mask: Mask | None = None
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    size: Size | None = None


def choose(
    choice: Choice, material: Material, enough: Collection[str], max_pairs: int = MAX_PAIRS
) -> tuple[list[Target], str]:
    """The neurons to change, target by target; empty sets are left out.

    Parameters
    ----------
    choice : Choice
    material : Material
    enough : collection of str
        Classes that may be targets, alone or in pairs; a file's targets always may.
    max_pairs : int
        The pairs whose classes share most of their neurons, if there are more.

    Returns
    -------
    targets : list of Target
    left_out : str
        What was left out for ``max_pairs``, or since it does not remove the norm, in words; else empty.

    Raises
    ------
    InputError
        If a file is not as it should be.
    """
    if choice.kind == "file":
        of_file = read_targets(user_path(choice.name), material.layer_widths)
        return [Target(str(choice), name, neurons) for name, neurons in of_file.items()], ""
    if choice.kind == "preset":
        assert material.mask is not None
        sets, out_of_reach = [np.flatnonzero(row) for row in material.mask], ""
    else:
        sets, out_of_reach = _first(choice, material, enough)
    named = zip(material.names, sets, strict=True)
    targets = [Target(str(choice), name, s, choice.norm) for name, s in named if len(s) and name in enough]
    if choice.kind != "pairs":
        return targets, out_of_reach
    pairs, left_out = pairs_of(targets, max_pairs)
    return pairs, "; ".join(filter(None, (out_of_reach, left_out)))


def _first(choice: Choice, material: Material, enough: Collection[str]) -> tuple[list[IntArray], str]:
    """The first neurons of each class, as many as the choice says; and which classes cannot be had, in words."""
    if choice.kind == "selector":
        orders = by_score(material.scores[choice.name])
    else:
        orders = by_evidence(material.z, material.p)
    n_neurons = sum(material.layer_widths)
    if not choice.norm:
        k = choice.count or max(1, round(choice.share * n_neurons))
        if k > n_neurons:
            return [order[:0] for order in orders], f"no {choice}: there are {n_neurons:,} units"
        return [np.sort(order[:k]) for order in orders], ""
    assert material.size is not None
    asked = [order if name in enough else order[:0] for name, order in zip(material.names, orders, strict=True)]
    sets = shortest(asked, choice.norm, material.size)
    without = [n for n, order, own in zip(material.names, asked, sets, strict=True) if len(order) and not len(own)]
    return sets, f"no {choice} of {', '.join(without[:8])}: all units together remove less" if without else ""


def shortest(orders: Sequence[IntArray], norm: float, size: Size) -> list[IntArray]:
    """The first units of each order that remove a norm together; none where even all do not.

    By bisection, all orders at once: more units are taken to remove more.

    Parameters
    ----------
    orders : sequence of ndarray of int
        Flat indices, first to last.
    norm : float
        In standard deviations of the stream.
    """
    low, high = np.zeros(len(orders), dtype=np.int64), np.array([len(order) for order in orders])
    reached = high > 0
    reached[reached] = size([order for order, any_of_it in zip(orders, reached, strict=True) if any_of_it]) >= norm
    while (still := np.flatnonzero(reached & (high - low > 1))).size:
        middle = (low[still] + high[still]) // 2
        enough = size([orders[i][:n] for i, n in zip(still.tolist(), middle, strict=True)]) >= norm
        high[still[enough]], low[still[~enough]] = middle[enough], middle[~enough]
    return [np.sort(order[:n]) if there else order[:0] for order, n, there in zip(orders, high, reached, strict=True)]


def by_evidence(z: FloatArray, p: FloatArray) -> list[IntArray]:
    """For each class the neurons from the strongest evidence on: lowest p, highest z among equals, then flat index.

    Parameters
    ----------
    z, p : ndarray, shape (n_classes, n_neurons)
        From `core.evidence.permutation.evidence`.
    """
    return [np.lexsort((-of_class, p[c])) for c, of_class in enumerate(z)]


def by_score(scores: FloatArray) -> list[IntArray]:
    """For each class the neurons from the highest score on, ties by flat index; without NaN and -inf.

    Parameters
    ----------
    scores : ndarray, shape (n_classes, n_neurons)
    """
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    best = np.argsort(-ranked, axis=1, kind="stable")
    return [b[row[b] > -np.inf] for row, b in zip(ranked, best, strict=True)]


def _amount(text: str) -> dict[str, Any] | None:
    """Share, count or norm of a choice; None where it is none of them."""
    name, _, value = text.rpartition("=")
    try:
        number = int(value) if name == "n" else float(value)
    except ValueError:
        return None
    amounts = {"": "share", "n": "count", "norm": "norm"}
    is_one = name in amounts and 0 < number < float("inf") and (name or number <= 1)
    return {amounts[name]: number} if is_one else None


def pairs_of(targets: Sequence[Target], most: int) -> tuple[list[Target], str]:
    """Every pair of classes as a target: the neurons of either. At most so many, those that share most first."""
    pairs = list(combinations(targets, 2))
    shared = [len(np.intersect1d(a.neurons, b.neurons)) for a, b in pairs]
    taken = sorted(np.argsort(-np.array(shared, dtype=np.int64), kind="stable")[:most].tolist())
    made = [
        Target(a.selection, f"{a.name} + {b.name}", np.union1d(a.neurons, b.neurons))
        for a, b in (pairs[i] for i in taken)
    ]
    if len(made) == len(pairs):
        return made, ""
    return made, (
        f"of {len(pairs):,} pairs of classes the {len(made)} that share most neurons are ablated; "
        f"--max-pairs {len(pairs)} takes all"
    )


def read_targets(path: Path, layer_widths: Sequence[int]) -> dict[str, IntArray]:
    """Targets of a CSV file with the columns name, layer and neuron (both numbers from 0); one name, one target.

    Returns
    -------
    dict of str to ndarray of int
        Flat indices, sorted; names in the file's order.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or names a neuron that the model has not.
    """
    try:
        lines = _content(str(path)).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"--ablate file:{path} is not UTF-8 text") from None
    reader = csv.DictReader(lines, strict=True)
    starts, neurons_by_target = layer_starts(layer_widths), dict[str, set[int]]()
    try:
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"--ablate file:{path} has no column {missing[0]}; expected {','.join(COLUMNS)}")
        for row in reader:
            layer, neuron = (_whole(row[c]) for c in ("layer", "neuron"))
            name = (row["name"] or "").strip()
            if not name or not 0 <= layer < len(layer_widths) or not 0 <= neuron < layer_widths[layer]:
                raise InputError(
                    f"--ablate file:{path}, line {reader.line_num}: '{row['name']},{row['layer']},{row['neuron']}' "
                    f"names no neuron; layers have {', '.join(map(str, layer_widths))} neurons, numbers count from 0"
                )
            neurons_by_target.setdefault(name, set()).add(int(starts[layer]) + neuron)
    except csv.Error as error:
        raise InputError(f"--ablate file:{path}, line {reader.reader.line_num}: {error}") from error
    if not neurons_by_target:
        raise InputError(f"--ablate file:{path} holds no neuron")
    return {name: np.array(sorted(neurons)) for name, neurons in neurons_by_target.items()}


def _whole(text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError:
        return -1


def _content(path: str) -> bytes:
    try:
        return user_path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"--ablate file:{path} cannot be read ({why})") from error
