"""Server time of every page on a store: first visit and interactions, wall clock and CPU, and the memory they take.

    python benchmarks/make_store.py full.db
    python benchmarks/dashboard.py full.db

Each page's script is run as Streamlit runs it, without a browser: with cold caches, again, then with what a visitor
changes there, one thing after the other, never to a state that was shown before. Then Chromium opens the first page of
a fresh server, and beside it an app of one line, which is Streamlit's own share; and the map of units, which is pointed
at. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sqlalchemy import Engine
from streamlit import config
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard.shared import warm
from dashboard.views.gallery import facts as gallery_facts
from dashboard.views.map import shades
from dashboard.views.sql import facts
from db.connection.open import open_store
from db.notebook.records import STARRED
from db.reads import ablation, gallery, pitch, preferences, study
from db.reads.frames import frame
from tests.browser.driver import ATLAS, browser, served

APP = Path(__file__).resolve().parents[1] / "dashboard" / "navigation.py"
LIMIT_MS = 300
STANDS = "[data-testid=stApp][data-test-script-state=notRunning]:has(h1)"
PRESETS = ("calibrated", "aape", "lape")
WORDS = (
    "high-pitched",
    "onset, not bright",
    "category 3",
    "layers 2-4, noise",
    "quiet, not layer 0",
    "fifth of",
    "tones",
)
AREAS = ("0.0-500.0-500.500-0.500", "300.300-900.300-900.900")
State = dict[str, str]


class Visitor:
    """Changes a page's address as the widgets of the page would."""

    def __init__(self, engine: Engine, rng: np.random.Generator) -> None:
        self.engine, self.rng = engine, rng
        self.models = [str(name) for name in study.models(engine)["name"]]
        preset = self.one("preset", PRESETS)
        self.steps: dict[str, list[Callable[[State], State]]] = {
            "overview": [preset, self.one("layer_task", self.tasks)],
            "heatmap": [self.cell, self.task, self.cell, self.one("colour", ["strongest class", "entropy q"])],
            "map": [self.one("colour", list(shades.BY)), self.neuron, self.task, self.one("area", AREAS)],
            "layers": [self.task, preset, self.task],
            "units": [self.task, preset],
            "notebook": [self.one("list", ("even", "odd", STARRED))],
            "coverage": [self.task, self.one("measure", ["coverage", "n_class_specific"]), self.task, preset],
            "sharing": [self.one("with", self.tasks), self.task, self.pair, preset],
            "compare": [self.task, preset],
            "gallery": [
                self.task, self.one("order", list(gallery_facts.ORDERS)), self.words, self.gallery_class,
                self.one("show", gallery.SHOWN), self.words, self.explained,
                self.one("effect", ["any", "loses"]), self.one("entropy", ["0-1.5", "0.5-1", "0-0.7"]),
            ],
            "neuron": [self.neuron, self.next_neuron, self.one("part", ["worth", "cause", "alike"]), self.task],
            "classes": [self.one_class, self.one("by", ["effect", "evidence", "cause"]), self.one_class, preset],
            "pair": [self.neuron, self.other_neuron, self.task, self.one("measure", ["log_odds", "probability"])],
            "pitch": [
                self.own_class("note", "pitch_task"), self.own_task("pitch_task", pitch.tuned_tasks),
                self.own_class("note", "pitch_task"), self.one("order", ["sharpest", "octaves", "clearest"]),
            ],
            "speech": [
                self.own_class("speech_class", "speech_task"), self.one("by", ["sets", "odds"]),
                self.own_task("speech_task", preferences.preference_tasks),
            ],
            "ablation": [self.target, self.setting, self.task, self.one("beside", ["target", "own"])],
            "sql": [lambda _: {"sql": facts.NAMED[self.draw(facts.examples())][1].strip()}],
            "listen": [lambda _: {"source": "store", "clip": self.draw(frame(engine, "SELECT id FROM clip")["id"])}],
        }  # fmt: skip

    def draw(self, options: Sequence[object] | pd.Series | pd.Index) -> str:
        return str(options[int(self.rng.integers(len(options)))]) if len(options) else ""

    def one(self, name: str, options: Sequence[str] | Callable[[State], list[str]]) -> Callable[[State], State]:
        return lambda state: state | {name: self.draw(options(state) if callable(options) else options)}

    def model(self, state: State) -> str:
        return state.get("model", self.models[0])

    def tasks(self, state: State) -> list[str]:
        return [str(name) for name in study.tasks(self.engine, self.model(state))["task"]]

    def task_of(self, state: State) -> str:
        return state.get("task", self.tasks(state)[0])

    def class_of(self, task: str) -> str:
        sql = "SELECT name FROM task_class WHERE task_id = (SELECT id FROM task WHERE name = :task)"
        return self.draw(frame(self.engine, sql, task=task)["name"])

    def task(self, state: State) -> State:
        """Another model or task; the rest of the page starts anew."""
        model = self.draw(self.models)
        return {name: value for name, value in state.items() if name in ("preset", "part")} | {
            "model": model, "task": self.draw(self.tasks({"model": model}))
        }  # fmt: skip

    def cell(self, state: State) -> State:
        whole = {name: value for name, value in state.items() if name != "class"}
        whole["layer"] = self.draw(study.layers(self.engine, self.model(state))["layer"])
        return whole if self.rng.random() < 0.5 else whole | {"class": self.class_of(self.task_of(state))}

    def one_class(self, state: State) -> State:
        return state | {"class": self.class_of(self.task_of(state))}

    def pair(self, state: State) -> State:
        task = self.task_of(state)
        return state | {"row": self.class_of(task), "column": self.class_of(state.get("with", task))}

    def neuron(self, state: State) -> State:
        layers = study.layers(self.engine, self.model(state)).set_index("layer")["width"]
        layer = int(self.draw(layers.index))
        return state | {"layer": str(layer), "neuron": str(int(self.rng.integers(layers[layer])))}

    def other_neuron(self, state: State) -> State:
        drawn = self.neuron({"model": state.get("other_model", self.model(state))})
        return state | {"other_layer": drawn["layer"], "other_neuron": drawn["neuron"]}

    def gallery_class(self, state: State) -> State:
        return state | {"class": self.class_of(self.task_of(state))}

    def words(self, state: State) -> State:
        """Something else is typed on *Find*; all neurons are looked through."""
        return {name: value for name, value in state.items() if name != "show"} | {"find": self.draw(WORDS)}

    def explained(self, state: State) -> State:
        return {name: value for name, value in state.items() if name != "show"} | {
            "explained": self.draw(("descriptors", "classes"))
        }  # fmt: skip

    def next_neuron(self, state: State) -> State:
        return state | {"neuron": str(max(int(state.get("neuron", 1)) - 1, 0))}

    def own_task(self, name: str, tasks: Callable[[Engine, str], pd.DataFrame]) -> Callable[[State], State]:
        return lambda state: {
            name: self.draw(tasks(self.engine, self.model(state))["task"]), "preset": self.draw(PRESETS)
        }  # fmt: skip

    def own_class(self, name: str, task: str) -> Callable[[State], State]:
        return lambda state: state | {name: self.class_of(state.get(task, ""))}

    def setting(self, state: State) -> State:
        settings = ablation.ablated(self.engine, self.model(state), self.task_of(state))
        if settings.empty:
            return state
        row = settings.iloc[int(self.rng.integers(len(settings)))]
        gain = f"{row['gain']:g}" if row["operation"] == "scale" else str(row["operation"])
        return {"task": self.task_of(state), "selection": str(row["selection"]), "gain": gain}

    def target(self, state: State) -> State:
        sql = "SELECT DISTINCT target FROM ablation WHERE task_id = (SELECT id FROM task WHERE name = :task)"
        return state | {"target": self.draw(frame(self.engine, sql, task=self.task_of(state))["target"])}


def timed(app: AppTest) -> tuple[float, float]:
    """Wall and CPU milliseconds of one run of the page."""
    wall, cpu = time.perf_counter(), time.process_time()
    app.run()
    took = (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
    if app.exception:
        raise SystemExit(f"the page failed: {app.exception[0].message}")
    return took


def opened(page: str) -> AppTest:
    return AppTest.from_file(str(APP), default_timeout=120).switch_page(f"views/{page}/{page}.py")


def measure(visitor: Visitor, page: str, n: int) -> tuple[str, list[tuple[float, float]]]:
    """A page's row of the table, and the times of its changes."""
    app = opened(page)
    first, first_cpu = timed(app)
    for thread in threading.enumerate():
        if thread.name == warm.THREAD:  # what a server does once: done before a visitor has read the first page
            thread.join()
    again, _ = timed(app)
    took: list[tuple[float, float]] = []
    seen, slowest = [dict[str, str]()], ""
    for i in range(n):
        steps, state = visitor.steps[page], dict(app.query_params)
        for attempt in range(20):
            wanted = steps[(i + attempt) % len(steps)](state)
            if wanted not in seen:
                break
        seen.append(wanted)
        app.query_params.clear()
        app.query_params.update(wanted)
        took.append(timed(app))
        if took[-1] == max(took):
            slowest = ", ".join(f"{k} {v[:30]}" for k, v in wanted.items() if state.get(k) != v).replace("\n", " ")
    (median, _), (wall, cpu) = np.quantile(np.array(took), [0.5, 0.95], axis=0)
    numbers = " | ".join(f"{x:,.0f}" for x in (first, first_cpu, again, median, wall, cpu))
    return f"| {page} | {numbers} | {max(took)[0]:,.0f}: {slowest} |", took


def fresh(app: Path, *arguments: str) -> tuple[float, float]:
    """Seconds from a server's start to its first answer, and from there to its page in a browser without a cache."""
    with TemporaryDirectory() as scratch, browser(Path(scratch, "profile")) as window:
        tab = window.pages[0]
        started = time.perf_counter()
        with served(app, Path(scratch), *arguments) as address:
            answered = time.perf_counter()
            tab.goto(address, wait_until="commit")
            tab.wait_for_selector(STANDS, state="attached")
            return answered - started, time.perf_counter() - answered


def tell_fresh(db: Path, n: int) -> None:
    """Print how long a fresh server and browser take; beside it an app of one line, in turns: Streamlit's own share."""
    with TemporaryDirectory() as scratch:
        bare = Path(scratch, "bare.py")
        bare.write_text("import streamlit as st\n\nst.title('bare')\n")
        took = [(fresh(ATLAS, "--db", str(db)), fresh(bare)) for _ in range(n)]
    print("\n| fresh server and browser, s: median (least to most) | to the first answer | then to the page |")
    print("| --- | --- | --- |")
    for name, of in zip(("the first page", "an app of one line"), zip(*took, strict=True), strict=True):
        columns = [f"{np.median(x):.2f} ({min(x):.2f} to {max(x):.2f})" for x in zip(*of, strict=True)]
        print(f"| {name} | {' | '.join(columns)} |")


HOVERS = """stage => {
    const took = [], box = stage.getBoundingClientRect();
    for (let i = 0; i < 300; i += 1) {
        const [across, down] = [(i * 0.618) % 1, (i * 0.414) % 1];
        const spot = { clientX: box.x + box.width * across, clientY: box.y + box.height * down };
        const begun = performance.now();
        stage.dispatchEvent(new PointerEvent("pointermove", spot));
        stage.getBoundingClientRect(); // laid out with what is told
        took.push(performance.now() - begun);
    }
    return took;
}"""
LENT = """() => performance.getEntriesByType("resource").filter(one => one.name.includes("/media/"))
    .reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def tell_map(db: Path, n: int) -> None:
    """Print when the map of units is painted in a browser, and how soon it tells a unit that is pointed at."""
    painted, hovers, sent = [], [], 0
    with TemporaryDirectory() as scratch, served(ATLAS, Path(scratch), "--db", str(db)) as address:
        for i in range(n + 1):  # each in a browser without a cache; the first visit is the server's own, too
            with browser(Path(scratch, f"profile {i}")) as window:
                tab = window.pages[0]
                started = time.perf_counter()
                tab.goto(f"{address}/map?colour=task", wait_until="commit")
                tab.wait_for_selector(".st-key-unit_map .legend button")
                painted.append(time.perf_counter() - started)
                tab.wait_for_load_state("networkidle")
                hovers += tab.locator(".st-key-unit_map .stage").evaluate(HOVERS)
                sent = tab.evaluate(LENT)
    first, *later = painted
    print(
        f"\nThe map of units in a fresh browser: painted {np.median(later):.2f} s after the address is asked for "
        f"({min(later):.2f} to {max(later):.2f}; {first:.2f} on the server's first visit), {sent / 1e3:,.0f} kB lent; "
        f"a unit that is pointed at is told in {np.median(hovers):.1f} ms (95 %: {np.quantile(hovers, 0.95):.1f})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path)
    parser.add_argument("--pages", default="", help="comma-separated; default all")
    parser.add_argument("--changes", type=int, default=16, help="changes a page (16)")
    parser.add_argument("--seed", type=int, default=0, help="what decides which changes the visitor makes (0)")
    parser.add_argument("--fresh", type=int, default=3, help="how often a fresh server and browser are tried (3)")
    arguments = parser.parse_args()
    os.environ["ATLAS_DB"] = str(arguments.db)
    # As a server does: the app's folder on the path for good (put there for each run of a page alone, it would change
    # the path under what another thread imports), scripts compiled once, the option of .streamlit/config.toml.
    sys.path.insert(0, str(APP.parent))
    scripts = ScriptCache()
    app_test.ScriptCache = local_script_runner.ScriptCache = lambda: scripts  # type: ignore[assignment, misc]
    config.set_option("browser.gatherUsageStats", False)
    size = arguments.db.stat().st_size / 1e6
    print(f"{arguments.db.name}, {size:,.0f} MB; {platform.machine()}, {os.cpu_count()} CPUs. Milliseconds.\n")
    print("| page | first visit | its CPU | again | changes: median | 95 % | 95 % of CPU | slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    visitor = Visitor(open_store(arguments.db, read_only=True, create=False), np.random.default_rng(arguments.seed))
    every: list[tuple[float, float]] = []
    for page in arguments.pages.split(",") if arguments.pages else visitor.steps:
        row, took = measure(visitor, page, arguments.changes)
        every += took
        print(row, flush=True)
    wall, cpu = (np.array(every) < LIMIT_MS).mean(axis=0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"\nOf {len(every)} changes {wall:.0%} took less than {LIMIT_MS} ms ({cpu:.0%} by CPU time).")
    print(f"Largest memory of all pages: {memory:,.0f} MB.")
    if arguments.fresh:
        tell_fresh(arguments.db, arguments.fresh)
        tell_map(arguments.db, arguments.fresh)


if __name__ == "__main__":
    main()
