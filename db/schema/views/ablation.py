"""Views of ablations: effects, what kind of effect, clips."""

from __future__ import annotations

from db.schema.ablation import AblationClip
from db.schema.study import out_of_units

_OF_ABLATION = """
FROM ablation
JOIN model ON model.id = ablation.model_id
JOIN task ON task.id = ablation.task_id
JOIN dataset ON dataset.id = task.dataset_id"""

_OF_CURVE = _OF_ABLATION.replace("ablation", "erasure_curve")

_JOINED = {
    "total": "log_prob",
    "shift": "shift",
    "selective": "selective",
    "discrimination": "auroc",
    "readable_offsets": "offsets",
    "readable_refit": "refit",
}
"""Outcome to the name of its join."""

_JOINS = "".join(
    f"""
LEFT JOIN ablation_outcome AS {alias} ON {alias}.ablation_id = ablation_effect.ablation_id
    AND {alias}.position = ablation_effect.position AND {alias}.outcome = '{outcome}'"""
    for outcome, alias in _JOINED.items()
)

_OF_CLIP = out_of_units(AblationClip, "log_prob delta_log_prob control_delta_log_prob delta_logit control_delta_logit")

ABLATION_VIEWS: dict[str, str] = {
    "ablation_effects": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection,
       ablation.target, task_class.name AS affected_class, ablation.gain, ablation.n_neurons,
       ablation_effect.n_clips, ablation_effect.accuracy_unablated,
       ablation_effect.accuracy_ablated, ablation_effect.delta, ablation_effect.ci_low,
       ablation_effect.ci_high, ablation_effect.p_value, ablation_effect.q_value,
       ablation_effect.control_delta_mean, ablation_effect.control_delta_low,
       ablation_effect.control_delta_high, ablation_effect.n_controls, ablation.id AS ablation_id,
       ablation.operation, ablation_effect.control_p_value, ablation_effect.beyond_control,
       ablation_effect.beyond_control_low, ablation_effect.beyond_control_high,
       ablation_effect.activity_control_delta_mean, ablation_effect.activity_control_delta_low,
       ablation_effect.activity_control_delta_high, ablation_effect.n_activity_controls,
       ablation_effect.group_ci_low, ablation_effect.group_ci_high, ablation_effect.n_heads,
       ablation_effect.delta_heads_low, ablation_effect.delta_heads_high,
       log_prob.change AS delta_log_prob, log_prob.change_low AS delta_log_prob_low,
       log_prob.change_high AS delta_log_prob_high, log_prob.control_mean AS control_log_prob_mean,
       log_prob.control_low AS control_log_prob_low, log_prob.control_high AS control_log_prob_high,
       log_prob.p_value AS log_prob_p_value, log_prob.q_value AS log_prob_q_value,
       shift.change AS shift, shift.change_low AS shift_low, shift.change_high AS shift_high,
       selective.change AS selective, selective.change_low AS selective_low, selective.change_high AS selective_high,
       selective.control_mean AS control_selective_mean, selective.control_low AS control_selective_low,
       selective.control_high AS control_selective_high, selective.p_value AS selective_p_value,
       selective.q_value AS selective_q_value,
       CASE WHEN selective.q_value < 0.05 AND selective.outside_controls = 1 THEN 1
            WHEN selective.q_value IS NOT NULL AND selective.outside_controls IS NOT NULL THEN 0 END AS holds,
       auroc.change AS delta_auroc, auroc.change_low AS delta_auroc_low, auroc.change_high AS delta_auroc_high,
       offsets.unablated + offsets.change AS readable_offsets, refit.unablated + refit.change AS readable_refit,
       selective.n_units, ablation.removed, ablation.control_removed{_OF_ABLATION}
JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
LEFT JOIN task_class ON task_class.id = ablation_effect.class_id{_JOINS}""",
    "ablation_outcomes": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection, ablation.target,
       task_class.name AS affected_class, ablation.operation, ablation.gain, ablation.n_neurons,
       ablation_outcome.outcome, ablation_effect.n_clips, ablation_outcome.n_units, ablation_outcome.unablated,
       ablation_outcome.change, ablation_outcome.change_low, ablation_outcome.change_high,
       ablation_outcome.control_mean, ablation_outcome.control_low, ablation_outcome.control_high,
       ablation_outcome.n_controls, ablation_outcome.outside_controls, ablation_outcome.beyond_control,
       ablation_outcome.beyond_low, ablation_outcome.beyond_high, ablation_outcome.p_value, ablation_outcome.q_value,
       ablation_outcome.n_heads, ablation_outcome.heads_low, ablation_outcome.heads_high{_OF_ABLATION}
JOIN ablation_effect ON ablation_effect.ablation_id = ablation.id
JOIN ablation_outcome ON ablation_outcome.ablation_id = ablation.id
    AND ablation_outcome.position = ablation_effect.position
LEFT JOIN task_class ON task_class.id = ablation_effect.class_id""",
    "ablation_flips": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection, ablation.target,
       ablation.operation, ablation.gain, ablation_flip.clip_id, clip.path, clip_label.value AS true_class,
       before.name AS predicted_before, after.name AS predicted_after{_OF_ABLATION}
JOIN ablation_flip ON ablation_flip.ablation_id = ablation.id
JOIN clip ON clip.id = ablation_flip.clip_id
JOIN task_class AS before ON before.id = ablation_flip.predicted_before
JOIN task_class AS after ON after.id = ablation_flip.predicted_after
LEFT JOIN clip_label ON clip_label.clip_id = clip.id AND clip_label.attribute_id = task.attribute_id""",
    "ablation_clips": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection, ablation.target,
       ablation.operation, ablation.gain, ablation_clip.clip_id, clip.path, clip_label.value AS true_class,
       {_OF_CLIP}{_OF_ABLATION}
JOIN ablation_clip ON ablation_clip.ablation_id = ablation.id
JOIN clip ON clip.id = ablation_clip.clip_id
LEFT JOIN clip_label ON clip_label.clip_id = clip.id AND clip_label.attribute_id = task.attribute_id""",
    "erasure_curves": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name,
       total.ranked_by AS "order", total.n_neurons, total.change AS delta_log_prob,
       total.change_low AS delta_log_prob_low, total.change_high AS delta_log_prob_high,
       total.control_mean AS control_log_prob_mean, total.control_low AS control_log_prob_low,
       total.control_high AS control_log_prob_high, auroc.change AS delta_auroc, auroc.change_low AS delta_auroc_low,
       auroc.change_high AS delta_auroc_high, auroc.control_mean AS control_auroc_mean,
       auroc.control_low AS control_auroc_low, auroc.control_high AS control_auroc_high, total.n_controls{_OF_CURVE}
JOIN erasure_point AS total ON total.erasure_curve_id = erasure_curve.id AND total.outcome = 'total'
JOIN task_class ON task_class.id = total.class_id
LEFT JOIN erasure_point AS auroc ON auroc.erasure_curve_id = erasure_curve.id AND auroc.outcome = 'discrimination'
    AND auroc.class_id = total.class_id AND auroc.ranked_by = total.ranked_by AND auroc.n_neurons = total.n_neurons""",
    "erasure_areas": f"""
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, task_class.name AS class_name,
       erasure_area.ranked_by AS "order", erasure_area.outcome, erasure_area.beyond_control AS area,
       erasure_area.beyond_low AS area_low, erasure_area.beyond_high AS area_high, erasure_area.p_value,
       erasure_area.outside_controls, erasure_area.halved_at, erasure_area.random_halved_at{_OF_CURVE}
JOIN erasure_area ON erasure_area.erasure_curve_id = erasure_curve.id
JOIN task_class ON task_class.id = erasure_area.class_id""",
}
