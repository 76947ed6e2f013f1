"""Charts of the page of units: kinds side by side, each beside what chance gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import kinds_legend, layered
from dashboard.shared.theme import MODEL_COLOURS, NULL_COLOUR

_ROW = 34
LEGEND_ENTRY = 20
"""Pixels of a legend's entry: the page shows one key for all, an exported picture each its own."""
_PLACES = {"neurons": 0, "coordinates": 1, "random directions": 4, "principal directions": 2, "attention heads": 3}


def kind_scale(kinds: Sequence[str]) -> alt.Scale:
    """One colour a kind; a kind and its low side share theirs."""
    colours = [MODEL_COLOURS[_PLACES.get(kind.removesuffix(", low"), 5)] for kind in kinds]
    return alt.Scale(domain=list(kinds), range=colours)


def colours(kinds: Sequence[str]) -> dict[str, str]:
    """For the key of the page."""
    scale = kind_scale(kinds)
    return dict(zip(scale.domain, scale.range, strict=True))


def _kinds(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["kind"]))


def _rows(kinds: Sequence[str]) -> alt.Y:
    return alt.Y("kind:N", title=None, sort=list(kinds), axis=alt.Axis(labelLimit=150, grid=False, labelOverlap=False))


def beside_chance(frame: pd.DataFrame, field: str, chance: str, title: str, form: str) -> alt.TopLevelLayerSpec:
    """A number of each kind, and the same by chance as a grey tick.

    Parameters
    ----------
    frame : DataFrame
        ``kind``, ``n_units``, the number, known for each, and what chance gives.
    field, chance : str
        Their columns.
    form : str
        Of numbers, as d3 has it; ``%`` in it makes the axis go from 0 to 1.
    """
    kinds = _kinds(frame)
    domain = {"domain": [0, 1]} if "%" in form else {"domainMin": 0}
    x = alt.X(f"{field}:Q", title=title, scale=alt.Scale(**domain), axis=alt.Axis(format=form, tickCount=5))
    tooltip = [
        alt.Tooltip("kind:N", title="Units"),
        alt.Tooltip("n_units:Q", title="How many", format=","),
        alt.Tooltip(f"{field}:Q", title=title, format=form),
        alt.Tooltip(f"{chance}:Q", title="By chance", format=form),
    ]
    known = frame[frame[chance].notna()]
    beside = alt.Chart(known).encode(y=_rows(kinds), tooltip=tooltip)
    stem = beside.mark_rule(strokeWidth=1, opacity=0.6).encode(x=x, x2=alt.X2(f"{chance}:Q"))
    tick = beside.mark_tick(thickness=3, size=14, color=NULL_COLOUR, opacity=1).encode(x=alt.X(f"{chance}:Q"))
    point = alt.Chart(frame).encode(y=_rows(kinds), tooltip=tooltip)
    point = point.mark_point(filled=True, size=90, opacity=1).encode(
        x=x, color=alt.Color("kind:N", scale=kind_scale(kinds), legend=None)
    )
    return layered(layer=[*([stem, tick] if len(known) else []), point], height=_ROW * len(kinds) + 50)


def by_layer(frame: pd.DataFrame, n_layers: int) -> alt.TopLevelLayerSpec:
    """Units with evidence per 1,000 of each layer; dashed, the 97.5th percentile on shuffled labels."""
    kinds = _kinds(frame)
    x = alt.X("layer:Q", title="Layer", scale=alt.Scale(domain=[0, max(n_layers - 1, 1)]),
              axis=alt.Axis(values=list(range(n_layers)), format="d", grid=False))  # fmt: skip
    y = alt.Y("per_1000:Q", title="With evidence, of 1,000", scale=alt.Scale(domainMin=0), axis=alt.Axis(tickCount=5))
    color = alt.Color("kind:N", scale=kind_scale(kinds), legend=kinds_legend(kinds))
    tooltip = [
        alt.Tooltip("kind:N", title="Units"),
        alt.Tooltip("layer:Q", title="Layer"),
        alt.Tooltip("n_units:Q", title="How many", format=","),
        alt.Tooltip("n_class_specific:Q", title="Class-specific", format=","),
        alt.Tooltip("per_1000:Q", title="Of 1,000", format=",.0f"),
        alt.Tooltip("null_per_1000_high:Q", title="Shuffled labels, 97.5 %", format=",.1f"),
        alt.Tooltip("replicated_share:Q", title="Pairs replicated", format=".0%"),
        alt.Tooltip("replicated_share_all_pairs:Q", title="All pairs that do", format=".0%"),
    ]
    base = alt.Chart(frame).encode(x=x, color=color, tooltip=tooltip)
    chance = base.mark_line(strokeDash=[4, 4], strokeWidth=1.5).encode(y=alt.Y("null_per_1000_high:Q"))
    line = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(filled=True, size=55)).encode(y=y)
    has_null = bool(frame["null_per_1000_high"].notna().any())
    return layered(layer=[*([chance] if has_null else []), line], height=280 + LEGEND_ENTRY * len(kinds))


def effects(classes: pd.DataFrame, means: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """What classes lose beyond random sets, kind by kind: every class, their mean and its interval.

    Parameters
    ----------
    classes : DataFrame
        ``kind``, ``class_name``, ``beyond_control``, ``beyond_low``, ``beyond_high``, ``n_units``, ``removed``,
        ``control_removed``.
    means : DataFrame
        ``kind``, ``beyond``, ``low``, ``high``, ``n_classes``, ``n_hold``.
    """
    kinds = _kinds(means)
    title = "Change of the own logit beyond random sets"
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=NULL_COLOUR, strokeWidth=1.5).encode(x=alt.X("x:Q"))
    dots = (
        alt.Chart(classes)
        .mark_point(size=22, opacity=0.55, strokeWidth=1)
        .encode(
            y=_rows(kinds), x=alt.X("beyond_control:Q", title=title, axis=alt.Axis(tickCount=6)),
            color=alt.Color("kind:N", scale=kind_scale(kinds), legend=None), tooltip=_of_class(),
        )
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("kind:N", title="Units"),
        alt.Tooltip("beyond:Q", title="Mean over classes", format="+.3f"),
        alt.Tooltip("low:Q", title="95 %, low", format="+.3f"),
        alt.Tooltip("high:Q", title="high", format="+.3f"),
        alt.Tooltip("n_hold:Q", title="Classes whose effect holds"),
        alt.Tooltip("n_classes:Q", title="of"),
        alt.Tooltip("n_units:Q", title="Units, mean", format=",.1f"),
        alt.Tooltip("removed:Q", title="Norm removed, mean", format=".3f"),
        alt.Tooltip("control_removed:Q", title="by random sets", format=".3f"),
    ]
    how = {"y": _rows(kinds), "color": alt.Color("kind:N", scale=kind_scale(kinds), legend=None), "tooltip": tooltip}
    known = means[means["low"].notna()]
    spread = alt.Chart(known).mark_rule(strokeWidth=3).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), **how)
    point = alt.Chart(means).mark_point(filled=True, size=120, opacity=1).encode(x=alt.X("beyond:Q"), **how)
    return layered(layer=[zero, dots, *([spread] if len(known) else []), point], height=_ROW * len(kinds) + 50)


def _of_class() -> list[Any]:
    return [
        alt.Tooltip("class_name:N", title="Class"),
        alt.Tooltip("kind:N", title="Units"),
        alt.Tooltip("beyond_control:Q", title="Beyond random sets", format="+.3f"),
        alt.Tooltip("beyond_low:Q", title="95 %, low", format="+.3f"),
        alt.Tooltip("beyond_high:Q", title="high", format="+.3f"),
        alt.Tooltip("n_units:Q", title="Units", format=","),
        alt.Tooltip("removed:Q", title="Norm removed", format=".3f"),
        alt.Tooltip("control_removed:Q", title="by random sets", format=".3f"),
    ]


def by_norm(classes: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Every ablation of a class: what it cost beyond random sets over the norm that it removed."""
    kinds = _kinds(classes)
    x = alt.X(
        "removed:Q", title="Norm removed (standard deviations of the stream)",
        scale=alt.Scale(type="log", nice=False, padding=12), axis=alt.Axis(tickCount=6, format="~g", grid=False),
    )  # fmt: skip
    y = alt.Y("beyond_control:Q", title="Own logit beyond random", axis=alt.Axis(tickCount=6))
    color = alt.Color("kind:N", scale=kind_scale(kinds), legend=kinds_legend(kinds))
    tooltip = [alt.Tooltip("selection:N", title="Chosen by"), *_of_class()]
    zero = alt.Chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=NULL_COLOUR, strokeWidth=1.5).encode(y=alt.Y("y:Q"))
    dots = (
        alt.Chart(classes).mark_point(filled=True, size=45, opacity=0.75).encode(x=x, y=y, color=color, tooltip=tooltip)
    )
    return layered(layer=[zero, dots], height=320 + LEGEND_ENTRY * len(kinds))


def found_again(frame: pd.DataFrame, n_layers: int) -> alt.TopLevelLayerSpec:
    """Mean cosine of each layer's units with their best partner of another seed; dashed, with random directions."""
    kinds = _kinds(frame)
    x = alt.X("layer:Q", title="Layer", scale=alt.Scale(domain=[0, max(n_layers - 1, 1)]),
              axis=alt.Axis(values=list(range(n_layers)), format="d", grid=False))  # fmt: skip
    color = alt.Color("kind:N", scale=kind_scale(kinds), legend=kinds_legend(kinds))
    tooltip = [
        alt.Tooltip("kind:N", title="Units"),
        alt.Tooltip("layer:Q", title="Layer"),
        alt.Tooltip("cosine:Q", title="Best cosine, mean", format=".2f"),
        alt.Tooltip("null_cosine_high:Q", title="With random directions, 95 %", format=".2f"),
        alt.Tooltip("n_found:Q", title="Found again", format=","),
        alt.Tooltip("n_units:Q", title="of", format=","),
    ]
    base = alt.Chart(frame).encode(x=x, color=color, tooltip=tooltip)
    y = alt.Y("cosine:Q", title="Best cosine, mean", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5))
    line = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(filled=True, size=55)).encode(y=y)
    chance = base.mark_line(strokeDash=[4, 4], strokeWidth=1.5, point=alt.OverlayMarkDef(size=20)).encode(
        y=alt.Y("null_cosine_high:Q")
    )
    return layered(layer=[chance, line], height=240 + LEGEND_ENTRY * len(kinds))
