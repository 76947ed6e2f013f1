"""What is looked for in words, and which units it finds; pure functions over frames of `db.reads.descriptions`.

Parts stand with commas between, and all of them must hold. ``layer 4`` and ``layers 2-4`` say where a unit sits. Any
other part is sought in the terms that a description predicts by (the words of descriptors as the store has them, the
names of classes), in the classes that the unit is specific for, and, where it is no word of a descriptor, at the
beginning of any word of the description. ``not`` before a part leaves out what it finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MOST_TEXT, MOST_PARTS = 200, 12
EXPLAINS = 0.01
"""Share of the variance on held-out clips from which on classes, or descriptors, explain a unit."""
_LAYERS = re.compile(r"layers? (\d{1,6})(?: ?(?:to|-|–) ?(\d{1,6}))?")
_WAYS = ("high", "low")
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Words = Mapping[str, Sequence[str]]
"""By ``NAME high`` and ``NAME low`` of each descriptor what people say of it."""


@dataclass(frozen=True)
class Part:
    """One thing that is looked for.

    Attributes
    ----------
    text : str
        As `normal` writes it.
    excluded : bool
        Whether what it finds is left out.
    layers : (int, int) or None
        First and last, where it says where a unit sits.
    """

    text: str
    excluded: bool = False
    layers: tuple[int, int] | None = None


@dataclass(frozen=True)
class Reading:
    """A word of a descriptor: its name, and whether it means much (``high``), little (``low``) or either (empty)."""

    name: str
    way: str

    def __str__(self) -> str:
        return f"{self.name} {self.way}".rstrip()


@dataclass(frozen=True)
class Index:
    """Descriptions of a model's units over one dataset, to be looked through.

    Attributes
    ----------
    neuron_id : ndarray of int, shape (n,)
        One row a description, in the order of units.
    texts : tuple of str
        As `normal` writes them.
    place : ndarray of int, shape (n,)
        Of the description's terms in ``predicts``.
    predicts : tuple of str
        Terms, each text once.
    surprise : ndarray of float, shape (n,)
        Correlation less what dealt descriptions reach.
    explained : DataFrame
        Of `db.reads.descriptions.explanations`, one row a unit, ``neuron_id`` its index.
    """

    neuron_id: Ids
    texts: tuple[str, ...]
    place: NDArray[np.int64]
    predicts: tuple[str, ...]
    surprise: Floats
    explained: pd.DataFrame


def index_of(said: pd.DataFrame, explained: pd.DataFrame) -> Index:
    """Make ready what is looked through.

    Parameters
    ----------
    said : DataFrame
        Of `db.reads.descriptions.of_model`.
    explained : DataFrame
        Of `db.reads.descriptions.explanations`.
    """
    place, predicts = pd.factorize(said["predicts"])
    surprise = (said["correlation"] - said["null_correlation_high"]).to_numpy(np.float64)
    one_each = explained.drop_duplicates("neuron_id").set_index("neuron_id")
    return Index(
        said["neuron_id"].to_numpy(np.int64), tuple(map(normal, said["description"])), place.astype(np.int64),
        tuple(map(str, predicts)), surprise, one_each,
    )  # fmt: skip


def normal(text: str) -> str:
    """As texts are compared: lower case, one space between words, hyphens and underscores as spaces."""
    return " ".join(re.sub(r"[_\-\N{NON-BREAKING HYPHEN}]", " ", text.lower()).split())


def parts(text: str) -> tuple[Part, ...]:
    """Read what somebody typed.

    Examples
    --------
    >>> parts("High-pitched, not speech, layers 2-4")[1:]
    (Part(text='speech', excluded=True, layers=None), Part(text='layers 2 4', excluded=False, layers=(2, 4)))
    """
    found = []
    for written in re.split(r"[,;]", text[:MOST_TEXT]):
        piece = " ".join(written.lower().split())
        excluded = f"{piece} ".startswith("not ")
        piece = piece.removeprefix("not").strip() if excluded else piece
        if not normal(piece):
            continue
        of_layers = _LAYERS.fullmatch(piece)
        ends = None if of_layers is None else (int(of_layers[1]), int(of_layers[2] or of_layers[1]))
        found.append(Part(normal(piece), excluded, ends))
    return tuple(dict.fromkeys(found))[:MOST_PARTS]


def readings(text: str, words: Words) -> tuple[Reading, ...]:
    """What a text means where it is a descriptor's word, or else its name; plurals count.

    Examples
    --------
    >>> words = {"f0 high": ["high pitch", "high-pitched"], "f0 low": ["low pitch"], "onset high": ["onsets"]}
    >>> [str(one) for text in ("high pitched", "f0", "low f0", "onset", "pitch") for one in readings(text, words)]
    ['f0 high', 'f0', 'f0 low', 'onset high']
    """
    asked, as_words, as_names = _singular(normal(text)), [], {}
    for term, phrases in words.items():
        name, _, way = term.rpartition(" ")
        called = _singular(normal(name))
        ways = {f"{way} {called}", f"very {way} {called}", f"{called} {way}"}
        if asked in ways or asked in map(_singular, map(normal, phrases)):
            as_words.append(Reading(name, way))
        elif asked == called:
            as_names[name] = Reading(name, "")
    return tuple(as_words or as_names.values())


def _singular(text: str) -> str:
    words = text.split()
    return " ".join(w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words)


def begins(text: str, within: str) -> bool:
    """Whether a word of ``within`` begins with ``text``; both as `normal` writes them."""
    return text in within and re.search(rf"(?<!\w){re.escape(text)}", within) is not None


def classes_called(asked: Iterable[Part], classes: Iterable[str]) -> tuple[str, ...]:
    """Those of some classes that any part names."""
    texts = [part.text for part in asked if part.layers is None]
    return tuple(name for name in classes if any(begins(text, normal(name)) for text in texts))


def found_by(part: Part, units: pd.DataFrame, index: Index | None, words: Words, specific: Mapping[str, Ids]) -> Mask:
    """Which units a part finds, whether or not they are to be left out.

    Parameters
    ----------
    part : Part
    units : DataFrame
        ``neuron_id``, ``layer``.
    index : Index or None
        Where units are described.
    words : mapping
        What people say of descriptors.
    specific : mapping of str to ndarray of int
        By class the units that are specific for it.

    Returns
    -------
    ndarray of bool, shape (n_units,)
    """
    if part.layers is not None:
        return units["layer"].between(*part.layers).to_numpy(np.bool_)
    ids = [np.zeros(0, dtype=np.int64)]
    ids += [of for name, of in specific.items() if begins(part.text, normal(name))]
    if index is not None:
        ids.append(index.neuron_id[_rows(part.text, index, readings(part.text, words))])
    return np.isin(units["neuron_id"].to_numpy(np.int64), np.concatenate(ids))


def _rows(text: str, index: Index, means: Sequence[Reading]) -> Mask:
    """Which descriptions hold a text, as a descriptor's word where it is one, else at the beginning of any word."""
    of_terms = np.array([_in_terms(text, terms, means) for terms in index.predicts], dtype=np.bool_)
    found = of_terms[index.place] if len(of_terms) else np.zeros(0, dtype=np.bool_)
    if means:
        return found
    return found | np.fromiter((begins(text, said) for said in index.texts), np.bool_, len(index.texts))


def _in_terms(text: str, terms: str, means: Sequence[Reading]) -> bool:
    for term in terms.split(";"):
        kind, _, rest = term.strip().partition(":")
        if kind == "class" and begins(text, normal(rest)):
            return True
        if kind == "descriptor" and any(_is_of(rest, one) for one in means):
            return True
    return False


def _is_of(term: str, means: Reading) -> bool:
    """Whether a term like ``f0 very high`` or ``f0>300`` is of a descriptor, and of much or little of it."""
    rest = term.removeprefix(means.name)
    if rest == term or rest[:1] not in " <>":
        return False
    way = {">": "high", "<": "low"}.get(rest[:1], rest.rsplit(" ", 1)[-1])
    return not means.way or way == means.way


def best_of(units: pd.DataFrame, index: Index) -> Floats:
    """Each unit's surprise: that of the description that exceeds dealt ones most; NaN where there is none."""
    ids, start = np.unique(index.neuron_id, return_index=True)
    known = np.where(np.isnan(index.surprise), -np.inf, index.surprise)
    most = np.maximum.reduceat(known, start) if len(ids) else known
    found = pd.Series(most, index=ids).reindex(units["neuron_id"]).to_numpy(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def shares(units: pd.DataFrame, index: Index) -> tuple[Floats, Floats]:
    """Of each unit's variance the shares that classes and that descriptors explain, at least 0; NaN where no more is
    explained than on shifted activations.
    """
    rows = index.explained[index.explained["n_terms"] > 0].reindex(units["neuron_id"])
    by_classes, by_descriptors = (rows[name].to_numpy(np.float64) for name in ("by_classes", "by_descriptors"))
    return np.maximum(by_classes, 0), np.maximum(by_descriptors, 0)


def explained_by(kind: str, units: pd.DataFrame, index: Index) -> Mask:
    """Which units are explained by ``descriptors`` and by no class, or by ``classes`` and by no descriptor."""
    by_classes, by_descriptors = shares(units, index)
    own, other = (by_descriptors, by_classes) if kind == "descriptors" else (by_classes, by_descriptors)
    return (own >= EXPLAINS) & (other < EXPLAINS)


def order_of(by: str, units: pd.DataFrame, index: Index) -> NDArray[np.int64]:
    """Places of units by ``surprise`` or ``disagreement``: largest first, equal ones as they stand, unknown last."""
    if by == "surprise":
        return np.argsort(-best_of(units, index), kind="stable")
    by_classes, by_descriptors = shares(units, index)
    return np.argsort(-np.abs(by_classes - by_descriptors), kind="stable")
