"""Registering what is studied: models with their neurons, datasets with their clips."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from core.results import DatasetRecord, ModelRecord
from core.untrusted_text import quoted
from db.connection.open import StoreError
from db.connection.postgres import one_at_a_time, others_at_work
from db.schema.ablation import Ablation
from db.schema.descriptions import Describing
from db.schema.evidence import Attribution, Specificity
from db.schema.layers import LayerProbe
from db.schema.mapping import UnitMap
from db.schema.matching import Matching
from db.schema.scores import ModelTask, Probe, Sharing
from db.schema.segments import SegmentAttribute, SegmentStudy
from db.schema.sound import ActivationQuantile, ModelDataset
from db.schema.stimuli import ConfoundAnswers
from db.schema.study import Attribute, Clip, ClipLabel, Dataset, Layer, Model, Neuron, Problem, Stage, Task
from db.schema.units import Reconstruction
from db.writes.rows import bulk_insert, clips_of, column_names, insert_row, next_id
from db.writes.sound import write_grids


def write_model(connection: Connection, record: ModelRecord) -> int:
    """Insert or update a model; return its id.

    Raises
    ------
    StoreError
        If the store holds another model of that name.
    """
    one_at_a_time(connection)
    described = {**_described(Model, record), "encoder": record.encoder or record.name}
    stored = connection.execute(select(Model.id, Model.weights_key).where(Model.name == record.name)).first()
    if stored is not None:
        statement = select(Layer.width).where(Layer.model_id == stored.id)
        widths = connection.execute(statement.order_by(Layer.layer)).scalars()
        if stored.weights_key == record.weights_key and tuple(widths) == record.layer_widths:
            connection.execute(update(Model).where(Model.id == stored.id).values(**described))
            write_grids(connection, int(stored.id), record.grids)
            return int(stored.id)
        raise StoreError(
            f"the store holds results of '{record.name}' with other weights (sha256 {stored.weights_key[:12]}..., now "
            f"{record.weights_key[:12]}...); give this one a name of its own, --model NAME=MODEL, or another --db"
        )
    first_neuron = next_id(connection, Neuron)
    model_id = insert_row(
        connection,
        Model,
        n_layers=len(record.layer_widths),
        n_neurons=sum(record.layer_widths),
        first_neuron_id=first_neuron,
        **described,
    )
    bulk_insert(connection, Layer, ((model_id, layer, width) for layer, width in enumerate(record.layer_widths)))
    places = ((x, y) for x, width in enumerate(record.layer_widths) for y in range(width))
    bulk_insert(
        connection,
        Neuron,
        ((first_neuron + flat, model_id, x, y, flat) for flat, (x, y) in enumerate(places)),
    )
    write_grids(connection, model_id, record.grids)
    return model_id


def write_dataset(connection: Connection, record: DatasetRecord, replace: bool = False) -> str:
    """Insert, update or replace a dataset; return what was deleted, in words."""
    one_at_a_time(connection)
    beside = {"root_from_store": _from_store(connection, record.root)}
    described, replaced = {**_described(Dataset, record), **beside}, ""
    columns = select(Dataset.id, Dataset.content_key, Dataset.root).where(Dataset.name == record.name)
    stored = connection.execute(columns).first()
    if stored is not None and stored.content_key != record.content_key:
        held = _held(connection, stored.id)
        if held and not replace:
            raise StoreError(_not_the_same(record, stored.root, held))
        if others := others_at_work(connection):
            raise StoreError(
                f"dataset {record.name} has changed, and another run ({others}) is writing to this store; "
                "wait for it to end: results of the former clips will be deleted"
            )
        replaced = f"{record.name} of {stored.root} is deleted, {held}" if held else ""
        _forget_dataset(connection, stored.id)
        stored = None
    if stored is not None:
        dataset = int(stored.id)
        connection.execute(update(Dataset).where(Dataset.id == dataset).values(**described))
        _fill_contents(connection, dataset, record)
    else:
        dataset = insert_row(connection, Dataset, **described)
        _insert_clips(connection, dataset, record)
    of_dataset = Problem.dataset_id == dataset
    columns = select(Problem.dataset_id, Problem.path, Problem.reason)
    known = [tuple(row) for row in connection.execute(columns.where(of_dataset).order_by(Problem.id))]
    problems = [(dataset, problem.path, problem.reason) for problem in record.problems]
    if problems != known:
        connection.execute(delete(Problem).where(of_dataset))
        bulk_insert(connection, Problem, problems)
    return replaced


def _held(connection: Connection, dataset: int) -> str:
    """What the store holds of a dataset, in words; empty where nothing was computed of it."""

    def count(what: Any, *where: Any) -> int:
        return int(connection.execute(select(func.count(what.distinct())).where(*where)).scalar_one())

    n_clips = count(Clip.id, Clip.dataset_id == dataset)
    n_tasks = count(ModelTask.task_id, ModelTask.task_id == Task.id, Task.dataset_id == dataset)
    n_models = count(ModelDataset.model_id, ModelDataset.dataset_id == dataset)
    if not n_models and not n_tasks:
        return ""
    of_models, of_tasks = (f"{n} {what}{'' if n == 1 else 's'}" for n, what in ((n_models, "model"), (n_tasks, "task")))
    return f"{n_clips:,} clips with the results of {of_models} and {of_tasks}"


def _not_the_same(record: DatasetRecord, root: str, held: str) -> str:
    """Why a dataset is refused, and the ways out."""
    if root != record.root:
        return (
            f"the store knows another dataset as {record.name}: {root} ({held}), now {record.root}; "
            f"name this one, --data-dir NAME={quoted(record.root)}, or give another --db, or delete the other by "
            "--replace"
        )
    return (
        f"{record.name} in {root} has other clips, labels or splits than the store's ({held}, now "
        f"{len(record.clips):,} clips); --replace deletes those results, another --db keeps them"
    )


def _insert_clips(connection: Connection, dataset: int, record: DatasetRecord) -> None:
    """Insert a dataset's attributes, clips and labels."""
    attributes = {
        name: insert_row(connection, Attribute, dataset_id=dataset, position=position, name=name)
        for position, name in enumerate(record.attributes)
    }
    bulk_insert(
        connection,
        Clip,
        (
            (dataset, position, clip.path, clip.split, float(clip.duration_seconds), clip.sha256 or None)
            for position, clip in enumerate(record.clips)
        ),
    )
    ids = clips_of(connection, dataset).tolist()
    bulk_insert(
        connection,
        ClipLabel,
        (
            (clip_id, key, value, clip.splits.get(name))
            for clip_id, clip in zip(ids, record.clips, strict=True)
            for name, key in attributes.items()
            for value in _values(clip.labels.get(name, ""))
        ),
    )


def _from_store(connection: Connection, root: str) -> str | None:
    """A folder as seen from the store's, where it lies below or beside it."""
    url = connection.engine.url
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    seen = os.path.relpath(os.path.realpath(root), os.path.dirname(os.path.realpath(str(url.database))))
    return None if seen.startswith(os.path.join(os.pardir, os.pardir)) else seen


def _fill_contents(connection: Connection, dataset: int, record: DatasetRecord) -> None:
    """Give the clips of a store from before 0010 their files' contents."""
    without = (Clip.dataset_id == dataset) & Clip.file_sha256.is_(None)
    positions = connection.execute(select(Clip.position).where(without)).scalars().all()
    contents = [{"at": i, "content": record.clips[i].sha256} for i in positions if record.clips[i].sha256]
    if contents:
        by_position = (Clip.dataset_id == dataset) & (Clip.position == bindparam("at"))
        connection.execute(update(Clip).where(by_position).values(file_sha256=bindparam("content")), contents)


def _described(table: type[Model | Dataset], record: ModelRecord | DatasetRecord) -> dict[str, Any]:
    """What a record says of itself under the names of the table's columns."""
    return {name: getattr(record, name) for name in column_names(table) if hasattr(record, name)}


def _values(label: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a label's values: none, one, or several."""
    return label if isinstance(label, tuple) else (str(label),) if label != "" else ()


def _forget_dataset(connection: Connection, dataset: int) -> None:
    """Delete a dataset, its results and the marks of its stages.

    What classes share, what made sounds say of them and maps of units were found over all datasets together, so they
    go too.
    """
    tasks = select(Task.id).where(Task.dataset_id == dataset)
    of_tasks = (ModelTask, Probe, LayerProbe, Attribution, Ablation, Reconstruction, Specificity)
    former = [select(table.stage_id).where(table.task_id.in_(tasks)) for table in of_tasks]
    of_dataset = (ModelDataset, Matching, Describing)
    former += [select(table.stage_id).where(table.dataset_id == dataset) for table in of_dataset]
    traced = select(ModelDataset.id).where(ModelDataset.dataset_id == dataset)
    former.append(select(ActivationQuantile.stage_id).where(ActivationQuantile.model_dataset_id.in_(traced)))
    in_time = select(SegmentAttribute.id).where(SegmentAttribute.dataset_id == dataset)
    former.append(select(SegmentStudy.stage_id).where(SegmentStudy.segment_attribute_id.in_(in_time)))
    sharing = select(ModelTask.model_id).where(ModelTask.task_id.in_(tasks))
    former += [select(table.stage_id).where(table.model_id.in_(sharing)) for table in (Sharing, ConfoundAnswers)]
    recorded = select(ModelDataset.model_id).where(ModelDataset.dataset_id == dataset)
    former.append(select(UnitMap.stage_id).where(UnitMap.model_id.in_(recorded)))
    connection.execute(delete(Stage).where(or_(*(Stage.id.in_(ids) for ids in former))))
    connection.execute(delete(UnitMap).where(UnitMap.model_id.in_(recorded)))
    for table in (Sharing, ConfoundAnswers):
        connection.execute(delete(table).where(table.model_id.in_(sharing)))
    connection.execute(delete(Dataset).where(Dataset.id == dataset))


def forget_stages(connection: Connection, model_id: int, dataset: int) -> None:
    """Delete the marks of what was worked out from a model's matrices of a dataset; the results stay until then.

    What classes share, how specific selections are and what made sounds say of them have marks that depend on the
    results themselves.
    """
    tasks = select(Task.id).where(Task.dataset_id == dataset)
    former = [
        select(table.stage_id).where(table.model_id == model_id, table.task_id.in_(tasks))
        for table in (ModelTask, Probe, LayerProbe, Attribution, Ablation)
    ]
    owners = (ModelDataset.model_id == model_id) & (ModelDataset.dataset_id == dataset)
    traced = ActivationQuantile.model_dataset_id.in_(select(ModelDataset.id).where(owners))
    matched = (Matching.model_id == model_id) & (Matching.dataset_id == dataset)
    former.append(select(Matching.stage_id).where(matched))  # both directions have the one mark
    described = (Describing.model_id == model_id) & (Describing.dataset_id == dataset)
    former.append(select(Describing.stage_id).where(described))
    former.append(select(UnitMap.stage_id).where(UnitMap.model_id == model_id))
    in_time = select(SegmentAttribute.id).where(SegmentAttribute.dataset_id == dataset)
    counted = (SegmentStudy.model_id == model_id) & SegmentStudy.segment_attribute_id.in_(in_time)
    former.append(select(SegmentStudy.stage_id).where(counted))
    former += [select(ModelDataset.stage_id).where(owners), select(ActivationQuantile.stage_id).where(traced)]
    connection.execute(delete(Stage).where(or_(*(Stage.id.in_(ids) for ids in former))))
