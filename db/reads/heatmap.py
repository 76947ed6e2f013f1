"""Reads of the heatmap page: class groups of a dataset, and every neuron of a model in one task."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame

SAMPLED_LABELS = 4000
"""Labels that are enough to tell most attributes apart; what they leave is looked at whole."""


def class_groups(engine: Engine, task: str) -> pd.DataFrame:
    """Return the attributes of a task's dataset that put whole classes together.

    An attribute is a grouping if all clips of each class have the same single value of it, if it has
    fewer values than the task has classes, and at least two: the group of a sound event, the family of a
    language, the octave of a pitch.

    Returns
    -------
    DataFrame
        ``attribute``, ``class_name``, ``group_name``: for each grouping a row for every class, in the order of the
        classes.
    """
    of_task = frame(
        engine,
        """
        SELECT task.attribute_id, COUNT(*) AS n_labels
        FROM task JOIN clip_label ON clip_label.attribute_id = task.attribute_id
        WHERE task.name = :task GROUP BY task.attribute_id
        """,
        task=task,
    )
    others = frame(
        engine,
        """
        SELECT other.id AS attribute_id, other.name AS attribute
        FROM task
        JOIN attribute AS own ON own.id = task.attribute_id
        JOIN attribute AS other ON other.dataset_id = own.dataset_id AND other.id <> own.id
        WHERE task.name = :task ORDER BY other.position
        """,
        task=task,
    )
    groupings = []
    if len(of_task):
        # A few thousand clips rule out a speaker or a room; only what stands there is read whole.
        step = int(of_task["n_labels"].iloc[0]) // SAMPLED_LABELS + 1
        for attribute_id, attribute in others.itertuples(index=False):
            for each in dict.fromkeys((step, 1)):
                grouped = _values_together(engine, task, int(attribute_id), each)
                if not _is_grouping(grouped, whole=each == 1):
                    break
            else:
                groupings.append(grouped.assign(attribute=attribute)[["attribute", "class_name", "group_name"]])
    groups = pd.concat(groupings, ignore_index=True) if groupings else pd.DataFrame(columns=_GROUP_COLUMNS)
    groups.attrs["sql"] = groupings[0].attrs["sql"] if groupings else others.attrs["sql"]
    return groups


_GROUP_COLUMNS = ["attribute", "class_name", "group_name"]


def _values_together(engine: Engine, task: str, attribute: int, each: int) -> pd.DataFrame:
    """Return each class with the values that its clips have of another attribute, told from one clip in ``each``."""
    return frame(
        engine,
        """
        SELECT task_class.name AS class_name, together.group_name
        FROM task
        JOIN task_class ON task_class.task_id = task.id
        LEFT JOIN (
            SELECT DISTINCT own.value AS class_name, other.value AS group_name
            FROM clip_label AS own
            LEFT JOIN clip_label AS other ON other.clip_id = own.clip_id AND other.attribute_id = :attribute
            WHERE own.attribute_id = (SELECT attribute_id FROM task WHERE name = :task)
              AND own.clip_id % :each = 0
        ) AS together ON together.class_name = task_class.name
        WHERE task.name = :task
        ORDER BY task_class.position, together.group_name NULLS FIRST
        """,
        task=task,
        attribute=attribute,
        each=each,
    )


def _is_grouping(grouped: pd.DataFrame, whole: bool) -> bool:
    """Whether every class has one value; ``whole`` asks for all of them and for several values too."""
    one_value = not grouped["class_name"].duplicated().any()
    n_groups = grouped["group_name"].nunique()
    return one_value and (not whole or (bool(grouped["group_name"].notna().all()) and 2 <= n_groups < len(grouped)))


def neuron_entropies(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return every neuron of a model as it stands in a task.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``top_class`` (categorical; NaN for a neuron that never fires), ``entropy``,
        ``max_probability``, ``entropy_q_value`` (NaN without shuffles), in order of layer and neuron.
    """
    entropies = frame(
        engine,
        """
        SELECT neuron.layer, neuron.neuron, task_class.name AS top_class, neuron_entropy.entropy,
               neuron_entropy.max_probability, neuron_entropy.q_value AS entropy_q_value
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id
        JOIN neuron ON neuron.id = neuron_entropy.neuron_id
        LEFT JOIN task_class ON task_class.id = neuron_entropy.top_class_id
        WHERE model.name = :model AND task.name = :task
        ORDER BY neuron_entropy.neuron_id
        """,
        model=model,
        task=task,
    )
    entropies["top_class"] = entropies["top_class"].astype("category")
    return entropies


def has_entropy_q(engine: Engine, model: str, task: str) -> bool:
    """Return whether the entropies of a task stand beside those of shuffled labels."""
    rows = frame(
        engine,
        """
        SELECT 1 FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id
        WHERE model.name = :model AND task.name = :task AND neuron_entropy.q_value IS NOT NULL LIMIT 1
        """,
        model=model,
        task=task,
    )
    return not rows.empty
