"""Registering what is studied: models with their neurons, datasets with their clips."""

from __future__ import annotations

import logging

from sqlalchemy import Connection, bindparam, delete, or_, select, update

from core.results import DatasetRecord, ModelRecord
from db.connection.open import StoreError
from db.connection.postgres import one_at_a_time, others_at_work
from db.schema import scores as m
from db.writes.rows import bulk_insert, insert_row, next_id
from db.writes.sound import write_grids

_log = logging.getLogger(__name__)


def write_model(connection: Connection, record: ModelRecord) -> int:
    """Insert or update a model; return its id.

    Raises
    ------
    StoreError
        If the store holds another model of that name.
    """
    one_at_a_time(connection)
    descriptive = {
        "sample_rate": record.sample_rate,
        "n_parameters": record.n_parameters,
        "description": record.description,
        "licence": record.licence,
    }
    found = connection.execute(select(m.Model.id, m.Model.weights_key).where(m.Model.name == record.name)).first()
    if found is not None:
        statement = select(m.Layer.width).where(m.Layer.model_id == found.id)
        widths = connection.execute(statement.order_by(m.Layer.layer)).scalars()
        if found.weights_key == record.weights_key and tuple(widths) == record.layer_widths:
            connection.execute(update(m.Model).where(m.Model.id == found.id).values(**descriptive))
            write_grids(connection, int(found.id), record.grids)
            return int(found.id)
        raise StoreError(
            f"the store holds results of '{record.name}' with other weights (sha256 {found.weights_key[:12]}..., now "
            f"{record.weights_key[:12]}...); keep them apart with another --db, or for M2D by naming each checkpoint: "
            "--model m2d:CHECKPOINT"
        )
    first_neuron = next_id(connection, m.Neuron)
    model_id = insert_row(
        connection,
        m.Model,
        name=record.name,
        weights_key=record.weights_key,
        n_layers=len(record.layer_widths),
        n_neurons=sum(record.layer_widths),
        first_neuron_id=first_neuron,
        **descriptive,
    )
    bulk_insert(
        connection,
        m.Layer,
        ("model_id", "layer", "width"),
        [(model_id, layer, width) for layer, width in enumerate(record.layer_widths)],
    )
    places = ((x, y) for x, width in enumerate(record.layer_widths) for y in range(width))
    bulk_insert(
        connection,
        m.Neuron,
        ("id", "model_id", "layer", "neuron", "flat_index"),
        ((first_neuron + flat, model_id, x, y, flat) for flat, (x, y) in enumerate(places)),
    )
    write_grids(connection, model_id, record.grids)
    return model_id


def write_dataset(connection: Connection, record: DatasetRecord) -> int:
    """Insert, update or replace a dataset; return its id."""
    one_at_a_time(connection)
    descriptive = {
        "root": record.root,
        "split_origin": record.split_origin,
        "description": record.description,
        "source": record.source,
        "licence": record.licence,
    }
    found = connection.execute(select(m.Dataset.id, m.Dataset.content_key).where(m.Dataset.name == record.name)).first()
    if found is not None and found.content_key != record.content_key:
        if others := others_at_work(connection):
            raise StoreError(
                f"dataset {record.name} has changed, and another run ({others}) is writing to this store; "
                "wait for it to end: results of the former clips will be deleted"
            )
        _log.warning("dataset %s has changed since: old results deleted", record.name)
        _forget_dataset(connection, found.id)
        found = None
    if found is not None:
        dataset = int(found.id)
        connection.execute(update(m.Dataset).where(m.Dataset.id == dataset).values(**descriptive))
        _add_splits(connection, dataset, record)
    else:
        dataset = insert_row(
            connection,
            m.Dataset,
            name=record.name,
            content_key=record.content_key,
            **descriptive,
        )
        _insert_clips(connection, dataset, record)
    of_dataset = m.Problem.dataset_id == dataset
    columns = select(m.Problem.dataset_id, m.Problem.path, m.Problem.reason)
    known = [tuple(row) for row in connection.execute(columns.where(of_dataset).order_by(m.Problem.id))]
    problems = [(dataset, problem.path, problem.reason) for problem in record.problems]
    if problems != known:
        connection.execute(delete(m.Problem).where(of_dataset))
        bulk_insert(connection, m.Problem, ("dataset_id", "path", "reason"), problems)
    return dataset


def _insert_clips(connection: Connection, dataset: int, record: DatasetRecord) -> None:
    """Insert a dataset's attributes, clips and labels."""
    attributes = {
        name: insert_row(connection, m.Attribute, dataset_id=dataset, position=position, name=name)
        for position, name in enumerate(record.attributes)
    }
    bulk_insert(
        connection,
        m.Clip,
        ("dataset_id", "position", "path", "split", "duration_seconds"),
        (
            (dataset, position, clip.path, clip.split, float(clip.duration_seconds))
            for position, clip in enumerate(record.clips)
        ),
    )
    statement = select(m.Clip.id).where(m.Clip.dataset_id == dataset).order_by(m.Clip.position)
    ids = connection.execute(statement).scalars().all()
    bulk_insert(
        connection,
        m.ClipLabel,
        ("clip_id", "attribute_id", "value", "split"),
        (
            (clip_id, key, value, clip.splits.get(name))
            for clip_id, clip in zip(ids, record.clips, strict=True)
            for name, key in attributes.items()
            for value in _values(clip.labels.get(name, ""))
        ),
    )


def _add_splits(connection: Connection, dataset: int, record: DatasetRecord) -> None:
    """Fill in the splits that attributes have of their own, where an older version stored the dataset without."""
    own = {name for clip in record.clips for name in clip.splits}
    of_dataset = select(m.Attribute.id).where(m.Attribute.dataset_id == dataset)
    known = select(m.ClipLabel.split).where(m.ClipLabel.attribute_id.in_(of_dataset), m.ClipLabel.split.is_not(None))
    if not own or connection.execute(known.limit(1)).first() is not None:
        return
    statement = select(m.Attribute.name, m.Attribute.id).where(m.Attribute.dataset_id == dataset)
    attributes = {name: key for name, key in connection.execute(statement) if name in own}
    ids = connection.execute(select(m.Clip.id).where(m.Clip.dataset_id == dataset).order_by(m.Clip.position)).scalars()
    one = (m.ClipLabel.clip_id == bindparam("clip")) & (m.ClipLabel.attribute_id == bindparam("of"))
    rows = [
        {"clip": clip_id, "of": attributes[name], "now": split}
        for clip_id, clip in zip(ids, record.clips, strict=True)
        for name, split in clip.splits.items()
        if name in attributes
    ]
    connection.execute(update(m.ClipLabel).where(one).values(split=bindparam("now")), rows)


def _values(label: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a label's values: none, one, or several."""
    return label if isinstance(label, tuple) else (str(label),) if label != "" else ()


def _forget_dataset(connection: Connection, dataset: int) -> None:
    """Delete a dataset, its results and the marks of its stages.

    What classes share was found over all datasets together, so it goes too.
    """
    tasks = select(m.Task.id).where(m.Task.dataset_id == dataset)
    of_tasks = (m.ModelTask, m.Probe, m.Attribution, m.Ablation, m.Specificity)
    former = [select(table.stage_id).where(table.task_id.in_(tasks)) for table in of_tasks]
    former.append(select(m.ModelDataset.stage_id).where(m.ModelDataset.dataset_id == dataset))
    traced = select(m.ModelDataset.id).where(m.ModelDataset.dataset_id == dataset)
    former.append(select(m.ActivationQuantile.stage_id).where(m.ActivationQuantile.model_dataset_id.in_(traced)))
    sharing = select(m.ModelTask.model_id).where(m.ModelTask.task_id.in_(tasks))
    former.append(select(m.Sharing.stage_id).where(m.Sharing.model_id.in_(sharing)))
    connection.execute(delete(m.Stage).where(or_(*(m.Stage.id.in_(ids) for ids in former))))
    connection.execute(delete(m.Sharing).where(m.Sharing.model_id.in_(sharing)))
    connection.execute(delete(m.Dataset).where(m.Dataset.id == dataset))


def forget_stages(connection: Connection, model_id: int, dataset: int) -> None:
    """Delete the marks of what was worked out from a model's matrices of a dataset; the results stay until then.

    What classes share and how specific selections are have marks that depend on the results themselves.
    """
    tasks = select(m.Task.id).where(m.Task.dataset_id == dataset)
    former = [
        select(table.stage_id).where(table.model_id == model_id, table.task_id.in_(tasks))
        for table in (m.ModelTask, m.Probe, m.Attribution, m.Ablation)
    ]
    owners = (m.ModelDataset.model_id == model_id) & (m.ModelDataset.dataset_id == dataset)
    traced = m.ActivationQuantile.model_dataset_id.in_(select(m.ModelDataset.id).where(owners))
    former += [select(m.ModelDataset.stage_id).where(owners), select(m.ActivationQuantile.stage_id).where(traced)]
    connection.execute(delete(m.Stage).where(or_(*(m.Stage.id.in_(ids) for ids in former))))
