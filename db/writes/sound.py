"""Writing what a neuron does over a dataset's clips."""

from __future__ import annotations

from itertools import islice, repeat

import numpy as np
from sqlalchemy import Connection, delete, select

from core import results
from core.results import ClipTraces, IntArray, TopClips
from db.schema.patterns import encode
from db.schema.sound import ActivationQuantile, ClipPattern, ContrastClip, TokenGrid, TopClip
from db.schema.study import Clip
from db.writes.rows import bulk_insert, insert_flat, insert_row, nullable, to_json

_BLOBS_AT_ONCE = 1024


def clips_of_dataset(connection: Connection, dataset: int) -> IntArray:
    """Ids of a dataset's clips, in order."""
    statement = select(Clip.id).where(Clip.dataset_id == dataset).order_by(Clip.position)
    return np.array(connection.execute(statement).scalars().all(), dtype=np.int64)


def insert_top_clips(
    connection: Connection, owner: int, first_neuron: int, clips: IntArray, found: TopClips, kind: str = ""
) -> None:
    """Insert clips of each neuron, best rank first: as top clips, or as contrast of a kind."""
    neuron, rank = np.nonzero(found.clip_index >= 0)
    bulk_insert(
        connection,
        ContrastClip if kind else TopClip,
        ("model_dataset_id", "neuron_id", *(["kind"] if kind else []), "rank", "clip_id", "activation_rate",
         "mean_activation"),
        zip(
            repeat(owner),
            (neuron + first_neuron).tolist(),
            *([repeat(kind)] if kind else []),
            (rank + 1).tolist(),
            clips[found.clip_index[neuron, rank]].tolist(),
            nullable(found.activation_rate[neuron, rank]),
            nullable(found.mean_activation[neuron, rank]),
            strict=False,
        ),
    )  # fmt: skip


def insert_traces(
    connection: Connection, owner: int, stage_id: int, first_neuron: int, clips: IntArray, traces: ClipTraces
) -> None:
    """Insert contrast clips, patterns and quantiles in place of those of the same model and dataset."""
    for table in (ContrastClip, ClipPattern, ActivationQuantile):
        connection.execute(delete(table).where(table.model_dataset_id == owner))
    for kind, found in traces.contrast.items():
        insert_top_clips(connection, owner, first_neuron, clips, found, kind)
    remaining = iter(traces.patterns)
    while block := list(islice(remaining, _BLOBS_AT_ONCE)):
        values: list[object] = []
        for neuron, patterns in block:
            known = [(int(clips[p.clip_index]), p.peak, p.strength) for p in patterns]
            values += [owner, first_neuron + neuron, encode(known)]
        insert_flat(connection, ClipPattern, ("model_dataset_id", "neuron_id", "patterns"), values)
    insert_row(
        connection,
        ActivationQuantile,
        model_dataset_id=owner,
        stage_id=stage_id,
        levels_json=to_json(list(traces.levels)),
        quantiles=np.ascontiguousarray(traces.quantiles, dtype="<f4").tobytes(),
    )


def write_grids(connection: Connection, model_id: int, grids: tuple[results.TokenGrid, ...]) -> None:
    """Store which patch of time and frequency the tokens of each layer are, in place of what is known."""
    connection.execute(delete(TokenGrid).where(TokenGrid.model_id == model_id))
    bulk_insert(
        connection,
        TokenGrid,
        ("model_id", "layer", "n_bands", "column_seconds", "span_seconds", "chunk_seconds", "chunk_columns",
         "band_edges_json"),
        [
            (model_id, layer, g.n_bands, g.column_seconds, g.span_seconds, g.chunk_seconds, g.chunk_columns,
             to_json(list(g.band_edges_hz)))
            for layer, g in enumerate(grids)
        ],
    )  # fmt: skip
