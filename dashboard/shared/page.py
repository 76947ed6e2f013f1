"""The head of a page: its title, and the ``?`` that opens its part of the docs."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared.text.glossary import TERMS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "pages"


def head(title: str, name: str, intro: str = "") -> None:
    """Write the title with a ``?`` beside it.

    Parameters
    ----------
    title : str
        Markdown; names from the store go through `dashboard.shared.text.words.plain`.
    name : str
        ``docs/pages/<name>.md`` opens behind the ``?``.
    intro : str
        A sentence or two for the newcomer.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(title, width="content", anchor=False)
        if st.button("", icon=":material/help:", type="tertiary", key="help", help="What this page shows"):
            _explain(name)
    if intro:
        st.caption(intro)


@st.dialog("About this page", width="large")
def _explain(name: str) -> None:
    file = PAGES / f"{name}.md"
    st.markdown(file.read_text(encoding="utf-8") if file.is_file() else "The docs are not installed beside the page.")
    with st.expander("Glossary", icon=":material/dictionary:"):
        st.markdown("\n".join(f"- **{word}**: {meaning}" for word, meaning in TERMS.items()))
