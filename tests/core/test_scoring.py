"""One task from stored counts: what is counted, what holds on test clips, which clips come first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.datasets.scan import Scan
from core.datasets.task import Task
from core.evidence.fdr import benjamini_hochberg
from core.evidence.permutation import evidence
from core.recording import top_clips
from core.recording.activations import Activations
from core.scoring import counts as counts_
from core.scoring.scores import masks, replication, score
from core.selectivity.presets import SelectionSettings
from tests.support.planted import scan_without_files

# Two neurons; a clip has 10 tokens. Neuron 0 answers to "a" in train and test, neuron 1 in train only.
CLIPS = [
    ("train", "a", [8, 6]), ("train", "a", [6, 6]), ("valid", "a", [7, 6]), ("test", "a", [9, 0]),
    ("train", "b", [1, 0]), ("train", "b", [0, 1]), ("valid", "b", [2, 2]), ("test", "b", [1, 5]),
    ("test", "c", [0, 0]), ("train", "", [9, 9]),
]  # fmt: skip


def study(clips: list = CLIPS) -> tuple[Scan, Activations]:
    scan = scan_without_files([(s, {"kind": k} if k else {}) for s, k, _ in clips], ("kind",))
    positive = np.array([counts for *_, counts in clips], dtype=np.uint8)
    n = len(clips)
    total = positive.astype(np.float32) * [1, 2] - 1
    tokens = np.full(n, 10, dtype=np.int32)
    return scan, Activations(Path("made"), positive, total, tokens, np.zeros((n, 1), np.float32), np.ones(n, np.uint8))


def count_of(made: tuple[Scan, Activations], event: str, splits: tuple[str, ...]) -> counts_.TaskCounts:
    scan, activations = made
    return counts_.count(Task(scan, "kind"), activations, event, splits)


def count(event: str = "positive", splits: tuple[str, ...] = ("train", "valid")) -> counts_.TaskCounts:
    return count_of(study(), event, splits)


def test_positive_event_counts_tokens_of_labelled_selection_clips_by_class() -> None:
    counts = count()
    assert counts.names == ["a", "b"], "a class without selection clips is left out"
    assert counts.positive.tolist() == [[21, 18], [3, 3]]
    assert counts.tokens.tolist() == [30, 30]
    assert counts.sizes.tolist() == [3, 3]
    assert counts.members.argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]
    assert counts.members.sum() == 6
    assert counts.test_positive.tolist() == [[9, 0], [1, 5]]
    assert counts.test_tokens.tolist() == [10, 10]


def test_clip_of_several_classes_counts_for_each() -> None:
    scan, activations = study()
    labels = ["a,b", "a", "a", "a,b", "b", "b", "b", "b", "c,b", ""]
    clips = [replace(c, labels={"kind": k}) for c, k in zip(scan.dataset.clips, labels, strict=True)]
    scan = replace(scan, dataset=replace(scan.dataset, clips=tuple(clips), multilabel=("kind",)))
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"))
    assert counts.names == ["a", "b"]
    assert counts.sizes.tolist() == [3, 4]
    assert counts.positive.tolist() == [[21, 18], [11, 9]]
    assert counts.tokens.tolist() == [30, 40]
    # Test clips: a and b, b, and c with b, of which c is not looked at.
    assert counts.test_positive.tolist() == [[9, 0], [10, 5]]
    assert counts.test_tokens.tolist() == [10, 30]
    scores = score(Task(scan, "kind"), counts, [SelectionSettings("lape", 1.0, 0.5)], 2, 0)
    assert scores.n_clips == 6
    assert scores.n_clips_per_class.tolist() == [3, 4]


def test_split_of_the_attribute_itself_is_the_one_that_counts() -> None:
    scan, activations = study()
    own = ("test", *(c.split for c in scan.dataset.clips[1:]))
    scan = replace(scan, dataset=replace(scan.dataset, split_of={"kind": own}))
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"))
    assert counts.positive.tolist() == [[13, 12], [3, 3]]
    assert counts.test_positive.tolist() == [[17, 6], [1, 5]]


def test_last_fold_is_the_check_on_what_the_others_chose() -> None:
    scan, activations = study(CLIPS[:8])
    folds = [f"fold {k}" for k in (1, 2, 2, 10, 1, 1, 2, 10)]
    clips = [replace(c, split=k) for c, k in zip(scan.dataset.clips, folds, strict=True)]
    scan = replace(scan, dataset=replace(scan.dataset, clips=tuple(clips)))
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"))
    assert counts.positive.tolist() == [[21, 18], [3, 3]]
    assert counts.test_positive.tolist() == [[9, 0], [1, 5]]


def test_evidence_is_that_of_the_selection_clips() -> None:
    counts = count()
    z, p = evidence(counts.clips, counts.positive, counts.unit_members)
    np.testing.assert_array_equal(counts.z, z)
    np.testing.assert_array_equal(counts.p, p)
    assert (counts.z[0] > 1.9).all()


def test_high_event_counts_clips_one_deviation_over_the_neurons_mean() -> None:
    # Neuron 0's means of the six selection clips: .7 .5 .6 0 -.1 .1, so over .3 + .312: clips 1 only;
    # neuron 1's: 1.1 three times, -.1 .1 .3, so over .6 + .527: none.
    counts = count("high")
    assert counts.positive.tolist() == [[1, 0], [0, 0]]
    assert counts.tokens.tolist() == [3, 3]
    assert counts.test_positive.tolist() == [[1, 0], [0, 0]]  # .8, and -.1 against .9
    assert counts.test_tokens.tolist() == [1, 1]


def test_clips_outside_the_selection_do_not_move_the_threshold_of_the_high_event() -> None:
    scan, activations = study()
    activations.total[9] = 1000  # no label
    activations.total[7] = -1000  # test
    counts = counts_.count(Task(scan, "kind"), activations, "high", ("train", "valid"))
    assert counts.positive.tolist() == [[1, 0], [0, 0]]
    assert counts.test_positive.tolist() == [[1, 0], [0, 0]]


def test_clip_without_a_token_is_left_out() -> None:
    scan, activations = study()
    activations.tokens[0] = 0
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"))
    assert counts.sizes.tolist() == [2, 3]
    assert counts.positive[0].tolist() == [13, 12]


def test_one_class_is_no_task() -> None:
    with pytest.raises(counts_.NothingToTell, match="^clips of train are of class a only; at least 2 classes are"):
        count_of(study(CLIPS[:4]), "positive", ("train",))
    with pytest.raises(counts_.NothingToTell, match="^clips of fold 9 are absent; at least 2 classes are"):
        count_of(study(CLIPS[:4]), "positive", ("fold 9",))


def test_replication_asks_for_twice_the_rate_of_the_others_on_test_clips() -> None:
    holds, share = replication(count(), lift_min=2.0)
    assert holds.tolist() == [[1, 0], [0, 1]]
    assert share == 0.5
    stricter, _ = replication(count(), lift_min=9.5)
    assert stricter.tolist() == [[0, 0], [0, 1]]


def test_replication_is_unknown_where_fewer_than_two_classes_have_test_clips() -> None:
    clips = [c for c in CLIPS if c[:2] != ("test", "b")]
    holds, share = replication(count_of(study(clips), "positive", ("train",)), 2.0)
    assert np.isnan(holds).all()
    assert np.isnan(share)


def test_clips_that_chose_the_neurons_are_no_check_on_them() -> None:
    counts = count(splits=("train", "valid", "test"))
    assert counts.names == ["a", "b", "c"]
    assert counts.positive.tolist() == [[30, 18], [4, 8], [0, 0]]
    holds, share = replication(counts, 2.0)
    assert np.isnan(holds).all()
    assert np.isnan(share)


def test_masks_use_the_rate_of_false_discoveries_over_all_pairs() -> None:
    counts = count()
    loose = SelectionSettings("calibrated", q_max=1.0)
    strict = SelectionSettings("calibrated", q_max=float(benjamini_hochberg(counts.p)[0].min()))
    found, none = masks(counts, [loose, strict])
    assert found.tolist() == [[True, True], [False, False]]
    assert not none.any()


def test_scores_hold_counts_pairs_and_their_check() -> None:
    scan, _ = study()
    settings = [SelectionSettings("calibrated", q_max=0.2), SelectionSettings("lape", 1.0, 0.5)]
    scores = score(Task(scan, "kind"), count(), settings, n_shuffles=3, seed=0)
    assert (scores.dataset, scores.attribute, scores.task) == ("made", "kind", "made-kind")
    assert scores.class_names == ("a", "b")
    assert scores.positive_counts.tolist() == [[21, 18], [3, 3]]
    assert scores.positive_counts.dtype == np.int64
    assert scores.n_clips_per_class.tolist() == [3, 3]
    assert any("left out: c" in warning for warning in scores.warnings)
    assert [s.preset for s in scores.selections] == ["calibrated", "lape"]
    pairs = scores.selections[0].pairs
    assert pairs["class_index"].tolist() == [0, 0]
    assert pairs["neuron_index"].tolist() == [0, 1]
    np.testing.assert_allclose(pairs["activation_probability"], [0.7, 0.6])
    np.testing.assert_allclose(pairs["lift"], [7, 6])
    assert pairs["replicated"].tolist() == [1, 0]
    assert scores.selections[0].replicated_share_all_pairs == 0.5
    assert scores.selections[0].null is not None
    assert scores.selections[0].null.n_shuffles == 3


def test_layers_tell_what_was_chosen_in_each_beside_their_own_null() -> None:
    scan, activations = study()
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"), (1, 1))
    (selection,) = score(Task(scan, "kind"), counts, [SelectionSettings("calibrated", q_max=0.2)], 3, 0).selections
    layers = selection.layers.set_index("layer")
    assert layers["n_class_specific"].tolist() == layers["n_classes_covered"].tolist() == [1, 1]
    assert layers["replicated_share"].tolist() == [1, 0]
    assert layers["replicated_share_all_pairs"].tolist() == [0.5, 0.5]
    assert selection.null is not None
    assert layers["null_n_class_specific_mean"].sum() == pytest.approx(selection.null.n_class_specific_mean)


def test_chosen_pairs_that_hold_no_more_often_than_any_are_warned_of() -> None:
    # Forty neurons that follow class a in train; on test clips a and b are alike.
    rng = np.random.default_rng(0)
    clips = [("train", "ab"[i % 2], None) for i in range(40)] + [("test", "ab"[i % 2], None) for i in range(40)]
    scan = scan_without_files([(s, {"kind": k}) for s, k, _ in clips], ("kind",))
    a_in_train = np.array([s == "train" and k == "a" for s, k, _ in clips])
    rate = np.where(a_in_train, 0.8, 0.2)[:, None].repeat(40, axis=1)
    n = len(clips)

    def warned(test_rate: float) -> list[str]:
        rate[[s == "test" and k == "a" for s, k, _ in clips]] = test_rate
        positive = rng.binomial(10, rate).astype(np.uint8)
        activations = Activations(
            Path("made"), positive, positive.astype(np.float32), np.full(n, 10, np.int32),
            np.zeros((n, 1), np.float32), np.ones(n, np.uint8),
        )  # fmt: skip
        counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train",))
        scores = score(Task(scan, "kind"), counts, [SelectionSettings("calibrated")], 0, 0)
        assert len(scores.selections[0].pairs) == 40
        return [w for w in scores.warnings if "no more often" in w]

    assert len(warned(0.2)) == 1
    assert warned(0.8) == []


def test_what_hangs_on_no_label_is_found_once_for_the_tasks_that_choose_the_same_clips() -> None:
    _, activations = study()
    some, others = np.arange(10) < 6, np.arange(10) < 7
    asked: list[str] = []

    def found(chosen: np.ndarray, name: str) -> int:
        def find() -> int:
            asked.append(name)
            return len(asked)

        return counts_.found_of(activations, chosen, name, find)

    assert [found(some, "ranks"), found(some, "ranks"), found(some, "confounds"), found(some, "ranks")] == [1, 1, 2, 1]
    assert [found(others, "ranks"), found(some, "ranks")] == [3, 4], "what was found of other clips is let go"
    assert asked == ["ranks", "confounds", "ranks", "ranks"]


def test_selectors_of_a_second_task_are_those_of_the_first() -> None:
    made = study()
    counts = count_of(made, "positive", ("train", "valid"))
    alone, shared = (counts_.selectors(made[1], counts) for _ in range(2))
    assert made[1].of_clips["ranks"].tolist() == [[6, 4, 5, 2, 1, 3], [5, 5, 5, 1, 2, 3]]
    for name, scores in alone.items():
        np.testing.assert_array_equal(shared[name], scores)


def test_top_clips_are_those_of_the_highest_mean_activation_over_the_whole_dataset() -> None:
    scan, activations = study()
    activations.tokens[8] = 0  # a clip without a token ranks by what it holds: nothing
    activations.total[8] = 0
    top = top_clips.top_clips(scan, activations)
    # Neuron 0's totals: 7 5 6 8 0 -1 1 0 (0) 8; equals by position.
    assert top.clip_index[0].tolist() == [3, 9, 0, 2, 1, 6, 4, 7]
    np.testing.assert_allclose(top.mean_activation[0], [0.8, 0.8, 0.7, 0.6, 0.5, 0.1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(top.activation_rate[0], [0.9, 0.9, 0.8, 0.7, 0.6, 0.2, 0.1, 0.1])
    assert top.clip_index.shape == (2, 8)


def test_top_clips_of_a_small_dataset_are_all_of_it() -> None:
    top = top_clips.top_clips(*study(CLIPS[:3]))
    assert top.clip_index.tolist() == [[0, 2, 1], [0, 1, 2]]


def test_labels_are_dealt_over_voices_where_each_has_one_class() -> None:
    voices = [3, 3, 1, 1, 2, 2, 4, 4, 4, 5]
    scan, activations = study()
    clips = [replace(c, labels={**c.labels, "voice": str(v)}) for c, v in zip(scan.dataset.clips, voices, strict=True)]
    scan = replace(scan, dataset=replace(scan.dataset, clips=tuple(clips), attributes=("kind", "voice")))
    counts = counts_.count(Task(scan, "kind"), activations, "positive", ("train", "valid"))
    assert counts.positive.tolist() == [[21, 18], [3, 3]], "what is counted does not depend on it"
    assert counts.sizes.tolist() == [3, 3]
    assert counts.exchange.description == "whole voices"
    assert counts.unit_members.tolist() == [[True, False], [True, False], [False, True], [False, True]]
    assert counts.p.min() >= 1 / 6
    scores = score(Task(scan, "kind"), counts, [SelectionSettings("lape", 1.0, 0.5)], 4, 0)
    assert scores.shuffled == "whole voices"
    assert scores.selections[0].null is not None
    assert scores.selections[0].null.shuffled == "whole voices"
    assert counts.exchange.warning in scores.warnings


def test_scores_hold_curve_and_p_of_entropies() -> None:
    scan, _ = study()
    scores = score(Task(scan, "kind"), count(), [SelectionSettings("lape", 1.0, 0.5)], 60, 0)
    assert scores.shuffled == "clips"
    assert scores.entropy_p_value is not None
    assert scores.entropy_q_value is not None
    # Of the 20 ways to deal three and three only the true one and its mirror tell the classes apart so well.
    assert scores.entropy_p_value.shape == (2,)
    assert (scores.entropy_p_value < 0.3).all()
    assert (scores.entropy_q_value >= scores.entropy_p_value).all()
    assert set(scores.curve["preset"]) == {"lape"}
    assert (scores.curve["n_shuffles"] == 50).all()  # so many feed the curves
