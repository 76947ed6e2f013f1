"""Heads on level, duration, silence and spectrum; groups kept apart and mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.confounds.probes import FEATURES, confound_probes, task_confounds
from core.datasets.groups import group_attributes
from core.datasets.levels import BAND_FEATURES, LEVEL_FEATURES
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.probes import fit
from core.results import wilson
from tests.support.planted import scan_without_files

N = 360


def noise(groups: list[str] | None = None, seed: int = 0) -> Scan:
    """Clips in turn a, b, c, half of them test clips, whose level, length and spectrum say nothing."""
    splits = [("train", "test")[i // 3 % 2] for i in range(N)]
    labels = [{"kind": "abc"[i % 3], **({"voice": groups[i]} if groups else {})} for i in range(N)]
    scan = scan_without_files(list(zip(splits, labels, strict=True)), ("kind", *(["voice"] if groups else [])))
    rng = np.random.default_rng(seed)
    columns = (*LEVEL_FEATURES, *BAND_FEATURES)
    return replace(scan, files=scan.files.assign(**{name: rng.normal(size=N) for name in columns}))


def head(scan: Scan, strength: float, seed: int = 1) -> tuple[np.ndarray, fit.ProbeResult]:
    """Embeddings that tell the class so well, and the model's own head on them."""
    labels = Task(scan, "kind").labels
    rng = np.random.default_rng(seed)
    embeddings = (strength * np.eye(3)[labels] + rng.normal(size=(N, 3))).astype(np.float32)
    return embeddings, fit.fit_task(Task(scan, "kind"), embeddings).result


def test_noise_tells_nothing_and_marks_nothing() -> None:
    scan = noise()
    embeddings, own = head(scan, 5)
    found = confound_probes(Task(scan, "kind"), embeddings, own).set_index("feature")
    assert list(found.index) == [*FEATURES, "model"]
    assert (found["mark"] == "").all() and (found["n_clips"] == 180).all()
    assert found["accuracy"].drop("model").between(0.2, 0.47).all()
    assert found.loc["model", "accuracy"] > 0.95
    assert task_confounds(found.reset_index()) == []


def test_an_attribute_in_a_split_of_its_own_is_no_group() -> None:
    labels = {"gender": "f", "gender_by_speaker": "f", "speaker": "1"}
    scan = scan_without_files([("train", labels)] * 3, tuple(labels))
    scan = replace(scan, dataset=replace(scan.dataset, split_of={"gender_by_speaker": ("train",) * 3}))
    assert [name for name, _ in group_attributes(Task(scan, "gender"))] == ["speaker"]


@pytest.mark.parametrize(
    ("column", "seen_by"),
    [
        ("level_db", {"level", "level+duration+silence"}),
        ("seconds", {"duration", "level+duration+silence"}),
        ("active_share", {"silence", "level+duration+silence"}),
        ("band_07", {"spectrum"}),
    ],
)
def test_each_head_sees_its_own_feature_and_classes_in_the_middle_too(column: str, seen_by: set[str]) -> None:
    scan = noise()
    labels = Task(scan, "kind").labels
    told = np.array([0.0, 1.0, -1.0])[labels] + 0.1 * np.random.default_rng(2).normal(size=N)
    scan = replace(scan, files=scan.files.assign(**{column: told}))
    found = confound_probes(Task(scan, "kind")).set_index("feature")
    assert set(found.index[found["accuracy"] > 0.9]) == seen_by == set(found.index[found["mark"] == "over chance"])


def test_head_as_good_as_the_model_is_marked_and_told() -> None:
    scan = noise()
    labels = Task(scan, "kind").labels
    scan = replace(scan, files=scan.files.assign(seconds=labels + 0.35 * np.random.default_rng(2).normal(size=N)))
    _, own = head(scan, 2.5)
    found = confound_probes(Task(scan, "kind"), None, own)
    marks = found.set_index("feature")["mark"]
    assert marks["duration"] == "as good as the model" and marks["spectrum"] == ""
    (line,) = task_confounds(found)
    assert "alone tells the class (accuracy 0." in line and "as well as the model" in line
    # A model that is itself at chance has nothing that could be explained.
    _, nothing = head(scan, 0)
    marks = confound_probes(Task(scan, "kind"), None, nothing).set_index("feature")["mark"]
    assert marks["duration"] == "over chance" and marks["spectrum"] == ""


def test_wilson_by_hand() -> None:
    # Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662, 0 of 20 is 0 to 0.1611.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    low, high = wilson(pd.Series([0.5, 1.0, 0.5]), pd.Series([10, 10, 0]))
    assert low.tolist() == pytest.approx([0.2366, 0.7225, np.nan], abs=1e-4, nan_ok=True)
    assert high.tolist() == pytest.approx([0.7634, 1.0, np.nan], abs=1e-4, nan_ok=True)


def test_interval_is_of_accuracy_and_several_labels_have_a_mean_average_precision() -> None:
    scan = noise()
    found = confound_probes(Task(scan, "kind")).set_index("feature").loc["level"]
    assert (found["ci_low"], found["ci_high"]) == wilson(found["accuracy"], 180)
    several = replace(scan, dataset=replace(scan.dataset, multilabel=("kind",)))
    found = confound_probes(Task(several, "kind")).set_index("feature").loc["level"]
    assert found["metric"] == "average precision" and np.isnan(found["ci_low"])


def voices(n_each: int) -> list[str]:
    """Voices of one class each."""
    return [f"{'abc'[i % 3]}{i // 3 % n_each}" for i in range(N)]


def test_model_that_knows_voices_fails_where_they_are_kept_apart() -> None:
    scan = noise(voices(8))
    names, voice = np.unique(voices(8), return_inverse=True)
    rng = np.random.default_rng(0)
    of_voice = (4 * np.eye(len(names))[voice] + 0.3 * rng.normal(size=(N, len(names)))).astype(np.float32)
    own = fit.fit_task(Task(scan, "kind"), of_voice).result
    probes = confound_probes(Task(scan, "kind"), of_voice, own)
    found = probes.set_index("feature")
    assert found.loc["model, groups mixed", "accuracy"] > 0.95
    assert found.loc["model, groups apart", "accuracy"] < 0.6
    assert found.loc["model, groups apart", "n_clips"] == found.loc["model, groups mixed", "n_clips"] == N
    assert found.loc["model, groups apart", "group"] == "voice"
    (line,) = task_confounds(probes)
    assert line.startswith("the probe knows the voice: accuracy ") and "(chance 0.33)" in line
    # One that knows the class does as well on voices it has not met.
    embeddings, own = head(scan, 6)
    probes = confound_probes(Task(scan, "kind"), embeddings, own)
    assert probes.set_index("feature").loc["model, groups apart", "accuracy"] > 0.95
    assert task_confounds(probes) == []


def test_class_of_one_voice_is_left_out_and_said_so() -> None:
    names = ["a0" if voice[0] == "a" else voice for voice in voices(4)]
    scan = noise(names)
    embeddings, own = head(scan, 6)
    found = confound_probes(Task(scan, "kind"), embeddings, own).set_index("feature").loc["model, groups apart"]
    assert found["n_clips"] == 240 and found["reason"] == "1 class(es) of one voice left out"
    only = noise([voice[0] for voice in names])
    found = confound_probes(Task(only, "kind"), embeddings, own).set_index("feature")
    assert np.isnan(found.loc["model, groups apart", "accuracy"])
    assert found.loc["model, groups mixed", "reason"] == "0 class(es) with two voice(s) or more"
    assert task_confounds(found.reset_index()) == []


def test_same_seed_same_table_and_clips_without_a_voice_are_not_asked() -> None:
    names = voices(6)
    names[:30] = [""] * 30
    scan = noise(names)
    embeddings, own = head(scan, 2)
    first = confound_probes(Task(scan, "kind"), embeddings, own, seed=3)
    pd.testing.assert_frame_equal(first, confound_probes(Task(scan, "kind"), embeddings, own, seed=3))
    assert first.set_index("feature").loc["model, groups mixed", "n_clips"] == N - 30
