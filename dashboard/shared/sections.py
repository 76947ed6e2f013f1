"""Sections of a long page: a bar that leads to each, each of them open or folded; headings with room for a menu."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def heading(title: str, *, anchor: str | None = None, help: str | None = None) -> DeltaGenerator:
    """Write a heading; returns the end of its line, where a menu may stand."""
    line = _line()
    line.subheader(title, anchor=anchor, help=help, width="content")
    line.space("stretch")
    return line


def subheading(title: str, *, help: str | None = None) -> DeltaGenerator:
    """Write a heading of one chart or table within a section; returns the end of its line, as `heading` does."""
    line = _line()
    line.markdown(f"**{title}**", help=help, width="content")
    line.space("stretch")
    return line


def _line() -> DeltaGenerator:
    return st.container(horizontal=True, vertical_alignment="center")


@dataclass(frozen=True)
class Section:
    """A section that is open.

    Attributes
    ----------
    head : DeltaGenerator
        The end of its title's line, where a menu may stand.
    body : DeltaGenerator
        Where its content goes.
    """

    head: DeltaGenerator
    body: DeltaGenerator


class Contents:
    """The sections of one page, and the bar that leads to them, which stands where this is made.

    Parameters
    ----------
    page : str
        Its name; which sections are open is kept for each page.
    """

    def __init__(self, page: str) -> None:
        self._page = page
        self._bar = st.container(horizontal=True, gap="small")
        self._bar.markdown(":small[On this page:]", width="content")

    def lead_to(self, title: str, anchor: str) -> None:
        """Add a place to the bar."""
        self._bar.markdown(f":small[[{title}](#{anchor})]", width="content")

    def section(
        self,
        title: str,
        anchor: str,
        *,
        is_open: bool = True,
        asked: object = None,
        folded: str = "",
        help: str | None = None,
    ) -> Section | None:
        """Begin a section.

        Parameters
        ----------
        title : str
        anchor : str
            Its place in the address; unique on the page.
        is_open : bool
            Whether it is open until the reader folds it.
        asked : object
            What the address asks for that lies in it, None for nothing: what is asked anew opens it.
        folded : str
            What stands in its place while it is folded.
        help : str, optional

        Returns
        -------
        Section or None
            None while it is folded: what nobody sees need not be made.
        """
        self.lead_to(title, anchor)
        kept, answered = f"open_{self._page}_{anchor}", f"asked_{self._page}_{anchor}"
        before, was_shown = st.session_state.get(answered, (None, False))
        # What the reader asks within an open section is there already; who folds it then means it.
        if asked is not None and asked != before and not was_shown:
            st.session_state[kept] = True
        shown = bool(st.session_state.get(kept, is_open))
        st.session_state[answered] = (asked, shown)
        line = _line()
        line.subheader(title, anchor=anchor, help=help, width="content")
        line.button(
            "Fold" if shown else "Show", icon=f":material/{'expand_less' if shown else 'expand_more'}:",
            type="tertiary", key=f"fold_{anchor}", on_click=st.session_state.__setitem__, args=(kept, not shown),
        )  # fmt: skip
        if shown:
            line.space("stretch")
            return Section(line, st.container())
        if folded:
            st.caption(folded)
        return None
