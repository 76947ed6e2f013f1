"""Grid: neurons as cards, a page of them at a time, each with the picture and the sound of a clip.

The browser asks for one thing at a time (cards, pictures, a sound) by the places of cards, and keeps what it got; the
server keeps nothing of a visitor but what he asked last and how many pages he has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.shared import thumbnails
from dashboard.shared.player.clip import UNREADABLE, NotPlayed, Stored, render
from dashboard.shared.player.player import Overlay, laid, script, serve

PAGE = 24
"""Cards a page: rows of 1, 2, 3, 4 or 6 of them have no gap."""
BUDGET_SECONDS = 0.1
"""How long one run may decode and draw; the browser asks for the pictures left over."""
MOST_PAGES = 6
"""Pages that are sent at once to who comes back."""
_PAIR = (("model", "layer", "neuron"), ("other_model", "other_layer", "other_neuron"))
_HERE = Path(__file__).parent
_HTML = """
<section class="grid" aria-label="Neurons">
  <div class="tools">
    <span class="status" role="status"></span>
    <label title="Off: a click, space or Enter plays."><input type="checkbox" class="hovers"> Play on hover</label>
  </div>
  <div class="pages" role="list"></div>
  <div class="end"><button type="button" class="more"></button></div>
  <div class="pair" role="region" aria-label="Two neurons side by side" hidden>
    <span class="said"></span>
    <button type="button" class="go">Compare</button>
    <button type="button" class="clear">Clear</button>
  </div>
  <audio preload="auto"></audio>
</section>
"""
_component = st.components.v2.component(
    "atlas_grid",
    html=_HTML,
    css=(_HERE / "grid.css").read_text(encoding="utf-8"),
    js=script(_HERE / "grid.js"),
)


@dataclass(frozen=True)
class Card:
    """A neuron of a grid; texts are shown as they are, never as Markdown.

    Attributes
    ----------
    model : str
    layer, neuron : int
    href : str
        Of its page, relative to where pages are served.
    title : str
        Its class.
    lines : tuple of str
    clip : str
        What is heard.
    stored : Stored, optional
        The clip's file; None where no clip is known.
    overlay : Overlay, optional
        When the neuron fires in the clip.
    seconds : float
        The clip's length.
    star : str or None
        What the notebook calls it; None where it is not starred.
    said : str
        The neuron in words.
    """

    model: str
    layer: int
    neuron: int
    href: str
    title: str
    lines: tuple[str, ...]
    clip: str = ""
    stored: Stored | None = None
    overlay: Overlay | None = None
    seconds: float = 0.0
    star: str | None = None
    said: str = ""

    @property
    def name(self) -> str:
        return f"L{self.layer}·{self.neuron}"


Pages = Callable[[int], Sequence[Card]]


# More than six: what leads on is the page's own.
@st.fragment
def grid(
    query: str,
    total: int,
    pages: Pages,
    *,
    key: str,
    opened: Callable[[Card], None],
    compared: Callable[[Sequence[Any]], None],
) -> None:
    """Show cards, further ones as the reader scrolls.

    Parameters
    ----------
    query : str
        Names what is asked; another one begins anew.
    total : int
        How many cards there are.
    pages : callable
        Gives the cards of a page, `PAGE` of them but on the last.
    key : str
        Unique on the page.
    opened : callable
        Is given the card that is clicked.
    compared : callable
        Is given two neurons as the browser names them: nothing that can be relied on.
    """
    memory = st.session_state.setdefault(f"{key}_seen", {})
    if memory.get("query") != query:
        memory.clear()
        memory.update(query=query, pages=1, n=0)

    def remember() -> None:
        memory["asked"] = st.session_state[key].asked

    asked = memory.pop("asked", None)
    answer = Answer(query, total, pages)
    if isinstance(asked, Mapping) and asked.get("query") == query:
        if (card := answer.card(asked.get("open"))) is not None:
            opened(card)
        if "compare" in asked:
            compared(asked["compare"])
        answer.to(asked, key)
        memory["pages"] = max(memory["pages"], *(page + 1 for page in answer.sent))
    else:
        answer.first(min(memory["pages"], MOST_PAGES))
    memory["n"] += 1  # or an answer like the last one would not arrive
    _component(key=key, data={**answer.data, "n": memory["n"]}, on_asked_change=remember)


class Answer:
    """What the browser is told: the cards, pictures and sounds that it asked for, and nothing else."""

    def __init__(self, query: str, total: int, pages: Pages) -> None:
        self._pages, self._n_pages = pages, -(-total // PAGE)
        self.sent: tuple[int, ...] = (0,)
        self.data: dict[str, Any] = {
            "query": query, "total": total, "size": PAGE, "pages": {}, "pictures": {}, "sounds": {},
        }  # fmt: skip

    def first(self, n_pages: int) -> None:
        """The first pages, for who has not been here or comes back."""
        for page in range(min(n_pages, self._n_pages)):
            self._add(page)
        self._draw(range(min(n_pages, self._n_pages)))

    def to(self, asked: Mapping[str, Any], key: str) -> None:
        """What was asked for, as far as there is such a thing."""
        page, drawn = self._page(asked.get("page")), self._page(asked.get("pictures"))
        if page is not None:
            self._add(page)
            self.sent = (page,)
        self._draw([one for one in (page, drawn) if one is not None])
        identity = asked.get("sound")
        card = self.card(identity)
        if card is not None and card.stored is not None:
            try:
                wav = render(card.stored).wav
            except (NotPlayed, *UNREADABLE):
                return  # its picture says why
            self.data["sounds"][identity] = serve(wav, "audio/wav", f"{key}-{identity}")

    def card(self, identity: object) -> Card | None:
        """The card of a name that the browser was given; None where it was not."""
        page, _, place = identity.partition("-") if isinstance(identity, str) else ("", "", "")
        if not (page.isdecimal() and place.isdecimal() and len(page) < 9 and len(place) < 3):
            return None
        number = self._page(int(page))
        cards = self._pages(number) if number is not None else ()
        return cards[int(place)] if int(place) < len(cards) else None

    def _page(self, number: object) -> int | None:
        # In the browser all numbers are fractions.
        is_page = isinstance(number, int | float) and number == number // 1 and 0 <= number < self._n_pages
        return int(number) if is_page else None  # type: ignore[call-overload]

    def _add(self, page: int) -> None:
        self.data["pages"][str(page)] = [
            {
                "id": f"{page}-{place}", "name": card.name, "neuron": [card.model, card.layer, card.neuron],
                "href": card.href, "title": card.title, "said": card.said, "lines": list(card.lines), "clip": card.clip,
                "star": card.star,
                "problem": "" if card.stored else "no clip of it is stored", "drawn": card.stored is not None,
            }
            for place, card in enumerate(self._pages(page))
        ]  # fmt: skip

    def _draw(self, pages: Sequence[int]) -> None:
        end = time.monotonic() + BUDGET_SECONDS
        for page in pages:
            for place, card in enumerate(self._pages(page)):
                if card.stored is None:
                    continue
                if self.data["pictures"] and time.monotonic() > end:
                    return
                self.data["pictures"][f"{page}-{place}"] = _picture(card, card.stored)


def _picture(card: Card, stored: Stored) -> dict[str, Any]:
    """A card's picture and, laid over it, when its neuron fires; that alone where the sound cannot be had."""
    try:
        drawn = thumbnails.of(stored)
    except NotPlayed as reason:
        whole = None if card.overlay is None else laid(card.overlay, card.overlay.band_edges_hz[-1])
        return {"problem": f"the clip {reason}", "seconds": card.seconds, "overlay": whole}
    overlay = None if card.overlay is None else laid(card.overlay, drawn.top_hz)
    return {"src": drawn.picture, "seconds": drawn.seconds, "overlay": overlay}


def pair_state(neurons: object) -> dict[str, str] | None:
    """Write what a browser says of two neurons, (model, layer, neuron) each, as the address of *Pair* has it."""
    if not (isinstance(neurons, list) and len(neurons) == 2):
        return None
    state: dict[str, str] = {}
    for one, names in zip(neurons, _PAIR, strict=True):
        if not (isinstance(one, list) and len(one) == len(names)):
            return None
        # In the browser all numbers are fractions.
        state |= {name: str(part)[:200].removesuffix(".0") for name, part in zip(names, one, strict=True)}
    return state
