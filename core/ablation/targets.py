"""Which neurons are ablated, and for whom: presets' own sets, ladders, pairs of classes, lists from a file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

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


@dataclass(frozen=True)
class Target:
    """Neurons to change: how they were chosen, for whom, which (flat indices)."""

    selection: str
    name: str
    neurons: IntArray


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
    """

    kind: str
    name: str
    share: float = 0.0

    @classmethod
    def of(cls, text: str) -> Choice:
        """From ``PRESET``, ``top:SHARE``, ``SELECTOR:SHARE``, ``pairs:SHARE`` or ``file:PATH``.

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
        try:
            share = float(rest)
        except ValueError:
            share = -1.0
        if kind not in ("top", "pairs", *SELECTORS) or not 0 < share <= 1:
            raise InputError(
                f"--ablate '{text}' is not known; expected top:SHARE (for instance top:0.01), pairs:SHARE, "
                f"SELECTOR:SHARE with one of {', '.join(SELECTORS)}, file:PATH, or {', '.join(PRESETS)}"
            )
        return cls("selector" if kind in SELECTORS else kind, kind, share)

    def __str__(self) -> str:
        """How the store calls it: ``top:0.01`` is ``top 1%``."""
        if self.kind == "file":
            return f"file {Path(self.name).name}"
        return f"{self.name} {self.share * 100:g}%" if self.share else self.name

    @property
    def key(self) -> tuple[object, ...]:
        """What it stands for: a file for its content."""
        if self.kind != "file":
            return (self.kind, self.name, self.share)
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
    """

    names: Sequence[str]
    z: FloatArray
    p: FloatArray
    layer_widths: Sequence[int]
    mask: Mask | None = None
    scores: Mapping[str, FloatArray] = field(default_factory=dict)


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
        What was left out for ``max_pairs``, in words; else empty.

    Raises
    ------
    InputError
        If a file is not as it should be.
    """
    if choice.kind == "file":
        sets = read_targets(user_path(choice.name), material.layer_widths)
        return [Target(str(choice), name, neurons) for name, neurons in sets.items()], ""
    if choice.kind == "selector":
        rows = top_by_score(material.scores[choice.name], choice.share)
        targets = [Target(str(choice), n, s) for n, s in zip(material.names, rows, strict=True) if len(s)]
    else:
        share = choice.share or None
        targets = choose_targets(str(choice), share, material.names, material.z, material.p, material.mask)
    targets = [target for target in targets if target.name in enough]
    return pairs_of(targets, max_pairs) if choice.kind == "pairs" else (targets, "")


def choose_targets(
    selection: str, share: float | None, names: Sequence[str], z: FloatArray, p: FloatArray, mask: Mask | None
) -> list[Target]:
    """The neurons of each class by evidence, or a preset's own; classes that have none are left out.

    Parameters
    ----------
    selection : str
        Name for the store.
    share : float or None
        Ladder step: the share of all neurons with the strongest evidence; None = a preset's own
        sets, given by ``mask``.
    z, p : ndarray, shape (n_classes, n_neurons)
    mask : ndarray of bool, shape (n_classes, n_neurons), or None
    """
    if share is not None:
        sets = top_by_evidence(z, p, share)
    else:
        assert mask is not None
        sets = [np.flatnonzero(row) for row in mask]
    return [Target(selection, name, s) for name, s in zip(names, sets, strict=True) if len(s)]


def top_by_evidence(z: FloatArray, p: FloatArray, share: float) -> list[IntArray]:
    """For each class the share of all neurons with the strongest evidence for it.

    Parameters
    ----------
    z, p : ndarray, shape (n_classes, n_neurons)
        From `core.evidence.permutation.evidence`; lowest p first, highest z among equals, then flat index.
    share : float
        Of all neurons, at least one.
    """
    k = _number(share, p.shape[1])
    return [np.sort(np.lexsort((-z[c], p[c]))[:k]) for c in range(len(p))]


def top_by_score(scores: FloatArray, share: float) -> list[IntArray]:
    """For each class the share of all neurons with the highest score; NaN and -inf are never taken.

    Parameters
    ----------
    scores : ndarray, shape (n_classes, n_neurons)
        Ties go to the lower flat index.
    share : float
        Of all neurons, at least one.
    """
    k = _number(share, scores.shape[1])
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    best = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    return [np.sort(b[row[b] > -np.inf]) for row, b in zip(ranked, best, strict=True)]


def _number(share: float, n_neurons: int) -> int:
    return max(1, round(share * n_neurons))


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
