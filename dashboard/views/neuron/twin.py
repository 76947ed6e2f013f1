"""The units of other models that respond most like the neuron, to be heard beside it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import address, command, data, sections, share
from dashboard.shared.player import beside
from dashboard.shared.player.player import player
from dashboard.shared.text import words
from dashboard.views.neuron import twin_facts
from dashboard.views.neuron.parts import One
from db.reads import matching, study


def twins(one: One, answers: pd.DataFrame, selectivity: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, str]:
    """Its most alike unit in each other model, and both to be heard; arguments as of `dashboard.views.neuron.parts`.

    Returns
    -------
    dict
        What is chosen here, for the address (``other_model``).
    """
    head = sections.heading(
        "Its twins in other models",
        help="Of all units of another model the one whose mean activation over the same clips correlates most with "
        "this one’s. Train and valid clips choose it, test clips tell how alike the two are. A twin is mutual, and "
        "both are more alike than dealt clips give (q < 0.05, all units looked at). Some twins are a matter of the "
        "architecture alone: see the untrained model.",
    )
    rows = data.read(one.store, matching.neuron_partners, one.model, *one.place)
    if rows.empty:
        st.caption(
            "It was matched with no other model, or does not vary. This command matches it with the untrained twin "
            "of its model; any other `--model` does as well:"
        )
        command.show({**command.ALL, "--model": one.model, "--untrained": None})
        return {}
    dataset = str(data.read(one.store, study.tasks, one.model).set_index("task")["dataset"].get(one.task, ""))
    of_dataset = rows[rows["dataset"] == dataset]
    if of_dataset.empty:
        dataset = str(rows["dataset"].iloc[0])
        of_dataset = rows[rows["dataset"] == dataset]
    kept = {"task": one.task, "preset": one.preset, "part": "twins"}
    st.markdown(
        "\n".join(
            f"- {twin_facts.sentence(row, _link(row, kept))}" for row in of_dataset.to_dict("records")
        )
    )  # fmt: skip
    st.caption(f"Over the clips of {words.plain(dataset)}. In brackets: 95 % intervals.")
    if rows["dataset"].nunique() > 1:
        _elsewhere(rows, kept)
    share.take_away(f"twins_{one.name}", rows, head)
    return {"other_model": _heard(one, of_dataset, dataset)}


def _link(row: Mapping[Hashable, Any], kept: Mapping[str, str]) -> str:
    there = {"model": row["partner_model"], "layer": row["partner_layer"], "neuron": row["partner_neuron"]}
    return address.relative("neuron", **kept, **there)


def _elsewhere(rows: pd.DataFrame, kept: Mapping[str, str]) -> None:
    """The same over the clips of every dataset."""
    folded = st.expander("Over other datasets’ clips, as a table", on_change="rerun", key="twins_table")
    if not folded.open:
        return
    with folded:
        st.dataframe(
            rows.assign(link=[_link(row, kept) for row in rows.to_dict("records")]), hide_index=True, placeholder="–",
            column_order=["dataset", "partner_model", "partner_layer", "link", "held_out", "held_out_low",
                          "held_out_high", "null_high", "is_partner", "is_beyond"],
            column_config={
                "dataset": "Dataset",
                "partner_model": "Model",
                "partner_layer": "Layer",
                "link": st.column_config.LinkColumn("Most alike", display_text=r"neuron=(\d+)$"),
                "held_out": st.column_config.NumberColumn("r, held out", format="%.2f"),
                "held_out_low": st.column_config.NumberColumn("from", format="%.2f"),
                "held_out_high": st.column_config.NumberColumn("to", format="%.2f"),
                "null_high": st.column_config.NumberColumn("dealt clips", format="%.2f"),
                "is_partner": st.column_config.CheckboxColumn("Twin"),
                "is_beyond": st.column_config.CheckboxColumn("Beyond classes"),
            },
            alt="The most alike unit of each model over each dataset",
        )  # fmt: skip


def _heard(one: One, rows: pd.DataFrame, dataset: str) -> str:
    """One player for the neuron and its most alike unit in the model that is chosen; returns that."""
    others = list(rows["partner_model"])
    other = address.choice("other_model", others, twin_facts.usual(rows))
    if len(others) > 1:
        key = address.show("select_twin", other)
        st.pills(
            "Heard beside that of", others, format_func=words.plain, key=key, required=True,
            on_change=address.on_change("other_model", key),
        )  # fmt: skip
    row = rows[rows["partner_model"] == other].iloc[0]
    there = other, int(row["partner_layer"]), int(row["partner_neuron"])
    made, told = beside.tracks(one.store, dataset, ((one.model, *one.place), there))
    player(made, key="twin_player", label="Player of both")
    st.caption(told)
    pair = {"model": one.model, "layer": one.layer, "neuron": one.neuron, "task": one.task, "preset": one.preset}
    link = address.relative("pair", **pair, other_model=other, other_layer=there[1], other_neuron=there[2])
    st.markdown(f"[Both side by side]({link}): classes, differences, clips in common.")
    return other
