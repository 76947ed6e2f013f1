"""Reads of the Ablation page: what was ablated, effects, controls, flipped clips, attributions."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.schema.evidence import NeuronAttribution
from db.schema.study import out_of_units

_ABLATION = """
        FROM ablation
        JOIN model ON model.id = ablation.model_id
        JOIN task ON task.id = ablation.task_id"""
_CHOSEN = "model = :model AND task = :task AND selection = :selection AND operation = :operation"


def _of_gain(gain: float | None) -> str:
    return " AND gain IS NULL" if gain is None else " AND gain = :gain"


def ablated(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return ``selection``, ``operation``, ``gain``, ``n_targets``, ``n_neurons`` (mean): a row a setting."""
    return frame(
        engine,
        f"""
        SELECT ablation.selection, ablation.operation, ablation.gain, COUNT(*) AS n_targets,
               AVG(ablation.n_neurons) AS n_neurons{_ABLATION}
        WHERE model.name = :model AND task.name = :task
        GROUP BY ablation.selection, ablation.operation, ablation.gain
        ORDER BY ablation.selection, ablation.operation, ablation.gain NULLS FIRST
        """,
        model=model,
        task=task,
    )


def effects(
    engine: Engine, model: str, task: str, selection: str, operation: str, gain: float | None = None
) -> pd.DataFrame:
    """Return the view ``ablation_effects`` for one way to choose and change neurons, target by target."""
    return frame(
        engine,
        f"""
        SELECT * FROM ablation_effects
        WHERE {_CHOSEN}{_of_gain(gain)}
        ORDER BY ablation_id, affected_class NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
        operation=operation,
        gain=gain,
    )


def own_effects(engine: Engine, model: str, task: str, selection: str) -> pd.DataFrame:
    """Return, for all operations and gains, what each target did to its own class, and to all test clips (NaN)."""
    return frame(
        engine,
        """
        SELECT target, affected_class, operation, gain, n_neurons, n_clips, accuracy_unablated, accuracy_ablated,
               delta, ci_low, ci_high, q_value, control_delta_mean, control_delta_low, control_delta_high, n_controls
        FROM ablation_effects
        WHERE model = :model AND task = :task AND selection = :selection
          AND (affected_class = target OR affected_class IS NULL)
        ORDER BY target, operation, gain NULLS FIRST, affected_class NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
    )


# More than six: all that the page's address narrows the rows by.
def controls(
    engine: Engine,
    model: str,
    task: str,
    selection: str,
    operation: str,
    gain: float | None = None,
    target: str | None = None,
    whole: bool = False,
) -> pd.DataFrame:
    """Return how many random controls did what, beside each target's effect on its own class.

    Or, with ``target``, beside its effects on all classes; or, ``whole``, beside each target's on all test clips.

    Returns
    -------
    DataFrame
        ``target``, ``affected_class`` (NaN = all test clips), ``delta``, ``n_draws``.
    """
    rows = "ablation_effect.class_id IS NULL" if whole else "task_class.name = ablation.target"
    if target is not None:
        rows = "ablation.target = :target"
    draws = frame(
        engine,
        f"""
        SELECT ablation.target, task_class.name AS affected_class, ablation_control.delta,
               COUNT(*) AS n_draws{_ABLATION}
        JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
        JOIN ablation_control ON ablation_control.ablation_id = ablation.id
            AND ablation_control.position = ablation_effect.position
        LEFT JOIN task_class ON task_class.id = ablation_effect.class_id
        WHERE model.name = :model AND task.name = :task AND ablation.selection = :selection
          AND ablation.operation = :operation{_of_gain(gain).replace("gain", "ablation.gain", 1)} AND {rows}
        GROUP BY ablation.target, task_class.name, ablation_control.delta
        ORDER BY ablation.target, task_class.name NULLS FIRST, ablation_control.delta NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
        operation=operation,
        gain=gain,
        target=target,
    )
    return draws.astype({"n_draws": int})


# More than six: all that the page's address narrows the rows by.
def flips(
    engine: Engine, model: str, task: str, selection: str, operation: str, gain: float | None, target: str
) -> pd.DataFrame:
    """Return the view ``ablation_flips`` of one target, and ``root``, the dataset's folder."""
    return frame(
        engine,
        f"""
        SELECT ablation_flips.*, dataset.root
        FROM ablation_flips JOIN dataset ON dataset.name = ablation_flips.dataset
        WHERE {_CHOSEN}{_of_gain(gain)} AND target = :target
        ORDER BY clip_id, true_class NULLS FIRST
        """,
        model=model,
        task=task,
        selection=selection,
        operation=operation,
        gain=gain,
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
        """
        SELECT * FROM ablation_specificity WHERE model = :model AND task = :task
        ORDER BY selection, operation, gain NULLS FIRST
        """,
        model=model,
        task=task,
    )


def attribution(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return ``n_clips``, ``n_checked``, ``n_clips_checked``, ``spearman_all``, ``_random``, ``_highest``: one row."""
    return frame(
        engine,
        """
        SELECT attribution.n_clips, attribution.n_checked, attribution.n_clips_checked, attribution.spearman_all,
               attribution.spearman_random, attribution.spearman_highest
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
        """
        SELECT class_name, layer, neuron, attribution, measured, in_highest FROM attribution_checks
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
