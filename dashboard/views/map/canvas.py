"""The map as a picture: dots on a canvas, to be pointed at, clicked, walked through by keys and drawn around.

Places, colours, names and sentences are lent to the browser by an address of their own: what it has it does not ask
for again. Texts are packed, and come after the picture.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.shared import map_places
from dashboard.shared.player.player import serve
from dashboard.views.map.shades import Shading

KEYS = (
    "Arrows go from unit to unit, Enter plays, plus and minus zoom, 0 shows all, Escape clears the area. "
    "The same units are in the table."
)
_HERE = Path(__file__).parent
_HTML = """
<section class="map" aria-label="Map of units">
  <div class="tools">
    <button type="button" class="in" aria-label="Zoom in" title="Zoom in (+, or Ctrl and the wheel)">+</button>
    <button type="button" class="out" aria-label="Zoom out" title="Zoom out (-)">−</button>
    <button type="button" class="whole" title="The whole map (0)">All</button>
    <button type="button" class="lasso" aria-pressed="false" title="Draw around units to list them">Lasso</button>
    <button type="button" class="clear" hidden>Clear area</button>
    <span class="status" role="status"></span>
  </div>
  <div class="stage" tabindex="0" role="application" aria-roledescription="map">
    <canvas class="dots" aria-hidden="true"></canvas>
    <canvas class="marks" aria-hidden="true"></canvas>
    <div class="tip" aria-hidden="true" hidden><div class="name"></div><div class="said"></div></div>
  </div>
  <div class="legend" role="group" aria-label="Colours: press one to see it alone"></div>
</section>
"""
_component = st.components.v2.component(
    "atlas_map",
    html=_HTML,
    css=(_HERE / "canvas.css").read_text(encoding="utf-8"),
    js=(_HERE / "canvas.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Texts:
    """What is told of units, one line each, packed; sentences are empty where none is described."""

    names: bytes
    sentences: bytes


def packed(lines: Sequence[str]) -> bytes:
    """Lines as a browser unpacks them; the same lines, the same bytes. Line breaks within one become spaces."""
    text = "\n".join(" ".join(line.splitlines()) for line in lines)
    return gzip.compress(text.encode(), 3, mtime=0) if any(lines) else b""


@dataclass(frozen=True)
class Picture:
    """All units of a model.

    Attributes
    ----------
    token : str
        Names the map: what a browser asks of another one is passed over.
    places : ndarray of float, shape (n_units, 2)
        Across and up, in [0, 1].
    shading : Shading
    texts : Texts
    """

    token: str
    places: NDArray[np.floating]
    shading: Shading
    texts: Texts


def show(picture: Picture, chosen: int | None, area: str | None, *, asked: Callable[[Mapping[str, Any]], None]) -> None:
    """Show the map.

    Parameters
    ----------
    picture : Picture
    chosen : int or None
        Row of the unit that is marked.
    area : str or None
        As `dashboard.views.map.facts.corners` takes it.
    asked : callable
        Is given what the browser asks: ``unit`` (a number) or ``area`` (text), nothing that can be relied on.
    """

    def pass_on() -> None:
        told = st.session_state["unit_map"].asked
        if isinstance(told, Mapping) and told.get("token") == picture.token:
            asked(told)

    shading, texts = picture.shading, picture.texts
    data = {
        "token": picture.token,
        "places": map_places.lent(picture.places),
        "shades": serve(shading.shade.astype("<u2").tobytes(), "application/octet-stream", "map-shades"),
        "labels": serve(texts.names, "application/octet-stream", "map-labels"),
        "sentences": serve(texts.sentences, "application/octet-stream", "map-said") if texts.sentences else "",
        "entries": [{"name": name, "colour": colour} for name, colour in shading.entries],
        "quiet": shading.has_quiet,
        "chosen": -1 if chosen is None else chosen,
        "area": area or "",
        "label": f"Map of {len(picture.places):,} units. {KEYS}",
    }
    _component(key="unit_map", data=data, on_asked_change=pass_on)
