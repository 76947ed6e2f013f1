"""Classes dealt over the segments of a clip: moments as by all deals; units that answer to every sound are of none."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from core.datasets.base import Segment
from core.timing.deals import Deals, Dealt, _combined, add_dealt, log_least, runs
from core.timing.evidence import Design, find
from core.timing.shifts import Moments
from core.timing.tell import Study
from core.timing.tracks import track
from tests.support.in_time import N_COLUMNS, STEP, dataset_of, tracks_of

MASKS = np.array([[1, 1, 0, 0, 0, 1, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 0]], dtype=np.bool_)
"""Four segments of 2, 1, 3 and 3 columns; two overlap."""
OF = np.array([0, 0, 1, 2])


def shares(fires: NDArray, cells: NDArray) -> NDArray:
    """Of the tokens of each segment, (4, n_units)."""
    places = ([0, 1], [5], [2, 3, 4], [4, 5, 6])
    return np.stack([fires[at].sum(axis=0) / cells[at].sum() for at in places])


def test_moments_are_those_of_all_deals() -> None:
    rng = np.random.default_rng(0)
    cells = np.array([2, 2, 2, 1, 2, 2, 1, 2], dtype=np.float32)
    fires = np.minimum(rng.integers(0, 3, (8, 5)), cells[:, None]).astype(np.float32)
    own = shares(fires, cells)
    sums = Moments.none(4, 5)
    add_dealt(sums, fires, cells, np.array([0, 2, 3]), MASKS)
    for row, k in enumerate((0, 2, 3)):
        every = np.stack([own[np.array(deal) == row].sum(axis=0) for deal in permutations(OF)])
        away = every - every.mean(axis=0)
        assert np.allclose(sums.positive[k], own[row == OF].sum(axis=0), atol=1e-6)
        assert np.allclose(sums.mean[k], every.mean(axis=0), atol=1e-6)
        assert np.allclose(sums.variance[k], (away**2).mean(axis=0), atol=1e-6)
        assert np.allclose(sums.third[k], (away**3).mean(axis=0), atol=1e-6)
    assert not sums.positive[1].any(), "a class that the clip lacks"
    assert np.exp(log_least(MASKS)).tolist() == pytest.approx([1 / 6, 1 / 4, 1 / 4])


def test_segments_of_one_class_that_touch_are_one() -> None:
    of, columns = runs(np.array([[True, True, False, True]]))
    assert of.tolist() == [0, 0] and columns.sum(axis=1).tolist() == [2, 1]


def test_the_p_of_two_parts_is_stouffers_and_a_part_that_says_nothing_changes_nothing() -> None:
    p, weights = (
        (np.array([[0.01, 0.01, 1.0]]), np.array([[0.02, 1.0, 1.0]])),
        (np.array([[9, 9, 0]]), np.array([[4, 0, 0]])),
    )
    found = _combined(p, weights)[0]
    assert found[0] == pytest.approx(norm.sf((3 * norm.isf(0.01) + 2 * norm.isf(0.02)) / np.sqrt(13)))
    assert found[1:].tolist() == [0.01, 1.0]


def test_a_clip_that_has_one_class_on_coarser_columns_alone_is_not_taken_for_another() -> None:
    """Clips 0 and 2 have one class, 1 has two; on a layer whose columns are coarse it has one, too."""
    clips = [[Segment("phone", "a", 0.0, 0.5)], [Segment("phone", "a", 0.0, 0.5), Segment("phone", "b", 0.6, 0.8)],
             [Segment("phone", "b", 0.0, 0.5)]]  # fmt: skip
    deals = Deals.of(tracks_of(dataset_of(clips), np.zeros((3, N_COLUMNS, 1), dtype=bool)), np.arange(3))
    assert deals.single.tolist() == [0, 2] and deals.n_within.tolist() == [1, 1] == deals.n_single.tolist()
    spans, cells = np.array([[0.0, 0.5], [0.5, 1.0]]), np.ones(2, dtype=np.int64)
    dealt, ones = Dealt(deals, 1), np.ones((2, 1), np.float32)
    for clip, of_clip in ((0, {0: clips[0]}), (2, {1: clips[2]})):
        dealt.add(track(clip, of_clip, spans, cells), ones)
    dealt.add(track(1, {0: clips[1][:1], 1: clips[1][1:]}, spans, cells), 0 * ones)
    assert dealt._tokens.tolist() == [1, 1] and dealt._positive.ravel().tolist() == [1, 1]


def test_a_class_that_nothing_can_be_dealt_for_is_told() -> None:
    clips = [[Segment("phone", "a", 0.5, 1.0)], [Segment("phone", "b", 0.5, 1.0), Segment("phone", "c", 1.5, 2.0)]] * 8
    fires = np.zeros((16, N_COLUMNS, 1), dtype=np.bool_)
    fires[::2, 10:20] = True
    scores = Study.of(tracks_of(dataset_of(clips), fires), ("train", "valid"), 0).run(lambda: None)
    assert not scores.scores["is_class_specific"].any()
    assert [
        line for line in scores.warnings if line.startswith("a is alone in its clips, and no other class is in any")
    ]


@pytest.mark.parametrize("share", [0.0, 0.45, 0.55, 1.0])
def test_units_that_answer_to_every_sound_are_of_no_class_however_many_clips_have_two(share: float) -> None:
    """Each sound with a rate of its own, of which its class knows nothing; beside a unit that answers to one class."""
    rng = np.random.default_rng(2)
    n_clips, n_units, labels = 60, 40, "abcdef"
    clips, fires = [], np.zeros((n_clips, N_COLUMNS, n_units + 1), dtype=np.bool_)
    for clip in range(n_clips):
        drawn = rng.choice(list(labels), 2, replace=False).tolist()[: 1 + (rng.random() < share)]
        of_clip = []
        for label, begin in zip(drawn, (5, 40), strict=False):
            stop = begin + int(rng.integers(4, 10))
            loud = rng.random(n_units) < 0.4
            fires[clip, begin:stop, :n_units] = loud & (rng.random((stop - begin, n_units)) < 0.8)
            fires[clip, begin:stop, n_units] = label == "a"
            of_clip.append(Segment("phone", label, round(begin * STEP, 6), round(stop * STEP, 6)))
        clips.append(of_clip)
    tracks = tracks_of(dataset_of(clips), fires)
    found = find(tracks, Design.of(tracks, ("train", "valid"), 0))
    class_index, unit = np.nonzero(found.is_specific)
    assert (class_index.tolist(), unit.tolist()) == ([0], [n_units])
