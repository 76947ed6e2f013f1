"""Folders of class folders, with and without splits above them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.datasets import NothingFound, Options, audiofolder, find
from core.datasets.base import Dataset


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")
    return folder


def test_a_folder_for_each_class_is_a_dataset_with_a_split_of_ours(tmp_path: Path) -> None:
    sounds = [f"{kind}/{i}.{suffix}" for kind in ("rain", "wind") for i in range(20) for suffix in ("wav", "FLAC")]
    folder = touch(tmp_path / "weather", *sounds, "rain/._0.wav", "rain/notes.txt")
    (dataset,) = find([tmp_path])
    assert (dataset.name, dataset.attributes, dataset.split_origin) == ("weather", ("class",), "ours")
    assert {clip.path for clip in dataset.clips} == set(sounds)
    assert all(clip.labels == {"class": clip.path.split("/")[0]} for clip in dataset.clips)
    assert [sum(c.split == s for c in dataset.clips) for s in ("train", "valid", "test")] == [48, 12, 20]
    assert find([folder]) == [dataset]


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("training", "val", "eval")])
def test_folders_may_name_the_split(tmp_path: Path, names: tuple[str, ...]) -> None:
    touch(tmp_path / "weather", *(f"{split}/{kind}/a.wav" for split in names for kind in ("rain", "wind")))
    (dataset,) = find([tmp_path])
    assert dataset.split_origin == "folders"
    assert sorted((c.labels["class"], c.split) for c in dataset.clips) == [
        (kind, split) for kind in ("rain", "wind") for split in ("test", "train", "valid")
    ]


@pytest.mark.parametrize(
    "paths",
    [
        ("a.wav", "b.wav"),  # no folders
        ("rain/a.wav",),  # one class
        ("rain/a.txt", "wind/a.txt"),
        ("_rain/a.wav", ".wind/a.wav"),
    ],
)
def test_other_folders_are_none(tmp_path: Path, paths: tuple[str, ...]) -> None:
    folder = touch(tmp_path / "weather", *paths)
    assert audiofolder.layout(folder) is None
    lying = [path for path in paths if path.endswith(".wav") and not path.startswith((".", "wind", "_rain/a.wav."))]
    told = rf"no dataset found \({len(lying)} sound files|no dataset found \(no sound file"
    with pytest.raises(NothingFound, match=told):
        find([tmp_path])


def test_a_manifest_goes_before_the_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path / "weather", "rain/a.wav", "wind/a.wav")
    (folder / "manifest.csv").write_text("file,wet\nrain/a.wav,yes\nwind/a.wav,no\n")
    (dataset,) = find([tmp_path])
    assert dataset.attributes == ("wet",)


def classes_of(dataset: Dataset) -> dict[str, str]:
    return {clip.path: clip.labels["class"] for clip in dataset.clips}


def test_sound_at_any_depth_below_a_class_folder_is_of_the_class(tmp_path: Path) -> None:
    paths = ("rain/0.wav", "wind/2021/0.wav", "sea/2021/may/0.wav", "sea/2022/june/0.wav", "fire/0.wav")
    (dataset,) = find([touch(tmp_path / "field", *paths)])
    assert classes_of(dataset) == {path: path.split("/")[0] for path in paths}
    assert dataset.unexpected == ()


def test_sound_that_is_no_clip_is_told(tmp_path: Path) -> None:
    folder = touch(tmp_path / "mine", "rain/0.wav", "wind/0.wav", "tone.wav", "notes/readme.txt")
    (dataset,) = find([folder])
    assert classes_of(dataset) == {"rain/0.wav": "rain", "wind/0.wav": "wind"}
    assert dataset.unexpected == ("1 sound file not taken, in no class folder: tone.wav",)
    (dataset,) = find([touch(tmp_path / "parted", *(f"{part}/{kind}/0.wav" for part in ("train", "test", "more")
                                                    for kind in ("rain", "wind")), "test/tone.wav")])  # fmt: skip
    assert {clip.split for clip in dataset.clips} == {"train", "test"} and len(dataset.clips) == 4
    assert dataset.unexpected == (
        "3 sound files not taken, in no class folder: more/rain/0.wav, more/wind/0.wav, test/tone.wav",
    )


def test_sound_beside_datasets_is_told(tmp_path: Path) -> None:
    touch(tmp_path / "all", "a/rain/0.wav", "a/wind/0.wav", "b/cat/0.wav", "b/dog/0.wav", "lost/1.wav", "2.flac")
    first, second = find([tmp_path / "all"])
    assert (first.name, second.name, first.unexpected) == ("a", "b", ())
    assert second.unexpected == (
        f"2 sound files not taken, in {tmp_path / 'all'} beside its datasets: 2.flac, lost/1.wav",
    )


def test_a_class_may_be_called_as_a_split_is(tmp_path: Path) -> None:
    paths = [f"{kind}/{i}.wav" for kind in ("dog", "rooster", "train", "rain") for i in range(4)]
    (dataset,) = find([touch(tmp_path / "esc", *paths)])
    assert dataset.classes("class") == ["dog", "rain", "rooster", "train"]
    assert dataset.split_origin == "ours"


def test_classes_beside_a_part_of_them_are_its_train_part(tmp_path: Path) -> None:
    paths = [f"{part}{kind}/{i}.wav" for part in ("", "test/") for kind in ("rain", "wind") for i in range(2)]
    (dataset,) = find([touch(tmp_path / "mix", *paths)])
    assert {(c.split, c.path.startswith("test/")) for c in dataset.clips} == {("train", False), ("test", True)}
    assert len(dataset.clips) == 8 and dataset.notes == ("classes beside test/ are taken for its train part",)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["fold1", "fold2", "fold10"],
            r"\(fold1, fold10, fold2\) look like .*this may be UrbanSound8K without metadata",
        ),
        (["FSD50K.dev_audio", "FSD50K.eval_audio"], "this may be FSD50K without FSD50K.ground_truth/"),
        (["00", "01", "02", "03"], r"\(00, 01, 02, ...\) look like folds or parts of a download, not like classes; if"),
        (["part-1", "part-2"], "--classes-are-folders"),
    ],
)
def test_folders_like_folds_are_asked_for(tmp_path: Path, names: list[str], told: str) -> None:
    folder = touch(tmp_path / "mine", *(f"{name}/{i}.wav" for name in names for i in range(4)))
    for given in (folder, tmp_path):
        with pytest.raises(NothingFound, match=told):
            find([given])
    (dataset,) = find([folder], Options(classes_are_folders=True))
    assert sorted(dataset.classes("class")) == sorted(names)


@pytest.mark.parametrize(
    ("table", "text", "column"),
    [
        ("meta.csv", "id,filename,label\n1,a.wav,dog\n", "filename"),
        ("meta/labels.tsv", '\ufefflabel\t"Sound"\ndog\t"x/a.WAV"\n', "Sound"),
        ("list.txt", "clip;class\na.m4a;dog\n", "clip"),
    ],
)
def test_a_table_of_another_form_is_told_how_to_become_a_manifest(
    tmp_path: Path, table: str, text: str, column: str
) -> None:
    folder = touch(tmp_path / "mine", "audio/a.wav", "audio/b.wav")
    (folder / table).parent.mkdir(exist_ok=True)
    (folder / table).write_text(text)
    told = f"but {folder / table} names files in its column '{column}'; save it as manifest.csv in the folder"
    with pytest.raises(NothingFound, match=re.escape(told)):
        find([folder])


def test_text_beside_sound_is_no_table(tmp_path: Path) -> None:
    folder = touch(tmp_path / "mine", "audio/a.wav", "audio/b.wav")
    (folder / "readme.txt").write_text("about a.wav\nand b.wav\n")
    (folder / "list.csv").write_text("a.wav\nb.wav\n")
    with pytest.raises(NothingFound, match="no dataset found .2 sound files"):
        find([folder])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="There are no pipes here")
def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl", "manifest.csv"):
        os.mkfifo(touch(tmp_path / name, "cat/0.wav", "cat/1.wav", "dog/0.wav") / name)
    os.mkfifo(touch(tmp_path / "nothing", "readme") / "list.csv")
    asked = (
        f"from core.datasets import find; from pathlib import Path; found = find([{str(tmp_path)!r}])\n"
        "print([len(dataset.clips) for dataset in found])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[3, 3, 3]"
