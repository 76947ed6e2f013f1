"""Reads of what runs are to do, and how far they are."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, text

from db.reads.frames import frame

COLUMNS = (
    "run_id", "run_status", "model", "dataset", "task", "part", "status", "started_at", "finished_at", "stage",
    "n_done", "n_total", "unit", "stage_seconds_left", "told_at",
)  # fmt: skip


def is_at_work(engine: Engine) -> bool:
    """Return whether a run is under way, or was killed and not begun again."""
    with engine.connect() as connection:
        return connection.execute(text("SELECT 1 FROM run WHERE status = 'running' LIMIT 1")).first() is not None


def last_steps(engine: Engine) -> pd.DataFrame:
    """Return the steps of every model's last run, in order: `COLUMNS`, run_status is the run's."""
    return frame(
        engine,
        """
        SELECT run_steps.run_id, run.status AS run_status, run_steps.model, run_steps.dataset, run_steps.task,
               run_steps.part, run_steps.status, run_steps.started_at, run_steps.finished_at, run_steps.stage,
               run_steps.n_done, run_steps.n_total, run_steps.unit, run_steps.stage_seconds_left, run_steps.told_at
        FROM run_steps JOIN run ON run.id = run_steps.run_id
        WHERE run_steps.run_id IN (SELECT MAX(id) FROM run GROUP BY model_name)
        ORDER BY run_steps.run_id, run_steps.position
        """,
    )
