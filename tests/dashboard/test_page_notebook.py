"""The notebook on its page, on *Neuron*, in the gallery and in the search."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared import data, notebook
from dashboard.shared.search import index
from dashboard.shared.search.index import find
from dashboard.views.notebook import facts
from db.connection.open import open_store
from db.notebook.book import open_book
from db.notebook.records import Entry, Unit
from tests.support.pages import asked, said, show

A, B = Unit("nano-ssl", 2, 7), Unit("nano-ssl", 3, 9)
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) **c** :red[d]"
PLACE = {"model": "nano-ssl", "task": "rooms-event", "preset": "calibrated"}


@pytest.fixture
def store(one_model_store: Path, tmp_path: Path) -> Path:
    """A store of the test's own: notebooks lie beside it."""
    return Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))


def write(store: Path, *entries: Entry) -> None:
    book = open_book(store)
    for entry in entries:
        book.star(entry.unit)
        now = book.read().by_unit[entry.unit]
        book.write(replace(entry, starred_at=now.starred_at), now)


def button(app: AppTest, label: str) -> AppTest:
    app = next(one for one in app.button if one.label == label).click().run()
    assert not app.exception
    return app


def test_a_neuron_is_starred_named_listed_and_let_go(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show("neuron", store, monkeypatch, **PLACE, layer="2", neuron="7")
    app = button(app, "Star")
    assert "Starred, without name or note" in said(app)
    app.text_input[0].input("siren *cell*")
    app.text_area[0].input(HOSTILE)
    app.multiselect[0].set_value(["alarms"])
    app = button(app, "Save")
    (entry,) = open_book(store).read().entries
    assert (entry.unit, entry.name, entry.note, entry.lists) == (A, "siren *cell*", HOSTILE, ("alarms",))
    told = next(str(part.value) for part in app.markdown if "siren" in str(part.value))
    assert "**siren \\*cell\\***" in told and [link.label for link in app.get("page_link")][-1:] == ["alarms"]
    assert "\\<img src=x" in told and "`[a](javascript:b)`" in told and "\\:red" in told
    app = button(app, "Remove the star")
    assert open_book(store).read().entries == () and any(one.label == "Star" for one in app.button)


def test_what_cannot_be_written_is_one_line_and_the_page_stands(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.with_suffix(".notes.db").mkdir()
    app = show("neuron", store, monkeypatch, **PLACE, layer="2", neuron="7")
    assert [str(one.value).replace("\\", "") for one in app.warning] == [
        "the notebook atlas.notes.db: is no file of its own (a link, a folder?); move it away, a new one is made"
    ]
    assert len(button(app, "Star").warning) == 1
    assert "Nothing is starred" in said(show("notebook", store, monkeypatch))


def test_what_another_wrote_is_shown_and_kept(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, Entry(A, "first"))
    app = show("neuron", store, monkeypatch, **PLACE, layer="2", neuron="7")
    write(store, Entry(A, "theirs"))
    app.text_input[0].input("mine")
    app = button(app, "Save")
    assert "changed by someone else" in str(app.warning[0].value)
    assert "**theirs**" in said(app) and app.text_input[0].value == "theirs"


def test_the_gallery_stars_its_cards_and_shows_a_list(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, Entry(A, "mine", lists=("alarms",)), Entry(B), Entry(Unit("gone", 0, 0), lists=("alarms", "away")))
    app = show("gallery", store, monkeypatch, model="nano-ssl", task="rooms-event", list="starred")
    assert not app.warning
    assert "**2 neurons**" in said(app) and asked(app, "show") == "all"
    app.selectbox(key="select_list_").select("alarms").run()
    assert "**1 neuron**" in said(app) and asked(app, "list") == "alarms"
    (grid,) = [part for part in app.main if getattr(part.proto, "component_name", "") == "atlas_grid"]
    assert '"star": "mine"' in grid.proto.json or '"star":"mine"' in grid.proto.json
    app.selectbox(key="select_list_").select("starred or not").run()
    assert "list" not in app.query_params
    away = show("gallery", store, monkeypatch, model="nano-ssl", task="rooms-event", list="away")
    assert "No neuron of nano\\-ssl in away" in said(away)
    none = show("gallery", store, monkeypatch, model="nano-ssl", task="rooms-event", list="nowhere")
    assert "the list “nowhere”" in str(none.warning[0].value)


def test_the_page_has_lists_with_links(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, Entry(A, "mine", HOSTILE, lists=("alarms",)), Entry(B, lists=("b",)), Entry(Unit("gone", 0, 0)))
    app = show("notebook", store, monkeypatch)
    assert not app.warning and "**3 units**" in said(app) and "1 unit without a link" in said(app)
    assert "atlas.notes.db, shared by all who open this page" in said(app).replace("\\", "")
    app = show("notebook", store, monkeypatch, list="alarms")
    assert app.dataframe[0].value["place"].tolist() == ["L2·7"]
    assert app.dataframe[0].value["neuron"].tolist() == ["neuron?model=nano-ssl&layer=2&neuron=7"]
    assert "--ablate file:targets-alarms-nano-ssl.csv" in app.code[0].value
    app.text_input[0].input("bells")
    app = button(app, "Rename")
    assert asked(app, "list") == "bells" and set(open_book(store).read().lists) == {"b", "bells"}
    app.text_input[0].input("starred")
    assert "stands for all" in str(button(app, "Rename").warning[0].value)
    app = button(app, "Delete the list")
    assert "list" not in app.query_params and set(open_book(store).read().lists) == {"b"}
    assert "the list “bells”" in str(show("notebook", store, monkeypatch, list="bells").warning[0].value)


def test_a_file_is_taken_in_and_its_faults_are_told(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = button(show("notebook", store, monkeypatch), "Take it in")
    assert "no file was chosen" in str(app.warning[0].value)
    lines = "list,model,layer,neuron,name\nalarms,nano-ssl,2,7,mine\nalarms,nano-ssl,9,9,\nalarms,x,0,0,\n"
    app.file_uploader[0].upload("own.csv", lines.encode(), "text/csv")
    app = button(app, "Take it in")
    told = str(app.warning[0].value)
    assert "Line 3: layer “9”" in told and "Line 4: “x” is no model" in told
    assert [entry.unit for entry in open_book(store).read().lists["alarms"]] == [A]
    app.file_uploader[0].set_value(("own.csv", b"\xff\xff", "text/csv"))
    assert "Nothing was read: the file is not UTF" in str(button(app, "Take it in").warning[0].value)


def test_many_faults_are_cut_and_counted() -> None:
    told = facts.imported(2, dict.fromkeys(range(2, 32), "no"))
    assert len(told) == 22 and told[1] == "Line 2: no." and told[-1] == "And 10 more lines with a fault."
    shown = facts.rows([Entry(A), Entry(B)], {"nano-ssl": {2: 8}})
    assert pd.isna(shown["neuron"].iloc[1]) and shown["neuron"].iloc[0].startswith("neuron?")


def test_the_search_finds_names_and_words_of_notes(one_model_store: Path) -> None:
    engine = open_store(one_model_store, read_only=True)
    own = (Entry(A, "Siren cell", "answers to alarm bells"), Entry(B, note="odd one"))
    made = index.read(engine, own)
    engine.dispose()
    for words in ("siren cell", "alarm", "sirn cell"):
        found = [one for group in find(made, words) for one in group.entries if group.kind == "Notebook"]
        assert [one.name for one in found] == ["Siren cell · answers to alarm bells"], words
        assert found[0].address(None) == {"model": "nano-ssl", "layer": "2", "neuron": "7"}
    assert find(made, "odd")[0].entries[0].where == "L3·9 of nano-ssl"
    assert sum(entry.kind == "Notebook" for entry in made.entries) == 2


def test_a_notebook_is_read_once_while_it_stays_as_it_is(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, Entry(A))
    monkeypatch.setenv("ATLAS_DB", str(store))
    located = data.locate([])
    first = notebook.of(located)
    assert notebook.of(located) is first
    write(store, Entry(B))
    assert [entry.unit for entry in notebook.of(located).entries] == [A, B]
    store.with_suffix(".notes.db").unlink()
    assert notebook.of(located).entries == ()


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert show("notebook", empty_store, monkeypatch).code[0].value.startswith("python run_analysis.py")
