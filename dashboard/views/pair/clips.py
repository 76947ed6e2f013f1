"""One player for two neurons: a clip, and below it when each of them fires."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.shared import address, data
from dashboard.shared.player.overlays import of_patterns
from dashboard.shared.player.player import Lane, player, stored_track
from dashboard.shared.text import words
from dashboard.shared.text.numbers import counted
from dashboard.views.pair import charts, facts
from db.reads import clips as clip_queries
from db.reads import neuron_evidence as evidence
from db.reads import study

MOST_CLIPS = 16


def show(store: data.Store, task: str, places: tuple[facts.Place, facts.Place], labels: tuple[str, str]) -> str | None:
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
    kept = [data.read(store, clip_queries.neuron_clips, one[0], dataset, *one[1:]) for one in places]
    fires = [
        of_patterns(data.read(store, clip_queries.neuron_patterns, one[0], dataset, *one[1:]), label)
        for one, label in zip(places, labels, strict=True)
    ]
    order = tuple(facts.clip_order(*kept)[:MOST_CLIPS])
    rows = data.read(store, clip_queries.clips, order) if order else None
    if rows is None or rows.empty:
        st.caption(f"No clips of {words.plain(dataset)} are stored for these neurons.")
        return dataset
    sides = dict(zip(labels, kept, strict=True)) if labels[0] != labels[1] else {labels[0]: kept[0]}
    tracks = []
    for row in rows.to_dict("records"):
        lanes = [
            Lane(label, colour, overlays.get(int(row["clip_id"])))
            for label, colour, overlays in zip(labels, charts.COLOURS, fires, strict=True)
        ]
        title, caption = str(row["labels"] or row["path"]), facts.clip_caption(int(row["clip_id"]), sides)
        tracks.append(replace(stored_track(row, title, caption), lanes=tuple(lanes)))
    player(tracks, key="pair_player")
    n_both = sum(all(int(one) in overlays for overlays in fires) for one in rows["clip_id"])
    st.caption(
        f"{n_both or 'None'} of {counted(len(tracks), 'clip')} {'is' if n_both == 1 else 'are'} kept of both neurons. "
        "Where a clip is not kept of one, when it fires there is not stored: that says neither that it fires nor that "
        "it does not."
    )
    return dataset
