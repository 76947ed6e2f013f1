"""Reads of the Ablation page: what was ablated, effects, controls, flipped clips, attributions."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.schema.evidence import NeuronAttribution
from db.schema.study import out_of_units
from db.schema.views.study import of_any_units

_ABLATION = """
        FROM ablation
        JOIN model ON model.id = ablation.model_id
        JOIN task ON task.id = ablation.task_id"""


class Chosen(NamedTuple):
    """One way to choose neurons and to change them, of one model and task; what the page's address narrows rows by."""

    model: str
    task: str
    selection: str
    operation: str
    gain: float | None = None


_DONE = "model = :model AND task = :task AND operation = :operation"
_CHOSEN = f"{_DONE} AND selection = :selection"
CONTROLLED = ("delta", "total", "shift", "selective", "discrimination")
"""What is known of every single random set: columns of ``ablation_control``."""


def _of_gain(gain: float | None, table: str = "") -> str:
    return f" AND {table}gain IS NULL" if gain is None else f" AND {table}gain = :gain"


def _own(target: str, affected: str) -> str:
    """SQL: the class is the target itself, or one of a pair ``A + B``."""
    listed = f"' + ' || {target} || ' + '"
    return f"REPLACE({listed}, ' + ' || {affected} || ' + ', '') <> {listed}"


def ablated(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return ``selection``, ``operation``, ``gain``, ``n_targets``, ``n_neurons`` (mean), ``n_taken_apart``.

    A row a setting; the last is of how many targets the outcomes are stored.
    """
    return frame(
        engine,
        f"""
        SELECT ablation.selection, ablation.operation, ablation.gain, COUNT(*) AS n_targets,
               AVG(ablation.n_neurons) AS n_neurons,
               SUM(CASE WHEN EXISTS (
                   SELECT 1 FROM ablation_outcome WHERE ablation_outcome.ablation_id = ablation.id
               ) THEN 1 ELSE 0 END) AS n_taken_apart{_ABLATION}
        WHERE model.name = :model AND task.name = :task
        GROUP BY ablation.selection, ablation.operation, ablation.gain
        ORDER BY ablation.selection, ablation.operation, ablation.gain NULLS FIRST
        """,
        model=model,
        task=task,
    )


def effects(engine: Engine, chosen: Chosen) -> pd.DataFrame:
    """Return the changes of accuracy of the view ``ablation_effects`` for one way to choose and change neurons."""
    return frame(
        engine,
        f"""
        SELECT model, dataset, task, selection, operation, gain, target, affected_class, n_neurons, n_clips,
               accuracy_unablated, accuracy_ablated, delta, ci_low, ci_high, p_value, q_value, control_delta_mean,
               control_delta_low, control_delta_high, n_controls, control_p_value, beyond_control, beyond_control_low,
               beyond_control_high, activity_control_delta_mean, activity_control_delta_low,
               activity_control_delta_high, n_activity_controls, group_ci_low, group_ci_high, n_heads,
               delta_heads_low, delta_heads_high
        FROM {of_any_units("ablation_effects")}
        WHERE {_CHOSEN}{_of_gain(chosen.gain)}
        ORDER BY ablation_id, affected_class NULLS FIRST
        """,
        **chosen._asdict(),
    )


def measured(engine: Engine, chosen: Chosen) -> list[str]:
    """Return which outcomes are stored for one way to choose and change neurons: of its first target."""
    rows = frame(
        engine,
        f"""
        SELECT DISTINCT ablation_outcome.outcome
        FROM ablation_outcome
        WHERE ablation_outcome.ablation_id = (
            SELECT MIN(ablation.id){_ABLATION}
            WHERE model.name = :model AND task.name = :task AND ablation.selection = :selection
              AND ablation.operation = :operation{_of_gain(chosen.gain, "ablation.")}
              AND EXISTS (SELECT 1 FROM ablation_outcome AS any_row WHERE any_row.ablation_id = ablation.id)
        )
        ORDER BY ablation_outcome.outcome
        """,
        **chosen._asdict(),
    )
    return [str(name) for name in rows["outcome"]]


def outcomes(engine: Engine, chosen: Chosen, outcome: str) -> pd.DataFrame:
    """Return the view ``ablation_outcomes`` of one outcome, for one way to choose and change neurons."""
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("ablation_outcomes")}
        WHERE {_CHOSEN}{_of_gain(chosen.gain)} AND outcome = :outcome
        ORDER BY target, affected_class NULLS FIRST
        """,
        **chosen._asdict(),
        outcome=outcome,
    )


def own_outcomes(engine: Engine, model: str, task: str, operation: str, gain: float | None) -> pd.DataFrame:
    """Return, for all ways of choosing neurons, every outcome of each target on its own class (or classes)."""
    return frame(
        engine,
        f"""
        SELECT selection, target, affected_class, n_neurons, outcome, n_clips, n_units, unablated, change, change_low,
               change_high, control_mean, control_low, control_high, n_controls, outside_controls, beyond_control,
               p_value, q_value
        FROM {of_any_units("ablation_outcomes")}
        WHERE {_DONE}{_of_gain(gain)} AND {_own("target", "affected_class")}
        ORDER BY n_neurons, selection, target, affected_class, outcome
        """,
        model=model,
        task=task,
        operation=operation,
        gain=gain,
    )


def cross_outcomes(engine: Engine, chosen: Chosen) -> pd.DataFrame:
    """Return what neurons of others do to classes, selective and total.

    Returns
    -------
    DataFrame
        ``outcome``, mean ``change``, ``n`` (pairs of a class and another's neurons), ``n_hold`` (with q < 0.05 and
        outside of all random sets).
    """
    return frame(
        engine,
        f"""
        SELECT outcome, AVG(change) AS change, COUNT(*) AS n,
               SUM(CASE WHEN q_value < 0.05 AND outside_controls = 1 THEN 1 ELSE 0 END) AS n_hold
        FROM {of_any_units("ablation_outcomes")}
        WHERE {_CHOSEN}{_of_gain(chosen.gain)} AND outcome IN ('total', 'selective') AND affected_class IS NOT NULL
          AND NOT {_own("target", "affected_class")}
        GROUP BY outcome
        ORDER BY outcome
        """,
        **chosen._asdict(),
    )


def mean_controls(engine: Engine, model: str, task: str, operation: str, gain: float | None) -> pd.DataFrame:
    """Return ``selection``, ``draw``, and each outcome's mean over targets of what that draw of random sets did."""
    return frame(
        engine,
        f"""
        SELECT ablation.selection, ablation_control.draw, AVG(ablation_control.total) AS total,
               AVG(ablation_control.shift) AS shift, AVG(ablation_control.selective) AS selective{_ABLATION}
        JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
        JOIN task_class ON task_class.id = ablation_effect.class_id
        JOIN ablation_control ON ablation_control.ablation_id = ablation.id
            AND ablation_control.position = ablation_effect.position
        WHERE model.name = :model AND task.name = :task AND ablation.operation = :operation
          {_of_gain(gain, "ablation.")} AND {_own("ablation.target", "task_class.name")}
          AND ablation_control.total IS NOT NULL
        GROUP BY ablation.selection, ablation_control.draw
        ORDER BY ablation.selection, ablation_control.draw
        """,
        model=model,
        task=task,
        operation=operation,
        gain=gain,
    )


def own_effects(engine: Engine, model: str, task: str, selection: str) -> pd.DataFrame:
    """Return, for all operations and gains, what each target did to its own class, and to all test clips (NaN)."""
    return frame(
        engine,
        f"""
        SELECT target, affected_class, operation, gain, n_neurons, n_clips, accuracy_unablated, accuracy_ablated,
               delta, ci_low, ci_high, q_value, control_delta_mean, control_delta_low, control_delta_high, n_controls
        FROM {of_any_units("ablation_effects")}
        WHERE model = :model AND task = :task AND selection = :selection
          AND (affected_class = target OR affected_class IS NULL)
        ORDER BY target, operation, gain NULLS FIRST, affected_class NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
    )


def controls(
    engine: Engine, chosen: Chosen, target: str | None = None, whole: bool = False, value: str = "delta"
) -> pd.DataFrame:
    """Return how many random controls did what, beside each target's effect on its own class (or classes).

    Or, with ``target``, beside its effects on all classes; or, ``whole``, beside each target's on all test clips.

    Returns
    -------
    DataFrame
        ``target``, ``affected_class`` (NaN = all test clips), ``value`` (the change of `CONTROLLED` that is asked
        for), ``n_draws``.
    """
    if value not in CONTROLLED:
        raise ValueError(f"'{value}' is not known of random sets; expected one of {', '.join(CONTROLLED)}")
    rows = "ablation_effect.class_id IS NULL" if whole else _own("ablation.target", "task_class.name")
    if target is not None:
        rows = "ablation.target = :target"
    draws = frame(
        engine,
        f"""
        SELECT ablation.target, task_class.name AS affected_class, ablation_control.{value} AS value,
               COUNT(*) AS n_draws{_ABLATION}
        JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
        JOIN ablation_control ON ablation_control.ablation_id = ablation.id
            AND ablation_control.position = ablation_effect.position
        LEFT JOIN task_class ON task_class.id = ablation_effect.class_id
        WHERE model.name = :model AND task.name = :task AND ablation.selection = :selection
          AND ablation.operation = :operation{_of_gain(chosen.gain, "ablation.")} AND {rows}
          AND ablation_control.{value} IS NOT NULL
        GROUP BY ablation.target, task_class.name, ablation_control.{value}
        ORDER BY ablation.target, task_class.name NULLS FIRST, ablation_control.{value}
        """,
        **chosen._asdict(),
        target=target,
    )
    return draws.astype({"n_draws": int})


def clips(engine: Engine, chosen: Chosen, target: str) -> pd.DataFrame:
    """Return the view ``ablation_clips`` of one target, the dataset's ``root`` and the file's ``file_sha256``."""
    return frame(
        engine,
        f"""
        SELECT ablation_clips.*, dataset.root, clip.file_sha256
        FROM {of_any_units("ablation_clips")}
        JOIN dataset ON dataset.name = ablation_clips.dataset
        JOIN clip ON clip.id = ablation_clips.clip_id
        WHERE {_CHOSEN}{_of_gain(chosen.gain)} AND target = :target
        ORDER BY clip_id, true_class NULLS FIRST
        """,
        **chosen._asdict(),
        target=target,
    )


def flips(engine: Engine, chosen: Chosen, target: str) -> pd.DataFrame:
    """Return the view ``ablation_flips`` of one target, the dataset's ``root`` and the file's ``file_sha256``."""
    return frame(
        engine,
        f"""
        SELECT ablation_flips.*, dataset.root, clip.file_sha256
        FROM {of_any_units("ablation_flips")}
        JOIN dataset ON dataset.name = ablation_flips.dataset
        JOIN clip ON clip.id = ablation_flips.clip_id
        WHERE {_CHOSEN}{_of_gain(chosen.gain)} AND target = :target
        ORDER BY clip_id, true_class NULLS FIRST
        """,
        **chosen._asdict(),
        target=target,
    )


def any_flips(engine: Engine, model: str, task: str) -> bool:
    """Return whether any ablation of the task has flipped clips in the store."""
    return not frame(
        engine,
        f"""
        SELECT ablation.id{_ABLATION}
        WHERE model.name = :model AND task.name = :task
          AND EXISTS (SELECT 1 FROM ablation_flip WHERE ablation_flip.ablation_id = ablation.id)
        LIMIT 1
        """,
        model=model,
        task=task,
    ).empty


def specificity(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return the view ``ablation_specificity`` of one task."""
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("ablation_specificity")} WHERE model = :model AND task = :task
        ORDER BY selection, operation, gain NULLS FIRST
        """,
        model=model,
        task=task,
    )


def attribution(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return one row: clips and neurons that were checked, and every rank correlation of estimate and measurement."""
    return frame(
        engine,
        """
        SELECT attribution.n_clips, attribution.n_checked, attribution.n_clips_checked, attribution.spearman_all,
               attribution.spearman_random, attribution.spearman_highest, attribution.margin_total,
               attribution.margin_selective, attribution.selective_total, attribution.selective_selective
        FROM attribution
        JOIN model ON model.id = attribution.model_id
        JOIN task ON task.id = attribution.task_id
        WHERE model.name = :model AND task.name = :task
        """,
        model=model,
        task=task,
    )


def attribution_checks(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return ``class_name``, ``layer``, ``neuron``, ``attribution``, ``measured``, ``in_highest``: a row a neuron."""
    return frame(
        engine,
        f"""
        SELECT class_name, layer, neuron, attribution, measured, in_highest FROM {of_any_units("attribution_checks")}
        WHERE model = :model AND task = :task
        ORDER BY layer, neuron, class_name
        """,
        model=model,
        task=task,
    )


def attributed_classes(engine: Engine, model: str, task: str) -> list[str]:
    """Return the classes that have attributions, in the task's order; every neuron has the same."""
    rows = frame(
        engine,
        """
        SELECT task_class.name AS class_name
        FROM attribution
        JOIN model ON model.id = attribution.model_id
        JOIN task ON task.id = attribution.task_id
        JOIN neuron_attribution_value ON neuron_attribution_value.attribution_id = attribution.id
            AND neuron_attribution_value.neuron_id = model.first_neuron_id
        JOIN task_class ON task_class.id = neuron_attribution_value.class_id
        WHERE model.name = :model AND task.name = :task
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
    )
    return [str(name) for name in rows["class_name"]]


def top_attributed(engine: Engine, model: str, task: str, class_name: str, n: int = 20) -> pd.DataFrame:
    """Return ``layer``, ``neuron``, ``attribution``, ``standard_error``, ``n_clips``: what costs the class most.

    Neurons without which the class would gain are not among them; an index holds the others in order.
    """
    return frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron,
               {out_of_units(NeuronAttribution, "attribution standard_error")},
               neuron_attribution_value.n_clips
        FROM attribution
        JOIN model ON model.id = attribution.model_id
        JOIN task ON task.id = attribution.task_id
        JOIN task_class ON task_class.task_id = task.id
        JOIN neuron_attribution_value ON neuron_attribution_value.attribution_id = attribution.id
            AND neuron_attribution_value.class_id = task_class.id
        JOIN neuron ON neuron.id = neuron_attribution_value.neuron_id
        WHERE model.name = :model AND task.name = :task AND task_class.name = :class_name
          AND neuron_attribution_value.attribution > 0
        ORDER BY neuron_attribution_value.attribution DESC, neuron.id
        LIMIT :n
        """,
        model=model,
        task=task,
        class_name=class_name,
        n=n,
    )


def erasure_curves(engine: Engine, model: str, task: str, class_name: str) -> pd.DataFrame:
    """Return the view ``erasure_curves`` of one class, order by order and size by size."""
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("erasure_curves")}
        WHERE model = :model AND task = :task AND class_name = :class_name
        ORDER BY "order", n_neurons
        """,
        model=model,
        task=task,
        class_name=class_name,
    )


def erasure_areas(engine: Engine, model: str, task: str, class_name: str) -> pd.DataFrame:
    """Return the view ``erasure_areas`` of one class."""
    return frame(
        engine,
        f"""
        SELECT * FROM {of_any_units("erasure_areas")} WHERE model = :model AND task = :task AND class_name = :class_name
        ORDER BY outcome, "order"
        """,
        model=model,
        task=task,
        class_name=class_name,
    )
