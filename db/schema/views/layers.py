"""Views of what linear heads read from each layer; of the network, whichever units the run looked at beside."""

from __future__ import annotations

_OF_NETWORK = """
FROM layer_probe
JOIN model ON model.id = layer_probe.model_id
JOIN task ON task.id = layer_probe.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN {table} ON {table}.layer_probe_id = layer_probe.id"""

_SCORES = _OF_NETWORK.format(table="layer_probe_score") + "\n    AND layer_probe_score.layer IS NOT NULL"
_NAMES = "SELECT model.encoder AS model, dataset.name AS dataset, task.name AS task, model.unit_kind"
_SCORE = """layer_probe_score.layer, layer_probe_score.split, layer_probe_score.n_clips, layer_probe_score.accuracy,
       layer_probe_score.ci_low, layer_probe_score.ci_high, layer_probe_score.chance, layer_probe_score.metric"""

LAYER_VIEWS: dict[str, str] = {
    "layer_probes": f"""
{_NAMES},
       {_SCORE}, layer_probe_score.shuffled_high{_SCORES}
    AND layer_probe_score.class_id IS NULL""",
    "layer_probe_classes": f"""
{_NAMES}, task_class.name AS class_name,
       {_SCORE}{_SCORES}
JOIN task_class ON task_class.id = layer_probe_score.class_id""",
    "layer_weights": f"""
{_NAMES}, layer_weight.layer, layer_weight.weight, layer_weight.weight_low,
       layer_weight.weight_high{_OF_NETWORK.format(table="layer_weight")}""",
    "layer_summaries": f"""
{_NAMES}, layer_probe_score.n_clips, layer_probe_score.metric, layer_probe_score.chance,
       layer_probe.chosen_on, layer_probe.best_layer, layer_probe.best_accuracy, layer_probe.best_low,
       layer_probe.best_high, layer_probe.best_difference, layer_probe.best_difference_low,
       layer_probe.best_difference_high, layer_probe.weighted_accuracy, layer_probe.weighted_low,
       layer_probe.weighted_high, layer_probe.weighted_difference, layer_probe.weighted_difference_low,
       layer_probe.weighted_difference_high,
       layer_probe.shuffled{_SCORES}
    AND layer_probe_score.class_id IS NULL AND layer_probe_score.split = 'test' AND layer_probe_score.layer = -1""",
}
