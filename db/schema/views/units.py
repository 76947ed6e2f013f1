"""Views of any unit: those of neurons for all kinds, with the kind beside the model; and partners in other models."""

from __future__ import annotations

from db.schema.matching import UnitPartner
from db.schema.study import out_of_units
from db.schema.units import UnitTwin

BAR = 0.7
"""Cosine from which on a unit counts as found again, as usual (Paulo and Belrose 2025, arXiv 2501.16615)."""

UNIT_VIEWS = {
    "unit_selectivity": "neuron_selectivity",
    "class_specific_units": "class_specific_neurons",
    "unit_coverage": "task_coverage",
    "unit_ablation_effects": "ablation_effects",
}
"""View of all kinds of unit to the view of neurons that it is like."""

UNITS = """
SELECT model.encoder AS model, model.unit_kind, neuron.layer, neuron.neuron AS unit,
       model.name AS model_name
FROM neuron
JOIN model ON model.id = neuron.model_id"""

ABOUT_UNITS = {
    "unit_coverage_by_layer": """
SELECT model.encoder AS model, model.unit_kind, dataset.name AS dataset, task.name AS task, selection.preset,
       selection_layer.layer, layer.width AS n_units, selection_layer.n_class_specific,
       selection_layer.null_n_class_specific_mean, selection_layer.null_n_class_specific_low,
       selection_layer.null_n_class_specific_high, model_task.n_classes, selection_layer.n_classes_covered,
       selection_layer.null_n_classes_covered_mean, selection_layer.null_n_classes_covered_low,
       selection_layer.null_n_classes_covered_high, selection_layer.replicated_share,
       selection_layer.replicated_share_all_pairs, selection.n_shuffles
FROM model_task
JOIN model ON model.id = model_task.model_id
JOIN task ON task.id = model_task.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN selection ON selection.model_task_id = model_task.id
JOIN selection_layer ON selection_layer.selection_id = selection.id
JOIN layer ON layer.model_id = model.id AND layer.layer = selection_layer.layer""",
    "autoencoders": """
SELECT model.encoder AS model, model.unit_kind, autoencoder.layer, autoencoder.n_features, autoencoder.origin,
       autoencoder.architecture, autoencoder.k, autoencoder.n_steps, autoencoder.seed, autoencoder.explained_variance,
       autoencoder.n_active, autoencoder.dead_share, autoencoder.n_tokens
FROM autoencoder
JOIN model ON model.id = autoencoder.model_id""",
    "reconstructions": """
SELECT model.encoder AS model, model.unit_kind, dataset.name AS dataset, task.name AS task, layer.layer, layer.n_clips,
       layer.accuracy, layer.accuracy_reconstructed, layer.accuracy_mean, layer.log_prob,
       layer.change_reconstructed, layer.change_reconstructed_low, layer.change_reconstructed_high,
       layer.change_mean, layer.change_mean_low, layer.change_mean_high,
       layer.recovered, layer.recovered_low, layer.recovered_high
FROM reconstruction
JOIN model ON model.id = reconstruction.model_id
JOIN task ON task.id = reconstruction.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN reconstructed_layer AS layer ON layer.reconstruction_id = reconstruction.id""",
    "unit_stability": f"""
SELECT model, unit_kind, layer, unit, cosine, is_mutual, null_cosine_high,
       CASE WHEN is_mutual = 1 AND cosine >= {BAR} THEN 1 ELSE 0 END AS found_again
FROM (
    SELECT model.encoder AS model, model.unit_kind, neuron.layer, neuron.neuron AS unit, unit_twin.is_mutual,
           {out_of_units(UnitTwin, "cosine null_cosine_high")}
    FROM unit_twin
    JOIN model ON model.id = unit_twin.model_id
    JOIN neuron ON neuron.id = unit_twin.neuron_id
) AS twins""",
}
"""Views that are of units alone."""


def of_neurons(select: str) -> str:
    """A view of all units, of neurons alone."""
    return select.replace("JOIN model ON ", "JOIN model ON model.unit_kind = 'mlp' AND ")


def of_units(select: str) -> str:
    """A view that tells models and neurons, in words of units."""
    told = select.replace("model.name AS model,", "model.encoder AS model, model.unit_kind,", 1)
    return told.replace("neuron.layer, neuron.neuron,", "neuron.layer, neuron.neuron AS unit,", 1)


_OF_MATCHING = """
FROM matching
JOIN model ON model.id = matching.model_id
JOIN model AS partner ON partner.id = matching.partner_model_id
JOIN dataset ON dataset.id = matching.dataset_id"""
_MODELS = """
SELECT model.encoder AS model, model.unit_kind, partner.encoder AS partner_model, partner.unit_kind AS partner_kind,
       dataset.name AS dataset,"""

PARTNER_VIEWS = {
    "unit_partners": f"""{_MODELS} neuron.layer, neuron.neuron AS unit,
       other.layer AS partner_layer, other.neuron AS partner_unit, unit_partner.is_partner, unit_partner.is_beyond,
       unit_partner.mutual, {out_of_units(UnitPartner, "correlation second null_high")},
       unit_partner.p_value, unit_partner.q_value,
       {out_of_units(UnitPartner, "held_out held_out_low held_out_high within within_low within_high")},
       unit_partner.within_p, unit_partner.within_q{_OF_MATCHING}
JOIN unit_partner ON unit_partner.matching_id = matching.id
JOIN neuron ON neuron.id = unit_partner.neuron_id
JOIN neuron AS other ON other.id = unit_partner.partner_id""",
    "matched_models": f"""{_MODELS} matching.n_matched,
       matching.n_partners, CAST(matching.n_partners AS DOUBLE PRECISION) / matching.n_matched AS share,
       matching.null_share, matching.null_share_high, matching.n_beyond,
       CAST(matching.n_beyond AS DOUBLE PRECISION) / matching.n_matched AS share_beyond, matching.n_clips,
       matching.n_held_out, matching.n_sampling_units, matching.dealt, matching.n_deals,
       matching.taken_out{_OF_MATCHING}""",
    "partner_shares": f"""{_MODELS} task.name AS task,
       selection.preset, task_class.name AS class_name, COUNT(*) AS n_units,
       CAST(SUM(unit_partner.is_partner) AS INTEGER) AS n_partners,
       CAST(SUM(unit_partner.is_partner) AS DOUBLE PRECISION) / COUNT(*) AS share,
       CAST(matching.n_partners AS DOUBLE PRECISION) / matching.n_matched AS share_of_all,
       matching.null_share, matching.null_share_high, CAST(SUM(unit_partner.is_beyond) AS INTEGER) AS n_beyond,
       CAST(SUM(unit_partner.is_beyond) AS DOUBLE PRECISION) / COUNT(*) AS share_beyond,
       CAST(matching.n_beyond AS DOUBLE PRECISION) / matching.n_matched AS share_beyond_of_all{_OF_MATCHING}
JOIN task ON task.dataset_id = matching.dataset_id
JOIN model_task ON model_task.model_id = matching.model_id AND model_task.task_id = task.id
JOIN selection ON selection.model_task_id = model_task.id
JOIN class_specific_neuron ON class_specific_neuron.selection_id = selection.id
JOIN unit_partner ON unit_partner.matching_id = matching.id
    AND unit_partner.neuron_id = class_specific_neuron.neuron_id
JOIN task_class ON task_class.id = class_specific_neuron.class_id
GROUP BY matching.id, model.id, partner.id, dataset.id, task.id, selection.id, task_class.id""",
}
"""Units of one model and those of another that respond alike."""
