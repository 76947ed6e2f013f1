"""Stores of earlier versions: opened, brought up to date without losing a row, read, and written on.

``stores/schema_0008.sql`` is `tests.support.tiny_study.write_study` as the last version with eight migrations
stored it.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from db import upkeep
from db.connection import open
from db.connection.open import StoreError, open_store, schema_version
from db.reads import study
from db.reads.frames import frame
from db.reads.named import NAMED
from db.schema.views.study import VIEWS
from db.schema.views.units import UNIT_VIEWS
from tests.support.small_study import make_dataset, run
from tests.support.tiny_study import rows, write_study

EARLIER = Path(__file__).parents[1] / "stores" / "schema_0008.sql"
Rows = dict[str, list[tuple[Any, ...]]]

NEWER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0023", "0022"


def upgrade():
    with op.batch_alter_table("model", recreate="always") as table:
        table.add_column(sa.Column("note", sa.String(), nullable=False, server_default="none"))
"""


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A store as the earlier version left it."""
    path = tmp_path / "atlas.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")  # is the file's, and not told by its SQL
    connection.executescript(EARLIER.read_text(encoding="utf-8"))
    connection.close()
    return path


@pytest.fixture
def next_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further migration, which makes a table anew that many others refer to."""
    folder = tmp_path / "migrations"
    shutil.copytree(Path(open.__file__).parents[1] / "migrations", folder)
    (folder / "versions" / "0023_next.py").write_text(NEWER)
    monkeypatch.setattr(open, "_MIGRATIONS", folder)


def contents(path: Path) -> Rows:
    """The rows of every table and view, with the names of their columns first, but for the database's own."""
    connection = sqlite3.connect(path)
    found = {}
    for name, kind in connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"):
        if not name.startswith("sqlite_") and name != "alembic_version":
            cursor = connection.execute(f"SELECT * FROM {name}")
            found[f"{kind} {name}"] = [tuple(column[0] for column in cursor.description), *sorted(cursor, key=repr)]
    connection.close()
    return found


def assert_kept(before: Rows, after: Rows) -> None:
    """Every row is there, with columns that may have been added."""
    for name, (columns, *its_rows) in before.items():
        now, *rows_now = after[name]
        assert set(columns) <= set(now), name
        kept = [tuple(row[now.index(column)] for column in columns) for row in rows_now]
        assert sorted(kept, key=repr) == its_rows, name


def schema(engine: Engine) -> dict[str, Any]:
    """What a database holds, in whatever order it was declared."""
    looked = inspect(engine)
    found: dict[str, Any] = {
        name: (
            [str(column) for column in looked.get_columns(name)],
            looked.get_pk_constraint(name),
            *(sorted(map(str, each(name))) for each in (looked.get_foreign_keys, looked.get_unique_constraints)),
        )
        for name in looked.get_table_names()
    }
    found["views"], found["indexes"] = (
        {str(row[0]): row[1] for row in rows(engine, f"SELECT name, sql FROM sqlite_master WHERE type = '{kind}'")}
        for kind in ("view", "index")
    )
    found["without row numbers"] = rows(engine, "SELECT name FROM pragma_table_list WHERE wr ORDER BY name")
    return found


def test_earlier_store_holds_every_kind_of_row(earlier: Path) -> None:
    assert {name for name, found in contents(earlier).items() if len(found) < 2} == set()


def test_new_store_has_the_schema_that_the_migrations_made(earlier: Path, tmp_path: Path) -> None:
    made = schema(open_store(tmp_path / "new.db"))
    assert made == schema(open_store(earlier))
    assert set(VIEWS) == set(made["views"]) and len(made) == 3 + 88


def test_nothing_is_lost_and_every_view_gives_the_same_rows(earlier: Path) -> None:
    before = contents(earlier)
    open_store(earlier).dispose()
    after = contents(earlier)
    assert_kept(before, after)
    assert len(after.pop("table store_stamp")) == 1 + 1
    of_units = {f"view {name}" for name in ("units", *UNIT_VIEWS)}  # what is there, told another way
    new = after.keys() - before.keys() - of_units
    assert all(len(after[name]) == 1 for name in new), "what is new is empty"


def test_pages_and_named_queries_read_it(earlier: Path) -> None:
    open_store(earlier).dispose()
    engine = open_store(earlier, read_only=True)
    assert study.store_facts(engine) == {
        "n_models": 1, "n_tasks": 1, "n_neurons": 3, "n_clips": 3, "schema_version": "0022",
    }  # fmt: skip
    assert list(study.tasks(engine)["task"]) == ["pets-animal"]
    answers = {name: frame(engine, sql) for name, (_, sql) in NAMED.items()}
    assert all(len(answer.columns) for answer in answers.values())
    assert any(len(answer) for answer in answers.values())


@pytest.mark.parametrize("model", ["tiny", "another"])
def test_a_further_run_writes_to_it(earlier: Path, model: str) -> None:
    before = contents(earlier)
    engine = open_store(earlier)
    write_study(engine, model)
    assert rows(engine, "PRAGMA foreign_key_check") == []
    engine.dispose()
    after = contents(earlier)
    if model == "tiny":  # the same results in place of the former, and of segments, which no earlier store has
        after = {name: [row for row in of_view if "pets-call" not in row] for name, of_view in after.items()}
        same = {name for name in before if name.startswith("view ") and name != "view runs"}
        assert_kept({name: before[name] for name in same}, after)
        assert len(after["view runs"]) == 1 + len(before["view runs"])
        columns, *clips = after["table clip"]
        assert [clip[columns.index("file_sha256")] for clip in clips] == ["0a", "0b", "0c"], "now known by content"
    else:  # beside them
        assert set(before["view class_specific_neurons"]) < set(after["view class_specific_neurons"])
        assert len(after["table neuron"]) == 1 + 2 * (len(before["table neuron"]) - 1)


@pytest.mark.usefixtures("next_schema")
def test_a_later_schema_keeps_every_row_and_is_reached_by_writers_alone(earlier: Path) -> None:
    before = contents(earlier)
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(StoreError, match="atlas.db: written by an older version; bring it up to date with: python"):
            open_store(earlier, **options)
    assert contents(earlier) == before
    engine = open_store(earlier)
    assert schema_version(engine) == "0023"
    assert rows(engine, "SELECT name, note FROM model") == [("tiny", "none")]
    assert rows(engine, "PRAGMA foreign_key_check") == [] and rows(engine, "PRAGMA foreign_keys") == [(1,)]
    engine.dispose()
    after = contents(earlier)
    assert after.pop("table model")[1] == (*before.pop("table model")[1], "mlp", "tiny", "none")
    assert_kept(before, after)


@pytest.mark.usefixtures("next_schema")
def test_a_new_store_is_of_the_newest_schema_at_once(tmp_path: Path) -> None:
    assert schema_version(open_store(tmp_path / "new.db")) == "0023"


@pytest.mark.parametrize("revision", ["0001", "0007"])
def test_a_store_of_before_the_first_schema_is_left_as_it_is(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], revision: str
) -> None:
    connection = sqlite3.connect(earlier)
    connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    connection.commit()
    connection.close()
    before = earlier.read_bytes()
    told = (
        f"error: atlas.db: written by a version before 0.1.0 (schema {revision}, this code reads 0008 and newer) and "
        "left as it is; run the analysis anew with another --db\n"
    )
    pets = make_dataset(tmp_path / "pets")
    for refused in (lambda: run("--data-dir", pets, "--db", earlier), lambda: upkeep.main([str(earlier)])):
        assert (refused(), capsys.readouterr().err) == (2, told)
    assert earlier.read_bytes() == before


def test_revisions_are_alembics() -> None:
    script = ScriptDirectory(str(open._MIGRATIONS))
    assert open._revisions()[::-1] == [revision.revision for revision in script.walk_revisions()]
