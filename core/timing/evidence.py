"""Which units fire in a class's segments more than shifted labels give: counts, p, q, lift, the check on test clips.

The rule is that of `calibrated` (`core.selectivity.presets`): q < 0.05 over all units and classes, a rate at least
twice the mean rate of the other classes (where there is one class, the rate outside it), at least 0.02. p is the larger
of two. Shifted labels say that a unit fires *when* a class sounds, more than at other times of the same clips; where
these are silent, so does a unit that answers to every sound. Dealt classes say *which* (`core.timing.deals`). Both must
be small for the claim that is made: it answers to this class, in time (Berger 1982, intersection-union test). A single
class has shifts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.evidence.fdr import benjamini_hochberg, significant
from core.results import FloatArray, IntArray, Mask
from core.selectivity.presets import SelectionSettings, entropy, lift
from core.timing.deals import Deals, Dealt
from core.timing.shifts import Convolution, Moments, add_clip, counts_by_shift, product, shifted
from core.timing.tracks import Track, Tracks

RULE = SelectionSettings("calibrated")
N_DRAWN = 40
"""Shifted labellings of which it is told what the same rule finds in them."""
FEW_CLIPS = 20
"""A class with no more has its p by convolution."""
NEAR = 10.0
"""As have pairs whose p is no further from the line between found and not found, as a factor."""
MOST_EXACT = 256
"""Pairs of a class and block of layers, those nearest to that line."""
_HELD = 2**23
"""Columns times units that wait to be added."""
_TO_CONVOLVE = 0.1
_NOT_SMALL = 0.5
"""Standard deviations above the mean up to which no p is looked at under drawn shifts."""


@dataclass
class Counts:
    """What the units of a block of layers do in the segments of each class.

    Attributes
    ----------
    sums : Moments, (n_classes, n_units)
        Over selection clips.
    tokens, test_tokens : ndarray, shape (n_classes,)
    test_positive : ndarray, shape (n_classes, n_units)
    outside, test_outside : (positive, tokens)
        Of what is no segment, within the stretches that are shifted: (n_units,) and a number.
    by_shift, by_deal : ndarray, shape (n_classes, n_units)
        p of shifted labels, and of dealt classes.
    drawn : list of Drawn
        What each drawn shift gives.
    """

    sums: Moments
    tokens: FloatArray
    test_positive: FloatArray
    test_tokens: FloatArray
    outside: tuple[FloatArray, float]
    test_outside: tuple[FloatArray, float]
    by_shift: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    by_deal: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    drawn: list[Drawn] = field(default_factory=list)

    @classmethod
    def none(cls, n_classes: int, n_units: int) -> Counts:
        """Of no clip."""
        test = np.zeros((n_classes, n_units)), np.zeros(n_classes)
        outside = (np.zeros(n_units), 0.0), (np.zeros(n_units), 0.0)
        return cls(Moments.none(n_classes, n_units), np.zeros(n_classes), *test, *outside)


@dataclass(frozen=True)
class Drawn:
    """Pairs of one block with p < 0.05 under one drawn shift: class, unit, p, and whether rate and lift pass."""

    class_index: IntArray
    unit: IntArray
    p: FloatArray
    can_pass: Mask


class _Draws:
    """Counts of one block under the drawn shifts.

    Clips wait until there are many, and are added class by class: what a class's drawn counts take is more than a
    clip's, and would be fetched from memory for each.

    Attributes
    ----------
    positive : ndarray of float32, shape (N_DRAWN, n_classes + 1, n_units)
        The last row is of what is no segment.
    tokens : ndarray, shape (N_DRAWN, n_classes + 1)
    """

    def __init__(self, n_classes: int, n_units: int) -> None:
        self.positive = np.zeros((N_DRAWN, n_classes + 1, n_units), dtype=np.float32)
        self.tokens = np.zeros((N_DRAWN, n_classes + 1))
        self._waiting: list[tuple[Track, NDArray[np.float32], FloatArray]] = []

    def add(self, track: Track, fires: NDArray[np.float32], shares: FloatArray) -> None:
        """One clip more."""
        self._waiting.append((track, fires, shares))
        if sum(each.size for _, each, _ in self._waiting) > _HELD:
            self._add_waiting()

    def _add_waiting(self) -> None:
        if not self._waiting:
            return
        masks: dict[int, list[Mask]] = {}
        columns: dict[int, list[IntArray]] = {}
        first, rest = 0, self.tokens.shape[1] - 1
        for track, _, shares in self._waiting:
            every = np.concatenate([track.masks, ~track.masks.any(axis=0, keepdims=True)])
            moved = shifted(every, np.floor(shares * track.n).astype(np.int64))
            for place, k in enumerate([*track.classes.tolist(), rest]):
                masks.setdefault(k, []).append(moved[:, place])
                columns.setdefault(k, []).append(np.arange(first, first + track.n))
            first += track.n
        fires = np.concatenate([each for _, each, _ in self._waiting])
        cells = np.concatenate([track.cells for track, _, _ in self._waiting])
        for k, of_clips in masks.items():
            moved, own = np.concatenate(of_clips, axis=1).astype(np.float32), np.concatenate(columns[k])
            self.positive[:, k] += product(moved, fires[own])
            self.tokens[:, k] += moved @ cells[own]
        self._waiting = []

    def found(self, sums: Moments, rule: SelectionSettings) -> list[Drawn]:
        """What each shift gives, by the shift's p."""
        self._add_waiting()
        told = []
        has = np.flatnonzero((self.tokens[:, :-1] > 0).any(axis=0))
        own = sums.of(has)
        for positive, tokens in zip(self.positive, self.tokens, strict=True):
            p = own.upper_tail(positive[has], _NOT_SMALL)
            row, unit = np.nonzero(p < rule.q_max)
            some, place = np.unique(unit, return_inverse=True)
            outside = positive[-1, some].astype(np.float64), float(tokens[-1])
            rate, lifts = _rates(positive[np.ix_(has, some)].astype(np.float64), tokens[has], outside)
            can_pass = (rate >= rule.rate_min) & (lifts >= rule.lift_min)
            told.append(Drawn(has[row], unit, p[row, unit], can_pass[row, place]))
        return told


@dataclass(frozen=True)
class Design:
    """What does not depend on the layer.

    Attributes
    ----------
    chosen, tested : ndarray of int
        Clips that are counted, and those on which it is checked.
    shifts : ndarray of float, shape (n_chosen, N_DRAWN)
        Drawn shifts of each chosen clip, as shares of its stretch.
    n_clips : ndarray of int, shape (n_classes,)
        Chosen clips of each class.
    log_least : ndarray of float, shape (n_classes,)
        Logarithm of the smallest p that shifts can give.
    deals : Deals
    """

    chosen: IntArray
    tested: IntArray
    shifts: FloatArray
    n_clips: IntArray
    log_least: FloatArray
    deals: Deals

    @classmethod
    def of(cls, tracks: Tracks, selection_splits: tuple[str, ...], seed: int) -> Design:
        task = tracks.task
        clips, in_selection = tracks.clips, task.in_splits(*selection_splits)
        is_tested = task.in_splits("test") & ("test" not in selection_splits)
        chosen, tested = clips[in_selection[clips]], clips[is_tested[clips]]
        n_clips, least = np.zeros(len(task.class_names), dtype=np.int64), np.zeros(len(task.class_names))
        for clip in chosen.tolist():
            of = tracks.of(clip, 0)
            n_clips[of.classes] += 1
            least[of.classes] -= np.log(max(of.n, 1))
        shifts = np.random.default_rng([seed, len(chosen)]).random((len(chosen), N_DRAWN))
        return cls(chosen, tested, shifts, n_clips, least, Deals.of(tracks, chosen))

    @property
    def shuffled(self) -> str:
        """What is left to chance, in words."""
        dealt = self.deals.description if len(self.n_clips) > 1 else ""
        return "labels shifted in time within each clip" + (f"; {dealt}" if dealt else "")


def count(tracks: Tracks, design: Design, layers: range, step: Callable[[], None] | None = None) -> Counts:
    """Count one block of layers, clip after clip."""
    n_classes = len(tracks.task.class_names)
    width = sum(tracks.firing.widths[layers.start : layers.stop])
    counts, draws, dealt = Counts.none(n_classes, width), _Draws(n_classes, width), Dealt(design.deals, width)
    for number, clip in enumerate(design.chosen.tolist()):
        track = tracks.of(clip, layers.start)
        fires = tracks.fires(track, layers)
        add_clip(counts.sums, fires, track.classes, track.masks)
        dealt.add(track, fires)
        counts.tokens[track.classes] += track.masks @ track.cells
        counts.outside = _outside(counts.outside, track, fires)
        draws.add(track, fires, design.shifts[number])
        if step:
            step()
    for clip in design.tested.tolist():
        track = tracks.of(clip, layers.start)
        fires = tracks.fires(track, layers)
        counts.test_positive[track.classes] += product(track.masks.astype(np.float32), fires)
        counts.test_tokens[track.classes] += track.masks @ track.cells
        counts.test_outside = _outside(counts.test_outside, track, fires)
    counts.by_shift = np.maximum(counts.sums.upper_tail(counts.sums.positive), np.exp(design.log_least)[:, None])
    counts.by_deal = dealt.p()
    counts.drawn = draws.found(counts.sums, RULE)
    return counts


def _outside(before: tuple[FloatArray, float], track: Track, fires: NDArray[np.float32]) -> tuple[FloatArray, float]:
    rest = np.asarray(~track.masks.any(axis=0), dtype=np.float32)
    return before[0] + product(rest, fires), before[1] + float(rest @ track.cells)


def _rates(
    positive: FloatArray, tokens: FloatArray, outside: tuple[FloatArray, float]
) -> tuple[FloatArray, FloatArray]:
    """Rate and lift of each class, (n_classes, n_units); of a single one against what is outside it."""
    rates = positive / np.maximum(tokens, 1)[:, None]
    if len(rates) != 1:
        return rates, lift(rates)
    return rates, lift(np.stack([rates[0], outside[0] / max(outside[1], 1)]))[:1]


@dataclass(frozen=True)
class Found:
    """What was found over all layers; arrays (n_present, n_units) but where told.

    Attributes
    ----------
    present : ndarray of int
        Classes with tokens in every layer among the selection clips.
    positive, tokens : ndarray of int
    rate, lift, p, q : ndarray of float
    replicated : ndarray of float
        1, 0, NaN without test clips.
    is_specific : ndarray of bool
    entropy : ndarray of float, shape (n_units,)
        AAPE in nats; NaN where there is one class.
    null : ndarray of float, shape (N_DRAWN, 2)
        Of each drawn shift: share of classes with a unit, units with a class.
    """

    present: IntArray
    positive: IntArray
    tokens: IntArray
    rate: FloatArray
    lift: FloatArray
    p: FloatArray
    q: FloatArray
    replicated: FloatArray
    is_specific: Mask
    entropy: FloatArray
    null: FloatArray

    @property
    def replicated_share(self) -> float:
        """Of the pairs found whose class has test clips."""
        held = self.replicated[self.is_specific]
        held = held[~np.isnan(held)]
        return float(held.mean()) if held.size else float("nan")

    @property
    def replicated_share_all_pairs(self) -> float:
        """Of all pairs."""
        known = self.replicated[~np.isnan(self.replicated)]
        return float(known.mean()) if known.size else float("nan")


def find(tracks: Tracks, design: Design, step: Callable[[], None] | None = None) -> Found:
    """Count every block of layers and tell which units answer to which class.

    Parameters
    ----------
    step : callable, optional
        Called after each clip and block of layers: `n_steps` times.
    """
    every = [count(tracks, design, layers, step) for layers in tracks.blocks]
    tokens = np.stack([counts.tokens for counts in every])
    present = np.flatnonzero((tokens > 0).all(axis=0))
    told = [_rates(c.sums.positive[present], c.tokens[present], c.outside) for c in every]
    rate, lifts = (np.concatenate(parts, axis=1) for parts in zip(*told, strict=True))
    by_shift = np.concatenate([c.by_shift[present] for c in every], axis=1)
    by_deal = np.concatenate([c.by_deal[present] for c in every], axis=1)
    p = np.maximum(by_shift, by_deal)
    can_pass = (rate >= RULE.rate_min) & (lifts >= RULE.lift_min)
    starts = np.cumsum([0, *tracks.widths])
    line = _line(p, RULE.q_max)
    for start, layers, counts in zip(starts.tolist(), tracks.blocks, every, strict=False):
        columns = slice(start, start + counts.by_shift.shape[1])
        for row, units in _to_convolve(design, present, can_pass[:, columns], p[:, columns], line):
            exact = _by_convolution(tracks, design, layers, int(present[row]), units)
            reached = exact.upper_tail(counts.sums.positive[present[row], units])
            at = start + units
            p[row, at] = np.maximum(reached, by_deal[row, at])
    q = benjamini_hochberg(p)
    return Found(
        present,
        np.concatenate([np.rint(c.sums.positive[present]).astype(np.int64) for c in every], axis=1),
        np.repeat(np.rint(tokens[:, present]).astype(np.int64).T, tracks.widths, axis=1),
        rate, lifts, p, q, _replicated(every, present), (q < RULE.q_max) & can_pass,
        entropy(rate) if len(present) > 1 else np.full(rate.shape[1], np.nan),
        _null(every, len(present)),
    )  # fmt: skip


def n_steps(tracks: Tracks, design: Design) -> int:
    """How often `find` tells."""
    return len(design.chosen) * len(tracks.blocks)


def _line(p: FloatArray, alpha: float) -> float:
    """The largest p with q < alpha; where none has, what the first would need."""
    passing = p[significant(p, alpha)]
    return float(passing.max()) if passing.size else alpha / max(p.size, 1)


def _to_convolve(
    design: Design, present: IntArray, can_pass: Mask, p: FloatArray, line: float
) -> Iterator[tuple[int, IntArray]]:
    """Row of a class, and those of a block's units whose p is told exactly: that may be found, where the class has few
    clips or p is near the line.
    """
    for row, k in enumerate(present.tolist()):
        near = (p[row] > line / NEAR) & (p[row] < line * NEAR)
        units = np.flatnonzero(can_pass[row] & (p[row] < _TO_CONVOLVE) & (near | (design.n_clips[k] <= FEW_CLIPS)))
        if len(units) > MOST_EXACT:
            away = np.abs(np.log(np.maximum(p[row, units], 1e-300) / line))
            units = np.sort(units[np.argsort(away, kind="stable")[:MOST_EXACT]])
        if len(units):
            yield row, units


def _by_convolution(tracks: Tracks, design: Design, layers: range, class_index: int, units: IntArray) -> Convolution:
    """The distribution of the count of one class in some units of a block."""
    by_clip = []
    for track, at in tracks.with_class(design.chosen, class_index, layers.start):
        by_clip.append(counts_by_shift(tracks.fires(track, layers, units), track.masks[at : at + 1])[0])
    convolution = Convolution(len(units), int(sum(by_shift.max(initial=0) for by_shift in by_clip)))
    for by_shift in by_clip:
        convolution.add(by_shift)
    return convolution


def _replicated(every: Sequence[Counts], present: IntArray) -> FloatArray:
    """Whether the lift holds on test clips, (n_present, n_units); NaN for a class without tokens there."""
    parts = []
    for counts in every:
        tokens = counts.test_tokens[present]
        tested = np.flatnonzero(tokens > 0)
        holds = np.full((len(present), counts.test_positive.shape[1]), np.nan)
        if len(tested) > 1 or (len(present) == 1 and len(tested) and counts.test_outside[1] > 0):
            _, lifts = _rates(counts.test_positive[present][tested], tokens[tested], counts.test_outside)
            with np.errstate(invalid="ignore"):
                holds[tested] = lifts >= RULE.lift_min
        parts.append(holds)
    return np.concatenate(parts, axis=1)


def _null(every: Sequence[Counts], n_classes: int) -> FloatArray:
    """What the rule finds in each drawn shift, by the shift's p alone; (N_DRAWN, 2)."""
    told = np.zeros((N_DRAWN, 2))
    n_tests = n_classes * sum(counts.by_shift.shape[1] for counts in every)
    starts = np.cumsum([0, *(counts.by_shift.shape[1] for counts in every)])
    for draw in range(N_DRAWN):
        of = [counts.drawn[draw] for counts in every]
        p = np.concatenate([each.p for each in of])
        found = significant(p, RULE.q_max, n_tests) & np.concatenate([each.can_pass for each in of])
        class_index = np.concatenate([each.class_index for each in of])[found]
        unit = np.concatenate([start + each.unit for start, each in zip(starts[:-1], of, strict=True)])[found]
        told[draw] = len(np.unique(class_index)) / max(n_classes, 1), len(np.unique(unit))
    return told
