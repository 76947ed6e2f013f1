"""One glossary: the page's, the report's and the docs' words are the same."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.selectivity.presets import PRESETS
from dashboard.shared.presets import MEANING
from dashboard.shared.text.glossary import TERMS
from tests.support.pages import open_page, said

DOCS = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def test_the_docs_hold_the_same_words_in_order() -> None:
    rows = [line.strip("| ").split(" | ", 1) for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    assert dict(rows[2:]) == TERMS
    assert list(TERMS) == sorted(TERMS)


def test_every_preset_has_its_sentence() -> None:
    assert set(MEANING) == set(PRESETS)


def test_the_question_mark_shows_them(store: Path) -> None:
    app: AppTest = open_page("overview")
    app.button(key="help").click().run()
    assert not app.exception
    shown = said(app)
    assert all(f"**{word}**: {meaning}" in shown for word, meaning in TERMS.items())
