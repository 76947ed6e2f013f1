"""Counts under every shift: moments as by brute force, tails as by all combinations of shifts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from core.timing.shifts import Convolution, Moments, add_clip, counts_by_shift, shifted

RNG = np.random.default_rng(0)
FIRES = [RNG.integers(0, 3, (n, 4)).astype(np.float32) for n in (7, 8, 5)]
MASKS = [RNG.random((2, n)) < 0.4 for n in (7, 8, 5)]


def by_brute_force(fires: NDArray, masks: NDArray) -> NDArray:
    """(n_masks, n_shifts, n_units)."""
    return np.stack([[np.roll(mask, s) @ fires for s in range(len(fires))] for mask in masks])


@pytest.mark.parametrize("clip", range(3))
def test_counts_and_moments_of_one_clip_are_those_of_all_its_shifts(clip: int) -> None:
    fires, masks = FIRES[clip], MASKS[clip]
    every = by_brute_force(fires, masks)
    assert (counts_by_shift(fires, masks) == every).all()
    sums = Moments.none(3, 4)
    add_clip(sums, fires, np.array([0, 2]), masks)
    for row, k in enumerate((0, 2)):
        away = every[row] - every[row].mean(axis=0)
        assert np.allclose(sums.positive[k], every[row][0]) and np.allclose(sums.mean[k], every[row].mean(axis=0))
        assert np.allclose(sums.variance[k], (away**2).mean(axis=0), atol=1e-5)
        assert np.allclose(sums.third[k], (away**3).mean(axis=0), atol=1e-4)
    assert not sums.positive[1].any() and not sums.variance[1].any(), "a class that the clip lacks"


def test_the_exact_tail_is_that_of_all_combinations_of_shifts() -> None:
    every = [by_brute_force(fires, masks[:1])[0] for fires, masks in zip(FIRES, MASKS, strict=True)]
    totals = np.array([sum(of[s] for of, s in zip(every, shifts, strict=True))
                       for shifts in product(*(range(len(of)) for of in every))])  # fmt: skip
    convolution = Convolution(4, int(sum(of.max() for of in every)))
    for of in every:
        convolution.add(of)
    for observed in (totals[0], totals.max(axis=0), totals.min(axis=0)):
        assert np.allclose(convolution.upper_tail(observed), (totals >= observed).mean(axis=0))


def test_the_tail_by_moments_is_near_the_exact_one_of_many_clips() -> None:
    rng = np.random.default_rng(1)
    fires = (rng.random((60, 40, 50)) < 0.3).astype(np.float32)
    masks = rng.random((60, 1, 40)) < 0.25
    sums, convolution = Moments.none(1, 50), Convolution(50, 60 * 40)
    for of_clip, mask in zip(fires, masks, strict=True):
        add_clip(sums, of_clip, np.array([0]), mask)
        convolution.add(counts_by_shift(of_clip, mask)[0])
    for z in (1.5, 3.0):
        asked = np.ceil(sums.mean + z * np.sqrt(sums.variance))
        exact = convolution.upper_tail(asked[0])
        assert np.abs(np.log(sums.upper_tail(asked - 0.5)[0] / exact)).max() < np.log(1.5)


def test_what_no_shift_changes_is_no_evidence() -> None:
    sums = Moments.none(1, 2)
    add_clip(sums, np.array([[1, 0]] * 6, dtype=np.float32), np.array([0]), np.array([[True] * 3 + [False] * 3]))
    assert sums.upper_tail(sums.positive).tolist() == [[1.0, 1.0]]


def test_a_mask_moves_on_by_the_shift() -> None:
    moved = shifted(np.array([[True, False, False], [False, True, True]]), np.array([0, 1, 2]))
    assert moved.astype(int).tolist() == [
        [[1, 0, 0], [0, 1, 1]], [[0, 1, 0], [1, 0, 1]], [[0, 0, 1], [1, 1, 0]],
    ]  # fmt: skip
