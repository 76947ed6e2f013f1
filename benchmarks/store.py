"""Write the scores of M2D's 36,864 neurons on classes of several tasks; rows a second, and bytes of each table.

    python benchmarks/store.py full.db
    python benchmarks/store.py postgresql+psycopg://user@host/empty_database

The store must be new. The counts are drawn, and written as a run writes them: `Store.write_scores`, task by task.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlalchemy import Engine

from benchmarks.make_store import N_LAYERS, OF_SEVERAL, TASKS, WIDTH, dataset, task_scores
from core.results import ModelRecord
from db.connection.open import open_store, sqlite_path
from db.writes.store import Store

MEGABYTE = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db")
    parser.add_argument("--share", type=float, default=1.0, help="share of each layer's neurons (1)")
    arguments = parser.parse_args()
    engine = open_store(arguments.db)
    store, rng = Store(engine), np.random.default_rng(0)
    width = max(8, round(WIDTH * arguments.share))
    model_id = store.register_model(ModelRecord("m2d", "made-up", (width,) * N_LAYERS, 16000, 1, "made up", "CC0-1.0"))
    run_id = store.start_run("m2d", {}, 0, "0", {}, "cpu")
    n_rows, seconds = 0, 0.0
    print(f"{'task':16} {'classes':>8} {'rows':>12} {'seconds':>8} {'rows a second':>14}")
    for name, (_, _, attributes) in TASKS.items():
        record = dataset(name, rng)
        store.register_dataset(record)
        for attribute in attributes:
            # The probabilities, entropies and chosen neurons; not the tables of other selectors, as many rows again.
            scores = replace(task_scores(record, attribute, width * N_LAYERS, rng), tables={})
            started = time.monotonic()
            store.write_scores(run_id, f"{name}/{attribute}", model_id, scores)
            took = time.monotonic() - started
            task = f"{name}-{attribute}" if name in OF_SEVERAL else name
            print(f"{task:16} {len(scores.class_names):8} {scores.positive_counts.size:12,} {took:8.1f} "
                  f"{scores.positive_counts.size / took:14,.0f}", flush=True)  # fmt: skip
            n_rows, seconds = n_rows + scores.positive_counts.size, seconds + took
    store.finish_run(run_id, "done", {})
    print(f"{'all':16} {'':8} {n_rows:12,} {seconds:8.1f} {n_rows / seconds:14,.0f}\n")
    print(f"{'table':28} {'rows':>12} {'MB':>8} {'bytes a row':>12}")
    for table, of_table, size in sizes(engine):
        print(f"{table:28} {of_table:12,} {size / MEGABYTE:8.1f} {size / max(of_table, 1):12.1f}")
    path = sqlite_path(engine.url)
    engine.dispose()
    if path is not None:
        print(f"{'file':28} {'':12} {path.stat().st_size / MEGABYTE:8.1f}")


def sizes(engine: Engine) -> list[tuple[str, int, int]]:
    """Name, rows and bytes (indexes included) of the tables that take most room."""
    largest = {
        "sqlite": "SELECT m.tbl_name, SUM(s.pgsize) AS size FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name"
        " GROUP BY m.tbl_name ORDER BY size DESC LIMIT 6",
        "postgresql": "SELECT relname, pg_total_relation_size(oid) AS size FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = current_schema()::regnamespace ORDER BY size DESC LIMIT 6",
    }  # fmt: skip
    with engine.connect() as connection:
        found = connection.exec_driver_sql(largest[engine.dialect.name]).all()
        return [
            (table, connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one(), int(size))
            for table, size in found
        ]


if __name__ == "__main__":
    main()
