"""Reads of what can be searched for by name: classes of scored tasks, which are notes, how many neurons there are."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame


def scored_classes(engine: Engine) -> pd.DataFrame:
    """Return ``model``, ``dataset``, ``task``, ``class_name``: a row for each class that a model was scored on."""
    return frame(
        engine,
        """
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name
        FROM model_task
        JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN class_total ON class_total.model_task_id = model_task.id
        JOIN task_class ON task_class.id = class_total.class_id
        ORDER BY dataset.name, task.name, task_class.position, model.id
        """,
    )


def tasks_of_notes(engine: Engine) -> pd.DataFrame:
    """Return ``task``: those whose classes are MIDI notes, a row a model."""
    return frame(
        engine,
        """
        SELECT task.name AS task
        FROM model_task JOIN task ON task.id = model_task.task_id
        WHERE EXISTS (SELECT 1 FROM pitch_tuning WHERE pitch_tuning.model_task_id = model_task.id)
        ORDER BY task.name
        """,
    )


def layer_widths(engine: Engine) -> pd.DataFrame:
    """Return ``model``, ``layer`` and ``width`` (its number of neurons), models as they were added."""
    return frame(
        engine,
        """
        SELECT model.name AS model, layer.layer, layer.width
        FROM layer JOIN model ON model.id = layer.model_id AND model.unit_kind = 'mlp'
        ORDER BY model.id, layer.layer
        """,
    )
