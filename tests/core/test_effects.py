"""What an ablation cost, worked by hand: hits, paired differences, intervals, tests, corrections."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from core.ablation.effects import (
    Controls,
    Resamples,
    compare,
    control_p,
    correct_for_many,
    hits,
    mcnemar,
    paired_interval,
)
from core.evidence.fdr import benjamini_hochberg
from core.results import Ablation


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (1, 1, 1.0), (8, 2, 0.109375), (1, 0, 1.0)],
)
def test_mcnemar_is_the_exact_sign_test_of_the_changed_clips(lost: int, gained: int, p: float) -> None:
    # 8 and 2: 2 (1 + 10 + 45) / 2 ** 10.
    assert mcnemar(lost, gained) == pytest.approx(p)


def test_interval_worked_by_hand() -> None:
    # 4/22 and 2/22: -1/11 -+ 1.959964 sqrt((6/22 - 1/121) / 22).
    half = 1.959964 * math.sqrt((6 / 22 - 1 / 121) / 22)
    assert paired_interval(3, 1, 20) == pytest.approx((-1 / 11 - half, -1 / 11 + half), abs=1e-6)
    assert paired_interval(3, 1, 20) == pytest.approx((-0.3058, 0.1240), abs=1e-4)
    low, high = paired_interval(1, 3, 20)
    assert (-high, -low) == pytest.approx(paired_interval(3, 1, 20))


def test_interval_of_no_changed_clip_is_not_empty_and_narrows_with_clips() -> None:
    widths = [high - low for low, high in (paired_interval(0, 0, n) for n in (5, 50, 500))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.5
    assert widths[2] > 0


def test_interval_stays_within_possible_differences() -> None:
    low, high = paired_interval(10, 0, 10)
    assert low == -1
    assert -1 < high < 0


NAMES = ["a", "empty", "c"]


def compared(
    before: NDArray,
    after: NDArray,
    controls: NDArray,
    members: NDArray,
    names: list[str],
    resamples: Resamples | None = None,
) -> tuple[pd.DataFrame, NDArray]:
    """With controls that are matched in layer alone."""
    return compare(before, after, Controls(controls, controls[:0]), members, names, resamples)


def whole(right: NDArray, members: NDArray) -> NDArray:
    """As `hits` gives, where each clip has one label: right or wrong in its class and as a whole."""
    return np.concatenate([right[..., None] & members, right[..., None]], axis=-1)


def test_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    before = np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    after = np.array([0, 0, 1, 1, 1, 0], dtype=bool)
    controls = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1]], dtype=bool)
    members = labels[:, None] == np.arange(3)
    told = (whole(right, members) for right in (before[None], after[None], controls))
    effects, deltas = compared(*told, members, NAMES)
    assert [n if isinstance(n, str) else None for n in effects["class_name"]] == [None, "a", "c"]
    assert effects["n_clips"].tolist() == [6, 4, 2]
    np.testing.assert_allclose(effects["accuracy_unablated"], [4 / 6, 3 / 4, 1 / 2])
    np.testing.assert_allclose(effects["accuracy_ablated"], [3 / 6, 2 / 4, 1 / 2])
    np.testing.assert_allclose(effects["delta"], [-1 / 6, -1 / 4, 0])
    np.testing.assert_allclose(effects["p_value"], [mcnemar(2, 1), mcnemar(2, 1), 1])
    expected = [paired_interval(2, 1, 6), paired_interval(2, 1, 4), paired_interval(0, 0, 2)]
    np.testing.assert_allclose(effects[["ci_low", "ci_high"]], expected)
    # Controls: 3 and 4 of 6 right, 3 and 2 of 4, 0 and 2 of 2.
    np.testing.assert_allclose(deltas, [[-1 / 6, 0, -1 / 2], [0, -1 / 4, 1 / 2]], atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_mean"], [-1 / 12, -1 / 8, 0], atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_low"], np.quantile(deltas, 0.025, axis=0), atol=1e-12)
    np.testing.assert_allclose(effects["control_delta_high"], np.quantile(deltas, 0.975, axis=0), atol=1e-12)
    assert (effects["n_controls"] == 2).all()


def test_class_is_hit_among_as_many_best_as_the_clip_has_labels() -> None:
    # Classes a b c d. Clips: a and c; b; a, b and d.
    members = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1]], dtype=bool)
    answers = np.array([[2, 1, 0], [0, 1, 2], [3, 2, -1]])
    found = hits(answers, members)
    assert found.astype(int).tolist() == [
        [0, 0, 1, 0, 1],  # the two best are c and b
        [0, 0, 0, 0, 0],  # the best is a
        [0, 0, 0, 1, 1],  # d, c and nothing
    ]
    np.testing.assert_array_equal(hits(np.stack([answers, answers]), members), np.stack([found, found]))


def test_one_label_is_hit_by_the_best_class() -> None:
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 4, 30), rng.integers(0, 4, (5, 30))
    members = labels[:, None] == np.arange(4)
    np.testing.assert_array_equal(hits(answers[..., None], members), whole(answers == labels, members))


def test_comparison_of_several_labels_worked_by_hand() -> None:
    members = np.array([[1, 1], [1, 0], [1, 1]], dtype=bool)
    before = hits(np.array([[0, 1], [0, 1], [1, 0]]), members)
    after = hits(np.array([[0, 1], [1, 0], [1, -1]]), members)
    effects, _ = compared(before[None], after[None], before[None], members, ["a", "b"])
    assert effects["n_clips"].tolist() == [3, 3, 2]
    np.testing.assert_allclose(effects["accuracy_unablated"], [1, 1, 1])
    np.testing.assert_allclose(effects["accuracy_ablated"], [2 / 3, 1 / 3, 1])


def test_comparison_without_controls_leaves_them_unknown() -> None:
    answers = np.array([True, False])
    members = np.eye(2, dtype=bool)
    told = whole(answers, members)
    effects, deltas = compared(told[None], told[None], np.zeros((0, 2, 3), dtype=bool), members, ["a", "b"])
    assert deltas.shape == (0, 3)
    assert effects["control_delta_mean"].isna().all()
    assert (effects["n_controls"] == 0).all()


def test_q_is_over_the_matrix_of_targets_and_classes_with_all_clips_apart() -> None:
    def made(name: str, gain: float, p: list[float]) -> Ablation:
        effects = pd.DataFrame({"class_name": [None, "a", "b"], "p_value": p, "q_value": np.nan})
        return Ablation("task", "lape", name, gain, np.array([0]), effects, np.zeros((0, 3)))

    found = correct_for_many(
        [made("a", 0.0, [0.5, 0.01, 0.04]), made("b", 0.0, [0.2, 0.03, 0.9]), made("a", 2.0, [0.1, 0.2, 0.3])]
    )
    matrix = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.9]))
    np.testing.assert_allclose(found[0].effects["q_value"], [0.5, *matrix[:2]])
    np.testing.assert_allclose(found[1].effects["q_value"], [0.4, *matrix[2:]])
    np.testing.assert_allclose(found[2].effects["q_value"], [0.1, 0.3, 0.3])
    assert matrix[0] == pytest.approx(0.04)


def test_q_is_apart_for_each_operation() -> None:
    def made(operation: str, gain: float | None) -> Ablation:
        effects = pd.DataFrame({"class_name": [None, "a"], "p_value": [0.5, 0.04], "q_value": np.nan})
        return Ablation("task", "lape", "a", gain, np.array([0]), effects, np.zeros((0, 2)), operation)

    found = correct_for_many([made("scale", 0.0), made("mean", None), made("keep", None), made("keep", None)])
    assert [a.effects["q_value"].iloc[1] for a in found] == [0.04] * 4
    p = [0.04, 0.02]
    both = [made("keep", None), made("keep", None)]
    for ablation, value in zip(both, p, strict=True):
        ablation.effects.loc[1, "p_value"] = value
    assert [a.effects["q_value"].iloc[1] for a in correct_for_many(both)] == [0.04, 0.04]


# Beyond control.


@pytest.mark.parametrize(
    ("delta", "controls", "p"),
    [
        (-0.5, [0.0] * 19, 1 / 20),
        (0.5, [0.0] * 19, 1 / 20),
        (0.0, [0.0] * 4, 1.0),
        (0.0, [-0.5, -0.4, -0.6], 1 / 4),  # less harm than any control is as far out as more
        (-0.1, [-0.1, 0.1, 0.1, 0.1], 2 / 5),
        (-0.1, [0.1, 0.1, 0.1], 1 / 4),
        (-0.1, [0.1], 1.0),
    ],
)
def test_p_against_controls_worked_by_hand(delta: float, controls: list[float], p: float) -> None:
    assert control_p(delta, np.array(controls)) == pytest.approx(p)


def test_p_against_controls_is_uniform_where_the_target_is_one_of_them() -> None:
    rng = np.random.default_rng(0)
    p = np.array([control_p(x[0], x[1:]) for x in rng.normal(size=(4000, 20)) ** 3])
    shares = [(p <= k / 20 + 1e-9).mean() for k in range(1, 21)]
    np.testing.assert_allclose(shares, np.arange(1, 21) / 20, atol=0.025)
    counts = np.array([control_p(x[0], x[1:]) for x in rng.integers(-2, 3, (4000, 20)) / 30])
    assert (counts <= 0.05 + 1e-9).mean() <= 0.06, "ties make it larger, never smaller"


def right_in_one_class(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> NDArray:
    """As `hits` gives for a task of one class."""
    found = rng.random(shape) < share
    return np.stack([found, found], axis=-1)


def test_beyond_control_worked_by_hand() -> None:
    # 4 clips, all right before; the target loses three, control 1 one of them, control 2 none, control 3 (active) two.
    members = np.ones((4, 1), dtype=bool)
    before, after = np.array([[1, 1, 1, 1]], dtype=bool), np.array([[0, 0, 0, 1]], dtype=bool)
    controls = np.array([[0, 1, 1, 1], [1, 1, 1, 1]], dtype=bool)
    active = np.array([[0, 0, 1, 1]], dtype=bool)
    b, a, *beside = (np.stack([x, x], axis=-1) for x in (before, after, controls, active))
    resamples = Resamples.of(members, None, 0)
    effects, deltas = compare(b, a, Controls(*beside), members, ["a"], resamples)
    row = effects.iloc[1]
    assert row["beyond_control"] == row["delta"] - row["control_delta_mean"] == -0.75 + 0.25
    assert deltas[:, 1].tolist() == [-0.25, 0.0, -0.5]
    assert row["activity_control_delta_mean"] == row["activity_control_delta_low"] == -0.5
    assert (row["n_controls"], row["n_activity_controls"], row["n_heads"]) == (3, 1, 1)
    # Less what the controls keep, 1/3, 2/3, 1 and 1: of -1/3, -2/3, -1, 0 the least mean of a sample is -1.
    weights = resamples.weights[1]
    assert weights is not None and (weights.sum(axis=1) == 4).all()
    expected = np.quantile(weights @ [-1 / 3, -2 / 3, -1, 0] / 4, [0.025, 0.975])
    np.testing.assert_allclose(row[["beyond_control_low", "beyond_control_high"]].astype(float), expected)
    assert -1 <= expected[0] < -0.75 and -0.25 <= expected[1] <= 0
    assert np.isnan(row["group_ci_low"]) and np.isnan(row["group_ci_high"])


def test_bootstrap_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    members = np.ones((60, 1), dtype=bool)
    resamples = Resamples.of(members, None, 0)
    inside = []
    for _ in range(300):
        before, after, controls = (
            right_in_one_class(s, p, rng) for s, p in (((1, 60), 0.9), ((1, 60), 0.5), ((3, 60), 0.8))
        )
        effects, _ = compared(before, after, controls, members, ["a"], resamples)
        inside.append(effects["beyond_control_low"].iloc[0] <= -0.3 <= effects["beyond_control_high"].iloc[0])
    assert 0.91 <= np.mean(inside) <= 0.98


def test_interval_over_groups_is_wide_where_clips_of_a_group_go_together() -> None:
    # 40 clips of 8 groups; the clips of a group are lost together, or not at all.
    groups = np.repeat(np.arange(8), 5)
    members = np.ones((40, 1), dtype=bool)
    before = np.ones((1, 40, 2), dtype=bool)
    together, apart = before.copy(), before.copy()
    together[0, groups < 4] = False
    apart[0, np.arange(40) % 2 == 0] = False
    of_groups, of_clips = Resamples.of(members, groups, 0), Resamples.of(members, None, 0)
    for after, wide in ((together, True), (apart, False)):
        grouped, _ = compared(before, after, before, members, ["a"], of_groups)
        alone, _ = compared(before, after, before, members, ["a"], of_clips)
        row, clip = grouped.iloc[0], alone.iloc[0]
        assert row["group_ci_low"] <= row["delta"] == -0.5 <= row["group_ci_high"]
        assert (row["group_ci_low"], row["group_ci_high"]) == (row["beyond_control_low"], row["beyond_control_high"])
        ratio = (row["group_ci_high"] - row["group_ci_low"]) / (
            clip["beyond_control_high"] - clip["beyond_control_low"]
        )
        assert ratio > 1.8 if wide else ratio < 0.7


def test_groups_not_known_are_clips_of_their_own_and_one_group_tells_nothing() -> None:
    members = np.array([[1, 0]] * 3 + [[0, 1]] * 3, dtype=bool)
    groups = np.array([4, 4, 4, -1, -1, 4])
    whole, first, second = Resamples.of(members, groups, 0).weights
    assert first is None
    assert whole is not None and second is not None
    assert (whole[:, [0]] == whole[:, [1, 2, 5]]).all(), "a group comes whole"
    assert np.unique(whole.sum(axis=1)).size > 1
    assert second.shape == (1000, 3)
    right = np.ones((1, 6, 3), dtype=bool)
    effects, _ = compared(right, right, right, members, ["a", "b"], Resamples.of(members, groups, 0))
    assert effects["group_ci_low"].isna().tolist() == [False, True, False]
    assert effects["beyond_control_low"].isna().tolist() == [False, True, False]


def test_resamples_do_not_hang_on_the_order_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    members = rng.random((30, 3)) < 0.5
    one, other = Resamples.of(members, None, 0).weights, Resamples.of(members[:, [2, 0, 1]], None, 0).weights
    for a, b in zip([one[i] for i in (0, 3, 1, 2)], other, strict=True):
        np.testing.assert_array_equal(a, b)
    another = Resamples.of(members, None, 1).weights
    assert not np.array_equal(one[0], another[0])  # type: ignore[arg-type]


def test_heads_differ_in_what_they_lose() -> None:
    members = np.ones((4, 1), dtype=bool)
    before = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    after = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    effects, _ = compared(*(np.stack([x, x], axis=-1) for x in (before, after, before[:0])), members, ["a"])
    row = effects.iloc[1]
    assert row[["delta", "n_heads", "delta_heads_low", "delta_heads_high"]].tolist() == [-0.5, 3, -0.5, 0.25]
    assert row["accuracy_unablated"] == 1.0
    assert np.isnan(row["beyond_control"]) and np.isnan(row["control_p_value"])
