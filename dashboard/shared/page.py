"""The head of a page: its title, here and in the browser; the ``?`` that opens its part of the docs; its link."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared import address
from dashboard.shared.text.glossary import TERMS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "pages"
NAME = "Audio Neuron Atlas"
_HTML = """
<button type="button" title="Copies a link that reopens this very view">
  <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M10 6H7a6 6 0 0 0 0 12h3v-2H7a4 4 0 0 1 0-8h3zm4 0v2h3a4 4 0
  0 1 0 8h-3v2h3a6 6 0 0 0 0-12zm-6 5h8v2H8z"/></svg>
  <span aria-live="polite">Copy link</span>
</button>
"""
_CSS = """
button {
  align-items: center; background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); color: inherit; cursor: pointer; display: flex; font: inherit; gap: 0.4rem;
  min-height: 2.5rem; padding: 0 0.75rem; white-space: nowrap;
}
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
svg { fill: currentcolor; height: 1.2rem; width: 1.2rem; }
"""
_copy_link = st.components.v2.component(
    "atlas_copy_link",
    html=_HTML,
    css=_CSS,
    js=Path(__file__).with_name("copy_link.js").read_text(encoding="utf-8"),
)


def head(title: str, name: str, intro: str = "", tab: str = "") -> None:
    """Write the title with a ``?`` beside it and a button that copies the page's link; name the browser's tab.

    Parameters
    ----------
    title : str
        Markdown; names from the store go through `dashboard.shared.text.words.plain`.
    name : str
        ``docs/pages/<name>.md`` opens behind the ``?``.
    intro : str
        A sentence or two for the newcomer.
    tab : str
        What the browser's tab says, as it is; the title where there is none.
    """
    st.set_page_config(page_title=" · ".join(dict.fromkeys([tab or title, NAME])))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(title, width="content", anchor=False)
        if st.button("", icon=":material/help:", type="tertiary", key="help", help="What this page shows"):
            _explain(name)
        st.space("stretch")
        _copy_link(key="copy_link", width="content")
    address.tell_unknown(name)
    if intro:
        st.caption(intro)


@st.dialog("About this page", width="large")
def _explain(name: str) -> None:
    file = PAGES / f"{name}.md"
    st.markdown(file.read_text(encoding="utf-8") if file.is_file() else "The docs are not installed beside the page.")
    with st.expander("Glossary", icon=":material/dictionary:"):
        st.markdown("\n".join(f"- **{word}**: {meaning}" for word, meaning in TERMS.items()))
