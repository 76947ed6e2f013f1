"""The charts of the report: `CHARTS` by name, those that only it has here."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import pandas as pd

from dashboard.shared.charts import by_task
from dashboard.shared.charts.common import (
    Chart,
    class_axis,
    class_order,
    kinds_legend,
    layered,
    model_names,
    model_scale,
)
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, NULL_COLOUR


def shared_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Neurons that two classes share; a dot marks what is beyond chance (q < 0.05).

    Parameters
    ----------
    frame : DataFrame
        ``class_a``, ``class_b``, ``n_shared``, ``q_value``; one pair of tasks of one model.
    """
    rows_of, columns_of = class_order(frame["class_a"]), class_order(frame["class_b"])
    base = alt.Chart(frame).encode(
        x=alt.X("class_b:N", title=None, sort=columns_of, axis=class_axis(columns_of)),
        y=alt.Y("class_a:N", title=None, sort=rows_of, axis=alt.Axis(labelLimit=160)),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "n_shared:Q",
            scale=alt.Scale(domain=[0, max(int(frame["n_shared"].max()), 1)]),
            legend=alt.Legend(title="Shared neurons"),
        )
    )
    dots = base.transform_filter("datum.q_value < 0.05").mark_point(filled=True, size=22, opacity=1, color=HIGHLIGHT)
    side = 34 if max(len(rows_of), len(columns_of)) <= 14 else 12
    return layered(layer=[cells, dots], width=side * len(columns_of), height=side * len(rows_of))


def pitch_chart(frame: pd.DataFrame) -> alt.Chart:
    """How many pitch neurons prefer each MIDI note, a line a model and task.

    Parameters
    ----------
    frame : DataFrame
        ``model``, ``task``, ``preferred_pitch``.
    """
    counts = frame.dropna(subset="preferred_pitch").groupby(["model", "task", "preferred_pitch"]).size()
    models = model_names(frame)
    return (
        alt.Chart(counts.rename("n").reset_index())
        .mark_line(point=alt.OverlayMarkDef(size=25), strokeWidth=1.5)
        .encode(
            x=alt.X("preferred_pitch:Q", title="Preferred pitch (MIDI note)", scale=alt.Scale(zero=False)),
            y=alt.Y("n:Q", title="Neurons"),
            color=alt.Color("model:N", scale=model_scale(models), legend=kinds_legend(models)),
            strokeDash=alt.StrokeDash(
                "task:N",
                legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeColor=MEAN_COLOUR),
            ),
        )
        .properties(height=220)
    )


def self_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """What each class loses by its own neurons, with interval and random sets; grey where q is not below 0.05.

    Parameters
    ----------
    frame : DataFrame
        ``label`` (one a row), ``delta``, ``ci_low``, ``ci_high``, ``q_value``, ``control_delta_mean``.
    """
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=280, grid=False))
    colour = alt.condition("datum.q_value < 0.05", alt.value(HIGHLIGHT), alt.value(NULL_COLOUR))
    percent = alt.Axis(format="+.0%", tickCount=7)
    base = alt.Chart(frame).encode(y=y)
    interval = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("ci_low:Q", title="Change of the class's own accuracy", axis=percent),
        x2=alt.X2("ci_high:Q"),
        color=colour,
    )
    point = base.mark_point(filled=True, size=55, opacity=1).encode(x=alt.X("delta:Q"), color=colour)
    controls = base.mark_tick(thickness=3, size=13, color=MEAN_COLOUR).encode(x=alt.X("control_delta_mean:Q"))
    return layered(layer=[controls, interval, point], height=20 * len(frame) + 40)


CHARTS: dict[str, Callable[..., Chart]] = {
    "coverage": by_task.coverage_chart,
    "counts": by_task.count_chart,
    "layers": by_task.layer_chart,
    "heads": by_task.probe_chart,
    "shared": shared_chart,
    "pitch": pitch_chart,
    "own classes": self_chart,
}
