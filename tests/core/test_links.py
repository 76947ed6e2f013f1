"""Links out of what a user named: followed and told, or left out and told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.datasets import Options, find
from core.datasets.audio import BadAudio, load
from core.datasets.base import Dataset
from core.errors import InputError
from tests.core.test_audiofolder import classes_of, touch

STRANGERS = Options(follow_links=False)


def told(dataset: Dataset) -> str:
    return "\n".join(dataset.notes)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub's cache: every file of the snapshot is a link to a blob outside of it."""
    snapshot = tmp_path / "datasets--me--weather" / "snapshots" / "0123abcd"
    for name in ("rain", "wind"):
        touch(tmp_path / "datasets--me--weather" / "blobs", f"{name}0", f"{name}1")
        (snapshot / name).mkdir(parents=True)
        for i in range(2):
            (snapshot / name / f"{i}.wav").symlink_to(f"../../../blobs/{name}{i}")
    return snapshot


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Two classes, and a third that is a link to a folder elsewhere."""
    folder = touch(tmp_path / "mine", "rain/0.wav", "rain/1.wav", "wind/0.wav")
    (folder / "sea").symlink_to(touch(tmp_path / "far", "sea/0.wav") / "sea")
    return folder


def test_a_hubs_cache_is_read_and_told_once(hub: Path) -> None:
    (dataset,) = find([hub])
    assert dataset.name == "weather"
    assert set(classes_of(dataset)) == {"rain/0.wav", "rain/1.wav", "wind/0.wav", "wind/1.wav"}
    first = os.path.realpath(hub / "rain/0.wav")
    assert told(dataset) == (
        f"4 links lead (rain/0.wav, rain/1.wav, wind/0.wav, ...) out of the folder (the first to {first}): followed; "
        "--no-follow-links leaves out what lies there"
    )


def test_of_a_strangers_archive_no_link_out_is_read(hub: Path, mine: Path) -> None:
    (dataset,) = find([mine], STRANGERS)
    assert set(classes_of(dataset).values()) == {"rain", "wind"}
    assert told(dataset) == "1 link leads (sea): not followed, with --no-follow-links"
    (mine / "rain/out.wav").symlink_to(os.path.realpath(hub / "rain/0.wav"))
    (mine / "rain/in.wav").symlink_to("0.wav")
    (dataset,) = find([mine], STRANGERS)
    assert [(p.path, p.reason) for p in dataset.problems] == [
        ("rain/out.wav", "leads out of the dataset's folder through a link, and --no-follow-links is given")
    ]
    assert set(classes_of(dataset)) == {"rain/0.wav", "rain/1.wav", "rain/in.wav", "wind/0.wav"}
    with pytest.raises(InputError, match="each of its 4 clips leads out of the dataset's folder"):
        find([hub], STRANGERS)


def test_neither_does_a_manifest_lead_out(mine: Path) -> None:
    (mine / "manifest.csv").write_text("file,kind\nrain/0.wav,a\nsea/0.wav,b\n")
    assert len(find([mine])[0].clips) == 2
    (dataset,) = find([mine], STRANGERS)
    assert [clip.path for clip in dataset.clips] == ["rain/0.wav"]
    assert dataset.problems[0].path == "sea/0.wav"


def test_a_class_folder_that_is_a_link_is_a_class(mine: Path) -> None:
    (dataset,) = find([mine])
    assert classes_of(dataset)["sea/0.wav"] == "sea"
    assert "1 link leads (sea) out of the folder" in told(dataset)


def test_a_dataset_that_is_a_link_is_found_unless_links_are_not_followed(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "weather").symlink_to(mine)
    (dataset,) = find([tmp_path / "all"])
    assert (dataset.name, dataset.root) == ("weather", mine)
    with pytest.raises(InputError, match="no dataset found"):
        find([tmp_path / "all"], STRANGERS)
    assert find([tmp_path / "all" / "weather"], STRANGERS)[0].root == mine, "named by the user"


def test_links_that_go_in_circles_end(mine: Path, tmp_path: Path) -> None:
    (mine / "rain" / "up").symlink_to(mine)
    (mine / "rain" / "beside").symlink_to(mine / "wind")
    (tmp_path / "far" / "sea" / "back").symlink_to(tmp_path / "far")
    (mine / "wind" / "again").symlink_to(tmp_path / "far" / "sea")
    (dataset,) = find([mine])
    paths = [clip.path for clip in dataset.clips]
    assert sorted(p for p in paths if p.startswith(("rain", "wind"))) == ["rain/0.wav", "rain/1.wav", "wind/0.wav"]
    assert "sea/0.wav" in paths and len(paths) < 7
    assert "not followed, to folders that are read where they lie" in told(dataset)


LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/mountinfo"), reason="Linux tells where its own files lie")


@LINUX
@pytest.mark.parametrize("place", ["/proc", "/sys"])
def test_what_is_the_kernels_is_left_out_by_name(place: str, mine: Path, tmp_path: Path) -> None:
    (mine / "wind/all").symlink_to(place)
    (mine / "rain/2.wav").symlink_to("/proc/version")
    (dataset,) = find([mine])
    problems = {problem.path: problem.reason for problem in dataset.problems}
    assert problems == {
        "wind/all": "cannot be read (lies on a file system of the kernel, such as /proc), nor what lies in it"
    }
    with pytest.raises(BadAudio, match="such as /proc"):
        load(mine / "rain/2.wav", 16_000)
    (tmp_path / "whole").symlink_to(place)
    with pytest.raises(InputError, match="cannot be read .lies on a file system of the kernel"):
        find([tmp_path / "whole"])


@LINUX
@pytest.mark.parametrize("name", ["manifest.csv", "metadata.csv", "metadata.jsonl", "train.parquet", "meta.csv"])
def test_no_table_is_the_kernels(name: str, mine: Path) -> None:
    (mine / name).symlink_to("/proc/version")
    refused: list[str] = []
    found = find([mine, touch(mine.parent / "good", "a/0.wav", "b/0.wav")], unusable=lambda e: refused.append(str(e)))
    if refused:
        assert len(refused) == 1 and "such as /proc" in refused[0] and "\n" not in refused[0]
    else:
        assert set(classes_of(found[0]).values()) == {"rain", "wind", "sea"}
    assert found[-1].name == "good"


def test_a_link_in_a_circle_is_no_folder(mine: Path) -> None:
    (mine / "round").symlink_to("round")
    (dataset,) = find([mine])
    assert len(dataset.clips) == 4
