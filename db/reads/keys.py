"""Keys looked up by the names that a page asks for, as subqueries of a statement with these parameters."""

from __future__ import annotations

MODEL_ID = "(SELECT id FROM model WHERE name = :model)"
NEURON_ID = """(
            SELECT neuron.id FROM neuron JOIN model ON model.id = neuron.model_id
            WHERE model.name = :model AND neuron.layer = :layer AND neuron.neuron = :neuron
        )"""
MODEL_TASK_ID = """(
            SELECT model_task.id FROM model_task
            JOIN model ON model.id = model_task.model_id
            JOIN task ON task.id = model_task.task_id
            WHERE model.name = :model AND task.name = :task
        )"""
SELECTION_ID = f"""(
            SELECT selection.id FROM selection
            WHERE selection.preset = :preset AND selection.model_task_id = {MODEL_TASK_ID}
        )"""
ATTRIBUTION_ID = """(
            SELECT attribution.id FROM attribution
            JOIN model ON model.id = attribution.model_id
            JOIN task ON task.id = attribution.task_id
            WHERE model.name = :model AND task.name = :task
        )"""
CLASS_ID = """(
            SELECT task_class.id FROM task_class JOIN task ON task.id = task_class.task_id
            WHERE task.name = :task AND task_class.name = :class_name
        )"""
