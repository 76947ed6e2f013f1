"""Commands that pages tell to run, to be pasted as they stand."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from core.untrusted_text import as_command, quoted
from dashboard.shared import running

ALL = {"--tasks": "all"}


def of_recorded(model: str, asked: str) -> dict[str, str | None]:
    """Options that bring ``--map`` or ``--describe`` for a model, of what is recorded already."""
    return {**ALL, "--model": model, "--stages": "extract,score", asked: None}


def audio_root(dataset: str) -> str:
    """What says, when the page is started, where a dataset's sound lies now."""
    return f"--audio-root {quoted(f'{dataset}=FOLDER')}"


def show(options: Mapping[str, str | None]) -> None:
    """Show the command that measures with these options, or when a run that is at work brings the same."""
    if coming := running.coming(options):
        st.info(coming, icon=":material/hourglass_top:")
        return
    # Without the colours of a language: they stand out too little from the ground (WCAG AA).
    st.code(as_command("python run_analysis.py", options), language=None, wrap_lines=True)
