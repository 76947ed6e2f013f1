"""The process in which a statement runs: one each, started ahead, gone with the program."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from db.sandbox import ask
from db.sandbox.ask import run_sql


def asked(tiny_store: Path, value: int) -> None:
    assert run_sql(tiny_store, f"SELECT {value} AS value").frame["value"].tolist() == [value]


def test_the_next_statement_finds_its_process_waiting_and_each_has_its_own(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begin = ask._process

    def noted(command: Sequence[str]) -> subprocess.Popen[bytes]:
        started.append(begin(command))
        return started[-1]

    ask._ahead.stop()
    monkeypatch.setattr(ask, "_process", noted)
    asked(tiny_store, 1)
    first, waiting = started
    assert first.poll() is not None
    assert waiting.poll() is None
    asked(tiny_store, 2)
    assert waiting.poll() is not None, "it answered one statement and ended"
    assert [process.poll() for process in started[2:]] == [None]
    ask._ahead.stop()
    assert started[2].poll() is not None


def test_a_process_that_died_while_it_waited_is_not_asked(tiny_store: Path) -> None:
    asked(tiny_store, 1)
    waiting = ask._ahead._waiting
    assert waiting is not None
    waiting.kill()
    waiting.wait()
    asked(tiny_store, 2)


def test_nothing_waits_on_when_the_program_is_killed(tiny_store: Path) -> None:
    asker = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys; from db.sandbox import ask; ask.run_sql(sys.argv[1], 'SELECT 1')\n"
            "print(ask._ahead._waiting.pid, flush=True); sys.stdin.read()",
            str(tiny_store),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(ask.__file__).parents[2],
    )  # fmt: skip
    assert asker.stdout is not None
    waiting = int(asker.stdout.readline())
    os.kill(waiting, 0)
    asker.kill()
    asker.communicate()
    if not Path("/proc").is_dir():
        pytest.skip("what runs is looked up in /proc")
    until = time.monotonic() + 10
    while time.monotonic() < until:
        # Where nobody collects what ended, its entry stays.
        state = Path(f"/proc/{waiting}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the process still waits")
