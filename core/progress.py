"""Progress of long work: a live bar in a terminal, one line a finished stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Update = Callable[[int], None]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="dim")


@contextmanager
def stage(console: Console, label: str, total: int, unit: str = "clips") -> Iterator[Update]:
    """Show one stage; yields a function to be called with how much is done so far."""
    started = time.monotonic()
    first: int | None = None
    last = 0
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(24), MofNCompleteColumn(), _Rate(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(label, total=total, unit=unit)

        def update(done: int) -> None:
            nonlocal first, last
            first, last = done if first is None else first, done
            bar.update(task, completed=done)

        yield update
    seconds = time.monotonic() - started
    n = last - (first or 0)
    rate = f", {n / seconds:,.0f} {unit}/s" if n and seconds > 0.05 else ""
    console.print(f"  {label}: {last:,} {unit} in {seconds:.1f} s{rate}", highlight=False)
