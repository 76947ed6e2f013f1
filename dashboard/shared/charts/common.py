"""What all charts share: order of classes, axes, scales, legends; pure functions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard.shared.text.words import within
from dashboard.shared.theme import NULL_COLOUR, model_colours

MOST_NUMBERS = 2500
"""Cells beyond which no number could be read."""

# Checking every part of every chart against the schema took a third of a page's time; tests/dashboard/test_charts.py
# checks them once. For the same reason channels are written as ``x=alt.X("share:Q")``, not ``x="share:Q"`` (each
# text makes Altair hash all its schemas).
alt.utils.schemapi.disable_debug_mode()
alt.data_transformers.consolidate_datasets = False  # `Layers` write their rows themselves

LABEL_LIMIT = 130  # pixels; longer names end in dots
_TASK_PIXELS = 190
"""That names of tasks take of a chart's width."""
INK = {"expr": "luminance(background) > 0.5 ? '#5C6068' : '#E6EAF1'"}
"""Of what is written in a chart and around it; Streamlit's own has a contrast of 3.7 on white, WCAG AA asks for 4.5."""
NULL_NAME = "shuffled-label null"
CHANCE_NAME = "chance"
CONTROL_NAME = "random controls"


class Layers(alt.TopLevelLayerSpec):
    """Charts over each other, each with its own rows and selections.

    ``alt.LayerChart`` joins these, for which it copies every layer several times and prints its rows: to write the
    charts of a page then takes three times as long.
    """

    def to_dict(
        self, validate: bool = True, *, ignore: list[str] | None = None, context: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write Vega-Lite; the layers have no theme and no ``$schema`` of their own."""
        return super().to_dict(validate, ignore=ignore, context={**(context or {}), "top_level": False})


Chart = alt.Chart | alt.TopLevelLayerSpec


def layered(layer: Sequence[Chart], **of_all: Any) -> Layers:
    """Charts over each other."""
    return Layers(layer=list(layer), **of_all)


def class_order(names: Iterable[str]) -> list[str]:
    """Class names in reading order: numbers by value, other names as they come.

    Examples
    --------
    >>> class_order(["10", "9", "9"])
    ['9', '10']
    >>> class_order(["rain", "dog"])
    ['rain', 'dog']
    """
    unique = list(dict.fromkeys(names))
    try:
        return sorted(unique, key=float)
    except ValueError:
        return unique


def _fits(names: Sequence[str]) -> bool:
    """Whether the labels fit side by side in half a narrow page."""
    return max(map(len, names), default=0) * len(names) * 7 + 8 * len(names) < 260


def class_axis(names: Sequence[str]) -> alt.Axis:
    """Labels level where they fit, upright where they would not; left out only where not even small ones have room."""
    return alt.Axis(labelAngle=0 if _fits(names) else -90, labelLimit=LABEL_LIMIT, **every_label(len(names)))


def every_label(n: int) -> dict[str, Any]:
    """Of ``n`` names side by side: as small as their places ask for, and all of them, down to 8 pixels."""
    place = f"(width / {max(n, 1)})"
    return {
        "labelOverlap": alt.ExprRef(f"{place} < 8 ? 'parity' : false"),
        "labelFontSize": alt.ExprRef(f"max(8, min(12, {place} - 1))"),
    }


def axis_height(names: Sequence[str]) -> int:
    """Pixels that the labels of `class_axis` take, to be added to a chart's height."""
    longest = max(map(len, names), default=0)
    return 30 if _fits(names) else min(6 * longest, LABEL_LIMIT) + 20


def model_names(frame: pd.DataFrame) -> list[str]:
    """Models by name, in the order of every chart."""
    return sorted(set(frame["model"]))


def legend_scale(models: Sequence[str], reference: str) -> alt.Scale:
    """One colour a model, and grey for what they are to be read against."""
    scale = model_scale(models)
    return alt.Scale(domain=[*models, reference], range=[*scale.range, NULL_COLOUR])


def kinds_legend(
    names: Sequence[str], title: str | None = None, orient: Any = "top", beside: int = 80, **how: Any
) -> alt.Legend:
    """Above the chart, or at ``orient``: in a row where its width holds it, else in columns; one on a phone, where
    names are long. ``beside`` are the pixels that axes take of the width.
    """
    lengths = [min(len(name), 34) for name in names] or [0]
    row = sum(26 + 6.5 * length for length in lengths)  # pixels
    column = 26 + 6.5 * (sum(lengths) + max(lengths)) / len(lengths)
    # Of the chart with its axes: that of the plot alone changes while Vega lays it out, and a legend was cut off.
    width = f"((containerSize()[0] || 700) - {beside})"
    columns = alt.ExprRef(f"{width} >= {row:.0f} ? {len(lengths)} : max(1, floor({width} / {column:.0f}))")
    return alt.Legend(title=title, orient=orient, labelLimit=220, symbolOpacity=1, columns=columns, **how)


def by_task(
    frame: pd.DataFrame, reference: str, every: Sequence[str] = ()
) -> tuple[alt.Y, alt.YOffset, alt.Color, int]:
    """Shared encodings of charts with a row a task, and in it a line a model; ``every`` model, if not all have rows."""
    models = sorted({*every, *frame["model"]})
    y = task_rows(frame)
    offset = alt.YOffset("model:N", sort=models)
    color = alt.Color(
        "model:N", scale=legend_scale(models, reference), legend=kinds_legend([*models, reference], beside=_TASK_PIXELS)
    )
    height = frame["task"].nunique() * max(22, 10 * len(models) + 4) + 20 * len(models) + 130  # axis and legend
    return y, offset, color, height


def task_rows(frame: pd.DataFrame, **axis: Any) -> alt.Y:
    """A row a task, in the frame's order; a dataset (column ``dataset``, if there is one) is named once."""
    if "dataset" in frame:
        axis["labelExpr"] = f"{json.dumps(grouped_by_dataset(frame))}[datum.value]"
    shown = alt.Axis(**{"labelLimit": 170, "labelOverlap": False, "grid": False, **axis})
    return alt.Y("task:N", title=None, sort=None, axis=shown)


def grouped_by_dataset(frame: pd.DataFrame) -> dict[str, str]:
    """Labels of tasks in their order: a dataset is named before its first task, the others are called by what they add.

    Examples
    --------
    >>> grouped_by_dataset(pd.DataFrame({"dataset": ["toys", "toys"], "task": ["toys-kind", "toys-size"]}))
    {'toys-kind': 'toys: kind', 'toys-size': 'size'}
    """
    labels, before = {}, None
    for dataset, task in frame[["dataset", "task"]].drop_duplicates("task").itertuples(index=False, name=None):
        short = within(str(task), str(dataset))
        labels[str(task)] = short if dataset == before or short == dataset else f"{dataset}: {short}"
        before = dataset
    return labels


def share_axis(field: str, title: str) -> alt.X:
    return alt.X(field, title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5))


def either(channel: Callable[..., Any], test: str, yes: object, no: object) -> Any:
    """One value of an encoding where ``test`` holds, another elsewhere.

    As ``alt.condition``, which Altair would look up among all its classes.
    """
    return channel(no, condition={"test": test, "value": yes})


def model_scale(models: Sequence[str]) -> alt.Scale:
    """One colour a model."""
    colours = model_colours(models)
    return alt.Scale(domain=list(models), range=[colours[name] for name in models])
