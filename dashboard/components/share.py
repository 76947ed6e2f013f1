"""What every page offers to take away: a link that reopens it, and its rows as CSV."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboard.components import address


def link(page: str, state: Mapping[str, object | None]) -> None:
    """Write ``state`` to the address and offer the link that reopens the page in it."""
    address.write(state)
    with st.popover("Link", icon=":material/link:", help="A link that reopens this very view."):
        st.caption("This link reopens the page as it stands:")
        st.code(address.permalink(page, state), language=None, wrap_lines=True)


def download(label: str, frame: pd.DataFrame, file_name: str) -> None:
    """Offer the shown rows as CSV."""
    st.download_button(
        label,
        frame.to_csv(index=False).encode(),
        file_name=file_name,
        mime="text/csv",
        icon=":material/download:",
        key=f"download_{file_name}",
        on_click="ignore",
    )


def number_format(value: float | None, digits: str = ".2f", missing: str = "–") -> str:
    """Format a number, or a dash where it was not measured."""
    return missing if value is None or pd.isna(value) else format(value, digits)
