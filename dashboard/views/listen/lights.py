"""The neurons that answer most, lit as the sound goes on."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

_CSS = """
.lights { display: flex; flex-wrap: wrap; gap: 0.35rem; }
button {
  background: color-mix(in srgb, #0c9b90 var(--lit, 0%), transparent); border: 1px solid var(--st-border-color);
  border-radius: 99px; color: var(--st-text-color); cursor: pointer; font: 400 0.875rem var(--st-font, sans-serif);
  font-variant-numeric: tabular-nums; min-height: 2rem; padding: 0 0.7rem;
}
button[aria-pressed="true"] { border-color: var(--st-primary-color); box-shadow: 0 0 0 1px var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""
_HTML = """
<div class="lights" role="group" aria-label="Neurons, lit as strongly as they answer at the playhead"></div>
"""
_component = st.components.v2.component(
    "atlas_lights",
    html=_HTML,
    css=_CSS,
    js=Path(__file__).with_name("lights.js").read_text(encoding="utf-8"),
)


def show(
    patterns: Mapping[tuple[int, int], NDArray[np.floating]],
    chosen: tuple[int, int],
    step: float,
    choose: Callable[[int, int], None],
) -> None:
    """Show a light for each neuron; a click on one chooses it.

    Parameters
    ----------
    patterns : mapping
        Layer and neuron to its activation, shape (n_bands, n_columns).
    chosen : (layer, neuron)
    step : float
        Seconds of a column.
    choose : callable
        Takes layer and neuron.
    """
    places = {name_of(place): place for place in patterns}

    def picked() -> None:
        name = st.session_state["lights"].picked
        if name in places:
            choose(*places[name])

    rows = [
        {"name": name, "short": f"L{place[0]}·{place[1]}", "strength": strengths(patterns[place])}
        for name, place in places.items()
    ]
    data = {"rows": rows, "step": step, "chosen": name_of(chosen)}
    _component(key="lights", data=data, on_picked_change=picked)


def name_of(place: tuple[int, int]) -> str:
    """Call a neuron as the page does."""
    return f"layer {place[0]}, neuron {place[1]}"


def strengths(pattern: NDArray[np.floating]) -> str:
    """How strong a neuron is at each column, mean over bands, of its own peak in 256 steps; base64."""
    levels = np.maximum(np.asarray(pattern, dtype=np.float64), 0).mean(axis=0)
    peak = levels.max(initial=0.0)
    steps = np.round(levels * (255 / peak if peak > 0 else 0.0)).astype(np.uint8)
    return base64.b64encode(steps.tobytes()).decode()
