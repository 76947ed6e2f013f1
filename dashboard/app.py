"""Start of the dashboard: navigation only.

``streamlit run dashboard/app.py [-- --db PATH or URL]``, or the environment variable ``ATLAS_DB``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this file's folder on the path; the project's packages lie one above.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from dashboard.components import store  # noqa: E402
from db.session import StoreError  # noqa: E402

st.set_page_config(
    page_title="Audio neuron atlas",
    page_icon=str(Path(__file__).with_name("icon.svg")),
    layout="wide",
    initial_sidebar_state=220,
)
page = st.navigation(
    [
        st.Page(
            "views/overview.py",
            title="Overview",
            icon=":material/dashboard:",
            default=True,
            help="Models side by side: class-specific neurons, coverage, probes and ablations.",
        ),
        st.Page(
            "views/heatmap.py",
            title="Heatmap",
            icon=":material/grid_on:",
            help="Where in a model the neurons for each class lie; click a cell to see them.",
        ),
        st.Page(
            "views/neuron.py",
            title="Neuron",
            icon=":material/hearing:",
            help="One neuron: what it answers to, its clips, and what taking it out does.",
        ),
    ]
)
try:
    page.run()
except StoreError as error:
    store.show_error(error)
