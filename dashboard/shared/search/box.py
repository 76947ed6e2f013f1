"""The search on every page's top: a box to type in, and below it links to what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.shared import address, data, notebook
from dashboard.shared.search import index
from db.connection.open import StoreError

_KEY = "search"
_HERE = Path(__file__).parent
_HTML = """
<search class="box">
  <div class="field">
    <svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M10 4a6 6 0 1 0 3.7 10.7l5 5 1.4-1.4-5-5A6 6 0 0 0 10 4m0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8"/>
    </svg>
    <input type="text" role="combobox" aria-label="Search the atlas" aria-expanded="false" aria-controls="found"
      aria-autocomplete="list" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="80"
      placeholder="Search: rain, octave, L4·699">
    <kbd aria-hidden="true">/</kbd>
  </div>
  <div class="found" id="found" role="listbox" aria-label="What was found" hidden></div>
  <p class="none" role="status" hidden></p>
</search>
"""
_component = st.components.v2.component(
    "atlas_search",
    html=_HTML,
    css=(_HERE / "box.css").read_text(encoding="utf-8"),
    js=(_HERE / "box.js").read_text(encoding="utf-8"),
)


@st.fragment
def show() -> None:
    """Show the search, and turn to the page that was chosen."""
    said = st.session_state.get(_KEY) or {}
    asked = str(said.get("asked") or "").strip()
    result = _component(
        key=_KEY, data=found(asked) if asked else {"asked": "", "groups": []},
        on_asked_change=_nothing, on_go_change=_nothing,
    )  # fmt: skip
    if result.go:
        address.turn_to(result.go["page"], result.go["state"])


def _nothing() -> None:
    """What was typed is read when the box is shown anew."""


def found(asked: str) -> dict[str, Any]:
    """What the browser is told of a question: groups of links, and what it asked, by which it knows a late answer."""
    store = data.locate()
    try:
        own = tuple(entry for entry in notebook.of(store).entries if entry.name or entry.note)
        whole = data.read(store, index.read, own)
    except StoreError:  # the page tells why
        return {"asked": asked, "groups": []}
    model = address.last("model")
    return {
        "asked": asked,
        "groups": [
            {
                "kind": group.kind, "more": group.n_more,
                "items": [_item(entry, model) for entry in group.entries],
            }
            for group in index.find(whole, asked, model)
        ],
    }  # fmt: skip


def _item(entry: index.Entry, model: str | None) -> dict[str, Any]:
    state = entry.address(model)
    return {
        "name": entry.name, "where": entry.where, "opens": address.OPENS[entry.page], "page": entry.page,
        "state": state, "url": address.relative(entry.page, **state),
    }  # fmt: skip
