"""Reads of made sounds; models by the names that pages and ``--model`` know them by."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame
from db.reads.keys import MODEL_ID, NEURON_ID
from db.schema.stimuli import TIMES, UnitFactor, UnitInvariance, UnitTuning
from db.schema.study import out_of_units

_SET_ID = f"(SELECT id FROM stimulus_set WHERE model_id = {MODEL_ID} AND name = :stimulus_set)"
_SHARES = out_of_units(UnitFactor, "alone joint shapley null_mean null_high trend kept")
_NAMED = """
        JOIN stimulus_factor ON stimulus_factor.stimulus_set_id = {table}.stimulus_set_id
            AND stimulus_factor.factor = {table}.factor"""
_BEST = """
        JOIN stimulus_level ON stimulus_level.stimulus_set_id = unit_factor.stimulus_set_id
            AND stimulus_level.factor = unit_factor.factor AND stimulus_level.level = unit_factor.best_level"""


def sets(engine: Engine, model: str) -> pd.DataFrame:
    """Return the sets that a model's units were asked with, a row a factor.

    Returns
    -------
    DataFrame
        ``stimulus_set``, ``factor`` (name), ``place``, ``unit_of_values``, ``is_ordered``, ``n_levels``, ``n_stimuli``,
        ``n_repetitions``, ``n_varying`` (units), ``n_permutations``, ``seed``, ``seconds_each``.
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor, stimulus_factor.factor AS place,
               stimulus_factor.unit_of_values, stimulus_factor.is_ordered, stimulus_factor.n_levels,
               stimulus_set.n_stimuli, stimulus_set.n_repetitions, stimulus_set.n_varying, stimulus_set.n_permutations,
               stimulus_set.seed, stimulus_set.seconds_each
        FROM stimulus_set
        JOIN stimulus_factor ON stimulus_factor.stimulus_set_id = stimulus_set.id
        WHERE stimulus_set.model_id = {MODEL_ID}
        ORDER BY stimulus_set.id, stimulus_factor.factor
        """,
        model=model,
    )


def levels(engine: Engine, model: str, stimulus_set: str) -> pd.DataFrame:
    """Return the levels of a set's factors: ``factor`` (name), ``level`` (place), ``label``, ``level_value``."""
    return frame(
        engine,
        f"""
        SELECT stimulus_factor.name AS factor, stimulus_level.level, stimulus_level.label, stimulus_level.level_value
        FROM stimulus_level{_NAMED.format(table="stimulus_level")}
        WHERE stimulus_level.stimulus_set_id = {_SET_ID}
        ORDER BY stimulus_level.factor, stimulus_level.level
        """,
        model=model,
        stimulus_set=stimulus_set,
    )


def layers(engine: Engine, model: str, stimulus_set: str) -> pd.DataFrame:
    """Return how many units of each layer a set's factors explain.

    Returns
    -------
    DataFrame
        ``factor`` (name), ``layer``, ``n_units`` (of the layer), ``n_varying``, ``n_found`` (q < 0.05), ``n_leading``
        (of them those that it explains most), ``null_mean``, ``null_high`` (as many by a permutation).
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_factor.name AS factor, stimulus_layer.layer, layer.width AS n_units, stimulus_layer.n_varying,
               stimulus_layer.n_found, stimulus_layer.n_leading, stimulus_layer.null_mean, stimulus_layer.null_high
        FROM stimulus_layer{_NAMED.format(table="stimulus_layer")}
        JOIN layer ON layer.model_id = {MODEL_ID} AND layer.layer = stimulus_layer.layer
        WHERE stimulus_layer.stimulus_set_id = {_SET_ID}
        ORDER BY stimulus_layer.factor, stimulus_layer.layer
        """,
        model=model,
        stimulus_set=stimulus_set,
    )


def ranked(engine: Engine, model: str, stimulus_set: str, factor: str, limit: int) -> pd.DataFrame:
    """Return the units of which a factor explains most, with q < 0.05, the most explained first.

    Returns
    -------
    DataFrame
        ``layer``, ``neuron``, ``alone``, ``joint``, ``shapley``, ``null_mean``, ``null_high``, ``trend``, ``p_value``,
        ``q_value``, ``best_level`` (its label), ``is_leading``, ``kept`` (least over the other factors).
    """
    return frame(
        engine,
        f"""
        SELECT neuron.layer, neuron.neuron, {_SHARES}, unit_factor.p_value, unit_factor.q_value,
               stimulus_level.label AS best_level, unit_factor.is_leading
        FROM unit_factor{_NAMED.format(table="unit_factor")}
        JOIN neuron ON neuron.id = unit_factor.neuron_id{_BEST}
        WHERE unit_factor.stimulus_set_id = {_SET_ID} AND stimulus_factor.name = :factor AND unit_factor.q_value < 0.05
        ORDER BY unit_factor.shapley DESC, unit_factor.neuron_id
        LIMIT :limit
        """,
        model=model,
        stimulus_set=stimulus_set,
        factor=factor,
        limit=limit,
    )


def of_all_units(engine: Engine, model: str) -> pd.DataFrame:
    """Return what the factors of made sounds are to every unit of a model.

    Returns
    -------
    DataFrame
        ``stimulus_set``, ``factor`` (names), ``neuron_index`` (flat), ``shapley``, ``q_value``, ``trend``,
        ``best_value``, ``kept`` (the least over the other factors; NaN where that was not looked at).
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor, neuron.flat_index AS neuron_index,
               {out_of_units(UnitFactor, "shapley")}, unit_factor.q_value, {out_of_units(UnitFactor, "trend kept")},
               stimulus_level.level_value AS best_value
        FROM stimulus_set
        JOIN unit_factor ON unit_factor.stimulus_set_id = stimulus_set.id{_NAMED.format(table="unit_factor")}
        JOIN neuron ON neuron.id = unit_factor.neuron_id{_BEST}
        WHERE stimulus_set.model_id = {MODEL_ID}
        ORDER BY stimulus_set.id, unit_factor.factor, unit_factor.neuron_id
        """,
        model=model,
    )


def of_unit(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return what each factor of each set is to one unit, set after set.

    Returns
    -------
    DataFrame
        ``stimulus_set``, ``factor`` (name), ``unit_of_values``, ``alone``, ``joint``, ``shapley``, ``null_mean``,
        ``null_high``, ``trend``, ``p_value``, ``q_value``, ``best_level`` (label), ``is_leading``.
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor, stimulus_factor.unit_of_values,
               {_SHARES}, unit_factor.p_value, unit_factor.q_value, stimulus_level.label AS best_level,
               unit_factor.is_leading
        FROM stimulus_set
        JOIN unit_factor ON unit_factor.stimulus_set_id = stimulus_set.id
            AND unit_factor.neuron_id = {NEURON_ID}{_NAMED.format(table="unit_factor")}{_BEST}
        WHERE stimulus_set.model_id = {MODEL_ID}
        ORDER BY stimulus_set.id, unit_factor.factor
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def invariance(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return whether a unit keeps its tuning over a factor at each level of another.

    Returns
    -------
    DataFrame
        ``stimulus_set``, ``factor``, ``other_factor`` (names), ``kept``, ``null_kept``, ``correlation``,
        ``null_correlation_high``.
    """
    shares = out_of_units(UnitInvariance, "kept null_kept correlation null_correlation_high")
    return frame(
        engine,
        f"""
        SELECT stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor, other.name AS other_factor, {shares}
        FROM stimulus_set
        JOIN unit_invariance_of ON unit_invariance_of.stimulus_set_id = stimulus_set.id
            AND unit_invariance_of.neuron_id = {NEURON_ID}{_NAMED.format(table="unit_invariance_of")}
        JOIN stimulus_factor AS other ON other.stimulus_set_id = stimulus_set.id
            AND other.factor = unit_invariance_of.other
        WHERE stimulus_set.model_id = {MODEL_ID}
        ORDER BY stimulus_set.id, stimulus_factor.factor, other.factor
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def kept(engine: Engine, model: str, stimulus_set: str) -> pd.DataFrame:
    """Return whether units keep their tuning over each factor of a set at each level of every other factor.

    Returns
    -------
    DataFrame
        ``factor``, ``other_factor`` (names), ``n_units`` (whose curves are kept), ``kept``, ``null_kept`` (means over
        them), ``share_alike`` (of them: curves more alike than 97.5 % of permuted labels give).
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_factor.name AS factor, other.name AS other_factor, COUNT(*) AS n_units,
               AVG(CAST(unit_invariance_of.kept AS DOUBLE PRECISION)) / {TIMES} AS kept,
               AVG(CAST(unit_invariance_of.null_kept AS DOUBLE PRECISION)) / {TIMES} AS null_kept,
               AVG(CAST(CASE WHEN unit_invariance_of.correlation > unit_invariance_of.null_correlation_high THEN 1
                   ELSE 0 END AS DOUBLE PRECISION)) AS share_alike
        FROM unit_invariance_of{_NAMED.format(table="unit_invariance_of")}
        JOIN stimulus_factor AS other ON other.stimulus_set_id = unit_invariance_of.stimulus_set_id
            AND other.factor = unit_invariance_of.other
        WHERE unit_invariance_of.stimulus_set_id = {_SET_ID}
        GROUP BY stimulus_factor.name, other.name, stimulus_factor.factor, other.factor
        ORDER BY stimulus_factor.factor, other.factor
        """,
        model=model,
        stimulus_set=stimulus_set,
    )


def tuning(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return a unit's tuning over every factor that has one.

    Returns
    -------
    DataFrame
        ``stimulus_set``, ``factor`` (name), ``is_ordered``, ``level`` (place), ``label``, ``level_value``, ``rate``,
        ``rate_low``, ``rate_high``, ``mean_activation``.
    """
    return frame(
        engine,
        f"""
        SELECT stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor, stimulus_factor.is_ordered,
               unit_tuning.level, stimulus_level.label, stimulus_level.level_value,
               {out_of_units(UnitTuning, "rate rate_low rate_high")}, unit_tuning.mean_activation
        FROM stimulus_set
        JOIN unit_tuning ON unit_tuning.stimulus_set_id = stimulus_set.id
            AND unit_tuning.neuron_id = {NEURON_ID}{_NAMED.format(table="unit_tuning")}
        JOIN stimulus_level ON stimulus_level.stimulus_set_id = stimulus_set.id
            AND stimulus_level.factor = unit_tuning.factor AND stimulus_level.level = unit_tuning.level
        WHERE stimulus_set.model_id = {MODEL_ID}
        ORDER BY stimulus_set.id, unit_tuning.factor, unit_tuning.level
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def answers(engine: Engine, model: str, task: str, preset: str) -> pd.DataFrame:
    """Return what made sounds say of the class-specific units of a task, by question and class.

    Returns
    -------
    DataFrame
        ``question``, ``class_name``, ``stimulus_set``, ``answer``, ``n_units``, ``n_answer``, ``share``, ``share_low``,
        ``share_high``, ``n_all``, ``n_all_answer``, ``share_all``, ``p_value``, ``q_value``.
    """
    return frame(
        engine,
        f"""
        SELECT question, class_name, stimulus_set, answer, n_units, n_answer, share, share_low, share_high, n_all,
               n_all_answer, share_all, p_value, q_value
        FROM confound_answer
        WHERE model_id = {MODEL_ID} AND preset = :preset AND task_id = (SELECT id FROM task WHERE name = :task)
        ORDER BY place
        """,
        model=model,
        task=task,
        preset=preset,
    )
