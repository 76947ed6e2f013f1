"""Folders of class folders, with and without splits above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.datasets import NothingFound, audiofolder, find


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
        ("rain/a.wav", "wind/a.wav", "c.wav"),  # sound that belongs to no class
        ("rain/a.txt", "wind/a.txt"),
        ("train/a.wav", "test/a.wav"),  # splits without classes
        ("_rain/a.wav", ".wind/a.wav"),
    ],
)
def test_other_folders_are_none(tmp_path: Path, paths: tuple[str, ...]) -> None:
    folder = touch(tmp_path / "weather", *paths)
    assert not audiofolder.recognise(folder)
    with pytest.raises(NothingFound, match="no dataset found; expected a published dataset as unpacked"):
        find([tmp_path])


def test_a_manifest_goes_before_the_folders(tmp_path: Path) -> None:
    folder = touch(tmp_path / "weather", "rain/a.wav", "wind/a.wav")
    (folder / "manifest.csv").write_text("file,wet\nrain/a.wav,yes\nwind/a.wav,no\n")
    (dataset,) = find([tmp_path])
    assert dataset.attributes == ("wet",)
