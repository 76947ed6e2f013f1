"""Reads of the page of layers: what heads read from each, what each counts for, what is attributed to it."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame

_OF = "WHERE model = :model AND task = :task AND unit_kind = 'mlp'"


def probes(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``layer_probes`` on test clips, layer by layer."""
    sql = f"SELECT * FROM layer_probes {_OF} AND split = 'test' ORDER BY layer"
    return frame(engine, sql, model=model, task=task)


def classes(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``layer_probe_classes`` on test clips, class by class in the task's order."""
    return frame(
        engine,
        f"""
        SELECT layer_probe_classes.* FROM layer_probe_classes
        JOIN task AS of_task ON of_task.name = layer_probe_classes.task
        JOIN task_class ON task_class.task_id = of_task.id AND task_class.name = layer_probe_classes.class_name
        {_OF} AND split = 'test'
        ORDER BY task_class.position, layer
        """,
        model=model,
        task=task,
    )


def weights(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``layer_weights``, layer by layer."""
    return frame(engine, f"SELECT * FROM layer_weights {_OF} ORDER BY layer", model=model, task=task)


def summary(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the row of the view ``layer_summaries``, if there is one."""
    return frame(engine, f"SELECT * FROM layer_summaries {_OF}", model=model, task=task)


def skipped(engine: Engine, model: str, task: str) -> list[str]:
    """Return why no head could be trained ("": it could); nothing where heads on layers were not asked for."""
    rows = frame(
        engine,
        """
        SELECT layer_probe.skipped FROM layer_probe
        JOIN model ON model.id = layer_probe.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = layer_probe.task_id
        WHERE model.name = :model AND task.name = :task
        """,
        model=model,
        task=task,
    )
    return [str(reason) for reason in rows["skipped"]]


def attribution(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``layer_attribution`` with 95 % intervals of the means over clips.

    Returns
    -------
    DataFrame
        ``class_name``, ``layer``, ``attribution``, ``ci_low``, ``ci_high`` (logits of margin), ``n_clips``.
    """
    return frame(
        engine,
        """
        SELECT class_name, layer, attribution, attribution - 1.959964 * standard_error AS ci_low,
               attribution + 1.959964 * standard_error AS ci_high, n_clips
        FROM layer_attribution WHERE model = :model AND task = :task ORDER BY class_name, layer
        """,
        model=model,
        task=task,
    )
