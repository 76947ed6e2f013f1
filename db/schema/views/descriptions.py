"""Views of units in words."""

from __future__ import annotations

_OF = """
FROM describing
JOIN model ON model.id = describing.model_id
JOIN dataset ON dataset.id = describing.dataset_id
JOIN {table} ON {table}.describing_id = describing.id
JOIN neuron ON neuron.id = {table}.neuron_id"""

DESCRIPTION_VIEWS: dict[str, str] = {
    "unit_descriptions": f"""
SELECT model.encoder AS model, model.unit_kind, neuron.layer, neuron.neuron AS unit, unit_description.description,
       unit_description.author, unit_description.correlation, unit_description.average_precision, unit_description.f1,
       unit_description.iou, unit_description.null_correlation_high, unit_description.beats_null,
       describing.created_at, dataset.name AS dataset{_OF.format(table="unit_description")}""",
    "unit_explanations": f"""
SELECT model.encoder AS model, model.unit_kind, dataset.name AS dataset, neuron.layer, neuron.neuron AS unit,
       unit_explanation.n_terms, unit_explanation.by_classes, unit_explanation.by_descriptors,
       unit_explanation.by_both, unit_explanation.by_level, unit_explanation.validated,
       unit_explanation.validated_high, describing.n_clips, describing.n_held_out,
       describing.n_shifts{_OF.format(table="unit_explanation")}""",
}
