"""The whole study stage by stage: by the clock, of processor, memory, and how soon the first task is there.

    python benchmarks/study.py                                  # the demo, three times
    python benchmarks/study.py --before ../older --repeats 3    # another checkout in turns with this one
    python benchmarks/study.py -- --tasks demo-digits-digit --model nano-ssl

Each turn is ``run_analysis.py`` of a checkout into a store of its own, by this environment's Python. Twice a second the
command's processes are looked at: what they have used of the processor since is of the stages that are at work then,
in equal parts where models run side by side; what lies before the first stage and after the last (libraries, sound
that is made, the summary) is told apart. Medians over turns; checkouts take turns, so that what else the machine does
meets all.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("extract", "score", "ablate")
AROUND = "before and after"
EVERY = 0.5
"""Seconds between two looks."""


@dataclass
class Turn:
    """What a run took.

    Attributes
    ----------
    wall : float
        Seconds by the clock.
    of_part : dict of str to float
        Seconds of each stage by the clock, summed over models.
    processor : dict of str to float
        Seconds of processor time of each stage, and of what lies around them.
    first_task : float
        Seconds until the store had a task that was scored; NaN if it never had.
    memory : int
        Largest sum of the processes' resident bytes.
    """

    wall: float = 0.0
    of_part: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    first_task: float = float("nan")
    memory: int = 0

    @property
    def busy(self) -> float:
        """Seconds of processor time a second."""
        return sum(self.processor.values()) / self.wall


def taken(command: psutil.Process) -> tuple[float, int]:
    """Seconds of processor time of the command and its processes, ended ones too, and bytes that they hold."""
    used, held = 0.0, 0
    for process in (command, *command.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system
            if process == command:
                used += times.children_user + times.children_system
            held += process.memory_info().rss
    return used, held


def asked(store: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a store; none while it has none."""
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.Error:
        return []


def run(checkout: Path, arguments: Sequence[str]) -> Turn:
    """One study by a checkout."""
    turn = Turn(processor=dict.fromkeys((*PARTS, AROUND), 0.0))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "atlas.db"
        command = [sys.executable, "run_analysis.py", "--db", str(store), *arguments]
        started, before = time.monotonic(), 0.0
        with (Path(folder) / "log.txt").open("w+") as log:
            process = subprocess.Popen(command, cwd=checkout, stdout=log, stderr=subprocess.STDOUT)
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                time.sleep(EVERY)
                with suppress(psutil.Error):
                    used, held = taken(watched)
                    parts = asked(store, "SELECT part FROM run_steps WHERE status = 'running'") or [(AROUND,)]
                    for (part,) in parts:
                        turn.processor[part] += max(used - before, 0.0) / len(parts)
                    before, turn.memory = max(used, before), max(turn.memory, held)
                if math.isnan(turn.first_task) and asked(store, "SELECT 1 FROM task_coverage LIMIT 1"):
                    turn.first_task = time.monotonic() - started
            turn.wall = time.monotonic() - started
            if process.returncode:
                log.seek(0)
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{log.read()[-2000:]}")
        sums = ", ".join(f"SUM(seconds_{part})" for part in PARTS)
        (row,) = asked(store, f"SELECT {sums} FROM runs")
        turn.of_part = {part: float(seconds or 0) for part, seconds in zip(PARTS, row, strict=True)}
    return turn


def table(turns: dict[str, list[Turn]]) -> str:
    """All checkouts beside each other, in Markdown."""

    def median(name: str, number: str, part: str = "") -> float:
        values = [getattr(turn, number) for turn in turns[name]]
        return statistics.median(value[part] for value in values) if part else statistics.median(values)

    lines = ["| | " + " | ".join(f"{name}: by the clock, s | of processor, s" for name in turns) + " |"]
    lines.append("| --- |" + " --- | --- |" * len(turns))
    for part in (*PARTS, AROUND):
        cells = []
        for name in turns:
            clock = f"{median(name, 'of_part', part):,.0f}" if part in PARTS else ""
            cells.append(f"{clock} | {median(name, 'processor', part):,.0f}")
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    whole = [f"{median(name, 'wall'):,.0f} | {median(name, 'wall') * median(name, 'busy'):,.0f}" for name in turns]
    lines.append("| **the whole** | " + " | ".join(whole) + " |")
    for words, number, unit in (
        ("processor time / clock", "busy", 1.0), ("first task scored after, s", "first_task", 1.0),
        ("memory at most, GB", "memory", 1e9),
    ):  # fmt: skip
        cells = [f"{median(name, number) / unit:,.2f} | " for name in turns]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout, run in turns with this one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("arguments", nargs="*", help="of run_analysis.py, after -- (--tasks all)")
    given = parser.parse_args()
    if given.before and not (given.before / "run_analysis.py").is_file():
        parser.error(f"--before {given.before}: no checkout of this project; expected a folder with run_analysis.py")
    checkouts = {"before": given.before, "after": ROOT} if given.before else {"this": ROOT}
    turns: dict[str, list[Turn]] = {name: [] for name in checkouts}
    for number in range(given.repeats):
        for name, checkout in checkouts.items():
            turn = run(checkout, given.arguments or ["--tasks", "all"])
            turns[name].append(turn)
            told = f"{turn.wall:,.0f} s by the clock, {turn.busy:.2f} cores busy"
            print(f"{name}, turn {number + 1}: {told}", file=sys.stderr, flush=True)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs; medians of {given.repeats}; stages summed over models.\n")
    print(table(turns))


if __name__ == "__main__":
    main()
