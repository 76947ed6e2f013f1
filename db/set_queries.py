"""What the pipeline itself reads back: a dataset's clips, a model's sets of class-specific neurons."""

from __future__ import annotations

from sqlalchemy import Engine, select

from core.results import SpecificSet
from db import models as m


def stored_clips(engine: Engine, dataset: str) -> set[str]:
    """Paths of the clips that the store holds of a dataset."""
    with engine.connect() as connection:
        statement = select(m.Clip.path).join(m.Dataset, m.Dataset.id == m.Clip.dataset_id)
        return set(connection.execute(statement.where(m.Dataset.name == dataset)).scalars())


def specific_sets(engine: Engine, model: str) -> list[SpecificSet]:
    """Class-specific neurons of every task and preset of a model, classes without neurons included.

    Parameters
    ----------
    engine : Engine
    model : str

    Returns
    -------
    list of SpecificSet
        Ordered by preset and task; classes in their stored order.
    """
    with engine.connect() as connection:
        selections = connection.execute(
            select(m.Selection.id, m.Selection.preset, m.Task.name, m.ModelTask.id)
            .join(m.ModelTask, m.ModelTask.id == m.Selection.model_task_id)
            .join(m.Model, m.Model.id == m.ModelTask.model_id)
            .join(m.Task, m.Task.id == m.ModelTask.task_id)
            .where(m.Model.name == model)
            .order_by(m.Selection.preset, m.Task.name)
        ).all()
        sets = []
        for selection, preset, task, model_task in selections:
            classes = connection.execute(
                select(m.TaskClass.id, m.TaskClass.name)
                .join(m.ClassTotal, m.ClassTotal.class_id == m.TaskClass.id)
                .where(m.ClassTotal.model_task_id == model_task)
                .order_by(m.TaskClass.position)
            ).all()
            position = {key: i for i, (key, _) in enumerate(classes)}
            pairs = connection.execute(
                select(m.ClassSpecificNeuron.class_id, m.Neuron.flat_index)
                .join(m.Neuron, m.Neuron.id == m.ClassSpecificNeuron.neuron_id)
                .where(m.ClassSpecificNeuron.selection_id == selection)
            ).all()
            found = sorted((position[key], flat) for key, flat in pairs)
            sets.append(SpecificSet(preset, task, tuple(name for _, name in classes), tuple(found)))
    return sets
