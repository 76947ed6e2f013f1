"""What the SQL page makes of a statement and of its answer; pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

import pandas as pd

from dashboard.shared import presets
from dashboard.shared.address import relative
from dashboard.views.sql.charts import drawn, interval_of, is_number
from db.reads.named import NAMED, PAPER
from db.reads.view_meanings import VIEW_MEANINGS, meaning

LONGEST_IN_ADDRESS = 6_000  # characters once encoded; servers and mail programs cut longer links
LONGEST_LINK = 500  # characters of a row's link to its neuron; names of the study's own take far fewer
MOST_COLOURS = 12
KINDS = ("bar", "line", "point", "heatmap")
NO_COLOUR = "no colour"
DEFAULT = NAMED["coverage by evidence"][1].strip()

# What is asked about first, where an answer has several numbers.
_VALUES = (
    "n_shared", "coverage", "share", "self_delta", "delta", "jaccard_mean", "overlap", "accuracy", "lift",
    "n_class_specific", "n_octave_equivalent", "n_more", "n_dead", "n_tasks", "n_pairs", "n_clips", "n_neurons",
    "activation_probability", "entropy",
)  # fmt: skip
_STEPS = ("layer", "entropy_rate", "probability_bar", "rank", "preferred_pitch")
_COLOURS = ("model", "preset", "explained_by", "split", "selection", "task")
_NO_AXIS = re.compile(r"(_json|_id|_at)$")


@dataclass(frozen=True)
class Drawing:
    """How an answer is drawn; ``colour`` empty for none."""

    kind: str
    x: str
    y: str
    colour: str = ""


def title(name: str) -> str:
    """Name an example in the list; the paper's come first."""
    return f"{'Paper' if name in PAPER else 'More'} · {NAMED[name][0]}"


def examples() -> list[str]:
    """Return the names of the example questions, the paper's first."""
    return [*PAPER, *(name for name in NAMED if name not in PAPER)]


def example_of(statement: str) -> str | None:
    """Return the example that a statement is, if any."""
    return next((name for name, (_, sql) in NAMED.items() if sql.strip() == statement.strip()), None)


def fits_address(statement: str) -> bool:
    """Return whether a link can hold the statement."""
    return len(quote_plus(statement)) <= LONGEST_IN_ADDRESS


def views_of(statement: str) -> list[str]:
    """Return the public views that a statement names."""
    words = set(re.findall(r"\w+", statement.lower()))
    return [view for view in VIEW_MEANINGS if view in words]


_NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)


def preset_hint(statement: str, columns_of: Mapping[str, Sequence[str]]) -> str:
    """Say that a view has a row for each preset, where a statement reads one and speaks of no preset .

    Parameters
    ----------
    statement : str
    columns_of : mapping
        Each view's columns.

    Returns
    -------
    str
        Markdown; empty where there is nothing to say.

    Examples
    --------
    >>> columns = {"task_coverage": ["task", "preset"], "runs": ["run_id"]}
    >>> preset_hint("SELECT * FROM task_coverage WHERE preset = 'aape'", columns), preset_hint("TABLE runs", columns)
    ('', '')
    """
    code = _NO_CODE.sub(" ", statement)
    views = [view for view in views_of(code) if "preset" in columns_of.get(view, ())]
    if not views or re.search(r"\bpreset\b", code, re.IGNORECASE):
        return ""
    have = "has" if len(views) == 1 else "have"
    names = " and ".join(f"`{view}`" for view in views)
    return (
        f"{names} {have} a row for each preset ({', '.join(presets.MEANING)}), and this statement chooses none: what "
        "it counts, it counts three times. `WHERE preset = 'calibrated'` keeps one."
    )


def meaning_of(column: str, statement: str) -> str:
    """Return what a column of an answer means, as far as the statement's views tell; without one, all of them."""
    return next((text for view in views_of(statement) or [""] if (text := meaning(view, column))), "")


def with_links(frame: pd.DataFrame) -> pd.DataFrame:
    """Add ``open``, a link to each row's neuron, where the answer names neurons (in a text that a link holds)."""
    if not {"model", "layer", "neuron"} <= set(frame.columns) or "open" in frame.columns:
        return frame
    parts = [name for name in ("model", "task", "layer", "neuron") if name in frame.columns]
    links = [relative("neuron", **dict(zip(parts, row, strict=True))) for row in frame[parts].itertuples(index=False)]
    shown = frame.copy()
    shown.insert(0, "open", [link if len(link) <= LONGEST_LINK else None for link in links])
    return shown


def numbers(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold numbers."""
    return [
        name
        for name in frame.columns
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].notna().any() and not _NO_AXIS.search(name)
    ]


def categories(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold names."""
    numeric = set(numbers(frame))
    return [name for name in frame.columns if name not in numeric and not _NO_AXIS.search(name)]


def _first(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in names), None)


def guess(frame: pd.DataFrame) -> Drawing | None:
    """Choose how to draw an answer; None where nothing can be drawn.

    Examples
    --------
    >>> guess(pd.DataFrame({"task": ["a", "b"], "n_neurons": [3, 4]}))
    Drawing(kind='bar', x='n_neurons', y='task', colour='')
    """
    values, names = numbers(frame), categories(frame)
    if frame.empty or not values:
        return None
    value = _first(values, _VALUES) or next((n for n in values if n not in _STEPS), values[0])
    if {"class_a", "class_b"} <= set(names):
        return Drawing("heatmap", "class_b", "class_a", value)
    steps = _STEPS if len(frame.columns) > 5 else (*_STEPS, "n_classes")  # in a wide answer it is a mere remark
    step = _first([n for n in values if n != value], steps)
    varied = [n for n in names if frame[n].nunique() > 1]
    few = [n for n in varied if frame[n].nunique() <= MOST_COLOURS]
    if step is not None and frame[step].nunique() > 2 and "neuron" not in frame.columns:
        return Drawing("line", step, value, _first(few, _COLOURS) or "")
    if varied:
        # The column that tells most rows apart names the bars.
        row = max(varied, key=lambda n: (frame[n].nunique() <= 60, frame[n].nunique()))
        colour = _first([n for n in few if n != row], _COLOURS)
        return Drawing("bar", value, row, colour or "")
    others = [n for n in values if n != value]
    if others:
        return Drawing("point", others[0], value, "")
    return Drawing("bar", value, names[0], "") if names else None


def drawable(frame: pd.DataFrame) -> list[str]:
    """Return the columns that can be drawn."""
    return [*numbers(frame), *categories(frame)]


def duration(seconds: float) -> str:
    """Write a time as people say it.

    Examples
    --------
    >>> duration(0.0123), duration(2.345)
    ('12 ms', '2.3 s')
    """
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def remarks(frame: pd.DataFrame, kind: str, x: str, y: str, colour: str) -> list[str]:
    """Tell what a chart leaves out or sums up."""
    rows, lines = drawn(frame, kind, x, y, colour)
    if kind == "bar":
        row, value = (y, x) if is_number(frame, x) else (x, y)
        places = [row, colour]
    else:
        places, value = ([x, y], colour) if kind == "heatmap" else ([x, colour], y)
    places = [name for name in places if name in frame.columns]
    if kind != "point" and rows.duplicated(places).any():
        lines.append("Several rows fall on one place: their mean is drawn; the tooltip tells how many.")
    elif kind == "bar" and value in frame.columns and (ends := interval_of(frame, value)):
        lines.append(f"Grey: from {ends[0].replace('_', ' ')} to {ends[1].replace('_', ' ')}.")
    return lines
