"""The clips of one class, to be heard with a neuron's activation, for who came from that class."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import address, data
from dashboard.shared.player.of_class import answered_tracks
from dashboard.shared.player.player import player
from dashboard.shared.text import words

CLASS, STRONGEST = "class", "strongest"
N_CLIPS = 8


def choose(class_name: str | None) -> str | None:
    """Let choose between a neuron's own strongest clips and those of a class; None where no class is chosen."""
    if class_name is None:
        return None
    heard = address.optional("hear", (STRONGEST, CLASS)) or STRONGEST
    st.segmented_control(
        "Clips", (STRONGEST, CLASS), key=address.show("select_hear", heard), required=True,
        format_func={STRONGEST: "Its own clips", CLASS: f"Clips of {words.plain(class_name)}"}.__getitem__,
        label_visibility="collapsed", on_change=address.on_change("hear", "select_hear"),
    )  # fmt: skip
    return heard


def show(store: data.Store, model: str, of: tuple[str, str], layer: int, neuron: int) -> None:
    """Show clips of a class, those first that the neuron answers to most.

    Parameters
    ----------
    store : Store
    model : str
    of : (task, class)
    layer, neuron : int
    """
    st.subheader(
        "Hear it", anchor="hear",
        help="Clips of the class, those first that stand among the neuron’s strongest of the dataset: over those its "
        "activation is laid. What it answers to most, whatever the class, is under *Its own clips*.",
    )  # fmt: skip
    tracks = answered_tracks(store, model, layer, neuron, (of,), N_CLIPS)
    player(tracks, key="class_player")
    n_laid = sum(track.overlay is not None for track in tracks)
    st.caption(f"Where it fires is kept for a neuron’s strongest clips: {n_laid or 'none'} of these {len(tracks)}.")
