"""Heatmaps of layers, neurons and classes, and the order of their rows.

Counts and probabilities start at 0 on a sequential scale whose colours the theme gives; the
numbers stand in the cells where there is room. Groups of classes are a row of colours above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.shared.charts.common import (
    MOST_NUMBERS,
    axis_height,
    class_axis,
    class_order,
    either,
    kinds_legend,
    layered,
)
from dashboard.shared.charts.groups import Order, category_colours
from dashboard.shared.theme import HIGHLIGHT, NULL_COLOUR
from dashboard.views.heatmap.picture import Picture

BAND = "group"
"""Label of the row of colours."""
_OWN_COLOURS = alt.Resolve(scale=alt.ScaleResolveMap(color="independent"))


def cluster_order(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row order that puts rows of similar shape side by side.

    Average linkage on Euclidean distances of rows scaled to their maximum, optimal leaf order.

    Parameters
    ----------
    matrix : ndarray, shape (n_rows, n_columns)
        Not negative.

    Returns
    -------
    ndarray of int, shape (n_rows,)
    """
    if len(matrix) < 3:
        return np.arange(len(matrix))
    # Here, not above: a third of a second that the first page need not wait for.
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    peaks = matrix.max(axis=1, keepdims=True)
    shapes = np.divide(matrix, peaks, out=np.zeros_like(matrix), where=peaks > 0)
    tree = linkage(shapes, "average")
    return np.asarray(leaves_list(optimal_leaf_ordering(tree, shapes)), dtype=np.int64)


def cell_text(value: str, top: float, columns: int, digits: int, dark: bool) -> dict[str, Any]:
    """Numbers in cells: as large as the cell bears, gone where it bears none, always in contrast.

    The cell's width is known in the browser only, so size and opacity are Vega expressions.
    """
    cell = f"(width / {max(columns, 1)})"
    strong, weak = ("#0B1216", "#E6EBED") if dark else ("#FFFFFF", "#1D2529")
    return {
        "fontSize": {"expr": f"max(8, min(12, {cell} / {0.62 * digits:.2f}))"},
        "opacity": {"expr": f"{cell} < {5.2 * digits:.1f} ? 0 : 1"},
        "color": {"expr": f"datum['{value}'] > {0.55 * top} ? '{strong}' : '{weak}'"},
    }


def _gradient(title: str, **how: Any) -> alt.Legend:
    """A legend above the chart: beside it, it would take a phone's width."""
    return alt.Legend(title=title, orient="top", gradientLength=140, gradientThickness=10, titleOrient="left", **how)


def _band(order: Order, row: str) -> alt.Chart:
    """The row of colours that tells which group each class belongs to."""
    groups = list(order.groups)
    group_of = order.group_of or {}
    rows = pd.DataFrame({"class_name": order.classes, "group": [group_of[name] for name in order.classes], row: BAND})
    return (
        alt.Chart(rows)
        .mark_rect(height=9)
        .encode(
            x=alt.X("class_name:N", sort=list(order.classes)),
            y=alt.Y(f"{row}:O"),
            color=alt.Color(
                "group:N",
                scale=alt.Scale(domain=groups, range=category_colours(len(groups))),
                legend=kinds_legend(groups, orient="bottom"),  # beside the gradient a phone would cut it off
            ),
            tooltip=[
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("group:N", title=order.attribute.replace("_", " ").capitalize()),
            ],
        )
    )  # fmt: skip


def _order_of(names: pd.Series, order: Order | None) -> Order:
    return order if order is not None else Order(tuple(class_order(names)))


def count_heatmap(
    frame: pd.DataFrame,
    selected: tuple[int | None, str | None] = (None, None),
    dark: bool = False,
    order: Order | None = None,
    shown: str = "n_neurons",
) -> alt.TopLevelLayerSpec:
    """Class-specific neurons of each layer and class; a click selects a cell (``cell``).

    Parameters
    ----------
    frame : DataFrame
        ``layer``, ``class_name``, ``n_neurons``; dense. With ``expected_null``, ``above``, ``limit`` and ``stands``
        (see `dashboard.views.heatmap.facts.beside_null`) what is not beyond the null is grey.
    selected : (layer, class), optional
        The cell to frame.
    dark : bool
        Whether the page's ground is dark.
    order : Order, optional
        Of the classes, with their groups.
    shown : str
        ``n_neurons``, or ``above``: the count less what the null gives.
    """
    order = _order_of(frame["class_name"], order)
    classes = list(order.classes)
    layers = sorted(int(layer) for layer in frame["layer"].unique())
    cells = frame.assign(chosen=(frame["layer"] == selected[0]) & (frame["class_name"] == selected[1]))
    top = float(max(cells[shown].max(), 1))
    rows: list[str | float] = [*([BAND] if (banded := bool(order.groups)) else []), *layers]
    base = alt.Chart(cells).encode(
        x=alt.X("class_name:N", title="Class", sort=classes, axis=class_axis(classes)),
        y=alt.Y("layer:O", title="Layer", scale=alt.Scale(domain=rows), axis=alt.Axis(labelBaseline="middle")),
        tooltip=_count_tooltip("stands" in frame),
    )
    title = "Neurons" if shown == "n_neurons" else "Neurons above null"
    click = alt.selection_point(name="cell", fields=["layer", "class_name"], empty=True)
    colour: Any = alt.Color(
        f"{shown}:Q", scale=alt.Scale(domain=[0, top], clamp=True), legend=_gradient(title, tickCount=4)
    )
    rect = base.mark_rect(cursor="pointer").encode(
        stroke=either(alt.StrokeValue, "datum.chosen", HIGHLIGHT, "transparent"),
        strokeWidth=either(alt.StrokeWidthValue, "datum.chosen", 3, 0),
    )
    if "stands" in frame and frame["expected_null"].notna().all():
        # No more than chance gives is grey all through, also where it is nothing.
        colour = alt.condition("datum.stands", colour, alt.value(NULL_COLOUR))
        pale = [{"test": "datum.stands", "value": 1}, {"test": "datum.n_neurons > 0", "value": 0.55}]
        rect = rect.encode(fillOpacity=alt.FillOpacityValue(0.15, condition=pale))
    drawn: list[alt.Chart] = [rect.encode(color=colour).add_params(click)]
    if len(cells) <= MOST_NUMBERS:
        number = "d" if shown == "n_neurons" or top >= 30 else ".1~f"
        digits = len(str(int(top))) + (2 if number == ".1~f" else 0)
        text = base.mark_text(**cell_text(shown, top, len(classes), digits, dark))
        drawn.append(text.encode(text=alt.Text(f"{shown}:Q", format=number)))
    if banded:
        drawn.append(_band(order, "layer"))
    height = 26 * len(rows) + axis_height(classes) + (125 if banded else 75)
    return layered(layer=drawn, resolve=_OWN_COLOURS, height=height)


def _count_tooltip(beside_null: bool) -> list[alt.Tooltip]:
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("class_name:N", title="Class"),
        alt.Tooltip("n_neurons:Q", title="Class-specific neurons", format=",d"),
    ]
    if beside_null:
        tooltip += [
            alt.Tooltip("expected_null:Q", title="Expected by chance (null spread evenly)", format=",.3~g"),
            alt.Tooltip("above:Q", title="Observed minus expected", format="+,.1f"),
            alt.Tooltip("limit:Q", title="Most that chance gives (97.5 %)", format=",d"),
        ]
    return tooltip


def probability_heatmap(
    frame: pd.DataFrame,
    neurons: Sequence[int],
    highlight: str | None = None,
    dark: bool = False,
    order: Order | None = None,
) -> alt.TopLevelLayerSpec:
    """Activation probability of neurons over classes; a click selects a neuron (``neuron``).

    Parameters
    ----------
    frame : DataFrame
        ``neuron``, ``class_name``, ``activation_probability``.
    neurons : sequence of int
        Rows from top to bottom.
    highlight : str, optional
        The class whose column is framed.
    dark : bool
    order : Order, optional
        Of the classes, with their groups.
    """
    order = _order_of(frame["class_name"], order)
    classes = list(order.classes)
    banded = bool(order.groups)
    top = float(max(frame["activation_probability"].max(), 1e-9))
    cells = frame.assign(percent=frame["activation_probability"] * 100)
    click = alt.selection_point(name="neuron", fields=["neuron"])
    step = 15 if len(neurons) > 12 else 22
    rows: list[str | float] = [*([BAND] if banded else []), *neurons]
    base = alt.Chart(cells).encode(
        x=alt.X("class_name:N", title="Class", sort=classes, axis=class_axis(classes)),
        y=alt.Y(
            "neuron:N", title="Neuron", sort=list(neurons), scale=alt.Scale(domain=rows),
            axis=alt.Axis(labelOverlap=False, labelBaseline="middle"),
        ),
        tooltip=[
            alt.Tooltip("neuron:N", title="Neuron"),
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("activation_probability:Q", title="Activation probability", format=".1%"),
        ],
    )  # fmt: skip
    colour = alt.Color(
        "activation_probability:Q", scale=alt.Scale(domain=[0, top]),
        legend=_gradient("Activation probability", format=".0~%"),
    )  # fmt: skip
    layers: list[alt.Chart] = [base.mark_rect(cursor="pointer").encode(color=colour).add_params(click)]
    if len(cells) <= MOST_NUMBERS:
        text = base.mark_text(**cell_text("activation_probability", top, len(classes), 2, dark))
        layers.append(text.encode(text=alt.Text("percent:Q", format=".0f")))
    if highlight in classes:
        column = alt.Chart(pd.DataFrame({"class_name": [highlight]}))
        framed = column.mark_rect(fillOpacity=0, stroke=HIGHLIGHT, strokeWidth=2)
        layers.append(framed.encode(x=alt.X("class_name:N", sort=classes)))
    if banded:
        layers.append(_band(order, "neuron"))
    height = max(step * len(rows) + axis_height(classes) + (125 if banded else 75), 150)
    return layered(layer=layers, resolve=_OWN_COLOURS, height=height)


def _image(picture: Picture, x: alt.X, y: alt.Y) -> alt.Chart:
    whole = {"url": [picture.url], "x": [0], "x2": [picture.n_columns], "y": [0], "y2": [picture.height]}
    image = alt.Chart(pd.DataFrame(whole)).mark_image(aspect=False, smooth=False)
    return image.encode(x=x, x2=alt.X2("x2"), y=y, y2=alt.Y2("y2"), url=alt.Url("url:N"))


def neurons_picture(
    picture: Picture, kinds: tuple[str, ...], selected: str | None = None, legend: str = ""
) -> alt.TopLevelLayerSpec:
    """All neurons of a model as one image, a stripe a layer; a click selects a block of neurons (``block``).

    Parameters
    ----------
    picture : Picture
    kinds : tuple of str
        Names of the colours, in their order; empty where the colour is a scale.
    selected : str, optional
        The block to frame.
    legend : str
        Title of the colours' legend.
    """
    blocks = picture.blocks.assign(chosen=picture.blocks["block"] == selected)
    centres = [(i + 0.5) * picture.layer_height for i in range(len(picture.layers))]
    names = ", ".join(str(layer) for layer in picture.layers)
    y = alt.Y(
        "y:Q",
        title="Layer",
        scale=alt.Scale(domain=[picture.height, 0], nice=False),
        axis=alt.Axis(
            values=centres, grid=False, ticks=False, domain=False, labelOverlap=False,
            labelExpr=f"[{names}][floor(datum.value / {picture.layer_height})]",
        ),
    )  # fmt: skip
    x = alt.X("x:Q", title=None, scale=alt.Scale(domain=[0, picture.n_columns], nice=False), axis=None)
    image = _image(picture, x, y)
    click = alt.selection_point(name="block", fields=["block"])
    grid = (
        alt.Chart(blocks)
        .mark_rect(cursor="pointer", fillOpacity=0)
        .encode(
            x=x,
            x2=alt.X2("x2"),
            y=y,
            y2=alt.Y2("y2"),
            stroke=either(alt.StrokeValue, "datum.chosen", HIGHLIGHT, "transparent"),
            strokeWidth=either(alt.StrokeWidthValue, "datum.chosen", 2.5, 0),
            tooltip=[
                alt.Tooltip("layer:O", title="Layer"),
                alt.Tooltip("n_neurons:Q", title="Neurons in this block"),
                alt.Tooltip("classes:N", title="Strongest for"),
                alt.Tooltip("n_selective:Q", title="With entropy below chance (q < 0.05)"),
            ],
        )
        .add_params(click)
    )
    layers = [image, grid]
    if kinds:
        colours = alt.Color(
            "kind:N",
            scale=alt.Scale(domain=list(kinds), range=[*category_colours(len(kinds) - 1), NULL_COLOUR]),
            legend=kinds_legend(kinds, legend or None, symbolType="square"),
        )
        keys = pd.DataFrame({"kind": list(kinds), "x": [0] * len(kinds), "y": [0] * len(kinds)})
        layers.append(alt.Chart(keys).mark_point(filled=True, opacity=0).encode(x=x, y=y, color=colours))
    return layered(layer=layers, height=38 * len(picture.layers) + (60 if kinds else 25))
