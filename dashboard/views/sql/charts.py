"""The chart of any answer: columns of any name and kind, as bars, lines, points or a heatmap."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.shared.charts.common import axis_height, class_axis, class_order, kinds_legend, layered
from dashboard.shared.theme import MODEL_COLOURS, NULL_COLOUR

MOST_ROWS = 5_000
MOST_BARS = 60
MOST_NAMES = 150
"""Of an axis of points, lines or cells."""
LONGEST_NAME = 60
"""Characters of a name in a chart; to lay out longer ones takes seconds."""
MOST_TOLD = 9
"""Columns that a tooltip tells beside those that are drawn."""
_INTERVALS = {
    "coverage": ("null_coverage_low", "null_coverage_high"),
    "n_class_specific": ("null_n_class_specific_low", "null_n_class_specific_high"),
    "delta": ("ci_low", "ci_high"),
    "self_delta": ("self_low", "self_high"),
    "accuracy": ("ci_low", "ci_high"),
    "specificity": ("ci_low", "ci_high"),
    "log_odds": ("ci_low", "ci_high"),
    "octave_equivalence_index": ("oei_low", "oei_high"),
    "jaccard_mean": ("jaccard_low", "jaccard_high"),
    "lift": ("lift_low", "lift_high"),
    "odds_ratio": ("odds_low", "odds_high"),
}
"""Value to the columns between which its interval, or its null's, lies."""


def answer_chart(frame: pd.DataFrame, kind: str, x: str, y: str, colour: str = "") -> alt.TopLevelLayerSpec:
    """Draw an answer.

    Where several rows fall on one bar, cell or place of a line, their mean is drawn and the tooltip
    tells how many they are.

    Parameters
    ----------
    frame : DataFrame
        Of any columns; the rows of `drawn` are drawn.
    kind : {"bar", "line", "point", "heatmap"}
    x, y : str
        Columns.
    colour : str
        Column, or empty for none; the cells' value in a heatmap.
    """
    draw = {"bar": _bars, "line": _lines, "point": _points, "heatmap": _heatmap}[kind]
    return draw(drawn(frame, kind, x, y, colour)[0], x, y, colour)


def drawn(frame: pd.DataFrame, kind: str, x: str, y: str, colour: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of an answer that a chart draws, names shortened, and a line for each thing it leaves out."""
    rows, lines = frame.head(MOST_ROWS), []
    if len(frame) > MOST_ROWS:
        lines.append(f"The chart shows the first {MOST_ROWS:,} rows.")
    for name, most, what in _named(frame, kind, x, y, colour):
        order = class_order(_names(rows[name]))
        if len(order) > most:
            lines.append(f"It shows the first {most} of {len(order):,} {what}.")
            rows = rows[_names(rows[name]).isin(order[:most])]
    told = dict.fromkeys([x, y, colour, *rows.columns[: MOST_TOLD + 3]])  # others stand in tooltips
    texts = [name for name in told if name in rows and not is_number(rows, name)]
    short = {name: _shortened(rows[name]) for name in texts}
    if any(not short[name].equals(rows[name]) for name in texts):
        lines.append(f"Names in it are cut after {LONGEST_NAME} characters.")
    return rows.assign(**short), lines


def _named(frame: pd.DataFrame, kind: str, x: str, y: str, colour: str) -> list[tuple[str, int, str]]:
    """Columns whose values are drawn as names, how many of them at most, and what they are called."""
    found = {}
    if kind == "bar":
        found[y if is_number(frame, x) else x] = (MOST_BARS, "bars")
    for name, what in ((x, "names across"), (y, "names up")):
        if kind == "heatmap" or not is_number(frame, name):
            found.setdefault(name, (MOST_NAMES, what))
    if colour in frame.columns and not is_number(frame, colour):
        found.setdefault(colour, (MOST_BARS, "colours"))
    return [(name, *how) for name, how in found.items()]


def _shortened(column: pd.Series) -> pd.Series:
    """Names of a bounded length, still one for each value."""
    labels: dict[str, str] = {}
    for name in dict.fromkeys(value for value in column if isinstance(value, str) and len(value) > LONGEST_NAME):
        number = f" ({len(labels) + 1})"
        labels[name] = f"{name[: LONGEST_NAME - 1 - len(number)]}…{number}"
    return column.map(lambda value: labels.get(value, value)) if labels else column


def interval_of(frame: pd.DataFrame, value: str) -> tuple[str, str] | None:
    """Return the columns that hold a value's interval or null, where the answer has them."""
    low, high = _INTERVALS.get(value, ("", ""))
    return (low, high) if {low, high} <= set(frame.columns) else None


def merged(frame: pd.DataFrame, value: str, places: list[str]) -> pd.DataFrame:
    """Return one row for each place: the value's mean, ``rows`` of it, its interval where it has one row.

    Columns are ``value``, ``p0``, ``p1``, ... for the places, and ``low``, ``high``.
    """
    taken = pd.DataFrame({f"p{number}": frame[name] for number, name in enumerate(places)})
    taken["value"] = frame[value].astype("float64")
    ends = interval_of(frame, value)
    for name, column in zip(("low", "high"), ends or (None, None), strict=True):
        taken[name] = frame[column].astype("float64") if column else float("nan")
    keys = [f"p{number}" for number in range(len(places))]
    grouped = taken.groupby(keys, sort=False, dropna=False)
    rows = grouped.agg(value=("value", "mean"), rows=("value", "size"), low=("low", "mean"), high=("high", "mean"))
    rows = rows.reset_index()
    rows.loc[rows["rows"] > 1, ["low", "high"]] = float("nan")
    return rows


def is_number(frame: pd.DataFrame, name: str) -> bool:
    return bool(pd.api.types.is_numeric_dtype(frame[name]))


def number_axis(frame: pd.DataFrame, name: str, value: pd.Series | None = None) -> alt.Axis:
    """An axis of numbers; of whole ones, without the marks between them.

    Parameters
    ----------
    frame : DataFrame
    name : str
        The column drawn.
    value : Series, optional
        What is drawn of it, where several rows were taken together.
    """
    drawn = frame[name] if value is None else value
    known = drawn.dropna()
    if not (len(known) and (known == known.round()).all() and pd.api.types.is_numeric_dtype(frame[name])):
        return alt.Axis()
    return alt.Axis(tickMinStep=1, format="d" if known.abs().max() < 10_000 else ",d")


def _names(column: pd.Series) -> pd.Series:
    """Values as text, a missing one as NULL."""
    return column.map(lambda value: "NULL" if pd.isna(value) else str(value)).astype("object")


def title(name: str) -> str:
    """A column's name as charts write it."""
    return (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…").replace("_", " ")


def _colour(frame: pd.DataFrame, name: str, field: str) -> alt.Color:
    """Colours of a column: a scale for numbers, one each for names."""
    if is_number(frame, name):
        return alt.Color(field=field, type="quantitative", title=title(name))
    names = class_order(_names(frame[name]))
    colours = [MODEL_COLOURS[number % len(MODEL_COLOURS)] for number in range(len(names))]
    return alt.Color(
        field=field, type="nominal", scale=alt.Scale(domain=names, range=colours), legend=kinds_legend(names)
    )


def _tips(*columns: tuple[str, str, bool]) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(field=field, type="quantitative", title=title(name), format=".4~g")
        if number
        else alt.Tooltip(field=field, type="nominal", title=title(name))
        for field, name, number in columns
    ]


def _value_tips(frame: pd.DataFrame, value: str) -> list[alt.Tooltip]:
    ends = interval_of(frame, value)
    tips = [("value", value, True)]
    if ends:
        tips += [("low", ends[0], True), ("high", ends[1], True)]
    return _tips(*tips, ("rows", "rows (mean of)", True))


def _bars(frame: pd.DataFrame, x: str, y: str, colour: str) -> alt.TopLevelLayerSpec:
    flat = is_number(frame, x)  # bars lie
    value, row = (x, y) if flat else (y, x)
    if not is_number(frame, value):
        return _points(frame, x, y, colour)
    split = colour if colour and colour not in (row, value) and not is_number(frame, colour) else ""
    rows = merged(frame, value, [row, *([split] if split else [])])
    order = class_order(_names(rows["p0"]))
    rows = rows.assign(p0=_names(rows["p0"]))
    if split:
        rows["p1"] = _names(rows["p1"])
    tips = [*_tips(("p0", row, False), *((("p1", split, False),) if split else ())), *_value_tips(frame, value)]
    base = alt.Chart(rows).encode(tooltip=tips)
    long, short, offset = (alt.X, alt.Y, alt.YOffset) if flat else (alt.Y, alt.X, alt.XOffset)
    axis = alt.Axis(labelLimit=220, grid=False, labelOverlap=False) if flat else class_axis(order)
    base = base.encode(short(field="p0", type="nominal", title=None, sort=order, axis=axis))
    n_lines = int(rows.groupby("p0")["p1"].nunique().max()) if split else 1
    if split:
        if n_lines > 1:
            base = base.encode(offset(field="p1", type="nominal", sort=class_order(rows["p1"])))
        coloured = base.encode(_colour(rows.rename(columns={"p1": split}), split, "p1"))
    else:
        coloured = base.encode(color=alt.value(MODEL_COLOURS[0]))
    across = number_axis(frame, value, rows["value"])
    bars = coloured.mark_bar().encode(long(field="value", type="quantitative", title=title(value), axis=across))
    ends = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3, color=NULL_COLOUR, strokeCap="round")
    ends = ends.encode(long(field="low", type="quantitative"), (alt.X2 if flat else alt.Y2)(field="high"))
    size = len(order) * max(18, 9 * n_lines + 4) + 110
    layers = [bars, ends] if rows["low"].notna().any() else [bars]
    return layered(layer=layers, height=size if flat else 260 + axis_height(order))


def _lines(frame: pd.DataFrame, x: str, y: str, colour: str) -> alt.TopLevelLayerSpec:
    if not is_number(frame, y):
        return _points(frame, x, y, colour)
    split = colour if colour and colour not in (x, y) else ""
    rows = merged(frame, y, [x, *([split] if split else [])])
    number = is_number(frame, x)
    if not number:
        rows["p0"] = _names(rows["p0"])
    if split:
        rows["p1"] = _names(rows["p1"])
    axis = number_axis(frame, x) if number else alt.Undefined
    tips = [*_tips(("p0", x, number), *((("p1", split, False),) if split else ())), *_value_tips(frame, y)]
    base = alt.Chart(rows).encode(
        alt.X(field="p0", type="quantitative" if number else "ordinal", title=title(x), axis=axis,
              scale=alt.Scale(zero=False) if number else alt.Undefined),
        tooltip=tips,
    )  # fmt: skip
    shown = _colour(rows.rename(columns={"p1": split}), split, "p1") if split else alt.value(MODEL_COLOURS[0])
    line = base.mark_line(point=alt.OverlayMarkDef(filled=True, size=45), strokeWidth=2)
    up = number_axis(frame, y, rows["value"])
    line = line.encode(alt.Y(field="value", type="quantitative", title=title(y), axis=up), color=shown)
    return layered(layer=[line], height=320)


def _points(frame: pd.DataFrame, x: str, y: str, colour: str) -> alt.TopLevelLayerSpec:
    used = list(dict.fromkeys(name for name in (x, y, colour) if name))
    others = [name for name in frame.columns if name not in used][:MOST_TOLD]
    fields = {name: f"c{number}" for number, name in enumerate([*used, *others])}
    rows = frame[list(fields)].rename(columns=fields)
    for name, field in fields.items():
        rows[field] = rows[field].astype("float64" if is_number(frame, name) else "object")

    def axis(channel: type[alt.X] | type[alt.Y], name: str) -> alt.X | alt.Y:
        field, called = fields[name], title(name)
        if is_number(frame, name):
            scale = alt.Scale(zero=False)
            return channel(field=field, type="quantitative", title=called, scale=scale, axis=number_axis(frame, name))
        return channel(field=field, type="nominal", title=called)

    shown = _colour(frame, colour, fields[colour]) if colour else alt.value(MODEL_COLOURS[0])
    points = alt.Chart(rows).mark_point(filled=True, size=45, opacity=0.75)
    points = points.encode(
        axis(alt.X, x), axis(alt.Y, y), color=shown,
        tooltip=_tips(*((field, name, is_number(frame, name)) for name, field in fields.items())),
    )  # fmt: skip
    few = 340 if is_number(frame, y) else max(160, 18 * min(frame[y].nunique(), 60) + 60)
    return layered(layer=[points], height=few)


def _heatmap(frame: pd.DataFrame, x: str, y: str, colour: str) -> alt.TopLevelLayerSpec:
    value = colour if colour and is_number(frame, colour) and colour not in (x, y) else ""
    counted = frame if value else frame.assign(rows=1.0)
    rows = merged(counted, value or "rows", [x, y])
    if not value:
        rows["value"] = rows["rows"].astype("float64")
    orders = [class_order(_names(rows[field])) for field in ("p0", "p1")]
    rows = rows.assign(p0=_names(rows["p0"]), p1=_names(rows["p1"]))
    tips = [*_tips(("p0", x, False), ("p1", y, False)), *_value_tips(counted, value or "rows")]
    axis = alt.Axis(labelLimit=180, labelOverlap=len(orders[1]) > 45)
    cells = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            alt.X(field="p0", type="nominal", title=title(x), sort=orders[0], axis=class_axis(orders[0])),
            alt.Y(field="p1", type="nominal", title=title(y), sort=orders[1], axis=axis),
            alt.Color(field="value", type="quantitative", title=title(value) if value else "rows"),
            tooltip=tips,
        )
    )
    return layered(layer=[cells], height=max(120, min(20 * len(orders[1]), 900)) + axis_height(orders[0]) + 40)
