"""Charts on the page: built once for what they show, drawn many times, and handed out as pictures.

Altair takes tens of milliseconds to build a chart; its Vega-Lite is kept and handed out as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import altair
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.charts.common import Chart
from dashboard.components import share

# The frames go to the browser as Arrow tables, so there is no need to keep them short.
altair.data_transformers.enable("default", max_rows=None)

PICTURE_WIDTH = 640  # pixels of a chart that is as wide as its place
VEGA_LITE = altair.SCHEMA_VERSION.lstrip("v").rsplit(".", 1)[0]


@st.cache_data(max_entries=256, show_spinner=False)
def _specification(name: str, _build: Callable[..., Chart], given: tuple[Any, ...]) -> dict[str, Any]:
    """Vega-Lite of ``_build(*given)``, its data as DataFrames under ``datasets``."""
    del name
    spec: dict[str, Any] = _build(*given).to_dict(validate=False)  # tests/test_charts.py validates
    spec.pop("config", None)  # Altair's own theme; the page has another
    # In SVG a gradient is addressed through the page's address, and lost when that changes.
    spec["usermeta"] = {"embedOptions": {"renderer": "canvas"}}
    spec["datasets"] = {name: pd.DataFrame(rows) for name, rows in spec["datasets"].items()}
    return spec


def chart(
    build: Callable[..., Chart],
    *given: Any,
    alt: str,
    name: str = "",
    data: pd.DataFrame | None = None,
    place: DeltaGenerator | None = None,
    **how: Any,
) -> Any:
    """Draw the chart that a function of `dashboard.charts` builds, with what can be taken away below it.

    Parameters
    ----------
    build : callable
        Pure: the same arguments, the same chart.
    *given
        Its arguments; hashable, or frames.
    alt : str
        The chart in words.
    name : str
        Of the files to take away, unique on the page; without it there are none.
    data : DataFrame, optional
        The rows to take away, as they were read; default the first frame given.
    place : DeltaGenerator, optional
        Where to draw; by default where the page stands.
    **how
        As of ``st.vega_lite_chart``; with ``on_select`` the selection is returned.
    """
    spec = _specification(f"{build.__module__}.{build.__qualname__}", build, given)
    area = (place or st).container(gap="xxsmall")
    event = area.vega_lite_chart(spec, alt=alt, **how)
    if name:
        rows = data if data is not None else next(part for part in given if isinstance(part, pd.DataFrame))
        share.take_away(name, rows, lambda kind: picture(spec, kind), place=area)
    return event


def picture(spec: dict[str, Any], kind: str) -> bytes:
    """Return a chart as a picture on white ground; ``kind`` is ``svg`` or ``png``."""
    # Here, not above: it starts a JavaScript engine, which only those who take a picture away need.
    import vl_convert

    whole = {"width": PICTURE_WIDTH, **spec, "background": "white"} if "layer" in spec or "mark" in spec else spec
    rows = {name: json.loads(frame.to_json(orient="records")) for name, frame in spec["datasets"].items()}
    text = json.dumps({**whole, "background": "white", "datasets": rows})
    if kind == "svg":
        return str(vl_convert.vegalite_to_svg(text, vl_version=VEGA_LITE)).encode()
    return bytes(vl_convert.vegalite_to_png(text, vl_version=VEGA_LITE, scale=2))
