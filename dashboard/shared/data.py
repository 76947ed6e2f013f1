"""Cached reads: every page asks here, and here alone the store is asked.

An answer is kept under the store's place *and* its change stamp, so that a store that was written, or put in the
place of another, while the page is open is read anew at the next click.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from copy import copy
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import streamlit as st
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from db.connection.open import StoreError, open_store, shown, sqlite_path, translate_errors
from db.connection.sqlite import log_of
from db.reads import study

T = TypeVar("T")

DEFAULT_STORE = "atlas.db"
_FACTS, _SIZE = 5, 2  # of each file, in `Store.files`
_NO_FACTS = (0,) * _FACTS
_STAMP_SECONDS = 1.0


@dataclass(frozen=True)
class Store:
    """A store's place, and what changes whenever the store does.

    Attributes
    ----------
    location : str
    own : Stamp or None
        The store's own stamp; None where it cannot be read, which is told when a page reads.
    files : tuple of int
        What the system says of the file and the write-ahead log beside it, for whoever writes without a stamp.
    """

    location: str
    own: study.Stamp | None
    files: tuple[int, ...]

    @property
    def stamp(self) -> tuple[int | str, ...]:
        """Under what answers are kept."""
        return (*(astuple(self.own) if self.own else ()), *self.files)

    @property
    def name(self) -> str:
        """The store as pages may call it: without its folder, which is the server's own, or its password."""
        return self.path.name if self.path else shown(self.location)

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for a store behind another URL."""
        return _file_of(self.location)


def locate(arguments: list[str] | None = None) -> Store:
    """Find which store is meant: ``--db``, then ``ATLAS_DB``, then ``atlas.db``.

    Parameters
    ----------
    arguments : list of str, optional
        The command line after ``--``; default that of the process.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--db")
    try:
        given = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)[0].db
    except argparse.ArgumentError:  # "--db" without a value
        given = None
    location = given or os.environ.get("ATLAS_DB") or DEFAULT_STORE
    files = _files(location)
    try:
        own = (_stamp_of_file if files else _stamp)(location, files)
    except (StoreError, SQLAlchemyError):
        own = None
    return Store(location, own, files)


def _stamp(location: str, files: tuple[int, ...]) -> study.Stamp:
    return study.change_stamp(_engine(location, files[:_FACTS]))


# A page asks some thirty times a run; a connection reads the whole schema first, which takes milliseconds. Writers
# change what the system says of a file, but for those that write twice within a tick of its clock.
_stamp_of_file = st.cache_resource(ttl=_STAMP_SECONDS, max_entries=8, show_spinner=False)(_stamp)


def _file_of(location: str) -> Path | None:
    try:
        return sqlite_path(location)
    except StoreError:
        return None  # what is wrong is told when a page reads


def _files(location: str) -> tuple[int, ...]:
    path = _file_of(location)
    if path is None:
        return ()
    # Readers of a store that a run left unfinished bring an empty log and take it away again: that is no change.
    log = _facts(log_of(path))
    return (*_facts(path), *(log if log[_SIZE] else _NO_FACTS))


def _facts(path: Path) -> tuple[int, ...]:
    try:
        of_it = os.stat(path)
    except OSError:
        return _NO_FACTS
    # Its time of change is the system's own: whoever replaces a file cannot bring another along.
    return of_it.st_dev, of_it.st_ino, of_it.st_size, of_it.st_mtime_ns, of_it.st_ctime_ns


@st.cache_resource(max_entries=4, show_spinner=False)
def _engine(location: str, file: tuple[int, ...]) -> Engine:
    """One engine for a file as it lies there (`_files`): another is looked over when it is opened."""
    del file
    return open_store(location, read_only=True, create=False)


def fresh(store: Store, query: Callable[[Engine], T]) -> T | None:
    """Return an answer that is not kept; None where the store cannot be read, which is told when a page reads."""
    try:
        return query(_engine(store.location, store.files[:_FACTS]))
    except (StoreError, SQLAlchemyError):
        return None


def key_of(*parts: Any) -> str:
    """Name what is asked for, frames by what they hold; Streamlit would hash part by part, which takes far longer."""
    return key_and_size(*parts)[0]


def key_and_size(*parts: Any) -> tuple[str, int]:
    """As `key_of`, and the bytes that the parts take."""
    packed = pickle.dumps(parts, protocol=5)
    return hashlib.blake2b(packed, digest_size=16).hexdigest(), len(packed)


def name_of(function: Callable[..., Any]) -> str:
    """A function's place, for `key_of`."""
    return f"{function.__module__}.{function.__qualname__}"


# By name alone: of what is given by place Streamlit would look up the name, which takes longer than to find the answer.
@st.cache_resource(max_entries=512, show_spinner=False)
def _read(
    *, key: str, _query: Callable[..., Any], _store: Store, _positional: tuple[Any, ...], _named: dict[str, Any]
) -> Any:
    del key
    try:
        with translate_errors(_store.name):
            return _query(_engine(_store.location, _store.files[:_FACTS]), *_positional, **_named)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"the store {_store.name} could not be read: {reason}") from error


@st.cache_resource(max_entries=256, show_spinner=False)
def _derive(*, key: str, _function: Callable[..., Any], _given: tuple[Any, ...]) -> Any:
    del key
    return _function(*_given)


def derive(function: Callable[..., Any], *given: Any) -> Any:
    """Return the value of a pure function of frames and plain values, kept for the next run of the page."""
    return _own(_derive(key=key_of(name_of(function), given), _function=function, _given=given))


def _own(kept: Any) -> Any:
    """What a page does to its answer leaves the kept one as it is: pandas copies on write."""
    return kept.copy(deep=False) if isinstance(kept, pd.DataFrame) else copy(kept)


def read(store: Store, query: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """Return the answer of a function of ``db.reads.study`` or its like, cached while the store stays as it is.

    Parameters
    ----------
    store : Store
    query : callable
        Takes an engine first.
    *positional, **named
        Its arguments after the engine; hashable.

    Raises
    ------
    StoreError
        With one line, where the store cannot be read.
    """
    key = key_of(name_of(query), store.location, store.stamp, positional, sorted(named.items()))
    return _own(_read(key=key, _query=query, _store=store, _positional=positional, _named=named))
