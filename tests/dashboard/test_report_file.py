"""The report: one file that needs nothing else, with every name escaped."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import run_analysis
from core.datasets import InputError
from core.run import options
from dashboard.report import html as report_page
from dashboard.report.findings import _both_ways, _preferred
from dashboard.report.write import write_report
from db.connection.open import StoreError, open_store
from tests.support.synthetic_store import build_store
from tests.support.tiny_study import write_study

EVIL = '<script>alert("x")</script> & **b** \'"'


class Tags(HTMLParser):
    """Tags, their attributes and the text of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Tags:
    parsed = Tags()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_store(tmp_path_factory.mktemp("report") / "atlas.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE task_class SET name = ? WHERE name = 'dog'", (EVIL,))
        connection.execute("UPDATE model SET name = ? WHERE name = 'nano-sl'", (f"sl {EVIL}",))
        connection.execute("UPDATE dataset SET source = 'https://example.org/<b>', licence = '=1+1'")
        connection.commit()
    return path


@pytest.fixture(scope="module")
def report(store: Path) -> Path:
    return write_report(store, store.with_name("out.html"))


def test_it_needs_nothing_from_outside(report: Path) -> None:
    parsed = read(report)
    loading = {"src", "href", "xlink:href", "data", "action", "poster", "srcset", "style"}
    used = [(tag, name, value) for tag, name, value in parsed.attributes if name in loading]
    assert [use for use in used if use[1] != "style" and not use[2].startswith("#")] == []
    assert [use for use in used if "url(" in use[2] and "url(#" not in use[2]] == []
    assert "@import" not in report.read_text()
    assert {"script", "link", "iframe", "object", "embed", "img", "form"} & set(parsed.tags) == set()


def test_names_are_escaped_everywhere(report: Path) -> None:
    parsed = read(report)
    assert "script" not in parsed.tags
    assert [a for a in parsed.attributes if a[1].startswith("on")] == []
    assert EVIL in parsed.text
    assert "<b>" in parsed.text  # the source's


def test_pictures_do_not_share_their_ids(report: Path) -> None:
    ids = [value for _, name, value in read(report).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    text = report.read_text()
    assert set(re.findall(r"url\(#([\w-]+)\)", text)) <= set(ids)


def test_it_holds_every_section_with_numbers_beside_their_null(report: Path) -> None:
    parsed = read(report)
    for heading in ("What was studied", "Coverage", "by layer", "Linear heads", "Neurons that classes share",
                    "Ablation", "Confounds and warnings", "What was not measured", "How to cite"):  # fmt: skip
        assert heading in parsed.text
    assert parsed.tags.count("svg") >= 6
    assert parsed.tags.count("figcaption") == parsed.tags.count("figure")
    for said in ("2.5th to 97.5th percentile", "On shuffled labels", "95 % interval", "Random sets",
                 "arXiv 2602.15307", "confounded: Cramer's V", "broken.flac", "shuffles: 200"):  # fmt: skip
        assert said in parsed.text
    assert "NaN" not in parsed.text and "nan to" not in parsed.text and "None" not in parsed.text


def test_a_partial_store_says_what_is_missing(tmp_path: Path) -> None:
    engine = open_store(tmp_path / "atlas.db")
    write_study(engine)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        for table in ("ablation_effect", "ablation_control", "ablation_neuron", "ablation", "probe_score", "probe"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE selection SET null_coverage_mean = NULL, null_coverage_low = NULL, "
                           "null_coverage_high = NULL, n_shuffles = 0")  # fmt: skip
        connection.commit()
    text = read(write_report(tmp_path / "atlas.db", tmp_path / "out.html")).text
    for said in ("No neurons were ablated", "No linear head was trained", "shuffled-label null", "Not in this store"):
        assert said in text


def test_the_command_writes_it_and_runs_no_study(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_analysis, "run", lambda *_: pytest.fail("a study was run"))
    out = tmp_path / "a b.html"
    assert run_analysis.main(["--report", str(out), "--db", str(store)]) == 0
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in tmp_path.iterdir()] == ["a b.html"]
    assert "written" in capsys.readouterr().out
    assert options.parse(["--report", "x.html"])[2] == "x.html"
    assert options.parse([])[2] == ""


@pytest.mark.parametrize("case", ["no store", "empty store", "no folder", "a folder", "no name", "no database"])
def test_bad_input_is_one_line_and_exit_code_2(
    case: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = store, tmp_path / "out.html"
    if case == "no store":
        given = tmp_path / "none.db"
    elif case == "empty store":
        given = tmp_path / "empty.db"
        open_store(given).dispose()
    elif case == "no folder":
        out = tmp_path / "none" / "out.html"
    elif case == "a folder":
        out = tmp_path
    elif case == "no database":
        given = tmp_path / "notes.db"
        given.write_text("not a database " * 200)
    assert run_analysis.main(["--report", "" if case == "no name" else str(out), "--db", str(given)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ") and told.err.count("\n") == 1
    assert not (tmp_path / "out.html").exists()


def test_an_older_report_stays_where_a_new_one_fails(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    out.write_text("old")
    with pytest.raises(StoreError):
        write_report(tmp_path / "none.db", out)
    assert out.read_text() == "old"


def test_the_option_is_refused_when_empty() -> None:
    with pytest.raises(InputError, match="--report is empty"):
        options.parse(["--report", " "])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (3, "3"), (12345, "12,345"), (-0.5, "−0.5"), (True, "yes"), ("<b>", "&lt;b&gt;"),
     (float("inf"), "inf"), (1.23456, "1.23")],
)  # fmt: skip
def test_cells(value: object, shown: str) -> None:
    assert report_page.cell(value) == shown


def test_tables_are_cut_and_say_so() -> None:
    html = report_page.table(pd.DataFrame({"a": range(7)}), "Numbers.", {"a": "A", "b": "B"}, most=5)
    assert html.count("<tr>") == 6 and "The first 5 of 7 rows." in html and "B" not in html


def test_markdown_of_facts_becomes_html() -> None:
    line = "**a\\*\\*b**: x\\-y \\<script\\>"
    assert report_page.bullets([line]) == "<ul>\n<li><b>a**b</b>: x-y &lt;script&gt;</li>\n</ul>\n"


def test_preferred_classes_and_pairs_both_ways() -> None:
    rows = pd.DataFrame({"task": "t", "model": "m", "class_name": ["a", "b"], "n_neurons": 10, "n_more": [2, 5]})
    assert _preferred(rows).iloc[0].tolist() == ["t", "m", 10, "b 50 %, a 20 %", "a 20 %"]
    pair = pd.DataFrame({"task": ["t"], "class_a": ["x"], "class_b": ["y"], "n_a": [1], "n_b": [2]})
    assert _both_ways(pair)[["class_a", "n_a", "class_b", "n_b"]].values.tolist() == [
        ["x", 1, "y", 2],
        ["y", 2, "x", 1],
    ]
