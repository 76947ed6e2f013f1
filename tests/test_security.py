"""What SECURITY.md promises of the page and of the store; the attacks that need a browser are in tests/browser."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from streamlit import config
from streamlit.testing.v1 import AppTest

from dashboard.shared import address, share
from dashboard.shared.player import clip
from dashboard.shared.text import words
from dashboard.views.listen import uploads
from db.connection.open import open_store
from tests.support import synthetic_store
from tests.support.pages import open_page
from tests.support.spoilt_store import LINKS, SPOILT, spoil

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "dashboard" / ".streamlit" / "config.toml").read_text())
PAGES = sorted(path.name for path in (ROOT / "dashboard" / "views").glob("[a-z]*"))

IMAGE = "<img src=x onerror=window.hacked=1>"
SCRIPT = "<script>window.hacked=1</script>"
MARKDOWN = "![x](http://127.0.0.2:9/x.png) **bold** $x$ :red[ink]"
LINK = "[open](javascript:window.hacked=1) `code`"
FORMULA = "=cmd('calc')!A0"
QUOTE = "'; DROP TABLE neuron; --"
DATASETS = {
    "<b onmouseover=window.hacked=1>sounds": {
        IMAGE: (SCRIPT, IMAGE, MARKDOWN, LINK),
        "=1+1": ("@SUM(1)", "+1", FORMULA),
    },
    "![voices](x)": {"emotion": (FORMULA, IMAGE, MARKDOWN), "place": (LINK, QUOTE)},
}
NAMES = {"model": SCRIPT, "task": f"<b onmouseover=window.hacked=1>sounds-{IMAGE}", "class": MARKDOWN}
EVIL = (
    "' OR 1=1 --",
    "../../etc/passwd",
    IMAGE,
    MARKDOWN,
    "\0",
    "9" * 400,
    "-1",
    "٣",
    "",
    "x" * 3_000,
    "%00",
    "NaN",
    "[]",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which every name means harm."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_store, "DATASETS", DATASETS)
        return synthetic_store.build_store(
            folder / "atlas.db", models=(SCRIPT, f"=1+1{IMAGE}"), audio_root=folder / "audio"
        )


@pytest.fixture(scope="module")
def spoilt(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which all that is no name means harm."""
    store = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("spoilt") / "atlas.db"))
    assert {"run.device", "run.status", "model.description", "dataset.source", "problem.reason"} <= spoil(store)
    return store


@pytest.fixture(autouse=True)
def at_hand(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(hostile))


def rendered(app: AppTest) -> Iterator[str]:
    """Every text that the page shows as Markdown."""
    for kind in ("markdown", "caption", "title", "header", "subheader", "info", "warning", "error", "success"):
        for part in app.get(kind):
            assert not getattr(part.proto, "allow_html", False), "HTML of the page's own making"
            yield str(part.value)  # type: ignore[union-attr]


def outside_code(markdown: str) -> str:
    """Markdown without its spans of code."""
    return re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", re.sub(r"\\[^\w\s]", "", markdown))


@pytest.mark.parametrize("view", PAGES)
def test_names_never_become_markup(view: str) -> None:
    own = {"heatmap": {"layer": "3"}, "neuron": {"layer": "3"}, "ablation": {"target": MARKDOWN},
           "sharing": {"row": SCRIPT, "column": MARKDOWN}, "listen": {"source": "store", "clip": "1"},
           "sql": {"sql": "SELECT * FROM task_coverage"}}.get(view, {})  # fmt: skip
    app = open_page(view, **{("class_" if name == "class" else name): value for name, value in (NAMES | own).items()})
    assert not app.exception
    for shown in rendered(app):
        for raw in (MARKDOWN, LINK, SCRIPT, IMAGE):
            assert raw not in shown, f"{raw} unescaped in {shown[:200]!r}"


@pytest.mark.parametrize("view", PAGES)
def test_whatever_stands_in_an_address_is_borne(view: str, hostile: Path) -> None:
    asked = sorted(
        {*re.findall(r"""(?:choice|optional|number)\(\s*["'](\w+)["']""", _sources()), "clip", "sql", "view"}
    )
    assert {"model", "task", "layer", "clip"} <= set(asked)
    before = _rows(hostile)
    for turn in range(2):
        app = AppTest.from_file(str(ROOT / "dashboard" / "navigation.py"), default_timeout=60).switch_page(
            f"views/{view}/{view}.py"
        )
        for place, name in enumerate(asked):
            app.query_params[name] = EVIL[(place + 5 * turn) % len(EVIL)]
        app.run()
        assert not app.exception
    assert _rows(hostile) == before


def _sources() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "dashboard").rglob("*.py"))


def _rows(store: Path) -> dict[str, int]:
    engine = open_store(store, read_only=True)
    with engine.connect() as connection:
        return {
            name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one()
            for name in ("neuron", "clip", "run")
        }


@pytest.mark.parametrize("asked", EVIL)
def test_state_in_the_address_is_read_without_error(asked: str) -> None:
    def page(asked: str) -> None:
        import streamlit as st

        from dashboard.shared import address

        st.query_params["x"] = asked
        st.text(address.choice("x", ["a", "b"], "a"))
        st.text(str(address.optional("x", ["a"])))
        st.text(str(address.number("x", 1, 0, 5)))

    app = AppTest.from_function(page, args=(asked,)).run()
    assert not app.exception
    assert [part.value for part in app.text][0::2] == ["a", str(3 if asked == "٣" else 1)]


def test_links_hold_any_name() -> None:
    for name in (*EVIL, SCRIPT, LINK):
        if name.isascii():
            assert "<" not in address.relative("neuron", model=name) and " " not in address.relative(
                "neuron", model=name
            )


def test_nothing_of_a_name_is_left_to_markdown() -> None:
    for name in (IMAGE, SCRIPT, MARKDOWN, LINK, FORMULA, QUOTE, SPOILT, "``a``//b`", "`//"):
        assert not re.search(r"(?<!\\)[<\[\]*`$:!_]", outside_code(words.plain(name)))


@pytest.mark.parametrize(
    "link", [*LINKS.split(), "ftp://a.example", "mailto:a", "HTTPS://A", "see(http://a)", "WWW.a.b"]
)
def test_a_name_that_looks_like_a_link_is_none(link: str) -> None:
    """Readers of Markdown make links of bare addresses, escaped or not, but within code."""
    assert words.plain(f"rain {link} dog") == f"rain `{link}` dog"


@pytest.mark.parametrize("view", PAGES)
def test_words_of_runs_and_datasets_never_become_markup(
    view: str, spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(spoilt))
    own = {"heatmap": {"layer": "3"}, "neuron": {"layer": "3"}, "listen": {"source": "store", "clip": "1"}}
    app = open_page(view, **own.get(view, {}))
    assert not app.exception
    for shown in rendered(app):
        for raw in ("*b*", "[o]", "<b on", "`c`", ":red[", "evil.example", "\n# h"):
            assert not re.search(rf"(?<!\\){re.escape(raw)}", outside_code(shown)), f"{raw} in {shown[:200]!r}"


@pytest.mark.parametrize("view", ["overview", "sql"])
def test_errors_of_a_store_are_mere_text(
    view: str, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Path(shutil.copy(hostile, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DROP VIEW runs")
        connection.execute('CREATE VIEW runs AS SELECT * FROM "*b* [o](http://evil.example) :red[i]"')
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view, sql="SELECT * FROM runs")
    assert (
        not app.exception
        and len(app.error) == 1
        and "no such table" in app.error[0].value.replace("no view", "no such table")
    )
    assert "evil.example" in app.error[0].value
    assert not re.search(r"(?<!\\)[*\[:]|evil", outside_code(app.error[0].value))


def test_no_cell_of_a_download_is_a_formula() -> None:
    cells = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "a\r=1+1", "-", None, IMAGE]
    rows = pd.DataFrame({"=name": cells, "number": range(-5, 5), "mixed": [*cells[:5], *range(5)]})
    table = list(csv.reader(io.StringIO(share.csv(rows).decode())))
    for row in table:
        for place, cell in enumerate(row):
            assert place == 1 or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
    assert [row[1] for row in table[1:]] == [str(n) for n in range(-5, 5)], "numbers stay numbers"
    assert "'=1+1" in {row[0] for row in table}


@pytest.mark.parametrize("parts", [";", "\t"])
@pytest.mark.parametrize("before", ["", "a;", "a\t", "a\n", 'a;"', 'a"\n', "a;;", "\t", "\n"])
def test_nor_where_other_signs_than_commas_part_cells(before: str, parts: str) -> None:
    signs = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
    written = share.csv(pd.DataFrame({"n": range(len(signs)), "name": [f"{before}{sign}1" for sign in signs]})).decode()
    cells = re.split(f'[\n{parts}]"*', written)
    assert not [cell for cell in cells if cell.startswith((*signs, "\t"))], written


def test_settings_of_the_server() -> None:
    server, client = SETTINGS["server"], SETTINGS["client"]
    assert server["address"] == "localhost"
    assert server["enableCORS"] is True and server["enableXsrfProtection"] is True
    assert server["enableStaticServing"] is False
    assert server["allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert SETTINGS["browser"]["gatherUsageStats"] is False
    assert client["showErrorDetails"] == "type", "no path and no message of an exception in the browser"
    assert server["maxUploadSize"] * 1_000_000 <= uploads.MAX_BYTES
    known = set(config._config_options_template)
    assert {f"{part}.{name}" for part in ("server", "client", "browser") for name in SETTINGS[part]} <= known


@pytest.mark.parametrize(
    "bounded",
    [
        "db.sandbox.worker import bound_process as f; f({})",
        "dashboard.views.listen.uploads import _limit as f; f()",
        "dashboard.shared.pictures import _limit as f; f()",
    ],
)
def test_who_waits_for_a_page_goes_before_workers(bounded: str) -> None:
    code = f"import os; before = os.nice(0); from {bounded}; print(os.nice(0) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 5


def test_the_page_names_no_other_server() -> None:
    for path in (ROOT / "dashboard").rglob("*"):
        if path.suffix in (".py", ".js", ".css", ".toml"):
            found = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", path.read_text()))
            assert {url for url in found if "w3.org" not in url} == set(), path


def test_html_of_our_own_holds_no_name() -> None:
    calls = re.findall(r"""(?:st\.html\(|unsafe_allow_html|components\.v1)\s*(?:f?['"](<\w+))?""", _sources())
    assert sorted(calls) == ["<div", "<style"], "a key of models, and a rule of style for the editor"
    assert "{escape(name)}" in (ROOT / "dashboard/shared/draw.py").read_text(), "of models, whose names are text"


def test_no_part_runs_code_from_data() -> None:
    """No eval, exec, pickle.load, yaml.load or torch.load without weights_only; np.load without pickles."""
    forbidden = re.compile(
        r"(?<![\w.])(?:eval|exec)\(|pickle\.loads?\(|yaml\.load\(|shell=True|os\.system\(|trust_remote_code=True"
    )
    for package in ("core", "db", "dashboard"):
        for path in (ROOT / package).rglob("*.py"):
            code = path.read_text()
            assert not forbidden.search(code), path
            for call in re.findall(r"torch\.load\([^)]*\)", code):
                assert "weights_only=True" in call, path
            assert "allow_pickle=True" not in code, path


@pytest.mark.parametrize(
    "url", ["postgresql://ann:secret@localhost:1/x", "mysql://ann:se/cret@h/x", "no://x?password=secret"]
)
def test_no_page_shows_the_password_of_the_store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", url)
    app = open_page("overview")
    assert not app.exception
    assert len(app.error) == 1 and "\n" not in app.error[0].value
    everything = "\n".join([*rendered(app), *(str(part.value) for part in app.code)])
    assert "secret" not in everything and "se/cret" not in everything


@pytest.mark.parametrize(
    "path", ["../secret.wav", "/etc/passwd", "a/../../secret.wav", "link.wav", "nul\0.wav", "x" * 5_000]
)
def test_clips_that_are_no_clips_are_not_played(
    path: str, hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.wav").write_bytes(next((hostile.parent / "audio").rglob("*.flac")).read_bytes())
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    monkeypatch.setattr(clip, "_decode", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(uploads, "decode", lambda *_: pytest.fail("decoded"))
    store = tmp_path / "atlas.db"
    store.write_bytes(hostile.read_bytes())
    engine = open_store(store)
    with engine.begin() as connection:
        connection.execute(text("UPDATE dataset SET root = :root"), {"root": str(root)})
        connection.execute(text("UPDATE clip SET path = :path WHERE id = 1"), {"path": path})
    engine.dispose()
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page("listen", source="store", clip="1")
    assert not app.exception


def test_large_uploads_end_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(uploads.BadSound, match="more than 25 MB"):
        uploads.decode(bytes(uploads.MAX_BYTES + 1))


def test_every_promise_names_tests_that_exist() -> None:
    """SECURITY.md: each row of its table names a test, and the test is there."""
    named: list[tuple[str, str]] = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 15
    for file, test in named:
        code: Any = (ROOT / file).read_text()
        assert f"def {test}(" in code, f"{file}::{test}"
