"""Heatmaps, and the order of their rows and columns.

Counts and probabilities start at 0 on a sequential scale whose colours the theme gives; the
numbers stand in the cells where there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.charts.common import axis_height, class_axis, class_order
from dashboard.theme import HIGHLIGHT


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


def _cell_text(value: str, top: float, columns: int, digits: int, dark: bool) -> dict[str, Any]:
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


def count_heatmap(
    frame: pd.DataFrame, selected: tuple[int | None, str | None] = (None, None), dark: bool = False
) -> alt.LayerChart:
    """Class-specific neurons of each layer and class; a click selects a cell (``cell``).

    Parameters
    ----------
    frame : DataFrame
        ``layer``, ``class_name``, ``n_neurons``; dense.
    selected : (layer, class), optional
        The cell to frame.
    dark : bool
        Whether the page's ground is dark.
    """
    classes = class_order(frame["class_name"])
    cells = frame.assign(chosen=(frame["layer"] == selected[0]) & (frame["class_name"] == selected[1]))
    top = float(max(cells["n_neurons"].max(), 1))
    base = alt.Chart(cells).encode(
        x=alt.X("class_name:N", title="Class", sort=classes, axis=class_axis(classes)),
        y=alt.Y("layer:O", title="Layer", axis=alt.Axis(labelBaseline="middle")),
        tooltip=[
            alt.Tooltip("layer:O", title="Layer"),
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("n_neurons:Q", title="Class-specific neurons", format=",d"),
        ],
    )
    click = alt.selection_point(name="cell", fields=["layer", "class_name"], empty=True)
    rect = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.Color(
                "n_neurons:Q",
                scale=alt.Scale(domain=[0, top]),
                legend=alt.Legend(title="Neurons", gradientLength=110, tickCount=4),
            ),
            stroke=alt.condition("datum.chosen", alt.value(HIGHLIGHT), alt.value("transparent")),
            strokeWidth=alt.condition("datum.chosen", alt.value(3), alt.value(0)),
        )
        .add_params(click)
    )
    text = base.mark_text(**_cell_text("n_neurons", top, len(classes), len(str(int(top))), dark)).encode(
        text=alt.Text("n_neurons:Q", format="d")
    )
    return alt.LayerChart(layer=[rect, text]).properties(
        height=26 * frame["layer"].nunique() + axis_height(classes) + 20
    )


def probability_heatmap(
    frame: pd.DataFrame, neurons: Sequence[int], highlight: str | None = None, dark: bool = False
) -> alt.LayerChart:
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
    """
    classes = class_order(frame["class_name"])
    top = float(max(frame["activation_probability"].max(), 1e-9))
    cells = frame.assign(percent=frame["activation_probability"] * 100)
    click = alt.selection_point(name="neuron", fields=["neuron"])
    rows = alt.Axis(labelOverlap=False, labelBaseline="middle")
    step = 15 if len(neurons) > 12 else 22
    base = alt.Chart(cells).encode(
        x=alt.X("class_name:N", title="Class", sort=classes, axis=class_axis(classes)),
        y=alt.Y("neuron:N", title="Neuron", sort=list(neurons), axis=rows),
        tooltip=[
            alt.Tooltip("neuron:N", title="Neuron"),
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("activation_probability:Q", title="Activation probability", format=".1%"),
        ],
    )
    rect = (
        base.mark_rect(cursor="pointer")
        .encode(
            color=alt.Color(
                "activation_probability:Q",
                scale=alt.Scale(domain=[0, top]),
                legend=alt.Legend(
                    title=["Activation", "probability"],
                    format=".0~%",
                    gradientLength=max(60, min(step * len(neurons) - 20, 120)),
                ),
            )
        )
        .add_params(click)
    )
    text = base.mark_text(**_cell_text("activation_probability", top, len(classes), 2, dark)).encode(
        text=alt.Text("percent:Q", format=".0f")
    )
    layers: list[alt.Chart] = [rect, text]
    if highlight in classes:
        column = pd.DataFrame({"class_name": [highlight]})
        layers.append(
            alt.Chart(column)
            .mark_rect(fillOpacity=0, stroke=HIGHLIGHT, strokeWidth=2)
            .encode(x=alt.X("class_name:N", sort=classes))
        )
    return alt.LayerChart(layer=layers).properties(height=max(step * len(neurons) + axis_height(classes) + 20, 150))
