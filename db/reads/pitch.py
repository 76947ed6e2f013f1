"""Reads about pitch: which neurons are tuned, to what, and their curves."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame, only_if
from db.schema.views.study import of_any_units

_TUNED = """FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN selection ON selection.model_task_id = model_task.id
        JOIN pitch_tuning ON pitch_tuning.model_task_id = model_task.id
        JOIN neuron ON neuron.id = pitch_tuning.neuron_id
        WHERE model.name = :model AND task.name = :task AND selection.preset = :preset
          AND EXISTS (
              SELECT 1 FROM class_specific_neuron
              WHERE class_specific_neuron.selection_id = selection.id
                AND class_specific_neuron.neuron_id = pitch_tuning.neuron_id
          )"""


def tuned_tasks(engine: Engine, model: str) -> pd.DataFrame:
    """Return the tasks whose classes are MIDI notes and whose neurons' tuning is stored.

    Returns
    -------
    DataFrame
        ``dataset``, ``task``, ``n_clips``, ``n_classes``, ``shuffled`` (what a null deals anew).
    """
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, task.name AS task, model_task.n_clips, model_task.n_classes,
               model_task.shuffled
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN dataset ON dataset.id = task.dataset_id
        WHERE model.name = :model
          AND EXISTS (SELECT 1 FROM pitch_tuning WHERE pitch_tuning.model_task_id = model_task.id)
        ORDER BY task.name
        """,
        model=model,
    )


def notes(engine: Engine, model: str, task: str) -> pd.DataFrame:
    """Return ``class_name``, ``n_clips`` and ``token_count`` of each note of a task."""
    return frame(
        engine,
        """
        SELECT task_class.name AS class_name, class_total.n_clips, class_total.token_count
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN class_total ON class_total.model_task_id = model_task.id
        JOIN task_class ON task_class.id = class_total.class_id
        WHERE model.name = :model AND task.name = :task
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
    )


def preferred(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return how many of each layer's tuned neurons prefer each note.

    Returns
    -------
    DataFrame
        ``layer``, ``preferred_pitch`` (MIDI), ``n_neurons``.
    """
    return frame(
        engine,
        f"""
        SELECT neuron.layer, pitch_tuning.preferred_pitch, COUNT(*) AS n_neurons
        {_TUNED}
        GROUP BY neuron.layer, pitch_tuning.preferred_pitch
        ORDER BY neuron.layer, pitch_tuning.preferred_pitch
        """,
        model=model,
        task=task,
        preset=preset,
    )


def bandwidths(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return ``bandwidth`` (semitones, to the next quarter; NaN = unknown) and ``n_neurons``."""
    return frame(
        engine,
        f"""
        SELECT ROUND(CAST(pitch_tuning.bandwidth_semitones * 4 AS NUMERIC)) / 4 AS bandwidth, COUNT(*) AS n_neurons
        {_TUNED}
        GROUP BY ROUND(CAST(pitch_tuning.bandwidth_semitones * 4 AS NUMERIC)) / 4
        ORDER BY bandwidth NULLS FIRST
        """,
        model=model,
        task=task,
        preset=preset,
    ).astype({"bandwidth": "float64"})


def octave_indices(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return how the octave equivalence index is spread.

    Returns
    -------
    DataFrame
        ``octave_index`` (to the next tenth), ``verdict`` (where the interval lies: ``over 0``, ``under 0`` or
        ``includes 0``), ``n_neurons``; without the neurons whose index or interval is unknown.
    """
    return frame(
        engine,
        f"""
        SELECT ROUND(CAST(octave_equivalence_index * 10 AS NUMERIC)) / 10 AS octave_index,
               CASE WHEN oei_low > 0 THEN 'over 0' WHEN oei_high < 0 THEN 'under 0' ELSE 'includes 0' END AS verdict,
               COUNT(*) AS n_neurons
        {_TUNED}
          AND octave_equivalence_index IS NOT NULL AND oei_low IS NOT NULL
        GROUP BY ROUND(CAST(octave_equivalence_index * 10 AS NUMERIC)) / 10,
                 CASE WHEN oei_low > 0 THEN 'over 0' WHEN oei_high < 0 THEN 'under 0' ELSE 'includes 0' END
        ORDER BY octave_index, verdict
        """,
        model=model,
        task=task,
        preset=preset,
    ).astype({"octave_index": "float64"})


_N_OVER_HALF = """(
            SELECT COUNT(*) FROM activation_probability
            JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
                AND class_total.class_id = activation_probability.class_id
            WHERE activation_probability.model_task_id = pitch_tuning.model_task_id
              AND activation_probability.neuron_id = pitch_tuning.neuron_id
              AND 2 * activation_probability.positive_count
                  > (pitch_tuning.peak_rate + pitch_tuning.floor_rate) * class_total.token_count
        )"""
"""Notes over half height, wherever they lie: the bandwidth is that of the highest peak alone."""
ORDERS = {
    "clearest": "peak_rate - floor_rate DESC",
    "sharpest": "CASE WHEN bandwidth_high IS NULL THEN 1 ELSE 0 END, n_over_half, bandwidth_semitones NULLS FIRST,"
    " peak_rate - floor_rate DESC",
    "octaves": "CASE WHEN oei_low IS NULL THEN 1 ELSE 0 END, oei_low DESC",
}
"""How `tuned_neurons` may be ordered."""


# More than six: all that the page's address narrows the rows by.
def tuned_neurons(
    engine: Engine, model: str, task: str, preset: str, order: str, note: int | None = None, limit: int = 200
) -> pd.DataFrame:
    """Return the tuned neurons that come first in one of `ORDERS`.

    Parameters
    ----------
    order : str
        ``clearest`` (largest swing of the curve), ``sharpest`` (fewest notes over half height, then narrowest), or
        ``octaves`` (lower end of the octave equivalence index's interval).
    note : int, optional
        Only those that prefer this MIDI note.
    limit : int

    Returns
    -------
    DataFrame
        ``layer``, ``neuron`` and the measures of the view ``neuron_tuning``.
    """
    rows = frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron, peak_rate, floor_rate, preferred_pitch, preferred_low, preferred_high,
               bandwidth_semitones, bandwidth_low, bandwidth_high, octave_equivalence_index, oei_low, oei_high,
               {_N_OVER_HALF if order == "sharpest" else "NULL"} AS n_over_half
        {_TUNED}{only_if(note, "pitch_tuning.preferred_pitch = :note")}
        ORDER BY {ORDERS[order]}, neuron.layer, neuron.neuron
        LIMIT :limit
        """,
        model=model,
        task=task,
        preset=preset,
        note=note,
        limit=limit,
    )
    return rows.drop(columns="n_over_half")


def preferred_pairs(engine: Engine, model: str, task_a: str, task_b: str, preset: str) -> pd.DataFrame:
    """Return what the neurons tuned in two tasks prefer in each.

    Returns
    -------
    DataFrame
        ``preferred_a``, ``preferred_b`` (MIDI notes), ``n_neurons``; of neurons that the preset finds class-specific
        for some note of both tasks.
    """
    return frame(
        engine,
        """
        SELECT a.preferred_pitch AS preferred_a, b.preferred_pitch AS preferred_b, COUNT(*) AS n_neurons
        FROM model
        JOIN task AS task_a ON task_a.name = :task_a
        JOIN task AS task_b ON task_b.name = :task_b
        JOIN model_task AS of_a ON of_a.model_id = model.id AND of_a.task_id = task_a.id
        JOIN model_task AS of_b ON of_b.model_id = model.id AND of_b.task_id = task_b.id
        JOIN selection AS by_a ON by_a.model_task_id = of_a.id AND by_a.preset = :preset
        JOIN selection AS by_b ON by_b.model_task_id = of_b.id AND by_b.preset = :preset
        JOIN pitch_tuning AS a ON a.model_task_id = of_a.id
        JOIN pitch_tuning AS b ON b.model_task_id = of_b.id AND b.neuron_id = a.neuron_id
        WHERE model.name = :model
          AND EXISTS (
              SELECT 1 FROM class_specific_neuron
              WHERE class_specific_neuron.selection_id = by_a.id
                AND class_specific_neuron.neuron_id = a.neuron_id
          )
          AND EXISTS (
              SELECT 1 FROM class_specific_neuron
              WHERE class_specific_neuron.selection_id = by_b.id
                AND class_specific_neuron.neuron_id = b.neuron_id
          )
        GROUP BY a.preferred_pitch, b.preferred_pitch
        ORDER BY a.preferred_pitch, b.preferred_pitch
        """,
        model=model,
        task_a=task_a,
        task_b=task_b,
        preset=preset,
    )


def curve(engine: Engine, model: str, tasks: tuple[str, ...], layer: int, neuron: int) -> pd.DataFrame:
    """Return one neuron's rate at every note of these tasks.

    Returns
    -------
    DataFrame
        ``task``, ``class_name``, ``activation_probability``.
    """
    statement = text(
        f"""
        SELECT task, class_name, activation_probability
        FROM {of_any_units("activation_probabilities")}
        WHERE model = :model AND task IN :tasks AND layer = :layer AND neuron = :neuron
        ORDER BY task, class_name
        """
    ).bindparams(bindparam("tasks", expanding=True))
    return frame(
        engine,
        statement,
        model=model,
        tasks=list(tasks),
        layer=layer,
        neuron=neuron,
    )


def note_neurons(engine: Engine, model: str, task: str, preset: str, class_name: str) -> pd.DataFrame:
    """Return the neurons that a preset finds class-specific for one note.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``activation_probability``, ``lift``, ``lift_low``, ``lift_high``, ``q_value``,
        ``replicated``.
    """
    return frame(
        engine,
        f"""
        SELECT layer, neuron, activation_probability, lift, lift_low, lift_high, q_value, replicated
        FROM {of_any_units("class_specific_neurons")}
        WHERE model = :model AND task = :task AND preset = :preset AND class_name = :class_name
        ORDER BY layer, neuron
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )
