"""The linear head: what it learns, what it is chosen on, what is told of it, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.probes.fit import STRENGTHS, LinearHead, Probe, describe, fit

SPLITS = ("train", "valid", "test")


def clusters(
    n_classes: int, noise: float, seed: int = 0, n_clips: int = 90, n_features: int = 12
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.str_]]:
    """Classes around centres of their own; every third clip of a class is a test clip."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n_clips) % n_classes
    centres = rng.normal(size=(n_classes, n_features))
    embeddings = (3 + centres[labels] + noise * rng.normal(size=(n_clips, n_features))).astype(np.float32)
    return embeddings, labels, np.array(SPLITS)[np.arange(n_clips) // n_classes % 3]


def names(n: int) -> list[str]:
    return [f"class {i}" for i in range(n)]


def told(probe: Probe, split: str, class_name: str | None) -> dict[str, float]:
    rows = probe.result.rows
    own = rows["class_name"].isna() if class_name is None else rows["class_name"] == class_name
    (row,) = rows[(rows["split"] == split) & own].to_dict("records")
    return row


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classes_that_lie_apart_are_told_apart(n_classes: int) -> None:
    embeddings, labels, splits = clusters(n_classes, noise=0.05)
    probe = fit("task", embeddings, labels, splits, names(n_classes))
    assert probe.head is not None
    np.testing.assert_array_equal(probe.head.predict(embeddings), labels)
    assert (probe.result.rows["accuracy"] == 1.0).all()
    assert probe.result.skipped == ""
    assert len(probe.result.rows) == 3 * (1 + n_classes)


def test_embeddings_without_a_trace_of_the_class_stay_at_chance() -> None:
    rng = np.random.default_rng(0)
    embeddings, labels, splits = clusters(2, noise=1, n_clips=600)
    probe = fit("task", rng.normal(size=embeddings.shape).astype(np.float32), labels, splits, names(2))
    assert told(probe, "test", None)["accuracy"] == pytest.approx(0.5, abs=0.12)


def test_head_is_a_scaler_and_a_linear_layer() -> None:
    head = LinearHead(
        mean=np.array([1.0, 0]), scale=np.array([2.0, 1]), weight=np.array([[1.0, 0], [0, 1], [-1, 0]]),
        bias=np.array([0, 0.5, 0]), class_index=np.array([4, 0, 2]),
    )  # fmt: skip
    # Logits: (2, .5, -2), (-2, .5, 2), (0, 1.5, 0).
    assert head.predict(np.array([[5.0, 0], [-3, 0], [1, 1]])).tolist() == [4, 2, 0]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_head_is_scikit_learns_with_the_strength_best_on_valid(n_classes: int) -> None:
    strengths = set()
    for seed in range(6):
        embeddings, labels, splits = clusters(n_classes, noise=2.0, seed=seed, n_features=30)
        train, valid = splits == "train", splits == "valid"
        probe = fit("task", embeddings, labels, splits, names(n_classes))
        scaler = StandardScaler().fit(embeddings[train].astype(np.float64))
        scaled = scaler.transform(embeddings.astype(np.float64))
        model = LogisticRegression(max_iter=200, tol=1e-3, warm_start=True)
        told, accuracy = [], []
        for strength in STRENGTHS:
            model.set_params(C=strength).fit(scaled[train], labels[train])
            told.append(model.predict(scaled))
            accuracy.append(model.score(scaled[valid], labels[valid]))
        best = int(np.argmax(accuracy))
        assert probe.result.settings["C"] == STRENGTHS[best]
        assert probe.result.settings["chosen_on"] == "valid"
        assert probe.head is not None
        np.testing.assert_array_equal(probe.head.predict(embeddings), told[best])
        converged = LogisticRegression(C=STRENGTHS[best], max_iter=5000, tol=1e-8).fit(scaled[train], labels[train])
        assert np.mean(converged.predict(scaled) == told[best]) > 0.95
        strengths.add(STRENGTHS[best])
    assert len(strengths) > 1, "the choice must depend on the data for this to be a test"


def test_bias_of_two_unequal_classes_has_its_sign() -> None:
    embeddings, labels, splits = clusters(2, noise=4.0)
    splits[np.flatnonzero((labels == 0) & (splits == "train"))[2:]] = "left out"
    probe = fit("task", embeddings, labels, splits, names(2))
    scaled = StandardScaler().fit(embeddings[splits == "train"].astype(np.float64)).transform(embeddings)
    train = splits == "train"
    model = LogisticRegression(C=probe.result.settings["C"], max_iter=200, tol=1e-3).fit(scaled[train], labels[train])  # type: ignore[arg-type]
    assert probe.head is not None
    np.testing.assert_array_equal(probe.head.predict(embeddings), model.predict(scaled))
    assert probe.head.predict(embeddings).mean() > 0.7, "the commoner class is told more often"


def test_labels_of_test_clips_do_not_reach_the_head() -> None:
    embeddings, labels, splits = clusters(3, noise=1.0)
    other = np.where(splits == "test", (labels + 1) % 3, labels)
    one, two = (fit("task", embeddings, given, splits, names(3)) for given in (labels, other))
    assert one.head is not None
    assert two.head is not None
    np.testing.assert_array_equal(one.head.weight, two.head.weight)
    assert one.result.settings == two.result.settings


def test_rows_and_chance_worked_by_hand() -> None:
    # One feature, two classes, commonest in train: class 1.
    embeddings = np.array([[-1], [1], [1], [-1], [1], [-1], [-1], [-1]], dtype=np.float32)
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    splits = np.array(["train"] * 3 + ["valid"] * 2 + ["test"] * 3)
    probe = fit("task", embeddings, labels, splits, ["low", "high"])
    whole = told(probe, "test", None)
    assert whole["n_clips"] == 3
    assert whole["accuracy"] == pytest.approx(2 / 3)
    assert whole["chance"] == pytest.approx(1 / 3)
    assert told(probe, "test", "low")["accuracy"] == 1.0
    assert told(probe, "test", "high")["accuracy"] == 0.0
    assert told(probe, "test", "high")["n_clips"] == 1
    assert told(probe, "test", "low")["chance"] == 0.5
    assert told(probe, "train", None)["chance"] == pytest.approx(2 / 3)
    assert probe.result.task == "task"
    assert describe(probe.result) == "accuracy 0.67 on 3 test clips (chance 0.33)"


def test_clips_without_a_label_are_left_out() -> None:
    embeddings, labels, splits = clusters(3, noise=0.05)
    embeddings, labels = np.concatenate([embeddings, embeddings]), np.concatenate([labels, np.full(90, -1)])
    probe = fit("task", embeddings, labels, np.concatenate([splits, splits]), names(3))
    whole = probe.result.rows[probe.result.rows["class_name"].isna()]
    assert whole["n_clips"].tolist() == [30, 30, 30]


def test_test_clips_of_a_class_that_train_lacks_count_as_wrong() -> None:
    embeddings, labels, splits = clusters(3, noise=0.05)
    splits[(labels == 2) & (splits == "train")] = "valid"
    probe = fit("task", embeddings, labels, splits, names(3))
    assert told(probe, "test", "class 2")["accuracy"] == 0
    assert told(probe, "test", None)["accuracy"] == pytest.approx(2 / 3)
    assert probe.head is not None
    assert probe.head.class_index.tolist() == [0, 1]


def test_without_valid_clips_the_middle_strength_is_taken_and_said() -> None:
    embeddings, labels, splits = clusters(3, noise=0.05)
    splits[splits == "valid"] = "train"
    probe = fit("task", embeddings, labels, splits, names(3))
    assert probe.result.settings["C"] == STRENGTHS[len(STRENGTHS) // 2]
    assert str(probe.result.settings["chosen_on"]).startswith("nothing")
    assert set(probe.result.rows["split"]) == {"train", "test"}


def test_feature_that_never_changes_does_no_harm() -> None:
    embeddings, labels, splits = clusters(3, noise=0.05)
    embeddings[:, 0] = 7.0
    probe = fit("task", embeddings, labels, splits, names(3))
    assert told(probe, "test", None)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("train", "test", "reason"),
    [
        ([], [0, 1], r"train split has clips of 0 class"),
        ([1, 1, 1], [0, 1], r"train split has clips of 1 class"),
        ([0, 1], [], "test split has no clip"),
        ([0, 1], [2, 2], "test split has no clip of a class that is in train"),
        ([0, 1], [-1, -1], "test split has no clip"),
    ],
)
def test_head_that_cannot_be_trained_is_skipped_with_the_reason(train: list[int], test: list[int], reason: str) -> None:
    labels = np.array(train + test)
    splits = np.array(["train"] * len(train) + ["test"] * len(test), dtype=np.str_)
    probe = fit("task", np.zeros((len(labels), 2), dtype=np.float32), labels, splits, names(3))
    assert probe.head is None
    assert probe.result.rows.empty
    assert reason in probe.result.skipped
    assert describe(probe.result).startswith("none, ")


def test_more_features_than_clips_gives_the_same_head() -> None:
    rng = np.random.default_rng(3)
    embeddings, labels, splits = clusters(3, noise=1.0, n_features=20)
    train = splits == "train"
    wide = (embeddings @ rng.standard_normal((20, 2 * int(train.sum())))).astype(np.float32)
    wide += rng.standard_normal(wide.shape).astype(np.float32)
    probe = fit("task", wide, labels, splits, names(3))
    scaler = StandardScaler().fit(wide[train].astype(np.float64))
    scaled = scaler.transform(wide.astype(np.float64))
    strength = probe.result.settings["C"]
    model = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(scaled[train], labels[train])  # type: ignore[arg-type]
    assert probe.head is not None
    assert probe.head.weight.shape == (3, wide.shape[1])
    assert np.mean(probe.head.predict(wide) == model.predict(scaled)) > 0.97
