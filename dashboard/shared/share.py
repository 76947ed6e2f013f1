"""What every chart and table offers to take away: its rows, its picture, its SQL."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.untrusted_text import as_csv, as_file_name
from dashboard.shared import pictures


def take_away(
    name: str,
    rows: pd.DataFrame | Callable[[], pd.DataFrame],
    head: DeltaGenerator,
    picture: Callable[[str], bytes] | None = None,
) -> None:
    """Offer rows as CSV and Parquet, a chart as SVG and PNG, and the SQL that found the rows.

    Parameters
    ----------
    name : str
        Of the files, unique on the page.
    rows : DataFrame or callable
        As read from the store: ``attrs["sql"]`` is the statement. What takes long to put together is called for when
        the menu is opened.
    head : DeltaGenerator
        The line of a heading, at whose end the menu stands.
    picture : callable, optional
        Takes ``svg`` or ``png``.
    """
    key = f"take_{name}"
    menu = head.popover(
        "Export", icon=":material/download:", type="tertiary", key=key, on_change="rerun",
        help="The rows as CSV or Parquet, the picture as SVG or PNG, the SQL behind it.",
    )  # fmt: skip
    if not menu.open:  # what nobody opens need not be made
        return
    table = rows if isinstance(rows, pd.DataFrame) else rows()
    kinds: dict[str, Callable[[], bytes]] = {"csv": lambda: csv(table), "parquet": lambda: parquet(table)}
    if picture is not None:
        kinds |= {"svg": lambda: picture("svg"), "png": lambda: picture("png")}
    with menu:
        with st.container(horizontal=True):
            for kind, make in kinds.items():
                st.download_button(
                    kind.upper() if kind != "parquet" else "Parquet", make, file_name=f"{name}.{kind}",
                    key=f"{key}_{kind}", on_click="ignore",
                )  # fmt: skip
        if picture is not None:
            st.caption(
                f"A picture that takes more than {pictures.SECONDS} s is not made; for that a chart has to show less."
            )
        sql = table.attrs.get("sql")
        if sql:
            st.caption("The rows come from this statement:")
            st.code(sql, language="sql", height=min(300, 40 + 21 * len(sql.splitlines())))
            st.page_link("views/sql/sql.py", label="Open in SQL", icon=":material/database:", query_params={"sql": sql})


def file_name(*names: str) -> str:
    """Return names that may hold anything as a file's."""
    return "-".join(as_file_name(name) for name in names)


def csv(rows: pd.DataFrame) -> bytes:
    """Return rows as CSV in which no text is a formula to a spreadsheet."""
    return as_csv(rows).encode()


def parquet(rows: pd.DataFrame) -> bytes:
    """Return rows as a Parquet file."""
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()
