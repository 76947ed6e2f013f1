"""Opening the dashboard's pages in tests, and what they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

APP = Path(__file__).resolve().parents[2] / "dashboard" / "navigation.py"

# Every AppTest looks through all installed packages for components, which takes longer than most pages; once is enough.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def open_page(view: str, **state: str) -> AppTest:
    """Open ``views/<view>/<view>.py`` of the store in force with that address (``class_`` stands for ``class``)."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page(f"views/{view}/{view}.py")
    for name, value in state.items():
        app.query_params[name.rstrip("_")] = value
    return app.run()


def show(view: str, store: Path, monkeypatch: pytest.MonkeyPatch, **state: str) -> AppTest:
    """Open a page of ``store``; it must open without an exception."""
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view, **state)
    assert not app.exception
    return app


def asked(app: AppTest, name: str) -> str:
    """Value of ``name`` in the address."""
    value = app.query_params[name]
    return str(value[0] if isinstance(value, list) else value)


def unfold(app: AppTest, *anchors: str) -> AppTest:
    """Open these sections, which are folded; without names all that are."""
    folded = {str(button.key).removeprefix("fold_"): button for button in app.button if button.label == "Show"}
    for anchor in anchors or folded:
        folded[anchor].click()
    return app.run()


def said(app: AppTest) -> str:
    """Every text on the page."""
    return "\n".join(str(part.value) for part in [*app.markdown, *app.caption, *app.info])
