"""Reads of units in words; models by the names that pages and ``--model`` know them by."""

from __future__ import annotations

import json

import pandas as pd
from sqlalchemy import Engine, bindparam, text

from db.reads.frames import frame, only_if

_OF_MODEL = """
        FROM describing
        JOIN model ON model.id = describing.model_id
        JOIN dataset ON dataset.id = describing.dataset_id"""


def unit_descriptions(engine: Engine, model: str, layer: int, neuron: int) -> pd.DataFrame:
    """Return what is said of a unit, the best first.

    Returns
    -------
    DataFrame
        ``dataset``, ``author``, ``description``, ``predicts``, ``correlation``, ``average_precision``, ``f1``, ``iou``,
        ``shifted_high``, ``null_correlation_high``, ``beats_null``, ``n_held_out``, ``n_dealt``, ``created_at``.
    """
    return frame(
        engine,
        """
        SELECT dataset.name AS dataset, said.author, said.description, said.predicts, said.correlation,
               said.average_precision, said.f1, said.iou, said.shifted_high, said.null_correlation_high,
               said.beats_null, describing.n_held_out, describing.n_dealt, describing.created_at
        FROM describing
        JOIN model ON model.id = describing.model_id
        JOIN dataset ON dataset.id = describing.dataset_id
        JOIN unit_description AS said ON said.describing_id = describing.id
        JOIN neuron ON neuron.id = said.neuron_id
        WHERE model.name = :model AND neuron.layer = :layer AND neuron.neuron = :neuron
        ORDER BY said.beats_null DESC, said.correlation DESC NULLS LAST, dataset.id, describing.id, said.author
        """,
        model=model,
        layer=layer,
        neuron=neuron,
    )


def described(engine: Engine, model: str) -> pd.DataFrame:
    """Return over which datasets units of a model are described, and by whom.

    Returns
    -------
    DataFrame
        One row a dataset and source (``atlas``, or a file's name): ``dataset``, ``source``, ``n_clips``,
        ``n_held_out``, ``n_dealt``, ``n_shifts``, ``created_at``.
    """
    return frame(
        engine,
        f"""
        SELECT dataset.name AS dataset, describing.source, describing.n_clips, describing.n_held_out,
               describing.n_dealt, describing.n_shifts, describing.created_at{_OF_MODEL}
        WHERE model.name = :model
        ORDER BY dataset.id, describing.id
        """,
        model=model,
    )


def words(engine: Engine, model: str, dataset: str) -> dict[str, tuple[str, ...]]:
    """Return what people say of much or little of each descriptor, as it was when units were described.

    Returns
    -------
    dict
        ``NAME high`` or ``NAME low`` to its phrases; empty where none were stored.
    """
    rows = frame(
        engine,
        f"""
        SELECT describing.words_json{_OF_MODEL}
        WHERE model.name = :model AND dataset.name = :dataset AND describing.words_json IS NOT NULL
        ORDER BY describing.id
        """,
        model=model,
        dataset=dataset,
    )
    found: dict[str, tuple[str, ...]] = {}
    for stored in rows["words_json"]:
        found |= {str(term): tuple(map(str, phrases)) for term, phrases in json.loads(stored).items()}
    return found


def best(engine: Engine, model: str, dataset: str) -> pd.DataFrame:
    """Return the best description of each unit of a model over a dataset.

    Returns
    -------
    DataFrame
        In the order of units: ``neuron_id``, ``author``, ``description``, ``predicts``, ``correlation``,
        ``null_correlation_high``, ``beats_null``.
    """
    rows = frame(
        engine,
        f"""
        SELECT said.neuron_id, said.author, said.description, said.predicts, said.correlation,
               said.null_correlation_high, said.beats_null{_OF_MODEL}
        JOIN unit_description AS said ON said.describing_id = describing.id
        WHERE model.name = :model AND dataset.name = :dataset
        ORDER BY said.neuron_id, describing.id, said.author
        """,
        model=model,
        dataset=dataset,
    )
    if rows["neuron_id"].is_unique:  # as nearly always: to sort tens of thousands of sentences takes as long as to read
        return rows
    by = ["neuron_id", "beats_null", "correlation"]
    ordered = rows.sort_values(by, ascending=[True, False, False], na_position="last", kind="stable")
    return ordered.drop_duplicates("neuron_id", ignore_index=True)


def searched(engine: Engine, model: str, dataset: str) -> pd.DataFrame:
    """Return of all descriptions over a dataset what is searched, and no more.

    Returns
    -------
    DataFrame
        In the order of units: ``neuron_id``, ``description``, ``predicts``, ``correlation``, ``null_correlation_high``.
    """
    return frame(
        engine,
        f"""
        SELECT said.neuron_id, said.description, said.predicts, said.correlation, said.null_correlation_high{_OF_MODEL}
        JOIN unit_description AS said ON said.describing_id = describing.id
        WHERE model.name = :model AND dataset.name = :dataset
        ORDER BY said.neuron_id, describing.id, said.author
        """,
        model=model,
        dataset=dataset,
    )


def of_units(engine: Engine, model: str, dataset: str | None, neuron_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return what is said of some units over a dataset, or over any.

    Returns
    -------
    DataFrame
        Of each unit the best first, in the order of units: ``neuron_id``, ``dataset``, ``author``, ``description``,
        ``predicts``, ``correlation``, ``null_correlation_high``, ``beats_null``, ``n_held_out``.
    """
    statement = text(
        f"""
        SELECT said.neuron_id, dataset.name AS dataset, said.author, said.description, said.predicts, said.correlation,
               said.null_correlation_high, said.beats_null, describing.n_held_out{_OF_MODEL}
        JOIN unit_description AS said ON said.describing_id = describing.id
        WHERE model.name = :model AND said.neuron_id IN :neuron_ids{only_if(dataset, "dataset.name = :dataset")}
        ORDER BY said.neuron_id, said.beats_null DESC, said.correlation DESC NULLS LAST, dataset.id, describing.id,
                 said.author
        """
    ).bindparams(bindparam("neuron_ids", expanding=True))
    return frame(engine, statement, model=model, dataset=dataset, neuron_ids=list(neuron_ids))


def explanations(engine: Engine, model: str, dataset: str) -> pd.DataFrame:
    """Return what explains all units of a model over a dataset, as `explanations_of` does of some."""
    return frame(engine, _explained(""), model=model, dataset=dataset)


def explanations_of(engine: Engine, model: str, dataset: str, neuron_ids: tuple[int, ...]) -> pd.DataFrame:
    """Return how much of some units' variance on held-out clips is explained, and by what.

    Returns
    -------
    DataFrame
        In the order of units, those that vary: ``neuron_id``, ``n_terms`` (0 where no more is explained than on shifted
        activations), ``by_classes``, ``by_descriptors`` (shares of the variance; below 0 where a prediction is worse
        than the mean).
    """
    statement = text(_explained(" AND explained.neuron_id IN :neuron_ids"))
    among = statement.bindparams(bindparam("neuron_ids", expanding=True))
    return frame(engine, among, model=model, dataset=dataset, neuron_ids=list(neuron_ids))


def _explained(condition: str) -> str:
    return f"""
        SELECT explained.neuron_id, explained.n_terms, explained.by_classes, explained.by_descriptors{_OF_MODEL}
        JOIN unit_explanation AS explained ON explained.describing_id = describing.id
        WHERE model.name = :model AND dataset.name = :dataset{condition}
        ORDER BY explained.neuron_id, describing.id
        """
