"""What an ablation cost, worked by hand: hits, paired differences, intervals, tests, corrections."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from core.effects import compare, correct_for_many, hits, mcnemar, paired_interval
from core.null import benjamini_hochberg
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


def whole(right: NDArray, members: NDArray) -> NDArray:
    """As `hits` gives, where each clip has one label: right or wrong in its class and as a whole."""
    return np.concatenate([right[..., None] & members, right[..., None]], axis=-1)


def test_comparison_worked_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    before = np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    after = np.array([0, 0, 1, 1, 1, 0], dtype=bool)
    controls = np.array([[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1]], dtype=bool)
    members = labels[:, None] == np.arange(3)
    effects, deltas = compare(*(whole(right, members) for right in (before, after, controls)), members, NAMES)
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
    effects, _ = compare(before, after, before[None], members, ["a", "b"])
    assert effects["n_clips"].tolist() == [3, 3, 2]
    np.testing.assert_allclose(effects["accuracy_unablated"], [1, 1, 1])
    np.testing.assert_allclose(effects["accuracy_ablated"], [2 / 3, 1 / 3, 1])


def test_comparison_without_controls_leaves_them_unknown() -> None:
    answers = np.array([True, False])
    members = np.eye(2, dtype=bool)
    told = whole(answers, members)
    effects, deltas = compare(told, told, np.zeros((0, 2, 3), dtype=bool), members, ["a", "b"])
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
