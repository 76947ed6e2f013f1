"""What a notebook holds, and what it may hold at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.untrusted_text import harmless, is_storable, one_line
from db.connection.errors import StoreError

LONGEST_NAME, LONGEST_NOTE = 80, 2000
"""Characters of a unit's or a list's name, and of a note."""
MOST_UNITS, MOST_LISTS = 2000, 20
"""Units of a notebook, and lists that one unit is in."""
STARRED = "starred"
"""What pages call all units of the notebook; no list has that name."""


class NotebookError(StoreError):
    """The notebook cannot be read or written as asked; one line that says what to do."""


@dataclass(frozen=True, order=True)
class Unit:
    """A unit by its model's name (with the kind, such as ``nano-ssl/pca``), layer and number, both from 0."""

    model: str
    layer: int
    unit: int

    @property
    def name(self) -> str:
        return f"L{self.layer}·{self.unit}"


@dataclass(frozen=True)
class Entry:
    """A starred unit: what it is called, what is noted of it, since when (ISO 8601, UTC), and the lists it is in."""

    unit: Unit
    name: str = ""
    note: str = ""
    starred_at: str = ""
    lists: tuple[str, ...] = ()


@dataclass(frozen=True)
class Notebook:
    """All entries, in the order of their units; ``stamp`` is another after every change."""

    entries: tuple[Entry, ...] = ()
    stamp: tuple[str, int] = field(default=("", 0))

    @cached_property
    def by_unit(self) -> Mapping[Unit, Entry]:
        return {entry.unit: entry for entry in self.entries}

    @cached_property
    def lists(self) -> Mapping[str, tuple[Entry, ...]]:
        """Entries of each list, lists by name."""
        names = sorted({name for entry in self.entries for name in entry.lists})
        return {name: tuple(entry for entry in self.entries if name in entry.lists) for name in names}

    def of(self, name: str) -> tuple[Entry, ...]:
        """Entries of a list; all for `STARRED`."""
        return self.entries if name == STARRED else self.lists.get(name, ())


def checked_name(text: str, what: str = "name") -> str:
    """Return a name as the notebook keeps it: one line, without what a terminal would obey.

    Raises
    ------
    NotebookError
        If it is longer than `LONGEST_NAME`.
    """
    return _bounded(one_line(_storable(text, what)).strip(), LONGEST_NAME, what)


def checked_note(text: str) -> str:
    """Return a note as the notebook keeps it; its lines stay.

    Raises
    ------
    NotebookError
        If it is longer than `LONGEST_NOTE`.
    """
    lines = _storable(text, "note").replace("\r\n", "\n").replace("\r", "\n")
    return _bounded(harmless(lines).strip(), LONGEST_NOTE, "note")


def checked_list(text: str) -> str:
    """Return a list's name as the notebook keeps it.

    Raises
    ------
    NotebookError
        If it is empty, too long, or `STARRED`, which stands for all.
    """
    name = checked_name(text, "name of a list")
    if not name or name.casefold() == STARRED:
        raise NotebookError(f"a list needs a name other than “{STARRED}”, which stands for all starred units")
    return name


def checked_lists(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a unit's lists, each once, sorted.

    Raises
    ------
    NotebookError
        If there are more than `MOST_LISTS`, or one is none.
    """
    kept = tuple(sorted({checked_list(name) for name in names}))
    if len(kept) > MOST_LISTS:
        raise NotebookError(f"a unit is in {MOST_LISTS} lists at most, not in {len(kept)}; take it out of some")
    return kept


def _storable(text: str, what: str) -> str:
    if not is_storable(text):
        raise NotebookError(f"the {what} holds what is no text; write it anew")
    return text


def _bounded(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise NotebookError(f"the {what} has {len(text):,} characters; {most:,} are kept at most: shorten it")
    return text
