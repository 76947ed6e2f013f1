"""A run that is at work, on every page: how far it is, and what has come since.

What a page shows stays as it is while its reader works with it: the results that a run adds meanwhile are shown when he
says so, or turns to another page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard.shared import data
from dashboard.shared.text import running as words
from db.connection.open import StoreError, Writer, writer
from db.reads.steps import COLUMNS, is_at_work, last_steps

EVERY = 5
"""Seconds between two looks at the store while a run is at work."""
_HELD, _NOTHING = "run_held", "run_nothing_yet"


@dataclass(frozen=True)
class Held:
    """What the reader of a page has before him.

    Attributes
    ----------
    page : str
    store : Store
        As it was when he opened the page, or last said "show".
    done : frozenset
        The steps that were done then.
    """

    page: str
    store: data.Store
    done: words.DoneSteps


def show(page: str) -> None:
    """Show above a page what a run does, if one is at work or has brought something since."""
    store = data.locate()
    seen: Held | None = st.session_state.get(_HELD)
    goes_on = seen is not None and seen.page == page and _is_followed(seen.store, store)
    is_held = begins(store)
    if not goes_on and not is_held and not data.fresh(store, is_at_work):
        st.session_state.pop(_HELD, None)
        return
    steps = _steps()
    under_way = is_held or not words.at_work(steps).empty
    if seen is None or not goes_on:
        seen = st.session_state[_HELD] = Held(page, store, words.done(steps))
    if under_way or words.new(seen.done, words.done(steps)):
        _bar()
    else:
        st.session_state.pop(_HELD, None)


def begins(store: data.Store) -> bool:
    """Whether a process holds the store to write to it."""
    held_by = _writer(store)
    return held_by is not None and held_by.is_alive is True


@st.fragment(run_every=EVERY)
def wait_for(options: Mapping[str, str | None]) -> None:
    """Make the page anew as soon as a run has begun that brings what these options of the command would."""
    if coming(options):
        st.rerun()


def held(store: data.Store) -> data.Store:
    """The store as the reader has it before him."""
    seen: Held | None = st.session_state.get(_HELD)
    return seen.store if seen is not None and _is_followed(seen.store, store) else store


def nothing_yet(is_so: bool) -> None:
    """Whether the page has nothing to show: then the first results are shown unasked."""
    st.session_state[_NOTHING] = is_so


def coming(options: Mapping[str, str | None]) -> str:
    """When a run that is at work brings what these options of the command would; empty where none does."""
    tasks = options.get("--tasks") or "all"
    stages = options.get("--stages") or "extract,score"
    steps, held_by = _steps(), _writer(data.locate())
    if is_stopped(steps, held_by):
        return ""
    if words.at_work(steps).empty and held_by is not None and held_by.is_alive:
        return "A run has just begun: it looks through the sound, then tells what it is to do."
    return words.coming(
        steps, pd.Timestamp.now("UTC"), options.get("--model"),
        () if tasks == "all" else tasks.split(","), stages.split(","),
    )  # fmt: skip


def is_stopped(steps: words.Steps, held_by: Writer | None) -> bool:
    """Whether a run has neither ended nor goes on."""
    return bool(words.stopped(words.at_work(steps), pd.Timestamp.now("UTC"), _is_alive(held_by)))


def _writer(store: data.Store) -> Writer | None:
    try:
        return writer(store.location)
    except StoreError:
        return None


def _is_alive(held_by: Writer | None) -> bool | None:
    """Whether the run's process is there; None where that is not known."""
    return None if held_by is None else held_by.is_alive


def _is_followed(before: data.Store, now: data.Store) -> bool:
    """Whether it is the same store, to which results may have come."""
    if before.location != now.location or before.own is None or now.own is None:
        return False
    return before.own.is_followed_by(now.own)


def _steps() -> words.Steps:
    steps = data.fresh(data.locate(), last_steps)
    return pd.DataFrame(columns=COLUMNS) if steps is None else steps


@st.fragment(run_every=EVERY)
def _bar() -> None:
    seen: Held | None = st.session_state.get(_HELD)
    steps = _steps()
    came = words.new(seen.done, words.done(steps)) if seen else ""
    if came and st.session_state.get(_NOTHING):
        _take()
    under_way = words.at_work(steps)
    held_by = _writer(data.locate())
    now = pd.Timestamp.now("UTC")
    told = words.stopped(under_way, now, _is_alive(held_by))
    with st.container(horizontal=True, vertical_alignment="center", key="run_bar"):
        if told:
            st.warning(told, icon=":material/stop_circle:")
        elif under_way.empty and held_by is not None and held_by.is_alive:
            st.caption(":material/hourglass_top: A run has just begun: it looks through the sound.")
        elif under_way.empty:
            st.caption("The run has ended.")
        else:
            st.progress(words.share_done(under_way), text=words.headline(under_way, now))
            with st.popover("Steps"):
                st.dataframe(words.table(under_way), hide_index=True, height=400, width=460)
            st.caption(words.partial(under_way))
        if came and st.button(f"{came}: show", key="run_show"):
            _take()


def _take() -> None:
    """Show what has come."""
    st.session_state.pop(_HELD, None)
    st.rerun()
