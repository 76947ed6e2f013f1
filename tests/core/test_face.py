"""The live table at several moments, and lines in its place where there is no terminal."""

from __future__ import annotations

import io
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console

from core.progress.device_usage import DeviceMonitor, DeviceUsage
from core.progress.event_log import EventLog
from core.progress.progress import Progress, Stage
from core.progress.time_left import Part, Place, TimeLeft
from core.results import Problem


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def recorded(width: int = 80, terminal: bool = True, **more: object) -> tuple[Progress, Clock, io.StringIO]:
    """A run's progress whose console writes into a string."""
    text, clock = io.StringIO(), Clock()
    console = Console(
        file=text, force_terminal=terminal, width=width, height=40, soft_wrap=True, markup=False, emoji=False,
        highlight=False, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return Progress(console, console, clock), clock, text


def shown(progress: Progress, width: int) -> list[str]:
    """The table as it would stand in a terminal without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(progress.table(), soft_wrap=True)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capture.get()).splitlines()
    return [re.sub(r"[\s│]+", " ", line.strip("│ ")) for line in lines if line.startswith("│")]


PARTS = [Part("pets", 100, ("pets-kind", "pets-hand")), Part("birds", 300, ("birds-kind",))]


@pytest.mark.parametrize("width", [80, 120])
def test_table_tells_where_a_run_is_at_every_moment(width: int) -> None:
    progress, clock, _ = recorded(width)
    assert shown(progress, width)[0] == "stage beginning"
    progress.plan(["one", "two"], PARTS, ("extract", "score", "ablate"))
    progress.bad_files([Problem("a.wav", "empty"), Problem("b.csv", "lacks a row", left_out=False)], ["a"], "list.csv")
    with progress.at(model="one"), progress.at(dataset="pets"):
        with progress.stage("extract", 100) as update:
            assert "left not known yet" in shown(progress, width)
            for clock.now, done in ((10.0, 20), (12.0, 40), (14.0, 60)):
                update(done)
            told = shown(progress, width)
            assert told[:2] == ["model one (1 of 2)", "dataset pets (1 of 2)"]
            assert told[2] == "stage extract"
            assert told[3].startswith("done 60 of 100 clips ━")
            assert told[4:6] == ["speed 10 clips/s", "left 0:00:04"]
            assert told[6].startswith("device cpu")
            assert told[7:] == ["bad files 1", "whole run 0:00:14 so far, at least 0:00:04 left"]
            update(100)
            clock.now = 18.0
        assert shown(progress, width)[2] == "stage after extract"
        with progress.stage("traces", 100) as update:
            update(0)
            clock.now += 10
            update(50)
            # 10 s of this, then birds: 300 clips at 18 s for 80, and tasks of a speed that is not known
            assert shown(progress, width)[-1] == "whole run 0:00:28 so far, at least 0:01:18 left"
            update(100)
            clock.now += 10
        with progress.at(task="pets-kind"), progress.stage("score", 10, "steps") as update:
            assert shown(progress, width)[2] == "task pets-kind (1 of 3)"
            update(0)


def told_by(progress: Progress, clock: Clock, model: str, seconds: float, done: int) -> list[str]:
    """The table while a second thread is at another model's stage."""
    with progress.at(model=model), progress.at(dataset="birds"), progress.stage("extract", 300) as update:
        update(0)
        clock.now += seconds
        update(done)
        return shown(progress, 120)


def test_models_at_once_have_a_column_each_and_lines_with_their_names() -> None:
    progress, clock, text = recorded(120)
    progress.plan(["one", "second"], PARTS, ("extract",), at_once=2)
    with progress.at(model="one"), progress.at(dataset="pets"), progress.stage("traces", 100) as update:
        update(0)
        clock.now = 10.0
        update(50)
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(told_by, progress, clock, "second", 10.0, 100).result()
        assert told[:3] == ["model one (1 of 2) second (2 of 2)", "dataset pets (1 of 2) birds (2 of 2)",
                            "stage traces extract"]  # fmt: skip
        assert told[3] == "done 50 of 100 clips 100 of 300 clips"
        assert told[4:6] == ["speed 2.5 clips/s 10 clips/s", "left 0:00:20 0:00:20"]
        assert told[-1] == "whole run 0:00:20 so far, at least 0:00:20 left"
        assert shown(progress, 120)[0] == "model one (1 of 2)", "the other is done"
        clock.now = 30.0
        update(100)
    assert text.getvalue().splitlines()[-2:] == [
        "second  birds · extract: 100 clips in 10.0 s, 10 clips/s",
        "one     pets · traces: 100 clips in 30.0 s, 3 clips/s",
    ]


def test_a_run_that_is_stopped_ends_at_its_next_step() -> None:
    progress, _, _ = recorded()
    with pytest.raises(KeyboardInterrupt), progress.stage("extract", 300) as update:
        update(1)
        progress.stop()
        update(2)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    progress, clock, _ = recorded(width)
    with (
        progress.at(model="\x1b[2Jm" * 90),
        progress.at(dataset="d [red]x[/red] é" * 9),
        progress.stage("ablate " * 20, 10**9) as update,
    ):
        update(0)
        clock.now = 1e6
        update(12345)
        console = Console(file=io.StringIO(), width=width, color_system=None, soft_wrap=True)
        with console.capture() as capture:
            console.print(progress.table())
        assert max(map(len, capture.get().splitlines())) <= width
        assert "\x1b[2J" not in capture.get()
        if width >= 60:
            assert "[red]" in capture.get()


def test_a_standstill_lowers_the_speed_and_a_faster_minute_raises_it() -> None:
    stage = Stage("extract", 1000, "clips", 0.0)
    assert stage.rate(5.0) is None and stage.seconds_left(5.0) is None
    stage.reach(500, 0.0)  # what was there before
    assert stage.rate(1.0) is None
    stage.reach(510, 10.0)
    assert stage.rate(10.0) == 1.0
    assert stage.rate(20.0) == 0.5
    for second in range(11, 200):
        stage.reach(510 + 2 * (second - 10), float(second))
    assert stage.rate(199.0) == pytest.approx(2.0)
    assert stage.seconds_left(199.0) == pytest.approx((1000 - 888) / 2)
    assert len(stage.marks) < 130


def test_time_left_is_told_whole_only_where_all_of_it_was_measured() -> None:
    run = TimeLeft(["one", "two"], PARTS)
    at = Place("two", "pets")
    assert run.seconds_left(Place(), "files", 3.0) is None
    assert run.seconds_left(at) is None
    assert run.seconds_left(at, "extract", 10.0) == (10.0, False)
    run.passed("two", "extract", 0.5)
    assert run.seconds_left(at, "extract", 10.0) == (10.0 + 300 * 0.5, False)  # no task was measured
    run.did_task("two", 20.0)
    run.did_task("two", 40.0)
    assert run.seconds_left(at, "extract", 10.0) == (160.0 + 3 * 30.0, True)
    assert run.seconds_left(Place("two", "pets", "pets-kind"), "score", 1.0) == (1.0 + 150.0 + 2 * 30.0, False)
    assert run.seconds_left(Place("one", "pets"), "extract", 10.0) == (10.0, False)  # another model's speed
    last = Place("two", "birds", "birds-kind")
    assert run.seconds_left(last, "score", 1.0) == (1.0, False)  # the ablation after it is not known
    only = TimeLeft(["one"], PARTS, tasks=False)
    assert only.seconds_left(Place("one", "birds"), "extract", 5.0) == (5.0, True)


def test_without_a_terminal_a_line_a_finished_stage_and_nothing_else() -> None:
    progress, clock, text = recorded(terminal=False)
    with progress.live(), progress.at(dataset="pets"), progress.stage("files", 4) as update:
        update(1)
        clock.now = 2.0
        update(4)
    assert text.getvalue() == "  pets · files: 4 clips in 2.0 s, 2 clips/s\n"


def test_a_stage_that_fails_is_not_told_as_finished() -> None:
    progress, _, text = recorded()
    with pytest.raises(ArithmeticError), progress.live(), progress.at(task="pets-kind"), progress.stage("score", 4):
        raise ArithmeticError
    assert "score:" not in text.getvalue()
    assert "\x1b[?25h" in text.getvalue()  # the cursor is back
    assert progress.place == Place()


def test_silence_is_complete(tmp_path: Path) -> None:
    progress, _, text = recorded()
    progress.log_to(str(tmp_path / "log.jsonl"))
    progress.silence()
    progress.log_to(str(tmp_path / "other.jsonl"))
    with progress.live(), progress.at(dataset="pets"), progress.stage("files", 4) as update:
        update(4)
        progress.note("a")
        progress.warn("b")
        progress.fail("c")
        progress.error("d")
    progress.summarise(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), tmp_path)
    assert progress.finish(1) == 1
    assert text.getvalue() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_no_color_leaves_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    progress, _, text = recorded()
    with progress.live(), progress.at(dataset="pets"), progress.stage("files", 4) as update:
        update(4)
        progress.warn("careful")
    assert "careful" in text.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m|\x1b\[[0-9;]*38;", text.getvalue())


def test_summary_fits_a_hundred_columns_and_shows_names_as_they_are() -> None:
    progress, _, text = recorded(80, terminal=False)
    studied = pd.DataFrame({"what": ["settings"], "told": ["seed 0, " * 60]})
    row = [
        "pets-[red]kind[/red]" * 3,
        "a-long-name-of-a-model",
        "90 (87, 93)",
        "17",
        "100",
        "10 (0, 30)",
        "−11 (−13, −10)",
    ]
    progress.summarise(studied, pd.DataFrame([row], columns=list("abcdefg")), Path("x.md"))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert any("90 (87, 93)" in line and "−11 (−13, −10)" in line for line in lines)
    assert "[red]" in text.getvalue()
    progress.summarise(studied, pd.DataFrame({"a": range(100)}), Path("x.md"))
    assert "\n59\nand 40 more\n" in re.sub(" +\n", "\n", text.getvalue())


def test_monitor_knows_this_process() -> None:
    clock = Clock()
    started, now = time.process_time(), time.monotonic()
    monitor = DeviceMonitor("cpu", clock)
    while time.process_time() - started < 0.2:
        pass
    clock.now = 1.0
    usage = monitor.read()
    busy = 100 * (time.process_time() - started) / (time.monotonic() - now)
    assert usage.utilisation_percent == pytest.approx(busy, rel=0.25)  # the system counts in steps of 10 ms
    assert usage.memory_bytes is not None and usage.memory_bytes > 10e6
    assert usage.memory_total_bytes is not None and usage.memory_bytes < usage.memory_total_bytes
    assert re.fullmatch(r"cpu, [\d.]+ of [\d.]+ GB, \d+ % of \d+ cores", str(usage))
    clock.now = 1.5
    assert monitor.read() is usage  # less than a second later
    assert time.monotonic() - now < 30


def test_gpu_tells_its_memory_and_how_busy_it_is_where_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(100e9), int(140e9)))
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert str(DeviceMonitor("cuda:0", Clock()).read()) == "cuda:0, 40.0 of 140.0 GB"
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 87)
    assert str(DeviceMonitor("cuda:0", Clock()).read()) == "cuda:0, 40.0 of 140.0 GB, 87 % busy"


def test_device_that_tells_nothing_is_named() -> None:
    assert str(DeviceUsage("mps")) == "mps"
    monitor = DeviceMonitor("cuda:7", Clock())
    assert monitor.read().device == "cuda:7"  # no such device: no error either


def test_a_torn_last_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"event": "prog')
    log = EventLog(str(path))
    log.write("note", message="\udcff é\n")
    log.close()
    torn, line = path.read_text().splitlines()
    assert torn == '{"event": "prog'
    assert '"message": "\\udcff \\u00e9\\n"' in line
