"""Units of a model in words: what explains them on selection clips, scored on held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd

from core.datasets import folds
from core.datasets.groups import telling_attributes
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.describe.acoustics import Floats
from core.describe.deals import N_DEALS, deals
from core.describe.descriptors import NAMES
from core.describe.explain import LEAST, N_FOLDS, N_SHIFTS, UNITS_AT_ONCE, Explained, Table, explain
from core.describe.referee import N_DEALT, Beside, blocks, referee, together
from core.describe.sentence import Facts, ancestor, sentence, strongest, trees
from core.describe.terms import HOW, Term, Vocabulary
from core.describe.tokens import Tokens
from core.evidence.exchange_of_task import group_of_scan
from core.results import FloatArray, IntArray, Mask

MOST_CLIPS = 400
"""That explain, and that are held out, at most."""
FEWEST_CLIPS = 20
OURS = "atlas"
_SAME = "harmonicity"
"""Is voicing in decibels, of the same ranks: a unit is told by the latter."""


@dataclass(frozen=True)
class Drawn:
    """Clips that explain, then those held out; of each, group after group in random order.

    Attributes
    ----------
    clips : ndarray of int
        Positions in the dataset.
    n_chosen : int
        The first of them explain.
    group : ndarray of int, shape (n_clips,)
        From 0, ascending among those that explain, and among those held out.
    """

    clips: IntArray
    n_chosen: int
    group: IntArray

    @property
    def n_groups(self) -> int:
        """Of the clips that explain."""
        return int(self.group[: self.n_chosen].max(initial=-1)) + 1


def draw(scan: Scan, heard: Mask, seed: int) -> Drawn:
    """Draw clips; ``heard`` tells which have a counted token, shape (n_clips,)."""
    roles = folds.roles(np.array([clip.split for clip in scan.dataset.clips], dtype=np.str_))
    known = group_of_scan(scan)
    group = np.arange(len(roles)) if known is None else known
    rng = np.random.default_rng([seed, len(roles)])
    place = rng.permutation(int(group.max(initial=0)) + 1)[group]
    parts = []
    for splits in (("train", "valid"), ("test",)):
        clips = rng.permutation(np.flatnonzero(heard & np.isin(roles, splits)))[:MOST_CLIPS]
        parts.append(clips[np.argsort(place[clips], kind="stable")])
    of_parts = [np.unique(place[part], return_inverse=True)[1].astype(np.int64) for part in parts]
    return Drawn(np.concatenate(parts), len(parts[0]), np.concatenate(of_parts))


@dataclass(frozen=True)
class Heard:
    """Drawn moments of drawn clips of a dataset, and what terms can say of them."""

    scan: Scan
    drawn: Drawn
    tokens: Tokens
    seed: int

    @cached_property
    def chosen(self) -> slice:
        """Moments that explain."""
        return slice(0, int(np.searchsorted(self.tokens.clip, self.drawn.n_chosen)))

    @cached_property
    def held_out(self) -> slice:
        """The others."""
        return slice(self.chosen.stop, len(self.tokens.clip))

    @cached_property
    def members(self) -> dict[str, dict[str, Mask]]:
        """By attribute and class which of the drawn clips have it; classes of two clips that explain and more."""
        found = {}
        for attribute in telling_attributes(self.scan):
            task = Task(self.scan, attribute)
            of_clips = task.members[self.drawn.clips]
            kept = np.flatnonzero(of_clips[: self.drawn.n_chosen].sum(axis=0) > 1)
            found[attribute] = {task.class_names[i]: of_clips[:, i] for i in kept}
        return found

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Classes of all attributes; those of one name together."""
        classes: dict[str, Mask] = {}
        for name, mask in chain.from_iterable(of.items() for of in self.members.values()):
            classes[name] = classes[name] | mask if name in classes else mask
        return Vocabulary(classes, self.tokens.sound[self.chosen])

    @cached_property
    def terms(self) -> list[Term]:
        """What a unit may be explained by."""
        classes = [Term("class", name) for name in self.vocabulary.classes]
        told = [name for name in NAMES if name != _SAME and self.vocabulary.tells(name)]
        return classes + [Term("descriptor", name, how) for name in told for how in HOW]

    def table(self, terms: Sequence[Term], where: slice) -> Floats:
        """Terms at some moments, shape (n, n_terms)."""
        clip, sound = self.tokens.clip[where], self.tokens.sound[where]
        columns = [self.vocabulary.value(term, clip, sound) for term in terms]
        return np.column_stack(columns) if columns else np.zeros((len(clip), 0), dtype=np.float32)

    def deals(self, where: slice, n: int) -> IntArray:
        """Those clips dealt anew, shape (n, n_moments)."""
        clip = self.tokens.clip[where]
        return deals(clip, self.drawn.group[clip], n, self.seed)

    @cached_property
    def majority(self) -> Term | None:
        """The most frequent class of the first attribute, as one would guess without hearing anything."""
        sizes = {name: int(mask[: self.drawn.n_chosen].sum()) for of in [*self.members.values()][:1]
                 for name, mask in of.items()}  # fmt: skip
        return Term("class", max(sizes, key=lambda name: sizes[name])) if sizes else None


def n_steps(n_units: int, n_shifts: int) -> int:
    """Steps that `own` tells of."""
    return -(-n_units // UNITS_AT_ONCE) * (1 + n_shifts)


def own(heard: Heard, on_step: Callable[[], None]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Describe every unit that varies and of which more is explained than on shifts.

    Returns
    -------
    (DataFrame, DataFrame)
        ``described`` and ``explained`` as of `core.results.Descriptions`.
    """
    n_units = heard.tokens.values.shape[1]
    x, unseen = (heard.table(heard.terms, where) for where in (heard.chosen, heard.held_out))
    names = {name: i for i, name in enumerate(dict.fromkeys((term.kind, term.name) for term in heard.terms))}
    base = np.array([names[term.kind, term.name] for term in heard.terms])
    is_class = np.array([term.kind == "class" for term in heard.terms])
    is_level = np.array([term.name == "level" and term.kind != "class" for term in heard.terms])
    fold = heard.drawn.group[heard.tokens.clip[heard.chosen]]
    n_groups = heard.drawn.n_groups
    table = Table(x, base, is_class, fold * min(N_FOLDS, n_groups) // n_groups)
    shifts = heard.deals(heard.chosen, N_SHIFTS)
    told = []
    terms: dict[int, list[Term]] = {}
    words: dict[int, tuple[list[str], str, float]] = {}
    for start in range(0, n_units, UNITS_AT_ONCE):
        units = np.arange(start, min(start + UNITS_AT_ONCE, n_units))
        y = np.ascontiguousarray(heard.tokens.values[heard.chosen, units[0] : units[-1] + 1])
        found = explain(table, y, is_level, shifts, on_step)
        later = found.held_out(unseen, heard.tokens.values[heard.held_out, units[0] : units[-1] + 1])
        told.append(_told(units, found, later))
        of_classes = _Strongest(heard, y)
        for i in np.flatnonzero(found.named).tolist():
            unit = int(units[i])
            terms[unit] = [heard.terms[t] for t in found.both.terms[i] if t >= 0]
            share = later["by_level"][i] / later["by_both"][i] if later["by_both"][i] > LEAST else 0.0
            words[unit] = (*of_classes.of(i, found.classes.explained[i] >= LEAST), share)
    described = scored(heard, terms, terms)
    columns = (described[name].tolist() for name in ("neuron_index", "correlation", "shifted_high"))
    text = [sentence(terms[unit], Facts(r, high, *words[unit])) for unit, r, high in zip(*columns, strict=True)]
    return described.assign(description=text, author=OURS), pd.concat(told, ignore_index=True)


def _told(units: IntArray, found: Explained, later: dict[str, FloatArray]) -> pd.DataFrame:
    """Rows of units that vary."""
    rows = pd.DataFrame(
        {
            "neuron_index": units, "n_terms": np.where(found.named, (found.both.terms >= 0).sum(axis=1), 0), **later,
            "validated": found.both.explained, "validated_high": found.null_high,
        }
    )  # fmt: skip
    return rows[found.size > 0].replace([np.inf, -np.inf], np.nan)


class _Strongest:
    """Classes of the first attribute in which units of a block are strongest, and what these have in common."""

    def __init__(self, heard: Heard, y: Floats) -> None:
        first = next(iter(heard.members), "")
        self._classes = heard.members.get(first, {})
        clip = heard.tokens.clip[heard.chosen]
        x = np.column_stack([np.zeros((len(clip), 0)), *(mask[clip] for mask in self._classes.values())])
        self._means = (x.T.astype(np.float32) @ y) / np.maximum(x.sum(axis=0), 1)[:, None]
        self._overall, self._spread = y.mean(axis=0), y.std(axis=0)
        labels = {name: [c.labels.get(name, "") for c in heard.scan.dataset.clips] for name in heard.members}
        self._above = trees(labels).get(first, [])

    def of(self, i: int, explains: bool) -> tuple[list[str], str]:
        """Names, and their ancestor; none where classes explain nothing."""
        means = dict(zip(self._classes, self._means[:, i].tolist(), strict=True)) if explains else {}
        names = strongest(means, float(self._overall[i]), float(self._spread[i]))
        return names, ancestor(names, self._above)


def scored(heard: Heard, terms: dict[int, list[Term]], dealt: dict[int, list[Term]]) -> pd.DataFrame:
    """Score descriptions of units on held-out clips.

    Parameters
    ----------
    terms : dict of int to list of Term
        By unit; none is empty.
    dealt : dict of int to list of Term
        Descriptions of units, of which some are dealt to every unit: those of other words than its own.

    Returns
    -------
    DataFrame
        ``neuron_index``, ``predicts`` and the scores of `core.results.Descriptions.described`.
    """
    clip, sound = heard.tokens.clip[heard.held_out], heard.tokens.sound[heard.held_out]
    vocabulary, rng = heard.vocabulary, np.random.default_rng(heard.seed)
    others = [dealt[unit] for unit in rng.permutation(sorted(dealt))[:N_DEALT].tolist()]

    def predict(several: Sequence[list[Term]]) -> Floats:
        columns = [vocabulary.predict(of, clip, sound) for of in several]
        return np.stack(columns, axis=1) if columns else np.zeros((len(clip), 0), np.float32)

    guess = [[heard.majority]] if heard.majority else []
    words, dealt_clips = [in_words(of) for of in others], heard.deals(heard.held_out, N_DEALS)
    beside = Beside(predict(others), np.array(words, dtype=np.str_), predict(guess), dealt_clips)
    parts = []
    for units in blocks(sorted(terms)):
        y = np.asarray(heard.tokens.values[heard.held_out][:, units], dtype=np.float32)
        own = [terms[unit] for unit in units]
        parts.append(referee(units, [in_words(of) for of in own], predict(own), y, clip, beside))
    return together(parts)


def in_words(terms: Sequence[Term]) -> str:
    """Terms as they are written, in one order."""
    return "; ".join(sorted(map(str, terms)))
