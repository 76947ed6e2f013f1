"""Segments on columns: which belong, over what labels are shifted, what is too short."""

from __future__ import annotations

import numpy as np

from core.datasets.base import Segment
from core.results import TokenGrid
from core.timing.tracks import laid, track, union
from tests.support.in_time import STEP, dataset_of, tracks_of


def spans(n: int, step: float = 0.1, span: float = 0.1) -> np.ndarray:
    starts = step * np.arange(n)
    return np.column_stack([starts, starts + span])


def test_a_column_belongs_where_half_of_it_lies_in_segments_of_the_class() -> None:
    touching = [Segment("a", "x", 0.15, 0.25), Segment("a", "x", 0.25, 0.34)]
    assert union(touching).tolist() == [[0.15, 0.34]]
    quarters = [Segment("a", "y", 0.1, 0.125), Segment("a", "y", 0.175, 0.2)]
    of = laid(spans(5), {3: touching, 7: quarters, 9: [Segment("a", "z", 0.4, 0.42)]}).tolist()
    assert of[0] == [False, True, True, False, False], "0.1-0.2 by half, 0.3-0.4 by 0.4"
    assert of[1] == [False, True, False, False, False], "two quarters are a half"
    assert not any(of[2]) and laid(spans(5), {}).shape == (0, 5)
    assert laid(spans(3, 0.1, 0.2), {0: [Segment("a", "x", 0.1, 0.2)]}).tolist() == [[True, True, False]]


def test_two_classes_are_shifted_between_their_ends_and_one_over_the_clip() -> None:
    phones = {0: [Segment("p", "a", 0.2, 0.4)], 1: [Segment("p", "b", 0.3, 0.6)]}
    both = track(3, phones, spans(10), np.full(10, 2))
    assert both.is_within and both.columns.tolist() == [2, 3, 4, 5] and both.cells.tolist() == [2, 2, 2, 2]
    assert both.masks.astype(int).tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]], "labels overlap"
    assert [each.tolist() for each in both.onsets] == [[0], [1]]
    one = track(3, {1: phones[1]}, spans(10), np.full(10, 2))
    assert not one.is_within and one.n == 10 and one.classes.tolist() == [1]


def test_a_segment_in_which_no_column_lies_has_no_onset() -> None:
    of = track(0, {0: [Segment("p", "a", 0.12, 0.14), Segment("p", "a", 0.3, 0.5)]}, spans(8), np.ones(8, dtype=int))
    assert [each.tolist() for each in of.onsets] == [[3]]


def test_columns_that_hold_padding_are_left_out() -> None:
    cells = np.array([1, 1, 1, 0, 1, 0])
    of = track(0, {0: [Segment("p", "a", 0.0, 0.5)]}, spans(6), cells)
    assert of.columns.tolist() == [0, 1, 2, 4] and of.masks.tolist() == [[True] * 4]
    assert track(0, {0: [Segment("p", "a", 0.0, 0.5)]}, spans(6), np.zeros(6, dtype=int)).n == 0


def test_segments_that_are_too_short_for_a_column_are_counted() -> None:
    short = [[Segment("phone", "a", 0.0, 0.2), Segment("phone", "b", 0.21, 0.22)], [Segment("phone", "b", 0.3, 0.5)]]
    tracks = tracks_of(dataset_of(short), np.zeros((2, 20, 1), dtype=bool))
    assert tracks.task.class_names == ["a", "b"] and tracks.n_without(0).tolist() == [0, 1]
    assert tracks.of(0, 0).classes.tolist() == [0] and not tracks.of(0, 0).is_within
    assert tracks.seconds_of(0) == STEP and np.allclose(np.sort(tracks.task.lengths), [0.01, 0.2, 0.2])


def test_a_clip_without_a_token_is_left_out() -> None:
    tracks = tracks_of(dataset_of([[Segment("phone", "a", 0.0, 0.5)]] * 3), np.zeros((3, 20, 1), dtype=bool))
    whole = tracks.firing.counted
    tracks.firing.__dict__["counted"] = lambda clip, layer: whole(clip, layer) & (clip != 1)
    assert tracks.clips.tolist() == [0, 2]


def test_without_times_of_columns_a_clip_is_cut_into_equal_parts() -> None:
    tracks = tracks_of(dataset_of([[Segment("phone", "a", 0.0, 0.5)]] * 2), np.zeros((2, 20, 1), dtype=bool))
    tracks._grid = lambda layer: TokenGrid((0.0, 8000.0))
    assert tracks.seconds_of(0) == STEP and tracks.of(0, 0).masks.sum() == 10
