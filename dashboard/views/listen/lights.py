"""The neurons that answer most, lit as the sound goes on: on the map of units, and in a list with their words."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.shared import map_places

_HERE = Path(__file__).parent
_HTML = """
<div class="lights">
  <div class="picture" role="img" hidden>
    <canvas></canvas>
    <div class="spots"></div>
  </div>
  <div class="list" role="group" aria-label="Neurons, lit as strongly as they answer at the playhead"></div>
</div>
"""
_component = st.components.v2.component(
    "atlas_lights",
    html=_HTML,
    css=(_HERE / "lights.css").read_text(encoding="utf-8"),
    js=(_HERE / "lights.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Light:
    """A neuron that is lit.

    Attributes
    ----------
    place : (int, int)
        Layer and neuron.
    pattern : ndarray, shape (n_bands, n_columns)
        Its activation.
    said : str
        The neuron in words, and how well they predict; empty where it is not described.
    at : (float, float) or None
        Across and up on the map of units, in [0, 1]; None where it has no place there.
    is_listed : bool
        Whether it stands in the list, not on the map alone.
    """

    place: tuple[int, int]
    pattern: NDArray[np.floating]
    said: str = ""
    at: tuple[float, float] | None = None
    is_listed: bool = True


def show(
    lights: Sequence[Light],
    chosen: tuple[int, int],
    step: float,
    choose: Callable[[int, int], None],
    units: NDArray[np.floating] | None = None,
) -> None:
    """Show a light for each neuron; a click on one chooses it.

    Parameters
    ----------
    lights : sequence of Light
    chosen : (layer, neuron)
    step : float
        Seconds of a column.
    choose : callable
        Takes layer and neuron.
    units : ndarray of float, shape (n_units, 2), optional
        Where all units of the model lie on its map.
    """
    places = {name_of(one.place): one.place for one in lights}

    def picked() -> None:
        name = st.session_state["lights"].picked
        if name in places:
            choose(*places[name])

    rows = [
        {
            "name": name_of(one.place), "short": f"L{one.place[0]}·{one.place[1]}", "said": one.said,
            "at": one.at, "listed": one.is_listed, "strength": strengths(one.pattern),
        }
        for one in lights
    ]  # fmt: skip
    n_units = 0 if units is None else len(units)
    data = {
        "rows": rows, "step": step, "chosen": name_of(chosen), "units": "" if units is None else map_places.lent(units),
        "label": f"Map of {n_units:,} units, of which those that answer most are lit. The list has the strongest of "
        "them; the table below has all.",
    }  # fmt: skip
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
