"""The store's notebook on pages: read, kept while it stays as it is; and the star of a unit with its name and note."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from dashboard.shared import data
from dashboard.shared.text import words
from db.connection.open import StoreError
from db.notebook.book import Book, open_book
from db.notebook.records import LONGEST_NAME, LONGEST_NOTE, MOST_LISTS, Entry, Notebook, Unit

_TOLD = "notebook_told"
SHORT = 80
"""Characters beside which lists find room."""
_KEPT = "Kept beside the store, not in it."


@st.cache_resource(max_entries=4, show_spinner=False)
def book(location: str) -> Book:
    """The notebook of the store at ``location``."""
    return open_book(location)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(*, key: str, _book: Book) -> Notebook:
    del key
    return _book.read()


def of(store: data.Store) -> Notebook:
    """Return the notebook of a store; an empty one where it cannot be read, which `tell` tells."""
    try:
        found = book(store.location)
        return _read(key=data.key_of(store.location, found.stamp()), _book=found)
    except StoreError as error:
        st.session_state[_TOLD] = str(error)
        return Notebook()


def tell() -> None:
    """Show, in one line, why the notebook was not read or written."""
    if told := st.session_state.pop(_TOLD, ""):
        st.warning(words.plain(told))


def change(act: Callable[[], object]) -> None:
    """Write to the notebook, as the callback of a widget; why it cannot be is told by `tell`."""
    try:
        act()
    except StoreError as error:
        st.session_state[_TOLD] = str(error)


def star(store: data.Store, unit: Unit) -> None:
    """Show a unit's star; once it is starred its name, note and lists, and a way to change them."""
    entry = of(store).by_unit.get(unit)
    tell()
    if entry is None:
        st.button(
            "Star", icon=":material/star_border:", key="star", on_click=_star, args=(store.location, unit),
            help=f"Puts it into the notebook, where it can have a name, a note and lists. {_KEPT}",
        )  # fmt: skip
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Notes", icon=":material/star:", key="notes", help=f"Its name, note and lists. {_KEPT}"):
            _edit(store, entry)
        shown = (f"**{words.plain(entry.name)}**" if entry.name else "", words.plain(entry.note))
        told = " · ".join(filter(None, shown)) or "Starred, without name or note."
        st.markdown(told, width="stretch" if len(told) > SHORT else "content")
        for name in entry.lists:
            st.page_link(
                "views/notebook/notebook.py", label=words.plain(name), icon=":material/list:", width="content",
                query_params={"list": name},
            )  # fmt: skip


def _star(location: str, unit: Unit) -> None:
    change(lambda: book(location).star(unit))


def _edit(store: data.Store, entry: Entry) -> None:
    # Widgets of their own for each state of the entry: what another has written is shown.
    key = f"notes_{data.key_of(entry)}"
    with st.form(key, border=False):
        st.text_input("Name", entry.name, max_chars=LONGEST_NAME, key=f"{key}_name", placeholder="What you call it")
        st.text_area("Note", entry.note, max_chars=LONGEST_NOTE, key=f"{key}_note", height=120)
        st.multiselect(
            "Lists", list(of(store).lists), list(entry.lists), accept_new_options=True,
            max_selections=MOST_LISTS, key=f"{key}_lists",
            placeholder="Choose, or type a new one",
        )  # fmt: skip
        st.form_submit_button("Save", type="primary", on_click=_save, args=(store.location, entry, key))
    st.button(
        "Remove the star", icon=":material/delete:", type="tertiary", key=f"{key}_remove", on_click=_remove,
        args=(store.location, entry.unit), help="Name and note go, and it leaves its lists.",
    )  # fmt: skip
    found = book(store.location)
    st.caption(f"In {words.plain(found.name)}, {words.plain(found.whose)}.")


def _save(location: str, entry: Entry, key: str) -> None:
    given = {name: st.session_state[f"{key}_{name}"] for name in ("name", "note", "lists")}
    asked = replace(entry, name=given["name"], note=given["note"], lists=tuple(given["lists"]))
    change(lambda: book(location).write(asked, entry))


def _remove(location: str, unit: Unit) -> None:
    change(lambda: book(location).remove(unit))
