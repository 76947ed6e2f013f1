"""A store in which what a run wrote in words of its own, or of others, means harm."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

LINKS = "http://evil.example/x www.evil.example joe@evil.example //evil.example"
SPOILT = f"*b* [o](http://evil.example) `c` <b onmouseover=window.hacked=1>h</b> :red[i] {LINKS} a\n\n# h"
_NEEDED = frozenset(
    {"preset", "split", "operation", "outcome", "kind", "metric", "ranked_by", "root", "version_num", "unit_kind"}
)
"""Columns whose few words the program knows, or without which there is nothing to show."""


def spoil(store: Path, words: str = SPOILT) -> set[str]:
    """Add ``words`` to every text of a store that is not a name to ask by; returns the columns that hold them."""
    spoilt = set()
    with closing(sqlite3.connect(store)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, name, kind, *_ in connection.execute(f"PRAGMA table_info('{table}')").fetchall():
                if not kind.upper().startswith(("TEXT", "VARCHAR")) or name in _NEEDED | {"name"}:
                    continue
                if name.endswith(("_key", "_at")) or (name.endswith("_json") and name not in _JSON):
                    continue
                value = _JSON.get(name, f"{name} || ' ' || :words")
                with suppress(sqlite3.IntegrityError):
                    done = connection.execute(
                        f"UPDATE {table} SET {name} = {value} WHERE {name} <> ''", {"words": words}
                    )
                    spoilt |= {f"{table}.{name}"} if done.rowcount else set()
        connection.commit()
    return spoilt


_JSON = {
    "notes_json": "json_insert(notes_json, '$[#]', :words)",
    "warnings_json": "json_insert(warnings_json, '$[#]', :words)",
    "versions_json": "json_set(versions_json, '$.python', :words, '$.\"' || replace(:words, '\"', '') || '\"', 1)",
    "config_json": "json_set(config_json, '$.tasks', :words)",
}
