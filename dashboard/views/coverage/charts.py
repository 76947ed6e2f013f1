"""Charts of the coverage page: curves over the settings, and whether a selection holds."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import by_task, kinds_legend, layered, model_names, model_scale, share_axis
from dashboard.shared.theme import NULL_COLOUR

FEW_PAIRS = 10
ALL_PAIRS_NAME = "all pairs"
CHANCE_OVERLAP_NAME = "by chance"
SETTINGS = {"entropy_rate": "Neurons kept by entropy", "probability_bar": "Bar: quantile of all probabilities"}
MEASURES = {"coverage": "Coverage", "n_class_specific": "Class-specific neurons"}


def curve_chart(frame: pd.DataFrame, setting: str, measure: str) -> alt.TopLevelLayerSpec:
    """What a preset would find at other settings, a line a model over its band on shuffled labels.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``entropy_rate``, ``probability_bar``, the measure, ``null_<measure>_mean``, ``_low``,
        ``_high``, ``n_shuffles``, ``own`` (bool: the setting's own point).
    setting : str
        What the curve goes over: a key of `SETTINGS`.
    measure : str
        A key of `MEASURES`.
    """
    models = model_names(frame)
    share = measure == "coverage"
    number = ".0%" if share else ",.0f"
    axis = alt.Axis(format="~%", formatType="number", labelAngle=0, labelOverlap=True)
    x = alt.X(f"{setting}:O", title=SETTINGS[setting], scale=alt.Scale(type="point", padding=0.3), axis=axis)
    color = alt.Color("model:N", scale=model_scale(models), legend=kinds_legend(models))
    y_scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(domainMin=0)
    y = alt.Y(f"{measure}:Q", title=MEASURES[measure], scale=y_scale, axis=alt.Axis(format=number, tickCount=5))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("entropy_rate:Q", title="Neurons kept by entropy", format=".2~%"),
        alt.Tooltip("probability_bar:Q", title="Bar", format=".1~%"),
        alt.Tooltip(f"{measure}:Q", title=MEASURES[measure], format=number),
        alt.Tooltip(f"null_{measure}_mean:Q", title="Null, mean", format=number),
        alt.Tooltip(f"null_{measure}_low:Q", title="Null, 2.5 %", format=number),
        alt.Tooltip(f"null_{measure}_high:Q", title="Null, 97.5 %", format=number),
        alt.Tooltip("n_shuffles:Q", title="Shuffles"),
    ]
    base = alt.Chart(frame).encode(x=x, color=color, tooltip=tooltip)
    band = base.mark_area(opacity=0.18).encode(y=alt.Y(f"null_{measure}_low:Q"), y2=f"null_{measure}_high:Q")
    mean = base.mark_line(strokeDash=[4, 4], strokeWidth=1.5).encode(y=f"null_{measure}_mean:Q")
    line = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(filled=True, size=45)).encode(y=y)
    own = base.transform_filter("datum.own").mark_point(size=170, strokeWidth=2.5).encode(y=f"{measure}:Q")
    return layered(layer=[band, mean, line, own], height=280)


def replication_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Share of the selected pairs replicated on test clips, beside that of all pairs.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``n_pairs``, ``replicated_share``, ``replicated_share_all_pairs``.
    """
    y, offset, color, height = by_task(frame, ALL_PAIRS_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("replicated_share:Q", title="Selected pairs replicated", format=".0%"),
        alt.Tooltip("n_pairs:Q", title="Chosen pairs", format=",d"),
        alt.Tooltip("replicated_share_all_pairs:Q", title="All pairs that do", format=".1%"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    x = share_axis("replicated_share:Q", "Pairs replicated on test clips")
    stem = base.mark_rule(strokeWidth=1, opacity=0.6).encode(
        x=x, x2=alt.X2("replicated_share_all_pairs:Q"), color=color
    )
    reference = base.mark_tick(thickness=3, size=9, opacity=1).encode(
        x=alt.X("replicated_share_all_pairs:Q"), color=alt.Color(datum=ALL_PAIRS_NAME)
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(x=x, color=_unless_few("n_pairs", color))
    return layered(layer=[stem, reference, point], height=height)


def stability_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Overlap of what is chosen on two halves of the clips, beside that of sets drawn by chance.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``jaccard_mean``, ``jaccard_low``, ``jaccard_high``, ``jaccard_expected``,
        ``n_pairs_mean``, ``n_halves``.
    """
    y, offset, color, height = by_task(frame, CHANCE_OVERLAP_NAME)
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("task:N", title="Task"),
        alt.Tooltip("jaccard_mean:Q", title="Overlap (Jaccard), mean", format=".2f"),
        alt.Tooltip("jaccard_low:Q", title="Over the draws, 2.5 %", format=".2f"),
        alt.Tooltip("jaccard_high:Q", title="97.5 %", format=".2f"),
        alt.Tooltip("jaccard_expected:Q", title="By chance", format=".3f"),
        alt.Tooltip("n_pairs_mean:Q", title="Pairs in a half", format=",.0f"),
        alt.Tooltip("n_halves:Q", title="Draws of two halves"),
    ]
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    axis = alt.X("jaccard_low:Q", title="Overlap of two halves (Jaccard)", scale=alt.Scale(domain=[0, 1]))
    spread = base.mark_rule(strokeWidth=2).encode(x=axis, x2=alt.X2("jaccard_high:Q"), color=color)
    reference = base.mark_tick(thickness=3, size=9, opacity=1).encode(
        x=alt.X("jaccard_expected:Q"), color=alt.Color(datum=CHANCE_OVERLAP_NAME)
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X("jaccard_mean:Q"), color=_unless_few("n_pairs_mean", color)
    )
    return layered(layer=[spread, reference, point], height=height)


def _unless_few(field: str, color: alt.Color) -> Any:
    """A model's colour, grey where the point stands on few pairs."""
    return alt.condition(f"datum['{field}'] < {FEW_PAIRS}", alt.value(NULL_COLOUR), color)
