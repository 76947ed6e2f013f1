"""Kills and full disks at every stage of the study: what is lost, and what is done twice.

    python -m benchmarks.faults --kills 50

A small study (24 made clips, nano-ssl, every stage) runs once undisturbed. Then, again and again in a new folder, it
is killed with SIGKILL at a random moment of a stage, and the same command runs once more. What that leaves is
compared with the undisturbed run: every table of the store row by row (but for the list of runs, which run and which
mark a row belongs to, and times), and every file beside it byte by byte. Then the same with a disk that is full from
the beginning of a stage on, which ends the run with one line instead.

Each run is forked from this process, which has the libraries loaded, so that a run takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.fx.experimental.symbolic_shapes  # which the first gradient would load in every run

import run_analysis
from core.ablation.answers import Answers
from core.datasets import scan
from core.recording import extract as recording
from core.run import inputs
from core.run.stages import ablate, attribute, extract, score, share, trace
from tests.support.small_study import QUICK, make_dataset, small_network

STAGES = ("scan", "extract", "traces", "score", "attribution", "ablate", "share")
NOT_COMPARED = {"run_id", "stage_id", "started_at", "finished_at", "root_from_store"}
LIMIT_SECONDS = 300.0
DISK_MB = 64


@dataclass
class Told:
    """What a run did, as it told on the way.

    Attributes
    ----------
    begun, ended : Counter
        How often each stage was.
    at : dict of str to list of float
        When each began and ended, seconds from the run's begin.
    files, rows, answers : int
        Files looked at, clips passed by the extraction, (condition, clip) pairs answered.
    code : int
        Exit code, or minus the signal.
    """

    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    at: dict[str, list[float]] = field(default_factory=dict)
    work: Counter[str] = field(default_factory=Counter)
    code: int = 0
    errors: str = ""

    @property
    def within(self) -> str:
        """The stage that had begun last and not ended."""
        unfinished = [stage for stage in STAGES if self.begun[stage] > self.ended[stage]]
        return unfinished[-1] if unfinished else "between"


def run_forked(arguments: list[str], on_begin: dict[str, Callable[[int], None]], disturb: str = "") -> Told:
    """The command in a process of its own.

    Parameters
    ----------
    arguments : list of str
    on_begin : dict of str to callable
        For a stage what this process does when it begins, given the other's number.
    disturb : str
        ``STAGE:FOLDER`` fills the folder's disk when the stage begins; ``STAGE:`` forbids files to grow.
    """
    told, started = Told(), time.monotonic()
    reader, writer = os.pipe()
    errors_reader, errors_writer = os.pipe()  # no file: one could not grow either
    child = os.fork()
    if child == 0:
        _be_the_run(arguments, writer, errors_writer, disturb)
    os.close(writer)
    os.close(errors_writer)
    with os.fdopen(reader) as lines:
        while select.select([lines], [], [], LIMIT_SECONDS)[0] and (line := lines.readline()):
            kind, _, what = line.strip().partition(" ")
            if kind == "work":
                name, number = what.split()
                told.work[name] += int(number)
                continue
            told.at.setdefault(what, []).append(time.monotonic() - started)
            (told.begun if kind == "begin" else told.ended)[what] += 1
            if kind == "begin" and what in on_begin:
                on_begin.pop(what)(child)
    _, status = os.waitpid(child, 0)
    told.code = os.waitstatus_to_exitcode(status)
    with os.fdopen(errors_reader) as errors:
        told.errors = errors.read()
    return told


def _be_the_run(arguments: list[str], writer: int, errors: int, disturb: str) -> None:
    """Run and never come back."""
    code = 70
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(errors, 2)
        # Made for what they were before: a file, maybe, where one can seek.
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        _watch(writer, disturb)
        code = run_analysis.main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _watch(writer: int, disturb: str) -> None:
    """Tell of stages and work through a pipe."""
    stage_to_disturb, _, folder = disturb.partition(":")

    def tell(*words: object) -> None:
        os.write(writer, (" ".join(map(str, words)) + "\n").encode())

    def begin(stage: str) -> None:
        tell("begin", stage)
        if stage == stage_to_disturb:
            fill_disk(Path(folder)) if folder else resource.setrlimit(
                resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)
            )

    def around(module: Any, name: str, stage: str, *, starts: bool = True, ends: bool = True) -> None:
        inner = getattr(module, name)

        def told(*given: Any, **named: Any) -> Any:
            if starts:
                begin(stage)
                begun[stage] += 1
            result = inner(*given, **named)
            if ends and begun[stage]:
                tell("end", stage)
                begun[stage] -= 1
            return result

        setattr(module, name, told)

    def counted(module: Any, name: str, kind: str, size: Callable[..., int]) -> None:
        inner = getattr(module, name)

        def told(*given: Any, **named: Any) -> Any:
            result = inner(*given, **named)
            tell("work", kind, size(*given))
            return result

        setattr(module, name, told)

    begun: Counter[str] = Counter()
    around(inputs, "scan_dataset", "scan")
    around(extract, "extract", "extract")
    for stage, name in (
        (trace.Trace, "traces"),
        (score.Score, "score"),
        (attribute.Attribute, "attribution"),
        (ablate.Ablate, "ablate"),
        (share.Share, "share"),
    ):
        around(stage, "run", name, ends=False)
        around(stage, "stored", name, starts=False)
    counted(scan, "_look", "files", lambda *_: 1)
    counted(recording, "_write", "rows", lambda _, results, *__: sum(len(result.index) for result in results))
    counted(Answers, "write", "answers", lambda _, conditions, clips, __: len(conditions) * len(clips))


def fill_disk(folder: Path) -> None:
    """Leave no byte on the disk of a folder."""
    with (folder / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@dataclass(frozen=True)
class Left:
    """What a run leaves."""

    tables: dict[str, Counter[tuple[Any, ...]]]
    files: dict[str, bytes]

    @classmethod
    def of(cls, db: Path) -> Left:
        tables, folder = {}, db.with_suffix(".files")
        with closing(sqlite3.connect(db)) as connection:
            found = (
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
                "AND name NOT IN ('run', 'run_step', 'store_stamp')"
            )
            for (name,) in connection.execute(found).fetchall():
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
                kept = [c for c in columns if c not in NOT_COMPARED and (name, c) != ("stage", "id")]
                tables[name] = Counter(connection.execute(f"SELECT {', '.join(kept)} FROM {name}"))
        # Not the summary, which tells of the runs and their times.
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".crc", ".md")]
        return cls(tables, {str(path.relative_to(folder)): path.read_bytes() for path in files})

    def lost(self, other: Left) -> list[str]:
        """Rows of tables, and files, that ``other`` lacks or has otherwise."""
        rows = [
            f"{name}: {row}"
            for name, of_table in self.tables.items()
            for row in ((of_table - other.tables[name]) + (other.tables[name] - of_table)).elements()
        ]
        return rows + [
            name for name in self.files.keys() | other.files if self.files.get(name) != other.files.get(name)
        ]


def done_flags(folder: Path, pattern: str) -> int:
    """Rows or answers that are marked done in the files beside a store."""
    return sum(
        int(np.count_nonzero(np.load(path)[: None if "acti" in pattern else -1])) for path in folder.glob(pattern)
    )


@dataclass(frozen=True)
class Bench:
    """A study to disturb, and what it leaves undisturbed."""

    data: Path
    work: Path
    whole: Left
    normal: Told
    network: tuple[str, ...] = ()

    def arguments(self, db: Path) -> list[str]:
        of_task = ("--batch-size", "4", "--tasks", "pets-kind", "--device", "cpu")
        return [*QUICK, *self.network, *of_task, "--data-dir", str(self.data), "--db", str(db)]

    @classmethod
    def make(cls, work: Path, network: tuple[str, ...] = ()) -> Bench:
        data = make_dataset(work / "pets")
        bare = cls(data, work, Left({}, {}), Told(), network)
        normal = run_forked(bare.arguments(work / "whole.db"), {})
        if normal.code:
            raise SystemExit(f"the undisturbed run failed ({normal.code}): {normal.errors}")
        return cls(data, work, Left.of(work / "whole.db"), normal, network)

    def kill(self, stage: str, rng: random.Random, folder: Path) -> dict[str, Any] | None:
        """Kill a run at a random moment of a stage and run again; None where the run had ended before."""
        db = folder / "atlas.db"
        times = self.normal.at[stage]
        pair = 2 * rng.randrange(len(times) // 2)
        wait = rng.uniform(0, times[pair + 1] - times[pair])
        skip = [pair // 2]

        def kill(child: int) -> None:
            if skip[0]:
                skip[0] -= 1
                on_begin[stage] = kill
                return
            time.sleep(wait)
            os.kill(child, signal.SIGKILL)

        on_begin = {stage: kill}
        killed = run_forked(self.arguments(db), on_begin)
        if killed.code != -signal.SIGKILL:
            return None
        files = db.with_suffix(".files")
        before = {
            "rows": done_flags(files, "activations/*/*/done.npy"),
            "answers": killed.work["answers"] and done_flags(files, "ablations/*/done.npy"),
        }
        again = run_forked(self.arguments(db), {})
        return {"stage": killed.within, **self.judged(db, killed, again, before)}

    def judged(self, db: Path, stopped: Told, again: Told, before: dict[str, int]) -> dict[str, Any]:
        """What a run that was stopped and the one after it lost and did twice."""
        repeated = {
            "rows": max(0, before["rows"] + again.work["rows"] - self.normal.work["rows"]),
            "stages": sum(
                max(0, stopped.ended[stage] + again.begun[stage] - self.normal.begun[stage]) for stage in STAGES[1:]
            ),
        }
        if not stopped.ended["ablate"] and again.begun["ablate"] == self.normal.begun["ablate"]:
            repeated["answers"] = max(0, before["answers"] + again.work["answers"] - self.normal.work["answers"])
        lost = Left.of(db).lost(self.whole) if again.code == 0 else ["the second run failed: " + again.errors]
        return {"survived": again.code == 0 and not lost, "lost": len(lost), "which": lost[:3], "repeated": repeated}

    def full_disk(self, stage: str, folder: Path, mounted: bool) -> dict[str, Any]:
        """Let the disk be full from when a stage begins, then run with room."""
        db = folder / "atlas.db"
        full = run_forked(self.arguments(db), {}, f"{stage}:{folder if mounted else ''}")
        (folder / "ballast").unlink(missing_ok=True)
        files = db.with_suffix(".files")
        before = {
            "rows": done_flags(files, "activations/*/*/done.npy"),
            "answers": done_flags(files, "ablations/*/done.npy"),
        }
        again = run_forked(self.arguments(db), {})
        judged = self.judged(db, full, again, before)
        one_line = full.errors.count("\n") == 1 and full.errors.startswith("error: ")
        return {"stage": stage, "code": full.code, "line": full.errors.strip(), "one_line": one_line, **judged}


@contextmanager
def small_disk(work: Path) -> Iterator[tuple[Path, bool]]:
    """A disk of its own, and whether it is one: a folder where none can be mounted."""
    disk = work / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
    mounted = (
        sys.platform == "linux" and os.geteuid() == 0 and not subprocess.run(command, capture_output=True).returncode
    )
    try:
        yield disk, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        shutil.rmtree(disk, ignore_errors=True)


def table(rows: list[dict[str, Any]], what: str) -> None:
    """Counts by stage, for people."""
    print(f"{'stage':12} {what:>10} {'survived':>9} {'rows lost':>10} {'done twice':>11}")
    for stage in dict.fromkeys([*STAGES, *(row["stage"] for row in rows)]):
        of = [row for row in rows if row["stage"] == stage]
        if of:
            twice, lost = sum(sum(row["repeated"].values()) for row in of), sum(row["lost"] for row in of)
            print(f"{stage:12} {len(of):10} {sum(row['survived'] for row in of):9} {lost:10} {twice:11}")
    twice, lost = sum(sum(row["repeated"].values()) for row in rows), sum(row["lost"] for row in rows)
    print(f"{'together':12} {len(rows):10} {sum(row['survived'] for row in rows):9} {lost:10} {twice:11}\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--stages", default=",".join(STAGES), help="where to kill")
    parser.add_argument("--full-disks", default=",".join(STAGES), help="where to fill the disk; none = nowhere")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write what was found here too")
    parser.add_argument("--small", action="store_true", help="with the small network of the tests")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    attribute.N_RANDOM, attribute.N_HIGHEST = 20, 5  # neurons taken out as a check: most of a small run's time
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        started = time.monotonic()
        bench = Bench.make(work, small_network() if given.small else ())
        print(f"undisturbed run: {time.monotonic() - started:.1f} s, {bench.normal.work['rows']} rows, "
              f"{bench.normal.work['answers']} answers, {sum(map(Counter.total, bench.whole.tables.values())):,} rows "
              f"in the store, {len(bench.whole.files)} files", flush=True)  # fmt: skip
        kills: list[dict[str, Any]] = []
        stages_to_kill = given.stages.split(",")
        while len(kills) < given.kills:
            place = work / "killed"
            place.mkdir()
            found = bench.kill(stages_to_kill[len(kills) % len(stages_to_kill)], rng, place)
            shutil.rmtree(place)
            if found:
                kills.append(found)
                if not found["survived"] or any(found["repeated"].values()):
                    print(json.dumps(found), flush=True)
        table(kills, "kills")
        full: list[dict[str, Any]] = []
        for stage in (stage for stage in given.full_disks.split(",") if stage in STAGES):
            with small_disk(work) as (disk, mounted):
                for really in (True, False)[0 if mounted else 1 :]:
                    (disk / str(really)).mkdir()
                    full.append({**bench.full_disk(stage, disk / str(really), really), "really": really})
                    print(f"  {stage}: code {full[-1]['code']}, {full[-1]['line']}", flush=True)
                    shutil.rmtree(disk / str(really))
        if full:
            table(full, "full disks")
    if given.json:
        given.json.write_text(json.dumps({"kills": kills, "full_disks": full}))
    good = all(row["survived"] and not any(row["repeated"].values()) for row in [*kills, *full])
    # A stage that finds room in what the store has already goes through, with nothing to tell.
    return 0 if good and all(row["one_line"] if row["code"] in (1, 2) else not row["line"] for row in full) else 1


if __name__ == "__main__":
    sys.exit(main())
