"""Charts of pitch: keyboard, tuning curves, octave-folded wheel, two tasks side by side."""

from __future__ import annotations

from math import pi

import altair as alt
import numpy as np
import pandas as pd

from dashboard.shared.charts.common import either, kinds_legend, layered
from dashboard.shared.theme import HIGHLIGHT, MEAN_COLOUR, MODEL_COLOURS, NULL_COLOUR

BLACK = (1, 3, 6, 8, 10)
_BARS, _WHITE_KEY, _BLACK_KEY, _GAP = 110, 86, 54, 8  # pixels
_IVORY, _EBONY = "#FBFBF8", "#22292E"
_FIRST, _SECOND = MODEL_COLOURS[0], MODEL_COLOURS[1]
VERDICTS = {"over 0": MODEL_COLOURS[0], "includes 0": NULL_COLOUR, "under 0": MODEL_COLOURS[3]}


def note_axis(low: int, high: int, title: str | None = "Note") -> alt.Axis:
    """Label every C of a MIDI axis by its name."""
    octaves = [note for note in range(12 * (low // 12), high + 1, 12) if note >= low]
    return alt.Axis(
        values=octaves, labelExpr="'C' + (datum.value / 12 - 1)", title=title, grid=True, labelOverlap=False
    )


def _note_scale(low: int, high: int) -> alt.Scale:
    return alt.Scale(domain=[low - 0.5, high + 0.5], nice=False, zero=False)


def keys(played: pd.DataFrame, chosen: int | None) -> pd.DataFrame:
    """Lay out the keys of whole octaves around the notes played, white ones first so that black ones lie on top.

    Parameters
    ----------
    played : DataFrame
        ``note``, ``name``.
    chosen : int, optional
        The key to mark.

    Returns
    -------
    DataFrame
        ``note``, ``name``, ``left``, ``right`` (MIDI), ``top``, ``bottom`` (pixels), ``fill``, ``label`` (of each C).
    """
    low, high = int(played["note"].min()), int(played["note"].max())
    notes = np.arange(12 * (low // 12), 12 * (high // 12) + 12)
    black = np.isin(notes % 12, BLACK)
    # A white key reaches to the middle of a black neighbour, or half way to a white one.
    left = notes - np.where(black, 0.5, np.where(np.isin((notes - 1) % 12, BLACK), 1.0, 0.5))
    right = notes + np.where(black, 0.5, np.where(np.isin((notes + 1) % 12, BLACK), 1.0, 0.5))
    names = dict(zip(played["note"], played["name"], strict=True))
    fill = np.where(black, _EBONY, _IVORY)
    fill[~np.isin(notes, played["note"])] = NULL_COLOUR
    fill[notes == chosen] = HIGHLIGHT
    top = _BARS + _GAP
    laid = pd.DataFrame(
        {
            "note": notes, "name": [names.get(note, "not played") for note in notes], "left": left, "right": right,
            "top": top, "bottom": top + np.where(black, _BLACK_KEY, _WHITE_KEY), "fill": fill, "black": black,
            "label": [f"C{note // 12 - 1}" if note % 12 == 0 else "" for note in notes],
        }
    )  # fmt: skip
    return laid.sort_values("black", kind="stable", ignore_index=True)


def keyboard(frame: pd.DataFrame, chosen: int | None = None) -> alt.TopLevelLayerSpec:
    """A keyboard, and above each key the neurons that prefer its note; a click selects a key (``key``).

    Parameters
    ----------
    frame : DataFrame
        ``note``, ``name``, ``n_clips``, ``n_neurons``, ``expected``, ``low``, ``high``.
    chosen : int, optional
        The note to mark.
    """
    laid = keys(frame, chosen)
    scale = alt.Scale(domain=[float(laid["left"].min()), float(laid["right"].max())], nice=False, zero=False)
    x = alt.X("left:Q", scale=scale, axis=None)
    click = alt.selection_point(name="key", fields=["note"], empty=False)
    board = (
        alt.Chart(laid)
        .mark_rect(stroke=MEAN_COLOUR, strokeWidth=1, cornerRadiusBottomLeft=2, cornerRadiusBottomRight=2, opacity=1)
        .encode(
            x=x,
            x2=alt.X2("right:Q"),
            y=alt.Y("top:Q", scale=None, axis=None),
            y2=alt.Y2("bottom:Q"),
            color=alt.Color("fill:N", scale=None),
            opacity=alt.OpacityValue(1),
            tooltip=[alt.Tooltip("name:N", title="Note"), alt.Tooltip("note:Q", title="MIDI")],
        )
        .add_params(click)
    )
    names = (
        alt.Chart(laid[laid["label"] != ""])
        .mark_text(fontSize=10, color=_EBONY, baseline="bottom", dy=-4)
        .encode(x=alt.X("note:Q", scale=scale), y=alt.Y("bottom:Q", scale=None, axis=None), text=alt.Text("label:N"))
    )
    top = float(max(frame["n_neurons"].max(), frame["high"].max(), 1))
    bars = frame.assign(left=frame["note"] - 0.36, right=frame["note"] + 0.36, zero=0, chosen=frame["note"] == chosen)
    # The bars end above the keys: their scale fills the upper part only.
    height = alt.Scale(domain=[0, top], range=[_BARS, 4], nice=False)
    tooltip = [
        alt.Tooltip("name:N", title="Note"),
        alt.Tooltip("n_neurons:Q", title="Neurons that prefer it", format=",d"),
        alt.Tooltip("expected:Q", title="By chance", format=",.1f"),
        alt.Tooltip("low:Q", title="By chance, 2.5 %", format=",d"),
        alt.Tooltip("high:Q", title="By chance, 97.5 %", format=",d"),
        alt.Tooltip("n_clips:Q", title="Clips", format=",d"),
    ]
    counted = alt.Chart(bars).encode(tooltip=tooltip)
    y = alt.Y("n_neurons:Q", scale=height, axis=alt.Axis(title="Neurons", tickCount=3, titleY=_BARS / 2, domain=False))
    bar = counted.mark_rect().encode(
        x=x, x2=alt.X2("right:Q"), y=y, y2=alt.Y2("zero:Q"),
        color=either(alt.ColorValue, "datum.chosen", HIGHLIGHT, MODEL_COLOURS[0]),
    )  # fmt: skip
    chance = counted.mark_rect(color=NULL_COLOUR, opacity=0.55).encode(
        x=x, x2=alt.X2("right:Q"), y=alt.Y("low:Q", scale=height), y2=alt.Y2("high:Q")
    )
    return layered(
        layer=[layered([bar, chance]), layered([board, names])],
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(y="independent")),
        height=_BARS + _GAP + _WHITE_KEY + 2,
    )


def tuning_curves(frame: pd.DataFrame, tasks: tuple[str, ...], preferred: tuple[float, ...]) -> alt.TopLevelLayerSpec:
    """One neuron's rate over the notes of one task or two, with the mean of the notes as reference.

    Parameters
    ----------
    frame : DataFrame
        ``task``, ``note``, ``name``, ``activation_probability``.
    tasks : tuple of str
        The first task, then perhaps a second.
    preferred : (note, low, high)
        The preferred note in the first task with its interval.
    """
    low, high = int(frame["note"].min()), int(frame["note"].max())
    scale = _note_scale(low, high)
    color = alt.Color("task:N", scale=alt.Scale(domain=list(tasks), range=[_FIRST, _SECOND]), legend=None)
    x = alt.X("note:Q", scale=scale, axis=note_axis(low, high, None))
    rate = alt.Y(
        "activation_probability:Q", title="Probability", scale=alt.Scale(domainMin=0),
        axis=alt.Axis(format=".0~%", tickCount=3),
    )  # fmt: skip
    note, sure_low, sure_high = preferred
    band = pd.DataFrame({"left": [sure_low - 0.5], "right": [sure_high + 0.5]}).dropna()
    sure = (
        alt.Chart(band)
        .mark_rect(color=NULL_COLOUR, opacity=0.28)
        .encode(x=alt.X("left:Q", scale=scale), x2=alt.X2("right:Q"))
    )
    base = alt.Chart(frame).encode(
        color=color,
        tooltip=[
            alt.Tooltip("task:N", title="Task"),
            alt.Tooltip("name:N", title="Note"),
            alt.Tooltip("activation_probability:Q", title="Activation probability", format=".1%"),
        ],
    )
    line = base.mark_line(strokeWidth=2, interpolate="linear", point=alt.OverlayMarkDef(size=14)).encode(x=x, y=rate)
    means = frame.groupby("task", as_index=False)["activation_probability"].mean()
    mean = (
        alt.Chart(means)
        .mark_rule(strokeDash=[4, 4], strokeWidth=1.5)
        .encode(
            y=alt.Y("activation_probability:Q"),
            color=color,
            tooltip=[
                alt.Tooltip("task:N", title="Mean of the notes of"),
                alt.Tooltip("activation_probability:Q", title="Activation probability", format=".1%"),
            ],
        )
    )
    best = frame[(frame["task"] == tasks[0]) & (frame["note"] == note)]
    mark = (
        alt.Chart(best)
        .mark_point(filled=False, size=130, strokeWidth=2, color=MEAN_COLOUR, opacity=1)
        .encode(x=x, y=alt.Y("activation_probability:Q"))
    )
    return layered(layer=[sure, mean, line, mark], height=170)


def layer_notes(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """Share of each layer's tuned neurons that prefer each note; a dot where it is more than chance gives.

    Parameters
    ----------
    frame : DataFrame
        ``layer``, ``note``, ``name``, ``n_neurons``, ``share``, ``expected``, ``q_value``, ``beyond``.
    """
    low, high = int(frame["note"].min()), int(frame["note"].max())
    cells = frame.assign(left=frame["note"] - 0.5, right=frame["note"] + 0.5)
    y = alt.Y("layer:O", title="Layer", axis=alt.Axis(labelBaseline="middle"))
    scale = _note_scale(low, high)
    base = alt.Chart(cells).encode(
        y=y,
        tooltip=[
            alt.Tooltip("layer:O", title="Layer"),
            alt.Tooltip("name:N", title="Note"),
            alt.Tooltip("n_neurons:Q", title="Neurons that prefer it", format=",d"),
            alt.Tooltip("expected:Q", title="By chance", format=",.1f"),
            alt.Tooltip("share:Q", title="Share of the layer's tuned neurons", format=".1%"),
            alt.Tooltip("q_value:Q", title="q (more than chance)", format=".2~g"),
        ],
    )
    color = alt.Color("share:Q", legend=alt.Legend(title="Share", format=".0~%", gradientLength=90, tickCount=3))
    cell = base.mark_rect().encode(
        x=alt.X("left:Q", scale=scale, axis=note_axis(low, high, "Preferred note")), x2=alt.X2("right:Q"), color=color
    )
    dot = base.transform_filter("datum.beyond").mark_point(filled=True, size=16, color=HIGHLIGHT, opacity=1)
    return layered(layer=[cell, dot.encode(x=alt.X("note:Q", scale=scale))], height=30 * frame["layer"].nunique() + 55)


def wheel(frame: pd.DataFrame, top: float, colour: str, dark: bool = False) -> alt.TopLevelLayerSpec:
    """Twelve pitch classes around a circle: neurons that prefer each over what chance gives, its range in grey.

    Parameters
    ----------
    frame : DataFrame
        ``pitch_class``, ``name``, ``n_neurons``, ``expected``, ``times``, ``times_low``, ``times_high``.
    top : float
        The outer end of the scale, so that two wheels can be compared.
    colour : str
    dark : bool
        Whether the page's ground is dark.
    """
    step = 2 * pi / 12
    rows = frame.dropna(subset="times").assign(one=1.0)
    rows = rows.assign(start=(rows["pitch_class"] - 0.46) * step, end=(rows["pitch_class"] + 0.46) * step)
    angle = alt.Scale(domain=[0, 2 * pi], range=[0, 2 * pi], nice=False)
    # Areas are what the eye compares; names stand beyond the longest wedge.
    reach = alt.Scale(
        type="sqrt", domain=[0, top], nice=False, range=[0, {"expr": "max(20, min(width, height) / 2 - 22)"}]
    )
    base = alt.Chart(rows).encode(
        theta=alt.Theta("start:Q", scale=angle, stack=None),
        theta2=alt.Theta2("end:Q"),
        tooltip=[
            alt.Tooltip("name:N", title="Pitch class"),
            alt.Tooltip("n_neurons:Q", title="Neurons that prefer it", format=",d"),
            alt.Tooltip("expected:Q", title="By chance", format=",.1f"),
            alt.Tooltip("low:Q", title="By chance, 2.5 %", format=",d"),
            alt.Tooltip("high:Q", title="By chance, 97.5 %", format=",d"),
            alt.Tooltip("times:Q", title="Times chance", format=".2f"),
        ],
    )
    wedge = base.mark_arc(color=colour, opacity=0.9).encode(radius=alt.Radius("times:Q", scale=reach, stack=None))
    null = base.mark_arc(color=NULL_COLOUR, opacity=0.6).encode(
        radius=alt.Radius("times_high:Q", scale=reach, stack=None), radius2=alt.Radius2("times_low:Q")
    )
    ring = base.mark_arc(fillOpacity=0, stroke=MEAN_COLOUR, strokeWidth=1.5).encode(
        radius=alt.Radius("one:Q", scale=reach, stack=None), radius2=alt.Radius2("one:Q")
    )
    names = (
        alt.Chart(frame.assign(angle=frame["pitch_class"] * step))
        .mark_text(
            fontSize=12, color="#E6EBED" if dark else "#1D2529", radius={"expr": "max(30, min(width, height) / 2 - 9)"}
        )
        .encode(theta=alt.Theta("angle:Q", scale=angle, stack=None), text=alt.Text("name:N"))
    )
    return layered(layer=[wedge, null, ring, names], height=300)


def bandwidth_chart(frame: pd.DataFrame) -> alt.Chart:
    """How wide the curves are.

    Parameters
    ----------
    frame : DataFrame
        ``bandwidth`` (quarters of a semitone), ``n_neurons``.
    """
    rows = frame.dropna(subset="bandwidth")
    rows = rows.assign(left=rows["bandwidth"] - 0.11, right=rows["bandwidth"] + 0.11, zero=0)
    return (
        alt.Chart(rows)
        .mark_rect(color=MODEL_COLOURS[0])
        .encode(
            x=alt.X("left:Q", title="Bandwidth (semitones at half height)", scale=alt.Scale(domainMin=0)),
            x2=alt.X2("right:Q"),
            y=alt.Y("n_neurons:Q", title="Neurons", axis=alt.Axis(tickCount=4)),
            y2=alt.Y2("zero:Q"),
            tooltip=[
                alt.Tooltip("bandwidth:Q", title="Bandwidth (semitones)"),
                alt.Tooltip("n_neurons:Q", title="Neurons", format=",d"),
            ],
        )
        .properties(height=240)
    )


def octave_chart(frame: pd.DataFrame) -> alt.TopLevelLayerSpec:
    """How the octave equivalence index is spread, coloured by where its interval lies.

    Parameters
    ----------
    frame : DataFrame
        ``octave_index`` (tenths), ``verdict``, ``n_neurons``.
    """
    scale = alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values()))
    order = {name: place for place, name in enumerate(VERDICTS)}
    rows = frame.assign(place=frame["verdict"].map(order))
    bars = (
        alt.Chart(rows)
        .mark_bar(size=11)
        .encode(
            x=alt.X(
                "octave_index:Q", title="Octave equivalence index", scale=alt.Scale(domain=[-1.05, 1.05], nice=False)
            ),
            y=alt.Y("n_neurons:Q", title="Neurons", stack=True, axis=alt.Axis(tickCount=4)),
            color=alt.Color("verdict:N", scale=scale, legend=kinds_legend(list(VERDICTS))),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("octave_index:Q", title="Index", format=".1f"),
                alt.Tooltip("verdict:N", title="Its interval"),
                alt.Tooltip("n_neurons:Q", title="Neurons", format=",d"),
            ],
        )
    )
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(strokeDash=[3, 3], color=MEAN_COLOUR).encode(x=alt.X("x:Q"))
    return layered(layer=[bars, zero], height=240)


def preferred_scatter(frame: pd.DataFrame, task_a: str, task_b: str) -> alt.TopLevelLayerSpec:
    """Preferred note in one task against that in another: a circle for each pair, as large as its neurons are many.

    Parameters
    ----------
    frame : DataFrame
        ``preferred_a``, ``preferred_b``, ``name_a``, ``name_b``, ``n_neurons``.
    task_a, task_b : str
    """
    low = int(frame[["preferred_a", "preferred_b"]].min().min())
    high = int(frame[["preferred_a", "preferred_b"]].max().max())
    scale = _note_scale(low, high)
    edge_low, edge_high = low - 0.5, high + 0.5
    lines = pd.DataFrame(
        [
            {"x": max(edge_low, edge_low - d), "y": max(edge_low, edge_low - d) + d,
             "x2": min(edge_high, edge_high - d), "y2": min(edge_high, edge_high - d) + d,
             "kind": "same note" if d == 0 else "octaves apart"}
            for d in (-24, -12, 0, 12, 24) if abs(d) < high - low
        ]
    )  # fmt: skip
    guide = (
        alt.Chart(lines)
        .mark_rule(strokeWidth=1.5, color=MEAN_COLOUR)
        .encode(
            x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale), x2=alt.X2("x2:Q"), y2=alt.Y2("y2:Q"),
            strokeDash=alt.StrokeDash(
                "kind:N", legend=kinds_legend(["same note", "octaves apart"]),
                scale=alt.Scale(domain=["same note", "octaves apart"], range=[[1, 0], [4, 4]]),
            ),
        )
    )  # fmt: skip
    dots = (
        alt.Chart(frame)
        .mark_circle(color=_FIRST, opacity=0.75)
        .encode(
            x=alt.X("preferred_a:Q", scale=scale, axis=note_axis(low, high, f"Preferred note in {task_a}")),
            y=alt.Y("preferred_b:Q", scale=scale, axis=note_axis(low, high, f"Preferred note in {task_b}")),
            size=alt.Size(
                "n_neurons:Q", scale=alt.Scale(domainMin=0, rangeMin=4, rangeMax=320),
                legend=alt.Legend(title="Neurons", tickCount=3, orient="right"),
            ),
            tooltip=[
                alt.Tooltip("name_a:N", title=task_a),
                alt.Tooltip("name_b:N", title=task_b),
                alt.Tooltip("n_neurons:Q", title="Neurons", format=",d"),
            ],
        )
    )  # fmt: skip
    return layered(layer=[guide, dots], height=440)
