"""The store at hand, or what to do where there is none."""

from __future__ import annotations

import os

import streamlit as st

from dashboard.shared import command, data, running
from dashboard.shared.text import words
from db.connection.open import StoreError
from db.reads import misfits, segments, study

_SEEN = "store_seen"


def require() -> data.Store:
    """Return the store that the pages read, or end the page with the next step to take."""
    store = data.locate()
    _tell_if_replaced(store)
    if store.path is not None and not os.path.exists(store.path):
        _next_step(
            "No store yet",
            f"The atlas reads its numbers from {words.plain(store.name)}, which does not exist.",
            store,
        )
    try:
        empty = data.read(store, study.is_empty) and data.read(store, segments.tasks).empty
    except StoreError as error:
        if not running.begins(store):  # who makes a store makes an empty file first
            show_error(error)
            st.stop()
        empty = True
    if empty:
        _next_step(
            "Nothing measured yet", f"The store {words.plain(store.name)} holds no results.",
            store,
        )  # fmt: skip
    running.nothing_yet(False)
    return running.held(store)


def _tell_if_replaced(store: data.Store) -> None:
    """Tell this visitor, until it is closed, that the numbers are of another store than a moment ago."""
    place, former = st.session_state.get(_SEEN, (store.location, store.own))
    if store.own is None:  # gone, or not to be read: told below
        return
    st.session_state[_SEEN] = (store.location, store.own)
    if place == store.location and former is not None and not former.is_followed_by(store.own):
        st.toast(
            "The store was replaced while this page was open. All numbers are of the new one now.",
            icon=":material/database:", duration="infinite",
        )  # fmt: skip


def _next_step(title: str, reason: str, store: data.Store) -> None:
    """Say what is missing and the command that makes it; ends the page."""
    running.nothing_yet(True)
    st.title("Audio neuron atlas")
    options = command.ALL if store.location == data.DEFAULT_STORE else {**command.ALL, "--db": store.name}
    if running.coming(options):
        st.info(f"{reason} The first show here by themselves.", title=title)
        command.show(options)
        st.stop()
    st.info(f"{reason} This command measures the demo and writes it:", title=title)
    command.show(options)
    st.caption(
        "Run it where the store shall lie. Another store: `streamlit run dashboard/app.py -- --db PATH`, or the "
        "environment variable `ATLAS_DB`. This page shows the run as soon as it begins."
    )
    running.wait_for(options)
    st.stop()


def show_error(error: StoreError) -> None:
    """Show the one line of a store that cannot be read."""
    st.error(words.plain(told(error)), title="The store cannot be read")


def blame() -> None:
    """End the page with one line if the store holds what this program never writes, of which pages make nothing."""
    try:
        data.read(data.locate(), misfits.refuse_misfits)
    except StoreError as error:
        show_error(error)
        st.stop()


def told(error: StoreError) -> str:
    """Return the line of an error as a page may show it: where the store's file lies is the server's own."""
    path = data.locate().path
    return str(error) if path is None else str(error).replace(str(path), path.name)
