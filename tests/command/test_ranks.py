"""Any number of ranks stores the same; one that dies, is stopped or given wrong input leaves what is finished."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.distributed import run as distributed

import run_analysis
from tests.support.small_study import QUICK, make_dataset, query, results, small_network, tables
from tests.support.warm import Started

ROOT = Path(__file__).parents[2]
ONE_TASK = (*QUICK, *small_network(), "--tasks", "pets-kind", "--workers", "1", "--probe-layers")
TIMES = {"run": (2, 3, 5, 10, 11, 12), "run_step": tuple(range(6, 14)), "stage": (4,)}
"""Columns that tell when and how fast, and the settings, which name the store."""


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets", n_clips=36)


@pytest.fixture(scope="module")
def whole(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a single process."""
    db = tmp_path_factory.mktemp("whole") / "atlas.db"
    with Started(run_analysis.main, [*map(str, (*ONE_TASK, "--data-dir", pets, "--db", db))]) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    return db


@dataclass(frozen=True)
class Ended:
    returncode: int | None
    stdout: str
    stderr: str


def torchrun(world: int, *arguments: object) -> Ended:
    """As a user starts it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    return Ended(done.returncode, done.stdout, done.stderr)


def started(world: int, script: str, *arguments: object) -> Started:
    """Torchrun that is forked with all libraries loaded, and so are its ranks."""
    how = ("--nproc-per-node", world, "--run-path", "--start-method", "fork")
    return Started(distributed.main, [*map(str, (*how, ROOT / script, *arguments))])


def quick_torchrun(world: int, script: str, *arguments: object) -> Ended:
    with started(world, script, *arguments) as process:
        told = process.communicate()
    return Ended(process.returncode, *told)


WATCHED = "tests/support/watched_study.py"


def stored(db: Path) -> dict[str, list[Any]]:
    """Every table, without times."""
    found = tables(db)
    for name, columns in TIMES.items():
        found[name] = [tuple(v for i, v in enumerate(row) if i not in columns) for row in found[name]]
    return found


def files(db: Path) -> dict[str, bytes]:
    """Everything beside the store, byte by byte, but for the summary, which tells when it was run."""
    found = [path for path in db.with_suffix(".files").rglob("*") if path.is_file() and path.name != "summary.md"]
    return {str(path.relative_to(db.parent)): path.read_bytes() for path in found}


def assert_same(db: Path, other: Path) -> None:
    one, two = stored(db), stored(other)
    assert {name for name in one if one[name] != two[name]} == set()
    assert len(one["clip_pattern"]) > 0
    assert len(one["ablation_effect"]) > 0
    assert files(db) == files(other)
    assert any("positive.npy" in name for name in files(db))


ASKED = (1 + 3 + 2) * (6 + 15)
"""Three targets, two controls and the network as it is, on the test clips, and on the train clips for new heads."""


@pytest.mark.parametrize(("start", "world"), [(torchrun, 2), (quick_torchrun, 4)])
def test_any_number_of_ranks_stores_the_same_bits(
    pets: Path, whole: Path, tmp_path: Path, start: Callable[..., Ended], world: int
) -> None:
    db = tmp_path / "atlas.db"
    done = start(world, WATCHED, tmp_path / "log", 0, *ONE_TASK, "--data-dir", pets, "--db", db)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pets · extract: 36 clips in") == 1, "rank 0 alone tells"
    assert re.search(r"pets-kind · ablate top 1% at gain 0: 105 passes in", done.stdout)
    assert_same(db, whole)
    shares = [work(tmp_path / f"log.{rank}") for rank in range(world)]
    assert sum(share["extract"] for share in shares) == 36
    assert all(share["extract"] > 0 for share in shares)
    assert sum(share["ask"] for share in shares) == ASKED
    assert sum(share["ask"] > 0 for share in shares) == world


def work(log: Path) -> dict[str, int]:
    """Clips that a rank extracted, and pairs of a condition and a clip that it asked for."""
    rows = [line.split() for line in log.read_text().splitlines()[1:]]
    return {kind: sum(int(n) for of, n in rows if of == kind) for kind in ("extract", "ask")}


def flags(db: Path, place: str) -> int:
    """How many flags of finished rows are set."""
    found = list(db.with_suffix(".files").glob(f"{place}/**/done.npy"))
    return sum(int(np.load(path).sum()) for path in found)


def wait_until(seen: Callable[[], bool], process: Started) -> None:
    until = time.monotonic() + 200
    while not seen():
        assert process.returncode is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("place", "dying", "stages"), [("activations", 1, "extract"), ("ablations", 0, "all")])
def test_a_rank_that_is_killed_ends_the_run_and_the_next_does_only_what_is_missing(
    pets: Path, whole: Path, tmp_path: Path, place: str, dying: int, stages: str
) -> None:
    db = tmp_path / "atlas.db"
    study = (*ONE_TASK, "--data-dir", pets, "--db", db, *(("--stages", stages) if stages != "all" else ()))
    with started(2, WATCHED, tmp_path / "first", 0.3, *study) as process:
        wait_until(lambda: flags(db, place) > 0, process)
        os.kill(int((tmp_path / f"first.{dying}").read_text().split()[0]), signal.SIGKILL)
        out, report = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "run_analysis.py" not in report.replace("run_analysis.py FAILED", ""), "no traceback of ours"
    assert f"Signal {int(signal.SIGKILL)} (SIGKILL) received by PID" in report, "torchrun names the rank that died"
    if dying:
        assert "stopped by torchrun, whose report tells why; what is finished is kept" in out
        assert query(db, "SELECT status FROM runs") == [("stopped",)]
    finished = {kind: flags(db, folder) for kind, folder in (("extract", "activations"), ("ask", "ablations"))}
    assert 0 < finished["extract"] < 36 if place == "activations" else 0 < finished["ask"] < ASKED

    again = quick_torchrun(4, WATCHED, tmp_path / "second", 0, *study)
    assert again.returncode == 0, again.stderr
    shares = [work(tmp_path / f"second.{rank}") for rank in range(4)]
    assert sum(share["extract"] for share in shares) == 36 - finished["extract"]
    assert sum(share["ask"] for share in shares) == (ASKED - finished["ask"] if stages == "all" else 0)
    assert files(db) == files(whole)
    for view, rows in results(whole).items():
        if stages == "all" or view in ("top_clips", "clip_labels", "neuron_clips"):
            assert results(db)[view] == rows, view


def test_wrong_input_is_one_line_of_rank_0(tmp_path: Path) -> None:
    ended = quick_torchrun(2, "run_analysis.py", "--data-dir", tmp_path / "no", "--db", tmp_path / "a.db")
    assert ended.returncode != 0
    assert ended.stderr.count("error: --data-dir") == 1
    assert set(re.findall(r"exitcode\s*: (-?\d+)", ended.stderr)) == {"2"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_that_is_stopped_stops_all(pets: Path, tmp_path: Path, sign: signal.Signals) -> None:
    db = tmp_path / "atlas.db"
    study = (*ONE_TASK, "--data-dir", pets, "--db", db)
    with started(2, WATCHED, tmp_path / "log", 0.3, *study) as process:
        wait_until(lambda: flags(db, "activations") > 0, process)
        process.send_signal(sign)
        out, report = process.communicate(timeout=60)
    assert len(re.findall(r"^stopped", out, re.MULTILINE)) == 1
    assert "what is finished is kept, the same command goes on from here" in out
    assert "run_analysis.py" not in report, "no traceback of ours"
    assert query(db, "SELECT status FROM runs") == [("stopped",)]
    for rank in range(2):
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / f"log.{rank}").read_text().split()[0]), 0)
