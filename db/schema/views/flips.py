"""The public view of clips that an ablation made the linear head call by another class."""

from __future__ import annotations

FLIP_VIEWS: dict[str, str] = {
    "ablation_flips": """
SELECT model.name AS model, dataset.name AS dataset, task.name AS task, ablation.selection, ablation.target,
       ablation.operation, ablation.gain, ablation_flip.clip_id, clip.path, clip_label.value AS true_class,
       before.name AS predicted_before, after.name AS predicted_after
FROM ablation
JOIN model ON model.id = ablation.model_id
JOIN task ON task.id = ablation.task_id
JOIN dataset ON dataset.id = task.dataset_id
JOIN ablation_flip ON ablation_flip.ablation_id = ablation.id
JOIN clip ON clip.id = ablation_flip.clip_id
JOIN task_class AS before ON before.id = ablation_flip.predicted_before
JOIN task_class AS after ON after.id = ablation_flip.predicted_after
LEFT JOIN clip_label ON clip_label.clip_id = clip.id AND clip_label.attribute_id = task.attribute_id""",
}
