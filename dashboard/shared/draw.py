"""Charts on the page: built once for what they show, drawn many times, and handed out as pictures.

Altair takes tens of milliseconds to build a chart; its Vega-Lite is kept and handed out as it is. Rows stay in
frames from the store to the browser: written out as Vega-Lite they would take longer than the rest of the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from html import escape
from typing import Any

import altair
import numpy as np
import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import pictures, share
from dashboard.shared.charts.common import INK, Chart
from dashboard.shared.data import key_and_size, name_of

_FRAMES: ContextVar[list[pd.DataFrame] | None] = ContextVar("frames", default=None)
"""Frames of the chart that is being built; None: rows are to be written out."""


def _kept(data: Any = None, **_: Any) -> Any:
    """Take a chart's frame aside and leave its name in the Vega-Lite."""
    if data is None:
        return _kept
    frames = _FRAMES.get()
    if frames is None or not isinstance(data, pd.DataFrame):
        return altair.to_values(data)
    place = next((i for i, frame in enumerate(frames) if frame is data), len(frames))
    if place == len(frames):
        frames.append(data)
    return {"name": f"rows-{place}"}


altair.data_transformers.register("frames", _kept)
altair.data_transformers.enable("frames")

_WRITTEN = {"labelColor": INK, "titleColor": INK}
# Not Altair's own theme: the page has another, which would push the first label of a row of bands aside.
CONFIG = {"axis": _WRITTEN, "legend": _WRITTEN, "header": _WRITTEN, "axisBand": {"labelFlush": False}}
"""Of every chart."""
LEGEND_ENTRY = 20  # pixels that each entry adds to the height of a chart
LARGE = 200_000  # bytes of what a chart is built of
PICTURE_WIDTH = 640  # pixels of a chart that is as wide as its place
VEGA_LITE = altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0]


@dataclass(frozen=True)
class Specification:
    """A chart ready for the browser.

    Attributes
    ----------
    text : str
        Vega-Lite as JSON, without rows.
    rows : dict of str to bytes
        Its ``datasets`` as Arrow streams.
    """

    text: str
    rows: dict[str, bytes]

    def for_browser(self) -> dict[str, Any]:
        """Vega-Lite as Streamlit takes it, its own from then on."""
        return {**json.loads(self.text), "datasets": dict(self.rows)}


def specification(build: Callable[..., Chart], *given: Any) -> Specification:
    """Return the chart ``build(*given)`` for the browser, built once."""
    key, size = key_and_size(name_of(build), given)
    kept = _few if size > LARGE else _many
    made: Specification = kept(key=key, _build=build, _given=given)
    return made


def _built(*, key: str, _build: Callable[..., Chart], _given: tuple[Any, ...]) -> Specification:
    del key
    frames: list[pd.DataFrame] = []
    token = _FRAMES.set(frames)
    try:
        spec = {"$schema": altair.SCHEMA_URL, **_build(*_given).to_dict(validate=False)}
    finally:
        _FRAMES.reset(token)
    spec["config"] = CONFIG
    # In SVG a gradient is addressed through the page's address, and lost when that changes.
    spec["usermeta"] = {"embedOptions": {"renderer": "canvas"}}
    text = json.dumps(spec)
    return Specification(text, {f"rows-{place}": _drawn(frame, text) for place, frame in enumerate(frames)})


_many = st.cache_resource(max_entries=256, show_spinner=False)(_built)
# Most of what is large is an answer of *SQL*, which nobody else asks for: it goes with who asked (`dashboard.server`).
_few = st.cache_data(max_entries=16, show_spinner=False)(_built)


def _drawn(frame: pd.DataFrame, text: str) -> bytes:
    """The columns that a chart's Vega-Lite speaks of, as an Arrow stream, without what pandas would tell of them."""
    # A name that JSON or Vega-Lite would escape is not looked for.
    used = [name for name in frame if not str(name).isidentifier() or not str(name).isascii() or str(name) in text]
    table = pa.table({str(name): _column(frame[name]) for name in used or frame})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _column(values: pd.Series) -> pa.Array:
    """Numbers, truth or text, in types that the browser reads like any other; infinity is missing."""
    if isinstance(values.dtype, pd.StringDtype):
        return pa.array(values.array).cast(pa.string())
    array = values.to_numpy()
    if array.dtype.kind == "f":
        return pa.array(array, mask=~np.isfinite(array))
    try:
        return pa.array(array, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # names beside numbers
        return pa.array([None if pd.isna(one) else str(one) for one in array])


def chart(
    build: Callable[..., Chart],
    *given: Any,
    alt: str,
    name: str = "",
    head: DeltaGenerator | None = None,
    data: pd.DataFrame | None = None,
    legend: bool = True,
    **how: Any,
) -> Any:
    """Draw the chart that a function of `dashboard.shared.charts` builds.

    Parameters
    ----------
    build : callable
        Pure: the same arguments, the same chart.
    *given
        Its arguments; hashable, or frames.
    alt : str
        The chart in words.
    name : str
        Of the files to export, unique on the page.
    head : DeltaGenerator, optional
        The line of a heading (see `dashboard.shared.sections`), at whose end stands what can be exported; without it
        nothing can.
    data : DataFrame, optional
        The rows to export, as they were read; default the first frame given.
    legend : bool
        Whether the chart shows its legend here; an exported picture always has it.
    **how
        As of ``st.vega_lite_chart``; with ``on_select`` the selection is returned.
    """
    spec = specification(build, *given)
    shown = spec.for_browser()
    event = st.vega_lite_chart(shown if legend else without_legends(shown), alt=alt, **how)
    if head is not None:
        rows = data if data is not None else next(part for part in given if isinstance(part, pd.DataFrame))
        share.take_away(name, rows, head, lambda kind: picture(spec, kind))
    return event


def without_legends(spec: dict[str, Any]) -> dict[str, Any]:
    """The same Vega-Lite with no legend of colours."""
    encoding = spec.get("encoding", {})
    has_legend = "field" in encoding.get("color", {})  # one constant has no legend of its own
    colour = {"color": {**encoding["color"], "legend": None}} if has_legend else {}
    layers = {"layer": [without_legends(layer) for layer in spec["layer"]]} if "layer" in spec else {}
    spec = {**spec, **layers, **({"encoding": {**encoding, **colour}} if colour else {})}
    if "height" in spec:
        entries = [len(part["scale"]["domain"]) for part in _colours(spec) if "domain" in part.get("scale", {})]
        spec["height"] -= LEGEND_ENTRY * max(entries, default=0)
    return spec


def _colours(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The colours of a chart and of its layers."""
    parts = [spec, *spec.get("layer", [])]
    return [part["encoding"]["color"] for part in parts if "color" in part.get("encoding", {})]


def key(colours: Mapping[str, str]) -> None:
    """Show once, for charts that draw none of their own (``legend=False``), what each colour means."""
    entries = "".join(
        f'<span style="white-space: nowrap"><span aria-hidden="true" style="color: {colour}">■</span> '
        f"{escape(name)}</span>"
        for name, colour in colours.items()
    )
    st.html(f'<div style="display: flex; flex-wrap: wrap; gap: 0 1.2rem; font-size: 0.875rem">{entries}</div>')


def picture(made: Specification, kind: str) -> bytes:
    """Return a chart as a picture on white ground; ``kind`` is ``svg`` or ``png``.

    Raises
    ------
    NotDrawn
        With one sentence, where there is none.
    """
    spec = json.loads(made.text)
    whole = {"width": PICTURE_WIDTH, **spec} if "layer" in spec or "mark" in spec else spec
    frames = {name: convert_arrow_bytes_to_pandas_df(rows) for name, rows in made.rows.items()}
    rows = {name: json.loads(frame.to_json(orient="records")) for name, frame in frames.items()}
    return pictures.draw({**whole, "background": "white", "datasets": rows}, kind, VEGA_LITE)
