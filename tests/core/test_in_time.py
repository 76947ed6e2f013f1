"""Planted units in time: on during a class, after its onsets, at random; noise that lasts finds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.datasets.base import Dataset, Segment
from core.results import SegmentScores
from core.timing import curves
from core.timing.evidence import Design, count, find
from core.timing.tell import Study
from tests.support.in_time import (
    KINDS,
    N_COLUMNS,
    STEP,
    dataset_of,
    on_during,
    phones,
    slow_noise,
    tracks_of,
)

N_CLIPS, N_TEST = 30, 10
DURING, AFTER, AT_RANDOM = 0, 1, 2
DELAY = 2


@pytest.fixture(scope="module")
def spoken() -> Dataset:
    return dataset_of(phones(np.random.default_rng(3), N_CLIPS), N_TEST)


@pytest.fixture(scope="module")
def scores(spoken: Dataset) -> SegmentScores:
    """Unit 0 is on in "a", 1 for two columns from 0.1 s after onsets of "b", 2 as 0 in another clip; then noise."""
    shape = N_CLIPS, N_COLUMNS
    during = on_during(spoken, "a", shape)
    planted = [during, on_during(spoken, "b", shape, DELAY, 2), np.roll(during, 7, axis=0)]
    noise = slow_noise(np.random.default_rng(4), (*shape, 20))
    fires = np.concatenate([np.stack(planted, axis=2), noise], axis=2)
    return Study.of(tracks_of(spoken, fires), ("train", "valid"), 0).run(lambda: None)


def pair(scores: SegmentScores, label: str, unit: int) -> pd.Series:
    k, frame = scores.labels.class_names.index(label), scores.scores
    return frame[(frame["class_index"] == k) & (frame["neuron_index"] == unit)].iloc[0]


def test_a_unit_that_is_on_during_a_class_is_found_and_held_out_clips_agree(scores: SegmentScores) -> None:
    found = pair(scores, "a", DURING)
    assert found["is_class_specific"] == 1 and found["replicated"] == 1 and found["q_value"] < 1e-6
    assert found["positive_count"] == found["token_count"] and np.isinf(found["lift"])
    assert [pair(scores, label, DURING)["is_class_specific"] for label in KINDS] == [1, 0, 0, 0]


def test_counts_are_those_of_the_selection_clips_by_hand(spoken: Dataset, scores: SegmentScores) -> None:
    own = [s for clip in spoken.clips[: N_CLIPS - N_TEST] for s in clip.segments if s.label == "a"]
    assert pair(scores, "a", DURING)["token_count"] == round(sum(s.offset - s.onset for s in own) / STEP)
    row = scores.classes.set_index("class_index").loc[0]
    assert row["n_segments"] == len(own) and row["n_too_short"] == 0
    assert row["n_clips"] == sum(any(s.label == "a" for s in c.segments) for c in spoken.clips[: N_CLIPS - N_TEST])
    of_unit = scores.units[scores.units["neuron_index"] == DURING]
    assert of_unit[["entropy", "top_class_index"]].to_numpy().tolist() == [[0.0, 0.0]]


def test_a_unit_that_follows_onsets_shows_in_its_curve(scores: SegmentScores) -> None:
    shapes = {(row["class_index"], row["neuron_index"]): row for row in scores.shapes.to_dict("records")}
    after, during = shapes[1, AFTER], shapes[0, DURING]
    assert after["is_beyond"] and after["latency_low"] <= after["latency_seconds"] <= after["latency_high"]
    assert abs(after["latency_seconds"] - DELAY * STEP) <= STEP, "within a column of where it begins"
    assert during["is_beyond"] and abs(during["latency_seconds"]) <= STEP
    assert during["sustain_index"] > 0.4 and during["offset_index"] < 0.1
    points = scores.curves[(scores.curves["class_index"] == 1) & (scores.curves["neuron_index"] == AFTER)]
    high = points.loc[points["activation_probability"] > points["null_high"], "lag_seconds"].round(6).tolist()
    assert {0.1, 0.15} <= set(high) and 0.0 not in high


def test_a_unit_of_the_same_autocorrelation_that_is_on_at_random_is_not_found(scores: SegmentScores) -> None:
    found = scores.scores.query("is_class_specific == 1")
    assert set(found["neuron_index"]) <= {DURING, AFTER} and AT_RANDOM not in set(found["neuron_index"])


def test_coverage_stands_beside_that_of_shifted_labels(scores: SegmentScores) -> None:
    facts: Mapping[str, Any] = scores.facts
    assert facts["n_classes"] == 4 and facts["n_classes_covered"] in (1, 2) and facts["n_within"] == N_CLIPS - N_TEST
    assert facts["null_coverage_mean"] < 0.05 and facts["null_n_class_specific_high"] <= 1
    assert facts["shuffled"] == "labels shifted in time within each clip; classes dealt over the segments of each clip"
    assert facts["is_coarse"] == 0
    assert facts["replicated_share"] == 1.0 and scores.warnings == ()


def test_noise_that_lasts_is_found_in_at_most_a_twentieth_of_runs() -> None:
    """As `benchmarks/segments.py --noise`, which draws many more; and p are as uniform as they should be."""
    n_found, p, held = 0, [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        dataset = dataset_of(phones(rng, 16))
        tracks = tracks_of(dataset, slow_noise(rng, (16, N_COLUMNS, 24), memory=0.95))
        found = find(tracks, design := Design.of(tracks, ("train", "valid"), seed))
        n_found += bool(found.is_specific.any())
        counts = count(tracks, design, tracks.blocks[0])
        p.append([counts.by_shift.ravel(), counts.by_deal.ravel()])
        held.append(found.p.ravel())
    assert n_found <= 1
    by_shift, by_deal = np.concatenate(p, axis=1)
    assert 0.03 < (by_shift < 0.05).mean() < 0.075 and 0.45 < (by_shift < 0.5).mean() < 0.55
    assert (by_deal < 0.05).mean() < 0.075
    assert (np.concatenate(held) < 0.05).mean() < 0.05


def one_event_a_clip(n_clips: int, labels: tuple[str, ...]) -> Dataset:
    return dataset_of([[Segment("phone", labels[i % len(labels)], 1.0, 2.0)] for i in range(n_clips)])


def test_a_unit_that_answers_to_every_sound_is_of_no_class_where_clips_have_one() -> None:
    """Its lift over few clips may well be 2 by chance; shifted labels alone would take it for one of a class."""
    dataset = one_event_a_clip(24, tuple("abcdefgh"))
    rng = np.random.default_rng(5)
    loud = rng.random(24)[:, None] < 0.4
    fires = np.zeros((24, N_COLUMNS, 1), dtype=np.bool_)
    fires[:, 20:40, 0] = loud
    tracks = tracks_of(dataset, fires)
    design = Design.of(tracks, ("train", "valid"), 0)
    assert design.shuffled.startswith("labels shifted in time within each clip; classes dealt over clips")
    found = find(tracks, design)
    assert found.lift.max() > 2 and not found.is_specific.any()


def test_one_class_is_held_against_what_is_outside_it() -> None:
    dataset = one_event_a_clip(12, ("sound",))
    fires = np.zeros((12, N_COLUMNS, 2), dtype=np.bool_)
    fires[:, 22:40, 0] = True
    fires[:, ::3, 1] = True
    scores = Study.of(tracks_of(dataset, fires), ("train", "valid"), 0).run(lambda: None)
    assert scores.scores["is_class_specific"].tolist() == [1, 0] and np.isinf(scores.scores["lift"][0])
    assert scores.scores["lift"][1] == pytest.approx((7 / 20) / (13 / 40)) and scores.units["entropy"].isna().all()


def test_few_shifts_and_few_deals_give_no_small_p() -> None:
    dataset = dataset_of([[Segment("phone", "a", 0.5, 0.6), Segment("phone", "b", 0.6, 0.75)]] * 2)
    fires = on_during(dataset, "a", (2, N_COLUMNS))[:, :, None]
    found = find(tracks := tracks_of(dataset, fires), Design.of(tracks, ("train", "valid"), 0))
    assert found.p[0, 0] == pytest.approx(1 / 4), "two clips of two segments each"
    counts = count(tracks, Design.of(tracks, ("train", "valid"), 0), range(1))
    assert counts.by_shift[0, 0] == pytest.approx(1 / 25), "two clips of five columns each"


def test_a_class_of_columns_longer_than_its_segments_is_told() -> None:
    rng = np.random.default_rng(6)
    short = [[Segment("phone", kind, at, at + 0.04) for at, kind in zip((0.5, 0.55, 0.6), "aba", strict=True)]
             for _ in range(6)]  # fmt: skip
    scores = Study.of(tracks_of(dataset_of(short), slow_noise(rng, (6, 40, 2))), ("train",), 0).run(lambda: None)
    assert scores.facts["is_coarse"] == 1 and scores.warnings[0].startswith("too coarse: a column of the model is 0.05")


def test_segments_that_no_column_lies_in_leave_nothing_to_tell() -> None:
    tiny = [[Segment("phone", kind, at, at + 0.01) for at, kind in ((0.5, "a"), (0.6, "b"))] for _ in range(4)]
    rng = np.random.default_rng(8)
    scores = Study.of(tracks_of(dataset_of(tiny), slow_noise(rng, (4, 40, 3))), ("train",), 0).run(lambda: None)
    assert scores.scores.empty and scores.curves.empty and scores.facts["n_classes"] == 0
    assert scores.classes["token_count"].tolist() == [0, 0] and scores.classes["n_too_short"].tolist() == [4, 4]
    assert "classes without a token among the selection clips are left out: a, b" in scores.warnings


def test_a_latency_is_known_to_a_column_and_not_where_the_curve_begins_high() -> None:
    height = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.5], [1.0, 0.0]])
    latency, peak, begins_within = curves.latencies(height, np.zeros((4, 2)), np.array([-0.1, 0.0, 0.1, 0.2]))
    assert latency.tolist() == pytest.approx([0.05, -0.1]) and peak.tolist() == [2, 2]
    assert begins_within.tolist() == [True, False]


def test_intervals_are_a_column_wider_than_resampled_clips_differ(scores: SegmentScores) -> None:
    told = scores.shapes.dropna(subset=["latency_low"])
    assert len(told) and (told["latency_high"] - told["latency_low"] >= 2 * STEP - 1e-9).all()
    assert ((told["latency_low"] <= told["latency_seconds"]) & (told["latency_seconds"] <= told["latency_high"])).all()


def test_a_part_that_no_segment_has_gets_no_share() -> None:
    """Segments of one column have no sustain."""
    shares = curves.shape_indices(np.array([[6.0], [0.0], [2.0], [0.0]]), np.array([8.0, 0.0, 8.0, 8.0]))
    assert shares[[0, 2], 0].tolist() == [0.75, 0.25] and np.isnan(shares[1, 0])


def test_curves_end_where_labels_are_no_longer_shifted() -> None:
    near = curves.around(np.array([1]), np.arange(-2, 3), 3)
    assert near.sum(axis=1).tolist() == [0, 1, 1, 1, 0]


def test_the_band_holds_whole_curves() -> None:
    rng = np.random.default_rng(7)
    drawn = rng.standard_normal((4000, 21, 1))
    half = curves.band(drawn[:2000], np.zeros((21, 1)))
    inside = (np.abs(drawn[2000:]) <= half).all(axis=1).mean()
    assert 0.93 < inside < 0.97 and half.mean() > 2.5, "wider than 1.96, which is for one lag"
