"""Clips of two classes, to be heard with one neuron that answers to both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import data
from dashboard.shared.player.player import Overlay, Track, player, stored_track
from db.reads import clips as clip_queries
from db.reads import sharing

CLIPS_A_CLASS = 3


def play(store: data.Store, model: str, own: tuple[str, str], other: tuple[str, str], layer: int, neuron: int) -> None:
    """Show a player with clips of two classes, the neuron's activation laid over those whose pattern is stored.

    Parameters
    ----------
    store : Store
    model : str
    own, other : (task, class)
    layer, neuron : int
    """
    sides = [
        data.read(store, sharing.clips_of_class, model, layer, neuron, *side, CLIPS_A_CLASS) for side in (own, other)
    ]
    clips = pd.concat(sides, ignore_index=True).drop_duplicates("clip_id")
    if clips.empty:
        st.caption("No clips of these classes are stored.")
        return
    patterns: dict[int, Mapping[Any, Any]] = {}
    for dataset in dict.fromkeys(clips["dataset"]):
        rows = data.read(store, clip_queries.neuron_patterns, model, dataset, layer, neuron)
        patterns |= {int(row["clip_id"]): row for row in rows.to_dict("records")}
    label = f"neuron {neuron}, layer {layer}"
    tracks = [_track(row, patterns.get(int(row["clip_id"])), label) for row in clips.to_dict("records")]
    player(tracks, key="shared_player")
    n_laid = sum(track.overlay is not None for track in tracks)
    st.caption(
        f"{CLIPS_A_CLASS} clips of each class, those first that the neuron fires in most. Its activation is laid over "
        f"{n_laid or 'none'} of the {len(tracks)}: it is kept for a neuron’s strongest clips."
    )


def _track(row: Mapping[Any, Any], pattern: Mapping[Any, Any] | None, label: str) -> Track:
    place = "not among its strongest clips"
    if pd.notna(row["rank"]):
        place = f"its number {int(row['rank'])} of this dataset, active at {row['activation_rate']:.0%} of tokens"
    overlay = None
    if pattern is not None:
        edges = tuple(float(edge) for edge in pattern["band_edges_hz"])
        overlay = Overlay(pattern["strength"], float(pattern["column_seconds"]), edges, label, float(pattern["peak"]))
    return stored_track(row, str(row["class_name"]), f"{row['dataset']}: {place}", overlay)
