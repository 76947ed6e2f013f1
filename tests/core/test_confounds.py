"""What could pass for the class is told in words, and only where it could."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.confounds import warnings
from core.datasets.scan import Scan
from core.datasets.task import Task
from tests.support.planted import scan_without_files

SPLITS = ("train", "valid", "test")


def warned(scan: Scan, attribute: str = "kind") -> list[str]:
    return warnings.warnings(Task(scan, attribute), Task(scan, attribute).in_splits("train", "valid"))


def forty_a_class(**labels: list[str]) -> Scan:
    """120 clips in turn a, b, c; every third of a class is a test clip."""
    clips = [(SPLITS[i // 3 % 3], {"kind": "abc"[i % 3], **{k: v[i] for k, v in labels.items()}}) for i in range(120)]
    return scan_without_files(clips, ("kind", *labels))


def test_plain_task_has_no_warning() -> None:
    assert warned(forty_a_class()) == []


def test_small_and_absent_classes_are_named() -> None:
    clips = [("train", {"kind": "a"})] * 10 + [("train", {"kind": "b"})] * 9 + [("test", {"kind": "c"})]
    found = warned(scan_without_files(clips, ("kind",)))
    assert found == ["fewer than 10 selection clips: b (9)", "no selection clip, left out: c"]


@pytest.mark.parametrize("feature", ["seconds", "level_db", "active_share"])
def test_level_or_length_that_tells_the_class_is_warned_of(feature: str) -> None:
    scan = forty_a_class()
    rng = np.random.default_rng(0)
    labels = Task(scan, "kind").labels
    told = scan.files.assign(**{feature: labels + 0.2 * rng.normal(size=120)})
    (found,) = warned(replace(scan, files=told))
    assert "duration, level and silence alone tell the class: accuracy 1.00 on test clips, chance 0.3" in found
    untold = scan.files.assign(**{feature: rng.normal(size=120)})
    assert warned(replace(scan, files=untold)) == []


def test_speakers_with_one_class_each_in_both_parts_are_warned_of() -> None:
    own = [f"{'abc'[i % 3]}{i // 3 % 2}" for i in range(120)]
    (found,) = warned(forty_a_class(main_speaker=own))
    assert found.startswith("each main_speaker has one kind, and 6 of 6 occur in both")
    # Kept apart between the splits.
    apart = [f"{'abc'[i % 3]}-{'test' if i // 3 % 3 == 2 else 'rest'}" for i in range(120)]
    assert warned(forty_a_class(speaker=apart)) == []
    # Each speaker has every class.
    crossed = [f"s{i // 3 % 2}" for i in range(120)]
    assert warned(forty_a_class(speaker=crossed)) == []
    # Not a name for where a clip comes from.
    assert warned(forty_a_class(mood=own)) == []


def test_groups_that_the_dataset_names_are_looked_at_whatever_they_are_called() -> None:
    scan = forty_a_class(mood=[f"{'abc'[i % 3]}{i // 3 % 2}" for i in range(120)])
    scan = replace(scan, dataset=replace(scan.dataset, groups=("mood",)))
    (found,) = warned(scan)
    assert found.startswith("each mood has one kind, and 6 of 6 occur in both")


def test_clips_of_several_labels_are_counted_for_each_and_the_level_is_asked() -> None:
    clips = [("train", {"kind": "a,b", "speaker": "s"})] * 9 + [("test", {"kind": "a,c", "speaker": "t"})]
    scan = scan_without_files(clips, ("kind", "speaker"))
    scan = replace(scan, dataset=replace(scan.dataset, multilabel=("kind",)))
    assert warned(scan) == ["fewer than 10 selection clips: a (9), b (9)", "no selection clip, left out: c"]
    loud = forty_a_class()
    labels = Task(loud, "kind").labels
    loud = replace(loud, files=loud.files.assign(level_db=labels), dataset=replace(loud.dataset, multilabel=("kind",)))
    (found,) = warned(loud)
    assert "alone tell the class: average precision 1.00" in found
