"""Clips of classes as tracks of a player, with one neuron's activation laid over those where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.shared import data
from dashboard.shared.player.player import Overlay, Track, stored_track
from db.reads import clips as clip_queries
from db.reads import sharing


def class_tracks(store: data.Store, task: str, class_name: str, n: int) -> list[Track]:
    """``n`` clips of a class, from all over the dataset."""
    rows = data.read(store, clip_queries.class_clips, task, class_name, n)
    return [stored_track(row, class_name, row["labels"]) for row in rows.to_dict("records")]


def answered_tracks(
    store: data.Store, model: str, layer: int, neuron: int, sides: Sequence[tuple[str, str]], n: int
) -> list[Track]:
    """``n`` clips of each class, first those that a neuron answers to most.

    Parameters
    ----------
    store : Store
    model : str
    layer, neuron : int
    sides : sequence of (task, class)
    n : int
    """
    found = [data.read(store, sharing.clips_of_class, model, layer, neuron, *side, n) for side in sides]
    clips = pd.concat(found, ignore_index=True).drop_duplicates("clip_id")
    patterns: dict[int, Mapping[Any, Any]] = {}
    for dataset in dict.fromkeys(clips["dataset"]):
        rows = data.read(store, clip_queries.neuron_patterns, model, dataset, layer, neuron)
        patterns |= {int(row["clip_id"]): row for row in rows.to_dict("records")}
    label = f"neuron {neuron}, layer {layer}"
    return [_track(row, patterns.get(int(row["clip_id"])), label) for row in clips.to_dict("records")]


def overlay_of(pattern: Mapping[Any, Any], label: str) -> Overlay:
    """A stored pattern as it is laid over a picture."""
    edges = tuple(float(edge) for edge in pattern["band_edges_hz"])
    return Overlay(pattern["strength"], float(pattern["column_seconds"]), edges, label, float(pattern["peak"]))


def _track(row: Mapping[Any, Any], pattern: Mapping[Any, Any] | None, label: str) -> Track:
    place = "not among its strongest clips"
    if pd.notna(row["rank"]):
        place = f"its number {int(row['rank'])} of this dataset, active at {row['activation_rate']:.0%} of tokens"
    overlay = None if pattern is None else overlay_of(pattern, label)
    return stored_track(row, str(row["class_name"]), f"{row['dataset']}: {place}", overlay)
