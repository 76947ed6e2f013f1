"""Sections that fold, and what opens them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

VIEWS = Path(__file__).resolve().parents[2] / "dashboard" / "views"


def of_one_section() -> None:
    """A page of one section, folded to begin with; what it is asked for comes from outside."""
    import streamlit as st

    from dashboard.shared.sections import Contents

    page = st.session_state.get("page", "one")
    section = Contents(page).section(
        "Title", "place", is_open=False, asked=st.session_state.get("asked"), folded="What is there."
    )
    if section:
        section.body.markdown("body")


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(of_one_section).run()


def is_open(app: AppTest) -> bool:
    opened = "body" in [part.value for part in app.markdown]
    assert opened != ("What is there." in [part.value for part in app.caption])
    return opened


def asking(app: AppTest, asked: object) -> AppTest:
    app.session_state["asked"] = asked
    return app.run()


def folding(app: AppTest) -> AppTest:
    return app.button(key="fold_place").click().run()


def test_a_reader_opens_and_folds(app: AppTest) -> None:
    assert not is_open(app) and "[Title](#place)" in app.markdown[1].value
    assert is_open(folding(app))
    assert not is_open(folding(app))


def test_what_is_asked_for_anew_opens(app: AppTest) -> None:
    assert is_open(asking(app, "dog"))
    assert not is_open(folding(app)), "the reader folds it all the same"
    assert not is_open(app.run())
    assert is_open(asking(app, "cat"))
    assert not is_open(folding(asking(app, None)))
    assert is_open(asking(app, "cat")), "asked for again"


def test_what_is_asked_within_an_open_section_does_not_keep_it_open(app: AppTest) -> None:
    folding(app)
    app.session_state["asked"] = "dog"  # as a page that writes its own choice to the address
    assert not is_open(folding(app))


def test_each_page_folds_for_itself(app: AppTest) -> None:
    folding(app)
    app.session_state["page"] = "two"
    assert not is_open(app.run())


def calls(named: Callable[[ast.Call], bool]) -> list[tuple[str, ast.Call]]:
    """Calls in the code of the pages."""
    return [
        (file.name, node)
        for file in sorted(VIEWS.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and named(node)
    ]


def test_every_export_stands_in_the_line_of_a_heading() -> None:
    drawn = calls(lambda call: ast.unparse(call.func) == "draw.chart")
    assert len(drawn) > 40
    for name, call in drawn:
        given = {word.arg for word in call.keywords}
        assert {"name", "head"} <= given, f"{name}:{call.lineno} draws a chart that cannot be taken away"
