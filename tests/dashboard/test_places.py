"""Sound that was moved: with its store, to a place that is told, or anywhere below one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.shared.player import clip, places
from db.connection.open import open_store
from db.reads.frames import frame
from db.reads.pipeline import dataset_folders
from tests.support.pages import open_page
from tests.support.small_study import make_dataset, query, run


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, its dataset beside it, and another dataset elsewhere."""
    project = tmp_path_factory.mktemp("project") / "here"
    make_dataset(project / "sound" / "pets")
    far = make_dataset(tmp_path_factory.mktemp("far") / "birds")
    options = ("--stages", "extract", "--model", "nano-ssl", "--limit", 6)
    data = ("--data-dir", project / "sound" / "pets", "--data-dir", far)
    assert run(*data, "--db", project / "atlas.db", *options) == 0
    return project


@pytest.fixture
def moved(studied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both, the former away."""
    project = Path(shutil.copytree(studied, tmp_path / "there"))
    monkeypatch.setenv("ATLAS_DB", str(project / "atlas.db"))
    studied.rename(studied.with_name("away"))
    yield project
    studied.with_name("away").rename(studied)


def clips(project: Path, dataset: str) -> list[clip.Stored]:
    engine = open_store(project / "atlas.db", read_only=True)
    sql = "SELECT root, path, file_sha256 FROM clip JOIN dataset ON dataset.id = dataset_id WHERE name = :name"
    rows = frame(engine, sql, name=dataset).to_dict("records")
    engine.dispose()
    return [clip.Stored.of(row) for row in rows]


def test_what_lies_beside_a_store_is_found_where_both_went(studied: Path, moved: Path) -> None:
    found = clips(moved, "pets")
    assert len(found) == 6 and all(each.root == str(studied / "sound/pets") for each in found)
    assert {each.find().parent for each in found} == {moved / "sound" / "pets"}
    app = open_page("listen", source="store", clip="1")
    assert not app.exception and not any("not where it was" in str(line.value) for line in (*app.error, *app.info))
    seen = query(moved / "atlas.db", "SELECT name, root_from_store FROM dataset ORDER BY name")
    assert seen == [("birds", None), ("pets", "sound/pets")]


def test_a_run_knows_a_dataset_that_moved_with_its_store(moved: Path) -> None:
    engine = open_store(moved / "atlas.db", read_only=True)
    assert dataset_folders(engine)[str(moved / "sound" / "pets")] == "pets"
    engine.dispose()


Given = Callable[[Path, Path], str]


@pytest.mark.parametrize(
    "given",
    [
        lambda old, new: f"birds={new}",
        lambda old, new: f"{old}={new}",
        lambda old, new: f"{old.parent}={new.parent}",
        lambda old, new: f"nothing={old}:{new.parent}",
    ],
)
def test_a_place_may_be_told(given: Given, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = clips(moved, "birds")
    old, new = Path(found[0].root), tmp_path / "elsewhere" / "birds"
    shutil.copytree(old, new)
    old.rename(old.with_name("gone"))
    try:
        with pytest.raises(
            clip.NotPlayed, match="is not where it was studied; start the page with --audio-root birds=FOLDER"
        ):
            found[0].find()
        monkeypatch.setenv(places.VARIABLE, given(old, new))
        assert {each.find().parent for each in found} == {new}
    finally:
        old.with_name("gone").rename(old)


def test_the_command_line_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(places.VARIABLE, "a=/x:/y")
    assert places.given() == (("a", "/x"), ("", "/y"))
    monkeypatch.setattr("sys.argv", ["app.py", "--db", "x.db", "--audio-root", "b=c=/z", "--audio-root", "/w"])
    assert places.given() == (("b=c", "/z"), ("", "/w"))


def test_another_file_of_the_same_name_is_not_taken(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = clips(moved, "pets")[0]
    shutil.rmtree(moved / "sound")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / Path(stored.path).name).write_bytes(b"another")
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "other"))
    with pytest.raises(clip.NotPlayed, match="is not where it was studied"):
        stored.find()
