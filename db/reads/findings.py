"""What a store shows best: its strongest neuron, pair of classes and effect, and the most telling task of each model.

Of each kind the one whose 95 % interval keeps farthest from no effect is taken, not the largest estimate: the largest
of many is the one that chance helped most.
"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame, only_if

OCTAVE = "octave"
"""Name of the attribute by which the paper's datasets share neurons."""

_TASK_OF_SELECTION = """
        JOIN model_task ON model_task.id = selection.model_task_id
        JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = model_task.task_id"""


def telling_tasks(engine: Engine, model: str, preset: str) -> pd.DataFrame:
    """Return how much there is to see of each task, the most telling first.

    That is the one with the most pairs that replicate; one whose classes are all words (rain, C) before one with
    numbers (60, 61), if anything of it replicates.

    Returns
    -------
    DataFrame
        ``task``, ``n_replicated`` (pairs of a neuron and a class that a preset chose and that replicate on test
        clips), ``n_pairs`` (that it chose), ``in_words`` (1 or 0).
    """
    rows = frame(
        engine,
        f"""
        SELECT task.name AS task, COALESCE(selection.n_pairs * selection.replicated_share, 0) AS n_replicated,
               selection.n_pairs,
               (SELECT MIN(CASE WHEN LOWER(task_class.name) <> UPPER(task_class.name) THEN 1 ELSE 0 END)
                FROM task_class WHERE task_class.task_id = task.id) AS in_words
        FROM selection{_TASK_OF_SELECTION}
        WHERE model.name = :model AND selection.preset = :preset
        ORDER BY task.name
        """,
        model=model,
        preset=preset,
    )
    rows = rows.assign(n_replicated=rows["n_replicated"].astype("float64").round().astype("int64"))
    rows = rows.assign(first=rows["in_words"] * (rows["n_replicated"] > 0))
    order = ["first", "n_replicated", "n_pairs"]
    return rows.sort_values(order, ascending=False, kind="stable", ignore_index=True).drop(columns="first")


def n_replicated(engine: Engine, preset: str) -> int:
    """Return how many pairs of a neuron and a class that a preset chose replicate on test clips, over all models."""
    rows = frame(
        engine,
        """
        SELECT COALESCE(SUM(n_pairs * replicated_share), 0) AS n FROM selection WHERE preset = :preset
        """,
        preset=preset,
    )
    return round(float(rows["n"].iloc[0]))


def strongest_neuron(engine: Engine, preset: str) -> pd.DataFrame:
    """Return the pair of a neuron and a class of the largest lower end of its lift's interval, in one row at most.

    Of what a preset chose: with q < 0.05 and replicated on test clips; one that level, duration or silence explain
    only where there is no other.

    Returns
    -------
    DataFrame
        ``model``, ``dataset``, ``task``, ``attribute``, ``class_name``, ``layer``, ``neuron``,
        ``activation_probability``, ``lift``, ``lift_low``, ``lift_high``, ``q_value``, ``explained_by``, ``shuffled``.
    """
    return frame(
        engine,
        f"""
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task, attribute.name AS attribute,
               task_class.name AS class_name, neuron.layer, neuron.neuron,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability,
               best.lift, best.lift_low, best.lift_high, best.q_value, best.explained_by, model_task.shuffled
        FROM (
            SELECT class_specific_neuron.* FROM selection
            JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
            WHERE selection.preset = :preset AND class_specific_neuron.replicated = 1
              AND class_specific_neuron.q_value < 0.05 AND class_specific_neuron.lift_low IS NOT NULL
            ORDER BY CASE WHEN COALESCE(class_specific_neuron.explained_by, '') = '' THEN 0 ELSE 1 END,
                     class_specific_neuron.lift_low DESC, class_specific_neuron.neuron_id,
                     class_specific_neuron.class_id
            LIMIT 1
        ) AS best
        JOIN selection ON selection.id = best.selection_id{_TASK_OF_SELECTION}
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN attribute ON attribute.id = task.attribute_id
        JOIN task_class ON task_class.id = best.class_id
        JOIN neuron ON neuron.id = best.neuron_id
        JOIN class_total ON class_total.model_task_id = model_task.id AND class_total.class_id = best.class_id
        LEFT JOIN activation_probability ON activation_probability.model_task_id = model_task.id
            AND activation_probability.neuron_id = best.neuron_id AND activation_probability.class_id = best.class_id
        """,
        preset=preset,
    )


_SHARED = """
        SELECT model.name AS model, task_a.name AS task_a, class_a.name AS class_a, attribute_a.name AS attribute_a,
               data_a.name AS dataset_a, task_b.name AS task_b, class_b.name AS class_b,
               attribute_b.name AS attribute_b, data_b.name AS dataset_b, shared_neuron.n_a, shared_neuron.n_b,
               shared_neuron.n_shared, shared_neuron.expected, shared_neuron.q_value, shared_neuron.odds_ratio,
               shared_neuron.odds_low, shared_neuron.odds_high
        FROM sharing
        JOIN model ON model.id = sharing.model_id AND model.unit_kind = 'mlp'
        JOIN shared_neuron ON shared_neuron.sharing_id = sharing.id
        JOIN task_class AS class_a ON class_a.id = shared_neuron.class_a_id
        JOIN task AS task_a ON task_a.id = class_a.task_id
        JOIN attribute AS attribute_a ON attribute_a.id = task_a.attribute_id
        JOIN dataset AS data_a ON data_a.id = task_a.dataset_id
        JOIN task_class AS class_b ON class_b.id = shared_neuron.class_b_id
        JOIN task AS task_b ON task_b.id = class_b.task_id
        JOIN attribute AS attribute_b ON attribute_b.id = task_b.attribute_id
        JOIN dataset AS data_b ON data_b.id = task_b.dataset_id
        WHERE sharing.preset = :preset AND shared_neuron.q_value < 0.05 AND shared_neuron.nested = 0
          AND shared_neuron.odds_low > 1{only_model}{only}
        ORDER BY shared_neuron.odds_low DESC, model.id, class_a.id, class_b.id
        LIMIT 1"""
_SAME_OCTAVE = """
          AND attribute_a.name = :octave AND attribute_b.name = :octave AND class_a.name = class_b.name
          AND data_a.id <> data_b.id
          AND shared_neuron.class_a_id IN ({of_octaves}) AND shared_neuron.class_b_id IN ({of_octaves})""".format(
    of_octaves="SELECT task_class.id FROM attribute JOIN task ON task.attribute_id = attribute.id "
    "JOIN task_class ON task_class.task_id = task.id WHERE attribute.name = :octave"
)
# Two attributes of one dataset are of the same clips: their classes share neurons because they share clips.
_NOT_THE_SAME_CLIPS = """
          AND (task_a.id = task_b.id OR data_a.id <> data_b.id)"""


def shared_pair(engine: Engine, preset: str, model: str | None = None) -> pd.DataFrame:
    """Return two classes that share more neurons than chance, in one row at most.

    The same octave of two datasets where there is any such pair with q < 0.05; else of all classes that are not of the
    same clips the two of the largest lower end of the odds ratio's interval.

    Returns
    -------
    DataFrame
        ``model``, ``task_a``, ``class_a``, ``attribute_a``, ``dataset_a``, the same of ``b``, ``n_a``, ``n_b``,
        ``n_shared``, ``expected``, ``q_value``, ``odds_ratio``, ``odds_low``, ``odds_high``.
    """
    only_model = only_if(model, "model.name = :model")
    octaves = frame(
        engine, _SHARED.format(only=_SAME_OCTAVE, only_model=only_model), preset=preset, octave=OCTAVE, model=model
    )
    if len(octaves):
        return octaves
    return frame(engine, _SHARED.format(only=_NOT_THE_SAME_CLIPS, only_model=only_model), preset=preset, model=model)


# A class's own selective part: significant, beyond all random sets, and lower.
_LOWERED = """
            own.outcome = 'selective' AND own.q_value < 0.05 AND own.outside_controls = 1 AND own.beyond_control < 0"""
_SILENCED_CLASS = """
        FROM ablation
        JOIN model ON model.id = ablation.model_id AND model.unit_kind = 'mlp'
        JOIN task ON task.id = ablation.task_id
        JOIN task_class ON task_class.task_id = task.id AND task_class.name = ablation.target
        JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
            AND ablation_effect.class_id = task_class.id"""
_OWN_OUTCOME = """
        JOIN ablation_outcome AS own ON own.ablation_id = ablation.id AND own.position = ablation_effect.position"""
_SILENCED = "ablation.operation = 'scale' AND ablation.gain = 0"


def lowered_tasks(engine: Engine, model: str) -> pd.DataFrame:
    """Return ``task`` and ``n_lowered`` of what was silenced, the task with the most first.

    ``n_lowered`` are the classes whose own neurons, silenced, lower them selectively: q < 0.05 and beyond all random
    sets, by any way of choosing neurons.
    """
    rows = frame(
        engine,
        f"""
        SELECT task.name AS task, COUNT(DISTINCT ablation_effect.class_id) AS n_lowered{_SILENCED_CLASS}{_OWN_OUTCOME}
        WHERE model.name = :model AND {_SILENCED} AND {_LOWERED}
        GROUP BY task.name
        ORDER BY n_lowered DESC, task.name
        """,
        model=model,
    )
    return rows.astype({"n_lowered": "int64"})


def ablated_tasks(engine: Engine, model: str) -> pd.DataFrame:
    """Return ``task`` of everything that was ablated of a model, the most often ablated first."""
    return frame(
        engine,
        """
        SELECT task.name AS task
        FROM ablation
        JOIN model ON model.id = ablation.model_id
        JOIN task ON task.id = ablation.task_id
        WHERE model.name = :model
        GROUP BY task.name
        ORDER BY COUNT(*) DESC, task.name
        """,
        model=model,
    )


def selective_effect(engine: Engine) -> pd.DataFrame:
    """Return one class that loses, without its own neurons, what the other classes keep, in one row at most.

    Of the classes whose selective part is lower with q < 0.05 and beyond all random sets: the one with the fewest
    other classes of which the same holds, and of these the one whose interval keeps farthest from 0.

    Returns
    -------
    DataFrame
        ``model``, ``dataset``, ``task``, ``attribute``, ``target``, ``selection``, ``n_neurons``, ``n_clips``,
        ``n_units``; ``change``, ``change_low``, ``change_high``, ``control_mean``, ``control_low``, ``control_high``,
        ``n_controls``, ``q_value`` (of the selective part, in logits); ``accuracy_unablated``, ``accuracy_ablated``,
        ``n_others`` (other classes of the task) and ``n_others_lowered``.
    """
    return frame(
        engine,
        f"""
        SELECT model.name AS model, dataset.name AS dataset, task.name AS task, attribute.name AS attribute,
               ablation.target, ablation.selection, ablation.n_neurons, ablation_effect.n_clips, own.n_units,
               own.change, own.change_low, own.change_high, own.control_mean, own.control_low, own.control_high,
               own.n_controls, own.q_value, ablation_effect.accuracy_unablated, ablation_effect.accuracy_ablated,
               (SELECT COUNT(*) FROM task_class AS other WHERE other.task_id = task.id) - 1 AS n_others,
               (SELECT COUNT(*) FROM ablation_outcome AS cross_outcome
                JOIN ablation_effect AS cross_effect ON cross_effect.ablation_id = cross_outcome.ablation_id
                    AND cross_effect.position = cross_outcome.position
                WHERE cross_outcome.ablation_id = ablation.id AND cross_outcome.outcome = 'selective'
                  AND cross_outcome.q_value < 0.05 AND cross_outcome.outside_controls = 1
                  AND cross_outcome.beyond_control < 0 AND cross_effect.class_id IS NOT NULL
                  AND cross_effect.class_id <> ablation_effect.class_id) AS n_others_lowered{_SILENCED_CLASS}
        JOIN dataset ON dataset.id = task.dataset_id
        JOIN attribute ON attribute.id = task.attribute_id{_OWN_OUTCOME}
        WHERE {_SILENCED} AND {_LOWERED} AND own.change_low IS NOT NULL AND own.beyond_high IS NOT NULL
        ORDER BY n_others_lowered, own.beyond_high, ablation.id
        LIMIT 1
        """,
    )


def task_warnings(engine: Engine, model: str, task: str) -> list[str]:
    """Return what a run warned of for one model and task."""
    from db.reads.study import warnings

    rows = warnings(engine, model)
    return [str(text) for text in rows.loc[rows["task"] == task, "warning"]]
