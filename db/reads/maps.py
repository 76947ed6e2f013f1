"""Reads of the page of the map: where units lie, and what each is to be coloured by."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.reads.keys import ATTRIBUTION_ID, MODEL_TASK_ID, SELECTION_ID
from db.schema.evidence import NeuronAttribution
from db.schema.study import out_of_units

_ATTRIBUTION, _ERROR = (out_of_units(NeuronAttribution, name) for name in ("attribution", "standard_error"))


def facts(engine: Engine, model: str) -> pd.DataFrame:
    """Return the row of the view ``unit_maps`` of a model by its name; none where it has no map."""
    return frame(
        engine,
        """
        SELECT unit_maps.* FROM unit_maps
        JOIN model ON model.encoder = unit_maps.model AND model.unit_kind = unit_maps.unit_kind
        WHERE model.name = :model
        """,
        model=model,
    )


def places(engine: Engine, model: str) -> pd.DataFrame:
    """Return where each unit of a model lies: ``neuron_id``, ``layer``, ``neuron``, ``x``, ``y``, in their order."""
    return frame(
        engine,
        """
        SELECT unit_place.neuron_id, neuron.layer, neuron.neuron, unit_place.map_x AS x, unit_place.map_y AS y
        FROM unit_place
        JOIN neuron ON neuron.id = unit_place.neuron_id
        WHERE unit_place.model_id = (SELECT id FROM model WHERE name = :model)
        ORDER BY unit_place.neuron_id
        """,
        model=model,
    )


def tasks(engine: Engine, model: str, preset: str) -> pd.DataFrame:
    """Return the task of the strongest evidence of each unit that a preset finds specific for any class.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``task``, ``class_name``, ``p_value``, ``q_value``, ``lift``, ``n_tasks`` (in which it is
        specific for a class), in the order of the units.
    """
    return frame(
        engine,
        """
        WITH pair AS (
            SELECT class_specific_neuron.neuron_id, class_specific_neuron.class_id, model_task.task_id,
                   class_specific_neuron.p_value, class_specific_neuron.q_value, class_specific_neuron.lift,
                   ROW_NUMBER() OVER (
                       PARTITION BY class_specific_neuron.neuron_id, model_task.task_id
                       ORDER BY class_specific_neuron.p_value NULLS LAST, class_specific_neuron.lift DESC NULLS LAST,
                                class_specific_neuron.class_id
                   ) AS place
            FROM model_task
            JOIN selection ON selection.model_task_id = model_task.id AND selection.preset = :preset
            JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
            WHERE model_task.model_id = (SELECT id FROM model WHERE name = :model)
        ), ranked AS (
            SELECT neuron_id, class_id, task_id, p_value, q_value, lift,
                   COUNT(*) OVER (PARTITION BY neuron_id) AS n_tasks,
                   ROW_NUMBER() OVER (
                       PARTITION BY neuron_id ORDER BY p_value NULLS LAST, lift DESC NULLS LAST, task_id
                   ) AS place
            FROM pair WHERE place = 1
        )
        SELECT ranked.neuron_id, task.name AS task, task_class.name AS class_name, ranked.p_value, ranked.q_value,
               ranked.lift, ranked.n_tasks
        FROM ranked
        JOIN task ON task.id = ranked.task_id
        JOIN task_class ON task_class.id = ranked.class_id
        WHERE ranked.place = 1
        ORDER BY ranked.neuron_id
        """,
        model=model,
        preset=preset,
    )


_UNIT = f"""
        WITH pair AS MATERIALIZED (
            SELECT neuron_id, class_id, lift, lift_low, lift_high, q_value, replicated,
                   COUNT(*) OVER (PARTITION BY neuron_id) AS n_specific,
                   ROW_NUMBER() OVER (
                       PARTITION BY neuron_id ORDER BY p_value NULLS LAST, lift DESC NULLS LAST, class_id
                   ) AS place
            FROM class_specific_neuron WHERE selection_id = {SELECTION_ID}
        ), unit AS (
            SELECT neuron_id, class_id, lift, lift_low, lift_high, q_value, replicated, n_specific
            FROM pair WHERE place = 1
            UNION ALL
            SELECT neuron_id, NULL, NULL, NULL, NULL, NULL, NULL, 0
            FROM neuron_entropy
            WHERE model_task_id = {MODEL_TASK_ID} AND neuron_id NOT IN (SELECT neuron_id FROM pair)
        )"""
# In two halves: a left join with the pairs would look through all of them for each unit.


def of_task(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return what each unit is to one task.

    Returns
    -------
    DataFrame
        In the order of the units: ``neuron_id``, ``n_specific`` (classes that the preset finds it specific for),
        ``class_name`` (of them the one of the strongest evidence; NaN where there is none) with ``lift``, ``lift_low``,
        ``lift_high``, ``q_value`` and ``replicated``, ``top_class`` (of the highest probability; NaN where it never
        fires), ``entropy`` (nats), ``entropy_q_value``.
    """
    return frame(
        engine,
        f"""{_UNIT}
        SELECT unit.neuron_id, unit.n_specific, chosen.name AS class_name, unit.lift, unit.lift_low, unit.lift_high,
               unit.q_value, unit.replicated, top.name AS top_class, neuron_entropy.entropy,
               neuron_entropy.q_value AS entropy_q_value
        FROM unit
        JOIN neuron_entropy ON neuron_entropy.model_task_id = {MODEL_TASK_ID}
            AND neuron_entropy.neuron_id = unit.neuron_id
        LEFT JOIN task_class AS chosen ON chosen.id = unit.class_id
        LEFT JOIN task_class AS top ON top.id = neuron_entropy.top_class_id
        ORDER BY unit.neuron_id
        """,
        model=model,
        task=task,
        preset=preset,
    )


def effects(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return each unit's estimated effect on the class that it is specific for, or else on the one it fires most for.

    Returns
    -------
    DataFrame
        In the order of the units that have one: ``neuron_id``, ``effect_class``, ``attribution`` and
        ``standard_error`` (logits).
    """
    return frame(
        engine,
        f"""{_UNIT}
        SELECT unit.neuron_id, task_class.name AS effect_class, {_ATTRIBUTION}, {_ERROR}
        FROM unit
        JOIN neuron_entropy ON neuron_entropy.model_task_id = {MODEL_TASK_ID}
            AND neuron_entropy.neuron_id = unit.neuron_id
        JOIN neuron_attribution_value ON neuron_attribution_value.attribution_id = {ATTRIBUTION_ID}
            AND neuron_attribution_value.neuron_id = unit.neuron_id
            AND neuron_attribution_value.class_id = COALESCE(unit.class_id, neuron_entropy.top_class_id)
        JOIN task_class ON task_class.id = neuron_attribution_value.class_id
        ORDER BY unit.neuron_id
        """,
        model=model,
        task=task,
        preset=preset,
    )
