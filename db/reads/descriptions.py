"""Reads of units in words; models by the names that pages and ``--model`` know them by."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame


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
