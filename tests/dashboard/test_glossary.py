"""One glossary: the page's, the report's and the docs' words are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.selectivity.presets import PRESETS
from dashboard.shared.presets import MEANING
from dashboard.shared.text.glossary import TERMS
from tests.support.pages import said, show

DOCS = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def test_the_docs_hold_the_same_words_in_order() -> None:
    rows = [line.strip("| ").split(" | ", 1) for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    assert dict(rows[2:]) == TERMS
    assert list(TERMS) == sorted(TERMS)


def test_every_preset_has_its_sentence() -> None:
    assert set(MEANING) == set(PRESETS)


def test_the_question_mark_shows_them(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app: AppTest = show("overview", synthetic_store, monkeypatch)
    app.button(key="help").click().run()
    assert not app.exception
    shown = said(app)
    assert all(f"**{word}**: {meaning}" in shown for word, meaning in TERMS.items())
