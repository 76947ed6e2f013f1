"""Compare."""

from __future__ import annotations

from dashboard.components import page, sidebar

scope = sidebar.choose()
page.head("Compare", "compare")
