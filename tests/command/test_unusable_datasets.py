"""A dataset that cannot be used is left out by name, and the others run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.support.permissions import obeyed
from tests.support.small_study import RATE, make_dataset, query, run, sound


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a good dataset, a table that lists nothing, and one whose sound is none."""
    folder = tmp_path / "data"
    make_dataset(folder / "pets", 12)
    (folder / "lost").mkdir()
    (folder / "lost" / "manifest.csv").write_text("file,kind\n../a.wav,x\n../b.wav,y\n")
    (folder / "noise").mkdir()
    names = [f"{i}.wav" for i in range(12)]
    rows = "".join(f"{name},{'xy'[i % 2]}\n" for i, name in enumerate(names))
    (folder / "noise" / "manifest.csv").write_text(f"file,kind\n{rows}")
    for name in names:
        (folder / "noise" / name).write_text("this is no sound")
    return folder


def test_the_others_run_and_the_exit_code_is_1(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "atlas.db"
    assert run("--data-dir", data, "--db", db, "--stages", "extract") == 1
    told = capsys.readouterr()
    assert f"failed: left out: {data / 'lost' / 'manifest.csv'} lists no usable clip: of 2 rows" in told.out
    assert f"failed: left out: noise in {data / 'noise'} has no usable clip; first reason: " in told.out
    assert told.err.startswith("2 failed: left out: ") and told.err.count("\n") == 1
    assert query(db, "SELECT name FROM dataset") == [("pets",)]
    assert query(db, "SELECT COUNT(*) > 0 FROM top_clips") == [(1,)]
    assert run("--list", "--data-dir", data) == 0
    listed = capsys.readouterr().out
    assert "of 12 clips read as a run reads them 12 cannot be used (0.wav: cannot be read as audio" in listed
    assert "; a run would leave the dataset out" in listed
    assert (
        f"cannot be used: {data / 'lost' / 'manifest.csv'} lists no usable clip" in listed
        and "pets: 12 clips" in listed
    )


def test_strict_stops_before_anything_is_computed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    assert run("--data-dir", data, "--db", db, "--strict") == 2
    assert "lost/manifest.csv lists no usable clip" in capsys.readouterr().err
    (data / "lost" / "manifest.csv").unlink()
    assert run("--data-dir", data, "--db", db, "--strict") == 2
    assert "has no usable clip" in capsys.readouterr().err
    assert query(db, "SELECT COUNT(*) FROM dataset") == [(0,)]


def test_nothing_usable_is_the_users_mistake(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, told in (("lost", "lists no usable clip"), ("noise", "has no usable clip")):
        assert run("--data-dir", data / name, "--db", tmp_path / "atlas.db") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and told in error and error.count("\n") == 1


@pytest.fixture
def beside_closed_folders(tmp_path: Path) -> Iterator[Path]:
    """A dataset by its table and one of class folders, with folders beside and in them that may not be read."""
    folder = tmp_path / "data"
    make_dataset(folder / "pets", 12)
    for i, of in enumerate(["low"] * 6 + ["high"] * 6):
        (folder / "tones" / of).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "tones" / of / f"{i}.wav", sound(of, 0.6, i), RATE)
    closed = [folder / place / "lost+found" for place in (".", "pets", "tones", "tones/low", "tones/high")]
    for i, place in enumerate(closed):
        place.mkdir()
        (place / "in.wav").touch()
        place.chmod((0o000, 0o444, 0o000, 0o000, 0o111)[i])
    yield folder
    for place in closed:
        place.chmod(0o700)


def test_folders_that_cannot_be_read_are_left_out_by_name(
    beside_closed_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db, folder = tmp_path / "atlas.db", beside_closed_folders
    with obeyed():
        assert run("--data-dir", folder, "--db", db, "--stages", "extract") == 1
    told = capsys.readouterr()
    why = "cannot be read (Permission denied)"
    step = "give yourself permission to read it, or take it elsewhere"
    assert told.err == f"1 failed: left out: {folder / 'lost+found'} {why}; {step}\n"
    for place in ("lost+found", "low/lost+found", "high/lost+found"):
        assert told.out.count(f"left out: {place}: {why}, nor what lies in it") == 1
    assert "goes on from here" not in told.out
    assert query(db, "SELECT name FROM dataset ORDER BY name") == [("pets",), ("tones",)]
    assert query(db, "SELECT COUNT(*) FROM clip") == [(24,)]


def test_a_folder_given_that_cannot_be_read_is_the_users_mistake(
    beside_closed_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = beside_closed_folders / "lost+found"
    with obeyed():
        assert run("--data-dir", folder, "--db", tmp_path / "atlas.db") == 2
    assert capsys.readouterr().err.startswith(f"error: {folder} cannot be read (Permission denied); give yourself")


@pytest.mark.parametrize("name", ["n" * 250, "日" * 250, "d" * 255])
def test_names_as_long_as_a_system_takes_run(name: str, tmp_path: Path) -> None:
    pets = make_dataset(tmp_path / name if len(name) == 255 else tmp_path / "pets", 12)
    given = pets if len(name) == 255 else f"{name}={pets}"
    db = tmp_path / "atlas.db"
    assert run("--data-dir", given, "--db", db, "--stages", "extract") == 0
    assert query(db, "SELECT name FROM dataset") == [(name,)]


@pytest.mark.parametrize("option", ["--db", "--report"])
def test_what_the_same_command_would_meet_again_is_not_said_to_go_on(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data-dir", make_dataset(tmp_path / "pets", 12), option, tmp_path / ("x" * 300)) in (1, 2)
    told = capsys.readouterr().err
    assert "File name too long" in told and told.count("\n") == 1
    assert "kept, the same command goes on from here" not in told
