"""Reads about what neurons prefer: log odds by class, two tasks side by side, how classes resemble each other."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.schema.views.study import of_any_units

MOST_PROFILE_ROWS = 8_000


def preference_tasks(engine: Engine, model: str) -> pd.DataFrame:
    """Return the tasks whose neurons' preferences are stored.

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``attribute``, ``n_clips``, ``n_classes``, ``shuffled`` (what a null deals anew).
    """
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, task.name AS task, attribute.name AS attribute, model_task.n_clips,
               model_task.n_classes, model_task.shuffled
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN attribute ON attribute.id = task.attribute_id
        WHERE model.name = :model
          AND EXISTS (SELECT 1 FROM neuron_preference WHERE neuron_preference.model_task_id = model_task.id)
        ORDER BY task.name
        """,
        model=model,
    )


def preferring(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Count for each class the neurons that prefer or shun it.

    Returns
    -------
    DataFrame
        ``class_name``, ``n_clips``, ``n_neurons``, ``n_known`` (with an interval), ``n_prefer`` (interval above 0),
        ``n_shun`` (below 0).
    """
    return frame(
        engine,
        """
        SELECT task_class.name AS class_name, class_total.n_clips, counted.n_neurons, counted.n_known,
               counted.n_prefer, counted.n_shun
        FROM (
            SELECT neuron_preference.model_task_id, class_id, COUNT(*) AS n_neurons, COUNT(ci_low) AS n_known,
                   SUM(CASE WHEN ci_low > 0 THEN 1 ELSE 0 END) AS n_prefer,
                   SUM(CASE WHEN ci_high < 0 THEN 1 ELSE 0 END) AS n_shun
            FROM model_task
            JOIN model ON model.id = model_task.model_id
            JOIN task ON task.id = model_task.task_id
            JOIN neuron_preference ON neuron_preference.model_task_id = model_task.id
            WHERE model.name = :model AND task.name = :task
            GROUP BY neuron_preference.model_task_id, class_id
        ) AS counted
        JOIN task_class ON task_class.id = counted.class_id
        JOIN class_total ON class_total.model_task_id = counted.model_task_id
            AND class_total.class_id = counted.class_id
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
    )


def strongest(
    engine: Engine, model: str, task: str, preset: str, class_names: tuple[str, ...], limit: int = 10
) -> pd.DataFrame:
    """Return the neurons that prefer each of some classes most.

    Returns
    -------
    DataFrame
        ``class_name``, ``layer``, ``neuron``, ``log_odds``, ``ci_low``, ``ci_high``, ``chosen`` (1 where ``preset``
        finds the neuron class-specific for the class).
    """
    parts = [_strongest_of(engine, model, task, preset, name, limit) for name in class_names]
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows.attrs["sql"] = ";\n\n".join(part.attrs["sql"] for part in parts)
    return rows


def _strongest_of(engine: Engine, model: str, task: str, preset: str, class_name: str, limit: int) -> pd.DataFrame:
    return frame(
        engine,
        """
        SELECT task_class.name AS class_name, neuron.layer, neuron.neuron, log_odds, ci_low, ci_high,
               CASE WHEN EXISTS (
                   SELECT 1 FROM selection
                   JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
                   WHERE selection.model_task_id = model_task.id AND selection.preset = :preset
                     AND class_specific_neuron.neuron_id = neuron_preference.neuron_id
                     AND class_specific_neuron.class_id = neuron_preference.class_id
               ) THEN 1 ELSE 0 END AS chosen
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN task_class ON task_class.task_id = task.id
        JOIN neuron_preference ON neuron_preference.model_task_id = model_task.id
            AND neuron_preference.class_id = task_class.id
        JOIN neuron ON neuron.id = neuron_preference.neuron_id
        WHERE model.name = :model AND task.name = :task AND task_class.name = :class_name AND log_odds > 0
        ORDER BY log_odds DESC, neuron.flat_index
        LIMIT :limit
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
        limit=limit,
    )


def explained(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Count the pairs a preset chose by what takes their evidence away.

    Returns
    -------
    DataFrame
        ``explained_by`` (empty = nothing does, or not tested), ``n_pairs``.
    """
    return frame(
        engine,
        """
        SELECT COALESCE(class_specific_neuron.explained_by, '') AS explained_by, COUNT(*) AS n_pairs
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN selection ON selection.model_task_id = model_task.id
        JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
        WHERE model.name = :model AND task.name = :task AND selection.preset = :preset
        GROUP BY COALESCE(class_specific_neuron.explained_by, '')
        ORDER BY n_pairs DESC, explained_by
        """,
        model=model,
        task=task,
        preset=preset,
    )


def confounds(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``confound_probes`` of one task."""
    return frame(
        engine,
        f"""
        SELECT feature, group_name, metric, accuracy, ci_low, ci_high, chance, n_clips, mark, reason
        FROM {of_any_units("confound_probes")} WHERE model = :model AND task = :task ORDER BY feature, group_name
        """,
        model=model,
        task=task,
    )


def classes_in_common(engine: Engine, task: str) -> pd.DataFrame:
    """Return ``task`` and ``class_name`` of other datasets' classes that are named as one of this task's."""
    return frame(
        engine,
        """
        SELECT other.name AS task, theirs.name AS class_name
        FROM task
        JOIN task_class AS ours ON ours.task_id = task.id
        JOIN task_class AS theirs ON theirs.name = ours.name AND theirs.task_id <> task.id
        JOIN task AS other ON other.id = theirs.task_id
        WHERE task.name = :task AND other.dataset_id <> task.dataset_id
        ORDER BY other.name, ours.position
        """,
        task=task,
    )


def in_two_tasks(
    engine: Engine, model: str, task_a: str, task_b: str, class_name: str, limit: int = 500
) -> pd.DataFrame:
    """Return neurons' log odds of a class in two tasks.

    The neurons are those whose preference in ``task_a`` is strongest, for or against; those without one stored in
    ``task_b`` have the counts there. CROSS JOIN keeps the order of the joins: SQLite would scan all of ``task_b``.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``log_odds_a``, ``low_a``, ``high_a``, ``log_odds_b``, ``low_b``, ``high_b``, ``fired``,
        ``tokens`` (of the class in ``task_b``), ``fired_all``, ``tokens_all`` (of all its classes).
    """
    return frame(
        engine,
        """
        SELECT layer, neuron, log_odds_a, low_a, high_a, log_odds_b, low_b, high_b, fired, tokens,
               (SELECT SUM(positive_count) FROM activation_probability
                WHERE activation_probability.model_task_id = chosen.model_task_id
                  AND activation_probability.neuron_id = chosen.neuron_id) AS fired_all,
               (SELECT SUM(token_count) FROM class_total
                WHERE class_total.model_task_id = chosen.model_task_id) AS tokens_all
        FROM (
            SELECT neuron.layer, neuron.neuron, neuron.flat_index, a.neuron_id, of_b.id AS model_task_id,
                   a.log_odds AS log_odds_a, a.ci_low AS low_a, a.ci_high AS high_a,
                   b.log_odds AS log_odds_b, b.ci_low AS low_b, b.ci_high AS high_b,
                   of_class.positive_count AS fired, total.token_count AS tokens
            FROM (
                SELECT model.id AS model_id, neuron_preference.neuron_id, neuron_preference.log_odds,
                       neuron_preference.ci_low, neuron_preference.ci_high
                FROM model
                JOIN task ON task.name = :task_a
                JOIN model_task ON model_task.model_id = model.id AND model_task.task_id = task.id
                JOIN task_class ON task_class.task_id = task.id AND task_class.name = :class_name
                JOIN neuron_preference ON neuron_preference.model_task_id = model_task.id
                    AND neuron_preference.class_id = task_class.id
                WHERE model.name = :model AND neuron_preference.log_odds IS NOT NULL
                ORDER BY ABS(neuron_preference.log_odds) DESC, neuron_preference.neuron_id
                LIMIT :limit
            ) AS a
            JOIN task AS task_b ON task_b.name = :task_b
            JOIN model_task AS of_b ON of_b.model_id = a.model_id AND of_b.task_id = task_b.id
            JOIN task_class AS class_b ON class_b.task_id = task_b.id AND class_b.name = :class_name
            JOIN class_total AS total ON total.model_task_id = of_b.id AND total.class_id = class_b.id
            JOIN neuron ON neuron.id = a.neuron_id
            CROSS JOIN activation_probability AS of_class
            LEFT JOIN neuron_preference AS b ON b.model_task_id = of_b.id AND b.neuron_id = a.neuron_id
                AND b.class_id = class_b.id
            WHERE of_class.model_task_id = of_b.id AND of_class.neuron_id = a.neuron_id
              AND of_class.class_id = class_b.id
        ) AS chosen
        ORDER BY ABS(log_odds_a) DESC, flat_index
        """,
        model=model,
        task_a=task_a,
        task_b=task_b,
        class_name=class_name,
        limit=limit,
    ).astype(dict.fromkeys(_IN_TWO, "float64"))


_IN_TWO = (
    "log_odds_a", "low_a", "high_a", "log_odds_b", "low_b", "high_b", "fired", "tokens", "fired_all", "tokens_all",
)  # fmt: skip


def profiles(engine: Engine, model: str, task: str, n_rows: int) -> pd.DataFrame:
    """Return log odds of every class, in about `MOST_PROFILE_ROWS` rows at most: neurons spread over the model.

    Parameters
    ----------
    n_rows : int
        How many there are: the sum of ``n_neurons`` of `preferring`.

    Returns
    -------
    DataFrame
        ``class_name``, ``neuron_id``, ``log_odds``.
    """
    return frame(
        engine,
        """
        SELECT task_class.name AS class_name, neuron_preference.neuron_id, neuron_preference.log_odds
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN neuron_preference ON neuron_preference.model_task_id = model_task.id
        JOIN task_class ON task_class.id = neuron_preference.class_id
        WHERE model.name = :model AND task.name = :task
          AND neuron_preference.neuron_id IN (
              SELECT neuron.id FROM neuron WHERE neuron.model_id = model.id AND neuron.id % :step = 0
          )
        ORDER BY task_class.position, neuron_preference.neuron_id
        """,
        model=model,
        task=task,
        step=max(1, -(-n_rows // MOST_PROFILE_ROWS)),
    )


def overlaps(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return ``class_a``, ``class_b``, ``n_a``, ``n_b``, ``n_shared``, ``expected`` of the classes of one task."""
    return frame(
        engine,
        f"""
        SELECT class_a, class_b, n_a, n_b, n_shared, expected
        FROM {of_any_units("shared_neurons")}
        WHERE model = :model AND preset = :preset AND task_a = :task AND task_b = :task
        ORDER BY class_a, class_b
        """,
        model=model,
        preset=preset,
        task=task,
    )


def families(engine: Engine, task: str) -> pd.DataFrame:
    """Return what else the dataset says of a task's classes, as the family of each language.

    Returns
    -------
    DataFrame
        ``attribute``, ``class_name``, ``family``: one row a class and attribute of which all clips of the class have
        the same single value.
    """
    return frame(
        engine,
        """
        SELECT attribute.name AS attribute, ours.value AS class_name, MIN(theirs.value) AS family
        FROM task
        JOIN clip_label AS ours ON ours.attribute_id = task.attribute_id
        JOIN clip_label AS theirs ON theirs.clip_id = ours.clip_id AND theirs.attribute_id <> ours.attribute_id
        JOIN attribute ON attribute.id = theirs.attribute_id
        WHERE task.name = :task
        GROUP BY attribute.name, attribute.position, ours.value
        HAVING MIN(theirs.value) = MAX(theirs.value)
        ORDER BY attribute.position, ours.value
        """,
        task=task,
    )


def one_label(engine: Engine, model: str, task: str) -> bool:
    """Return whether each selection clip of a task has one class only."""
    rows = frame(
        engine,
        """
        SELECT model_task.n_clips, SUM(class_total.n_clips) AS n_labels
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN class_total ON class_total.model_task_id = model_task.id
        WHERE model.name = :model AND task.name = :task
        GROUP BY model_task.id, model_task.n_clips
        """,
        model=model,
        task=task,
    )
    return bool((rows["n_labels"] <= rows["n_clips"]).all())


def voices_in_common(engine: Engine, task_a: str, task_b: str) -> pd.DataFrame:
    """Return ``value``: names of voices or speakers that the datasets of two tasks both have."""
    return frame(
        engine,
        """
        SELECT clip_label.value
        FROM task
        JOIN attribute ON attribute.dataset_id = task.dataset_id AND attribute.name IN ('voice', 'speaker')
        JOIN clip_label ON clip_label.attribute_id = attribute.id
        WHERE task.name = :task_a
        INTERSECT
        SELECT clip_label.value
        FROM task
        JOIN attribute ON attribute.dataset_id = task.dataset_id AND attribute.name IN ('voice', 'speaker')
        JOIN clip_label ON clip_label.attribute_id = attribute.id
        WHERE task.name = :task_b
        ORDER BY value
        """,
        task_a=task_a,
        task_b=task_b,
    )
