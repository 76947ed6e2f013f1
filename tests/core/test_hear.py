"""Tasks of the HEAR benchmark as its kit writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.datasets import Dataset, find
from core.errors import InputError
from tests.core.test_audiofolder import touch


def write(root: Path, about: dict[str, Any], parts: dict[str, dict[str, Any]], rates: tuple[str, ...]) -> Path:
    root.mkdir(parents=True)
    (root / "task_metadata.json").write_text(json.dumps({"splits": list(parts), **about}))
    (root / "labelvocabulary.csv").write_text("idx,label\n0,dog\n1,rain\n")
    for part, labels in parts.items():
        (root / f"{part}.json").write_text(json.dumps(labels))
        for rate in rates:
            touch(root, *(f"{rate}/{part}/{file}" for file in labels))
    return root


def clips(dataset: Dataset) -> list[tuple[str, str, str]]:
    return [(clip.path, clip.split, clip.labels["label"]) for clip in dataset.clips]


def test_a_task_of_three_parts(tmp_path: Path) -> None:
    root = write(
        tmp_path / "tasks" / "speech_commands-v0.0.2-5h",
        {"task_name": "speech_commands", "embedding_type": "scene", "prediction_type": "multiclass"},
        {"train": {"a.wav": ["dog"], "b.wav": ["rain"]}, "valid": {"c.wav": ["dog"]}, "test": {"d.wav": "rain"}},
        ("16000", "48000"),
    )
    (root / "48000/train/b.wav").unlink()
    touch(root, "48000/test/e.wav")
    (dataset,) = find([tmp_path / "tasks"])
    assert (dataset.name, dataset.tasks(), dataset.multilabel) == (root.name, {root.name: "label"}, ())
    assert clips(dataset) == [
        ("48000/train/a.wav", "train", "dog"),
        ("48000/valid/c.wav", "valid", "dog"),
        ("48000/test/d.wav", "test", "rain"),
    ]
    assert {(p.path, p.reason) for p in dataset.problems} == {
        ("48000/train/b.wav", "is listed in train.json, but not on disk"),
        ("48000/test/e.wav", "is not listed in test.json"),
    }
    assert dataset.notes == (f"{root.name}: of its sound the 48000 Hz are taken",)


def test_folds_and_events_in_time(tmp_path: Path) -> None:
    events = [{"start": 0, "end": 1, "label": "dog"}, {"start": 2, "end": 3, "label": "dog"}, {"label": "door, wooden"}]
    root = write(
        tmp_path / "dcase",
        {"embedding_type": "event", "prediction_type": "multilabel"},
        {"fold00": {"a.wav": events}, "fold01": {"b.wav": []}, "fold02": {"c.wav": [{"label": 60}]}},
        ("16000",),
    )
    (dataset,) = find([root])
    assert clips(dataset) == [
        ("16000/fold00/a.wav", "fold 1", "dog,door; wooden"), ("16000/fold02/c.wav", "fold 3", "60")
    ]  # fmt: skip
    assert dataset.multilabel == ("label",)
    assert [(p.path, p.reason) for p in dataset.problems] == [("16000/fold01/b.wav", "has no label in fold01.json")]
    assert "dcase: its labels have times: each clip has those of all its events" in dataset.notes


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("task_metadata.json", "{", "is no description of a HEAR task"),
        ("task_metadata.json", "[]", "names no splits"),
        ("train.json", "[1]", "is no list of a HEAR task"),
        ("train.json", None, "is no list of a HEAR task"),
    ],
)
def test_what_is_broken_is_one_line(tmp_path: Path, file: str, content: str | None, told: str) -> None:
    root = write(tmp_path / "task", {}, {"train": {"a.wav": ["dog"]}}, ("16000",))
    (root / file).write_text(content) if content else (root / file).unlink()
    with pytest.raises(InputError, match=told) as caught:
        find([root])
    assert "\n" not in str(caught.value)


def test_a_task_without_sound_is_told(tmp_path: Path) -> None:
    root = write(tmp_path / "task", {}, {"train": {"a.wav": ["dog"]}}, ())
    with pytest.raises(InputError, match="has no folder of sound such as 48000 or 16000"):
        find([root])


@pytest.mark.parametrize("part", ["../outside", "/etc", "..", "", "a/b", "x\x1b[2J", "x" * 300])
def test_no_part_of_a_task_leads_out_of_its_folder(part: str, tmp_path: Path) -> None:
    write(tmp_path / "outside", {}, {"secret": {"a.wav": ["dog"]}}, ("16000",))
    root = write(tmp_path / "task", {}, {"train": {"a.wav": ["dog"], "b.wav": ["rain"]}}, ("16000",))
    (root / "task_metadata.json").write_text(json.dumps({"splits": ["train", part]}))
    (tmp_path / "outside.json").write_text(json.dumps({"b.wav": ["rain"]}))
    touch(root, "16000/train/a.wav")
    touch(tmp_path, "task/outside/b.wav")
    with pytest.raises(InputError, match="names the split .*, which is no folder's name; get the task again"):
        find([root])


def test_a_part_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "task", {}, {"train": {"a.wav": ["dog"], "b.wav": ["rain"]}}, ("16000",))
    (root / "task_metadata.json").write_text(json.dumps({"splits": ["train", "train"]}))
    with pytest.raises(InputError, match="names the split 'train'"):
        find([root])
