"""What a class's segments give when classes are dealt anew: over the segments of a clip, over clips of one class.

Shifted labels tell a unit that fires *when* a class sounds from one that fires at other times; where there is silence
between sounds, a unit that answers to every sound does that, too. Dealt classes tell which sound: they stay on the
segments, each segment once, and every deal is as likely. A segment counts with the share of its tokens in which the
unit fires, so that long ones weigh no more than short ones. Under that null a class's segments are a random sample
without replacement of its clip's; moments are those of `core.evidence.permutation`, each clip a stratum. Clips of one
class are dealt whole (groups of them first), on counts inside segments. The two kinds of clips are dealt independently,
and their p combined (Stouffer's method, each weighted by the root of the class's clips: Lipták 1958).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from core.evidence.exchange import Exchange
from core.evidence.exchange_of_task import exchange_of
from core.evidence.permutation import ClipCounts, evidence
from core.evidence.sampling import factors, log_ways
from core.results import FloatArray, IntArray, Mask
from core.timing.shifts import Columns, Moments, product
from core.timing.tracks import Track, Tracks

_MOST_P = 0.999
"""Of a part: one that cannot be larger than 1, and says no more than that, must not undo the other."""


@dataclass(frozen=True)
class Deals:
    """How the classes of some clips are dealt; what does not depend on the layer.

    Attributes
    ----------
    n_within, n_single : ndarray of int, shape (n_classes,)
        Clips of each class that have other classes, too; those that have it alone.
    log_least : ndarray of float, shape (n_classes,)
        Logarithm of the smallest p over the segments of clips.
    single : ndarray of int
        Clips of one class.
    members : ndarray of bool, shape (n_single, n_classes)
    exchange : Exchange or None
        How these may change places, if they are of two classes or more.
    """

    n_within: IntArray
    n_single: IntArray
    log_least: FloatArray
    single: IntArray
    members: Mask
    exchange: Exchange | None

    @classmethod
    def of(cls, tracks: Tracks, chosen: IntArray) -> Deals:
        """Of clips in ascending order."""
        task = tracks.task
        n_within, n_single = (np.zeros(len(task.class_names), dtype=np.int64) for _ in range(2))
        least, single = np.zeros(len(n_within)), []
        for clip in chosen.tolist():
            of = tracks.of(clip, 0)
            (n_within if of.is_within else n_single)[of.classes] += 1
            if of.is_within:
                least[of.classes] += log_least(of.masks)
            elif len(of.classes):
                single.append(clip)
        is_single = np.zeros(len(task.members), dtype=np.bool_)
        is_single[single] = True
        exchange = exchange_of(task, is_single) if np.count_nonzero(n_single) > 1 else None
        return cls(n_within, n_single, least, np.array(single, dtype=np.int64), task.members[is_single], exchange)

    @property
    def description(self) -> str:
        """What is dealt over what, in words; empty if nothing can be."""
        within = "classes dealt over the segments of each clip" if self.n_within.any() else ""
        if self.exchange is None:
            return within
        whole = "those of clips of one class over" if within else "classes dealt over"
        return f"{within}{', ' if within else ''}{whole} {self.exchange.description}"

    def warnings(self, class_names: Sequence[str]) -> Iterator[str]:
        """What dealing cannot tell, a line each."""
        if self.exchange is not None:
            if self.exchange.warning and not self.n_within.any():
                yield self.exchange.warning
        elif len(class_names) > 1:
            stuck = [class_names[k] for k in np.flatnonzero((self.n_single > 0) & (self.n_within == 0)).tolist()]
            if stuck:
                yield (
                    f"{stuck[0]} is alone in its clips, and no other class is in any: nothing tells a unit of it from "
                    "one of every sound, none is found"
                )


class Dealt:
    """Sums of one block of layers."""

    def __init__(self, deals: Deals, n_units: int) -> None:
        self._deals = deals
        self._within = Moments.none(len(deals.n_within), n_units)
        n_single = len(deals.single) if deals.exchange else 0
        self._positive, self._tokens = np.zeros((n_single, n_units), np.int64), np.zeros(n_single, np.int64)
        self._row = {clip: row for row, clip in enumerate(deals.single[:n_single].tolist())}

    def add(self, track: Track, fires: Columns) -> None:
        """One clip more; on the columns of another layer one of two classes may have one, or none."""
        row = self._row.get(track.clip)
        if row is not None:
            labelled = np.asarray(track.masks.any(axis=0), dtype=np.float32)
            self._positive[row], self._tokens[row] = product(labelled, fires), labelled @ track.cells
        elif track.is_within:
            add_dealt(self._within, fires, track.cells, track.classes, track.masks)

    def p(self) -> FloatArray:
        """Of each class and unit, (n_classes, n_units); 0 where there is one class: nothing can be dealt for it."""
        deals, within = self._deals, self._within
        if len(deals.n_within) == 1:
            return np.zeros(within.positive.shape)
        p = np.maximum(within.upper_tail(within.positive), np.exp(deals.log_least)[:, None])
        if deals.exchange is None:
            return p
        of_units = deals.members[deals.exchange.first]
        clips = ClipCounts.of(self._positive, self._tokens, deals.exchange)
        of_clips = evidence(clips, clips.by_class(of_units)[0], of_units)[1]
        weights = deals.n_within[:, None] * within.varies, deals.n_single[:, None] * clips.varies
        return _combined((p, of_clips), weights)


def _combined(p: tuple[FloatArray, FloatArray], weights: tuple[IntArray, IntArray]) -> FloatArray:
    """Of two independent p; that of the one part where the other weighs nothing, 1 where neither weighs."""
    z = [np.where(weight > 0, -ndtri(np.minimum(of, _MOST_P)), 0) for of, weight in zip(p, weights, strict=True)]
    whole = weights[0] + weights[1]
    total = (np.sqrt(weights[0]) * z[0] + np.sqrt(weights[1]) * z[1]) / np.sqrt(np.maximum(whole, 1))
    both: FloatArray = np.where((weights[0] > 0) & (weights[1] > 0), ndtr(-total), np.where(weights[0] > 0, *p))
    return np.where(whole > 0, both, 1.0)


def runs(masks: Mask) -> tuple[IntArray, Mask]:
    """Stretches of columns that follow each other in one class: the class of each (a row of masks), and its columns.

    Examples
    --------
    >>> of, columns = runs(np.array([[True, True, False, True], [False, True, True, False]]))
    >>> of.tolist(), columns.astype(int).tolist()
    ([0, 0, 1], [[1, 1, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]])
    """
    of, first = np.nonzero(np.diff(masks, axis=1, prepend=False) & masks)
    stop = np.nonzero(np.diff(masks, axis=1, append=False) & masks)[1] + 1
    column = np.arange(masks.shape[1])
    return of, (column >= first[:, None]) & (column < stop[:, None])


def add_dealt(sums: Moments, fires: Columns, cells: Columns, classes: IntArray, masks: Mask) -> None:
    """Add what the segments of a clip of several classes give, and what deals give.

    Parameters
    ----------
    sums : Moments
        Of shares instead of counts.
    fires : ndarray of float32, shape (n_columns, n_units)
        In how many tokens of a column a unit fires.
    cells : ndarray of float32, shape (n_columns,)
        Tokens of each column.
    classes : ndarray of int, shape (n_masks,)
    masks : ndarray of bool, shape (n_masks, n_columns)
    """
    of, columns = runs(masks)
    inside = columns.astype(np.float32)
    shares = product(inside, fires) / (inside @ cells)[:, None]
    mean = shares.mean(axis=0, dtype=np.float64)
    away = (shares - mean).astype(np.float32)
    drawn = np.bincount(of, minlength=len(classes)).astype(np.float64)
    is_of = (of == np.arange(len(classes))[:, None]).astype(np.float32)
    spread, lean = factors(drawn, np.full(len(classes), float(len(of))))
    sums.positive[classes] += product(is_of, away) + drawn[:, None] * mean
    sums.mean[classes] += drawn[:, None] * mean
    squared = away * away
    sums.variance[classes] += spread[:, None] * squared.mean(axis=0)
    sums.third[classes] += lean[:, None] * (squared * away).mean(axis=0)


def log_least(masks: Mask) -> FloatArray:
    """Logarithm of the share of deals that give a class of one clip the very same segments, (n_masks,)."""
    of = runs(masks)[0]
    drawn = np.bincount(of, minlength=len(masks)).astype(np.float64)
    return -log_ways(drawn, np.full(len(masks), float(len(of))))
