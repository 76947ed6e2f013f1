"""The index of large folders: taken while nothing has changed, and never else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from core.datasets import PUBLISHED, Clip, Dataset, audio, audiofolder, find, index, manifest
from core.datasets.published.base import Options, Published
from core.results import Problem
from tests.support import replicas_events, replicas_speech_music

REPLICAS = {**replicas_events.REPLICAS, **replicas_speech_music.REPLICAS}


@pytest.fixture(autouse=True)
def small_and_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "FEWEST", 0)
    monkeypatch.setattr(index, "SETTLED", -3600.0)


def sound_folder(folder: Path) -> Path:
    for name in ("low/1.wav", "low/2.wav", "high/3.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache").rglob("*"))


class Lister:
    """Lists a dataset, and counts how often it was asked to."""

    def __init__(self, read: Callable[[Path, Options], Dataset]) -> None:
        self.read = read
        self.n_asked = 0

    def __call__(self, root: Path, options: Options) -> Dataset:
        self.n_asked += 1
        return self.read(root, options)

    def listed(self, root: Path, options: Options | None = None) -> Dataset:
        return index.listed("it", root, options or Options(), self)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.name)
def test_listing_of_the_index_is_that_of_the_folder_whatever_changes(published: Published, tmp_path: Path) -> None:
    root = REPLICAS[published.name](tmp_path / "data")
    lister = Lister(published.read)
    first = lister.listed(root)
    assert lister.listed(root) == first == published.read(root, Options())
    assert lister.n_asked == 1, "the second is from the index"
    n_asked = 1
    every = sorted(p for p in root.rglob("*") if p.is_file())
    tables = [p for p in every if p.suffix.lower() not in audio.EXTENSIONS]
    sounds = [p for p in every if p.suffix.lower() in audio.EXTENSIONS][:: max(1, len(every) // 6)]
    for path in (*tables, *sounds):
        content = path.read_bytes()
        for change in (path.unlink, lambda path=path, content=content: path.write_bytes(content)):
            change()
            fresh = outcome(lambda: published.read(root, Options()))
            assert outcome(lambda: lister.listed(root)) == fresh, path
            n_asked += 1
            assert lister.n_asked == n_asked, path
    for path in tables:
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))
        assert outcome(lambda: lister.listed(root)) == outcome(lambda: published.read(root, Options())), path
        path.write_bytes(b"".join(lines))


def outcome(listing: Callable[[], Dataset]) -> Dataset | str:
    try:
        return listing()
    except (ValueError, OSError) as error:
        return str(error)


def test_options_code_and_place_tell_indexes_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = replicas_speech_music.REPLICAS["vc1"](tmp_path / "data")
    (published,) = [p for p in PUBLISHED if p.name == "vc1"]
    lister = Lister(published.read)
    for options in (Options(), Options(seed=1), Options(remap={"Norway": "UK"}), Options(evar_dir=tmp_path)):
        assert lister.listed(root, options) == published.read(root, options)
    assert lister.n_asked == 4
    assert len(list((tmp_path / "cache" / "listings").iterdir())) == 1, "one index a folder"
    moved = Path(shutil.copytree(root, tmp_path / "away"))
    assert lister.listed(moved).root == moved
    lister.listed(moved)
    assert lister.n_asked == 5
    monkeypatch.setattr(index, "_code", lambda: "another version")
    lister.listed(moved)
    assert lister.n_asked == 6


def test_evar_table_that_appears_is_seen(tmp_path: Path) -> None:
    root = replicas_speech_music.REPLICAS["cremad"](tmp_path / "data")
    (published,) = [p for p in PUBLISHED if p.name == "cremad"]
    evar = tmp_path / "EVAR"
    (evar / "evar" / "metadata").mkdir(parents=True)
    lister = Lister(published.read)
    assert lister.listed(root, Options(evar_dir=evar)).split_origin == "ours"
    (evar / "evar" / "metadata" / "cremad.csv").write_text("file_name,label,split\n1001_IEO_ANG_LO.wav,ANG,train\n")
    assert lister.listed(root, Options(evar_dir=evar)).split_origin == "EVAR"


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", b"half"])
def test_damaged_index_is_made_anew(damage: bytes, tmp_path: Path) -> None:
    root = sound_folder(tmp_path / "pets")
    lister = Lister(lambda root, options: audiofolder.read(root, options.seed))
    first = lister.listed(root)
    (path,) = (tmp_path / "cache" / "listings").iterdir()
    content = path.read_bytes()
    path.write_bytes(damage if damage != b"half" else content[: len(content) // 2])
    assert lister.listed(root) == first
    assert lister.n_asked == 2
    assert lister.listed(root) == first
    assert lister.n_asked == 2, "and kept anew"
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_index_is_no_pickle(tmp_path: Path) -> None:
    lister = Lister(lambda root, options: audiofolder.read(root, options.seed))
    root = sound_folder(tmp_path / "pets")
    lister.listed(root)
    (path,) = (tmp_path / "cache" / "listings").iterdir()
    np.savez(path, key=np.array([{"a": 1}], dtype=object))
    lister.listed(root)
    assert lister.n_asked == 2


def test_every_field_comes_back(tmp_path: Path) -> None:
    root = (tmp_path / "pets").resolve()
    root.mkdir()
    clips = (
        Clip("ü\n.wav", "fold 1", {"a": "1", "b": "x, y"}),
        Clip("b.wav", "fold 2", {"b": "ü"}),
        Clip("c.wav", "", {}),
    )
    whole = Dataset(
        "pets", root, ("a", "b"), clips, (Problem("p", "r"), Problem("q", "", left_out=False)), "ours",
        {"a": "pets"}, "described", "source", "licence", ("g",), {"a": ("train", "", "test"), "b": ("x", "y", "x")},
        ("b",), 0.02, 4.5, ("n", "m"), ("u",), ("a", 3), ("x", "ü", "x"),
    )  # fmt: skip
    bare = replace(whole, clips=(), problems=(), split_of={}, drawn=None, entropy_rate=None, notes=(), kept_together=())
    for dataset in (whole, bare):
        lister = Lister(partial(_given, dataset))
        assert [lister.listed(root, Options(seed=len(dataset.clips))) for _ in range(2)] == [dataset, dataset]
        assert lister.n_asked == 1


def _given(dataset: Dataset, root: Path, options: Options) -> Dataset:
    assert (dataset.root, options.seed) == (root, len(dataset.clips))
    return dataset


def test_small_and_just_changed_folders_are_listed_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sound_folder(tmp_path / "pets")
    monkeypatch.setattr(index, "SETTLED", 3600.0)
    find([root])
    assert kept(tmp_path) == []
    monkeypatch.setattr(index, "SETTLED", -3600.0)
    monkeypatch.setattr(index, "FEWEST", 10_000)
    find([root])
    assert kept(tmp_path) == []


def test_cache_that_cannot_be_written_is_gone_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    root = sound_folder(tmp_path / "pets")
    assert find([root]) == find([root])


def test_manifests_and_folders_of_classes_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sound_folder(tmp_path / "pets")
    table = tmp_path / "birds"
    table.mkdir()
    (table / "manifest.csv").write_text("file,kind\na.wav,x\nb.wav,y\n")
    first = find([root, table])
    with monkeypatch.context() as patched:
        patched.delattr(audiofolder, "read")
        patched.delattr(manifest, "read")
        assert find([root, table]) == first
    (table / "manifest.csv").write_text("file,kind\na.wav,x\nb.wav,z\n")
    assert find([root, table])[1].classes("kind") == ["x", "z"]
    os.rename(root / "low", root / "deep")
    assert find([root, table])[0].classes("class") == ["deep", "high"]
