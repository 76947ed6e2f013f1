"""What is varied in a set of made sounds, and what each of its sounds is: a row a stimulus, factor to level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod

import numpy as np

from core.results import IntArray

ONE_STEP_FROM = 5
"""Levels of an ordered factor from which on a neighbour counts as the same place: of fewer, most are neighbours."""


@dataclass(frozen=True)
class Factor:
    """One thing that is varied.

    Attributes
    ----------
    name : str
    levels : tuple of str
        As they are shown.
    values : tuple of float
        Each level's number, in ``unit``; of a factor without order its place, from 0.
    unit : str
        Of the values; empty where the factor has no order.
    """

    name: str
    levels: tuple[str, ...]
    values: tuple[float, ...]
    unit: str = ""

    @classmethod
    def ordered(cls, name: str, values: Sequence[float], unit: str, levels: Sequence[str] = ()) -> Factor:
        """A factor whose levels rise; they are called by their numbers unless they have names."""
        shown = tuple(levels) or tuple(f"{value:g} {unit}" for value in values)
        return cls(name, shown, tuple(map(float, values)), unit)

    @classmethod
    def of_kinds(cls, name: str, levels: Sequence[str]) -> Factor:
        """A factor whose levels have no order."""
        return cls(name, tuple(levels), tuple(map(float, range(len(levels)))))

    @property
    def is_ordered(self) -> bool:
        return bool(self.unit)

    @property
    def n_levels(self) -> int:
        return len(self.levels)

    @property
    def step(self) -> int:
        """Levels by which two places may differ and still count as the same (`ONE_STEP_FROM`)."""
        return int(self.is_ordered and self.n_levels >= ONE_STEP_FROM)


@dataclass(frozen=True)
class Design:
    """Every combination of the factors' levels, each ``repetitions`` times; the last changes fastest."""

    factors: tuple[Factor, ...]
    repetitions: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Levels of each factor, then the repetitions."""
        return (*(factor.n_levels for factor in self.factors), self.repetitions)

    @property
    def n_stimuli(self) -> int:
        return prod(self.shape)

    @cached_property
    def table(self) -> IntArray:
        """Level of each factor by stimulus, (n_stimuli, n_factors)."""
        return np.stack(np.unravel_index(np.arange(self.n_stimuli), self.shape)[:-1], axis=1)

    @property
    def terms(self) -> list[tuple[int, ...]]:
        """Main effects and interactions of two, as places of factors: what responses are taken apart into."""
        places = range(len(self.factors))
        return [*((f,) for f in places), *combinations(places, 2)]

    def degrees(self, term: tuple[int, ...]) -> int:
        """Degrees of freedom of an effect."""
        return prod(self.shape[f] - 1 for f in term)

    @property
    def residual_degrees(self) -> int:
        """Of what the effects leave."""
        return self.n_stimuli - 1 - sum(map(self.degrees, self.terms))

    def strata(self, factor: int) -> IntArray:
        """Stimuli that differ in nothing but a factor's level and the repetition, a row each set of them."""
        places = np.arange(self.n_stimuli).reshape(self.shape)
        n = self.shape[factor] * self.repetitions
        return np.moveaxis(places, factor, -2).reshape(-1, n)
