"""The SQL page: examples, editor, answer, chart, address; and what is told of each view."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import inspect
from streamlit.testing.v1 import AppTest

from dashboard.views.sql import charts, facts
from dashboard.views.sql.facts import Drawing
from db.connection.open import open_store
from db.reads.named import NAMED, PAPER
from db.reads.view_meanings import VIEW_MEANINGS, columns, columns_of_all, meaning
from tests.support.drawn_charts import rows_of
from tests.support.pages import asked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Path:
    return synthetic_store


@pytest.fixture
def at_hand(store: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = AppTest.from_file(str(ROOT / "dashboard" / "navigation.py"), default_timeout=30)
    return app.switch_page("views/sql/sql.py")


def opened(at_hand: AppTest, **state: str) -> AppTest:
    for name, value in state.items():
        at_hand.query_params[name] = value
    app = at_hand.run()
    assert not app.exception
    return app


# --- what is told of the views


def test_every_view_and_column_is_explained_and_nothing_else(empty_store: Path) -> None:
    engine = open_store(empty_store, read_only=True)
    found = inspect(engine)
    assert set(found.get_view_names()) == set(VIEW_MEANINGS)
    for view, (sentence, own) in VIEW_MEANINGS.items():
        there = {column["name"] for column in found.get_columns(view)}
        assert sentence.endswith(".")
        assert {name for name in there if not meaning(view, name).endswith(".")} == set()
        assert set(own) <= there
    assert list(columns(engine, "runs")["column"])[:2] == ["run_id", "started_at"]
    engine.dispose()


def test_columns_common_to_all_views_are_explained_where_a_statement_names_none() -> None:
    examples = [sql for _, sql in NAMED.values() if not facts.views_of(sql)]
    assert examples
    assert {facts.meaning_of(name, sql) for sql in examples for name in ("model", "task")} == {
        facts.meaning_of(name, "SELECT * FROM task_coverage") for name in ("model", "task")
    }
    assert facts.meaning_of("n_something", "SELECT 1 AS n_something") == ""


def test_the_docs_name_every_view() -> None:
    told = (ROOT / "docs" / "sql.md").read_text()
    assert [view for view in VIEW_MEANINGS if f"`{view}`" not in told] == []


def test_the_papers_questions_come_first() -> None:
    assert facts.examples()[: len(PAPER)] == list(PAPER)
    assert sorted(facts.examples()) == sorted(NAMED)
    assert facts.example_of(NAMED["coverage"][1] + "\n") == "coverage"
    assert facts.example_of("SELECT 1") is None


# --- what is made of an answer


@pytest.mark.parametrize(
    ("frame", "drawing"),
    [
        ({"model": ["a", "b"], "task": list("st"), "coverage": [1.0, 2]}, Drawing("bar", "coverage", "model", "task")),
        ({"layer": [0, 1, 2], "share": [0, 1.0, 2], "model": list("aab")}, Drawing("line", "layer", "share", "model")),
        ({"class_a": ["x"], "class_b": ["y"], "n_shared": [3]}, Drawing("heatmap", "class_b", "class_a", "n_shared")),
        ({"a": [1, 2], "b": [3.5, 4.5]}, Drawing("point", "b", "a")),
        ({"run_id": [1, 2], "settings_json": ["{}", "[]"]}, None),
        ({"n": pd.Series([], dtype="int64")}, None),
        ({"n": [1]}, None),
        ({"name": ["x"]}, None),
    ],
)  # fmt: skip
def test_the_guess_of_a_chart(frame: dict[str, list[object]], drawing: Drawing | None) -> None:
    assert facts.guess(pd.DataFrame(frame)) == drawing


def test_rows_of_one_place_are_averaged_and_lose_their_interval() -> None:
    frame = pd.DataFrame({"t": ["a", "a", "b"], "delta": [1.0, 3.0, 5.0], "ci_low": [0.0, 1.0, 4.0], "ci_high": 6.0})
    rows = charts.merged(frame, "delta", ["t"]).set_index("p0")
    assert rows.loc["a", ["value", "rows"]].tolist() == [2.0, 2]
    assert pd.isna(rows.loc["a", "low"])
    assert rows.loc["b", ["value", "low", "high"]].tolist() == [5.0, 4.0, 6.0]
    assert "mean" in facts.remarks(frame, "bar", "delta", "t", "")[0]
    assert facts.remarks(frame.iloc[1:], "bar", "delta", "t", "") == ["Grey: from ci low to ci high."]


ODD = pd.DataFrame({
    "a.b[0]": ["<script>", "x:Q", "ü"], "n": [1, 2, 3], "f": [0.5, None, 1.5], "n layers": [None, "1", "2"],
    "value": [3, 2, 1], "p0": [1, 1, 2],
})  # fmt: skip


@pytest.mark.parametrize("kind", facts.KINDS)
@pytest.mark.parametrize("x", ["a.b[0]", "n", "value"])
@pytest.mark.parametrize("y", ["f", "n layers", "p0"])
@pytest.mark.parametrize("colour", ["", "a.b[0]", "f"])
def test_any_columns_can_be_drawn(kind: str, x: str, y: str, colour: str) -> None:
    spec = charts.answer_chart(ODD, kind, x, y, colour).to_dict(validate=True)
    assert rows_of(spec)
    assert facts.remarks(ODD, kind, x, y, colour) is not None


def test_a_chart_holds_no_more_rows_than_it_says() -> None:
    frame = pd.DataFrame({"x": range(charts.MOST_ROWS + 5), "y": 1.0})
    (rows,) = rows_of(charts.answer_chart(frame, "point", "x", "y").to_dict())
    assert len(rows) == charts.MOST_ROWS
    assert f"{charts.MOST_ROWS:,}" in facts.remarks(frame, "point", "x", "y", "")[0]


def test_neurons_are_linked_with_their_names_quoted() -> None:
    frame = pd.DataFrame({"model": ["a&b=<c>"], "layer": [1], "neuron": [2], "lift": [3.0]})
    assert facts.with_links(frame)["open"].tolist() == ["neuron?model=a%26b%3D%3Cc%3E&layer=1&neuron=2"]
    assert "open" not in frame
    assert facts.with_links(frame[["model"]]) is not None and "open" not in facts.with_links(frame[["model"]])


# --- the page


def test_the_page_opens_with_an_answer_and_a_chart(at_hand: AppTest) -> None:
    app = opened(at_hand)
    assert not app.error and not app.warning
    assert app.text_area[0].value == facts.DEFAULT
    assert len(app.dataframe[0].value) == 12  # two models, six tasks
    assert app.get("vega_lite_chart")
    assert asked(app, "sql") == facts.DEFAULT


@pytest.mark.parametrize("name", NAMED)
def test_every_example_runs(name: str, at_hand: AppTest) -> None:
    app = opened(at_hand, sql=NAMED[name][1].strip())
    assert not app.error
    assert app.selectbox(key="sql_example").value == name


def test_an_example_and_the_editor_write_to_the_address(at_hand: AppTest) -> None:
    app = opened(at_hand, sql="SELECT 1 AS one, 'a' AS name", kind="bar")
    assert asked(app, "kind") == "bar"
    app.selectbox(key="sql_example").select("dead neurons").run()
    assert asked(app, "sql") == NAMED["dead neurons"][1].strip()
    assert "kind" not in app.query_params
    app.text_area[0].set_value("SELECT 41 + 1 AS found").run()
    assert not app.exception
    assert asked(app, "sql") == "SELECT 41 + 1 AS found"
    assert app.dataframe[0].value["found"].tolist() == [42]
    app.selectbox(key="select_view").select("top_clips").run()
    assert asked(app, "view") == "top_clips"
    next(button for button in app.button if button.label == "Look at this view").click().run()
    assert asked(app, "sql") == "SELECT *\nFROM top_clips\nLIMIT 100"


def test_the_address_restores_the_chart(at_hand: AppTest) -> None:
    app = opened(at_hand, kind="point", x="coverage", y="n_classes", colour="task")
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    titles = {spec["layer"][0]["encoding"][axis]["title"] for axis in ("x", "y")}
    assert titles == {"coverage", "n classes"}
    assert {name: asked(app, name) for name in ("kind", "x", "y", "colour")} == {
        "kind": "point", "x": "coverage", "y": "n_classes", "colour": "task"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DROP TABLE run", "only SELECT"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT modle FROM runs", "nearest"),
        ("SELECT '<script>alert(1)</script>' FROM [*x*](http)", "no view"),
        (" ", "no statement"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(statement: str, told: str, at_hand: AppTest) -> None:
    app = opened(at_hand, sql=statement)
    assert len(app.error) == 1
    assert told in app.error[0].value
    assert "\n" not in app.error[0].value
    assert "*x*" not in app.error[0].value
    assert not app.dataframe


def test_names_from_the_store_stay_text(at_hand: AppTest) -> None:
    app = opened(
        at_hand, sql="SELECT '<script>alert(1)</script>' AS \"<img src=x>\", 1 AS n UNION ALL SELECT '=1+1', 2"
    )
    assert list(app.dataframe[0].value.columns) == ["<img src=x>", "n"]
    assert not [m for m in app.markdown if "<script>" in m.value or "<img" in m.value]


def test_a_cut_answer_is_told(at_hand: AppTest) -> None:
    app = opened(
        at_hand, sql="SELECT a.neuron FROM neuron_selectivity AS a, (SELECT 1 FROM sqlite_master LIMIT 2) AS b"
    )
    assert "10,000 rows" in app.warning[0].value


def test_what_goes_to_the_browser_is_bounded_in_bytes(at_hand: AppTest) -> None:
    """Four bytes a character, and named so that each row would get a link in which they are twelve."""
    endless = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t)"
    emoji = f"{endless} SELECT replace(hex(zeroblob(25000)), '00', '😀') AS model, x AS layer, x AS neuron FROM t"
    app = opened(at_hand, sql=emoji)
    assert "cut at 16 MB" in app.warning[0].value
    assert 15 << 20 < app.dataframe[0].proto.ByteSize() < 17 << 20


def test_a_statement_too_long_for_a_link_still_runs(at_hand: AppTest) -> None:
    app = opened(at_hand)
    statement = f"SELECT 7 AS seven -- {'x' * facts.LONGEST_IN_ADDRESS}"
    app.text_area[0].set_value(statement).run()
    assert not app.exception
    assert "sql" not in app.query_params
    assert app.text_area[0].value == statement
    assert app.dataframe[0].value["seven"].tolist() == [7]
    assert any("too long for a link" in caption.value for caption in app.caption)


def test_an_empty_store_names_the_command(empty_store: Path, at_hand: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(empty_store))
    assert opened(at_hand).code[0].value.startswith("python run_analysis.py")


def test_an_answer_without_rows_is_explained(at_hand: AppTest) -> None:
    app = opened(at_hand, sql="SELECT model FROM runs WHERE 1 = 0")
    assert not app.error
    assert any("nothing to draw" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("statement", "speaks"),
    [
        ("SELECT * FROM task_coverage", True),
        ("SELECT task, COUNT(*) FROM class_specific_neurons GROUP BY task -- of any preset", True),
        ("SELECT task FROM Task_Coverage WHERE task = 'preset'", True),
        ("SELECT * FROM task_coverage WHERE preset = 'aape'", False),
        ("SELECT PRESET, COUNT(*) FROM task_coverage GROUP BY PRESET", False),
        ("SELECT * FROM runs", False),
        ("SELECT 'task_coverage'", False),
    ],
)
def test_a_statement_that_chooses_no_preset_is_told(statement: str, speaks: bool, synthetic_store: Path) -> None:
    columns_of = columns_of_all(open_store(synthetic_store, read_only=True, create=False))
    assert set(columns_of) == set(VIEW_MEANINGS)
    assert "preset" in columns_of["task_coverage"]
    hint = facts.preset_hint(statement, columns_of)
    assert bool(hint) == speaks
    assert ("WHERE preset = 'calibrated'" in hint) == speaks


def test_no_example_needs_the_hint_and_a_bare_view_shows_it(at_hand: AppTest, synthetic_store: Path) -> None:
    columns_of = columns_of_all(open_store(synthetic_store, read_only=True, create=False))
    assert [name for name, (_, sql) in NAMED.items() if facts.preset_hint(sql, columns_of)] == []
    app = opened(at_hand, sql="SELECT task, coverage FROM task_coverage")
    assert any("a row for each preset" in caption.value for caption in app.caption)


@pytest.mark.parametrize("kind", ["bar", "line", "point"])
def test_axes_of_whole_numbers_have_whole_marks(kind: str) -> None:
    frame = pd.DataFrame({"layer": [0, 1, 2], "n_neurons": [1, 2, 1], "share": [0.1, 0.25, 0.5]})
    axes = [
        layer["encoding"]["y"].get("axis", {})
        for y in ("n_neurons", "share")
        for layer in charts.answer_chart(frame.assign(name=["a", "b", "c"]), kind, "name", y).to_dict()["layer"][:1]
    ]
    assert (axes[0].get("tickMinStep"), axes[0].get("format")) == (1, "d")
    assert "tickMinStep" not in axes[1]
