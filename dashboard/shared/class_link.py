"""The way from a page to that of one class."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.text import words


def show(model: str, task: str, class_name: str | None, label: str = "", **state: str) -> None:
    """Link to a class, or to the classes of a task where none is chosen.

    Parameters
    ----------
    model, task : str
    class_name : str or None
    label : str
        Default: what the class's page shows.
    **state
        What else that page's address says.
    """
    named = {} if class_name is None else {"class": class_name}
    st.page_link(
        "views/classes/classes.py", icon=":material/category:",
        query_params={"model": model, "task": task, **named, **state},
        width="content",
        label=label or f"Hear the neurons of {words.plain(class_name)}",
    )  # fmt: skip
