"""Clips to hear two neurons by: below each when either of them fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from dashboard.shared import data
from dashboard.shared.player.overlays import of_patterns
from dashboard.shared.player.player import Lane, Track, stored_track
from dashboard.shared.text.numbers import counted
from dashboard.shared.theme import MODEL_COLOURS
from db.reads import clips as clip_queries

COLOURS = MODEL_COLOURS[:2]
MOST_CLIPS = 16
Place = tuple[str, int, int]
"""Model, layer, neuron."""


def name(place: Place, other: Place) -> str:
    """Name a neuron of two: with its model where that differs."""
    model, layer, neuron = place
    return f"L{layer}·{neuron}" + (f" {model}" if model != other[0] else "")


def tracks(store: data.Store, dataset: str, places: tuple[Place, Place]) -> tuple[list[Track], str]:
    """Make tracks of the clips of a dataset that are kept of both neurons, then of the strongest of each.

    Returns
    -------
    list of Track
    str
        How many are kept of both, to be told below the player; why there are none, if so.
    """
    labels = name(places[0], places[1]), name(places[1], places[0])
    kept = [data.read(store, clip_queries.neuron_clips, one[0], dataset, *one[1:]) for one in places]
    fires = [
        of_patterns(data.read(store, clip_queries.neuron_patterns, one[0], dataset, *one[1:]), label)
        for one, label in zip(places, labels, strict=True)
    ]
    order = tuple(clip_order(*kept)[:MOST_CLIPS])
    rows = data.read(store, clip_queries.clips, order) if order else pd.DataFrame()
    if rows.empty:
        return [], "No clips of this dataset are stored for these neurons."
    sides = dict(zip(labels, kept, strict=True)) if labels[0] != labels[1] else {labels[0]: kept[0]}
    made = []
    for row in rows.to_dict("records"):
        lanes = [
            Lane(label, colour, overlays.get(int(row["clip_id"])))
            for label, colour, overlays in zip(labels, COLOURS, fires, strict=True)
        ]
        title, caption = str(row["labels"] or row["path"]), clip_caption(int(row["clip_id"]), sides)
        made.append(replace(stored_track(row, title, caption), lanes=tuple(lanes)))
    n_both = sum(all(int(one) in overlays for overlays in fires) for one in rows["clip_id"])
    return made, (
        f"{n_both or 'None'} of {counted(len(made), 'clip')} {'is' if n_both == 1 else 'are'} kept of both neurons. "
        "Where a clip is not kept of one, when it fires there is not stored: that says neither that it fires nor that "
        "it does not."
    )


def clip_order(own: pd.DataFrame, other: pd.DataFrame) -> list[int]:
    """Clips to hear: those kept of both neurons, then the strongest of each in turn, each once.

    Parameters
    ----------
    own, other : DataFrame
        Of `db.reads.clips.neuron_clips`.
    """
    both = [int(one) for one in own["clip_id"] if one in set(other["clip_id"])]
    tops = [[int(one) for one in side.loc[side["kind"] == "top", "clip_id"]] for side in (own, other)]
    length = max(map(len, tops), default=0)
    in_turn = [side[place] for place in range(length) for side in tops if place < len(side)]
    return list(dict.fromkeys([*both, *in_turn]))


def clip_caption(clip_id: int, sides: Mapping[str, pd.DataFrame]) -> str:
    """Tell what a clip is to each neuron: ``L4·699: top 2, active at 88%; L2·45: not kept``."""
    parts = []
    for side, clips in sides.items():
        rows = clips[clips["clip_id"] == clip_id]
        if rows.empty:
            parts.append(f"{side}: not kept")
        else:
            row = rows.iloc[0]
            parts.append(f"{side}: {row['kind']} {int(row['rank'])}, active at {row['activation_rate']:.0%}")
    return "; ".join(parts)
