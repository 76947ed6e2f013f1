"""Cards of neurons: a clip to be heard with the activation laid over its picture, and what is known of each neuron.

Pictures are made once and kept; a page's first run makes as many as its time allows, and the browser asks for the rest.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from dashboard.shared import address
from dashboard.shared.data import key_of
from dashboard.shared.player import clip
from dashboard.shared.player.player import Overlay, Track, render_some, serve

WIDTH, HEIGHT = 560, 140
"""Pixels of a picture."""
_ACCENT = np.array([47.0, 243.0, 224.0])
_MOST_OPAQUE = 0.7  # what it answers to stays visible below
_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "atlas_cards",
    html='<section class="cards" aria-label="Neurons"></section><audio preload="none"></audio>',
    css=(_HERE / "cards.css").read_text(encoding="utf-8"),
    js=(_HERE / "cards.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Card:
    """One neuron.

    Attributes
    ----------
    title : str
        Shown as it is, as all texts of a card.
    page, state : str, mapping
        Where the title leads: a page and what its address says.
    facts : tuple of (name, value)
    track : Track
        What is to be heard; its title and caption are shown below the picture.
    """

    title: str
    page: str
    state: Mapping[str, str]
    facts: tuple[tuple[str, str], ...]
    track: Track


def show(cards: Sequence[Card], *, key: str) -> None:
    """Show cards side by side, as many as fit.

    Parameters
    ----------
    cards : sequence of Card
    key : str
        Unique on the page.
    """
    if cards:
        _mount(tuple(cards), key)


@st.fragment
def _mount(cards: tuple[Card, ...], key: str) -> None:
    tracks = [card.track for card in cards]
    said = st.session_state.get(key) or {}
    # Some more than the browser has, however slow the machine: so all are made in the end.
    made = render_some(tracks, range(len(tracks)), at_least=int(said.get("wanted") or 0) + 2)
    listed = [_described(card, made.get(place), f"{key}-{place}") for place, card in enumerate(cards)]
    result = _component(key=key, data={"cards": listed}, on_wanted_change=_nothing, on_go_change=_nothing)
    if result.go:
        address.turn_to(result.go["page"], result.go["state"])


def _nothing() -> None:
    """The cards are made anew, with more pictures."""


def _described(card: Card, made: clip.Rendered | str | None, place: str) -> dict[str, Any]:
    """What the browser is told of one card."""
    state = dict(card.state)
    told: dict[str, Any] = {
        "title": card.title, "page": card.page, "state": state, "url": address.relative(card.page, **state),
        "facts": [list(fact) for fact in card.facts], "heard": card.track.title, "caption": card.track.caption,
        "problem": made if isinstance(made, str) else card.track.problem,
    }  # fmt: skip
    if isinstance(made, clip.Rendered):
        told |= {
            "sound": serve(made.wav, "audio/wav", f"{place}-sound"),
            "picture": serve(picture(made, card.track.overlay), "image/webp", f"{place}-picture"),
            "seconds": made.shown_seconds,
        }
    return told


def picture(made: clip.Rendered, overlay: Overlay | None) -> bytes:
    """Return a clip's picture with an activation laid over it, as WebP; kept."""
    laid = None if overlay is None else (overlay.strength, overlay.band_edges_hz, overlay.column_seconds)
    kept: bytes = _picture(key=key_of(made.picture, laid), _made=made, _overlay=overlay)
    return kept


@st.cache_resource(max_entries=512, show_spinner=False)
def _picture(*, key: str, _made: clip.Rendered, _overlay: Overlay | None) -> bytes:
    del key
    image = Image.open(io.BytesIO(_made.picture)).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float64)
    if _overlay is not None:
        opaque = opacity(_overlay, _made.top_hz, _made.shown_seconds)[..., None]
        pixels = pixels * (1 - opaque) + _ACCENT * opaque
    drawn = io.BytesIO()
    Image.fromarray(np.round(pixels).astype(np.uint8)).save(drawn, "WEBP", quality=80, method=2)
    return drawn.getvalue()


def opacity(overlay: Overlay, top_hz: float, seconds: float) -> NDArray[np.float64]:
    """How opaque an activation is on a picture, upper edge first, shape (HEIGHT, WIDTH); a pixel shows the most of it.

    Parameters
    ----------
    overlay : Overlay
    top_hz : float
        Half the sample rate, the picture's top.
    seconds : float
        What the picture spans.
    """
    pixel = seconds / WIDTH / overlay.column_seconds
    columns = np.arange(WIDTH) * pixel - overlay.start_seconds / overlay.column_seconds
    first = np.clip(np.floor(columns).astype(int), 0, overlay.strength.shape[1] - 1)
    inside = (columns > -pixel) & (columns < overlay.strength.shape[1])
    strongest = np.maximum.reduceat(overlay.strength.astype(np.float64), first, axis=1)
    # The last pixel's columns reach to the end of its own, not of all.
    strongest[:, -1] = overlay.strength[:, first[-1]]
    edges = np.array([0.0, 1.0])
    if len(overlay.strength) > 1:
        edges = clip.heights(np.array(overlay.band_edges_hz, dtype=float), top_hz)
    up = 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT
    band = np.searchsorted(edges, up, side="right") - 1
    known = (band >= 0) & (band < len(overlay.strength))
    rows = strongest[np.clip(band, 0, len(overlay.strength) - 1)] / 255 * _MOST_OPAQUE
    shown: NDArray[np.float64] = rows * known[:, None] * inside[None, :]
    return shown
