"""Whole tracks exchanged: moments against all permutations, a class that has its place, and sets of clips."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from core.datasets.base import Segment
from core.timing.evidence import Design, find
from core.timing.exchanged import add_set, exchanged_p, sets
from core.timing.shifts import Moments
from tests.support.in_time import N_COLUMNS, STEP, dataset_of, on_during, slow_noise, tracks_of

N_CLIPS = 40


def test_moments_are_those_of_all_permutations() -> None:
    rng = np.random.default_rng(0)
    fires, masks = rng.integers(0, 3, (5, 7, 2)).astype(np.float32), rng.random((5, 7)) < 0.4
    sums = Moments.none(3, 4)
    add_set(sums, (1, np.array([0, 3])), fires, masks)
    fires = fires.astype(np.float64)
    by_hand = np.array([
        [(fires[:, :, u] * masks[list(order)]).sum() for u in (0, 1)] for order in permutations(range(5))
    ])  # fmt: skip
    assert sums.positive[1, [0, 3]].tolist() == [(fires[:, :, u] * masks).sum() for u in (0, 1)]
    assert sums.mean[1, [0, 3]] == pytest.approx(by_hand.mean(axis=0))
    assert sums.variance[1, [0, 3]] == pytest.approx(by_hand.var(axis=0))
    assert sums.third[1, [0, 3]] == pytest.approx(((by_hand - by_hand.mean(axis=0)) ** 3).mean(axis=0))
    assert not sums.positive[[0, 2]].any() and not sums.variance[:, [1, 2]].any()


def test_a_unit_of_a_place_is_told_from_one_of_the_class() -> None:
    """Class a begins in one of the first ten columns; unit 0 is on in it, unit 1 at the start of every clip."""
    rng = np.random.default_rng(2)
    length = N_COLUMNS * STEP
    clips = []
    for _ in range(N_CLIPS):
        at = int(rng.integers(0, 10)) * STEP
        clips.append([Segment("phone", "a", at, at + 4 * STEP), Segment("phone", "b", at + 12 * STEP, length - STEP)])
    spoken = dataset_of(clips, 10)
    of_class = on_during(spoken, "a", (N_CLIPS, N_COLUMNS))
    of_place = np.zeros_like(of_class)
    of_place[:, :14] = 1
    noise = slow_noise(np.random.default_rng(4), (N_CLIPS, N_COLUMNS, 10))
    tracks = tracks_of(spoken, np.concatenate([np.stack([of_class, of_place], axis=2), noise], axis=2))
    design = Design.of(tracks, ("train", "valid"), 0)
    found = find(tracks, design)
    p = exchanged_p(tracks, design, found, None)
    assert found.is_specific[0, :2].all(), "shifts find both"
    assert p[0, 0] < 1e-4 and (np.isnan(p[0, 1]) or p[0, 1] > 0.2)
    assert np.isnan(p[~found.is_specific]).all()
    three = np.maximum(np.arange(N_CLIPS) - 2, 0)
    assert exchanged_p(tracks, design, found, three)[0, 0] >= 1 / 6 - 1e-12, "one voice has three clips: six ways"
    voices = np.arange(N_CLIPS) // 5
    assert exchanged_p(tracks, design, found, voices)[0, 0] < 1e-3, "within voices, too"
    assert np.isnan(exchanged_p(tracks, design, found, np.arange(N_CLIPS))).all(), "a clip a voice: nothing to exchange"


def test_sets_hold_clips_of_one_group_and_as_many_columns() -> None:
    class Lengths:
        def n_columns(self, clip: int, _layer: int) -> int:
            return 5 if clip % 2 else 6

    clips = np.arange(8)
    told = [each.tolist() for each in sets(Lengths(), clips, None, 0)]  # type: ignore[arg-type]
    assert told == [[1, 3, 5, 7], [0, 2, 4, 6]]
    assert [each.tolist() for each in sets(Lengths(), clips, clips // 6, 0)] == [[1, 3, 5], [0, 2, 4]]  # type: ignore[arg-type]
    many = [len(each) for each in sets(Lengths(), np.arange(0, 400, 2), None, 0)]  # type: ignore[arg-type]
    assert sum(many) == 200 and max(many) <= 64
