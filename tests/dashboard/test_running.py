"""A run that is at work, on the page: what it is at, when it comes to what, and what has come since."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.results import RunStep
from dashboard.shared.text import running
from db.connection.open import Writer, exclusive_run, open_store, writer
from db.reads.steps import COLUMNS, last_steps
from db.writes.store import Store
from tests.support.pages import said, show

NOW = pd.Timestamp("2026-11-30T12:00:00Z")
MODEL, TASK = "nano-ssl", "rooms-event"


def step(part: str, status: str, **more: Any) -> dict[str, Any]:
    what = {"run_id": 1, "run_status": "running", "model": "m", "dataset": "pets", "task": "pets-kind"}
    return {**dict.fromkeys(COLUMNS), **what, "part": part, "status": status, **more}


def at(clock: str) -> str:
    return f"2026-11-30T{clock}+00:00"


def run(**model: Any) -> pd.DataFrame:
    """A minute for a recording, two for a scoring; half a minute into the second scoring."""
    return pd.DataFrame(
        [
            step("extract", "done", task=None, started_at=at("11:56:30"), finished_at=at("11:57:30"), **model),
            step("score", "done", started_at=at("11:57:30"), finished_at=at("11:59:30"), **model),
            step("score", "running", task="pets-age", started_at=at("11:59:30"), told_at=at("11:59:50"),
                 stage="score", n_done=50, n_total=206, unit="steps", stage_seconds_left=20.0, **model),
            step("extract", "to come", dataset="birds", task=None, **model),
            step("score", "to come", dataset="birds", task="birds-kind", **model),
        ],
        columns=COLUMNS,
    )  # fmt: skip


def test_time_left_is_that_of_steps_of_the_same_kind() -> None:
    steps = run()
    assert running.seconds_until(steps, NOW) == 90 + 60 + 120
    assert running.seconds_until(steps.iloc[:4], NOW) == 90 + 60
    steps.loc[2, "stage_seconds_left"] = 300.0  # the stage itself knows better
    assert running.seconds_until(steps.iloc[:3], NOW) == 300
    assert running.seconds_until(pd.concat([steps, pd.DataFrame([step("ablate", "to come")])]), NOW) is None
    beside = pd.concat([run(), run(model="n").iloc[:3]])
    assert running.seconds_until(beside, NOW) == 270, "models run side by side"


def test_headline() -> None:
    assert running.headline(run(), NOW) == (
        r"m: pets\-age is being scored (score, 50 of 206 steps) · 2 of 5 steps done · about 4 min left"
    )
    later = NOW + pd.Timedelta(minutes=20)
    assert "no word from it for about 20 min; 2 of 5 steps were done" in running.stopped(run(), later, None)
    assert "seems to have been stopped" in running.stopped(run(), later, None), "its process is on another machine"
    assert "The run of m was stopped" in running.stopped(run(), NOW, False), "its process is gone"
    assert not running.stopped(run(), later, True) and not running.stopped(run(), NOW, None)
    assert running.partial(run()).startswith(r"Partial: still to come ")
    assert running.share_done(run()) == 0.4


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"model": "m", "tasks": ["pets-age"], "parts": ["score"]},
            "A run is at work on this now: it is here in about 2 min.",
        ),
        (
            {"model": None, "tasks": ["birds-kind"], "parts": ["score"]},
            "A run comes to this after 2 other steps: it is here in about 4 min.",
        ),
        ({"model": "m", "tasks": ["pets-kind"], "parts": ["score"]}, ""),  # there already
        ({"model": "m", "tasks": ["birds-kind"], "parts": ["ablate"]}, ""),
        ({"model": "other", "tasks": [], "parts": ["score"]}, ""),
    ],
)
def test_empty_places_say_when_they_fill(asked: Any, told: str) -> None:
    assert running.coming(run(), NOW, **asked) == told
    assert running.coming(run(run_status="stopped"), NOW, **asked) == ""


def test_a_store_that_tells_nonsense_of_a_run_shows_less_and_ends_no_page() -> None:
    odd = run()
    odd.loc[:, ["started_at", "finished_at", "told_at"]] = "soon"
    odd.loc[2, ["part", "n_done", "task"]] = ["<b>", None, "x" * 100_000]
    assert running.headline(odd, NOW) == f"m: {'x' * 100} is at work · 2 of 5 steps done"
    assert running.coming(odd, NOW, "m", ["birds-kind"], ["score"]) == "A run comes to this after 2 other steps."


def test_what_is_new() -> None:
    before = running.done(run())
    later = run()
    later.loc[2:, "status"] = "done"
    assert running.new(before, running.done(later)) == "2 new tasks"
    assert running.new(before, running.done(later.iloc[:4])) == "1 new task"
    assert running.new(before, before) == ""


@pytest.mark.parametrize(("seconds", "told"), [(20, "less than a minute"), (200, "about 3 min"), (9_000, "about 2 h")])
def test_times_are_rough(seconds: float, told: str) -> None:
    assert running.about(seconds) == told


def test_the_store_keeps_steps_beside_results_whose_stamp_stays(tmp_path: Path) -> None:
    store = Store(open_store(tmp_path / "atlas.db"))
    steps = [RunStep("pets", None, "extract", "done"), RunStep("pets", "pets-kind", "score", "running")]
    run_id = store.start_run("m", {}, 0, "1", {}, "cpu")
    store.plan_steps(run_id, steps)
    stamps = lambda: store.engine.connect().exec_driver_sql("SELECT written FROM store_stamp").scalar()  # noqa: E731
    before = stamps()
    store.tell_step(run_id, 1, stage="score", n_done=1, n_total=2, unit="steps", stage_seconds_left=None)
    store.tell_step(run_id, 1, "done")
    assert stamps() == before
    kept = last_steps(store.engine)
    assert list(kept["status"]) == ["done", "done"] and list(kept["n_done"].fillna(0)) == [0, 1]
    assert kept["started_at"].notna().tolist() == [False, True]
    store.finish_run(run_id, "stopped", {})
    assert running.at_work(last_steps(store.engine)).empty


def test_steps_of_a_killed_run_are_not_running(tmp_path: Path) -> None:
    store = Store(open_store(tmp_path / "atlas.db"))
    run_id = store.start_run("m", {}, 0, "1", {}, "cpu")
    store.plan_steps(run_id, [RunStep("pets", None, "extract", "running")])
    store.finish_run(run_id, "stopped", {})
    assert list(last_steps(store.engine)["status"]) == ["stopped"]


@pytest.fixture
def at_work(synthetic_store: Path, tmp_path: Path) -> tuple[Path, Store, int]:
    """The made-up study, of which a run scores one more task and is to ablate it."""
    path = Path(shutil.copy(synthetic_store, tmp_path / "atlas.db"))
    store = Store(open_store(path))
    steps = [RunStep("rooms", None, "extract", "done"), RunStep("rooms", TASK, "score", "running")]
    run_id = store.start_run(MODEL, {}, 0, "1", {}, "cpu")
    store.plan_steps(run_id, [*steps, RunStep("rooms", TASK, "ablate")])
    return path, store, run_id


def tasks(app: AppTest) -> list[str]:
    return list(app.sidebar.selectbox(key="select_task").options)


def commands(app: AppTest) -> list[str]:
    return [code.value for code in app.code if "run_analysis.py" in code.value]


def test_a_page_shows_what_a_run_does_and_stays_until_its_reader_says_so(
    at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store, run_id = at_work
    app = show("ablation", path, monkeypatch, task=TASK)
    (bar,) = app.get("progress")
    assert "rooms\\-event is being scored · 1 of 3 steps done" in bar.proto.text
    before = tasks(app)
    with store._transaction() as connection:
        connection.exec_driver_sql("UPDATE task SET name = 'rooms-happening' WHERE name = 'rooms-event'")
    store.tell_step(run_id, 1, "done")
    app.run()
    assert tasks(app) == before and not app.exception, "what is looked at stays"
    (button,) = [button for button in app.button if "show" in button.label]
    assert button.label == "1 new task: show"
    button.click().run()
    assert "rooms-happening" in tasks(app) and not app.exception
    assert not [button for button in app.button if "show" in button.label]


def test_another_page_shows_what_has_come(at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch) -> None:
    path, store, run_id = at_work
    app = show("ablation", path, monkeypatch, task=TASK)
    with store._transaction() as connection:
        connection.exec_driver_sql("UPDATE task SET name = 'rooms-happening' WHERE name = 'rooms-event'")
    store.tell_step(run_id, 1, "done")
    app.switch_page("views/heatmap/heatmap.py").run()
    assert "rooms-happening" in tasks(app)


def test_a_run_that_has_ended_is_told_while_it_left_something_new(
    at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store, run_id = at_work
    app = show("coverage", path, monkeypatch)
    store.tell_step(run_id, 1, "done")
    store.tell_step(run_id, 2, "done")
    store.finish_run(run_id, "done", {})
    app.run()
    assert "The run has ended." in said(app)
    (button,) = [button for button in app.button if "show" in button.label]
    button.click().run()
    assert "The run has ended." not in said(app) and not app.get("progress")


def test_an_empty_page_says_when_it_fills(at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch) -> None:
    path, store, run_id = at_work
    with store._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM ablation")
    app = show("ablation", path, monkeypatch, task=TASK, model=MODEL)
    assert "A run comes to this after 1 other step" in said(app) and not commands(app)
    store.finish_run(run_id, "stopped", {})
    app = show("ablation", path, monkeypatch, task=TASK, model=MODEL)
    assert "A run comes to this" not in said(app) and "--stages ablate" in commands(app)[0]


def test_a_store_without_results_says_when_the_first_come(
    at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store, run_id = at_work
    with store._transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE model_task RENAME TO aside")
        connection.exec_driver_sql("CREATE TABLE model_task AS SELECT * FROM aside LIMIT 0")
    app = show("overview", path, monkeypatch)
    assert "A run is at work on this now" in said(app) and not commands(app)
    with store._transaction() as connection:
        connection.exec_driver_sql("DROP TABLE model_task")
        connection.exec_driver_sql("ALTER TABLE aside RENAME TO model_task")
    store.tell_step(run_id, 1, "done")
    app.run()
    assert "A run is at work on this now" not in said(app) and not app.exception, "shown unasked"


def test_a_killed_run_is_told_and_its_command_is_offered_again(
    at_work: tuple[Path, Store, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, store, _ = at_work
    with store._transaction() as connection:
        connection.exec_driver_sql("DELETE FROM ablation")
    ended = subprocess.Popen(["true"])
    ended.wait()
    noted = {"pid": ended.pid, "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    path.with_name(f"{path.name}.lock").write_text(json.dumps(noted))
    app = show("ablation", path, monkeypatch, task=TASK, model=MODEL)
    assert "was stopped" in app.warning[0].value and not app.get("progress")
    assert "--stages ablate" in commands(app)[0]


def test_a_run_is_told_from_its_first_second(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(empty_store, tmp_path / "atlas.db"))
    with exclusive_run(path):
        assert writer(path) == Writer(ANY, True)
        app = show("overview", path, monkeypatch)
        assert "A run has just begun" in said(app) and not commands(app)
    assert writer(path) is None
    app = show("overview", path, monkeypatch)
    assert "A run has just begun" not in said(app) and commands(app)
