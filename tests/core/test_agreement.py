"""Agreement of selectors and specificity of ablations, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from core.ablation.specificity import most_specific, specificity
from core.selectivity.agreement import agreement

NAN = float("nan")


def row(table: pd.DataFrame, a: str, b: str) -> pd.Series:
    return table[(table["selector_a"] == a) & (table["selector_b"] == b)].iloc[0]


# Agreement.


def test_rank_correlation_and_overlap_worked_by_hand() -> None:
    scores = {
        "a": np.array([[4.0, 3, 2, 1], [1, 2, 3, 4]]),
        "b": np.array([[40.0, 30, 20, 10], [4, 3, 2, 1]]),
        "c": np.array([[3.0, 4, 2, 1], [1, 2, 4, 3]]),
    }
    found = agreement(scores, share=0.5)
    assert found[["selector_a", "selector_b"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert row(found, "a", "b")["spearman"] == pytest.approx(0.0)  # 1 in the first class, -1 in the second
    assert row(found, "a", "b")["overlap"] == pytest.approx(0.5)
    assert row(found, "a", "c")["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert row(found, "a", "c")["overlap"] == 1.0
    assert (found["expected_overlap"] == 0.5).all()
    assert (found["n_classes"] == 2).all()


def test_ties_at_the_edge_count_with_their_chance() -> None:
    scores = {"a": np.array([[1.0, 1, 1, 1]]), "b": np.array([[4.0, 3, 2, 1]])}
    found = agreement(scores, share=0.5).iloc[0]
    assert found["overlap"] == pytest.approx(0.5)
    assert np.isnan(found["spearman"])


def test_only_neurons_that_both_score_are_compared() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 50))
    a[:, :10], b[:, 40:], b[1] = NAN, NAN, NAN
    found = agreement({"a": a, "b": b}, share=0.1).iloc[0]
    expected = [spearmanr(a[k, 10:40], b[k, 10:40]).statistic for k in (0, 2)]
    assert found["spearman"] == pytest.approx(np.mean(expected))
    assert found["n_classes"] == 2
    top = [set(np.argsort(-np.nan_to_num(x, nan=-9))[:5]) for k in (0, 2) for x in (a[k], b[k])]
    assert found["overlap"] == pytest.approx(np.mean([len(top[0] & top[1]), len(top[2] & top[3])]) / 5)
    assert found["expected_overlap"] == pytest.approx(0.1)


def test_selector_with_fewer_scores_than_the_quota_is_compared_over_those() -> None:
    a = np.array([[9.0, 8, 7, 6, 5, 4, 3, 2]])
    b = np.where(np.arange(8) == 0, 1.0, NAN)[None]
    found = agreement({"a": a, "b": b}, share=0.5).iloc[0]
    assert found["overlap"] == 1.0
    assert found["expected_overlap"] == pytest.approx(1 / 8)


def test_selectors_that_know_nothing_of_each_other_overlap_as_expected() -> None:
    rng = np.random.default_rng(1)
    found = agreement({"a": rng.normal(size=(40, 1000)), "b": rng.normal(size=(40, 1000))}, share=0.1).iloc[0]
    assert found["overlap"] == pytest.approx(found["expected_overlap"], abs=0.02)
    assert found["spearman"] == pytest.approx(0.0, abs=0.02)


# Specificity.


def effects(deltas: np.ndarray, selection: str = "top 1%", control: float = 0.0, task: str = "t") -> pd.DataFrame:
    """The view's rows for a matrix target x affected class."""
    names = [f"c{i}" for i in range(len(deltas))]
    rows = [
        {
            "model": "m", "dataset": "d", "task": task, "selection": selection, "operation": "scale", "gain": 0.0,
            "target": target, "affected_class": affected, "n_neurons": 7, "delta": delta, "control_delta_mean": control,
        }
        for target, line in zip(names, deltas, strict=True)
        for affected, delta in zip([*names, None], [*line, line.mean()], strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def diagonal(own: list[float], others: float) -> np.ndarray:
    return np.where(np.eye(len(own), dtype=bool), np.array(own)[:, None], others)


def test_own_class_is_set_against_the_others_beyond_controls() -> None:
    found = specificity(effects(diagonal([-0.5, -0.3, -0.4], -0.1), control=-0.05)).iloc[0]
    assert found["self_effect"] == pytest.approx(-0.35)
    assert found["cross_effect"] == pytest.approx(-0.05)
    assert found["specificity"] == pytest.approx(0.3)
    assert found["n_classes"] == 3
    assert found["n_neurons"] == 7
    assert np.isnan(found[["ci_low", "ci_high"]].to_numpy(dtype=float)).all()


def test_interval_is_over_classes_and_repeats() -> None:
    own = [-0.6, -0.1, -0.3, -0.4, -0.2, -0.5, -0.2, -0.4]
    table = effects(diagonal(own, 0.0))
    found = specificity(table).iloc[0]
    assert found["ci_low"] < found["specificity"] < found["ci_high"]
    standard_error = np.std(own) / np.sqrt(len(own))
    assert found["ci_high"] - found["ci_low"] == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    pd.testing.assert_frame_equal(specificity(table), specificity(table))


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    tables = [effects(diagonal(list(rng.normal(-0.3, 0.1, 20)), 0.0), task=f"t{i}") for i in range(200)]
    found = specificity(pd.concat(tables))
    held = ((found["ci_low"] <= 0.3) & (found["ci_high"] >= 0.3)).mean()
    assert 0.88 <= held <= 0.98


def test_targets_that_are_no_class_are_left_out() -> None:
    table = effects(diagonal([-0.5, -0.3], -0.1))
    extra = table[table["target"] == "c0"].assign(target="c0 + c1", delta=-0.9)
    pd.testing.assert_frame_equal(specificity(pd.concat([table, extra])), specificity(table))
    assert specificity(extra).empty


def test_without_controls_nothing_is_known() -> None:
    found = specificity(effects(diagonal([-0.5] * 6, 0.0), control=NAN)).iloc[0]
    assert np.isnan(found[["self_effect", "cross_effect", "specificity", "ci_low"]].to_numpy(dtype=float)).all()


def test_each_selection_task_and_gain_is_told_apart() -> None:
    parts = [
        effects(diagonal([-0.5] * 3, 0.0)),
        effects(diagonal([-0.2] * 3, 0.0), "mad 1%"),
        effects(diagonal([0.1] * 3, 0.0)).assign(gain=2.0),
        effects(diagonal([-0.7] * 3, 0.0), task="u"),
    ]
    found = specificity(pd.concat(parts)).set_index(["task", "selection", "gain"])["specificity"]
    assert found.to_dict() == {
        ("t", "top 1%", 0.0): pytest.approx(0.5),
        ("t", "mad 1%", 0.0): pytest.approx(0.2),
        ("t", "top 1%", 2.0): pytest.approx(-0.1),
        ("u", "top 1%", 0.0): pytest.approx(0.7),
    }


def test_most_specific_selection_and_its_lead() -> None:
    own = np.array([-0.5, -0.1, -0.3, -0.4, -0.2, -0.6])
    parts = [
        effects(diagonal(list(own), 0.0), "lap 1%"),
        effects(diagonal(list(own - 0.1), 0.0), "cas 1%"),
        effects(diagonal(list(own / 2), 0.0), "lape 1%"),
    ]
    found = most_specific(pd.concat(parts)).iloc[0]
    assert (found["selection"], found["runner_up"]) == ("cas 1%", "lap 1%")
    assert found["specificity"] == pytest.approx(0.45)
    assert found["lead"] == pytest.approx(0.1)
    assert found["ci_low"] == pytest.approx(0.1)  # paired: the classes differ, the lead does not
    assert found["n_classes"] == 6


def test_selections_are_compared_over_the_classes_they_share() -> None:
    strong = effects(diagonal([-0.9, -0.2, -0.2], 0.0), "a")
    weak = effects(diagonal([0.0, -0.3, -0.3], 0.0), "b")
    found = most_specific(pd.concat([strong, weak[weak["target"] != "c0"]])).iloc[0]
    assert (found["selection"], found["n_classes"]) == ("b", 2)
    assert found["lead"] == pytest.approx(0.1)


def test_one_selection_is_no_comparison() -> None:
    assert most_specific(effects(diagonal([-0.5, -0.3], -0.1))).empty
