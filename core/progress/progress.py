"""What a run shows and writes of itself: lines, a live table in a terminal, and events for programs.

All that a run tells goes through one `Progress`. In a terminal its table stays below the lines; elsewhere
there is a line for each finished stage. With a log, every telling is an event too (`core.progress.event_log`).
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from textwrap import wrap
from threading import get_ident
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from core.progress.device_usage import DeviceMonitor
from core.progress.event_log import EventLog
from core.progress.time_left import PASSES, Part, Place, TimeLeft
from core.results import Problem

if TYPE_CHECKING:
    import pandas as pd

Update = Callable[[int], None]

LOG_EVERY = 5.0
"""Least seconds between two events of a stage's progress."""
HEARD_EVERY = 10.0
"""Least seconds between two times that who listens hears of a stage."""
Listener = Callable[..., None]
_WINDOW, _MARK_EVERY = 60.0, 0.5
"""Seconds over which a rate is taken, and between the marks it is taken from."""
_ROOM_FOR_BAR, _WIDTH, _ROWS = 70, 100, 60
"""Columns from which on a bar is shown; columns and rows that a table of the summary takes at most."""
_ROWS_OF_A_MODEL = ("model", "dataset", "task", "stage", "done", "speed", "left")
_READ_SO = (
    "In percent. Head: the linear head on test clips (95 % interval), beside chance. Covered: classes with neurons "
    "of their own, beside the same on shuffled labels (mean, 95 %). Own class: change of its logit on its own clips, "
    "less that on all others, without its neurons (mean over classes, 95 % interval), beside random sets; accuracy "
    "where it was not taken apart. Stand: classes for which it holds (q < 0.05, outside of all random sets)."
)
_NAMED = 100
"""Bad files of a dataset that an event names; a file lists all."""


@dataclass
class Stage:
    """A stage that runs: how much of it is done, and how fast it goes.

    rich estimates a rate too, but its stays as it was in a standstill, and is none where a step takes over a minute.
    """

    name: str
    total: int
    unit: str
    started: float
    done: int = 0
    first: int | None = None
    marks: deque[tuple[float, int]] = field(default_factory=deque)
    logged: float = 0.0
    heard: float = 0.0

    def reach(self, done: int, now: float) -> None:
        """So much is done now."""
        self.done = done
        if self.first is None:
            self.first = done
        if not self.marks or now - self.marks[-1][0] >= _MARK_EVERY:
            self.marks.append((now, done))
            while now - self.marks[0][0] > _WINDOW and len(self.marks) > 2:
                self.marks.popleft()

    def rate(self, now: float) -> float | None:
        """Units a second over the last minute, the present standstill included; None where nothing is known yet."""
        if not self.marks:
            return None
        since, done = self.marks[0]
        return (self.done - done) / (now - since) if self.done > done and now > since else None

    def seconds_left(self, now: float) -> float | None:
        rate = self.rate(now)
        return max(self.total - self.done, 0) / rate if rate else None


@dataclass
class Work:
    """What one thread of the run is at."""

    place: Place = field(default_factory=Place)
    stage: Stage | None = None
    last_stage: str = ""
    n_stages: int = 0


class Progress:
    """Everything a run tells, to people and to programs.

    Parameters
    ----------
    console : Console
        Where lines and the live table go; prints text as it is.
    errors : Console, optional
        Where errors go, if not there.
    clock : callable
        Seconds, steadily rising.
    """

    def __init__(
        self,
        console: Console,
        errors: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console, self.errors = console, errors or console
        self.time_left, self.bad = TimeLeft(), 0
        self.notes: list[str] = []
        self.failures: list[str] = []
        self._clock, self._started = clock, clock()
        self._device = DeviceMonitor("cpu", clock)
        self._log: EventLog | None = None
        self._works: dict[int, Work] = {}
        self._listeners: dict[str, Listener] = {}
        self._stopping = False
        self._hidden = ("", "")
        self._summary: dict[str, Any] = {}

    def silence(self) -> None:
        """Tell nothing any more: one of several processes speaks for all."""
        self.console.quiet = self.errors.quiet = True
        self._log = None

    @property
    def _work(self) -> Work:
        """What this thread is at."""
        return self._works.setdefault(get_ident(), Work())

    @property
    def place(self) -> Place:
        """Where this thread is."""
        return self._work.place

    def stop(self) -> None:
        """Every stage, of whatever thread, ends with `KeyboardInterrupt` when it next tells how far it is."""
        self._stopping = True

    # Lines

    def print(self, line: str = "", style: str | None = None) -> None:
        """A line for people; of several models that run at once, with the model's name."""
        models = self.time_left.models
        if self.time_left.at_once > 1 and self.place.model and line.strip():
            line = f"{self.place.model:<{max(map(len, models))}}  {line.strip()}"
        self.console.print(line, style=style)

    def note(self, line: str) -> None:
        """Something that is printed at the end, and an event now."""
        self.notes.append(line)
        self._log_event("note", message=line)

    def warn(self, line: str, indent: int = 0) -> None:
        """Something that may spoil a result, or be missed."""
        self.print(" " * indent + line, "yellow")
        self._log_event("warning", message=line)

    def fail(self, line: str) -> None:
        """A dataset or task failed; the others go on."""
        self.print(f"  failed: {line}", "red")
        self._fail(line)

    def error(self, line: str) -> None:
        """What ends the run, on stderr."""
        self.errors.print(f"error: {line}", style="red")
        self._fail(line)

    def bad_files(self, problems: Sequence[Problem], shown: Sequence[str], all_in: str) -> None:
        """Files of a dataset that are left out or lack something; ``all_in`` lists all, some are ``shown``."""
        for line in shown:
            self.print(f"    {line}", "yellow")
        self.bad += sum(problem.left_out for problem in problems)
        if problems:
            files = [{"path": p.path, "reason": p.reason, "left_out": p.left_out} for p in problems[:_NAMED]]
            self._log_event("bad_files", n_files=len(problems), files=files, all_in=all_in)

    def _fail(self, line: str) -> None:
        self.failures.append(line)
        self._log_event("failure", message=line)

    # The run

    def log_to(self, path: str, hidden: tuple[str, str] = ("", "")) -> None:
        """Write events to a file, or with ``-`` to standard output, and then lines to stderr.

        Parameters
        ----------
        path : str
        hidden : tuple of str
            A text that events must not hold, and what stands in its place.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        if self.console.quiet:
            return
        self._log, self._hidden = EventLog(path), hidden
        if path == "-":
            self.console.stderr = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """An error that nobody expected is the log's last word, too."""
        if self._log:
            if error:
                self._fail(f"{type(error).__name__}: {error}")
            self.finish(1)

    def begin(self, config: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        """The run begins, with these settings (without passwords) and versions."""
        self._log_event("run_started", config=config, versions=versions)

    def watch(self, device: str) -> None:
        """Tell how busy this device is."""
        self._device = DeviceMonitor(device, self._clock)

    def plan(self, models: Sequence[str], parts: Sequence[Part], stages: Sequence[str], at_once: int = 1) -> None:
        """What the run is to do, and how many models it takes side by side."""
        self.time_left = TimeLeft(models, parts, "extract" in stages, "score" in stages or "ablate" in stages, at_once)

    def listen(self, model: str, listener: Listener) -> None:
        """Let someone hear how far a model's stages are (`core.run.steps.Steps.tell`)."""
        self._listeners[model] = listener

    def finish(self, exit_code: int) -> int:
        """The run ends; the last event. Returns the exit code."""
        self._log_event(
            "run_finished", exit_code=exit_code, seconds=round(self._clock() - self._started, 3), notes=self.notes,
            failures=self.failures, bad_files=self.bad, **self._summary,
        )  # fmt: skip
        if self._log:
            self._log.close()
            self._log = None
        return exit_code

    def summarise(self, studied: pd.DataFrame, results: pd.DataFrame, path: Path) -> None:
        """Print what a run comes to: what was studied, and what was found; ``path`` holds the whole."""
        if not self.console.is_terminal:
            self.console.width = _WIDTH
        for frame, heads in ((studied, False), (results, True)):
            table = Table(show_header=heads, box=None, pad_edge=False, padding=(0, 1, 0, 0))
            for place, name in enumerate(frame):  # where there is room, only names are folded
                numbers = heads and place >= 2 and self.console.width >= _WIDTH
                table.add_column(str(name), overflow="fold", no_wrap=numbers)
            for row in frame.head(_ROWS).itertuples(index=False):
                table.add_row(*map(_cell, row))
            self.print()
            self.console.print(table, width=_WIDTH, no_wrap=False)
            if len(frame) > _ROWS:
                self.print(f"and {len(frame) - _ROWS:,} more")
        for line in wrap(_READ_SO, _WIDTH) if len(results) else ["no task of clips is scored yet by neurons"]:
            self.print(line, "dim")
        self.print(f"all of it, with settings and versions: {path}")
        self._summary = {"summary": str(path), "results": results.to_dict("records")}

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the table below all lines meanwhile, if this is a terminal; what others print goes above it, too."""
        if not self.console.is_terminal or self.console.quiet:
            yield
            return
        with Live(
            get_renderable=self.table, console=self.console, refresh_per_second=2, transient=True,
            redirect_stdout=sys.stdout.isatty(), redirect_stderr=sys.stderr.isatty(),
        ):  # fmt: skip
            yield

    @contextmanager
    def at(self, **place: str) -> Iterator[None]:
        """What is told meanwhile is of this ``model``, ``dataset`` or ``task``."""
        work = self._work
        before, work.place = work.place, replace(work.place, **place)
        started, stages = self._clock(), work.n_stages
        try:
            yield
            if place.get("task") and work.n_stages > stages:
                self.time_left.did_task(work.place.model, self._clock() - started)
        finally:
            work.place = before

    @contextmanager
    def stage(self, name: str, total: int, unit: str = "clips", *, is_told: bool = True) -> Iterator[Update]:
        """One stage, told in a line at its end; yields a function to be called with how much is done so far."""
        work = self._work
        label = f"{work.place.task or work.place.dataset} · {name}"
        started = self._clock()
        stage = work.stage = Stage(name, total, unit, started, logged=started, heard=started)
        self._log_event("stage_started", **self._stage_fields(stage))

        def update(done: int) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            now = self._clock()
            stage.reach(done, now)
            if self._log and now - stage.logged >= LOG_EVERY:
                stage.logged = now
                self._log_event("progress", **self._stage_fields(stage))
            listener = self._listeners.get(work.place.model)
            if listener and now - stage.heard >= HEARD_EVERY:
                stage.heard = now
                left = stage.seconds_left(now)
                listener(stage=name, n_done=done, n_total=total, unit=unit, stage_seconds_left=left)

        try:
            yield update
        finally:
            work.stage, work.last_stage, work.n_stages = None, name, work.n_stages + 1
        seconds, n = self._clock() - stage.started, stage.done - (stage.first or 0)
        if name in PASSES and n:
            self.time_left.passed(work.place.model, name, seconds / n)
        rate = f", {n / seconds:,.0f} {unit}/s" if n and seconds > 0.05 else ""
        if is_told:
            self.print(f"  {label}: {stage.done:,} {unit} in {seconds:.1f} s{rate}")
        ended = {"rate": round(n / seconds, 3) if n and seconds else None, "seconds_left": 0.0}
        self._log_event("stage_finished", **self._stage_fields(stage) | ended, seconds=round(seconds, 3))

    def _stage_fields(self, stage: Stage) -> dict[str, Any]:
        """How far a stage is, for an event."""
        now = self._clock()
        rate, left = stage.rate(now), stage.seconds_left(now)
        whole = self.time_left.seconds_left(self.place, stage.name, left)
        return {
            "stage": stage.name, "done": stage.done, "total": stage.total, "unit": stage.unit,
            "rate": rate and round(rate, 3), "seconds_left": left and round(left, 1),
            "run_seconds_left_at_least": whole and round(whole[0], 1), "bad_files": self.bad,
            **vars(self._device.read()),
        }  # fmt: skip

    def _log_event(self, event: str, **fields: Any) -> None:
        """Write an event. A log that fails ends, not the run."""
        if not self._log:
            return
        place = {kind: name or None for kind, name in vars(self.place).items()}
        try:
            self._log.write(event, **place, **{name: self._shown(value) for name, value in fields.items()})
        except OSError as error:
            self._log = None
            self.print(f"--log-json: {error.strerror or error}; no more events are written, the run goes on", "yellow")

    def _shown(self, value: Any) -> Any:
        """A value without what is to be hidden."""
        if isinstance(value, str):
            return value.replace(*self._hidden) if self._hidden[0] else value
        return [self._shown(one) for one in value] if isinstance(value, list) else value

    def table(self) -> RenderableType:
        """Where the run is, as the live table shows it; of several models at once, with a column for each."""
        now = self._clock()
        every = list(self._works.values())
        works = [work for work in every if work.place.model] or every[:1] or [Work()]
        table = Table(show_header=False, box=box.ROUNDED, border_style="dim", expand=True)
        table.add_column(style="dim", no_wrap=True)
        for _ in works:
            table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        with_bars = self.console.width >= _ROOM_FOR_BAR * len(works)
        columns = [self._rows(work, now, with_bars) for work in works]
        for name in _ROWS_OF_A_MODEL:
            if any(name in column for column in columns):
                table.add_row(name, *(column.get(name, Text()) for column in columns))
        table.add_row("device", Text(str(self._device.read())))
        table.add_row("bad files", Text(f"{self.bad:,}"))
        table.add_row("whole run", Text(f"{_duration(now - self._started)} so far{self._left(works, now)}"))
        return table

    def _rows(self, work: Work, now: float, with_bar: bool) -> dict[str, RenderableType]:
        """Name of a row to what it shows of a thread's work."""
        stage, place = work.stage, vars(work.place)
        numbers = self.time_left.numbered(work.place)
        rows: dict[str, RenderableType] = {}
        for kind in ("model", "dataset", "task"):
            of = " ({} of {})".format(*numbers[kind]) if kind in numbers else ""
            if place[kind]:
                rows[kind] = _cell(f"{place[kind]}{of}")
        if not stage:
            return rows | {"stage": _cell(f"after {work.last_stage}" if work.last_stage else "beginning")}
        count = Text(f"{stage.done:,} of {stage.total:,} {stage.unit}")
        done = Table.grid(padding=(0, 1))
        done.add_row(count, ProgressBar(stage.total, stage.done, width=24))
        return rows | {
            "stage": _cell(stage.name),
            "done": done if with_bar else count,
            "speed": Text(_speed(stage.rate(now), stage.unit)),
            "left": Text(_duration(stage.seconds_left(now))),
        }

    def _left(self, works: Sequence[Work], now: float) -> str:
        """How long the run takes yet, in words: as long as the slowest of what runs."""
        left = [
            self.time_left.seconds_left(
                work.place, work.stage.name if work.stage else "", work.stage.seconds_left(now) if work.stage else None
            )
            for work in works
        ]
        known = [each for each in left if each]
        if not known:
            return ""
        is_all = len(known) == len(left) and all(whole for _, whole in known)
        return f", {'about' if is_all else 'at least'} {_duration(max(seconds for seconds, _ in known))} left"


def _cell(value: object) -> Text:
    """A value in a table: names hold any character, and a terminal would obey some."""
    return Text("".join(c if c.isprintable() else "�" for c in str(value)))


def _speed(rate: float | None, unit: str) -> str:
    if rate is None:
        return "not known yet"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def _duration(seconds: float | None) -> str:
    return "not known yet" if seconds is None else str(timedelta(seconds=round(seconds)))
