"""HTML of the report: text, tables and figures as strings; every name is escaped here."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import altair
import pandas as pd
import vl_convert

from dashboard.shared.charts.common import Chart
from dashboard.shared.text.numbers import number

MOST_ROWS = 400
WIDTH = 620  # pixels of a chart: an A4 page between its margins
_VEGA_LITE = altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0]
_CONFIG = Path(__file__).parents[1] / ".streamlit" / "config.toml"
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
.none { color: #626b70; font-style: italic; }
@media print { body { font-size: 10pt; max-width: none; padding: 0; } .wide { overflow: visible; }
  table { font-size: 7.6pt; } a { color: inherit; text-decoration: none; } }
"""


def text(value: object) -> str:
    """Escape what is not ours."""
    return escape(str(value), quote=True)


def paragraph(*sentences: str, style: str = "") -> str:
    """Write sentences, escaped; ``**name**`` becomes bold."""
    shown = _marked(" ".join(sentences))
    return f"<p{f' class={chr(34)}{style}{chr(34)}' if style else ''}>{shown}</p>\n"


def bullets(lines: Sequence[str]) -> str:
    """Write a list; ``**name**`` becomes bold."""
    return "<ul>\n" + "".join(f"<li>{_marked(line)}</li>\n" for line in lines) + "</ul>\n" if lines else ""


def _marked(line: str) -> str:
    """Turn the Markdown that `dashboard.shared.text.facts` writes (bold, and names with backslashes) into HTML."""
    bold = re.sub(r"(?<!\\)\*\*(.+?)(?<!\\)\*\*", r"<b>\1</b>", escape(line, quote=False))
    return re.sub(r"\\([^\w\s])", r"\1", bold)


def table(
    frame: pd.DataFrame, caption: str, columns: Mapping[str, str], grey: pd.Series | None = None, most: int = MOST_ROWS
) -> str:
    """Write a table.

    Parameters
    ----------
    frame : DataFrame
        Numbers are written here: whole ones with separators, others with three digits.
    caption : str
    columns : mapping
        Column to heading, in order; those that the frame lacks are left out.
    grey : Series of bool, optional
        Rows that are not significant.
    most : int
        Rows; how many more there are is told.
    """
    shown = {name: heading for name, heading in columns.items() if name in frame}
    right = {name for name in shown if pd.api.types.is_numeric_dtype(frame[name]) or _is_numbers(frame[name])}
    head = "".join(f"<th{' class=n' if name in right else ''}>{text(label)}</th>" for name, label in shown.items())
    rows = []
    for n, row in enumerate(frame.head(most)[list(shown)].itertuples(index=False)):
        cells = "".join(
            f"<td{_style(name in right, written)}>{written}</td>"
            for name, written in zip(shown, map(cell, row), strict=True)
        )
        rows.append(f"<tr{' class=grey' if grey is not None and bool(grey.iloc[n]) else ''}>{cells}</tr>")
    more = f" The first {most:,} of {len(frame):,} rows." if len(frame) > most else ""
    body = "\n".join(rows)
    return (
        f'<figure class="table"><figcaption>{text(caption + more)}</figcaption><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div></figure>\n"
    )


def _style(right: bool, written: str) -> str:
    return " class=n" if right else " class=k" if len(written) <= 12 else ""


def _is_numbers(column: pd.Series) -> bool:
    """Whether texts are numbers with their interval."""
    filled = column.dropna().astype(str)
    return bool(len(filled)) and bool(filled.str.fullmatch(r"[−\d.,%\s\[\]to–+e]*\d[−\d.,%\s\[\]to–+e]*|–").all())


def cell(value: Any) -> str:
    """Write one value of a table."""
    if value is None or (isinstance(value, float) and value != value) or value is pd.NA:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) or hasattr(value, "dtype"):
        return number(float(value))
    return text(value)


@cache
def _colours() -> dict[str, Any]:
    """The page's own scales, which its charts leave to the theme."""
    light = tomllib.loads(_CONFIG.read_text(encoding="utf-8"))["theme"]["light"]
    ramp, diverging = light["chartSequentialColors"], light["chartDivergingColors"]
    return {"ramp": ramp, "heatmap": ramp, "diverging": diverging}


class Figures:
    """Pictures of one document, numbered."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, chart: Chart, caption: str) -> str:
        """Draw a chart as inline SVG with its caption."""
        self.count += 1
        spec: dict[str, Any] = chart.to_dict()
        if "layer" in spec or "mark" in spec:
            spec.setdefault("width", WIDTH)
        spec["config"] = {
            "background": "white",
            "range": _colours(),
            "axis": {"gridColor": "#e4e9ec", "domainColor": "#7d8990", "tickColor": "#7d8990"},
            "view": {"stroke": "#e4e9ec"},
        }
        svg = str(vl_convert.vegalite_to_svg(json.dumps(spec, default=str), vl_version=_VEGA_LITE))
        svg = _IDS.sub(rf"\1f{self.count}-\2", svg)
        label = f"Figure {self.count}. {caption}"
        told = text(label)
        return f'<figure><div role="img" aria-label="{told}">{svg}</div><figcaption>{told}</figcaption></figure>\n'


def document(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """Write the whole file; ``sections`` are (heading, HTML)."""
    names = [f"s{number}" for number in range(1, len(sections) + 1)]
    contents = "".join(
        f'<a href="#{name}">{number}. {text(heading)}</a>'
        for number, (name, (heading, _)) in enumerate(zip(names, sections, strict=True), 1)
    )
    body = "".join(
        f'<section id="{name}"><h2>{number}. {text(heading)}</h2>\n{html}</section>\n'
        for number, (name, (heading, html)) in enumerate(zip(names, sections, strict=True), 1)
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n<h1>{text(title)}</h1>\n"
        f'<p class="lead">{text(lead)}</p>\n<nav aria-label="Contents">{contents}</nav>\n{body}</body></html>\n'
    )
