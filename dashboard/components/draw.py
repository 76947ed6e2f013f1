"""Charts on the page: built once for what they show, drawn many times.

Altair takes tens of milliseconds to build a chart; its Vega-Lite is kept and handed out as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

# The frames go to the browser as Arrow tables, so there is no need to keep them short.
altair.data_transformers.enable("default", max_rows=None)

Chart = altair.Chart | altair.LayerChart


@st.cache_data(max_entries=256, show_spinner=False)
def _specification(name: str, _build: Callable[..., Chart], given: tuple[Any, ...]) -> dict[str, Any]:
    """Vega-Lite of ``_build(*given)``, its data as DataFrames under ``datasets``."""
    del name
    spec: dict[str, Any] = _build(*given).to_dict()
    spec.pop("config", None)  # Altair's own theme; the page has another
    spec["datasets"] = {name: pd.DataFrame(rows) for name, rows in spec["datasets"].items()}
    return spec


def chart(build: Callable[..., Chart], *given: Any, alt: str, place: DeltaGenerator | None = None, **how: Any) -> Any:
    """Draw the chart that a function of `dashboard.charts` or `dashboard.heatmaps` builds.

    Parameters
    ----------
    build : callable
        Pure: the same arguments, the same chart.
    *given
        Its arguments; hashable, or frames.
    alt : str
        The chart in words.
    place : DeltaGenerator, optional
        Where to draw; by default where the page stands.
    **how
        As of ``st.vega_lite_chart``; with ``on_select`` the selection is returned.
    """
    spec = _specification(f"{build.__module__}.{build.__qualname__}", build, given)
    return (place or st).vega_lite_chart(spec, alt=alt, **how)
