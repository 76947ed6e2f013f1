"""Server time of every page on a store, first visit and interactions, and the memory they take.

    python benchmarks/make_store.py full.db
    python benchmarks/dashboard.py full.db

Each page's script is run as Streamlit runs it, without a browser: first with cold caches, then warm, then
with every setting of its address changed in turn, each to values it had not before. Printed as a table.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from sqlalchemy import Engine  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from db import queries  # noqa: E402
from db.session import open_store  # noqa: E402

PAGES = (
    "overview",
    "heatmap",
    "coverage",
    "sharing",
    "compare",
    "neuron",
    "pitch",
    "speech",
    "ablation",
    "sql",
    "listen",
)
LIMIT_MS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path)
    parser.add_argument("--pages", default=",".join(PAGES))
    parser.add_argument("--changes", type=int, default=12, help="changes of the address a page (12)")
    arguments = parser.parse_args()
    os.environ["ATLAS_DB"] = str(arguments.db)
    engine = open_store(arguments.db, read_only=True, create=False)
    rng = np.random.default_rng(0)
    print(
        f"{arguments.db.name}, {arguments.db.stat().st_size / 1e6:,.0f} MB; "
        f"{platform.machine()}, {os.cpu_count()} CPUs\n"
    )
    print("| page | first visit | again | changes, median | changes, 95 % | slowest |")
    print("| --- | --- | --- | --- | --- | --- |")
    every: list[float] = []
    for page in arguments.pages.split(","):
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
        app.switch_page(f"views/{page}.py")
        first, again = timed(app), timed(app)
        changed, slowest = [], ""
        for state in list(changes(engine, page, rng, arguments.changes)):
            for name, value in state.items():
                app.query_params[name] = value
            took = timed(app)
            slowest = ", ".join(f"{k}={v}" for k, v in state.items()) if took >= max(changed, default=0) else slowest
            changed.append(took)
        every += changed
        median, most = np.quantile(changed, [0.5, 0.95])
        print(f"| {page} | {first:,.0f} ms | {again:,.0f} ms | {median:,.0f} ms | {most:,.0f} ms | {max(changed):,.0f} ms: {slowest} |",
              flush=True)  # fmt: skip
    under = np.mean(np.array(every) < LIMIT_MS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"\n{under:.0%} of {len(every)} changes under {LIMIT_MS} ms; largest memory {memory:,.0f} MB")


def timed(app: AppTest) -> float:
    """Milliseconds of one run of the page."""
    started = time.perf_counter()
    app.run()
    took = (time.perf_counter() - started) * 1e3
    if app.exception:
        raise SystemExit(f"the page failed: {app.exception[0].message}")
    return took


def changes(engine: Engine, page: str, rng: np.random.Generator, n: int) -> Iterator[dict[str, str]]:
    """What a visitor would change, one thing after the other."""
    models = list(queries.models(engine)["name"])
    for i in range(n):
        model = str(rng.choice(models))
        tasks = queries.tasks(engine, model)
        row = tasks.iloc[int(rng.integers(len(tasks)))]
        layers = queries.layers(engine, model)
        layer = layers.iloc[int(rng.integers(len(layers)))]
        if page == "neuron":
            yield {"model": model, "layer": str(int(layer["layer"])), "neuron": str(int(rng.integers(layer["width"])))}
        elif page == "heatmap" and i % 2:
            yield {"layer": str(int(layer["layer"]))}
        elif i % 3 == 2:
            yield {"preset": ("aape", "calibrated", "lape")[i // 3 % 3]}
        else:
            yield {"model": model, "task": str(row["task"])}


if __name__ == "__main__":
    main()
