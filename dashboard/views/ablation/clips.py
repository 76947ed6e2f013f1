"""Clip by clip: each test clip's own change, and those that are called by another class, to be heard."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, data, draw, sections, share
from dashboard.shared.player.player import player, stored_track
from dashboard.shared.text import words
from dashboard.views.ablation import facts, kind_charts, outcomes
from db.reads import ablation as queries
from db.reads.ablation import Chosen

_MOST_TRACKS = 12
_HEARD = {"own": "Its own clips", "other": "All other clips", "flipped": "Clips that flipped"}


def show(contents: sections.Contents, store: data.Store, chosen: Chosen, target: str, outcome: str) -> str | None:
    """Show every clip's change, and let the own, the others or the flipped be heard.

    Parameters
    ----------
    contents : Contents
        To which the section is added.
    store : Store
    chosen : Chosen
    target : str
    outcome : str
        That the page shows: by total and accuracy clips are told by log probability, else by logit.

    Returns
    -------
    str or None
        Which clips are heard, for the address; None where none were chosen.
    """
    heard = address.optional("clips", list(_HEARD))
    section = contents.section(
        "Clip by clip", "clips", is_open=False, asked=None if heard == "own" else heard,
        folded=f"Folded: what each test clip lost by the neurons of {words.plain(target)}, and those that are called "
        "by another class now, to be heard.",
        help="What each test clip lost by itself. Where the clips of the class fall and all others fall alike, the "
        "class's logit shifted; where they fall further than the others, the neurons were specific to them.",
    )  # fmt: skip
    if section is None:
        return heard
    with section.body:
        changes = data.read(store, queries.clips, chosen, target)
        if changes.empty:
            _flipped(store, chosen, target)
            return heard
        changes = _changes(changes, chosen, target, outcome, section.head)
        heard = heard or "own"
        st.segmented_control(
            "Hear", list(_HEARD), format_func=_HEARD.__getitem__, required=True, label_visibility="collapsed",
            key=address.show("select_clips", heard), on_change=address.on_change("clips", "select_clips"),
        )  # fmt: skip
        if heard == "flipped":
            _flipped(store, chosen, target)
        else:
            _changed(changes[changes["own"] == (heard == "own")], heard)
    return heard


def _changes(changes: pd.DataFrame, chosen: Chosen, target: str, outcome: str, head: DeltaGenerator) -> pd.DataFrame:
    """Draw each clip's change over the same clips under random sets; returns the clips, those that lose most first."""
    by = "log_prob" if outcome in ("total", "accuracy") or changes["delta_logit"].isna().all() else "logit"
    told: pd.DataFrame = data.derive(outcomes.clip_changes, changes, target, by)
    st.markdown(outcomes.clips_sentence(told, by))
    axis = "log probability of the clip's own class (nats)" if by == "log_prob" else f"logit of {target} (logits)"
    draw.chart(
        kind_charts.clips_chart, told, axis, name=f"clips_{chosen.model}_{chosen.task}_{target}", head=head,
        alt=f"Change of each test clip by the neurons of {target}, its own clips apart, over random sets",
    )  # fmt: skip
    st.caption("A circle is a test clip; tick: their mean. Grey: the same clips, mean over the random sets.")
    return told


def _changed(rows: pd.DataFrame, heard: str) -> None:
    """The clips that lose most, to be heard."""
    if rows.empty:
        st.caption("There are none among the test clips.")
        return
    first = rows.head(_MOST_TRACKS).to_dict("records")
    player(
        [stored_track(r, outcomes.clip_title(r), outcomes.clip_caption(r)) for r in first],
        key=f"clips_{heard}",
    )
    if len(rows) > _MOST_TRACKS:
        st.caption(f"The {_MOST_TRACKS} of {len(rows):,} that lose most; all are in the chart's rows to take away.")


_FLIPPED = (
    "Test clips that the probe calls by another class once the neurons are changed. Random neurons flip clips too: "
    "only a significant difference above tells more than that."
)


def _flipped(store: data.Store, chosen: Chosen, target: str) -> None:
    """The clips that the probe calls by another class now."""
    head = sections.subheading("Clips that flipped", help=_FLIPPED)
    flips = data.read(store, queries.flips, chosen, target)
    if flips.empty:
        st.caption(
            f"No test clip changed its class by the neurons of {words.plain(target)}."
            if data.read(store, queries.any_flips, chosen.model, chosen.task)
            else "Which clips flipped was not kept in this run, or none did (tasks with several labels a clip have no "
            "single answer to flip). Running the analysis again keeps them."
        )
        return
    flips = facts.flip_kinds(flips)
    st.markdown(facts.flip_sentence(flips))
    player(
        [
            stored_track(row, facts.flip_title(row), facts.flip_caption(row))
            for row in flips.head(_MOST_TRACKS).to_dict("records")
        ],
        key="flips",
    )
    if len(flips) > _MOST_TRACKS:
        st.caption(f"The first {_MOST_TRACKS} of {len(flips):,}, lost answers first; all are in the rows to take away.")
    share.take_away(f"flips_{chosen.model}_{chosen.task}_{target}", flips, head)
