"""A run that is stopped, killed or out of disk keeps what is finished, and the same command goes on from there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event

from core.encoders.nano import NanoEncoder
from core.recording import activations
from core.run import disk_space
from db.connection.open import open_store
from tests.support.small_study import NEURONS, clips_passed, make_dataset, query, results, run, small_network
from tests.support.warm import Started

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")

ROOT = Path(__file__).parents[2]
SCORE = ("--stages", "extract,score")

INTERRUPTED_IMPORT = """
import os, runpy, signal, sys
library = sys.argv.pop(1)
class Interrupt:
    def find_spec(self, name, *rest):
        if name == library:
            print('interrupted', flush=True)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_path('run_analysis.py', run_name='__main__')
"""


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def whole_db(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run without interruption."""
    db = tmp_path_factory.mktemp("whole") / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    return db


@pytest.fixture(scope="module")
def whole(whole_db: Path) -> dict[str, list[Any]]:
    """What a run without interruption stores."""
    return results(whole_db)


def rows_done(db: Path) -> list[int]:
    (file,) = db.with_suffix(".files").rglob("done.npy")
    return [int(v) for v in np.load(file)]


def interrupt_at_batch(number: int, monkeypatch: pytest.MonkeyPatch, sign: int = signal.SIGINT) -> None:
    """Let a real signal arrive in the middle of a forward pass."""
    forward = NanoEncoder.forward
    left = [number]

    def interrupted(self: NanoEncoder, batch: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), sign)
        return forward(self, batch)

    monkeypatch.setattr(NanoEncoder, "forward", interrupted)


def run_until(sign: int, *arguments: object) -> int:
    """The command, for a process of its own: the signal arrives in the third forward pass."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at_batch(3, patch, sign)
        return run(*arguments)


def test_ctrl_c_keeps_finished_batches_and_the_same_command_goes_on(
    pets: Path,
    whole: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    db = tmp_path / "atlas.db"
    interrupt_at_batch(3, monkeypatch)
    assert run("--data-dir", pets, "--db", db, *SCORE) == 130
    told = capsys.readouterr()
    assert "stopped; what is finished is kept, the same command goes on from here" in told.out
    assert told.err == ""
    assert rows_done(db) == [1] * 16 + [0] * 8
    assert {path.name for path in tmp_path.iterdir()} == (left := {"atlas.db", "atlas.db.lock", "atlas.files"})
    assert query(db, "SELECT status FROM runs") == [("stopped",)]
    monkeypatch.undo()
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert {path.name for path in tmp_path.iterdir()} == left
    assert passes == [8]  # what was left
    assert results(db) == whole
    assert query(db, "SELECT status FROM runs ORDER BY run_id") == [("stopped",), ("done",)]


def test_lost_patterns_are_taken_again_and_ctrl_c_meanwhile_keeps_those_that_are(
    pets: Path, whole: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "atlas.db"
    interrupt_at_batch(3, monkeypatch)
    assert run("--data-dir", pets, "--db", db, *SCORE) == 130
    (patterns,) = tmp_path.rglob("patterns-*.part")
    with patterns.open("r+b") as file:  # the second batch's block is cut off, the first damaged
        file.truncate(patterns.stat().st_size - 1)
        file.seek(1000)
        file.write(b"damage")
    monkeypatch.undo()
    interrupt_at_batch(3, monkeypatch)  # the batch that is left, the first again, the second
    assert run("--data-dir", pets, "--db", db, *SCORE) == 130
    monkeypatch.undo()
    assert query(db, "SELECT COUNT(*) FROM top_clip") == [(NEURONS * 8,)]
    assert query(db, "SELECT COUNT(*) FROM clip_pattern") == [(0,)]
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert passes == [8]
    assert results(db) == whole
    assert list(tmp_path.rglob("*.part")) == []


def test_store_whose_patterns_are_of_an_older_version_has_them_taken_anew(
    pets: Path, whole: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    db = tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    with closing(sqlite3.connect(db)) as connection, connection:  # its mark is another, beside the counts lies nothing
        connection.execute("UPDATE stage SET key = 'former' WHERE name = 'traces'")
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert passes == [8] * 3
    assert "was taken in another pass" in capsys.readouterr().out
    assert results(db) == whole


def test_ctrl_c_during_scoring_keeps_scored_tasks(
    pets: Path, whole: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.probes import fit as probe

    fit = probe.fit

    def interrupted(task: str, *rest: Any) -> Any:
        if task == "pets-hand":
            os.kill(os.getpid(), signal.SIGINT)
        return fit(task, *rest)

    db = tmp_path / "atlas.db"
    monkeypatch.setattr(probe, "fit", interrupted)
    assert run("--data-dir", pets, "--db", db, *SCORE) == 130
    kept = query(db, "SELECT task, COUNT(*) FROM probe_accuracy GROUP BY task")
    assert [task for task, _ in kept] == ["pets-kind"]
    monkeypatch.setattr(probe, "fit", fit)
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert results(db) == whole


def test_killed_run_does_not_repeat_finished_batches(
    pets: Path, whole: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "atlas.db"
    network = small_network()
    with Started(run_until, signal.SIGKILL, "--data-dir", pets, "--db", db, *SCORE, *network) as killed:
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert rows_done(db) == [1] * 16 + [0] * 8
    assert query(db, "SELECT status FROM runs") == [("running",)]
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert passes == [8]  # what was left
    assert results(db) == whole
    assert query(db, "SELECT status FROM runs ORDER BY run_id") == [("stopped",), ("done",)]


@pytest.mark.parametrize(("library", "code"), [("rich", -signal.SIGINT), ("torch.nn", 130)])
def test_ctrl_c_while_libraries_load_shows_no_traceback(library: str, code: int, pets: Path, tmp_path: Path) -> None:
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, library, "--data-dir", str(pets), "--db", str(tmp_path / "a.db")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "interrupted" in stopped.stdout
    assert (stopped.returncode, stopped.stderr) == (code, "")
    assert list(tmp_path.iterdir()) == []


def test_command_ends_with_the_exit_code_and_one_line_on_stderr(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "run_analysis.py", "--data-dir", str(tmp_path / "no"), "--db", str(tmp_path / "a.db")],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr == f"error: --data-dir {tmp_path / 'no'}: no such folder; give the folder that holds datasets\n"
    assert list(tmp_path.iterdir()) == []


def test_scan_that_is_stopped_keeps_what_it_read(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.datasets import audio

    load = audio.load
    read: list[str] = []

    def interrupted(path: Path, rate: int) -> Any:
        read.append(path.name)
        if len(read) == 12:
            os.kill(os.getpid(), signal.SIGINT)
        return load(path, rate)

    monkeypatch.setattr(audio, "load", interrupted)
    one_thread = ("--data-dir", pets, "--db", tmp_path / "atlas.db", "--stages", "extract", "--workers", 1)
    assert run(*one_thread) == 130
    (cache,) = (tmp_path / "atlas.files" / "scans").glob("*.csv")
    n_kept = len(cache.read_text().splitlines()) - 1
    assert 0 < n_kept <= len(read)
    read[:] = ["not to be stopped again"] * 12
    assert run(*one_thread) == 0
    assert len(read) - 12 == (24 - n_kept) + 24  # the rest of the scan, every file once


def test_full_disk_when_space_is_reserved(
    pets: Path,
    whole: dict[str, list[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    db = tmp_path / "atlas.db"

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(activations.os, "posix_fallocate", full)
        assert run("--data-dir", pets, "--db", db, *SCORE) == 1
        capsys.readouterr()
        assert run("--data-dir", pets, "--db", tmp_path / "trained.db", *SCORE, "--weights", "") == 1
    told = capsys.readouterr().err
    assert told.startswith("error: No space left on device, 0.1 MB needed in one file (")
    assert "positive.npy); what is finished is kept, the same command goes on from here\n" in told
    assert list(tmp_path.rglob("*.part")) == []
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert results(db) == whole


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_full_disk_when_the_store_is_written(
    pets: Path, whole_db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    db = tmp_path / "atlas.db"
    pages = int(share * query(whole_db, "PRAGMA page_count")[0][0])

    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to run out of space

    event.listen(Engine, "connect", limit)
    try:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 1
    finally:
        event.remove(Engine, "connect", limit)
    assert capsys.readouterr().err == (
        "error: atlas.db: the disk is full; free some space and run again, it goes on from here\n"
    )
    assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert results(db) == results(whole_db)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", disk):
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def mount(*arguments: object) -> int:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode


def leave_free(db: Path, n_bytes: int) -> None:
    """Fill the disk of a store, whose log is empty then, but for so many bytes."""
    ballast = db.parent / "ballast"
    ballast.unlink(missing_ok=True)
    query(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    ballast.write_bytes(bytes(shutil.disk_usage(db.parent).free - n_bytes))


def test_disk_that_is_really_full(
    pets: Path,
    whole: dict[str, list[Any]],
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    db = small_disk / "atlas.db"
    arguments = ("--data-dir", pets, "--db", db, *SCORE)
    open_store(db).dispose()
    leave_free(db, 8_000_000)
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: disk: ") and "7.9 MB free in" in told and told.count("\n") == 1
    assert query(db, "SELECT COUNT(*) FROM run") == [(0,)]
    assert not (db.with_suffix(".files") / "activations").exists()
    monkeypatch.setattr(disk_space, "LEAST", 0)  # as if more had been free when it was asked
    leave_free(db, 320_000)
    assert run(*arguments) == 1  # warned before anything is computed; the store is a guess, so it was tried
    told = capsys.readouterr()
    assert "MB free in" in told.out and "all but the matrices is a guess: the run goes on" in told.out
    assert told.err.count("\n") == 1 and "the disk is full" in told.err
    monkeypatch.setattr("core.run.disk_space.ask", lambda *_: ("", False))  # another program may take what was free
    leave_free(db, 50_000)
    assert run(*arguments) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "No space left on device" in told or "the disk is full" in told
    leave_free(db, 350_000)
    assert run(*arguments) == 1  # the matrices fit now, the store does not
    assert "atlas.db: the disk is full" in capsys.readouterr().err
    assert sum(rows_done(db)) == 24
    assert mount("-o", "remount,size=64m", small_disk) == 0
    with clips_passed(monkeypatch) as passes:
        assert run(*arguments) == 0
    assert passes == []  # what was recorded stays
    assert results(db) == whole
