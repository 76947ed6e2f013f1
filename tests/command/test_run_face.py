"""Whole runs: their log as JSON lines, their summary, their table in a terminal."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.progress import progress as faces
from core.progress.event_log import EVENTS
from dashboard.report.terminal import in_short
from dashboard.report.write import write_summary
from db.connection.open import open_store
from tests.command.test_interruption import ROOT, interrupt_at_batch, run_until
from tests.support.screen import Screen
from tests.support.small_study import make_dataset, query, run, small_network
from tests.support.warm import Started

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")

EVERY = {"event", "time", "run", "model", "dataset", "task"}
STAGE = {
    *("stage", "done", "total", "unit", "rate", "seconds_left", "run_seconds_left_at_least", "bad_files"),
    *("device", "memory_bytes", "memory_total_bytes", "utilisation_percent"),
}
FIELDS = {
    "run_started": {"config", "versions"},
    "stage_started": STAGE,
    "progress": STAGE,
    "stage_finished": STAGE | {"seconds"},
    "note": {"message"},
    "warning": {"message"},
    "failure": {"message"},
    "bad_files": {"n_files", "files", "all_in"},
    "run_finished": {"exit_code", "seconds", "notes", "failures", "bad_files"},
}
SUMMARY = {"summary", "results"}


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 clips that can be read, and one that cannot."""
    folder = make_dataset(tmp_path_factory.mktemp("data") / "pets")
    (folder / "bad.wav").write_bytes(b"")
    with (folder / "manifest.csv").open("a", newline="") as file:
        file.write("bad.wav,train,low,left\r\n")
    return folder


@pytest.fixture(scope="module")
def studied(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store, log and summary of one run."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "LOG_EVERY", 0.0)
        assert run("--data-dir", pets, "--db", folder / "atlas.db", "--log-json", folder / "run.jsonl") == 0
    return folder


def events(path: Path) -> list[dict[str, Any]]:
    """Every event of a log; each has the fields that are documented, and no others."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for event in found:
        expected = EVERY | FIELDS[event["event"]]
        assert expected <= set(event) <= expected | (SUMMARY if event["event"] == "run_finished" else set())
    return found


def test_every_event_is_documented() -> None:
    assert set(FIELDS) == set(EVENTS)
    told = (ROOT / "docs" / "running.md").read_text()
    for name in {*EVENTS, *EVERY, *SUMMARY, *(field for fields in FIELDS.values() for field in fields)}:
        assert f"`{name}`" in told, name


def test_log_of_a_run_tells_what_happened_in_order(studied: Path) -> None:
    found = events(studied / "run.jsonl")
    assert [found[0]["event"], found[-1]["event"]] == ["run_started", "run_finished"]
    assert len({event["run"] for event in found}) == 1
    assert [event["time"] for event in found] == sorted(event["time"] for event in found)
    stages = [(e["model"], e["task"] or e["dataset"], e["stage"], e["total"]) for e in found
              if e["event"] == "stage_finished"]  # fmt: skip
    assert stages[:3] == [
        (None, "pets", "files", 25),
        ("nano-ssl", "pets", "extract", 24),
        ("nano-ssl", "pets-kind", "score", stages[2][3]),
    ]
    assert ("nano-ssl", "pets-kind", "ablate top 1% at gain 0") in [stage[:3] for stage in stages]
    begun = [(e["model"], e["task"] or e["dataset"], e["stage"], e["total"]) for e in found
             if e["event"] == "stage_started"]  # fmt: skip
    assert begun == stages
    extracted = [e["done"] for e in found if e["stage" if "stage" in e else "event"] == "extract"]
    assert extracted == [0, 0, 8, 16, 24, 24]
    (bad,) = [event for event in found if event["event"] == "bad_files"]
    assert bad["files"] == [{"path": "bad.wav", "reason": "file is empty (0 bytes)", "left_out": True}]
    assert Path(bad["all_in"]).is_file()
    warned = [event["message"] for event in found if event["event"] == "warning"]
    assert "fewer than 10 selection clips: high (5), low (5), noise (5)" in warned
    notes = json.loads(query(studied / "atlas.db", "SELECT notes_json FROM runs")[0][0])
    assert [event["message"] for event in found if event["event"] == "note"] == notes
    end = found[-1]
    assert (end["exit_code"], end["failures"], end["bad_files"], end["notes"]) == (0, [], 1, notes)
    assert {e["device"] for e in found if "device" in e} == {"cpu"}
    assert all(e["memory_bytes"] > 10e6 for e in found if "memory_bytes" in e)


def test_log_says_how_results_came_about_and_changes_none(studied: Path) -> None:
    first = events(studied / "run.jsonl")[0]
    assert first["config"]["shuffles"] == 3 and first["config"]["seed"] == 0
    assert {"python", "torch"} <= set(first["versions"])
    stored = json.loads(query(studied / "atlas.db", "SELECT config_json FROM runs")[0][0])
    assert {**first["config"], "model": "nano-ssl"} == stored  # where the log goes is not of the settings


def test_log_can_be_read_as_a_table(studied: Path) -> None:
    log = pd.read_json(studied / "run.jsonl", lines=True)
    seconds = log[log["event"] == "stage_finished"].groupby("stage")["seconds"].sum()
    assert seconds["extract"] > 0


def test_summary_holds_the_stores_numbers(studied: Path) -> None:
    text = (studied / "atlas.files" / "summary.md").read_text()
    db = studied / "atlas.db"
    weights = query(db, "SELECT weights_key FROM model")[0][0]
    assert f"| {weights[:12]} |" in text
    for task, accuracy, chance in query(
        db, "SELECT task, accuracy, chance FROM probe_accuracy WHERE split = 'test' AND class_name IS NULL"
    ):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {task} | nano-ssl | accuracy |")]
        assert f"| {accuracy * 100:.0f} % |" in row and row.split(" | ")[-2] == f"{chance * 100:.0f} %"
    columns = "task, preset, n_classes_covered, n_classes, n_class_specific, null_coverage_low, null_coverage_high"
    for task, preset, covered, n, neurons, low, high in query(db, f"SELECT {columns} FROM task_coverage"):
        of_preset = text.partition(f"Coverage by {preset}. ")[2].partition("\n#")[0]
        (row,) = [line for line in of_preset.splitlines() if line.startswith(f"| {task} | nano-ssl |")]
        assert f"| {covered} of {n} |" in row and f"| {neurons:,} |" in row
        assert f"| {low * 100:.0f} % to {high * 100:.0f} % |" in row
    own = query(db, "SELECT task, target, n_neurons, n_clips FROM ablation_effects WHERE affected_class = target")
    assert len(own) == 3
    for task, target, n_neurons, n_clips in own:
        assert f"| {task} | nano-ssl | {target} | top 1%, silenced | {n_neurons} | {n_clips} |" in text
    for told in ("bad.wav", "train 12, valid 3, test 9", "shuffles: 3", "q\\_max 0.05", "fewer than 10 selection clips",
                 "pets-hand | ablation", "torch"):  # fmt: skip
        assert told in text, told
    assert "nan" not in text.replace("nano", "").lower()


def test_summary_in_short_is_of_what_was_asked_for(studied: Path) -> None:
    engine = open_store(studied / "atlas.db", read_only=True)
    told, found = in_short(engine, ["nano-ssl"], ["pets-kind"])
    engine.dispose()
    assert found["Task"].tolist() == ["pets-kind"]
    accuracy, n_pairs = query(
        studied / "atlas.db", "SELECT accuracy, coverage FROM probe_accuracy JOIN task_coverage USING (task) WHERE "
        "split = 'test' AND class_name IS NULL AND task = 'pets-kind' AND preset = 'calibrated'",
    )[0]  # fmt: skip
    row = found.iloc[0]
    assert row["Head"].startswith(f"{100 * accuracy:.0f} (") and row["Covered"] == f"{100 * n_pairs:.0f}"
    assert row["Significant"].endswith(" of 3")
    assert set(told["what"]) == {"model", "dataset", "settings", "versions", "time", "missing"}


def test_same_run_again_prints_the_summary_too(pets: Path, studied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, path = studied / "again.jsonl", studied / "atlas.files" / "summary.md"
    before = path.read_text()
    path.unlink()
    capsys.readouterr()
    assert run("--data-dir", pets, "--db", studied / "atlas.db", "--log-json", log) == 0
    out = capsys.readouterr().out
    assert path.read_text() == before
    assert f"all of it, with settings and versions: {path}" in out and "nothing was changed" in out
    assert max(len(line) for line in out.splitlines() if line.startswith(("pets-", "Task"))) <= 100
    told = [event["event"] for event in events(log) if event["event"] != "progress"]
    assert told == ["run_started", "stage_started", "stage_finished", "bad_files", "run_finished"]


def test_standard_output_takes_events_alone(pets: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ("--data-dir", pets, "--stages", "extract", "--db", tmp_path / "atlas.db")
    assert run(*arguments, "--log-json") == 0
    told = capfd.readouterr()
    found = [json.loads(line) for line in told.out.splitlines()]
    assert found[-1]["event"] == "run_finished"
    assert "pets · extract: 24 clips" in told.err and "no task of clips is scored yet" in told.err


@pytest.mark.parametrize("case", ["no folder", "a folder", "empty"])
def test_log_that_cannot_be_written_is_told_before_anything(
    case: str, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = {"no folder": tmp_path / "no" / "run.jsonl", "a folder": tmp_path, "empty": ""}[case]
    assert run("--data-dir", pets, "--db", tmp_path / "atlas.db", "--log-json", log) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert told.err.startswith("error: --log-json")
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_ends_the_log_and_shows_no_password(pets: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    assert run("--data-dir", pets, "--db", "nonsense://me:secret@host/atlas", "--log-json", log) == 2
    assert "secret" not in log.read_text()
    found = events(log)
    assert [event["event"] for event in found] == ["run_started", "failure", "run_finished"]
    assert found[0]["config"]["db"] == "nonsense://me:***@host/atlas"
    assert found[1]["message"].startswith("nonsense://: not a database URL")
    assert found[2]["exit_code"] == 2 and found[2]["failures"] == [found[1]["message"]]


def test_ctrl_c_leaves_a_whole_log(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ("--data-dir", pets, "--db", tmp_path / "atlas.db", "--stages", "extract", "--log-json", log)
    interrupt_at_batch(2, monkeypatch)
    assert run(*arguments) == 130
    monkeypatch.undo()
    assert run(*arguments) == 0
    found = events(log)
    first = [event for event in found if event["run"] == found[0]["run"]]
    assert first[-1]["event"] == "run_finished" and first[-1]["exit_code"] == 130
    assert "extract" not in [event["stage"] for event in first if event["event"] == "stage_finished"]
    assert found[-1]["exit_code"] == 0
    assert [e["done"] for e in found if e["event"] == "stage_finished" and e["stage"] == "extract"] == [24]


def test_error_that_nobody_expected_ends_the_log(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "run.jsonl"

    def broken(*_: object) -> None:
        raise LookupError("a fault")

    monkeypatch.setattr("core.run.inputs.scan_dataset", broken)
    with pytest.raises(LookupError):
        run("--data-dir", pets, "--db", tmp_path / "atlas.db", "--log-json", log)
    assert [e["event"] for e in events(log)] == ["run_started", "failure", "run_finished"]
    assert events(log)[-1]["failures"] == ["LookupError: a fault"] and events(log)[-1]["exit_code"] == 1


def test_killed_run_loses_no_line(pets: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ("--data-dir", pets, "--db", tmp_path / "atlas.db", "--log-json", log)
    with Started(run_until, signal.SIGKILL, *arguments, *small_network()) as killed:
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert [e["stage"] for e in events(log) if e["event"] == "stage_started"] == ["files", "extract"]
    assert log.read_text().endswith("\n")


def test_full_disk_ends_the_log_and_not_the_run(pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    arguments = ("--data-dir", pets, "--db", tmp_path / "atlas.db", "--stages", "extract")
    assert run(*arguments, "--log-json", "/dev/full") == 0
    out = capsys.readouterr().out
    assert out.startswith("--log-json: No space left on device; no more events are written, the run goes on\n")
    assert "pets · extract: 24 clips" in out


def test_table_in_a_terminal_spoils_no_line_and_leaves_nothing(pets: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    arguments = ("--data-dir", pets, "--db", tmp_path / "atlas.db", "--stages", "extract", *small_network())
    environment = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "NO_COLOR": None, "CI": None}
    with Started(run_until, signal.SIGINT, *arguments, environment=environment, terminal=os.ttyname(other)) as process:
        output = os.read(main, 65536)
        os.close(other)  # the process has opened it
        try:
            while part := os.read(main, 65536):
                output += part
        except OSError:  # the other end is closed
            pass
        process.wait(60)
    assert process.returncode == 130
    os.close(main)
    text = output.decode()
    assert "whole run" in text and "bad files" in text  # the table was there
    screen = Screen(text, 80)
    lines = [line for line in screen.lines if line]
    assert lines[-1] == "stopped; what is finished is kept, the same command goes on from here"
    assert [line for line in lines if "│" in line or "╭" in line] == []
    assert any(line.startswith("  pets · files: 25 clips in ") for line in lines)
    assert "    pets: 24 clips, 0.0049 hours; train 12, valid 3, test 9" in lines
    assert screen.cursor_shown


def test_summary_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # writing, Python names no file

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*summary\.md'"):
        write_summary(open_store(":memory:"), tmp_path / "atlas.files" / "summary.md", "atlas.db")
    assert list((tmp_path / "atlas.files").iterdir()) == []
