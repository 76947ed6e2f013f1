"""A store is one file when a run is over: copied whole, read anywhere; and what else may lie beside it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from db import upkeep
from db.connection import open as open_module
from db.connection import sqlite
from db.connection.open import StoreError, exclusive_run, open_store, opened_to_write
from db.sandbox.ask import run_sql
from db.writes.store import Store
from tests.support.tiny_study import MODEL, write_study

ROOT = Path(__file__).parents[2]
MODELS = "SELECT COUNT(*) AS n FROM model"


def beside(path: Path) -> set[str]:
    return {found.name for found in path.parent.iterdir()}


def n_models(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute(MODELS).fetchone()[0])


def write(path: Path) -> None:
    with opened_to_write(path) as engine:
        write_study(engine)
        assert f"{path.name}-wal" in beside(path), "it writes to a log meanwhile"


def killed(path: Path) -> None:
    """A writer that dies and leaves its log behind, with a model that the file itself lacks."""
    code = (
        "import os, sys\nfrom db.connection.open import open_store\nfrom db.writes.store import Store\n"
        "from tests.support.tiny_study import MODEL\nengine = open_store(sys.argv[1])\n"
        "with engine.connect() as connection:\n    connection.exec_driver_sql('PRAGMA wal_autocheckpoint=0')\n"
        "Store(engine).register_model(MODEL)\nos._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False).returncode == 9
    assert path.with_name(path.name + "-wal").stat().st_size > 0


def test_after_a_run_the_store_is_one_file_and_stays_so_for_readers(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    write(path)
    assert beside(path) == {"atlas.db", "atlas.db.lock"}
    reader = open_store(path, read_only=True)
    with reader.connect() as connection:
        assert connection.execute(text(MODELS)).scalar() == 1
    assert run_sql(path, MODELS).frame["n"].tolist() == [1]
    assert beside(path) == {"atlas.db", "atlas.db.lock"}
    write(path)
    copied = shutil.copy(path, tmp_path / "copied.db")
    assert n_models(copied) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoreError])
def test_however_a_run_ends(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "atlas.db"
    with pytest.raises(error), opened_to_write(path) as engine:
        Store(engine).register_model(MODEL)
        raise error
    assert beside(path) == {"atlas.db", "atlas.db.lock"} and n_models(path) == 1


def test_upkeep_makes_one_file_of_what_a_killed_run_left(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    killed(path)
    upkeep.look_over(path)
    assert beside(path) == {"atlas.db", "atlas.db.lock"} and n_models(path) == 1


def test_a_reader_in_the_midst_of_a_question_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    with opened_to_write(path) as engine:
        write_study(engine)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN")
        connection.execute(MODELS).fetchall()
        leaves = threading.Timer(0.5, connection.close)
        leaves.start()
        began = time.monotonic()
    assert 0.3 < time.monotonic() - began < 5
    leaves.join()
    assert beside(path) == {"atlas.db", "atlas.db.lock"}


def test_the_page_does_not_keep_a_run_from_it(tmp_path: Path) -> None:
    path = tmp_path / "atlas.db"
    write(path)
    reader = open_store(path, read_only=True)
    with opened_to_write(path) as engine:
        Store(engine).register_model(MODEL)
        with reader.connect() as connection:
            connection.execute(text(MODELS)).scalar()
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert beside(path) == {"atlas.db", "atlas.db.lock"}


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a disk")
def test_a_read_only_disk_serves_any_reader(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "atlas.db"
    path.parent.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path.parent], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        write(path)
        subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)
        assert n_models(path) == 1
        assert run_sql(path, MODELS).frame["n"].tolist() == [1]
        with open_store(path, read_only=True).connect() as connection:
            assert connection.execute(text(MODELS)).scalar() == 1
    finally:
        subprocess.run(["umount", "-l", path.parent], check=True)


@pytest.mark.parametrize("how", ["cp", "mv", "rm and cp"])
def test_a_store_put_where_a_killed_run_left_its_log(tmp_path: Path, how: str) -> None:
    path, new = tmp_path / "atlas.db", tmp_path / "new.db"
    write(new)
    killed(path)
    if how == "rm and cp":
        path.unlink()
    (os.replace if how == "mv" else shutil.copyfile)(new, path)
    before = path.read_bytes()
    told = "^atlas.db: another store lay here before, .* delete atlas.db-wal and atlas.db-shm, then try again$"
    for options in ({"read_only": True}, {}):
        with pytest.raises(StoreError, match=told):
            open_store(path, **options)
    with pytest.raises(StoreError, match=told):
        run_sql(path, MODELS)
    assert path.read_bytes() == before
    for name in ("atlas.db-wal", "atlas.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with open_store(path, read_only=True).connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM model_task")).scalar() == 1


@pytest.mark.parametrize("link", ["folder", "file"])
def test_the_lock_is_of_the_real_file(tmp_path: Path, link: str) -> None:
    (tmp_path / "real").mkdir()
    path = tmp_path / "real" / "atlas.db"
    write(path)
    if link == "folder":
        (tmp_path / "other").symlink_to(path.parent)
        other = tmp_path / "other" / "atlas.db"
    else:
        other = tmp_path / "other.db"
        other.symlink_to(path)
    with exclusive_run(path), pytest.raises(StoreError, match="another run"), exclusive_run(other):
        pass
    with exclusive_run(other), pytest.raises(StoreError, match="another run"), exclusive_run(path):
        pass


def test_a_store_with_two_names_is_not_written(tmp_path: Path) -> None:
    path, other = tmp_path / "atlas.db", tmp_path / "other.db"
    write(path)
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(StoreError, match="a second name"), opened_to_write(name):
            pass
    shutil.copy(other, tmp_path / "own.db")
    os.replace(tmp_path / "own.db", other)
    with exclusive_run(path), exclusive_run(other):
        pass


def write_and_tell(path: Path, name: str, pipe: int) -> None:
    """A run, for a process of its own, that tells when it is over but for the log."""

    def leave_whole(of: Path) -> None:
        os.write(pipe, b"x")
        sqlite.leave_whole(of)

    open_module.leave_whole = leave_whole
    with opened_to_write(path) as engine:
        Store(engine).register_model(replace(MODEL, name=name, layer_widths=(400, 200)))
    os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_kill_while_the_log_goes_loses_nothing_and_leaves_what_readers_can_read(
    tmp_path: Path,
) -> None:
    path, rng, done = tmp_path / "atlas.db", random.Random(0), []
    write(path)
    for i in range(20):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            write_and_tell(path, f"model {i}", writer)
        os.read(reader, 1)
        time.sleep(rng.uniform(0, 0.003))
        os.kill(child, signal.SIGKILL)
        done.append(os.WIFSIGNALED(os.waitpid(child, 0)[1]))
        os.close(reader)
        os.close(writer)
        assert "atlas.db-journal" not in beside(path)
        with open_store(path, read_only=True).connect() as connection:
            assert connection.execute(text(MODELS)).scalar() == 2 + i
    assert sum(done) > 5
    write(path)
    assert beside(path) == {"atlas.db", "atlas.db.lock"}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_link_in_the_place_of_the_lock_empties_nothing(tmp_path: Path) -> None:
    path, others = tmp_path / "atlas.db", tmp_path / "others"
    write(path)
    others.write_text("precious")
    lock = tmp_path / "atlas.db.lock"
    lock.unlink(missing_ok=True)
    lock.symlink_to(others)
    with pytest.raises(StoreError, match="cannot be written"), exclusive_run(path):
        pass
    assert others.read_text() == "precious"


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="There is no such file here")
@pytest.mark.parametrize("read_only", [True, False])
def test_a_store_is_no_file_of_the_kernel(read_only: bool, tmp_path: Path) -> None:
    """Some of them are waited for without end."""
    path = tmp_path / "atlas.db"
    path.symlink_to("/proc/version")
    with pytest.raises(StoreError, match="neither file nor folder"):
        open_store(path, read_only=read_only)
