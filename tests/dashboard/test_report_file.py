"""The report: one file that needs nothing else, with every name escaped."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

import run_analysis
from core.datasets import InputError
from core.run import options
from dashboard.report.findings import _both_ways, _preferred
from dashboard.report.html import MOST_ROWS, html
from dashboard.report.markdown import markdown
from dashboard.report.parts import Figure, Section, Table, cell
from dashboard.report.terminal import in_short
from dashboard.report.write import sections, write_report
from db.connection.open import StoreError, open_store
from tests.support.spoilt_store import spoil
from tests.support.taken_apart import write_apart

ROOT = Path(__file__).resolve().parents[2]
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
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("report") / "atlas.db"))
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


def test_names_that_are_no_text_end_no_report(store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE task_class SET name = 'ra' || char(27, 1, 65535) || 'in' WHERE name = ?", (EVIL,))
        connection.execute("UPDATE task SET name = name || char(8, 65534)")
        connection.commit()
    written = write_report(path, tmp_path / "out.html")
    assert "ra\ufffd\ufffd\ufffdin" in read(written).text
    assert read(written).tags.count("svg") >= 6
    assert not set("\x01\x08\x1b\ufffe\uffff") & set(written.read_text(encoding="utf-8"))


def test_words_of_runs_become_no_markup_and_no_link(synthetic_store: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(synthetic_store, tmp_path / "atlas.db"))
    assert "run.versions_json" in spoil(path)
    parsed = read(write_report(path, tmp_path / "out.html"))
    assert {value for tag, name, value in parsed.attributes if name == "href" and not value.startswith("#")} == set()
    assert {"a", "b", "em"} & set(parsed.tags) <= {"a", "em"} and "http://evil.example/x" in parsed.text
    engine = open_store(path, read_only=True)
    lines = markdown(sections(engine), "evil.db http://evil.example").splitlines()
    engine.dispose()
    assert [line for line in lines if line.startswith("# ")] == ["# evil.db `http://evil.example`"]
    told = [re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", line) for line in lines if not line.startswith("    ")]
    for line in told:
        assert "evil.example" not in line and not re.search(r"(?<!\\)(\*b\*|\[o\]|<b on|`c`)", line), line


@pytest.mark.parametrize("name", ["~~rain~~", "$x^2$", "&lt;b&gt; &#42;", "a|b", "`c`", "\\"])
def test_a_name_in_a_table_of_the_summary_is_no_markdown(name: str) -> None:
    table = Table("caption", pd.DataFrame({"class": [name]}), {"class": "Class"})
    written = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown([Section("s", [table])], "t"))
    cells = [token for token in written if token.type == "inline" and token.content][-1].children or []
    assert ["".join(part.content for part in cells)] == [name]
    assert {part.type for part in cells} <= {"text", "text_special"}
    assert " $x" not in markdown([Section("s", [table])], "t"), "a formula, where Markdown has such"


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


def test_effects_that_were_taken_apart_are_told_as_what_they_are(synthetic_store: Path, tmp_path: Path) -> None:
    path = write_apart(Path(shutil.copy(synthetic_store, tmp_path / "atlas.db")))
    text = read(write_report(path, tmp_path / "out.html")).text
    assert "What kind of effect" in text
    assert "significant for 4 of 8 classes" in text and "Most of the fall is a shift (−0.75 on all other clips)" in text
    assert "nano-ssl: 4 of 8 classes in 1 task lose on their own clips" in text
    engine = open_store(path, read_only=True)
    summary = markdown(sections(engine), "s")
    (row,) = [line for line in summary.splitlines() if "mad 5%, silenced | 19 | selective" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (cells[5], cells[-2], cells[-1]) == ("−0.80", "20", "4 of 8")
    _, found = in_short(engine, ["nano-ssl"], ["rooms-event", "notes-pitch"])
    engine.dispose()
    apart, accuracy = (found[found["Task"] == task].iloc[0] for task in ("rooms-event", "notes-pitch"))
    assert re.fullmatch(r"−0\.40 \(−0\.\d\d, −0\.\d\d\)", apart["Own class"])
    assert re.fullmatch(r"[+−]0\.0\d", apart["Random"]) and apart["Significant"] == "4 of 8"
    assert re.fullmatch(r"−\d+ \(−\d+, −\d+\)", accuracy["Own class"]) and accuracy["Significant"].endswith(" of 8")


def test_a_partial_store_says_what_is_missing(tiny_store: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_store, tmp_path / "atlas.db")
    with closing(sqlite3.connect(tmp_path / "atlas.db")) as connection:
        for table in ("ablation_effect", "ablation_control", "ablation_neuron", "ablation", "probe_score", "probe"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE selection SET null_coverage_mean = NULL, null_coverage_low = NULL, "
                           "null_coverage_high = NULL, n_shuffles = 0")  # fmt: skip
        connection.commit()
    text = read(write_report(tmp_path / "atlas.db", tmp_path / "out.html")).text
    for said in ("No neurons were ablated", "No linear probe was trained", "shuffled-label null", "Not in this store"):
        assert said in text


def test_the_summary_loads_no_charts() -> None:
    code = "import sys, dashboard.report.write, dashboard.report.terminal; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "dashboard.report.findings" in loaded.split()
    assert {"altair", "streamlit", "vl_convert", "torch", "markdown_it"} & set(loaded.split()) == set()


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
    [(None, "–"), (float("nan"), "–"), (3, "3"), (12345, "12,345"), (-0.5, "−0.5"), (True, "yes"), ("<b>", "<b>"),
     (float("inf"), "inf"), (1.23456, "1.23")],
)  # fmt: skip
def test_cells(value: object, shown: str) -> None:
    assert cell(value) == shown


def written(*parts: str | Table) -> tuple[str, str]:
    """As HTML and as Markdown, below the section's title."""
    one = [Section("Title", parts)]
    return html(one, "", "").partition("</h2>\n")[2], markdown(one, "").partition("Title\n\n")[2]


def test_tables_are_cut_and_say_so() -> None:
    rows = pd.DataFrame({"a": range(2000), "b": "<|>"})
    as_html, as_markdown = written(Table("Numbers.", rows, {"b": "B", "a": "A|"}, [False, True] * 1000, "not sure"))
    assert as_html.count("<tr>") + as_html.count("<tr class=grey>") == MOST_ROWS + 1
    assert as_html.count("<tr class=grey>") == MOST_ROWS / 2
    assert "Numbers. Grey rows: not sure. The first 400 of 2,000 rows; the store holds all." in as_html
    assert "<td class=k>&lt;|&gt;</td><td class=n>399</td>" in as_html
    lines = as_markdown.splitlines()
    assert lines[:5] == ["Numbers.", "", "| B | A\\| |", "| --- | --- |", "| \\<\\|\\> | 0 |"]
    assert lines[-3:] == ["| \\<\\|\\> | 999 |", "", "The first 1,000 of 2,000 rows; the store holds all."]


def test_tables_without_rows_say_so() -> None:
    as_html, as_markdown = written(Table("Numbers.", pd.DataFrame({"a": []}), {"a": "A"}))
    assert "Nothing to list." in as_html and "<table>" not in as_html
    assert as_markdown == "Numbers.\n\nNothing to list.\n"


def test_markdown_of_sentences_becomes_html() -> None:
    line = "- **a\\*\\*b**: x\\-y \\<script\\>"
    as_html, as_markdown = written(line, "*none*", "    a: <b>")
    assert as_html.startswith("<ul>\n<li><strong>a**b</strong>: x-y &lt;script&gt;</li>\n</ul>\n")
    assert "<em>none</em>" in as_html and "<pre><code>a: &lt;b&gt;\n</code></pre>" in as_html
    assert as_markdown == f"{line}\n\n*none*\n\n    a: <b>\n"


def test_both_files_tell_the_same_sections(store: Path, report: Path) -> None:
    engine = open_store(store, read_only=True)
    told = sections(engine)
    engine.dispose()
    text, summary = " ".join(read(report).text.split()), markdown(told, "atlas.db")
    unmarked = re.sub(r"\\(\W|_)", r"\1", summary)
    for number, section in enumerate(told, 1):
        assert f"{number}. {section.title}" in text and f"\n## {number}. {section.title}\n" in summary
        for part in section.parts:
            if isinstance(part, Table):
                assert part.caption in text and part.caption in unmarked
                shown = part.rows.head(MOST_ROWS)[list(part.columns)]
                for value in {cell(value) for row in shown.itertuples(index=False) for value in row}:
                    assert " ".join(value.split()) in text and " ".join(value.split()) in unmarked
            elif isinstance(part, Figure):
                assert part.caption in text and part.caption not in summary
            else:
                assert part in summary


def test_preferred_classes_and_pairs_both_ways() -> None:
    rows = pd.DataFrame({"task": "t", "model": "m", "class_name": ["a", "b"], "n_neurons": 10, "n_more": [2, 5]})
    assert _preferred(rows).iloc[0].tolist() == ["t", "m", 10, "b 50 %, a 20 %", "a 20 %"]
    pair = pd.DataFrame({"task": ["t"], "class_a": ["x"], "class_b": ["y"], "n_a": [1], "n_b": [2]})
    assert _both_ways(pair)[["class_a", "n_a", "class_b", "n_b"]].values.tolist() == [
        ["x", 1, "y", 2],
        ["y", 2, "x", 1],
    ]
