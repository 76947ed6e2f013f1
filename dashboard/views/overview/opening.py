"""What the overview opens with: three findings out of the store, each with what it is to be read against."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import data, running
from dashboard.shared.player.player import player, stored_track
from dashboard.shared.text.words import class_in_words
from dashboard.views.overview.findings import Card, effect_card, neuron_card, pair_card
from db.reads import coverage, findings, sharing

ICONS = ("hearing", "hub", "content_cut")
CARD_WIDTH = 245  # pixels


def show(store: data.Store, preset: str, ablated: pd.DataFrame) -> None:
    """Show three cards.

    Parameters
    ----------
    store : Store
    preset : str
        Whose neurons.
    ablated : DataFrame
        Of `db.reads.coverage.ablated_tasks`.
    """
    st.subheader(
        "Three findings in two minutes", anchor="findings",
        help="Looked up in this store: of each kind the one whose 95 % interval keeps farthest from no effect.",
    )  # fmt: skip
    neuron = _first(data.read(store, findings.strongest_neuron, preset))
    pair = _first(data.read(store, findings.shared_pair, preset))
    effect = _first(data.read(store, findings.selective_effect))
    accuracy = None if effect else data.read(store, coverage.strongest_effects)
    cards = (
        neuron_card(neuron, data.read(store, findings.n_replicated, preset), _warnings(store, neuron, "task"), preset),
        pair_card(pair, _warnings(store, pair, "task_a", "task_b"), preset),
        effect_card(effect, accuracy, bool(len(ablated))),
    )
    stages = ("score", "score", "ablate")
    grid = st.grid(3, min_column_width=CARD_WIDTH)
    for card, icon, stage in zip(cards, ICONS, stages, strict=True):
        with grid.container(border=True, height="stretch", gap="small"):
            st.markdown(f":material/{icon}: **{card.title}**")
            st.markdown(card.sentence)
            if card is cards[0] and neuron is not None:
                _play(store, neuron)
            _show(card, stage)


def _show(card: Card, stage: str) -> None:
    """The number of a card, what it is not, and where it is shown in full."""
    if not card.page:
        if coming := running.coming({"--stages": stage}):
            st.caption(coming)
        return
    st.metric(card.name, card.value)
    st.caption(card.beside)
    st.caption(f":orange[:material/warning:] {card.caution}" if card.is_confounded else card.caution)
    st.page_link(
        f"views/{card.page}/{card.page}.py", label=card.label, icon=":material/arrow_forward:", query_params=card.state
    )


def _play(store: data.Store, row: dict[Any, Any]) -> None:
    """The clip of the class that the neuron answers to most."""
    clips = data.read(
        store, sharing.clips_of_class, row["model"], row["layer"], row["neuron"], row["task"], row["class_name"], 1
    )
    title = class_in_words(str(row["attribute"]), str(row["class_name"]))
    tracks = [stored_track(clip, title) for clip in clips.to_dict("records")]
    player(tracks, key="finding_player")


def _first(rows: pd.DataFrame) -> dict[Any, Any] | None:
    return None if rows.empty else rows.iloc[0].to_dict()


def _warnings(store: data.Store, row: dict[Any, Any] | None, *tasks: str) -> list[str]:
    """What the runs warned of for the tasks of a finding."""
    if row is None:
        return []
    names = dict.fromkeys(str(row[name]) for name in tasks)
    return [text for name in names for text in data.read(store, findings.task_warnings, str(row["model"]), name)]
