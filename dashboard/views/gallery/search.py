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
_SPACES = "_-\N{NON-BREAKING HYPHEN}"
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
    predicts, classes : tuple of str
        Terms, each text once; of each the names of its classes as `normal` writes them, a line each.
    surprise : ndarray of float, shape (n,)
        Correlation less what dealt descriptions reach.
    """

    neuron_id: Ids
    texts: tuple[str, ...]
    place: NDArray[np.int64]
    predicts: tuple[str, ...]
    classes: tuple[str, ...]
    surprise: Floats


def index_of(said: pd.DataFrame) -> Index:
    """Make ready what is looked through.

    Parameters
    ----------
    said : DataFrame
        Of `db.reads.descriptions.searched`.
    """
    place, predicts = pd.factorize(said["predicts"])
    surprise = (said["correlation"] - said["null_correlation_high"]).to_numpy(np.float64)
    return Index(
        said["neuron_id"].to_numpy(np.int64), _all_normal(said["description"]), place.astype(np.int64),
        tuple(map(str, predicts)), tuple(map(_classes_in, predicts)), surprise,
    )  # fmt: skip


def _all_normal(texts: Iterable[str]) -> tuple[str, ...]:
    """As `normal` writes each, but all at once: of tens of thousands it takes a quarter of the time."""
    each = tuple(texts)
    together = "\n".join(each).lower()
    for mark in _SPACES:
        together = together.replace(mark, " ")
    while "  " in together:
        together = together.replace("  ", " ")
    found = tuple(together.split("\n"))
    return found if len(found) == len(each) and "\t" not in together else tuple(map(normal, each))


def _classes_in(predicts: str) -> str:
    if "class:" not in predicts:
        return ""
    terms = (term.strip().partition(":") for term in predicts.split(";"))
    return "\n".join(normal(name) for kind, _, name in terms if kind == "class")


def normal(text: str) -> str:
    """As texts are compared: lower case, one space between words, hyphens and underscores as spaces."""
    for mark in _SPACES:
        text = text.replace(mark, " ")
    return " ".join(text.lower().split())


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
    of_terms = np.array([begins(text, names) for names in index.classes], dtype=np.bool_)
    if means:
        terms = re.compile("|".join(map(_term, means)))
        of_terms |= np.array([terms.search(predicts) is not None for predicts in index.predicts], dtype=np.bool_)
    found = of_terms[index.place]
    if means:
        return found
    return found | np.fromiter((begins(text, said) for said in index.texts), np.bool_, len(index.texts))


def _term(means: Reading) -> str:
    """What finds a term like ``descriptor:f0 very high`` or ``descriptor:f0>300`` of much or little of a descriptor."""
    ways = {"high": " (?:very )?high|>", "low": " (?:very )?low|<"}.get(means.way, "[ <>]")
    return rf"(?<!\w)descriptor: *{re.escape(means.name)}(?:{ways})"


def best_of(units: pd.DataFrame, index: Index) -> Floats:
    """Each unit's surprise: that of the description that exceeds dealt ones most; NaN where there is none."""
    ids, start = np.unique(index.neuron_id, return_index=True)
    known = np.where(np.isnan(index.surprise), -np.inf, index.surprise)
    most = np.maximum.reduceat(known, start) if len(ids) else known
    found = pd.Series(most, index=ids).reindex(units["neuron_id"]).to_numpy(np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def shares(units: pd.DataFrame, explained: pd.DataFrame) -> tuple[Floats, Floats]:
    """Of each unit's variance the shares that classes and that descriptors explain, at least 0; NaN where no more is
    explained than on shifted activations.

    Parameters
    ----------
    units : DataFrame
        ``neuron_id``.
    explained : DataFrame
        Of `db.reads.descriptions.explanations`.
    """
    known = explained[explained["n_terms"] > 0].drop_duplicates("neuron_id").set_index("neuron_id")
    rows = known.reindex(units["neuron_id"])
    by_classes, by_descriptors = (rows[name].to_numpy(np.float64) for name in ("by_classes", "by_descriptors"))
    return np.maximum(by_classes, 0), np.maximum(by_descriptors, 0)


def explained_by(kind: str, units: pd.DataFrame, explained: pd.DataFrame) -> Mask:
    """Which units are explained by ``descriptors`` and by no class, or by ``classes`` and by no descriptor."""
    by_classes, by_descriptors = shares(units, explained)
    own, other = (by_descriptors, by_classes) if kind == "descriptors" else (by_classes, by_descriptors)
    return (own >= EXPLAINS) & (other < EXPLAINS)


def by_surprise(units: pd.DataFrame, index: Index) -> NDArray[np.int64]:
    """Places of units, the largest surprise first: equal ones as they stand, unknown last."""
    return np.argsort(-best_of(units, index), kind="stable")


def by_disagreement(units: pd.DataFrame, explained: pd.DataFrame) -> NDArray[np.int64]:
    """Places of units, the largest distance between `shares` first: equal ones as they stand, unknown last."""
    by_classes, by_descriptors = shares(units, explained)
    return np.argsort(-np.abs(by_classes - by_descriptors), kind="stable")
