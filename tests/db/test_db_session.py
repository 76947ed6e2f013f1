"""Opening the store: migrations, refusals in words, read-only, the lock of a run."""

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from db.connection.open import (
    DiskError,
    StoreError,
    exclusive_run,
    open_store,
    schema_version,
    sqlite_path,
    store_files_dir,
    translate_errors,
)
from db.schema.metadata import METADATA
from db.schema.views.study import VIEWS
from db.writes.store import Store
from tests.support.tiny_study import MODEL, write_study

ROOT = Path(__file__).resolve().parents[2]


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_new_store_has_tables_views_and_pragmas(tmp_path: Path) -> None:
    engine = open_store(tmp_path / "atlas.db")
    assert set(inspect(engine).get_table_names()) == {*METADATA.tables, "alembic_version"}
    assert set(inspect(engine).get_view_names()) == set(VIEWS)
    assert pragma(engine, "journal_mode") == "wal"
    assert pragma(engine, "foreign_keys") == 1
    assert pragma(engine, "synchronous") == 1
    assert pragma(engine, "busy_timeout") == 60_000
    assert pragma(open_store(tmp_path / "atlas.db", read_only=True), "busy_timeout") == 5_000


def test_large_tables_have_no_rowid() -> None:
    engine = open_store(":memory:")
    with engine.connect() as connection, pytest.raises(Exception, match="no such column: rowid"):
        connection.exec_driver_sql("SELECT rowid FROM activation_probability")


@pytest.mark.parametrize("form", ["{path}", "sqlite:///{path}"])
def test_path_and_url_open_the_same_store(tmp_path: Path, form: str) -> None:
    path = tmp_path / "at las%20#?.db" if form == "{path}" else tmp_path / "atlas.db"
    given = form.format(path=path)
    Store(open_store(given)).register_model(MODEL)
    assert path.exists()
    with open_store(given, read_only=True).connect() as connection:
        assert connection.execute(text("SELECT name FROM model")).scalar() == "tiny"


def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    first = open_store(tmp_path / "atlas.db")
    write_study(first)
    again = open_store(tmp_path / "atlas.db", create=False)
    assert schema_version(again) == schema_version(first) != ""
    with again.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM runs")).scalar() == 1


def test_foreign_keys_are_enforced() -> None:
    with open_store(":memory:").begin() as connection, pytest.raises(IntegrityError):
        connection.execute(text("INSERT INTO layer VALUES (7, 0, 3)"))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM model",
        "CREATE TABLE extra (x)",
        "PRAGMA user_version = 3",
        "ATTACH DATABASE '{folder}/other.db' AS other",
    ],
)
def test_read_only_refuses_writes(tmp_path: Path, statement: str) -> None:
    write_study(open_store(tmp_path / "atlas.db"))
    engine = open_store(tmp_path / "atlas.db", read_only=True)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")  # mode=ro holds even so
        with pytest.raises(Exception, match="readonly|too many attached"):
            connection.exec_driver_sql(statement.format(folder=tmp_path))
    assert not (tmp_path / "other.db").exists()
    with pytest.raises(StoreError, match="atlas.db: opened for reading only"):
        Store(engine).register_model(MODEL)


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    engine = open_store(tmp_path / "atlas.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for read_only in (True, False):
        with pytest.raises(StoreError, match=r"atlas\.db: written by a newer version.*9999"):
            open_store(tmp_path / "atlas.db", read_only=read_only)


def test_empty_file_becomes_a_store_only_by_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    path.touch()
    with pytest.raises(StoreError, match="atlas.db: empty; bring it up to date with: python run"):
        open_store(path, read_only=True)
    assert schema_version(open_store(path)) != ""


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    path.write_text("file,split\n" * 200)
    with pytest.raises(StoreError, match="atlas.db: not an SQLite database; give --db another"):
        open_store(path)
    assert path.read_text() == "file,split\n" * 200


def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (x)")
    other.close()
    with pytest.raises(StoreError, match="not one of this program .it holds photos"):
        open_store(path)


def test_missing_folder_missing_store_and_folder_as_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist"):
        open_store(tmp_path / "no" / "atlas.db")
    with pytest.raises(StoreError, match="no store there; make one with"):
        open_store(tmp_path / "atlas.db", create=False)
    with pytest.raises(StoreError, match="no store there; make one with"):
        open_store(tmp_path / "atlas.db", read_only=True)
    with pytest.raises(StoreError, match="is a folder; give --db a file"):
        open_store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_is_no_text_is_damage(empty_store: Path, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    content = empty_store.read_bytes().replace(b"CREATE TABLE model ", b"CREATE \xff\xfe\x9a\xf5E model ")
    path.write_bytes(content)
    with pytest.raises(StoreError, match="atlas.db: damaged; restore a copy"):
        open_store(path, read_only=True)


def test_unusable_url() -> None:
    with pytest.raises(StoreError, match="not a database URL"):
        open_store("nonsense://atlas")


@pytest.mark.parametrize(
    "meant",
    ["postgresql:/ann:hidden@host/atlas", "postgresql//ann:hidden@host/atlas", "host=h password=hidden dbname=atlas"],
)
def test_what_is_meant_as_a_url_is_no_file(meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="not a database URL; expected a file such as") as caught:
        open_store(meant)
    assert "hidden" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link"])
def test_what_is_no_file_is_refused_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        elif kind == "device":
            path = Path("/dev/zero")
        else:
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
        told = subprocess.run(
            [sys.executable, "-m", "db.upkeep", str(path)], capture_output=True, text=True, timeout=60, cwd=ROOT
        )
    assert told.returncode == 2
    assert told.stderr == f"error: {path}: neither file nor folder (a pipe, a socket, a device?); give --db a file\n"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="no permission to write"):
            open_store(tmp_path / "atlas.db")
    finally:
        tmp_path.chmod(0o700)


def test_no_permission_where_not_even_root_may_write() -> None:
    folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(StoreError, match="atlas.db"):
        open_store(folder / "atlas.db")


def test_locked_store(tmp_path: Path) -> None:
    engine = open_store(tmp_path / "atlas.db")
    other = sqlite3.connect(tmp_path / "atlas.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pragma(engine, "busy_timeout = 20")
    with pytest.raises(StoreError, match="atlas.db: locked by another run or program"):
        Store(engine).register_model(MODEL)
    other.execute("ROLLBACK")
    assert Store(engine).register_model(MODEL) == 1


def test_full_disk(tmp_path: Path) -> None:
    engine = open_store(tmp_path / "atlas.db")
    pragma(engine, "max_page_count = 1")  # SQLite's own way to run out of space
    store = Store(engine)
    wide = type(MODEL)("wide", "w", (4000,) * 12, 16000)
    with pytest.raises(DiskError, match="the disk is full; free some space"):
        store.register_model(wide)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM model")).scalar() == 0


def test_other_errors_pass_through() -> None:
    with pytest.raises(Exception, match="syntax error") as caught, translate_errors("atlas.db"):
        sqlite3.connect(":memory:").execute("SELEC 1")
    assert not isinstance(caught.value, StoreError)


def test_reading_beside_a_writer(tmp_path: Path) -> None:
    writer = open_store(tmp_path / "atlas.db")
    reader = open_store(tmp_path / "atlas.db", read_only=True)
    with writer.begin() as connection:
        connection.execute(text("INSERT INTO layer SELECT 1, 0, 1 WHERE 0"))
        with reader.connect() as reading:
            assert reading.execute(text("SELECT COUNT(*) FROM runs")).scalar() == 0


def test_paths_of_a_store(tmp_path: Path) -> None:
    assert store_files_dir(tmp_path / "atlas.db") == tmp_path / "atlas.files"
    assert store_files_dir(f"sqlite:///{tmp_path}/atlas.db") == tmp_path / "atlas.files"
    assert store_files_dir("postgresql://user:secret@host/atlas") == Path("atlas.files")
    assert store_files_dir(":memory:") == Path("memory.files")
    assert sqlite_path("sqlite:///some/atlas.db") == Path("some/atlas.db").absolute()
    assert sqlite_path(":memory:") is None
    assert sqlite_path("sqlite://") is None


def test_second_run_is_refused_and_told_who_holds_the_store(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    told = rf"another run \(pid {os.getpid()}, host .*atlas.db"
    with exclusive_run(path), pytest.raises(StoreError, match=told), exclusive_run(path):
        pass
    with exclusive_run(str(path)):
        pass


def test_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    code = (
        "import sys, time\nfrom db.connection.open import exclusive_run\n"
        "with exclusive_run(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"pid {holder.pid}"), exclusive_run(path):
            pass
        holder.kill()
    with exclusive_run(path):
        pass


def test_lock_in_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="its folder does not exist"), exclusive_run(tmp_path / "no/a.db"):
        pass


def test_lock_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "atlas.db.lock").mkdir()
    with pytest.raises(StoreError, match=r"atlas.db.lock: cannot be written"), exclusive_run(tmp_path / "atlas.db"):
        pass
