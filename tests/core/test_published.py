"""Every published dataset is asked the same, on small replicas of its layout."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from core.datasets import PUBLISHED, Dataset, choose_tasks, find
from core.datasets.files import EXTENSIONS
from core.datasets.published.base import Options, Published
from tests.support import replicas_events, replicas_speech_music

REPLICAS = {**replicas_events.REPLICAS, **replicas_speech_music.REPLICAS}
every_dataset = pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.name)
SPLITS = {"train", "valid", "test"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replicas")


@cache
def _root(published: Published, folder: Path) -> Path:
    place = folder / published.name
    place.mkdir()
    return REPLICAS[published.name](place)


def read(published: Published, folder: Path) -> Dataset:
    return published.read(_root(published, folder), Options())


def test_each_has_a_replica_a_name_and_tasks_of_its_own() -> None:
    assert {p.name for p in PUBLISHED} == set(REPLICAS)
    tasks = [task for p in PUBLISHED for task in p.tasks.values()]
    assert len(tasks) == len(set(tasks))
    for p in PUBLISHED:
        assert all((p.title, p.source, p.licence, p.size, p.place))
        assert "\n" not in p.title + p.source + p.licence + p.size + p.place


@every_dataset
def test_it_is_recognised_by_its_own_loader_alone(published: Published, folder: Path, tmp_path: Path) -> None:
    root = _root(published, folder)
    assert [p.name for p in PUBLISHED if p.recognise(root)] == [published.name]
    (tmp_path / "manifest.csv").write_text("file,kind\na.wav,dog\n")
    for other in (root.parent, root / "nothing here", tmp_path):
        assert not published.recognise(other)


@every_dataset
def test_it_is_found_from_its_root_and_from_two_folders_above(
    published: Published, folder: Path, tmp_path: Path
) -> None:
    root = _root(published, folder)
    away = tmp_path / "downloads" / root.name
    away.parent.mkdir()
    shutil.copytree(root, away, symlinks=True)
    for given in (away, away.parent, tmp_path):
        assert [d.name for d in find([given])] == [published.name]


@every_dataset
def test_clips_lie_on_disk_have_labels_and_a_split(published: Published, folder: Path) -> None:
    dataset = read(published, folder)
    assert dataset.clips
    assert len({clip.path for clip in dataset.clips}) == len(dataset.clips)
    splits = {clip.split for clip in dataset.clips}
    assert splits <= SPLITS or all(split.startswith("fold ") for split in splits)
    assert "train" in splits or len(splits) > 2
    for clip in dataset.clips:
        assert (dataset.root / clip.path).is_file(), clip.path
        assert all(value and value == value.strip() for value in clip.labels.values())
        assert set(clip.labels) & set(dataset.attributes)
    for attribute in published.tasks:
        assert len(dataset.classes(attribute)) > 1, attribute
    for splits_of in dataset.split_of.values():
        assert len(splits_of) == len(dataset.clips)
        assert set(splits_of) <= SPLITS


@every_dataset
def test_problems_are_named_once_with_a_reason(published: Published, folder: Path) -> None:
    dataset = read(published, folder)
    named = [problem.path for problem in dataset.problems]
    assert len(named) == len(set(named))
    assert not {clip.path for clip in dataset.clips} & set(named)
    assert all(problem.reason and "\n" not in problem.reason for problem in dataset.problems)


@every_dataset
def test_same_folder_gives_the_same_and_own_splits_follow_the_seed(published: Published, folder: Path) -> None:
    root = _root(published, folder)
    one, two = (published.read(root, Options()) for _ in range(2))
    assert one == two
    if one.split_origin == "ours":
        others = [published.read(root, Options(seed=seed)) for seed in range(1, 6)]
        assert any([c.split for c in other.clips] != [c.split for c in one.clips] for other in others)


@every_dataset
def test_all_takes_its_tasks_and_no_group(published: Published, folder: Path) -> None:
    chosen, left_out = choose_tasks([read(published, folder)], "all")
    taken = [attribute for _, attributes in chosen for attribute in attributes]
    told = {line.partition(":")[0] for line in left_out}
    assert {*taken} | {a for a, task in published.tasks.items() if task in told} == set(published.tasks)
    assert not set(taken) & (set(published.groups) - set(published.tasks))


def test_all_together_below_one_folder(folder: Path, tmp_path: Path) -> None:
    for published in PUBLISHED:
        root = _root(published, folder)
        shutil.copytree(root, tmp_path / root.name, symlinks=True, dirs_exist_ok=True)
    assert {d.name for d in find([tmp_path])} == {p.name for p in PUBLISHED}


def test_the_page_tells_of_every_task() -> None:
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    for published in PUBLISHED:
        assert published.title in page
        assert all(f"`{task}`" in page for task in published.tasks.values())


@every_dataset
@pytest.mark.parametrize("ending", [".flac", ".Opus"])
def test_its_sound_may_be_kept_in_another_format(
    published: Published, folder: Path, tmp_path: Path, ending: str
) -> None:
    original = read(published, folder)
    away = tmp_path / "kept" / original.root.name
    shutil.copytree(original.root, away, symlinks=True)
    for file in [path for path in away.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file()]:
        file.rename(file.with_suffix(ending))
    assert published.recognise(away)
    kept = published.read(away, Options())

    def told(dataset: Dataset) -> list[tuple[str, str, dict[str, str]]]:
        return sorted((c.path.rpartition(".")[0], c.split, dict(c.labels)) for c in dataset.clips)  # type: ignore[type-var]

    assert told(kept) == told(original)
    assert {Path(clip.path).suffix for clip in kept.clips} == {ending}
