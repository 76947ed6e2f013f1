"""Views of made sounds."""

from __future__ import annotations

from db.schema.stimuli import UnitFactor, UnitInvariance, UnitTuning
from db.schema.study import out_of_units

_MODEL = "model.encoder AS model, model.unit_kind"
_FACTOR = "stimulus_set.name AS stimulus_set, stimulus_factor.name AS factor"
_OF_SET = """
FROM stimulus_set
JOIN model ON model.id = stimulus_set.model_id
JOIN stimulus_factor ON stimulus_factor.stimulus_set_id = stimulus_set.id"""
_OF_UNIT = (
    _OF_SET
    + """
JOIN {table} ON {table}.stimulus_set_id = stimulus_set.id AND {table}.factor = stimulus_factor.factor
JOIN neuron ON neuron.id = {table}.neuron_id"""
)
_LEVEL = """
JOIN stimulus_level ON stimulus_level.stimulus_set_id = stimulus_set.id
    AND stimulus_level.factor = stimulus_factor.factor"""
_KEPT = out_of_units(UnitInvariance, "kept null_kept correlation null_correlation_high")

STIMULUS_VIEWS: dict[str, str] = {
    "stimulus_sets": f"""
SELECT {_MODEL}, {_FACTOR}, stimulus_factor.unit_of_values, stimulus_factor.is_ordered, stimulus_factor.n_levels,
       stimulus_set.n_stimuli, stimulus_set.n_repetitions, stimulus_set.n_varying, stimulus_set.n_permutations,
       stimulus_set.seed, stimulus_set.seconds_each{_OF_SET}""",
    "stimulus_levels": f"""
SELECT {_MODEL}, {_FACTOR}, stimulus_level.level, stimulus_level.label, stimulus_level.level_value{_OF_SET}{_LEVEL}""",
    "stimulus_layers": f"""
SELECT {_MODEL}, {_FACTOR}, stimulus_layer.layer, stimulus_layer.n_varying, stimulus_layer.n_found,
       stimulus_layer.n_leading, stimulus_layer.null_mean, stimulus_layer.null_high{_OF_SET}
JOIN stimulus_layer ON stimulus_layer.stimulus_set_id = stimulus_set.id
    AND stimulus_layer.factor = stimulus_factor.factor""",
    "unit_factors": f"""
SELECT {_MODEL}, neuron.layer, neuron.neuron AS unit, {_FACTOR},
       {out_of_units(UnitFactor, "alone joint shapley null_mean null_high")}, unit_factor.p_value, unit_factor.q_value,
       stimulus_level.label AS best_level, stimulus_level.level_value AS best_value,
       {out_of_units(UnitFactor, "trend")}, unit_factor.is_leading,
       {out_of_units(UnitFactor, "kept")}{_OF_UNIT.format(table="unit_factor")}{_LEVEL}
    AND stimulus_level.level = unit_factor.best_level""",
    "stimulus_tuning": f"""
SELECT {_MODEL}, neuron.layer, neuron.neuron AS unit, {_FACTOR}, stimulus_level.level, stimulus_level.label,
       stimulus_level.level_value, {out_of_units(UnitTuning, "rate rate_low rate_high")},
       unit_tuning.mean_activation{_OF_UNIT.format(table="unit_tuning")}{_LEVEL}
    AND stimulus_level.level = unit_tuning.level""",
    "unit_invariance": f"""
SELECT {_MODEL}, neuron.layer, neuron.neuron AS unit, {_FACTOR}, other.name AS other_factor,
       {_KEPT}{_OF_UNIT.format(table="unit_invariance_of")}
JOIN stimulus_factor AS other ON other.stimulus_set_id = stimulus_set.id AND other.factor = unit_invariance_of.other""",
    "confound_answers": f"""
SELECT {_MODEL}, dataset.name AS dataset, task.name AS task, confound_answer.preset, confound_answer.class_name,
       confound_answer.question, confound_answer.stimulus_set, confound_answer.answer, confound_answer.n_units,
       confound_answer.n_answer, confound_answer.share, confound_answer.share_low, confound_answer.share_high,
       confound_answer.n_all, confound_answer.n_all_answer, confound_answer.share_all, confound_answer.p_value,
       confound_answer.q_value
FROM confound_answer
JOIN model ON model.id = confound_answer.model_id
JOIN task ON task.id = confound_answer.task_id
JOIN dataset ON dataset.id = task.dataset_id""",
}
