"""The sections as one HTML file that needs nothing else, figures as inline SVG; every name is escaped here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from itertools import count, repeat
from pathlib import Path
from typing import Any

import altair
import pandas as pd
from markdown_it import MarkdownIt

from dashboard.report.charts import CHARTS
from dashboard.report.parts import NOTHING, Figure, Part, Section, Table, cell
from dashboard.shared import pictures

MOST_ROWS = 400
WIDTH = 620  # pixels of a chart: an A4 page between its margins
_VEGA_LITE = altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0]
_CONFIG = Path(__file__).parents[1] / ".streamlit" / "config.toml"
_MARKDOWN = MarkdownIt("commonmark", {"html": False})
# What Vega names its gradients and clips, in every picture anew; in one document they must differ.
_IDS = re.compile(r'(\bid="|url\(#|href="#)((?:gradient|clip|pattern)[\w-]*)')

STYLE = """
@page { size: A4; margin: 16mm 15mm; }
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.5 "Source Sans 3", "Source Sans Pro", "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: #1d2529; background: #fff; max-width: 940px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .5rem; padding-top: .6rem; border-top: 1px solid #d8dee2; break-after: avoid; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .3rem; break-after: avoid; }
p, li, figcaption { overflow-wrap: anywhere; }
.lead { color: #47535a; margin: 0 0 1rem; }
nav { columns: 2; font-size: .92rem; margin: 1rem 0; } nav a { color: #2f6ca8; text-decoration: none; display: block; }
figure { margin: 1rem 0 1.4rem; break-inside: avoid; }
figure.table { break-inside: auto; }
figure svg { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .88rem; color: #47535a; margin-top: .4rem; }
figure.table figcaption { margin: 0 0 .4rem; break-after: avoid; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .82rem; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; } tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #e4e9ec;
  overflow-wrap: anywhere; min-width: 3.2em; }
th { border-bottom: 1.5px solid #7d8990; font-weight: 600; overflow-wrap: normal; }
td.n, th.n { text-align: right; } td.n, td.k { white-space: nowrap; }
tr.grey td { color: #626b70; }
pre { font-size: .78rem; white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f7f8; padding: .7rem .9rem;
  columns: 2 16em; }
pre code { font: inherit; }
em { color: #626b70; }
@media print { body { font-size: 10pt; max-width: none; padding: 0; } .wide { overflow: visible; }
  table { font-size: 7.6pt; } a { color: inherit; text-decoration: none; } }
"""


def html(parts: Sequence[Section], title: str, lead: str) -> str:
    """Write the whole file: sections with their figures drawn, below a title, a sentence and the contents."""
    figures = count(1)
    headings = [(f"s{n}", f"{n}. {text(part.title)}") for n, part in enumerate(parts, 1)]
    contents = "".join(f'<a href="#{name}">{heading}</a>' for name, heading in headings)
    body = "".join(
        f'<section id="{name}"><h2>{heading}</h2>\n{"".join(_part(one, figures) for one in part.parts)}</section>\n'
        for (name, heading), part in zip(headings, parts, strict=True)
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return pictures.only_characters(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n<h1>{text(title)}</h1>\n"
        f'<p class="lead">{text(lead)}</p>\n<nav aria-label="Contents">{contents}</nav>\n{body}</body></html>\n'
    )


def _part(part: Part, figures: Iterator[int]) -> str:
    """Write a part of a section; figures are numbered through the document."""
    if isinstance(part, str):
        return str(_MARKDOWN.render(part))
    return _table(part) if isinstance(part, Table) else _figure(part, next(figures))


def text(value: object) -> str:
    """Escape what is not ours."""
    return escape(str(value), quote=True)


def _table(table: Table) -> str:
    """Write a table; numbers stand to the right, rows that are not beyond chance are grey."""
    shown = table.rows.head(MOST_ROWS)[list(table.columns)]
    right = [pd.api.types.is_numeric_dtype(shown[name]) or _is_numbers(shown[name]) for name in shown]
    head = "".join(
        f"<th{' class=n' if of_numbers else ''}>{text(heading)}</th>"
        for heading, of_numbers in zip(table.columns.values(), right, strict=True)
    )
    rows = []
    greys = table.grey or repeat(False)  # of all rows, also of those that are not shown
    for row, grey in zip(shown.itertuples(index=False), greys, strict=False):
        written = [text(cell(value)) for value in row]
        cells = "".join(f"<td{_style(n, one)}>{one}</td>" for n, one in zip(right, written, strict=True))
        rows.append(f"<tr{' class=grey' if grey else ''}>{cells}</tr>")
    caption = [table.caption, f"Grey rows: {table.greyed}." if any(table.grey) else "", table.cut(MOST_ROWS)]
    body = "\n".join(rows)
    return (
        f'<figure class="table"><figcaption>{text(" ".join(filter(None, caption)))}</figcaption>'
        + (f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>' if rows
           else f"<em>{NOTHING}</em>")
        + "</figure>\n"
    )  # fmt: skip


def _style(right: bool, written: str) -> str:
    return " class=n" if right else " class=k" if len(written) <= 12 else ""


def _is_numbers(column: pd.Series) -> bool:
    """Whether texts are numbers with their interval."""
    filled = column.dropna().astype(str)
    return bool(len(filled)) and bool(filled.str.fullmatch(r"[−\d.,%\s\[\]to–+e]*\d[−\d.,%\s\[\]to–+e]*|–").all())


@cache
def _colours() -> dict[str, Any]:
    """The page's own scales, which its charts leave to the theme."""
    light = tomllib.loads(_CONFIG.read_text(encoding="utf-8"))["theme"]["light"]
    ramp, diverging = light["chartSequentialColors"], light["chartDivergingColors"]
    return {"ramp": ramp, "heatmap": ramp, "diverging": diverging}


def _figure(figure: Figure, number: int) -> str:
    """Draw a chart as inline SVG with its caption."""
    spec: dict[str, Any] = CHARTS[figure.chart](*figure.frames).to_dict()
    if "layer" in spec or "mark" in spec:
        spec.setdefault("width", WIDTH)
    spec["config"] = {
        "background": "white",
        "range": _colours(),
        "axis": {"gridColor": "#e4e9ec", "domainColor": "#7d8990", "tickColor": "#7d8990"},
        "view": {"stroke": "#e4e9ec"},
    }
    caption = text(f"Figure {number}. {figure.caption}")
    try:
        svg = pictures.draw(spec, "svg", _VEGA_LITE).decode()
    except pictures.NotDrawn as reason:
        return f"<figure><em>{text(reason)}</em><figcaption>{caption}</figcaption></figure>\n"
    svg = _IDS.sub(rf"\1f{number}-\2", svg)
    return f'<figure><div role="img" aria-label="{caption}">{svg}</div><figcaption>{caption}</figcaption></figure>\n'
