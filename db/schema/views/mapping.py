"""Views of maps of units."""

from __future__ import annotations

MAP_VIEWS: dict[str, str] = {
    "unit_map": """
SELECT model.encoder AS model, model.unit_kind, neuron.layer, neuron.neuron AS unit, unit_place.map_x,
       unit_place.map_y
FROM unit_place
JOIN model ON model.id = unit_place.model_id
JOIN neuron ON neuron.id = unit_place.neuron_id""",
    "unit_maps": """
SELECT model.encoder AS model, model.unit_kind, unit_map_facts.method, unit_map_facts.method_version,
       unit_map_facts.seed, unit_map_facts.datasets, unit_map_facts.n_clips, model.n_neurons AS n_units,
       (SELECT COUNT(*) FROM unit_place WHERE unit_place.model_id = model.id) AS n_placed,
       unit_map_facts.trustworthiness, unit_map_facts.trustworthiness_chance, unit_map_facts.n_neighbours,
       unit_map_facts.n_checked
FROM unit_map_facts
JOIN model ON model.id = unit_map_facts.model_id""",
}
