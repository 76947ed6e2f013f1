"""Charts of two neurons side by side."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.shared.charts.common import layered
from dashboard.shared.player.beside import COLOURS
from dashboard.shared.theme import NULL_COLOUR

_ROW, _LABELS = 26, 150  # pixels
_LEGEND = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=260, symbolOpacity=1)
"""Below: the rows of two charts side by side are level."""
_BELOW, _ENTRY = 65, 21  # pixels of axis and margins, and of an entry of the legend


def _classes(rows: pd.DataFrame) -> alt.Y:
    return alt.Y(
        "class_name:N", title=None, sort=list(rows["class_name"]),
        axis=alt.Axis(
            labelLimit=_LABELS, labelOverlap=False, labelFlush=False, grid=True, ticks=False, domain=False
        ),
    )  # fmt: skip


def _axis(form: str) -> alt.Axis:
    return alt.Axis(format=form, tickCount=5) if "%" in form else alt.Axis(tickCount=5)


def profile_chart(rows: pd.DataFrame, names: tuple[str, str], title: str, form: str) -> alt.TopLevelLayerSpec:
    """Two neurons' numbers class by class, each with its 95 % interval.

    Parameters
    ----------
    rows : DataFrame
        Of `dashboard.views.pair.facts.differences`.
    names : (str, str)
        Of the neurons.
    title : str
        Of the axis.
    form : str
        How numbers are written, as d3 takes it.
    """
    parts = [
        rows[["class_name"]].assign(
            side=name, value=rows[of], low=rows[f"{of}_low"], high=rows[f"{of}_high"]
        )
        for of, name in zip(("own", "other"), names, strict=True)
    ]  # fmt: skip
    base = alt.Chart(pd.concat(parts, ignore_index=True)).encode(
        y=_classes(rows),
        yOffset=alt.YOffset("side:N", sort=list(names)),
        color=alt.Color(
            "side:N",
            scale=alt.Scale(domain=list(names), range=list(COLOURS)),
            legend=_LEGEND,
        ),
        tooltip=[
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("side:N", title="Neuron"),
            alt.Tooltip("value:Q", title=title, format=form),
            alt.Tooltip("low:Q", title="95 % interval from", format=form),
            alt.Tooltip("high:Q", title="95 % interval to", format=form),
        ],
    )
    axis = _axis(form)
    line = base.mark_rule(strokeWidth=2, opacity=0.55).encode(
        x=alt.X("low:Q", title=title, axis=axis), x2=alt.X2("high:Q")
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X("value:Q"), shape=alt.Shape("side:N", sort=list(names), legend=_LEGEND)
    )
    return layered(layer=[line, point], height=_ROW * len(rows) + _BELOW + 2 * _ENTRY)


def difference_chart(rows: pd.DataFrame, names: tuple[str, str], form: str) -> alt.TopLevelLayerSpec:
    """Difference of two neurons class by class with its 95 % interval, grey where it includes 0; as `profile_chart`."""
    kinds = [f"more in {names[0]}", f"more in {names[1]}", "interval includes 0"]
    kind = np.where(~rows["excludes_0"], kinds[2], np.where(rows["difference"] > 0, kinds[0], kinds[1]))
    base = alt.Chart(rows.assign(kind=kind)).encode(
        y=_classes(rows),
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[*COLOURS, NULL_COLOUR]),
            legend=_LEGEND,
        ),
        tooltip=[
            alt.Tooltip("class_name:N", title="Class"),
            alt.Tooltip("difference:Q", title="Difference", format=form),
            alt.Tooltip("low:Q", title="95 % interval from", format=form),
            alt.Tooltip("high:Q", title="95 % interval to", format=form),
            alt.Tooltip("kind:N", title="Verdict"),
        ],
    )
    axis = _axis(form)
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(strokeDash=[3, 3], opacity=0.6).encode(x=alt.X("at:Q"))
    line = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=f"{names[0]} less {names[1]}", axis=axis), x2=alt.X2("high:Q")
    )
    point = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("difference:Q"))
    return layered(layer=[zero, line, point], height=_ROW * len(rows) + _BELOW + 3 * _ENTRY)
