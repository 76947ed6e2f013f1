"""Looking a store over, and copying one from engine to engine."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from db import copy, reader, upkeep
from db.connection.open import exclusive_run, open_store
from db.reads.frames import frame
from db.schema.metadata import METADATA
from db.writes.store import Store
from tests.support.tiny_study import DATASET, MODEL, write_study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def atlas(tiny_store: Path, tmp_path: Path) -> Path:
    """A small store, with some pages that nothing uses."""
    path = Path(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    engine = open_store(path)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE waste (text TEXT)"))
        connection.execute(text("INSERT INTO waste VALUES (:text)"), [{"text": "x" * 4000}] * 200)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE waste"))
    engine.dispose()
    return path


def contents(location: str) -> dict[str, list[tuple[object, ...]]]:
    engine = open_store(location, read_only=True)
    found = {}
    for table in METADATA.sorted_tables:
        keys = ", ".join(column.name for column in table.primary_key)
        columns = ", ".join(column.name for column in table.columns)
        rows = frame(engine, f"SELECT {columns} FROM {table.name} ORDER BY {keys}")
        found[table.name] = [tuple(None if v != v else v for v in row) for row in rows.itertuples(index=False)]
    engine.dispose()
    return found


def test_a_whole_store_gets_statistics_and_gives_space_back(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, size = contents(str(atlas)), atlas.stat().st_size
    assert upkeep.main([str(atlas)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("atlas.db: whole, 0.") and "MB given back), statistics taken" in told
    assert atlas.stat().st_size < size - 500_000
    assert contents(str(atlas)) == before
    engine = open_store(atlas, read_only=True)
    assert "model_task" in set(frame(engine, "SELECT tbl FROM sqlite_stat1")["tbl"])
    engine.dispose()
    assert upkeep.main([str(atlas)]) == 0
    assert "given back" not in capsys.readouterr().out


def test_a_damaged_file_is_named(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upkeep.look_over(atlas)
    data = bytearray(atlas.read_bytes())
    for start in range(8 * 4096, len(data), 4096):  # the schema stays, so that it opens
        data[start : start + 64] = os.urandom(64)
    atlas.write_bytes(data)
    assert upkeep.main([str(atlas)]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: atlas.db: damaged") and "restore a copy" in line and line.count("\n") == 1


def test_rows_without_their_owner_are_named(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine = open_store(atlas)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("DELETE FROM probe")
        driver.execute("PRAGMA foreign_keys=ON")
    engine.dispose()
    assert upkeep.main([str(atlas)]) == 2
    assert "damaged (rows of probe_score belong to a probe that is gone)" in capsys.readouterr().err


def test_upkeep_waits_for_no_run_and_makes_nothing(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with exclusive_run(atlas):
        assert upkeep.main([str(atlas)]) == 2
    assert "another run" in capsys.readouterr().err
    assert upkeep.main([str(atlas.with_name("none.db"))]) == 2
    assert "no store there" in capsys.readouterr().err
    assert not atlas.with_name("none.db").exists()
    assert upkeep.main([]) == 2
    assert "expected one store" in capsys.readouterr().err


def test_upkeep_of_a_server(tiny_database: str, capsys: pytest.CaptureFixture[str]) -> None:
    engine = open_store(tiny_database)
    assert upkeep.main([tiny_database]) == 0
    told = capsys.readouterr().out
    assert "MB, rows that were replaced made free, statistics taken" in told and ":***@" in told
    known = frame(engine, "SELECT relname FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL")
    assert "activation_probability" in set(known["relname"])
    engine.dispose()


def test_there_and_back_is_the_same(
    atlas: Path, tmp_path: Path, postgres_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert copy.main([str(atlas), postgres_store]) == 0
    told = capsys.readouterr().out
    assert "activation_probability              6 rows" in told and ":***@" in told
    assert copy.main([postgres_store, str(tmp_path / "back.db")]) == 0
    assert contents(str(atlas)) == contents(postgres_store) == contents(str(tmp_path / "back.db"))
    # New rows go on where those copied end.
    engine = open_store(postgres_store)
    write_study(engine)
    write_study(engine, "another")
    ids = frame(engine, "SELECT first_neuron_id FROM model ORDER BY id")
    assert list(ids["first_neuron_id"]) == [1, 4]
    engine.dispose()


def test_copy_into_a_store_that_holds_something_is_refused(
    atlas: Path, tmp_path: Path, postgres_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = open_store(postgres_store)
    Store(engine).register_model(MODEL)
    engine.dispose()
    for arguments, told in (
        ([str(atlas), postgres_store], "holds results already; copy into a store that is new or empty"),
        ([str(tmp_path / "none.db"), postgres_store], "no store there"),
        ([str(atlas)], "expected two stores"),
    ):
        assert copy.main(arguments) == 2
        assert told in capsys.readouterr().err


def test_a_copy_that_fails_leaves_nothing(atlas: Path, postgres_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("cut off")

    monkeypatch.setattr(copy, "_number_on", fails)
    with pytest.raises(OSError, match="cut off"):
        list(copy.copy_store(str(atlas), postgres_store))
    assert {name for name, rows in contents(postgres_store).items() if rows} == {"store_stamp"}
    assert DATASET.name  # the store is as new, so that the next copy is taken


def test_a_copy_whose_end_fails_is_none(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OperationalError("ANALYZE", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(copy, "analyze", full)
        assert copy.main([str(tiny_store), str(tmp_path / "copy.db")]) == 1
    assert copy.main([str(tiny_store), str(tmp_path / "copy.db")]) == 0
    assert contents(str(tmp_path / "copy.db")) == contents(str(tiny_store))


@pytest.mark.parametrize("program", [copy, upkeep, reader])
def test_ctrl_c_is_one_line(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for name in {"copy_store", "look_over", "make_reader"} & set(vars(program)):
        monkeypatch.setattr(program, name, stop)
    assert program.main(["a.db", "b.db"][: 1 if program is upkeep else 2]) == 130
    assert capsys.readouterr().err.startswith("stopped; ")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_disk_without_a_byte_left_is_one_line(tiny_store: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "db.copy", str(tiny_store), str(tmp_path / "copy.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=full_disk)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert ".db: the disk " in done.stderr
    assert copy.main(command[-2:]) == 0


def full_disk() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
