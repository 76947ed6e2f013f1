"""Charts of ablations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.shared.charts.ablation import STANDS, STANDS_NOT, _effect_tooltip, _zero
from dashboard.shared.charts.common import CONTROL_NAME, axis_height, class_axis, kinds_legend, layered
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR, OTHER_COLOUR

PARTS = {"untouched": MEAN_COLOUR, "silenced": MODEL_COLOURS[1], "set to their mean": MODEL_COLOURS[4],
         "kept alone": MODEL_COLOURS[0]}  # fmt: skip


def _tooltip(first: Sequence[alt.Tooltip], digits: int) -> list[alt.Tooltip]:
    """What is known of one effect, in the shown unit."""
    form = f"+.{digits}f"
    return [
        *first,
        alt.Tooltip("value:Q", title="Change", format=form),
        alt.Tooltip("low:Q", title="95 % interval from", format=form),
        alt.Tooltip("high:Q", title="95 % interval to", format=form),
        alt.Tooltip("q_value:Q", title="q", format=".2~g"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
        alt.Tooltip("control_mean:Q", title="Controls, mean", format=form),
        alt.Tooltip("control_low:Q", title="Controls from", format=form),
        alt.Tooltip("control_high:Q", title="Controls to", format=form),
        alt.Tooltip("n_controls:Q", title="Controls"),
    ]


def _cell_text(top: float, columns: int, dark: bool) -> dict[str, Any]:
    """Numbers in cells: gone where a cell bears none, grey where the effect does not stand, else in contrast."""
    cell = f"(width / {max(columns, 1)})"
    strong, weak, faint = ("#0B1216", "#E6EBED", "#98A3A9") if dark else ("#FFFFFF", "#1D2529", "#6B757B")
    bright = f"abs(datum.value) > {0.6 * top} ? '{strong}' : '{weak}'"
    return {
        "fontSize": {"expr": f"max(8, min(12, {cell} / 2.6))"},
        "opacity": {"expr": f"{cell} < 21 ? 0 : 1"},
        "color": {"expr": f"!datum.stands ? '{faint}' : ({bright})"},
    }


# More than six: what is drawn, in which order, how it is marked and in which unit.
def matrix(
    effects: pd.DataFrame,
    targets: Sequence[str],
    classes: Sequence[str],
    chosen: str = "",
    dark: bool = False,
    what: str = "Accuracy",
    digits: int = 1,
) -> alt.TopLevelLayerSpec:
    """Which classes each set of neurons costs; a click selects a cell (``cell``).

    Colour where the effect stands, grey elsewhere; the target's own class is framed.

    Parameters
    ----------
    effects : DataFrame
        From `dashboard.views.ablation.outcomes.shown`.
    targets, classes : sequence of str
        Rows and columns in order.
    chosen : str
        The target whose name is marked.
    dark : bool
        Whether the page's ground is dark.
    what : str
        What the numbers are.
    digits : int
        After the point; one less where columns are narrow.
    """
    top = float(effects["value"].abs().max())
    top = top if top > 0 else 1.0
    step = 40 if len(targets) <= 4 else 26 if len(targets) <= 24 else 17 if len(targets) <= 50 else 10
    short = max(map(len, classes)) * len(classes) < 60  # their labels fit level on a phone, too
    columns = alt.Axis(labelAngle=0) if short else class_axis(classes)
    mark = f"datum.value === {json.dumps(chosen)}"
    base = alt.Chart(effects).encode(
        x=alt.X("affected:N", title="Change of", sort=list(classes), axis=columns),
        y=alt.Y(
            "target:N", title="Neurons of", sort=list(targets),
            axis=alt.Axis(
                labelLimit=150, labelOverlap=step < 14,
                labelFontWeight=alt.condition(mark, alt.value("bold"), alt.value("normal")),
            ),
        ),
        tooltip=_tooltip(
            [alt.Tooltip("target:N", title="Neurons of"), alt.Tooltip("affected:N", title=f"{what} of")], digits
        ),
    )  # fmt: skip
    click = alt.selection_point(name="cell", fields=["target", "affected"])
    # The grey of a cell is as strong as its effect, so that the pattern is seen and yet not believed.
    grey = base.transform_calculate(strength=f"0.06 + 0.6 * abs(datum.value) / {top}").mark_rect(
        color=NULL_COLOUR, cursor="pointer"
    )
    grey = grey.encode(opacity=alt.Opacity("strength:Q", scale=None)).transform_filter("!datum.stands")
    coloured = (
        base.transform_filter("datum.stands")
        .mark_rect(cursor="pointer")
        .encode(
            color=alt.Color(
                "value:Q",
                scale=alt.Scale(domain=[-top, top], domainMid=0, reverse=True, interpolate="rgb"),
                # Not a gradient: the browser loses its colours when the page's address changes below the chart.
                legend=alt.Legend(
                    title=None, type="symbol", symbolType="square", tickCount=5, symbolOpacity=1, orient="top"
                ),
            )
        )
    )
    frame = base.transform_filter("datum.own").mark_rect(fillOpacity=0, stroke=MEAN_COLOUR, strokeWidth=1)
    text = _numbers(base, top, len(classes), digits, dark)
    return layered(
        layer=[grey, coloured, frame, text.add_params(click)],
        height=max(step * len(targets) + (30 if short else axis_height(classes)) + 45, 175),  # of the legend
    )


def _numbers(base: alt.Chart, top: float, n_classes: int, digits: int, dark: bool) -> alt.Chart:
    """The change, in every cell that has room: of many columns a digit less, and no 0 before the point."""
    if n_classes > 8:
        digits -= top >= 1 or digits < 2
    written = f"format(datum.value, '+.{digits}f')"
    if n_classes > 8 and top < 1:
        written = f"replace({written}, '0.', '.')"
    zero = f"abs(datum.value) < {0.5 * 10**-digits:g}"
    text = base.transform_calculate(text=f"{zero} ? '·' : {written}").mark_text(**_cell_text(top, n_classes, dark))
    return text.encode(text=alt.Text("text:N"))


def strip(
    rows: pd.DataFrame, draws: pd.DataFrame, title: str = "Class", axis: str = "Accuracy (points)", digits: int = 1
) -> alt.TopLevelLayerSpec:
    """Each effect with its interval on what its random controls did, strongest loss first.

    Parameters
    ----------
    rows : DataFrame
        From `dashboard.views.ablation.outcomes.in_strip`: ``label`` names the row.
    draws : DataFrame
        ``label``, ``value``, ``n_draws``: how many controls did that.
    title : str
        What the rows are.
    axis : str
        What changes, with its unit.
    digits : int
        After the point.
    """
    order = list(rows.sort_values("value", kind="stable")["label"])
    rows = rows.assign(kind=rows["stands"].map({True: STANDS, False: STANDS_NOT}))
    y = alt.Y("label:N", title=title, sort=order, axis=alt.Axis(labelLimit=160, labelOverlap=False, grid=True))
    names = [STANDS, STANDS_NOT, CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[0], MEAN_COLOUR, NULL_COLOUR])
    color = alt.Color("kind:N", legend=kinds_legend(names), scale=scale)
    # A circle for each random set, larger where several did the same.
    most = max(int(draws["n_draws"].max()), 5) if len(draws) else 5
    controls = (
        alt.Chart(draws)
        .transform_calculate(kind=f"'{CONTROL_NAME}'")
        .mark_circle(opacity=0.6)
        .encode(
            x=alt.X("value:Q", title=f"Change: {axis}"),
            y=y,
            color=color,
            size=alt.Size("n_draws:Q", scale=alt.Scale(domain=[0, most], range=[0, 260 if most > 5 else 200]),
                          legend=None),
            tooltip=[
                alt.Tooltip("label:N", title="Beside"),
                alt.Tooltip("n_draws:Q", title="Random sets"),
                alt.Tooltip("value:Q", title="that changed it by", format=f"+.{digits}f"),
            ],
        )
    ) if len(draws) else None  # fmt: skip
    base = alt.Chart(rows).encode(y=y, tooltip=_tooltip([alt.Tooltip("label:N", title="Effect")], digits))
    mean = base.mark_tick(thickness=2, size=12, color=MEAN_COLOUR).encode(x=alt.X("control_mean:Q"))
    interval = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=f"Change: {axis}"), x2=alt.X2("high:Q"), color=color
    )
    point = base.mark_point(size=70, opacity=1, filled=True).encode(x=alt.X("value:Q"), color=color)
    layers = [_zero(), controls, mean, interval, point]
    return layered(layer=[layer for layer in layers if layer is not None], height=24 * len(rows) + 125)


def dose_curve(rows: pd.DataFrame, chosen: str) -> alt.TopLevelLayerSpec:
    """What each gain does to a target's own class: the chosen one beside its controls, the others faint.

    Parameters
    ----------
    rows : DataFrame
        From `dashboard.views.ablation.facts.doses`.
    chosen : str
        A target.
    """
    order = sorted(set(rows["dose"]), key=float)
    names = ["other targets", f"neurons of {chosen}", CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[OTHER_COLOUR, HIGHLIGHT, NULL_COLOUR])
    color = alt.Color("kind:N", scale=scale, legend=kinds_legend(names))
    x = alt.X("dose:O", sort=order, title="Gain on the neurons (1 = unchanged)", axis=alt.Axis(labelAngle=0))

    def curve(name: str, of: pd.DataFrame) -> alt.Chart:
        tooltip = _effect_tooltip([alt.Tooltip("target:N", title="Neurons of"), alt.Tooltip("dose:O", title="Gain")])
        return alt.Chart(of.assign(kind=name)).encode(x=x, tooltip=tooltip)

    one = rows[rows["target"] == chosen]
    others = curve(names[0], rows[rows["target"] != chosen]).mark_line(strokeWidth=1, opacity=0.45)
    random = curve(names[2], one)
    drawn = curve(names[1], one)
    title = ["Change of accuracy on", "the own class (points)"]
    y = alt.Y("delta:Q", title=title)
    return layered(
        layer=[
            _zero("y"),
            random.mark_area(opacity=0.3).encode(
                y=alt.Y("control_delta_low:Q", title=title), y2=alt.Y2("control_delta_high:Q"), color=color
            ),
            random.mark_line(strokeDash=[4, 4], strokeWidth=1.5).encode(y=alt.Y("control_delta_mean:Q"), color=color),
            others.encode(y=y, color=color, detail=alt.Detail("target:N")),
            drawn.mark_rule(strokeWidth=2).encode(y=alt.Y("ci_low:Q"), y2=alt.Y2("ci_high:Q"), color=color),
            drawn.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(filled=True, size=60)).encode(y=y, color=color),
        ],
        height=300,
    )


def parts_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Accuracy on a class without its neurons and with them alone, each over the same done to random sets.

    Parameters
    ----------
    rows : DataFrame
        From `dashboard.views.ablation.facts.needed_and_enough`.
    """
    present = [name for name in PARTS if name in set(rows["part"])]
    names = [*present, CONTROL_NAME]
    scale = alt.Scale(domain=names, range=[*(PARTS[n] for n in present), NULL_COLOUR])
    color = alt.Color("part:N", legend=kinds_legend(names), scale=scale)
    y = alt.Y("target:N", title="Class", sort=None, axis=alt.Axis(labelLimit=160, labelOverlap=False, grid=True))
    offset = alt.YOffset("part:N", sort=present[1:])
    title = "Accuracy on the class (%)"
    tooltip = [
        alt.Tooltip("target:N", title="Neurons of"),
        alt.Tooltip("part:N", title="Are"),
        alt.Tooltip("accuracy:Q", title="Accuracy (%)", format=".0f"),
        alt.Tooltip("low:Q", title="95 % interval from", format=".0f"),
        alt.Tooltip("high:Q", title="95 % interval to", format=".0f"),
        alt.Tooltip("random:Q", title="Random sets, mean (%)", format=".0f"),
        alt.Tooltip("random_low:Q", title="Random sets from", format=".0f"),
        alt.Tooltip("random_high:Q", title="Random sets to", format=".0f"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
    ]
    before = alt.Chart(rows[rows["part"] == "untouched"]).encode(y=y, tooltip=tooltip)
    after = alt.Chart(rows[rows["part"] != "untouched"]).encode(y=y, yOffset=offset, tooltip=tooltip)
    random = after.transform_calculate(part_of=f"'{CONTROL_NAME}'")
    low = alt.X("random_low:Q", title=title, scale=alt.Scale(domain=[0, 100]))
    return layered(
        layer=[
            before.mark_tick(thickness=2, size=15 * (len(present) - 1)).encode(x=alt.X("accuracy:Q"), color=color),
            random.mark_rule(strokeWidth=7, strokeCap="round").encode(
                x=low, x2=alt.X2("random_high:Q"), color=alt.Color(datum=CONTROL_NAME)
            ),
            after.mark_tick(thickness=2, size=9, color=MEAN_COLOUR).encode(x=alt.X("random:Q")),
            after.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), color=color),
            after.mark_point(filled=True, size=55, opacity=1).encode(x=alt.X("accuracy:Q"), color=color),
        ],
        height=rows["target"].nunique() * max(26, 15 * (len(present) - 1)) + 110,
    )


SPECIFICITY = {"self_effect": "own class", "cross_effect": "other classes", "specificity": "difference"}


def specificity_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """What each way to choose neurons costs their own classes and the others, beyond random sets.

    Parameters
    ----------
    rows : DataFrame
        Of ``ablation_specificity``, for one operation and gain.
    """
    shares = ["self_effect", "cross_effect", "specificity", "ci_low", "ci_high"]
    points = rows.assign(**{name: rows[name] * 100 for name in shares}).sort_values("specificity", ascending=False)
    order = list(points["selection"])
    y = alt.Y("selection:N", title=None, sort=order, axis=alt.Axis(labelLimit=160, grid=True))
    names = list(SPECIFICITY.values())
    scale = alt.Scale(domain=names, range=[MODEL_COLOURS[1], OTHER_COLOUR, MODEL_COLOURS[0]])
    color = alt.Color("what:N", legend=kinds_legend(names), scale=scale)
    tooltip = [
        alt.Tooltip("selection:N", title="Chosen by"),
        alt.Tooltip("self_effect:Q", title="Own class, beyond controls (points)", format="+.1f"),
        alt.Tooltip("cross_effect:Q", title="Other classes, beyond controls (points)", format="+.1f"),
        alt.Tooltip("specificity:Q", title="Difference (points)", format="+.1f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.1f"),
        alt.Tooltip("ci_high:Q", title="95 % interval to", format="+.1f"),
        alt.Tooltip("n_classes:Q", title="Classes"),
        alt.Tooltip("n_neurons:Q", title="Neurons a class, mean", format=",.0f"),
    ]
    x_title = "Percentage points"
    layers: list[alt.Chart] = [_zero()]
    for field, name in SPECIFICITY.items():
        base = alt.Chart(points.assign(what=name)).encode(y=y, tooltip=tooltip, color=color)
        if field == "specificity":
            layers.append(
                base.mark_rule(strokeWidth=2).encode(x=alt.X("ci_low:Q", title=x_title), x2=alt.X2("ci_high:Q"))
            )
        shape, size = ("circle", 80) if field == "specificity" else ("diamond", 45)
        layers.append(
            base.mark_point(filled=True, opacity=1, size=size, shape=shape).encode(x=alt.X(f"{field}:Q", title=x_title))
        )
    return layered(layer=layers, height=34 * len(points) + 140)


def check_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """What the gradient estimates a class to lose without a neuron, against what it lost when it was taken out.

    Parameters
    ----------
    rows : DataFrame
        ``class_name``, ``layer``, ``neuron``, ``attribution``, ``measured``, ``in_highest``.
    """
    names = ["the strongest", "drawn at random"]
    rows = rows.assign(kind=rows["in_highest"].map({1: names[0], 0: names[1]}))
    ends = [float(rows[["attribution", "measured"]].min().min()), float(rows[["attribution", "measured"]].max().max())]
    scale = alt.Scale(domain=ends, nice=True)
    line = alt.Chart(pd.DataFrame({"x": ends, "y": ends})).mark_line(strokeDash=[4, 4], color=MEAN_COLOUR)
    points = (
        alt.Chart(rows)
        .mark_circle(size=45, opacity=0.75)
        .encode(
            x=alt.X("attribution:Q", title="Estimated loss of margin", scale=scale),
            y=alt.Y("measured:Q", title="Measured loss of margin", scale=scale),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=names, range=[MODEL_COLOURS[0], OTHER_COLOUR]),
                legend=kinds_legend(names),
            ),
            tooltip=[
                alt.Tooltip("layer:Q", title="Layer"),
                alt.Tooltip("neuron:Q", title="Neuron"),
                alt.Tooltip("class_name:N", title="Class"),
                alt.Tooltip("attribution:Q", title="Estimated", format="+.3f"),
                alt.Tooltip("measured:Q", title="Measured", format="+.3f"),
            ],
        )
    )
    return layered(layer=[line.encode(x=alt.X("x:Q"), y=alt.Y("y:Q")), points], height=320)
