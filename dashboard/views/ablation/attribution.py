"""Every neuron's estimated share in a task, how far to trust it, and the neurons that count most."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, data, draw, sections, share
from dashboard.shared.text import facts
from dashboard.views.ablation import charts
from db.reads import ablation as queries

_PAIR_WIDTH = 380  # pixels; narrower parts stand one below the other


def show(contents: sections.Contents, store: data.Store, model: str, task: str, class_name: str = "") -> None:
    """Show estimates beside what was measured, and the strongest neurons of a class.

    Parameters
    ----------
    contents : Contents
        To which the section is added.
    store : Store
    model, task : str
    class_name : str
        The class to begin with, where the address names none (``attributed``).
    """
    summary = data.read(store, queries.attribution, model, task)
    told = None if summary.empty else summary.iloc[0].to_dict()
    section = contents.section(
        "Every neuron's share", "shares", is_open=told is None, asked=st.query_params.get("attributed"),
        folded=facts.trust_sentence(told) if told else "",
        help="What would the probe lose without this one neuron? Estimated for all of them by one gradient: margin of "
        "the right class over the best other one, in logits. It says nothing about neurons that act only together.",
    )  # fmt: skip
    if section:
        with section.body:
            _shares(store, (model, task), told, class_name, section.head)


def _shares(
    store: data.Store, of: tuple[str, str], told: dict[Hashable, Any] | None, class_name: str, head: DeltaGenerator
) -> None:
    model, task = of
    if told is None:
        st.caption("No attribution was computed for this task: it needs a linear probe and the stage ablate.")
        return
    st.markdown(" ".join(filter(None, (facts.trust_sentence(told), facts.predictor_sentence(told)))))
    checks = data.read(store, queries.attribution_checks, model, task)
    names = data.read(store, queries.attributed_classes, model, task)
    pair = st.grid(2, min_column_width=_PAIR_WIDTH, gap="large")
    with pair.container():
        if checks.empty:
            st.caption("No neuron was taken out to check the estimates: read them with care.")
        else:
            draw.chart(
                charts.check_chart, checks, name=f"attribution_check_{model}_{task}", head=head,
                alt="Estimated against measured loss of margin, a point a neuron",
            )  # fmt: skip
            st.caption(
                "A point is a neuron that was taken out. On the dashed line the estimate is exact; few clips scatter."
            )
    if names:
        with pair.container():
            _strongest(store, model, task, names, class_name)


def _strongest(store: data.Store, model: str, task: str, names: list[str], first: str) -> None:
    class_name = address.optional("attributed", names) or (first if first in names else names[0])
    line = st.container(horizontal=True, vertical_alignment="bottom")
    with line:
        address.select("Neurons that count most for", "attributed", names, class_name)
    top = data.read(store, queries.top_attributed, model, task, class_name)
    links = [
        address.relative("neuron", model=model, task=task, layer=layer, neuron=neuron)
        for layer, neuron in zip(top["layer"], top["neuron"], strict=True)
    ]
    st.dataframe(
        top.assign(link=links), hide_index=True, height=320, placeholder="–",
        column_order=["link", "layer", "attribution", "standard_error", "n_clips"],
        column_config={
            "link": st.column_config.LinkColumn(
                "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left"
            ),
            "layer": "Layer",
            "attribution": st.column_config.NumberColumn(
                "Loss", format="%.3f", help="Margin that the class is estimated to lose without it, in logits."
            ),
            "standard_error": st.column_config.NumberColumn(
                "± s. e.", format="%.3f", help="Standard error of the loss over the class's clips."
            ),
            "n_clips": st.column_config.NumberColumn("Clips", help="Test clips of the class."),
        },
        alt=f"The neurons with the highest attribution for {class_name}",
    )  # fmt: skip
    share.take_away(f"attributed_{model}_{task}_{class_name}", top, line)
