"""What may be dealt anew under the null: clips, clips within a group, or whole groups.

Clips of one voice are alike whatever their class is, so shuffling labels over all clips asks the
wrong question wherever a voice, a source or a recording is known: it breaks the voices up as well.
What may change places without changing the distribution is (Good 2005, *Permutation, Parametric
and Bootstrap Tests*, restricted permutation; Winkler et al. 2015, multi-level exchangeability):

- the labels of clips of one group, where the group holds several classes;
- the labels of whole groups, among the groups that hold one class only.

`core.evidence.exchange_of_task` decides which of them a task allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.evidence.sampling import log_ways
from core.results import FloatArray, IntArray, Mask


@dataclass(frozen=True)
class Exchange:
    """Units whose labels are dealt anew, each only within its stratum.

    Attributes
    ----------
    unit : ndarray of int, shape (n_clips,)
        Unit of each clip, from 0; all clips of a unit have the same labels.
    stratum : ndarray of int, shape (n_units,)
        Stratum of each unit, from 0.
    description : str
        What is shuffled, in words.
    warning : str
        What this cannot tell, in words; empty if nothing.
    """

    unit: IntArray
    stratum: IntArray
    description: str
    warning: str = ""

    @classmethod
    def of_clips(cls, n_clips: int, description: str = "clips", warning: str = "") -> Exchange:
        """Every clip with every other."""
        return cls(np.arange(n_clips), np.zeros(n_clips, dtype=np.int64), description, warning)

    @cached_property
    def first(self) -> IntArray:
        """First clip of each unit: its labels are the unit's."""
        first: IntArray = np.unique(self.unit, return_index=True)[1]
        return first

    @cached_property
    def sizes(self) -> IntArray:
        """Units of each stratum."""
        sizes: IntArray = np.bincount(self.stratum)
        return sizes

    def sums(self, of_clips: NDArray[np.number]) -> NDArray[np.number]:
        """Sums over each unit's clips, (n_units, ...), of values (n_clips, ...)."""
        if len(self.stratum) == len(self.unit):  # units are clips, numbered as they come
            return of_clips
        order = np.argsort(self.unit, kind="stable")
        starts = np.searchsorted(self.unit[order], np.arange(len(self.stratum)))
        return np.asarray(np.add.reduceat(of_clips[order], starts, axis=0))

    def drawn(self, members: Mask) -> IntArray:
        """Units of each class in each stratum, (n_classes, n_strata); ``members`` tells each unit's classes."""
        drawn = np.zeros((members.shape[1], len(self.sizes)), dtype=np.int64)
        unit, class_index = np.nonzero(members)
        np.add.at(drawn, (class_index, self.stratum[unit]), 1)
        return drawn

    def deal(self, rng: np.random.Generator) -> IntArray:
        """For each unit the unit whose labels it gets."""
        n_units = len(self.stratum)
        if len(self.sizes) == 1:
            return rng.permutation(n_units)
        dealt = np.empty(n_units, dtype=np.int64)
        dealt[np.argsort(self.stratum, kind="stable")] = np.lexsort((rng.random(n_units), self.stratum))
        return dealt

    def least_p(self, drawn: IntArray) -> FloatArray:
        """One over the number of ways to draw each class's units: no p of the class is smaller."""
        n, size = drawn.astype(np.float64), self.sizes.astype(np.float64)
        least: FloatArray = np.exp(-log_ways(n, size).sum(axis=1))
        return least


def deal_groups(unit: IntArray, rng: np.random.Generator) -> IntArray:
    """For each clip the clip whose answers it gets: each sampling unit has those of another, clips in random order.

    So what makes the clips of a unit alike stays. A unit that is larger than the one whose answers it gets has some
    of them several times, a smaller one lacks some; where all are of one size, clips only change places.

    Parameters
    ----------
    unit : ndarray of int, shape (n_clips,)
        Sampling unit of each clip, from 0.
    """
    sizes = np.bincount(unit)
    starts = np.cumsum(sizes) - sizes
    sources, places = (np.lexsort((rng.random(len(unit)), unit)) for _ in range(2))
    rank = np.empty(len(unit), dtype=np.int64)
    rank[places] = np.arange(len(unit)) - starts[unit[places]]
    given = rng.permutation(len(sizes))[unit]
    dealt: IntArray = sources[starts[given] + rank % sizes[given]]
    return dealt
