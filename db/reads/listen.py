"""Reads of the page that lets a model hear one clip: clips to choose from, what classes have neurons of their own."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame, only_if

MOST_RUNS = 20
_OF_MODEL = """
        FROM model
        JOIN model_task ON model_task.model_id = model.id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN selection ON selection.model_task_id = model_task.id AND selection.preset = :preset"""


def model_facts(engine: Engine, model: str) -> dict[str, Any]:
    """Return what is needed to load a model again.

    Returns
    -------
    dict
        ``weights_key``, ``sample_rate``, ``n_neurons``, ``first_neuron`` (its id; the others' follow), ``layer_widths``
        (list of int) and ``runs``: the settings of the runs that measured it, newest first.
    """
    (row,) = frame(
        engine,
        """
        SELECT weights_key, sample_rate, n_neurons,
               (SELECT MIN(neuron.id) FROM neuron WHERE neuron.model_id = model.id) AS first_neuron
        FROM model WHERE name = :model
        """,
        model=model,
    ).to_dict("records")
    widths = frame(
        engine,
        "SELECT layer.width FROM layer JOIN model ON model.id = layer.model_id"
        " WHERE model.name = :model ORDER BY layer.layer",
        model=model,
    )["width"]
    runs = frame(
        engine,
        "SELECT config_json FROM runs WHERE model = :model ORDER BY run_id DESC LIMIT :n",
        model=model,
        n=MOST_RUNS,
    )["config_json"]
    return {str(name): value for name, value in row.items()} | {
        "layer_widths": [int(width) for width in widths],
        "runs": [_settings(text) for text in runs],
    }


def _settings(text: object) -> dict[str, Any]:
    try:
        settings = json.loads(str(text))
    except json.JSONDecodeError:
        return {}
    return settings if isinstance(settings, dict) else {}


def n_clips(engine: Engine, dataset: str | None = None) -> pd.DataFrame:
    """Return ``dataset`` and its ``n_clips``, of all datasets or one."""
    return frame(
        engine,
        f"""
        SELECT dataset.name AS dataset, COUNT(*) AS n_clips
        FROM clip JOIN dataset ON dataset.id = clip.dataset_id
        WHERE 1 = 1{only_if(dataset, "dataset.name = :dataset")}
        GROUP BY dataset.name ORDER BY dataset.name
        """,
        dataset=dataset,
    )


def nth_clip(engine: Engine, dataset: str, n: int) -> int:
    """Return the id of a dataset's clip by its place, from 0."""
    rows = frame(
        engine,
        """
        SELECT clip.id FROM clip JOIN dataset ON dataset.id = clip.dataset_id
        WHERE dataset.name = :dataset ORDER BY clip.position LIMIT 1 OFFSET :n
        """,
        dataset=dataset,
        n=n,
    )
    return int(rows["id"].iloc[0])


def find_clips(engine: Engine, dataset: str | None = None, words: str = "", most: int = 200) -> pd.DataFrame:
    """Return clips whose path, or one of whose labels, holds what was typed.

    Returns
    -------
    DataFrame
        ``clip_id``, ``dataset``, ``path``, ``duration_seconds``; in the order of the datasets.
    """
    typed = words.strip().lower()
    pattern = "%" + typed.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" if typed else None
    holds = """(LOWER(clip.path) LIKE :pattern ESCAPE '\\' OR EXISTS (
            SELECT 1 FROM clip_label
            WHERE clip_label.clip_id = clip.id AND LOWER(clip_label.value) LIKE :pattern ESCAPE '\\'))"""
    return frame(
        engine,
        f"""
        SELECT clip.id AS clip_id, dataset.name AS dataset, clip.path, clip.duration_seconds
        FROM clip JOIN dataset ON dataset.id = clip.dataset_id
        WHERE 1 = 1{only_if(dataset, "dataset.name = :dataset")}{only_if(pattern, holds)}
        ORDER BY clip.dataset_id, clip.position LIMIT :most
        """,
        dataset=dataset,
        pattern=pattern,
        most=most,
    )


def classes(engine: Engine, model: str, preset: str, dataset: str | None = None) -> pd.DataFrame:
    """Return the classes of a model's scored tasks (in a dataset), those without neurons too.

    Returns
    -------
    DataFrame
        ``class_id``, ``task``, ``class_name``.
    """
    return frame(
        engine,
        f"""
        SELECT task_class.id AS class_id, task.name AS task, task_class.name AS class_name{_OF_MODEL}
        JOIN class_total ON class_total.model_task_id = model_task.id
        JOIN task_class ON task_class.id = class_total.class_id
        WHERE model.name = :model{only_if(dataset, "dataset.name = :dataset")}
        ORDER BY task.name, task_class.position
        """,
        model=model,
        preset=preset,
        dataset=dataset,
    )


def class_specific_pairs(engine: Engine, model: str, preset: str, dataset: str | None = None) -> pd.DataFrame:
    """Return every (class, neuron) that a preset chose, of all tasks of a model (in a dataset).

    Numbers alone, names are in `classes`, and in no order: a large store has hundreds of thousands.

    Returns
    -------
    DataFrame
        ``class_id``, ``flat_index`` (of the neuron, through all layers), ``lift``, ``q_value``.
    """
    return frame(
        engine,
        f"""
        SELECT class_specific_neuron.class_id,
               class_specific_neuron.neuron_id - model.first_neuron_id AS flat_index,
               class_specific_neuron.lift, class_specific_neuron.q_value{_OF_MODEL}
        JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
        WHERE model.name = :model{only_if(dataset, "dataset.name = :dataset")}
        """,
        model=model,
        preset=preset,
        dataset=dataset,
    )
