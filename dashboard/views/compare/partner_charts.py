"""Charts of units that have a partner in another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import axis_height, class_axis, kinds_legend, layered
from dashboard.shared.theme import HIGHLIGHT, NULL_COLOUR, OTHER_COLOUR
from dashboard.views.compare.partner_facts import DEALT

_CELL = 34  # pixels


def layer_chart(frame: pd.DataFrame, colours: Mapping[str, str]) -> alt.TopLevelLayerSpec:
    """Share of each layer's units that have a partner, in one model and another, beside dealt clips (dashed).

    Parameters
    ----------
    frame : DataFrame
        Of `dashboard.views.compare.partner_facts.layer_shares`.
    colours : mapping
        Of the models, in order.
    """
    names = [*colours, DEALT]
    color = alt.Color(
        "beside:N", scale=alt.Scale(domain=names, range=[*colours.values(), NULL_COLOUR]),
        legend=kinds_legend(names, title="Partners in", beside=60),
    )  # fmt: skip
    x = alt.X("layer:O", title="Layer", axis=alt.Axis(labelAngle=0))
    title = "Share with a partner"
    base = alt.Chart(frame).encode(
        x=x, color=color,
        tooltip=[
            alt.Tooltip("beside:N", title="In"), alt.Tooltip("layer:O", title="Layer"),
            alt.Tooltip("share:Q", title="Share", format=".1%"), alt.Tooltip("low:Q", title="from", format=".1%"),
            alt.Tooltip("high:Q", title="to", format=".1%"), alt.Tooltip("n_partners:Q", title="Neurons"),
            alt.Tooltip("n_matched:Q", title="of", format=",d"),
        ],
    )  # fmt: skip
    measured, dealt = (f"datum.beside {sign} '{DEALT}'" for sign in ("!=", "=="))
    interval = base.transform_filter(measured).mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title=title, axis=alt.Axis(format="%", tickCount=5)), y2=alt.Y2("high:Q"),
        xOffset=alt.XOffset("beside:N", sort=names),
    )  # fmt: skip
    y = alt.Y("share:Q", title=title, scale=alt.Scale(domainMin=0))
    points = base.transform_filter(measured).mark_point(filled=True, size=60, opacity=1)
    points = points.encode(y=y, xOffset=alt.XOffset("beside:N", sort=names))
    null = base.transform_filter(dealt).mark_line(strokeDash=[4, 4], strokeWidth=2).encode(y=y)
    return layered(layer=[null, interval, points], height=300)


def layer_grid(frame: pd.DataFrame, model: str, other: str) -> alt.TopLevelLayerSpec:
    """Partners by the layer of each; the number in a cell is how many there are.

    Parameters
    ----------
    frame : DataFrame
        Of `dashboard.views.compare.partner_facts.grid`.
    model, other : str
    """
    layers = sorted(set(frame["layer"]))
    base = alt.Chart(frame).encode(
        x=alt.X("partner_layer:O", title=f"Layer of {other}", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("layer:O", title=f"Layer of {model}", sort="descending"),
        tooltip=[
            alt.Tooltip("layer:O", title=model), alt.Tooltip("partner_layer:O", title=other),
            alt.Tooltip("n_partners:Q", title="Partners", format=",d"),
            alt.Tooltip("expected:Q", title="if layers did not matter", format=",.1f"),
        ],
    )  # fmt: skip
    cells = base.mark_rect().encode(
        color=alt.Color(
            "n_partners:Q", title="Partners", scale=alt.Scale(domainMin=0), legend=alt.Legend(tickMinStep=1)
        )
    )
    return layered(layer=[cells], height=max(220, min(_CELL * len(layers), 460)) + 40)


def class_shares(frame: pd.DataFrame, classes: Sequence[str]) -> alt.TopLevelLayerSpec:
    """Share of each class's units that have a partner, with its interval, over that of all units.

    Parameters
    ----------
    frame : DataFrame
        Of `dashboard.views.compare.partner_facts.class_rows`.
    classes : sequence of str
        In order.
    """
    title = "Share with a partner"
    base = alt.Chart(frame).encode(
        x=alt.X("class_name:N", title=None, sort=list(classes), axis=class_axis(classes)),
        tooltip=[
            alt.Tooltip("class_name:N", title="Class"), alt.Tooltip("share:Q", title="Share", format=".1%"),
            alt.Tooltip("low:Q", title="from", format=".1%"), alt.Tooltip("high:Q", title="to", format=".1%"),
            alt.Tooltip("n_partners:Q", title="Neurons", format=",d"),
            alt.Tooltip("n_units:Q", title="of", format=",d"),
            alt.Tooltip("n_beyond:Q", title="alike beyond the classes", format=",d"),
            alt.Tooltip("base:Q", title="Share of all neurons", format=".1%"),
        ],
    )  # fmt: skip
    colour = alt.condition("datum.clear", alt.value(HIGHLIGHT), alt.value(OTHER_COLOUR))
    interval = base.mark_rule(strokeWidth=2).encode(
        y=alt.Y("low:Q", title=title, axis=alt.Axis(format="%", tickCount=5)), y2=alt.Y2("high:Q"), color=colour
    )
    points = base.mark_point(filled=True, size=60, opacity=1).encode(y=alt.Y("share:Q"), color=colour)
    of_all = alt.Chart(frame.head(1)).mark_rule(color=NULL_COLOUR, strokeDash=[4, 4], strokeWidth=2)
    of_all = of_all.encode(y=alt.Y("base:Q"))
    return layered(layer=[of_all, interval, points], height=240 + axis_height(classes))
