"""Clips of two classes, to be heard with one neuron that answers to both."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import data
from dashboard.shared.player.of_class import answered_tracks
from dashboard.shared.player.player import player

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
    tracks = answered_tracks(store, model, layer, neuron, (own, other), CLIPS_A_CLASS)
    if not tracks:
        st.caption("No clips of these classes are stored.")
        return
    player(tracks, key="shared_player")
    n_laid = sum(track.overlay is not None for track in tracks)
    on = "all" if n_laid == len(tracks) else f"{n_laid or 'none'} of the {len(tracks)}"
    st.caption(
        f"{CLIPS_A_CLASS} clips of each class, those first that the neuron fires in most. Its activation is laid over "
        f"{on}: it is kept for a neuron’s strongest clips."
    )
