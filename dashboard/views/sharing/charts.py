"""Charts of shared neurons: classes by classes, and the network of a task's classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard.shared.charts.common import MOST_NUMBERS, axis_height, class_axis, either, kinds_legend, layered
from dashboard.shared.charts.groups import category_colours
from dashboard.shared.theme import HIGHLIGHT, NULL_COLOUR, OTHER_COLOUR
from dashboard.views.sharing.facts import ITSELF, NO_NEURONS

WIDEST = 5.0
"""Largest |log2 ratio| that the colours tell apart: 32 times."""


_PAIR_TOOLTIP = [
    alt.Tooltip("class_a:N", title="Row"),
    alt.Tooltip("class_b:N", title="Column"),
    alt.Tooltip("n_shared:Q", title="Shared neurons", format=",d"),
    alt.Tooltip("expected:Q", title="Expected by chance", format=",.1f"),
    alt.Tooltip("n_a:Q", title="Neurons of the row's class", format=",d"),
    alt.Tooltip("n_b:Q", title="Neurons of the column's class", format=",d"),
    alt.Tooltip("odds_ratio:Q", title="Odds ratio (1 = chance)", format=".3~g"),
    alt.Tooltip("odds_low:Q", title="95 % interval from", format=".3~g"),
    alt.Tooltip("odds_high:Q", title="to", format=".3~g"),
    alt.Tooltip("p_value:Q", title="p (more than chance)", format=".2~g"),
    alt.Tooltip("q_value:Q", title="q (more than chance)", format=".2~g"),
    alt.Tooltip("q_fewer:Q", title="q (fewer than chance)", format=".2~g"),
    alt.Tooltip("verdict:N", title="Verdict"),
    alt.Tooltip("contained:N", title="One class contains the other"),
]


def sharing_matrix(
    cells: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str],
    selected: tuple[str | None, str | None] = (None, None),
    dark: bool = False,
) -> alt.TopLevelLayerSpec:
    """Neurons that classes share, coloured by observed over expected; a click selects a pair (``cell``).

    Parameters
    ----------
    cells : DataFrame
        As `dashboard.views.sharing.facts.matrix` gives them.
    rows, columns : sequence of str
        Classes in the order drawn; others are left out.
    titles : (str, str)
        Of the rows and of the columns.
    selected : (row, column), optional
        The pair to frame.
    dark : bool
        Whether the page's ground is dark.
    """
    cells = cells[cells["class_a"].isin(rows) & cells["class_b"].isin(columns)]
    standing = cells.loc[cells["stands"], "log2_ratio"].replace([np.inf, -np.inf], np.nan).abs()
    widest = float(np.clip(np.nan_to_num(standing.max(), nan=1.0), 1, WIDEST))
    cells = cells.assign(
        colour=cells["log2_ratio"].clip(-widest, widest),
        chosen=(cells["class_a"] == selected[0]) & (cells["class_b"] == selected[1]),
        contained=np.where(cells["nested"] == 1, "yes, by definition", "no"),
    )
    step = 26 if len(rows) <= 24 else 17 if len(rows) <= 45 else 11
    base = alt.Chart(cells).encode(
        x=alt.X(
            "class_b:N", title=titles[1], sort=list(columns), axis=class_axis(list(columns)),
            scale=alt.Scale(domain=list(columns)),
        ),
        y=alt.Y(
            "class_a:N", title=titles[0], sort=list(rows), scale=alt.Scale(domain=list(rows)),
            axis=alt.Axis(labelLimit=130, labelOverlap=step < 17, labelBaseline="middle"),
        ),
        tooltip=_PAIR_TOOLTIP,
    )  # fmt: skip
    frame = {
        "stroke": either(alt.StrokeValue, "datum.chosen", HIGHLIGHT, "transparent"),
        "strokeWidth": either(alt.StrokeWidthValue, "datum.chosen", 3, 0),
    }
    stands = base.transform_filter("datum.stands").mark_rect(cursor="pointer")
    coloured = stands.encode(
        color=alt.Color(
            "colour:Q",
            scale=alt.Scale(domain=[-widest, widest], domainMid=0, interpolate="rgb"),
            legend=_ratio_legend(),
        ),
        **frame,
    ).add_params(alt.selection_point(name="cell", fields=["class_a", "class_b"]))
    rest = base.transform_filter("!datum.stands").mark_rect(cursor="pointer", color=NULL_COLOUR)
    void = f"indexof({[NO_NEURONS, ITSELF]!r}, datum.verdict) >= 0"
    grey = rest.encode(opacity=either(alt.OpacityValue, void, 0.12, 0.45), **frame)
    layers: list[alt.Chart] = [coloured, grey]
    if len(cells) <= MOST_NUMBERS:
        layers.append(_n_shared(base, cells, len(columns), widest, dark))
    layers.append(_contained(base, len(columns), step))
    return layered(layer=layers, height=max(step * len(rows) + axis_height(list(columns)) + 85, 170))


def _ratio_legend() -> alt.Legend:
    return alt.Legend(
        title="Observed / expected", titleOrient="left", orient="top", gradientLength=150, gradientThickness=10,
        tickCount=5, labelExpr="datum.value < 0 ? '÷' + format(pow(2, -datum.value), '.2~g') :"
        " '×' + format(pow(2, datum.value), '.2~g')",
    )  # fmt: skip


def _contained(base: alt.Chart, n_columns: int, step: int) -> alt.Chart:
    """A mark in the corner where one class contains the other."""
    corner = {"expr": f"2 - width / {2 * max(n_columns, 1)}"}
    return base.transform_filter("datum.nested == 1").mark_text(
        text="⊂", align="left", baseline="top", dx=corner, dy=1 - step / 2, fontSize=max(9, step * 0.45),
        fontWeight="bold", color=HIGHLIGHT,
    )  # fmt: skip


def _n_shared(base: alt.Chart, cells: pd.DataFrame, n_columns: int, widest: float, dark: bool) -> alt.Chart:
    """The number of shared neurons, in every cell that has room."""
    digits = len(str(int(max(cells["n_shared"].max(), 1)))) if len(cells) else 1
    strong, weak = ("#0B1216", "#E6EBED") if dark else ("#FFFFFF", "#1D2529")
    cell = f"(width / {max(n_columns, 1)})"
    text = base.mark_text(
        fontSize={"expr": f"max(8, min(12, {cell} / {0.62 * digits:.2f}))"},
        opacity={"expr": f"{cell} < {5.2 * digits:.1f} || datum.verdict == '{NO_NEURONS}' ? 0 : 1"},
        color={"expr": f"datum.stands && abs(datum.colour) > {0.6 * widest} ? '{strong}' : '{weak}'"},
    )
    return text.encode(text=alt.Text("n_shared:Q", format="d"))


_EDGE_TOOLTIP = [
    alt.Tooltip("class_a:N", title="Class"),
    alt.Tooltip("class_b:N", title="and class"),
    alt.Tooltip("n_shared:Q", title="Shared neurons", format=",d"),
    alt.Tooltip("expected:Q", title="Expected by chance", format=",.1f"),
    alt.Tooltip("odds_ratio:Q", title="Odds ratio (1 = chance)", format=".3~g"),
    alt.Tooltip("odds_low:Q", title="95 % interval from", format=".3~g"),
    alt.Tooltip("odds_high:Q", title="to", format=".3~g"),
    alt.Tooltip("q_value:Q", title="q", format=".2~g"),
    alt.Tooltip("contained:N", title="One class contains the other"),
]


def class_network(
    nodes: pd.DataFrame,
    edges: pd.DataFrame,
    group_of: Mapping[str, str] | None = None,
    selected: tuple[str | None, str | None] = (None, None),
    dark: bool = False,
) -> alt.TopLevelLayerSpec:
    """Classes of a task, joined where they share more neurons than chance; a click on a line selects it (``edge``).

    Parameters
    ----------
    nodes, edges : DataFrame
        As `dashboard.views.sharing.facts.network` gives them.
    group_of : mapping, optional
        Class to group, which colours the class.
    selected : (class, class), optional
        The pair to mark, either way round.
    dark : bool
        Whether the page's ground is dark.
    """
    scale = alt.Scale(domain=[-0.08, 1.08], nice=False)
    x, y = alt.X("x:Q", axis=None, scale=scale), alt.Y("y:Q", axis=None, scale=scale)
    pair = set(selected)
    chosen = [{a, b} == pair for a, b in zip(edges["class_a"], edges["class_b"], strict=True)]
    drawn = edges.assign(chosen=chosen, contained=np.where(edges["nested"] == 1, "yes, by definition", "no"))
    click = alt.selection_point(name="edge", fields=["class_a", "class_b"])
    lines = (
        alt.Chart(drawn)
        .mark_rule(cursor="pointer", strokeCap="round")
        .encode(
            x=x,
            y=y,
            x2=alt.X2("x2"),
            y2=alt.Y2("y2"),
            strokeWidth=alt.StrokeWidth(
                "log_odds:Q",
                scale=alt.Scale(domain=[0, float(max(edges["log_odds"].max(), 1)) if len(edges) else 1], range=[1, 9]),
                legend=None,
            ),
            strokeDash=either(alt.StrokeDashValue, "datum.nested == 1", [3, 5], [1, 0]),
            color=either(alt.ColorValue, "datum.chosen", HIGHLIGHT, OTHER_COLOUR),
            opacity=alt.OpacityValue(0.75),
            tooltip=_EDGE_TOOLTIP,
        )
        .add_params(click)
    )
    groups = list(dict.fromkeys((group_of or {}).values()))
    dots = nodes.assign(group=[(group_of or {}).get(name, "") for name in nodes["class_name"]])
    base = alt.Chart(dots).encode(x=x, y=y)
    names = base.mark_text(dy=-17, fontSize=12, color="#E6EBED" if dark else "#1D2529").encode(
        text=alt.Text("class_name:N")
    )
    return layered(layer=[lines, _dots(base, nodes, groups), names], height=420 + (30 if groups else 0))


def _dots(base: alt.Chart, nodes: pd.DataFrame, groups: list[str]) -> alt.Chart:
    """A dot a class, as large as it has neurons, in the colour of its group."""
    colour = (
        alt.Color(
            "group:N",
            scale=alt.Scale(domain=groups, range=category_colours(len(groups))),
            legend=kinds_legend(groups),
        )
        if groups
        else alt.ColorValue(category_colours(1)[0])
    )
    return base.mark_circle(opacity=1, stroke="white", strokeWidth=1).encode(
        size=alt.Size("n_neurons:Q", scale=alt.Scale(domain=[0, float(max(nodes["n_neurons"].max(), 1))],
                                                      range=[40, 500]), legend=None),
        color=colour,
        tooltip=[
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("n_neurons:Q", title="Class-specific neurons", format=",d"),
        ],
    )  # fmt: skip
