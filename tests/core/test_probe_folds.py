"""Heads over folds, and heads for clips of several labels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from core.ablation.effects import best_classes
from core.probes.fit import LinearHead, describe, fit, fit_several
from core.probes.linear import OneVsRest
from core.probes.measures import Accuracy, Precision, average_precisions, random_precision
from tests.core.test_probe import clusters, names, told

FOLDS = np.array(["fold 1", "fold 2", "fold 10"])


def in_folds(n_clips: int, n_classes: int) -> NDArray[np.str_]:
    return FOLDS[np.arange(n_clips) // n_classes % 3]


def several(
    noise: float, seed: int = 0, n_clips: int = 120, n_features: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.str_]]:
    """Clips that are sums of the centres of their classes, one or two of four."""
    rng = np.random.default_rng(seed)
    members = np.zeros((n_clips, 4), dtype=bool)
    members[np.arange(n_clips), np.arange(n_clips) % 4] = True
    members[np.arange(n_clips), rng.integers(0, 4, n_clips)] = True
    sums = members @ rng.normal(size=(4, n_features))
    splits = np.array(["train", "valid", "test"])[np.arange(n_clips) // 4 % 3]
    return (sums + noise * rng.normal(size=sums.shape)).astype(np.float32), members, splits


# Folds.


def test_every_clip_is_tested_once_by_the_head_of_its_fold() -> None:
    embeddings, labels, _ = clusters(3, noise=0.05)
    labels[5] = -1
    splits = in_folds(90, 3)
    probe = fit("task", embeddings, labels, splits, names(3))
    assert len(probe.parts) == 3
    tested = np.concatenate([part.clips for part in probe.parts])
    assert sorted(tested.tolist()) == [i for i in range(90) if i != 5]
    for part, fold in zip(probe.parts, FOLDS, strict=True):
        assert set(splits[part.clips]) == {fold}
    assert probe.head is None
    assert probe.result.settings["chosen_on"] == "the next fold"
    assert describe(probe.result) == "accuracy 1.00 on 89 test clips in 3 folds (chance 0.34)"


@pytest.mark.parametrize("tested", range(3))
def test_labels_and_sound_of_a_fold_do_not_reach_the_head_that_it_tests(tested: int) -> None:
    embeddings, labels, _ = clusters(3, noise=1.0)
    splits = in_folds(90, 3)
    inside = splits == FOLDS[tested]
    other, moved = np.where(inside, (labels + 1) % 3, labels), embeddings.copy()
    moved[inside] += 100
    heads = []
    for sound, given in ((embeddings, labels), (embeddings, other), (moved, labels)):
        part = fit("task", sound, given, splits, names(3)).parts[tested]
        heads.append(part.head)
    for head in heads[1:]:
        np.testing.assert_array_equal(head.weight, heads[0].weight)
        np.testing.assert_array_equal(head.mean, heads[0].mean)


def test_head_of_a_fold_is_that_of_one_split_with_the_next_fold_as_valid() -> None:
    embeddings, labels, _ = clusters(3, noise=2.0)
    splits = in_folds(90, 3)
    probe = fit("task", embeddings, labels, splits, names(3))
    # Fold 10 tests; the next is fold 1, which is valid; fold 2 trains.
    role = {"fold 10": "test", "fold 1": "valid", "fold 2": "train"}
    alone = fit("task", embeddings, labels, np.array([role[s] for s in splits]), names(3))
    assert alone.head is not None
    np.testing.assert_array_equal(probe.parts[2].head.weight, alone.head.weight)
    strengths = probe.result.settings["C"]
    assert isinstance(strengths, dict)
    assert strengths["fold 10"] == alone.result.settings["C"]
    assert told(probe, "fold 10", None) == {**told(alone, "test", None), "split": "fold 10"}


def test_two_folds_test_each_other() -> None:
    embeddings, labels, _ = clusters(3, noise=0.05)
    probe = fit("task", embeddings, labels, FOLDS[np.arange(90) // 3 % 2], names(3))
    assert len(probe.parts) == 2
    assert str(probe.result.settings["chosen_on"]).startswith("nothing")


def test_test_row_pools_the_clips_of_all_folds() -> None:
    embeddings, labels, _ = clusters(3, noise=2.0)
    splits = in_folds(90, 3)
    splits[:12] = "fold 1"
    probe = fit("task", embeddings, labels, splits, names(3))
    rows = probe.result.rows
    assert set(rows["split"]) == {*FOLDS, "test"}
    for name in (None, *names(3)):
        folds = pd.DataFrame([told(probe, fold, name) for fold in FOLDS])
        whole = told(probe, "test", name)
        assert whole["n_clips"] == folds["n_clips"].sum()
        assert whole["accuracy"] == pytest.approx(np.average(folds["accuracy"], weights=folds["n_clips"]))
        assert whole["chance"] == pytest.approx(np.average(folds["chance"], weights=folds["n_clips"]))
    correct = np.concatenate([part.head.predict(embeddings[part.clips]) == labels[part.clips] for part in probe.parts])
    assert told(probe, "test", None)["accuracy"] == pytest.approx(correct.mean())


def test_pooled_accuracy_worked_by_hand() -> None:
    one = Accuracy(["a", "b"], np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([True, True, False]))
    two = Accuracy(["a", "b"], np.array([0]), np.array([0]), np.array([False]))
    whole, a, b = one.pooled([one, two]).rows("test")
    assert (whole["n_clips"], whole["accuracy"], whole["chance"]) == (4, 0.75, 0.5)
    assert (a["n_clips"], a["accuracy"], b["accuracy"]) == (3, 2 / 3, 1)


def test_fold_that_cannot_be_tested_is_named() -> None:
    embeddings, labels, _ = clusters(2, noise=1.0, n_clips=12)
    splits = np.where(labels == 0, "fold 1", "fold 2")
    probe = fit("task", embeddings, labels, splits, names(2))
    assert probe.parts == ()
    assert probe.result.skipped.startswith("fold 1 as test: the train split has clips of 1 class")


# Several labels a clip.


def test_average_precision_is_scikit_learns_class_by_class() -> None:
    rng = np.random.default_rng(0)
    scores, members = rng.normal(size=(50, 4)).round(1), rng.random((50, 4)) < 0.3
    members[:, 2] = False
    found = average_precisions(scores, members)
    assert np.isnan(found[2])
    for k in (0, 1, 3):
        assert found[k] == average_precision_score(members[:, k], scores[:, k])


def test_average_precision_worked_by_hand() -> None:
    # Class a comes 1st and 3rd of four: (1 + 2/3) / 2. Class b comes last: 1/4.
    scores = np.array([[9.0, 4], [8, 3], [7, 2], [6, 1]])
    members = np.array([[1, 0], [0, 0], [1, 0], [0, 1]], dtype=bool)
    whole, a, b = Precision.of(["a", "b"], scores, members).rows("test")
    assert a["accuracy"] == pytest.approx(5 / 6)
    assert b["accuracy"] == pytest.approx(1 / 4)
    assert whole["accuracy"] == pytest.approx((5 / 6 + 1 / 4) / 2)
    assert [row["n_clips"] for row in (whole, a, b)] == [4, 2, 1]
    assert {row["metric"] for row in (whole, a, b)} == {"average precision"}


@pytest.mark.parametrize(("n_positive", "n_clips"), [(1, 1), (1, 2), (2, 5), (3, 7), (7, 7)])
def test_chance_is_the_mean_over_all_orders(n_positive: int, n_clips: int) -> None:
    scores = -np.arange(n_clips, dtype=float)
    found = []
    for places in combinations(range(n_clips), n_positive):
        found.append(average_precision_score(np.isin(np.arange(n_clips), places), scores))
    assert random_precision(n_positive, n_clips) == pytest.approx(np.mean(found))


def test_one_vs_rest_is_scikit_learns_class_by_class() -> None:
    embeddings, members, _ = several(noise=1.0)
    scaled = StandardScaler().fit_transform(embeddings.astype(np.float64))
    members = np.column_stack([members, np.zeros(120, dtype=bool), np.ones(120, dtype=bool)])
    learner = OneVsRest(members)
    for strength in (0.01, 1.0):
        weight, bias, known = learner.fit(scaled, strength)
        assert known.tolist() == [0, 1, 2, 3]
        for k in range(4):
            model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(scaled, members[:, k])
            np.testing.assert_allclose(weight[k], model.coef_[0], atol=0.02)
            np.testing.assert_allclose(bias[k], model.intercept_[0], atol=0.02)


def test_classes_of_a_clip_are_told_together() -> None:
    embeddings, members, splits = several(noise=0.05)
    probe = fit_several("task", embeddings, members, splits, names(4))
    assert probe.head is not None
    assert told(probe, "test", None)["accuracy"] > 0.98
    assert told(probe, "test", None)["chance"] < 0.7
    assert told(probe, "test", "class 1")["n_clips"] == members[splits == "test", 1].sum()
    (part,) = probe.parts
    assert (splits[part.clips] == "test").all()
    assert describe(probe.result).startswith("mean average precision")


def test_rows_are_those_of_the_heads_scores() -> None:
    embeddings, members, splits = several(noise=2.0)
    probe = fit_several("task", embeddings, members, splits, names(4))
    assert probe.head is not None
    for split in ("train", "valid", "test"):
        where = splits == split
        own = [average_precision_score(members[where, k], probe.head.logits(embeddings[where])[:, k]) for k in range(4)]
        assert [told(probe, split, name)["accuracy"] for name in names(4)] == pytest.approx(own)
        assert told(probe, split, None)["accuracy"] == pytest.approx(np.mean(own))


def test_embeddings_without_a_trace_of_the_classes_are_no_better_than_shuffled_labels() -> None:
    _, members, splits = several(noise=1.0, n_clips=240)
    rng = np.random.default_rng(1)
    probe = fit_several("task", rng.normal(size=(240, 8)).astype(np.float32), members, splits, names(4))
    whole = told(probe, "test", None)
    assert whole["accuracy"] == pytest.approx(whole["chance"], abs=0.1)
    assert whole["accuracy"] < probe.result.settings["highest_of_shuffled"] + 0.03  # type: ignore[operator]


def test_several_labels_over_folds_give_the_mean_of_the_folds() -> None:
    embeddings, members, _ = several(noise=1.0)
    members[:8, 3] = False
    members[3:8:4, 0] = True
    splits = in_folds(120, 4)
    probe = fit_several("task", embeddings, members, splits, names(4))
    assert len(probe.parts) == 3
    for name in (None, *names(4)):
        folds = [told(probe, fold, name) for fold in FOLDS]
        whole = told(probe, "test", name)
        assert whole["accuracy"] == pytest.approx(np.mean([f["accuracy"] for f in folds]))
        assert whole["n_clips"] == sum(f["n_clips"] for f in folds)
    other = members.copy()
    other[splits == FOLDS[1]] = np.roll(members[splits == FOLDS[1]], 1, axis=1)
    again = fit_several("task", embeddings, other, splits, names(4))
    np.testing.assert_array_equal(again.parts[1].head.weight, probe.parts[1].head.weight)


def test_class_that_the_train_clips_lack_is_told_by_luck() -> None:
    embeddings, members, splits = several(noise=0.05)
    members[splits == "train", 3] = False
    members[(splits == "train") & ~members.any(axis=1), 0] = True
    probe = fit_several("task", embeddings, members, splits, names(4))
    assert probe.head is not None
    assert probe.head.class_index.tolist() == [0, 1, 2]
    share = members[splits == "test", 3].mean()
    assert told(probe, "test", "class 3")["accuracy"] == pytest.approx(share)


def test_several_labels_without_test_clips_are_skipped() -> None:
    embeddings, members, splits = several(noise=0.05)
    members[splits == "test"] = False
    probe = fit_several("task", embeddings, members, splits, names(4))
    assert "test split has no clip" in probe.result.skipped
    members[:, 1:] = False
    assert "class(es)" in fit_several("task", embeddings, members, splits, names(4)).result.skipped


def test_answers_have_a_place_for_each_class_and_none_for_what_the_head_does_not_know() -> None:
    head = LinearHead(np.zeros(2), np.ones(2), np.eye(2), np.zeros(2), np.array([4, 1]))
    answers = head.answers(np.array([[1.0, 2], [3, 3]]), 5)
    np.testing.assert_array_equal(answers, [[np.nan, 2, np.nan, np.nan, 1], [np.nan, 3, np.nan, np.nan, 3]])
    assert best_classes(answers, 3).tolist() == [[1, 4, -1], [1, 4, -1]], "of equals the first"
    assert best_classes(answers, 1).tolist() == [[1], [1]]
