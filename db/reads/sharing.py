"""Reads of the sharing page, beside `db.reads.study.shared`."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame

# The probability is looked up for the neurons found: joined, it tempts the planner to walk through all of them.
_SIDE = """
            SELECT class_specific_neuron.neuron_id, class_specific_neuron.lift, class_specific_neuron.q_value,
                   class_specific_neuron.class_id, model_task.id AS model_task_id, class_total.token_count
            FROM model_task
            JOIN model ON model.id = model_task.model_id
            JOIN task ON task.id = model_task.task_id
            JOIN selection ON selection.model_task_id = model_task.id
            JOIN task_class ON task_class.task_id = task.id
            JOIN class_total ON class_total.model_task_id = model_task.id AND class_total.class_id = task_class.id
            JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
                AND class_specific_neuron.class_id = task_class.id
            WHERE model.name = :model AND selection.preset = :preset
              AND task.name = :task_{side} AND task_class.name = :class_{side}"""

_PROBABILITY = """CAST((
                   SELECT positive_count FROM activation_probability
                   WHERE activation_probability.model_task_id = {side}.model_task_id
                     AND activation_probability.neuron_id = {side}.neuron_id
                     AND activation_probability.class_id = {side}.class_id
               ) AS DOUBLE PRECISION) / NULLIF({side}.token_count, 0) AS probability_{side}"""


# More than six: all that the page's address narrows the rows by.
def shared_list(
    engine: Engine, model: str, preset: str, task_a: str, class_a: str, task_b: str, class_b: str
) -> pd.DataFrame:
    """Return the neurons that a preset chose for both of two classes, the clearest in both first.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, and for each side ``probability_a``, ``lift_a``, ``q_value_a``, ``probability_b``, ...;
        in order of the lower of the two lifts. q is NaN for presets that test nothing.
    """
    rows = frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron,
               {_PROBABILITY.format(side="a")},
               {_PROBABILITY.format(side="b")},
               a.lift AS lift_a, b.lift AS lift_b, a.q_value AS q_value_a, b.q_value AS q_value_b
        FROM ({_SIDE.format(side="a")}
        ) AS a
        JOIN ({_SIDE.format(side="b")}
        ) AS b ON b.neuron_id = a.neuron_id
        JOIN neuron ON neuron.id = a.neuron_id
        ORDER BY CASE WHEN a.lift < b.lift THEN a.lift ELSE b.lift END DESC NULLS LAST, a.neuron_id
        """,
        model=model,
        preset=preset,
        task_a=task_a,
        class_a=class_a,
        task_b=task_b,
        class_b=class_b,
    )
    numbers = ["probability_a", "probability_b", "lift_a", "lift_b", "q_value_a", "q_value_b"]
    rows[numbers] = rows[numbers].astype("float64")
    return rows


# More than six: all that the page's address narrows the rows by.
def clips_of_class(
    engine: Engine, model: str, layer: int, neuron: int, task: str, class_name: str, n: int
) -> pd.DataFrame:
    """Return ``n`` clips of a class, first those that a neuron answers to most.

    Returns
    -------
    DataFrame
        ``clip_id``, ``dataset``, ``root``, ``path``, ``file_sha256``, ``class_name``, ``rank`` and ``activation_rate``
        (NaN for a clip that is not among the neuron's strongest of the dataset).
    """
    rows = frame(
        engine,
        """
        SELECT clip.id AS clip_id, dataset.name AS dataset, dataset.root, clip.path, clip.file_sha256,
               clip_label.value AS class_name, top.rank, top.activation_rate
        FROM task
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN clip_label ON clip_label.attribute_id = task.attribute_id AND clip_label.value = :class_name
        JOIN clip ON clip.id = clip_label.clip_id
        LEFT JOIN (
            SELECT top_clip.clip_id, top_clip.rank, top_clip.activation_rate
            FROM model
            JOIN task ON task.name = :task
            JOIN model_dataset ON model_dataset.model_id = model.id AND model_dataset.dataset_id = task.dataset_id
            JOIN neuron ON neuron.model_id = model.id AND neuron.layer = :layer AND neuron.neuron = :neuron
            JOIN top_clip ON top_clip.model_dataset_id = model_dataset.id AND top_clip.neuron_id = neuron.id
            WHERE model.name = :model
        ) AS top ON top.clip_id = clip.id
        WHERE task.name = :task
        ORDER BY CASE WHEN top.rank IS NULL THEN 1 ELSE 0 END, top.rank, clip.id
        LIMIT :n
        """,
        model=model,
        layer=layer,
        neuron=neuron,
        task=task,
        class_name=class_name,
        n=n,
    )
    rows["rank"] = rows["rank"].astype("float64")
    return rows
