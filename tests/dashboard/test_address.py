"""What addresses say: every name has its word, what no page knows is told, and the browser's tab says what is open."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from dashboard.shared import address, page
from dashboard.shared.sidebar import PARTS
from tests.support.pages import asked, show

VIEWS = Path(page.__file__).parents[1] / "views"
READERS = {"choice": 0, "optional": 0, "number": 0, "select": 1, "on_change": 0}
"""Functions of `address`, and which of their arguments is a name."""


def names_read() -> dict[str, set[str]]:
    """Names that each page's code reads from the address or writes there."""
    found = defaultdict(set)
    for file in VIEWS.glob("*/*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            place = READERS.get(call.func.attr) if ast.unparse(call.func.value) == "address" else None
            if place is not None and isinstance(given := call.args[place], ast.Constant):
                found[file.parent.name].add(str(given.value))
    return found


def test_every_name_of_every_page_is_known_and_has_a_word() -> None:
    read = names_read()
    assert len(read) >= 11
    for view, names in read.items():
        assert names - set(PARTS) <= set(address.OF_PAGES[view]), view
        assert set(address.OF_PAGES[view]) <= set(address.NAMES), view


def test_what_a_page_does_not_know_is_told_and_left_out(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for view, unknown in (("listen", "target"), ("speech", "speaker"), ("heatmap", "<b>")):
        app = show(view, synthetic_store, monkeypatch, **{unknown: "1"})
        told = [str(warning.value) for warning in app.warning if "knows nothing" in str(warning.value)]
        assert len(told) == 1, view
        assert unknown.strip("<>") in told[0]
        assert unknown not in app.query_params or view == "speech"  # without preferences that page ends early


def test_warnings_speak_of_things_not_of_names(synthetic_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show("overview", synthetic_store, monkeypatch, layer_task="nowhere", preset="best")
    told = "\n".join(str(warning.value) for warning in app.warning)
    assert "the selection rule “best”" in told
    assert "the task “nowhere”" in told
    assert "layer_task" not in told


@pytest.mark.parametrize(
    ("view", "state", "title"),
    [
        ("overview", {}, "Overview"),
        ("neuron", {"model": "nano-sl", "layer": "4", "neuron": "7"}, "L4·7 nano-sl"),
        ("sql", {}, "SQL"),
    ],
)
def test_the_tab_says_what_is_open(
    view: str, state: dict[str, str], title: str, synthetic_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    configure = page.st.set_page_config
    monkeypatch.setattr(page.st, "set_page_config", lambda **how: (said.append(how["page_title"]), configure(**how)))
    app = show(view, synthetic_store, monkeypatch, **state)
    assert said[-1] == f"{title} · Audio Neuron Atlas"
    assert asked(app, "preset" if view != "sql" else "sql")
