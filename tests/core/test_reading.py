"""A file that never answers is left behind: named, and the rest goes on."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets import audio
from core.datasets import readers as reading
from core.datasets.readers import Readers, seconds_for
from tests.support.small_study import make_dataset, query, read_manifest, results, run, write_manifest

ROOT = Path(__file__).parents[2]
EXTRACT = ("--stages", "extract")

HOLDER = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(300)
"""

RUN_WITH_SHORT_LIMIT = """
import sys
from core.datasets import readers as reading
reading.SECONDS = 8.0
import run_analysis
sys.exit(run_analysis.main(sys.argv[1:]))
"""


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a hung read waits for; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_results_come_in_order_and_from_several_threads() -> None:
    threads = set()

    def read(i: int) -> int:
        threads.add(threading.get_ident())
        time.sleep(0.02 * (i % 3))
        return i * i

    with Readers(3) as readers:
        found = list(readers.map(read, range(12), lambda _: 5.0, lambda _: -1))
    assert found == [i * i for i in range(12)]
    assert 1 < len(threads) <= 3


def test_what_hangs_is_left_behind_however_many_hang(never: threading.Event) -> None:
    def read(i: int) -> int:
        return i if i % 3 else never.wait() and -9

    started, n_before = time.monotonic(), threading.active_count()
    with Readers(2) as readers:
        found = list(readers.map(read, range(12), lambda _: 0.2, lambda i: -1))
    assert found == [-1, 1, 2, -1, 4, 5, -1, 7, 8, -1, 10, 11]
    assert time.monotonic() - started < 4 * 0.2 + 2.5
    assert threading.active_count() == n_before + 4  # one for each that hangs
    never.set()
    time.sleep(0.2)
    assert threading.active_count() == n_before


def test_time_runs_from_when_a_thread_begins_not_from_when_it_was_asked() -> None:
    with Readers(1) as readers:
        found = list(readers.map(lambda i: time.sleep(0.15) or i, range(6), lambda _: 0.6, lambda _: -1))
    assert found == list(range(6))


def test_errors_of_a_read_are_raised_where_it_is_asked_for_timeouts_of_its_own_too() -> None:
    def read(i: int) -> int:
        if i == 1:
            raise TimeoutError("of the network")
        return i

    with Readers(2) as readers:
        found = readers.map(read, range(3), lambda _: 5.0, lambda _: -1)
        assert next(found) == 0
        with pytest.raises(TimeoutError, match="of the network"):
            next(found)


def test_what_nobody_asks_for_any_more_is_not_read() -> None:
    read: list[int] = []
    with Readers(1) as readers:
        found = readers.map(lambda i: read.append(i) or time.sleep(0.05), range(100), lambda _: 5.0, lambda _: None)
        next(found)
    assert len(read) < 10


def test_large_files_have_longer() -> None:
    assert seconds_for(0) == seconds_for(-1) == 60
    assert seconds_for(600_000_000) == 660


def hang_on(name: str, monkeypatch: pytest.MonkeyPatch, never: threading.Event, after: int = 0) -> None:
    """Reading a file hangs, once it was read so often; for others nothing changes."""
    load, left = audio.load, [after]

    def hanging(path: Path, rate: int) -> Any:
        if path.name == name:
            left[0] -= 1
            if left[0] < 0:
                never.wait()
        return load(path, rate)

    monkeypatch.setattr(audio, "load", hanging)
    monkeypatch.setattr(reading, "SECONDS", 1.0)


def without(folder: Path, name: str, to: Path) -> Path:
    """A dataset that does not list one of its files."""
    make_dataset(to, 12)
    write_manifest(to, [row for row in read_manifest(folder) if row["file"] != name])
    return to


def test_hung_file_is_left_out_by_the_scan_and_looked_at_again_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], never: threading.Event
) -> None:
    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    with monkeypatch.context() as patch:
        hang_on("007.wav", patch, never)
        assert run("--data-dir", pets, "--db", db, *EXTRACT) == 0
    assert "007.wav" in capsys.readouterr().out
    assert query(db, "SELECT path, reason FROM problem") == [("007.wav", "took longer than 1 s to read")]
    fewer = without(pets, "007.wav", tmp_path / "fewer" / "pets")
    assert run("--data-dir", fewer, "--db", tmp_path / "fewer.db", *EXTRACT) == 0
    assert results(db) == results(tmp_path / "fewer.db")
    assert run("--data-dir", pets, "--db", db, *EXTRACT, "--replace") == 0
    assert query(db, "SELECT COUNT(*) FROM problem") == [(0,)]
    assert query(db, "SELECT COUNT(*) FROM clip") == [(12,)]


def test_file_that_hangs_later_is_named_and_the_next_run_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], never: threading.Event
) -> None:
    pets, db = make_dataset(tmp_path / "pets", 12), tmp_path / "atlas.db"
    hang_on("011.wav", monkeypatch, never, after=1)
    assert run("--data-dir", pets, "--db", db, *EXTRACT) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{pets / '011.wav'} took longer than 1 s to read; run the same command again" in told
    (done,) = (tmp_path / "atlas.files" / "activations").rglob("done.npy")
    assert np.load(done).tolist() == [1] * 8 + [0] * 4
    assert run("--data-dir", pets, "--db", db, *EXTRACT) == 0
    assert query(db, "SELECT path FROM problem") == [("011.wav",)]


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="needs Linux's leases")
def test_file_that_the_system_itself_does_not_open(tmp_path: Path) -> None:
    """Another process holds a lease: opening the file blocks in the kernel, as on a share that does not answer."""
    pets = make_dataset(tmp_path / "pets", 12)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(pets / "005.wav")], stdout=subprocess.PIPE, text=True)
    try:
        if not holder.stdout or holder.stdout.readline() != "held\n":
            pytest.skip("no lease can be had on this file system")
        ended = subprocess.run(
            [sys.executable, "-c", RUN_WITH_SHORT_LIMIT, "--data-dir", str(pets), "--db", str(tmp_path / "a.db"),
             "--model", "nano-ssl", "--stages", "extract"],
            cwd=ROOT, capture_output=True, text=True, timeout=240,
        )  # fmt: skip
    finally:
        holder.kill()
        holder.wait()
    assert ended.stderr == ""
    assert ended.returncode == 0
    problems = query(tmp_path / "a.db", "SELECT path, reason FROM problem")
    assert problems == [("005.wav", "took longer than 8 s to read")]


def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "zero.wav"):
        for of in (lambda path: audio.load(path, 16_000), audio.seconds):
            with pytest.raises(audio.BadAudio, match="is no file"):
                of(tmp_path / name)
