"""What a server does once, after its first page."""

from __future__ import annotations

import gc
from importlib import import_module
from threading import Thread

import streamlit as st

THREAD = "atlas-warm"


@st.cache_resource(show_spinner=False)
def up() -> None:
    """Load, beside the visitors, what later pages need, and take all that stays out of the collector's way."""
    Thread(target=_settle, name=THREAD, daemon=True).start()


def _settle() -> None:
    for name in ("scipy.cluster.hierarchy", "scipy.stats"):  # of trees, clustered rows, chance
        import_module(name)
    gc.collect()
    # Long answers of the store make the collector look at everything: a tenth of a second, most of it modules.
    gc.freeze()
