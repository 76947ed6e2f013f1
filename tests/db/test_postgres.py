"""The store on a PostgreSQL server: opening, what goes wrong, several writers and readers at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

import run_analysis
from core.results import DatasetRecord
from core.run.config import AnalysisConfig
from db.connection import open
from db.connection import postgres as server
from db.connection.open import StoreError, exclusive_run, open_store, store_files_dir
from db.reads import study
from db.reads.frames import frame
from db.writes.registry import write_dataset
from db.writes.store import Store
from tests.support.postgres_server import PASSWORD, database, execute
from tests.support.synthetic_store import DATASETS, N_NEURONS
from tests.support.tiny_study import DATASET, MODEL, SCORES

ROOT = Path(__file__).resolve().parents[2]


def changed(url: str, **parts: Any) -> str:
    return make_url(url)._replace(**parts).render_as_string(hide_password=False)


def test_every_way_to_write_the_url_is_psycopg_3(postgres_store: str) -> None:
    bare = postgres_store.removeprefix("postgresql+psycopg")
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        engine = open_store(scheme + bare)
        assert engine.dialect.driver == "psycopg"
        engine.dispose()
    for url in ("postgresql+asyncpg://host/db", "mysql://host/db"):
        with pytest.raises(StoreError, match=r"not a database URL that this program reads; expected a file"):
            open_store(url)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": 1}, "the server does not answer; start it, or check host and port"),
        ({"host": "no-such-host.invalid"}, "no such host; check the URL"),
        ({"password": "wrong"}, r"wrong user or password; set PGPASSWORD, or write it to ~/\.pgpass"),
        ({"password": None}, r"asks for a password; set PGPASSWORD, or write it to ~/\.pgpass"),
        ({"database": "nothing"}, "no such database; make it with createdb, or check the URL"),
        ({"query": {"password": "seen"}}, "has a password among its options; set PGPASSWORD"),
    ],
)
def test_what_cannot_be_reached_is_one_line_and_exit_code_2(
    change: dict[str, Any], told: str, postgres: URL, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = changed(postgres.render_as_string(hide_password=False), **change)
    with pytest.raises(StoreError, match=told) as caught:
        open_store(url, read_only=True)
    assert PASSWORD not in str(caught.value) and "\n" not in str(caught.value)
    assert "seen" not in str(caught.value)
    assert run_analysis.main(["--db", url, "--report", str(tmp_path / "report.html")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "sec%2Fret" not in line and PASSWORD not in line


def test_old_server_and_other_encoding(postgres_store: str, postgres: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OLDEST_SERVER", (99,))
    with pytest.raises(StoreError, match=r"PostgreSQL \d+\.\d+ is too old; expected 99 or newer"):
        open_store(postgres_store)
    monkeypatch.undo()
    execute(postgres, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0")
    try:
        with pytest.raises(StoreError, match="its encoding is LATIN1; make it anew with: createdb --encoding UTF8"):
            open_store(changed(postgres_store, database="latin"))
    finally:
        execute(postgres, "DROP DATABASE latin WITH (FORCE)")


def test_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("psycopg")

    monkeypatch.setattr(server, "create_engine", missing)
    with pytest.raises(StoreError, match=r"needs psycopg; install it with: pip install 'psycopg\[binary\]'"):
        open_store("postgresql://user:secret@host/atlas")


def test_database_of_another_program_is_left_alone(empty_database: str) -> None:
    execute(empty_database, "CREATE TABLE cats (name text)")
    with pytest.raises(StoreError, match=r"not one of this program \(it holds cats\)"):
        open_store(empty_database)


def test_reader_makes_nothing_and_is_refused_every_write(empty_database: str, postgres_store: str) -> None:
    with pytest.raises(StoreError, match="empty; bring it up to date"):
        open_store(empty_database, read_only=True)
    engine = open_store(postgres_store, read_only=True)
    with pytest.raises(DBAPIError, match="read-only transaction"), engine.begin() as connection:
        connection.execute(text("DELETE FROM run"))
    engine.dispose()


def test_role_that_may_only_read(tiny_database: str) -> None:
    """The grants of docs/postgresql.md are enough for the dashboard, and no more."""
    execute(
        tiny_database,
        "CREATE ROLE reader LOGIN PASSWORD 'read'",
        "GRANT USAGE ON SCHEMA public TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader",
    )
    try:
        location = changed(tiny_database, username="reader", password="read")
        engine = open_store(location, read_only=True)
        assert list(study.tasks(engine)["task"]) == ["pets-animal"]
        engine.dispose()
        engine = open_store(location)
        with pytest.raises(StoreError, match="this role may not do that; grant it"):
            Store(engine).start_run("tiny", {}, 0, "", {}, "cpu")
        engine.dispose()
    finally:
        execute(tiny_database, "DROP OWNED BY reader", "DROP ROLE reader")


def test_files_lie_in_the_current_folder() -> None:
    assert store_files_dir("postgresql+psycopg://user:secret@host/atlas") == Path("atlas.files")


def test_stamp_changes_with_every_write(postgres_store: str) -> None:
    engine = open_store(postgres_store)
    store, seen = Store(engine), [study.change_stamp(engine)]

    def note(_: object) -> None:
        seen.append(study.change_stamp(engine))

    note(store.register_dataset(DATASET))
    note(model_id := store.register_model(MODEL))
    note(run_id := store.start_run("tiny", {}, 0, "", {}, "cpu"))
    note(store.write_scores(run_id, "score", model_id, SCORES))
    note(store.write_scores(run_id, "score", model_id, SCORES))
    note(store.finish_run(run_id, "done", {}))
    assert len(set(seen)) == len(seen) == 7
    assert study.change_stamp(engine) == seen[-1]
    engine.dispose()


# --- several at once


def test_same_model_twice_is_refused_and_others_are_not(postgres_store: str) -> None:
    code = (
        "import sys\nfrom db.connection.open import exclusive_run\n"
        "with exclusive_run(sys.argv[1], ['nano-ssl', 'm2d']):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, postgres_store], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        told = rf"another run \(audio-neuron-atlas on .*, pid {holder.pid}, since .*\) is writing m2d to postgresql"
        with pytest.raises(StoreError, match=told) as caught, exclusive_run(postgres_store, ["nano-sl", "m2d"]):
            pass
        assert PASSWORD not in str(caught.value)
        engine = open_store(postgres_store)
        with exclusive_run(postgres_store, ["nano-sl"]), engine.begin() as connection:
            write_dataset(connection, DATASET)
            with pytest.raises(StoreError, match=rf"pets has changed, and another run .*pid {holder.pid}"):
                write_dataset(connection, replace(DATASET, content_key="other clips"))
        engine.dispose()
        holder.kill()
        holder.wait()
    with exclusive_run(postgres_store, ["m2d", "nano-ssl"]):
        pass


def test_two_writers_at_once_with_readers_meanwhile(postgres_store: str, one_model_store: Path) -> None:
    """Two processes write a model each of the same datasets; readers never see half a stage."""
    code = "import sys\nfrom tests.support.synthetic_store import build_store\nbuild_store(sys.argv[1], [sys.argv[2]])"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, postgres_store, model], cwd=ROOT, stderr=subprocess.PIPE)
        for model in ("nano-sl", "nano-ssl")
    ]
    engine, wrong, n_reads = open_store(postgres_store, read_only=True), [], 0
    while any(writer.poll() is None for writer in writers):
        found = frame(
            engine,
            "SELECT model_task.id, model_task.n_classes, (SELECT COUNT(*) FROM activation_probability"
            " WHERE activation_probability.model_task_id = model_task.id) AS n_rows FROM model_task",
        )
        wrong += found[found["n_rows"] != found["n_classes"] * N_NEURONS].to_dict("records")
        n_reads += 1
        time.sleep(0.02)  # the writers' turn
    for writer in writers:
        assert writer.wait() == 0, writer.stderr.read() if writer.stderr else ""
    assert wrong == [] and n_reads > 3
    n_tasks = sum(len(attributes) for attributes in DATASETS.values())
    assert study.store_facts(engine)["n_tasks"] == n_tasks
    assert len(study.coverage(engine, "aape")) == 2 * n_tasks
    ids = frame(engine, "SELECT id, model_id FROM neuron ORDER BY id")
    assert list(ids["id"]) == [*range(1, 2 * N_NEURONS + 1)]  # each model's neurons on end, none twice
    assert (np.diff(ids["model_id"].to_numpy()) != 0).sum() == 1
    # Written beside each other, the results are those of one after the other.
    alone = open_store(one_model_store, read_only=True)
    columns = "dataset, task, class_name, layer, neuron, positive_count, token_count"
    for asked in (f"SELECT {columns} FROM activation_probabilities WHERE model = 'nano-ssl' ORDER BY {columns}",):
        assert frame(alone, asked).equals(frame(engine, asked))
    alone.dispose()
    engine.dispose()


def test_writers_of_the_same_new_names_wait_for_each_other(postgres_store: str) -> None:
    """The second finds the first's classes when it comes to its turn; nothing is made twice."""
    engine = open_store(postgres_store)
    store = Store(engine)
    store.register_dataset(DATASET)
    ids = [store.register_model(replace(MODEL, name=name)) for name in ("one", "two")]
    runs = [store.start_run(name, {}, 0, "", {}, "cpu") for name in ("one", "two")]
    failed: list[BaseException] = []

    def write(which: int) -> None:
        try:
            store.write_scores(runs[which], f"{which}/score", ids[which], SCORES)
        except BaseException as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert failed == []
    assert len(frame(engine, "SELECT id FROM task_class")) == 2
    assert len(frame(engine, "SELECT id FROM model_task")) == 2
    engine.dispose()


def test_server_that_goes_away_while_a_run_writes(postgres_store: str, postgres: URL) -> None:
    engine = open_store(postgres_store)
    store = Store(engine)
    store.register_dataset(DATASET)
    name = make_url(postgres_store).database
    with (
        pytest.raises(StoreError, match="the server closed the connection; run again, it goes on from here"),
        open.translate_errors("atlas"), engine.begin() as connection,
    ):  # fmt: skip
        execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        write_dataset(connection, replace(DATASET, name="more"))
    assert store.register_dataset(replace(DATASET, name="more")) == ""  # the next transaction has a new connection
    engine.dispose()


def test_empty_database_is_made_a_store_by_two_at_once(empty_database: str) -> None:
    code = "import sys\nfrom db.connection.open import open_store\nopen_store(sys.argv[1])"
    both = [
        subprocess.Popen([sys.executable, "-c", code, empty_database], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0], [p.stderr.read() for p in both if p.stderr]


def test_text_sorts_as_in_sqlite_on_an_english_server(postgres: URL) -> None:
    names = ["b", "A", "a", "B", "_", "é", "Z z", "Z-a"]
    with database(postgres) as url:
        engine = open_store(url.render_as_string(hide_password=False))
        Store(engine).register_dataset(DatasetRecord("d", "r", "c", (*names,), (), (), "official"))
        found = frame(engine, "SELECT name FROM attribute ORDER BY name")["name"]
        with engine.connect() as connection:
            by_server = connection.exec_driver_sql('SELECT name FROM attribute ORDER BY name COLLATE "default"')
            assert list(by_server.scalars()) != sorted(names)
        engine.dispose()
    assert list(found) == sorted(names)


@pytest.mark.parametrize("password", ["secret", "sec/ret", "se@cret", "s:cret"])
def test_a_password_is_never_shown(password: str) -> None:
    url = f"postgresql+psycopg://me:{password}@host/atlas"
    for shown in (open.shown(url), AnalysisConfig(db=url).shown_db):
        assert shown == "postgresql+psycopg://me:***@host/atlas"
    assert open.shown("postgresql://me@host:5432/atlas") == "postgresql://me@host:5432/atlas"
    assert open.shown("atlas.db") == "atlas.db"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("sslmode=require", "the server cannot be asked (server does not support SSL, but SSL was required)"),
        ("sslmode=bogus", 'the server cannot be asked (invalid sslmode value: "bogus"); check the URL'),
        ("sslmode=verify-full&sslrootcert=/hidden/x.crt", "the server cannot be asked ("),
        ("bogus=1", "PostgreSQL has no option 'bogus'; see libpq's for those of a connection"),
        ("row_factory=1", "PostgreSQL has no option 'row_factory'"),
        ("connect_timeout=soon", "connect_timeout is a number of seconds; check the URL"),
        ("port=none", "Received non-integer port arguments: ('none',); check the URL"),
        ("host=a,b&port=1,2,3", "number of hosts and ports don't match; check the URL"),
        ("hostaddr=bad", "the server cannot be asked ("),
        ("options=-c bogus=1", 'unrecognized configuration parameter "bogus"'),
        ("service=none", 'the server cannot be asked (definition of service "none" not found)'),
    ],
)
def test_options_that_do_not_do_are_one_line(
    options: str, told: str, postgres_store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_analysis.main(["--db", f"{postgres_store}?{options}", "--report", str(tmp_path / "report.html")]) == 2
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1 and PASSWORD not in line


def test_a_time_limit_of_the_server_is_one_line(
    postgres_store: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    limited = f"{postgres_store}?options=-c statement_timeout=100"
    engine = open_store(postgres_store)
    with engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")  # whoever reads it waits
        assert run_analysis.main(["--db", limited, "--report", str(tmp_path / "report.html")]) == 2
    engine.dispose()
    line = capsys.readouterr().err
    told = "a time limit of its own; raise it for this role"
    assert told in line and line.count("\n") == 1 and PASSWORD not in line


def test_messages_name_a_store_without_the_secrets_of_its_options() -> None:
    url = "postgresql+psycopg://me:hidden@localhost:1/atlas?sslpassword=hidden&sslmode=disable"
    with pytest.raises(StoreError, match="the server does not answer") as caught:
        open_store(url)
    told = "postgresql+psycopg://me:***@localhost:1/atlas?sslmode=disable&sslpassword=***"
    assert str(caught.value).startswith(told)
    assert open.store_name(create_engine(url)) == told
