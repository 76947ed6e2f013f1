"""Reads of what a single neuron's numbers are worth, and of the neurons like it.

Every table is entered by its key: a neuron's rows lie together, whatever the size of the store.
"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame, only_if
from db.reads.keys import ATTRIBUTION_ID, MODEL_TASK_ID, NEURON_ID, SELECTION_ID
from db.schema.evidence import NeuronAttribution, NeuronConfound, SelectorScore
from db.schema.study import out_of_units

SELECTORS = ("mad", "cas", "auroc", "d_prime", "selectivity_index")
"""The selectors whose scores are stored, and how many times the score the table holds."""


def clip_datasets(engine: Engine, model: str) -> list[str]:
    """Return the datasets whose clips were ranked for a model's neurons."""
    rows = frame(
        engine,
        """
        SELECT dataset.name AS dataset
        FROM model_dataset
        JOIN model ON model.id = model_dataset.model_id
        JOIN dataset ON dataset.id = model_dataset.dataset_id
        WHERE model.name = :model
        ORDER BY dataset.name
        """,
        model=model,
    )
    return [str(name) for name in rows["dataset"]]


def task_classes(engine: Engine, model: str, task: str) -> list[str]:
    """Return the classes of a task that a model was scored on, in the task's order."""
    rows = frame(
        engine,
        f"""
        SELECT task_class.name AS class_name
        FROM class_total JOIN task_class ON task_class.id = class_total.class_id
        WHERE class_total.model_task_id = {MODEL_TASK_ID}
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
    )
    return [str(name) for name in rows["class_name"]]


def specific_neurons(engine: Engine, model: str, task: str, preset: str, class_name: str | None = None) -> pd.DataFrame:
    """Return a task's class-specific neurons (of ``class_name``, if given).

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``p_value`` (the lowest), ``lift`` (the highest): a row a neuron.
    """
    of_class = "task_class.name = :class_name"
    return frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron, MIN(class_specific_neuron.p_value) AS p_value,
               MAX(class_specific_neuron.lift) AS lift
        FROM class_specific_neuron
        JOIN neuron ON neuron.id = class_specific_neuron.neuron_id
        JOIN task_class ON task_class.id = class_specific_neuron.class_id
        WHERE class_specific_neuron.selection_id = {SELECTION_ID}{only_if(class_name, of_class)}
        GROUP BY neuron.layer, neuron.neuron
        ORDER BY neuron.layer, neuron.neuron
        """,
        model=model,
        task=task,
        preset=preset,
        class_name=class_name,
    )


# More than six: all that the page's address narrows the rows by.
def selector_scores(
    engine: Engine, model: str, task: str, layer: int, neuron: int, classes: tuple[str, ...], step: int = 1
) -> pd.DataFrame:
    """Return the other selectors' scores of one neuron for some classes, and where they place it.

    Parameters
    ----------
    classes : tuple of str
    step : int
        The neuron is placed among every ``step``-th of the model, itself aside. (A model's ids are consecutive,
        and stand in the index: the rows of the neurons need not be read.)

    Returns
    -------
    DataFrame
        ``class_name``, each of `SELECTORS`, ``<selector>_below`` (how many of the compared neurons score lower)
        and ``n_compared`` (those that fire at all).
    """
    scores = out_of_units(SelectorScore, " ".join(SELECTORS)).replace("selector_score.", "own.")
    below = ", ".join(
        f"SUM(CASE WHEN other.{name} < own.{name} THEN 1 ELSE 0 END) AS {name}_below" for name in SELECTORS
    )
    statement = text(
        f"""
        SELECT task_class.name AS class_name, {scores}, {below}, COUNT(other.auroc) AS n_compared
        FROM selector_score AS own
        JOIN task_class ON task_class.id = own.class_id
        JOIN neuron AS this ON this.id = own.neuron_id
        JOIN model AS whole ON whole.id = this.model_id
        LEFT JOIN neuron AS compared ON compared.model_id = this.model_id
            AND (compared.id - whole.first_neuron_id) % :step = 0 AND compared.id <> this.id
        LEFT JOIN selector_score AS other ON other.model_task_id = own.model_task_id
            AND other.neuron_id = compared.id AND other.class_id = own.class_id
        WHERE own.model_task_id = {MODEL_TASK_ID} AND own.neuron_id = {NEURON_ID} AND task_class.name IN :classes
        GROUP BY task_class.name, {", ".join(f"own.{name}" for name in SELECTORS)}
        """
    ).bindparams(bindparam("classes", expanding=True))
    rows = frame(
        engine, statement, model=model, task=task, layer=layer, neuron=neuron, classes=list(classes), step=step
    )
    order = {name: place for place, name in enumerate(classes)}
    return rows.sort_values("class_name", key=lambda names: names.map(order), ignore_index=True)


def confounds(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return ``task``, ``n_clips``, ``rho_level``, ``rho_duration``, ``rho_silence`` of one neuron."""
    return frame(
        engine,
        f"""
        SELECT task.name AS task, model_task.n_clips,
               {out_of_units(NeuronConfound, "rho_level rho_duration rho_silence")}
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN neuron_confound ON neuron_confound.model_task_id = model_task.id
            AND neuron_confound.neuron_id = {NEURON_ID}
        WHERE model.name = :model
        ORDER BY task.name
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def attribution(engine: Engine, model: str, task: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return ``class_name``, ``attribution``, ``standard_error`` (logits) and ``n_clips``, the largest first."""
    return frame(
        engine,
        f"""
        SELECT task_class.name AS class_name,
               {out_of_units(NeuronAttribution, "attribution standard_error")},
               neuron_attribution_value.n_clips
        FROM neuron_attribution_value
        JOIN task_class ON task_class.id = neuron_attribution_value.class_id
        WHERE neuron_attribution_value.attribution_id = {ATTRIBUTION_ID}
          AND neuron_attribution_value.neuron_id = {NEURON_ID}
        ORDER BY ABS(neuron_attribution_value.attribution) DESC NULLS LAST, task_class.position
        """,
        model=model,
        task=task,
        layer=layer,
        neuron=neuron,
    )


def attribution_check(engine: Engine, model: str, task: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return ``class_name``, ``attribution`` and ``measured`` (logits), ``n_clips``; empty if it was not taken out."""
    return frame(
        engine,
        f"""
        SELECT task_class.name AS class_name, attribution_check_value.attribution, attribution_check_value.measured,
               attribution.n_clips_checked AS n_clips
        FROM attribution_check_value
        JOIN attribution ON attribution.id = attribution_check_value.attribution_id
        JOIN task_class ON task_class.id = attribution_check_value.class_id
        WHERE attribution_check_value.attribution_id = {ATTRIBUTION_ID}
          AND attribution_check_value.neuron_id = {NEURON_ID}
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
        layer=layer,
        neuron=neuron,
    )


def tuning(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return ``task`` and the measures of the view ``neuron_tuning``; a row a pitch task where it is tuned."""
    return frame(
        engine,
        f"""
        SELECT task.name AS task, preferred_pitch, preferred_low, preferred_high, bandwidth_semitones, bandwidth_low,
               bandwidth_high, octave_equivalence_index, oei_low, oei_high
        FROM model_task
        JOIN model ON model.id = model_task.model_id
        JOIN task ON task.id = model_task.task_id
        JOIN pitch_tuning ON pitch_tuning.model_task_id = model_task.id AND pitch_tuning.neuron_id = {NEURON_ID}
        WHERE model.name = :model
        ORDER BY task.name
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def preferences(engine: Engine, model: str, task: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return ``class_name``, ``log_odds``, ``ci_low``, ``ci_high`` of one neuron, in the order of the classes."""
    return frame(
        engine,
        f"""
        SELECT task_class.name AS class_name, neuron_preference.log_odds, neuron_preference.ci_low,
               neuron_preference.ci_high
        FROM neuron_preference
        JOIN task_class ON task_class.id = neuron_preference.class_id
        WHERE neuron_preference.model_task_id = {MODEL_TASK_ID} AND neuron_preference.neuron_id = {NEURON_ID}
        ORDER BY task_class.position
        """,
        model=model,
        task=task,
        layer=layer,
        neuron=neuron,
    )


# More than six: all that the page's address narrows the rows by.
def alike(engine: Engine, model: str, task: str, preset: str, layer: int, neuron: int, limit: int) -> pd.DataFrame:
    """Return sums over classes from which to tell how alike other neurons' profiles are.

    Compared are firing neurons that share this one's highest class, then others that the preset finds
    class-specific in the task; of each kind those of the lowest entropy first.

    Parameters
    ----------
    limit : int
        The most neurons to compare.

    Returns
    -------
    DataFrame
        ``neuron_id``, ``layer``, ``neuron``, ``top_class``, and over the classes ``n``, ``sum_x``, ``sum_xx``,
        ``sum_xy``, ``sum_y``, ``sum_yy``: ``x`` the other's activation probability, ``y`` this one's.
    """
    among = f"""
            SELECT neuron_entropy.neuron_id, neuron_entropy.top_class_id
            FROM neuron_entropy
            WHERE neuron_entropy.model_task_id = {MODEL_TASK_ID} AND neuron_entropy.entropy_rank IS NOT NULL
              AND neuron_entropy.neuron_id <> {NEURON_ID}
              AND (neuron_entropy.top_class_id = (SELECT top_class_id FROM this)
                   OR neuron_entropy.neuron_id IN (
                       SELECT class_specific_neuron.neuron_id FROM class_specific_neuron
                       WHERE class_specific_neuron.selection_id = {SELECTION_ID}))
            ORDER BY CASE WHEN neuron_entropy.top_class_id = (SELECT top_class_id FROM this) THEN 0 ELSE 1 END,
                     neuron_entropy.entropy_rank
            LIMIT :limit"""
    return _power_sums(engine, among, model=model, task=task, preset=preset, layer=layer, neuron=neuron, limit=limit)


def any_profiles(engine: Engine, model: str, task: str, layer: int, neuron: int, step: int) -> pd.DataFrame:
    """Return the sums of `alike` for every ``step``-th neuron of the model that fires: what chance gives."""
    among = f"""
            SELECT neuron_entropy.neuron_id, neuron_entropy.top_class_id
            FROM neuron
            JOIN model ON model.id = neuron.model_id
            JOIN neuron_entropy ON neuron_entropy.neuron_id = neuron.id
                AND neuron_entropy.model_task_id = {MODEL_TASK_ID} AND neuron_entropy.entropy_rank IS NOT NULL
            WHERE model.name = :model AND neuron.flat_index % :step = 0 AND neuron.id <> {NEURON_ID}"""
    return _power_sums(engine, among, model=model, task=task, layer=layer, neuron=neuron, step=step)


def _power_sums(engine: Engine, among: str, **given: object) -> pd.DataFrame:
    return frame(
        engine,
        f"""
        WITH this AS (
            SELECT neuron_entropy.top_class_id FROM neuron_entropy
            WHERE neuron_entropy.model_task_id = {MODEL_TASK_ID} AND neuron_entropy.neuron_id = {NEURON_ID}
        ), own AS MATERIALIZED (
            SELECT activation_probability.class_id, CAST(1 AS DOUBLE PRECISION) / class_total.token_count AS unit,
                   CAST(activation_probability.positive_count AS DOUBLE PRECISION) / class_total.token_count AS y
            FROM activation_probability
            JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
                AND class_total.class_id = activation_probability.class_id AND class_total.token_count > 0
            WHERE activation_probability.model_task_id = {MODEL_TASK_ID}
              AND activation_probability.neuron_id = {NEURON_ID}
        ), among AS MATERIALIZED ({among}
        ), summed AS (
            SELECT other.neuron_id, COUNT(*) AS n, SUM(other.positive_count * own.unit) AS sum_x,
                   SUM(other.positive_count * own.unit * other.positive_count * own.unit) AS sum_xx,
                   SUM(other.positive_count * own.unit * own.y) AS sum_xy, SUM(own.y) AS sum_y,
                   SUM(own.y * own.y) AS sum_yy
            FROM among
            CROSS JOIN activation_probability AS other
            CROSS JOIN own
            WHERE other.model_task_id = {MODEL_TASK_ID} AND other.neuron_id = among.neuron_id
              AND other.class_id = own.class_id
            GROUP BY other.neuron_id
        )
        SELECT summed.neuron_id, neuron.layer, neuron.neuron, task_class.name AS top_class, n, sum_x, sum_xx, sum_xy,
               sum_y, sum_yy
        FROM summed
        JOIN among ON among.neuron_id = summed.neuron_id
        JOIN neuron ON neuron.id = summed.neuron_id
        LEFT JOIN task_class ON task_class.id = among.top_class_id
        ORDER BY neuron.layer, neuron.neuron
        """,
        **given,
    )


def profiles(engine: Engine, model: str, task: str, neuron_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return ``layer``, ``neuron``, ``class_name``, ``activation_probability`` of some neurons, class by class."""
    statement = text(
        f"""
        SELECT neuron.layer, neuron.neuron, task_class.name AS class_name,
               CAST(activation_probability.positive_count AS DOUBLE PRECISION)
                   / NULLIF(class_total.token_count, 0) AS activation_probability
        FROM activation_probability
        JOIN neuron ON neuron.id = activation_probability.neuron_id
        JOIN class_total ON class_total.model_task_id = activation_probability.model_task_id
            AND class_total.class_id = activation_probability.class_id
        JOIN task_class ON task_class.id = activation_probability.class_id
        WHERE activation_probability.model_task_id = {MODEL_TASK_ID} AND activation_probability.neuron_id IN :neuron_ids
        ORDER BY task_class.position, neuron.id
        """
    ).bindparams(bindparam("neuron_ids", expanding=True))
    return frame(engine, statement, model=model, task=task, neuron_ids=list(neuron_ids))
