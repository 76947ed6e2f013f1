"""Terms: what a description says a unit answers to, in words that predict activations.

``class:dog bark`` is a clip of that class. ``descriptor:flatness high`` rises with the rank of flatness among drawn
moments, from 0 to 1, ``low`` falls; ``very high`` and ``very low`` rise over the outermost fifth alone;
``descriptor:flatness>0.7`` (or ``<``) is 1 beyond a number in the descriptor's unit. Terms stand beside each other with
``;`` between. Plain text is searched for names of classes and words of descriptors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.describe.acoustics import Floats
from core.describe.descriptors import NAMES, PLACE, VOICE, words
from core.results import IntArray, Mask

HOW = ("high", "very high", "low", "very low")
TAIL = 0.2
"""Share of moments over which ``very`` rises."""
_DESCRIPTOR = re.compile(r"(?P<name>.+?)\s*(?:(?P<how>(?:very )?(?:high|low))|(?P<beyond>[<>]\s*-?\d+(?:\.\d+)?))?")
_LEAST_WORD = 3


@dataclass(frozen=True)
class Term:
    """One thing that a description names; ``how`` is of `HOW` or like ``>0.7``, empty for a class."""

    kind: str
    name: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}{'' if self.how[:1] in ('', '<', '>') else ' '}{self.how}"


@dataclass(frozen=True)
class Vocabulary:
    """What terms can name, and what the names mean in a dataset.

    Attributes
    ----------
    classes : mapping of str to ndarray of bool, shape (n_clips,)
        By name which of the drawn clips have it.
    reference : ndarray of float32, shape (n, n_descriptors)
        Moments among which ranks are told.
    """

    classes: Mapping[str, Mask]
    reference: Floats

    @cached_property
    def _sorted(self) -> list[Floats]:
        return [np.sort(column[np.isfinite(column)]) for column in self.reference.T]

    def tells(self, name: str) -> bool:
        """Whether a descriptor was asked for: those of voices are told of no moment where they were not."""
        return name not in VOICE or bool(len(self._sorted[PLACE[name]]))

    @cached_property
    def _by_word(self) -> dict[str, Term]:
        """Every phrase that plain text may hold; classes first, as they are a dataset's own."""
        found: dict[str, Term] = {}
        said = words()
        for name in (one for one in NAMES if self.tells(one)):
            for how in ("high", "low"):
                found |= {phrase.lower(): Term("descriptor", name, how) for phrase in said[f"{name} {how}"]}
            found |= {f"{how} {name}": Term("descriptor", name, how) for how in HOW}
        return found | {plain(name): Term("class", name) for name in self.classes if len(plain(name)) >= _LEAST_WORD}

    def ranks(self, place: int, values: Floats) -> Floats:
        """Share of the reference below each value, half of what is equal among it; 0.5 where there is none."""
        known = self._sorted[place]
        if not len(known):
            return np.full(len(values), 0.5, dtype=np.float32)
        below, up_to = (np.searchsorted(known, values, side) for side in ("left", "right"))
        rank = (below + up_to) / (2 * len(known))
        return np.where(np.isfinite(values), rank, 0.5).astype(np.float32)

    def value(self, term: Term, clip: IntArray, sound: Floats) -> Floats:
        """A term at each moment, from 0 to 1, shape (n,)."""
        if term.kind == "class":
            return self.classes[term.name][clip].astype(np.float32)
        place = PLACE[term.name]
        if term.how[0] in "<>":
            limit = float(term.how[1:])
            beyond = sound[:, place] > limit if term.how[0] == ">" else sound[:, place] < limit
            return beyond.astype(np.float32)
        return shaped(self.ranks(place, sound[:, place]), term.how)

    def predict(self, terms: Sequence[Term], clip: IntArray, sound: Floats) -> Floats:
        """What a description predicts, shape (n,): the mean of its descriptors and of "any of its classes".

        Nothing is fitted to the unit, so that a class too many or too few costs something.
        """
        classes = [self.value(term, clip, sound) for term in terms if term.kind == "class"]
        parts = [np.max(classes, axis=0)] if classes else []
        parts += [self.value(term, clip, sound) for term in terms if term.kind != "class"]
        return np.asarray(np.mean(parts, axis=0), dtype=np.float32)

    def read(self, text: str) -> tuple[list[Term], list[str]]:
        """Terms of a description, and what of it could not be understood.

        Parameters
        ----------
        text : str
            Terms with ``;`` between, or plain text.
        """
        if not re.search(r"\b(?:class|descriptor):", text):
            return self._of_plain(text)
        terms, unknown = [], []
        for part in filter(None, (part.strip() for part in text.split(";"))):
            term = self._of_part(part)
            if term is None:
                unknown.append(part)
            else:
                terms.append(term)
        return list(dict.fromkeys(terms)), unknown

    def _of_part(self, part: str) -> Term | None:
        kind, _, rest = (piece.strip() for piece in part.partition(":"))
        if kind == "class":
            names = {plain(name): name for name in self.classes}
            return Term("class", names[plain(rest)]) if plain(rest) in names else None
        found = _DESCRIPTOR.fullmatch(rest.lower())
        places = {name.lower(): name for name in PLACE}
        if kind != "descriptor" or not found or found["name"] not in places:
            return None
        beyond = (found["beyond"] or "").replace(" ", "")
        return Term("descriptor", places[found["name"]], beyond or found["how"] or "high")

    def _of_plain(self, text: str) -> tuple[list[Term], list[str]]:
        left, terms = f" {plain(text)} ", []
        for phrase in sorted(self._by_word, key=len, reverse=True):
            if re.search(rf"(?<![\w-]){re.escape(phrase)}(?:s|es)?(?![\w-])", left):
                left = re.sub(rf"(?<![\w-]){re.escape(phrase)}(?:s|es)?(?![\w-])", " ; ", left)
                terms.append(self._by_word[phrase])
        # A descriptor both ways says nothing: the longer phrase, found first, stays.
        kept: dict[tuple[str, str], Term] = {}
        for term in terms:
            kept.setdefault((term.kind, term.name), term)
        return list(kept.values()), [part.strip() for part in left.split(";") if part.strip()]


def plain(text: str) -> str:
    """As words are compared: lower case, one space between."""
    return " ".join(re.sub(r"[^\w\s<>.#-]", " ", text.lower().replace("_", " ")).split())


def shaped(rank: Floats, how: str) -> NDArray[np.float32]:
    """A rank from 0 to 1 as one of `HOW`: monotone, from 0 to 1."""
    rank = 1 - rank if how.endswith("low") else rank
    return np.maximum(rank - (1 - TAIL), 0) / np.float32(TAIL) if how.startswith("very") else rank
