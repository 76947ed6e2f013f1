"""A dataset that cannot be used is left out by name, and the others run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_study import make_dataset, query, run


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
