"""What is left of a class with more and more neurons out, in each order, beside random orders."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.shared import data, draw, sections, share
from dashboard.shared.charts.common import CONTROL_NAME, kinds_legend, layered
from dashboard.shared.text import words
from dashboard.shared.text.numbers import between, number
from dashboard.shared.theme import MODEL_COLOURS, NULL_COLOUR
from db.reads import ablation as queries

ORDERS = {"mad": "by mad", "attribution": "by attribution", "evidence": "by evidence"}


def show(contents: sections.Contents, store: data.Store, model: str, task: str, target: str) -> None:
    """Show the curves of a class, and where they halve it; nothing where none were made."""
    curves = data.read(store, queries.erasure_curves, model, task, target)
    if curves.empty:
        return
    areas = data.read(store, queries.erasure_areas, model, task, target)
    section = contents.section(
        "More and more of them out", "erasure", is_open=False, folded=sentence(areas, target),
        help="The first 1, 2, 4, ... neurons of each order are silenced. The steeper a curve falls beside the "
        "grey band, what as many random neurons do, the better its order finds what the probe uses.",
    )  # fmt: skip
    if section is None:
        return
    with section.body:
        line = st.container(horizontal=True)
        line.markdown(sentence(areas, target), width="stretch")
        share.take_away(f"erasure_{model}_{task}_{target}", areas, line)
        draw.chart(
            erasure_chart, curves, name=f"erasure_curves_{model}_{task}_{target}", head=section.head,
            alt=f"Log probability of {target} over the number of neurons out, in each order, beside random orders",
        )  # fmt: skip
        st.caption("Vertical lines: 95 % interval over clips. Band and dashed line: range and mean of random orders.")


def sentence(areas: pd.DataFrame, target: str) -> str:
    """Tell which order falls most steeply, and the smallest set that halves p of the class."""
    total = areas[areas["outcome"] == "total"].sort_values("area", kind="stable")
    best = total.iloc[0]
    name, interval = ORDERS.get(best["order"], best["order"]), between(best["area_low"], best["area_high"], ".2f")
    area = number(best["area"], "+.2f")
    told = (
        f"**{words.plain(target)} falls most steeply with its neurons out {name}**: {area} nats beyond random orders "
        f"on average over the sizes (95 % interval {interval})."
    )
    halved = total.dropna(subset=["halved_at"]).sort_values("halved_at", kind="stable")
    if halved.empty:
        return f"{told} No set up to a quarter of all neurons halves its probability."
    first, random = halved.iloc[0], halved["random_halved_at"].min()
    beside = "no random set of up to a quarter does" if pd.isna(random) else f"at random it takes {random:,.0f}"
    return f"{told} {first['halved_at']:,.0f} neurons {ORDERS.get(first['order'], '')} halve its probability; {beside}."


def erasure_chart(curves: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Change of log p over the number of neurons out.

    Parameters
    ----------
    curves : DataFrame
        The view ``erasure_curves`` of one class.
    """
    names = [*ORDERS.values(), CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[*MODEL_COLOURS[: len(ORDERS)], NULL_COLOUR])
    color = alt.Color("kind:N", scale=scale, legend=kinds_legend(names))
    x = alt.X("n_neurons:Q", title="Neurons out", scale=alt.Scale(type="log", base=2))
    title = ["Change of the log", "probability (nats)"]
    tooltip = [
        alt.Tooltip("kind:N", title="Order"),
        alt.Tooltip("n_neurons:Q", title="Neurons out", format=",d"),
        alt.Tooltip("delta_log_prob:Q", title="Change (nats)", format="+.2f"),
        alt.Tooltip("delta_log_prob_low:Q", title="95 % interval from", format="+.2f"),
        alt.Tooltip("delta_log_prob_high:Q", title="95 % interval to", format="+.2f"),
        alt.Tooltip("control_log_prob_mean:Q", title="Random orders, mean", format="+.2f"),
        alt.Tooltip("delta_auroc:Q", title="Change of the AUROC", format="+.3f"),
    ]
    ordered = alt.Chart(curves.assign(kind=curves["order"].map(ORDERS))).encode(x=x, color=color, tooltip=tooltip)
    random = alt.Chart(curves.drop_duplicates("n_neurons").assign(kind=CONTROL_NAME)).encode(x=x, color=color)
    y = alt.Y("delta_log_prob:Q", title=title)
    return layered(
        layer=[
            random.mark_area(opacity=0.3).encode(
                y=alt.Y("control_log_prob_low:Q", title=title), y2=alt.Y2("control_log_prob_high:Q")
            ),
            random.mark_line(strokeDash=[4, 4], strokeWidth=1.5).encode(y=alt.Y("control_log_prob_mean:Q")),
            ordered.mark_rule(strokeWidth=1.5).encode(
                y=alt.Y("delta_log_prob_low:Q"), y2=alt.Y2("delta_log_prob_high:Q")
            ),
            ordered.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(filled=True, size=50)).encode(y=y),
        ],
        height=280,
    )
