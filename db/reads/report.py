"""What the report asks beyond `db.reads.study` and `db.reads.named`."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.reads.named import NAMED
from db.schema.views.study import of_clips


def named(engine: Engine, name: str) -> pd.DataFrame:
    """Return what one of `db.reads.named.NAMED` finds."""
    return frame(engine, NAMED[name][1])


def all_coverage(engine: Engine) -> pd.DataFrame:
    """Return the view ``task_coverage``, every preset, of tasks of clips."""
    return frame(engine, f"SELECT * FROM {of_clips('task_coverage')} ORDER BY preset, task, model")


def feature_probes(engine: Engine) -> pd.DataFrame:
    """Return what the linear head tells from the model's features, and from mere level, duration, silence, spectrum."""
    return frame(
        engine,
        """
        SELECT model, task, feature, group_name, metric, accuracy, ci_low, ci_high, chance, n_clips, mark, reason
        FROM confound_probes ORDER BY task, model, feature, group_name
        """,
    )


def specificities(engine: Engine) -> pd.DataFrame:
    """Return the view ``ablation_specificity``."""
    return frame(
        engine, "SELECT * FROM ablation_specificity ORDER BY model, task, selection, operation, gain NULLS FIRST"
    )


def tuning(engine: Engine) -> pd.DataFrame:
    """Return ``model``, ``task`` and the tuning of each pitch neuron."""
    return frame(
        engine,
        """
        SELECT model, task, preferred_pitch, bandwidth_semitones, octave_equivalence_index, oei_low, oei_high
        FROM neuron_tuning ORDER BY model, task, layer, neuron
        """,
    )


def preferences(engine: Engine) -> pd.DataFrame:
    """Return how many class-specific neurons fire more, or less, in each class, 20 classes a task at most."""
    return frame(
        engine,
        """
        SELECT neuron_preferences.model, neuron_preferences.task, class_name, COUNT(*) AS n_neurons,
               SUM(CASE WHEN ci_low > 0 THEN 1 ELSE 0 END) AS n_more,
               SUM(CASE WHEN ci_high < 0 THEN 1 ELSE 0 END) AS n_less
        FROM neuron_preferences
        WHERE neuron_preferences.task IN (SELECT task FROM task_coverage WHERE n_classes <= 20)
        GROUP BY neuron_preferences.model, neuron_preferences.task, class_name
        ORDER BY neuron_preferences.task, class_name, neuron_preferences.model
        """,
    )


def splits(engine: Engine) -> pd.DataFrame:
    """Return ``dataset``, ``split``, ``n_clips`` and ``seconds`` of audio."""
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, clip.split, COUNT(*) AS n_clips, SUM(clip.duration_seconds) AS seconds
        FROM clip JOIN dataset ON dataset.id = clip.dataset_id
        GROUP BY dataset.name, clip.split
        ORDER BY dataset.name, clip.split
        """,
    )


def own_effects(engine: Engine) -> pd.DataFrame:
    """Return what every class lost by its own neurons in accuracy, beside random sets, of ``ablation_effects``."""
    return frame(
        engine,
        """
        SELECT model, task, selection, operation, gain, target, n_neurons, n_clips, accuracy_unablated,
               accuracy_ablated, delta, ci_low, ci_high, q_value, control_delta_mean, control_delta_low,
               control_delta_high, n_controls
        FROM ablation_effects
        WHERE affected_class = target
        ORDER BY task, model, selection, operation, gain, target
        """,
    )


def own_outcomes(engine: Engine) -> pd.DataFrame:
    """Return what kind of effect every class had by its own neurons: total, shift, selective, offsets fitted again."""
    return frame(
        engine,
        """
        SELECT model, task, selection, operation, gain, target, affected_class, n_neurons, outcome, n_units, unablated,
               change, control_mean, n_controls, outside_controls, beyond_control, q_value
        FROM ablation_outcomes
        WHERE affected_class = target AND outcome IN ('total', 'shift', 'selective', 'readable_offsets')
        ORDER BY task, model, n_neurons, selection, operation, gain NULLS FIRST, target, outcome
        """,
    )


def n_effects(engine: Engine) -> int:
    """Return how many effects the view ``ablation_effects`` holds."""
    return int(frame(engine, "SELECT COUNT(*) AS n FROM ablation_effects")["n"].iloc[0])
