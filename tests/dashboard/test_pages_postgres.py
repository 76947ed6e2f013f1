"""Every page on a store that is on a PostgreSQL server, and a real run that fills one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

import run_analysis
from dashboard.shared import data
from db.connection.open import open_store
from db.copy import copy_store
from db.reads.frames import frame
from db.schema.views.study import VIEWS
from db.writes.store import Store
from tests.dashboard import test_page_pitch
from tests.support import postgres_server
from tests.support.notes import make_notes
from tests.support.pages import open_page, said
from tests.support.postgres_server import PASSWORD, READER_PASSWORD, database
from tests.support.small_study import RESULT_VIEWS, make_dataset, results, run
from tests.support.tiny_study import MODEL, write_study

VIEW_FILES = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "dashboard" / "views").glob("[a-z]*"))


@pytest.fixture(scope="module")
def store(
    postgres: URL, made_store: str, synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("pages") / "atlas.db"))
    engine = open_store(path)
    write_study(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        for task in (test_page_pitch.TASK, test_page_pitch.OTHER):
            make_notes(connection, task)
        connection.commit()
    with database(postgres, made_store) as url:
        location = url.render_as_string(hide_password=False)
        list(copy_store(str(path), location))
        with postgres_server.reader(url) as read:
            yield read.render_as_string(hide_password=False)
        data.st.cache_resource.clear()  # its engines, or the database could not be dropped


@pytest.mark.parametrize("view", VIEW_FILES)
def test_page(view: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", store)
    another = {"model": "tiny", "task": "pets-animal", "layer": "0", "neuron": "0"}
    for state in ({}, {"model": "nano-ssl"} if view == "pitch" else another):  # the tiny study's classes are no notes
        app = open_page(view, **state)
        assert not app.exception
        assert not app.error, [error.value for error in app.error]
        assert app.title and PASSWORD not in said(app) and READER_PASSWORD not in said(app)


def test_sql_by_the_role_that_owns_the_store_is_refused_with_the_command(
    tiny_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", tiny_database)
    app = open_page("sql")
    data.st.cache_resource.clear()
    assert not app.exception
    (error,) = app.error
    assert "python -m db.reader URL" in error.value.replace("\\", "") and PASSWORD not in said(app)


def test_page_without_a_server_says_so_and_not_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", "postgresql+psycopg://me:hidden@127.0.0.1:1/atlas")
    app = open_page("overview")
    assert not app.exception
    (error,) = app.error
    assert "the server does not answer" in str(error.value) and "hidden" not in str(error.value)


def test_page_on_an_empty_store_names_the_command(postgres_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", postgres_store)
    app = open_page("overview")
    assert not app.exception
    (command,) = app.code
    assert "run_analysis.py" in command.value and ":***@" in command.value


def test_stamp_follows_the_store(postgres_store: str) -> None:
    before = data.locate(["--db", postgres_store])
    assert data.locate(["--db", postgres_store]) == before
    engine = open_store(postgres_store)
    Store(engine).register_model(MODEL)
    engine.dispose()
    assert data.locate(["--db", postgres_store]).stamp != before.stamp


def test_a_real_run_stores_what_it_stores_in_sqlite(
    postgres_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets = make_dataset(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    assert run("--data-dir", pets, "--db", postgres_store) == 0
    assert run("--data-dir", pets, "--db", tmp_path / "atlas.db") == 0
    engine = open_store(postgres_store, read_only=True)
    expected = results(tmp_path / "atlas.db")
    for view in RESULT_VIEWS:
        with engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT * FROM {view}")
            kept = [i for i, name in enumerate(found.keys()) if name not in ("clip_id", "ablation_id")]
            assert sorted((tuple(row[i] for i in kept) for row in found), key=repr) == expected[view], view
    # Once more: nothing is left to do; no password is kept anywhere.
    (n_stages,) = frame(engine, "SELECT COUNT(*) AS n FROM stage")["n"]
    assert run("--data-dir", pets, "--db", postgres_store) == 0
    assert list(frame(engine, "SELECT COUNT(*) AS n FROM stage")["n"]) == [n_stages]
    kept = frame(engine, "SELECT * FROM runs").to_string()
    assert ":***@" in kept and PASSWORD not in kept and "sec%2Fret" not in kept
    engine.dispose()
    assert run_analysis.main(["--db", postgres_store, "--report", str(tmp_path / "report.html")]) == 0
    report = (tmp_path / "report.html").read_text()
    assert PASSWORD not in report and "sec%2Fret" not in report
    assert set(RESULT_VIEWS) < set(VIEWS)
