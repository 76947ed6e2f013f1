"""Views of any unit: those of neurons for all kinds, with the kind beside the model."""

from __future__ import annotations

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


def of_neurons(select: str) -> str:
    """A view of all units, of neurons alone."""
    return select.replace("JOIN model ON ", "JOIN model ON model.unit_kind = 'mlp' AND ")


def of_units(select: str) -> str:
    """A view that tells models and neurons, in words of units."""
    told = select.replace("model.name AS model,", "model.encoder AS model, model.unit_kind,", 1)
    return told.replace("neuron.layer, neuron.neuron,", "neuron.layer, neuron.neuron AS unit,", 1)
