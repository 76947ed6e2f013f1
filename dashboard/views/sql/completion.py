"""Names of views and columns completed in the editor of statements.

Streamlit's own text area stays what it is; this lays a list beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "LEFT JOIN", "ON", "AS", "AND", "OR", "NOT",
    "IN", "IS NULL", "IS NOT NULL", "BETWEEN", "LIKE", "HAVING", "DISTINCT", "COUNT(*)", "SUM(", "AVG(", "MIN(", "MAX(",
    "ROUND(", "CASE WHEN", "THEN", "ELSE", "END", "WITH", "UNION ALL", "DESC", "ASC",
)  # fmt: skip
_HTML = """
<div class="box" hidden><ul role="listbox" aria-label="Names that fit"></ul></div>
<span class="told" role="status"></span>
"""
_CSS = """
[hidden] { display: none !important; }
.box {
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); box-shadow: 0 4px 16px rgb(0 0 0 / 25%); color: var(--st-text-color);
  font: 0.8125rem monospace; max-height: 15rem; overflow-y: auto; position: fixed; z-index: 1000;
}
ul { list-style: none; margin: 0; padding: 0.2rem 0; }
li { cursor: pointer; display: flex; gap: 1.5rem; justify-content: space-between; padding: 0.2rem 0.6rem; }
li[aria-selected="true"] { background: color-mix(in srgb, var(--st-primary-color) 22%, transparent); }
li span { opacity: 0.75; }
.told { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
"""
_component = st.components.v2.component(
    "atlas_sql_completion",
    html=_HTML,
    css=_CSS,
    js=Path(__file__).with_name("completion.js").read_text(encoding="utf-8"),
)


def attach(editor: str, columns_of: Mapping[str, Sequence[str]]) -> None:
    """Complete names in a text area.

    Parameters
    ----------
    editor : str
        Key of the text area.
    columns_of : mapping
        Each view's columns.
    """
    views = {view: list(columns) for view, columns in columns_of.items()}
    _component(
        key=f"{editor}_completion", data={"editor": editor, "views": views, "keywords": list(KEYWORDS)}, height=1
    )
