"""The notebook: what is written is read, by one and by many; what cannot be is told in one line; CSV there and back."""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ablation.targets import read_targets
from core.untrusted_text import as_csv, from_csv_cell
from db.connection.open import open_store
from db.notebook import book as books
from db.notebook import exchange
from db.notebook.book import Book, notes_file, open_book
from db.notebook.records import LONGEST_NOTE, Entry, Notebook, NotebookError, Unit
from tests.support import permissions

A, B, C = Unit("m", 0, 1), Unit("m", 1, 0), Unit("m/pca", 0, 2)
WIDTHS = {"m": {0: 4, 1: 4}, "m/pca": {0: 3}}


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Book:
    """A notebook that is not made yet, beside a store's file and in a server's database."""
    if request.param == "sqlite":
        return open_book(tmp_path / "atlas.db")
    return open_book(request.getfixturevalue("empty_database"))


def write(book: Book, entry: Entry) -> None:
    book.star(entry.unit)
    now = book.read().by_unit[entry.unit]
    book.write(replace(entry, starred_at=now.starred_at), now)


def test_what_is_written_is_read(book: Book) -> None:
    assert book.read() == Notebook() and book.stamp() == ("", 0)
    book.star(B)
    first = book.stamp()
    assert first[0] and first[1] > 0
    book.star(B)
    write(book, Entry(A, " siren\ncell ", "two\r\nlines \x1b[2J", lists=("rooms", "alarms", "rooms")))
    kept = book.read()
    assert [entry.unit for entry in kept.entries] == [A, B]
    assert (kept.entries[0].name, kept.entries[0].note) == ("siren cell", "two\nlines \\x1b[2J")
    assert kept.entries[0].lists == ("alarms", "rooms") and kept.entries[0].starred_at > "2020"
    assert {name: [one.unit for one in of] for name, of in kept.lists.items()} == {"alarms": [A], "rooms": [A]}
    assert [one.unit for one in kept.of("starred")] == [A, B] and kept.of("none") == ()
    assert kept.stamp != first and kept.stamp == book.stamp()
    write(book, Entry(B, lists=("rooms",)))
    book.rename_list("rooms", "alarms")
    assert {name: len(of) for name, of in book.read().lists.items()} == {"alarms": 2}
    book.drop_list("alarms")
    assert book.read().lists == {} and len(book.read().entries) == 2
    book.remove(A)
    assert [entry.unit for entry in book.read().entries] == [B]


def test_nobody_overwrites_what_another_wrote_meanwhile(book: Book) -> None:
    book.star(A)
    seen = book.read().by_unit[A]
    book.write(replace(seen, note="theirs"), seen)
    with pytest.raises(NotebookError, match="someone else"):
        book.write(replace(seen, note="mine"), seen)
    book.remove(A)
    with pytest.raises(NotebookError, match="someone else"):
        book.write(replace(seen, note="mine"), replace(seen, note="theirs"))
    assert book.read().entries == ()


def test_twenty_at_once_lose_nothing(book: Book) -> None:
    def visitor(number: int) -> None:
        for unit in range(5):
            write(book, Entry(Unit("m", number, unit), note=f"{number}.{unit}", lists=("all", f"of {number}")))

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(visitor, range(20)))
    kept = book.read()
    assert [entry.note for entry in kept.entries] == [f"{a}.{b}" for a in range(20) for b in range(5)]
    assert len(kept.lists["all"]) == 100 and len(kept.lists) == 21
    assert kept.stamp[1] == 200


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Entry(A, "x" * 81), "81 characters; 80"),
        (Entry(A, note="x" * 2001), "2,001 characters"),
        (Entry(A, "a\0b"), "no text"),
        (Entry(A, note="\ud800"), "no text"),
        (Entry(A, lists=("Starred",)), "stands for all"),
        (Entry(A, lists=(" ",)), "needs a name"),
        (Entry(A, lists=tuple("abcdefghijklmnopqrstu")), "20 lists at most"),
    ],
)
def test_what_is_too_much_is_told_and_changes_nothing(entry: Entry, why: str, tmp_path: Path) -> None:
    book = open_book(tmp_path / "atlas.db")
    book.star(A)
    now = book.read()
    with pytest.raises(NotebookError, match=why):
        book.write(entry, now.by_unit[A])
    assert book.read() == now


def test_the_notebook_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "MOST_UNITS", 2)
    book = open_book(tmp_path / "atlas.db")
    book.star(A)
    book.star(B)
    with pytest.raises(NotebookError, match="holds 2 units"):
        book.star(C)
    assert list(book.take_in({7: Entry(C), 8: Entry(A, "kept")})) == [7]
    assert [entry.name for entry in book.read().entries] == ["kept", ""]


def test_the_file_lies_beside_the_store_itself(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "atlas.db").touch()
    os.symlink(tmp_path / "data" / "atlas.db", tmp_path / "link.db")
    assert notes_file(tmp_path / "link.db") == tmp_path / "data" / "atlas.notes.db"
    open_book(tmp_path / "link.db").star(A)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["atlas.db", "atlas.notes.db"]


def test_the_store_is_never_written(tiny_store: Path) -> None:
    before = tiny_store.read_bytes()
    book = open_book(tiny_store)
    book.star(A)
    book.file.unlink() if book.file else None
    assert tiny_store.read_bytes() == before


def test_another_file_in_its_place_is_told(tmp_path: Path) -> None:
    book = open_book(tmp_path / "atlas.db")
    assert book.file is not None
    book.file.write_text("no database, by far not one, but long enough to be taken for one " * 20)
    for act in (book.read, book.stamp, lambda: book.star(A)):
        with pytest.raises(NotebookError, match=r"atlas\.notes\.db: is no notebook"):
            act()
    book.file.unlink()
    open_store(book.file).dispose()
    for act in (book.read, lambda: book.star(A)):
        with pytest.raises(NotebookError, match="no notebook of this program"):
            act()
    book.file.unlink()
    os.symlink("/proc/kmsg", book.file)
    with pytest.raises(NotebookError, match="a link"):
        book.read()
    with pytest.raises(NotebookError, match="a link"):
        book.star(A)
    book.file.unlink()
    book.star(A)
    with closing(sqlite3.connect(book.file)) as connection, connection:
        connection.execute("UPDATE notebook_unit SET layer = 'x'")
    with pytest.raises(NotebookError, match="never writes"):
        book.read()
    with closing(sqlite3.connect(book.file)) as connection, connection:
        connection.execute("UPDATE notebook_stamp SET version = 2")
    with pytest.raises(NotebookError, match="another version"):
        book.read()


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    book = open_book(tmp_path / "atlas.db")
    book.star(A)
    gone = open_book(tmp_path / "other.db")
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with permissions.obeyed():
            for act in (lambda: gone.star(A), lambda: book.star(B)):
                with pytest.raises(NotebookError, match="write permission on"):
                    act()
            assert [entry.unit for entry in book.read().entries] == [A]
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="write permission on the store's folder"):
        open_book(tmp_path / "gone" / "atlas.db").star(A)


def test_a_reader_of_a_server_has_a_file_of_his_own(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    book = open_book(empty_database)
    assert book.file is not None and book.file.parent == tmp_path / "audio-neuron-atlas"
    assert "may not write the database" in book.whose
    book.star(A)
    assert [entry.unit for entry in open_book(empty_database).read().entries] == [A]


def test_csv_there_and_back(tmp_path: Path) -> None:
    entries = {
        1: Entry(A, "=1+1", 'a "note",\nof two; =lines', "2026-01-31T12:00:00+00:00", ("alarms", "rooms")),
        2: Entry(B, "é · 日本", "", "2026-01-31T12:00:01+00:00"),
        3: Entry(C, "", "@", "2026-01-31T12:00:02+00:00", ("rooms",)),
    }
    first, second = open_book(tmp_path / "a.db"), open_book(tmp_path / "b.db")
    assert first.take_in(entries) == {}
    table = exchange.table(first.read().entries)
    assert list(table.columns) == ["list", "model", "layer", "neuron", "name", "note", "starred_at"]
    assert table["list"].tolist() == ["alarms", "rooms", "", "rooms"]
    text = as_csv(table)
    assert "'=1+1" in text and "; '=lines" not in text
    read = exchange.read(text.encode(), WIDTHS)
    assert read.faults == {} and second.take_in(read.entries) == {}
    assert second.read().entries == first.read().entries
    again = second.stamp()
    assert second.take_in(read.entries) == {} and second.read().entries == first.read().entries
    assert second.stamp() != again


def test_every_fault_is_told_by_its_line_and_nothing_else_is_lost(tmp_path: Path) -> None:
    book = open_book(tmp_path / "atlas.db")
    write(book, Entry(A, "mine", ""))
    lines = [
        "list,model,layer,neuron,name,note,starred_at",
        "rooms,m,0,1,theirs,theirs too,",
        "rooms,nowhere,0,1,,,",
        "rooms,m,2,0,,,",
        "rooms,m,0,4,,,",
        "rooms,m,-1,0,,,",
        "rooms,m,1,0,ok,,2026-13-01",
        f"rooms,m,1,0,{'x' * 81},,",
        f"starred,m,1,0,,{'x' * LONGEST_NOTE},",
        "rooms,m,1,0,,,,more",
        "rooms,m/pca, 0 ,2,pc,,",
        "rooms,m,٣,0,,,",
    ]
    read = exchange.read("\r\n".join(lines).encode("utf-8-sig"), WIDTHS)
    assert sorted(read.entries) == [2, 11] and sorted(read.faults) == [3, 4, 5, 6, 7, 8, 9, 10, 12]
    assert "no model of this store; it has m, m/pca" in read.faults[3]
    assert "layers go from 0 to 1" in read.faults[4] and "no time" in read.faults[7]
    assert "more cells than the first line, which has 7" in read.faults[10]
    assert all("\n" not in fault for fault in read.faults.values())
    assert book.take_in(read.entries) == {2: "L0·1 of m has another name here, which stays"}
    kept = book.read().by_unit
    assert (kept[A].name, kept[A].note, kept[A].lists) == ("mine", "theirs too", ("rooms",))
    assert kept[C].name == "pc"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column model"),
        (b"model,layer\nm,0\n", "no column neuron"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a" * 5_000_001, "more than 5 MB"),
    ],
)
def test_what_is_no_notebook_is_one_line(content: bytes, why: str) -> None:
    with pytest.raises(NotebookError, match=why):
        exchange.read(content, WIDTHS)


def test_a_file_cut_within_a_cell_loses_nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = exchange.read(b'model,layer,neuron,note\nm,0,1,a\nm,0,2,"b', WIDTHS)
    assert [entry.note for entry in cut.entries.values()] == ["a"]
    assert list(cut.faults) == [3] and "cannot be read, nor what follows" in cut.faults[3]
    monkeypatch.setattr(exchange, "MOST_LINES", 1)
    long = exchange.read(b"model,layer,neuron\nm,0,1\nm,0,2\n", WIDTHS)
    assert len(long.entries) == 1 and "1 lines are read at most" in long.faults[3]


def test_a_list_is_ablated_as_one_target(tmp_path: Path) -> None:
    book = open_book(tmp_path / "atlas.db")
    for entry in (Entry(A, lists=("alarms", "=rooms")), Entry(B, lists=("alarms",)), Entry(C, lists=("alarms",))):
        write(book, entry)
    file = tmp_path / "targets.csv"
    file.write_text(as_csv(exchange.targets(book.read().lists, "m")))
    found = read_targets(file, [4, 4])
    assert {name: flat.tolist() for name, flat in found.items()} == {"'=rooms": [1], "alarms": [1, 4]}


@given(st.text(alphabet="a;=+'\n\t\"@", max_size=8))
def test_a_cell_comes_back_as_it_was(cell: str) -> None:
    text = as_csv(pd.DataFrame({"a": [cell], "b": [0]}))
    (read, _) = list(csv.reader(io.StringIO(text, newline="")))[1]
    # An apostrophe of one's own before a formula's sign cannot be told from one that was put there.
    own = re.sub(r"(\A|[;\t\n]\"*)'(?=[=+@\t\n])", r"\1", cell)
    assert from_csv_cell(read) in (cell, own)
