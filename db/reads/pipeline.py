"""What the pipeline itself reads back: folders of datasets, what is scored, a model's class-specific neurons."""

from __future__ import annotations

import os

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import aliased

from core.results import SHUFFLED, ModelRecord, SpecificSet
from db.schema.descriptions import Describing, UnitDescription
from db.schema.scores import ClassSpecificNeuron, ClassTotal, ModelTask, Selection
from db.schema.stimuli import StimulusSet
from db.schema.study import Attribute, ClipLabel, Dataset, Layer, Model, Neuron, Stage, Task, TaskClass


def dataset_folders(engine: Engine) -> dict[str, str]:
    """Where each dataset of the store lay when it was last studied, and its name; where it lies if both were moved.

    One that was studied with shuffled labels alone has its own name, not that of the null.
    """
    with engine.connect() as connection:
        rows = connection.execute(select(Dataset.root, Dataset.name, Dataset.root_from_store)).all()
    rows = sorted(rows, key=lambda row: not row.name.startswith(SHUFFLED))  # the others have the last word
    folders = {row.root: _own_name(row.name, row.root) for row in rows}
    if engine.dialect.name == "sqlite":
        store = os.path.dirname(os.path.realpath(str(engine.url.database)))
        beside = {
            os.path.realpath(os.path.join(store, row.root_from_store)): _own_name(row.name, row.root)
            for row in rows
            if row.root_from_store
        }
        folders |= {place: name for place, name in beside.items() if place not in folders and os.path.isdir(place)}
    return folders


def _own_name(name: str, root: str) -> str:
    return name if os.path.basename(root).startswith(SHUFFLED) else name.removeprefix(SHUFFLED)


def scored_tasks(engine: Engine) -> set[tuple[str, str]]:
    """The (model, task) pairs of which the store has scores."""
    pairs = select(Model.name, Task.name).join(ModelTask, ModelTask.model_id == Model.id)
    with engine.connect() as connection:
        return {(model, task) for model, task in connection.execute(pairs.join(Task, Task.id == ModelTask.task_id))}


def stored_models(engine: Engine) -> list[ModelRecord]:
    """Every model of the store, with its weights' key, the widths of its layers and its kind of unit."""
    wanted = select(Model.id, Model.name, Model.weights_key, Model.sample_rate, Model.unit_kind, Model.encoder)
    widths = select(Layer.model_id, Layer.width).order_by(Layer.model_id, Layer.layer)
    of_model: dict[int, list[int]] = {}
    with engine.connect() as connection:
        for model_id, width in connection.execute(widths):
            of_model.setdefault(model_id, []).append(width)
        return [
            ModelRecord(name, key, tuple(of_model.get(model_id, ())), rate, unit_kind=kind, encoder=encoder)
            for model_id, name, key, rate, kind, encoder in connection.execute(wanted.order_by(Model.id))
        ]


def described_units(engine: Engine, model: str, dataset: str) -> dict[int, str]:
    """By unit (flat index) the terms of the description that was found over a dataset."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(Neuron.flat_index, UnitDescription.predicts)
            .join(UnitDescription, UnitDescription.neuron_id == Neuron.id)
            .join(Describing, Describing.id == UnitDescription.describing_id)
            .join(Model, Model.id == Describing.model_id)
            .join(Dataset, Dataset.id == Describing.dataset_id)
            .where(Model.name == model, Dataset.name == dataset, Describing.source == "atlas")
        )
        return {int(flat): str(terms) for flat, terms in rows}


def task_attributes(engine: Engine) -> dict[str, str]:
    """Every task, and the attribute that it reads."""
    statement = select(Task.name, Attribute.name).join(Attribute, Attribute.id == Task.attribute_id)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(statement.order_by(Task.name))}


def stimulus_stamps(engine: Engine, model: str) -> list[str]:
    """Of each set of made sounds that a model's units were asked with, its name and the key of the stage."""
    statement = (
        select(StimulusSet.name, Stage.key)
        .join(Model, Model.id == StimulusSet.model_id)
        .join(Stage, Stage.id == StimulusSet.stage_id)
        .where(Model.name == model)
        .order_by(StimulusSet.name)
    )
    with engine.connect() as connection:
        return [f"{name} {key}" for name, key in connection.execute(statement)]


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
    nested = _nested_classes(engine)
    with engine.connect() as connection:
        selections = connection.execute(
            select(Selection.id, Selection.preset, Task.name, ModelTask.id)
            .join(ModelTask, ModelTask.id == Selection.model_task_id)
            .join(Model, Model.id == ModelTask.model_id)
            .join(Task, Task.id == ModelTask.task_id)
            .where(Model.name == model)
            .order_by(Selection.preset, Task.name)
        ).all()
        sets = []
        for selection, preset, task, model_task in selections:
            classes = connection.execute(
                select(TaskClass.id, TaskClass.name)
                .join(ClassTotal, ClassTotal.class_id == TaskClass.id)
                .where(ClassTotal.model_task_id == model_task)
                .order_by(TaskClass.position)
            ).all()
            position = {key: i for i, (key, _) in enumerate(classes)}
            pairs = connection.execute(
                select(ClassSpecificNeuron.class_id, Neuron.flat_index)
                .join(Neuron, Neuron.id == ClassSpecificNeuron.neuron_id)
                .where(ClassSpecificNeuron.selection_id == selection)
            ).all()
            members = sorted((position[key], flat) for key, flat in pairs)
            names = tuple(name for _, name in classes)
            within = nested.get(task, set())
            sets.append(SpecificSet(preset, task, names, tuple(members), _positions(names, within)))
    return sets


def _positions(names: tuple[str, ...], pairs: set[tuple[str, str]]) -> tuple[tuple[int, int], ...]:
    """Pairs of names as pairs of positions, the lower first."""
    position = {name: i for i, name in enumerate(names)}
    known = {(position[a], position[b]) for a, b in pairs if a in position and b in position}
    return tuple(sorted({(min(pair), max(pair)) for pair in known}))


def _nested_classes(engine: Engine) -> dict[str, set[tuple[str, str]]]:
    """For each task whose clips have several labels: (class, another that every clip of it has too)."""
    of_attribute = Task.attribute_id == ClipLabel.attribute_id
    other = aliased(ClipLabel)
    both = (other.clip_id == ClipLabel.clip_id) & (other.attribute_id == ClipLabel.attribute_id)
    sizes = select(Task.name, ClipLabel.value, func.count()).join(ClipLabel, of_attribute)
    together = (
        select(Task.name, ClipLabel.value, other.value, func.count())
        .join(ClipLabel, of_attribute)
        .join(other, both & (other.value != ClipLabel.value))
        .group_by(Task.name, ClipLabel.value, other.value)
    )
    nested: dict[str, set[tuple[str, str]]] = {}
    with engine.connect() as connection:
        met = connection.execute(together).all()
        size = {}
        if met:
            grouped = sizes.where(Task.name.in_({task for task, *_ in met})).group_by(Task.name, ClipLabel.value)
            size = {(task, name): n for task, name, n in connection.execute(grouped)}
    for task, inner, outer, n in met:
        if n == size[task, inner]:
            nested.setdefault(task, set()).add((inner, outer))
    return nested
