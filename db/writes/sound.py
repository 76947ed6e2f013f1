"""Writing what a neuron does over a dataset's clips."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd
from sqlalchemy import Connection, delete

from core import results
from core.results import ClipTraces, IntArray, TopClips
from db.schema.patterns import encode
from db.schema.sound import ActivationQuantile, ClipPattern, ContrastClip, TokenGrid, TopClip
from db.writes.frames import insert_frame
from db.writes.rows import bulk_insert, insert_row, to_json

_BLOBS_AT_ONCE = 1024


def insert_top_clips(
    connection: Connection, owner: int, first_neuron: int, clips: IntArray, top_clips: TopClips, kind: str = ""
) -> None:
    """Insert clips of each neuron, best rank first: as top clips, or as contrast of a kind."""
    neuron, rank = np.nonzero(top_clips.clip_index >= 0)
    rows = {
        "kind": kind,
        "neuron_index": neuron,
        "rank": rank + 1,
        "clip_id": clips[top_clips.clip_index[neuron, rank]],
        "activation_rate": top_clips.activation_rate[neuron, rank],
        "mean_activation": top_clips.mean_activation[neuron, rank],
    }
    table = ContrastClip if kind else TopClip
    insert_frame(connection, table, pd.DataFrame(rows), first_neuron, model_dataset_id=owner)


def insert_traces(
    connection: Connection, owner: int, stage_id: int, first_neuron: int, clips: IntArray, traces: ClipTraces
) -> None:
    """Insert contrast clips, patterns and quantiles in place of those of the same model and dataset."""
    for table in (ContrastClip, ClipPattern, ActivationQuantile):
        connection.execute(delete(table).where(table.model_dataset_id == owner))
    for kind, contrast in traces.contrast.items():
        insert_top_clips(connection, owner, first_neuron, clips, contrast, kind)
    remaining = iter(traces.patterns)
    while block := list(islice(remaining, _BLOBS_AT_ONCE)):
        rows = []
        for neuron, patterns in block:
            known = [(int(clips[p.clip_index]), p.peak, p.strength) for p in patterns]
            rows.append((owner, first_neuron + neuron, encode(known)))
        bulk_insert(connection, ClipPattern, rows)
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
        [
            (model_id, layer, g.n_bands, g.column_seconds, g.span_seconds, g.chunk_seconds, g.chunk_columns,
             to_json(list(g.band_edges_hz)))
            for layer, g in enumerate(grids)
        ],
    )  # fmt: skip
