"""Sections of a long page: a bar that leads to each, and each of them open or folded."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def contents(titles: Mapping[str, str]) -> None:
    """Show the bar that leads to the sections of a page: anchor to title, in the page's order."""
    links = " · ".join(f"[{title}](#{anchor})" for anchor, title in titles.items())
    st.markdown(f":small[On this page: {links}]")


def section(
    title: str, anchor: str, *, is_open: bool = True, folded: str = "", help: str | None = None
) -> DeltaGenerator | None:
    """Begin a section.

    Parameters
    ----------
    title : str
    anchor : str
        Its place in the address; unique on the page.
    is_open : bool
        Whether it is open until the reader folds it.
    folded : str
        What stands in its place while it is folded.
    help : str, optional

    Returns
    -------
    DeltaGenerator or None
        Where its content goes; None while it is folded: what nobody sees need not be made.
    """
    key = f"open_{anchor}"
    shown = bool(st.session_state.get(key, is_open))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(title, anchor=anchor, help=help, width="content")
        st.button(
            "Fold" if shown else "Show", icon=f":material/{'expand_less' if shown else 'expand_more'}:",
            type="tertiary", key=f"fold_{anchor}", on_click=st.session_state.__setitem__, args=(key, not shown),
        )  # fmt: skip
    if shown:
        return st.container()
    if folded:
        st.caption(folded)
    return None
