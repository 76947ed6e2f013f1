"""In which order a chart draws classes: by name, or by value; a small control in the line of its heading."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address

NAME, VALUE = "name", "value"
_ORDERS = {NAME: "By name", VALUE: "By value"}


def choose(head: DeltaGenerator) -> bool:
    """Let choose in the line ``head``; returns whether it is by value. The address tells it as ``sort``."""
    order = address.optional("sort", list(_ORDERS)) or NAME
    with head:
        st.segmented_control(
            "Order of classes", list(_ORDERS), format_func=_ORDERS.__getitem__, required=True, width="content",
            label_visibility="collapsed", key=address.show("select_sort", order),
            on_change=address.on_change("sort", "select_sort"),
        )  # fmt: skip
    return order == VALUE
