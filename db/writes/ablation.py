"""The rows of ablations: neurons, effects, the same taken apart, controls, clips."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from core.results import Ablation, IntArray
from db.schema.ablation import (
    AblationClip,
    AblationControl,
    AblationEffect,
    AblationFlip,
    AblationNeuron,
    AblationOutcome,
)
from db.writes.frames import insert_frame
from db.writes.rows import class_ids
from db.writes.scores import of_classes

OF_CONTROLS = ("total", "shift", "selective", "discrimination")
"""Outcomes of which every control's change is kept."""


def insert_ablations(
    connection: Connection, first_neuron: int, task: int, clips: IntArray, ablations: Mapping[int, Ablation]
) -> None:
    """Insert the neurons, effects, outcomes, controls and clips of ablations, which come by their ids.

    ``clips`` are the ids of the dataset's clips. Each table gets one frame: one for every ablation would cost more
    than the database does.
    """
    if not ablations:
        return
    sets = {key: pd.DataFrame({"neuron_index": a.neuron_index}) for key, a in ablations.items()}
    insert_frame(connection, AblationNeuron, _joined(sets), first_neuron)
    effects = {key: a.effects.reset_index(drop=True) for key, a in ablations.items()}
    insert_frame(connection, AblationEffect, of_classes(connection, task, _joined(effects)))
    insert_frame(connection, AblationControl, _joined({key: _controls(a) for key, a in ablations.items()}))
    if outcomes := {key: a.outcomes for key, a in ablations.items() if len(a.outcomes)}:
        insert_frame(connection, AblationOutcome, _joined(outcomes))
    if of_clips := {key: a.clips for key, a in ablations.items() if len(a.clips)}:
        rows = _joined(of_clips)
        insert_frame(connection, AblationClip, rows.assign(clip_id=clips[rows["clip_index"].to_numpy(dtype=np.int64)]))
    if changed := {key: a.flips for key, a in ablations.items() if len(a.flips)}:
        flips = _joined(changed)
        known = class_ids(connection, task, [*flips["predicted_before"], *flips["predicted_after"]])
        called = {name: flips[name].map(known) for name in ("predicted_before", "predicted_after")}
        clip = clips[flips["clip_index"].to_numpy(dtype=np.int64)]
        insert_frame(connection, AblationFlip, flips.assign(clip_id=clip, **called))


def _joined(frames: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """Frames under one another, each with its key as ``ablation_id``; the index is that of each."""
    owners = np.repeat(list(frames), [len(frame) for frame in frames.values()])
    return pd.concat(frames.values()).assign(ablation_id=owners)


def _controls(ablation: Ablation) -> pd.DataFrame:
    """A row a control and effect."""
    draw, position = np.indices(ablation.control_deltas.shape)
    deltas = {"draw": draw.ravel(), "position": position.ravel(), "delta": ablation.control_deltas.ravel()}
    rows, taken_apart = pd.DataFrame(deltas), ablation.of_controls
    if len(taken_apart):
        rows = rows.merge(taken_apart, on=["draw", "position"], how="left")
    return rows.reindex(columns=[*deltas, *OF_CONTROLS])
