"""One player for two neurons: a clip, and below it when each of them fires."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import address, data
from dashboard.shared.player import beside
from dashboard.shared.player.player import player
from dashboard.shared.text import words
from db.reads import neuron_evidence as evidence
from db.reads import study


def show(store: data.Store, task: str, places: tuple[beside.Place, beside.Place]) -> str | None:
    """Show the clips that both neurons fire in, then the strongest of each.

    Returns
    -------
    str or None
        The dataset chosen here, for the address (``clips``).
    """
    st.subheader("Hear both", help="The same clip; below it the activation of each, each on its own scale.")
    ranked = [data.read(store, evidence.clip_datasets, model) for model, _, _ in places]
    names = [name for name in ranked[0] if name in ranked[1]]
    if not names:
        st.caption("No dataset's clips were ranked for both.")
        return None
    tasks = data.read(store, study.tasks, places[0][0]).set_index("task")["dataset"]
    own = str(tasks.get(task)) if tasks.get(task) in names else names[0]
    dataset = address.choice("clips", names, own) if "clips" in st.query_params else own
    if len(names) > 1:
        key = address.show("select_clips", dataset)
        st.pills(
            "Clips of", names, format_func=words.plain, key=key, required=True,
            on_change=address.on_change("clips", key),
        )  # fmt: skip
    made, told = beside.tracks(store, dataset, places)
    player(made, key="pair_player")
    st.caption(told)
    return dataset
