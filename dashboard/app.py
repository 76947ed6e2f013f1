"""Start of the dashboard: ``streamlit run dashboard/app.py [-- --db PATH or URL]``, or the environment ``ATLAS_DB``."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

# Streamlit puts this file's folder on the path; the project's packages lie one above.
_ROOT = str(Path(__file__).resolve().parents[1])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from dashboard.server import BoundedUploads, OneStepBack, PagesAlone, SafeHeaders  # noqa: E402
from dashboard.shared import warm  # noqa: E402

_HERE = Path(__file__).parent
warm.begin([_HERE / "navigation.py", _HERE / "views" / "overview" / "overview.py"])

app = st.App(
    Path(__file__).with_name("navigation.py"),
    middleware=[Middleware(SafeHeaders), Middleware(OneStepBack), Middleware(BoundedUploads), Middleware(PagesAlone)],
)
