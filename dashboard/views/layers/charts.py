"""Charts of the page of layers; all share one axis, on which -1 is what enters the first block."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import CHANCE_NAME, NULL_NAME, axis_height, class_axis, kinds_legend, layered
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, NULL_COLOUR, OTHER_COLOUR
from dashboard.views.layers.facts import INPUT, measure_of

SHUFFLED_NAME = "highest of shuffled labels"
SUM_NAME = "weighted sum"
DASHES = {CHANCE_NAME: [2, 3], SHUFFLED_NAME: [7, 3], SUM_NAME: [1, 0]}
EQUAL_NAME = "all layers alike"
_INK = alt.ExprRef("luminance(background) > 0.5 ? '#1D2529' : '#E6EAF1'")
_PAPER = alt.ExprRef("luminance(background) > 0.5 ? '#FFFFFF' : '#1D2529'")
"""Of marks on cells that are far from the ground, which high shares are in the light and in the dark."""
_HEIGHT, _OF_CLASS = 330, 220  # pixels; of charts of a class, which stand side by side


def _layers(rows: pd.DataFrame) -> alt.X:
    """Layers side by side; what enters the first is called so."""
    axis = alt.Axis(labelAngle=0, labelOverlap=True, labelExpr=f"datum.value == -1 ? '{INPUT}' : datum.value")
    return alt.X("layer:O", title="Layer", axis=axis, scale=alt.Scale(domain=rows["layer"].tolist()))


def _scored(measure: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("accuracy:Q", title=measure, format=".1%"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format=".1%"),
        alt.Tooltip("ci_high:Q", title="to", format=".1%"),
        alt.Tooltip("chance:Q", title="Chance", format=".1%"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
    ]


def accuracy_chart(rows: pd.DataFrame, colour: str, weighted: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Accuracy of the head on each layer with its interval, chance, shuffled labels, and the weighted sum as a rule.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``accuracy``, ``ci_low``, ``ci_high``, ``chance``, ``n_clips``, ``metric``, ``shuffled_high`` (may be
        missing, as of a class).
    colour : str
        The model's.
    weighted : DataFrame
        ``weighted_accuracy``, ``weighted_low``, ``weighted_high``; may have no row.
    """
    measure = measure_of(rows)
    references = _references(rows, weighted)
    names = [name for name in DASHES if name in set(references["name"])]
    scale = alt.Scale(domain=names, range=[MEAN_COLOUR if name == SUM_NAME else NULL_COLOUR for name in names])
    dash = alt.Scale(domain=names, range=[DASHES[name] for name in names])
    base = alt.Chart(rows).encode(x=_layers(rows), tooltip=_scored(measure))
    y = alt.Y(
        "accuracy:Q", title=f"{measure} on test clips", scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )  # fmt: skip
    band = base.mark_area(opacity=0.18, color=colour).encode(y=alt.Y("ci_low:Q"), y2="ci_high:Q")
    line = base.mark_line(strokeWidth=2.5, color=colour, point={"filled": True, "size": 55, "color": colour})
    others = (
        alt.Chart(references)
        .mark_line(strokeWidth=2)
        .encode(
            x=_layers(rows),
            y=alt.Y("value:Q"),
            color=alt.Color("name:N", scale=scale, legend=kinds_legend(names)),
            strokeDash=alt.StrokeDash("name:N", scale=dash, legend=kinds_legend(names)),
            tooltip=[
                alt.Tooltip("name:N", title="Beside"),
                alt.Tooltip("value:Q", title="Value", format=".1%"),
                alt.Tooltip("low:Q", title="95 % interval from", format=".1%"),
                alt.Tooltip("high:Q", title="to", format=".1%"),
            ],
        )
    )
    return layered(layer=[band, others, line.encode(y=y)], height=_OF_CLASS if "class_name" in rows else _HEIGHT)


def _references(rows: pd.DataFrame, weighted: pd.DataFrame) -> pd.DataFrame:
    """What accuracies are to be read against: ``name``, ``layer``, ``value``, and ``low`` and ``high`` where known."""
    of_layers = rows[["layer"]].assign(low=float("nan"), high=float("nan"))
    parts = [of_layers.assign(name=CHANCE_NAME, value=rows["chance"])]
    if "shuffled_high" in rows and rows["shuffled_high"].notna().any():
        parts.append(of_layers.assign(name=SHUFFLED_NAME, value=rows["shuffled_high"]))
    for row in weighted.to_dict("records"):
        ends = {"low": row["weighted_low"], "high": row["weighted_high"]}
        parts.append(of_layers.assign(name=SUM_NAME, value=row["weighted_accuracy"], **ends))
    return pd.concat(parts, ignore_index=True)


def class_heatmap(rows: pd.DataFrame, classes: Sequence[str]) -> alt.TopLevelLayerSpec:
    """How well each layer's head does on each class; a dot where the interval lies over chance.

    Parameters
    ----------
    rows : DataFrame
        As for `accuracy_chart`, with ``class_name`` and ``beyond`` (bool).
    classes : sequence of str
        In order.
    """
    measure = measure_of(rows)
    tooltip = [alt.Tooltip("class_name:N", title="Class"), *_scored(measure)]
    labels = f"datum.value == -1 ? '{INPUT}' : datum.value"
    base = alt.Chart(rows).encode(
        x=alt.X("class_name:N", title=None, sort=list(classes), axis=class_axis(classes)),
        y=alt.Y("layer:O", title="Layer", sort="descending", axis=alt.Axis(labelExpr=labels)),
        tooltip=tooltip,
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "accuracy:Q",
            scale=alt.Scale(domain=[0, 1]),
            legend=alt.Legend(title=measure.split(" "), format="%", values=[0, 0.5, 1]),
        )
    )
    click = alt.selection_point(fields=["class_name"], name="point", empty=False)
    dots = [
        base.transform_filter(f"datum.beyond && {where}").mark_point(filled=True, size=18, opacity=1, color=colour)
        for where, colour in (("datum.accuracy < 0.6", _INK), ("datum.accuracy >= 0.6", _PAPER))
    ]
    return layered(
        layer=[cells.add_params(click), *dots], height=22 * rows["layer"].nunique() + 30 + axis_height(classes)
    )


def neuron_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Class-specific neurons of each layer, beside what shuffled labels give.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``n_neurons``, ``expected_null`` (NaN: not known).
    """
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("n_neurons:Q", title="Class-specific neurons", format=",d"),
        alt.Tooltip("expected_null:Q", title="Null, mean", format=",.2f"),
    ]
    scale = alt.Scale(domain=["neurons", NULL_NAME], range=[OTHER_COLOUR, NULL_COLOUR])
    legend = kinds_legend(["neurons", NULL_NAME])
    base = alt.Chart(rows.assign(name="neurons")).encode(x=_layers(rows), tooltip=tooltip)
    most = float(max(1.0, rows["n_neurons"].max(), rows["expected_null"].max()))  # an empty axis has no numbers
    scale_y = alt.Scale(domain=[0, most], nice=True)
    y = alt.Y("n_neurons:Q", title="Neurons", axis=alt.Axis(tickCount=4, tickMinStep=1), scale=scale_y)
    bars = base.mark_bar().encode(y=y, color=alt.Color("name:N", scale=scale, legend=legend))
    null = base.mark_tick(thickness=3, opacity=1).encode(y=alt.Y("expected_null:Q"), color=alt.Color(datum=NULL_NAME))
    return layered(layer=[bars, null], height=_OF_CLASS)


def attribution_chart(rows: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """The margin that is attributed to each layer's neurons together, with its interval over clips.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``attribution``, ``ci_low``, ``ci_high`` (NaN: of one clip), ``n_clips``.
    """
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("attribution:Q", title="Margin attributed (logits)", format="+.2f"),
        alt.Tooltip("ci_low:Q", title="95 % interval from", format="+.2f"),
        alt.Tooltip("ci_high:Q", title="to", format="+.2f"),
        alt.Tooltip("n_clips:Q", title="Test clips", format=",d"),
    ]
    base = alt.Chart(rows).encode(x=_layers(rows), tooltip=tooltip)
    y = alt.Y("ci_low:Q", title="Attribution (logits)", axis=alt.Axis(tickCount=4))
    interval = base.mark_rule(strokeWidth=2, color=HIGHLIGHT).encode(y=y, y2="ci_high:Q")
    point = base.mark_point(filled=True, size=65, opacity=1, color=HIGHLIGHT).encode(y=alt.Y("attribution:Q"))
    zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6).encode(y=alt.Y("y:Q"))
    return layered(layer=[zero, interval, point], height=_OF_CLASS)


def weight_chart(rows: pd.DataFrame, colour: str) -> alt.TopLevelLayerSpec:
    """What each layer counts for in the weighted sum, beside equal shares, with the range over resampled train clips.

    Parameters
    ----------
    rows : DataFrame
        ``layer``, ``weight``, ``weight_low``, ``weight_high``, ``equal``.
    colour : str
    """
    tooltip = [
        alt.Tooltip("layer:O", title="Layer"),
        alt.Tooltip("weight:Q", title="Weight", format=".1%"),
        alt.Tooltip("weight_low:Q", title="Resampled, least", format=".1%"),
        alt.Tooltip("weight_high:Q", title="Resampled, greatest", format=".1%"),
        alt.Tooltip("equal:Q", title="If all counted alike", format=".1%"),
    ]
    names = ["weight", EQUAL_NAME]
    scale = alt.Scale(domain=names, range=[colour, NULL_COLOUR])
    base = alt.Chart(rows.assign(name="weight")).encode(x=_layers(rows), tooltip=tooltip)
    y = alt.Y("weight:Q", title="Weight", axis=alt.Axis(format="%", tickCount=4), scale=alt.Scale(domainMin=0))
    bars = base.mark_bar(opacity=0.75).encode(y=y, color=alt.Color("name:N", scale=scale, legend=kinds_legend(names)))
    spread = base.mark_rule(strokeWidth=2, color=_INK).encode(y=alt.Y("weight_low:Q"), y2="weight_high:Q")
    equal = base.mark_line(strokeWidth=2, strokeDash=[2, 3]).encode(
        y=alt.Y("equal:Q"), color=alt.Color(datum=EQUAL_NAME)
    )
    return layered(layer=[bars, equal, spread], height=230)
