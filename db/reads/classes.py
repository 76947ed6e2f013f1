"""Reads of the page of one class: its neurons, what they share, the class elsewhere, what silencing does to it.

Entered by the class: `class_specific_neuron` has an index for that, and what stands beside a neuron is looked up by
its key.
"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.reads.keys import ATTRIBUTION_ID, CLASS_ID, MODEL_TASK_ID, SELECTION_ID
from db.schema.evidence import NeuronAttribution
from db.schema.study import out_of_units
from db.schema.views.study import of_any_units


def neurons_of(engine: Engine, model: str, task: str, preset: str, class_name: str) -> pd.DataFrame:
    """Return the neurons that a preset finds specific for a class, by layer and neuron.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``layer``, ``neuron``, ``lift``, ``lift_low``, ``lift_high``, ``p_value``, ``q_value``,
        ``replicated``, ``explained_by``, ``entropy``, ``entropy_q_value``; ``attribution``, ``standard_error``
        (logits), ``measured`` (logits that the margin lost when this very neuron was taken out); NaN where not known.
    """
    value = out_of_units(NeuronAttribution, "attribution standard_error")
    return frame(
        engine,
        f"""
        SELECT neuron.id AS neuron_id, neuron.layer, neuron.neuron, chosen.lift, chosen.lift_low, chosen.lift_high,
               chosen.p_value, chosen.q_value, chosen.replicated, chosen.explained_by, neuron_entropy.entropy,
               neuron_entropy.q_value AS entropy_q_value, {value}, attribution_check_value.measured
        FROM class_specific_neuron AS chosen
        JOIN neuron ON neuron.id = chosen.neuron_id
        LEFT JOIN neuron_entropy ON neuron_entropy.model_task_id = {MODEL_TASK_ID}
            AND neuron_entropy.neuron_id = chosen.neuron_id
        LEFT JOIN neuron_attribution_value ON neuron_attribution_value.attribution_id = {ATTRIBUTION_ID}
            AND neuron_attribution_value.neuron_id = chosen.neuron_id
            AND neuron_attribution_value.class_id = chosen.class_id
        LEFT JOIN attribution_check_value
            ON attribution_check_value.attribution_id = neuron_attribution_value.attribution_id
            AND attribution_check_value.neuron_id = chosen.neuron_id
            AND attribution_check_value.class_id = chosen.class_id
        WHERE chosen.selection_id = {SELECTION_ID} AND chosen.class_id = {CLASS_ID}
        ORDER BY neuron.layer, neuron.neuron
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )


def also(engine: Engine, model: str, task: str, preset: str, class_name: str) -> pd.DataFrame:
    """Return what else a class's neurons are specific for in the task.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``class_name``: a row for each further class of each neuron, in the task's order.
    """
    return frame(
        engine,
        f"""
        SELECT other.neuron_id, task_class.name AS class_name
        FROM class_specific_neuron AS chosen
        JOIN class_specific_neuron AS other ON other.selection_id = chosen.selection_id
            AND other.neuron_id = chosen.neuron_id AND other.class_id <> chosen.class_id
        JOIN task_class ON task_class.id = other.class_id
        WHERE chosen.selection_id = {SELECTION_ID} AND chosen.class_id = {CLASS_ID}
        ORDER BY other.neuron_id, task_class.position
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )


def shared_with(engine: Engine, model: str, task: str, preset: str, class_name: str) -> pd.DataFrame:
    """Return the classes of all tasks that share neurons with a class.

    Returns
    -------
    DataFrame
        ``task``, ``class_name``, ``n`` (its neurons), ``n_shared``, ``expected``, ``odds_ratio``, ``odds_low``,
        ``odds_high``, ``q_value``, ``nested``; the largest odds ratio first.
    """
    side = """
        SELECT task.name AS task, task_class.name AS class_name, shared_neuron.n_{other} AS n, shared_neuron.n_shared,
               shared_neuron.expected, shared_neuron.odds_ratio, shared_neuron.odds_low, shared_neuron.odds_high,
               shared_neuron.q_value, shared_neuron.nested
        FROM shared_neuron
        JOIN task_class ON task_class.id = shared_neuron.class_{other}_id
        JOIN task ON task.id = task_class.task_id
        WHERE shared_neuron.class_{own}_id = {of} AND shared_neuron.sharing_id = (
            SELECT sharing.id FROM sharing JOIN model ON model.id = sharing.model_id
            WHERE model.name = :model AND sharing.preset = :preset
        ) AND shared_neuron.n_shared > 0"""
    return frame(
        engine,
        f"""{side.format(other="b", own="a", of=CLASS_ID)}
        UNION ALL{side.format(other="a", own="b", of=CLASS_ID)}
        ORDER BY odds_ratio DESC NULLS LAST, task, class_name
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )


def elsewhere(engine: Engine, preset: str, class_name: str) -> pd.DataFrame:
    """Return where a class of this name was scored, whatever its capitals.

    Returns
    -------
    DataFrame
        ``model``, ``task``, ``class_name``, ``n_neurons``, ``expected_null`` (mean number on shuffled labels, spread
        evenly over classes; NaN without shuffles).
    """
    return frame(
        engine,
        """
        SELECT model.name AS model, task.name AS task, task_class.name AS class_name,
               (
                   SELECT COUNT(*) FROM class_specific_neuron
                   WHERE class_specific_neuron.selection_id = selection.id
                     AND class_specific_neuron.class_id = task_class.id
               ) AS n_neurons,
               selection.null_n_pairs_mean / model_task.n_classes AS expected_null
        FROM task_class
        JOIN task ON task.id = task_class.task_id
        JOIN model_task ON model_task.task_id = task.id
        JOIN class_total ON class_total.model_task_id = model_task.id AND class_total.class_id = task_class.id
        JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
        JOIN selection ON selection.model_task_id = model_task.id AND selection.preset = :preset
        WHERE LOWER(task_class.name) = LOWER(:class_name)
        ORDER BY model.id, task.name, task_class.position
        """,
        preset=preset,
        class_name=class_name,
    )


def silenced(engine: Engine, model: str, task: str, class_name: str) -> pd.DataFrame:
    """Return what the silencing of neurons chosen for a class did to it, the fewest neurons first.

    Returns
    -------
    DataFrame
        ``selection``, ``n_neurons``, ``n_clips``, ``accuracy_unablated``, ``accuracy_ablated``, ``delta``, ``ci_low``,
        ``ci_high``, ``q_value``, ``control_delta_low``, ``control_delta_high``, ``n_controls``; ``delta_log_prob`` with
        ``_low``, ``_high``, ``control_log_prob_low``, ``control_log_prob_high`` and ``log_prob_q_value`` (nats).
    """
    return frame(
        engine,
        f"""
        SELECT selection, n_neurons, n_clips, accuracy_unablated, accuracy_ablated, delta, ci_low, ci_high, q_value,
               control_delta_low, control_delta_high, n_controls, delta_log_prob, delta_log_prob_low,
               delta_log_prob_high, control_log_prob_low, control_log_prob_high, log_prob_q_value
        FROM {of_any_units("ablation_effects")}
        WHERE model = :model AND task = :task AND target = :class_name AND affected_class = :class_name
          AND operation = (SELECT CASE WHEN unit_kind IN ('mlp', 'sae') THEN 'scale' ELSE 'mean' END
                           FROM model WHERE name = :model)
          AND (gain = 0 OR gain IS NULL)
        ORDER BY n_neurons, selection
        """,
        model=model,
        task=task,
        class_name=class_name,
    )
