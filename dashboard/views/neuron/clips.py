"""The clips that are kept of a neuron, to be heard with its activation laid over them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.shared import address, command, data, sections, share
from dashboard.shared.player.overlays import of_patterns
from dashboard.shared.player.player import Overlay, Track, player, stored_track
from dashboard.shared.text import words
from dashboard.views.neuron import facts
from db.reads import clips as clip_queries
from db.reads import neuron_evidence as evidence
from db.reads import study


# More than six: the neuron, and the place of its clips in the page's address.
def show(
    store: data.Store, model: str, task: str, layer: int, neuron: int, dataset: str | None, usual: str
) -> str | None:
    """Show top, middle and silent clips of one dataset.

    Parameters
    ----------
    store : Store
    model, task : str
        Clips are named by what they have of the task's attribute.
    layer, neuron : int
    dataset : str or None
        Where the sidebar names one; else the page lets choose.
    usual : str
        The dataset to begin with.

    Returns
    -------
    str or None
        The dataset chosen here, for the address (``clips``).
    """
    head = sections.heading(
        "Hear it",
        anchor="hear",
        help="**Top**: the clips of the highest mean activation over the whole dataset. **Middle**: those nearest the "
        "neuron’s median, of 64 drawn. **Silent**: those of the lowest. "
        "What do the top ones share that the silent ones lack?",
    )
    chosen = None
    names = data.read(store, evidence.clip_datasets, model)
    if dataset is None and names:
        own = usual if usual in names else names[0]
        # Not remembered from page to page: another task begins with its own dataset.
        dataset = chosen = address.choice("clips", names, own) if "clips" in st.query_params else own
        if len(names) > 1:
            key = address.show("select_clips", dataset)
            st.pills(
                "Clips of", names, format_func=words.plain, key=key, required=True,
                on_change=address.on_change("clips", key),
            )  # fmt: skip
    clips = data.read(store, clip_queries.neuron_clips, model, dataset or "", layer, neuron)
    if clips.empty:
        where = f" in {words.plain(dataset)}" if dataset else ""
        st.caption(
            f"No clips are stored for this neuron{where}: it never fires there, or the clips were not ranked. This "
            "command ranks them:"
        )
        command.show({**command.ALL, "--model": model})
        return chosen
    patterns = data.read(store, clip_queries.neuron_patterns, model, str(dataset), layer, neuron)
    overlays = of_patterns(patterns, f"neuron {neuron}, layer {layer}")
    attributes = data.read(store, study.tasks, model).set_index("task")["attribute"]
    attribute = str(attributes.get(task, ""))
    tracks = [_track(row, attribute, overlays.get(int(row["clip_id"]))) for row in clips.to_dict("records")]
    player(tracks, key="neuron_player")
    if "top" not in set(clips["kind"]):
        st.caption("No clip drives it: there are no top ones.")
    if not overlays:
        st.caption("When it fires within a clip is not stored for this neuron; a run of the command above adds it.")
    share.take_away(f"clips_{model}_{layer}_{neuron}", clips.drop(columns="root"), head)
    return chosen


def _track(row: dict[Any, Any], attribute: str, overlay: Overlay | None) -> Track:
    title, caption = facts.clip_title(row, attribute), facts.clip_caption(row)
    return stored_track(row, title, caption, overlay)
