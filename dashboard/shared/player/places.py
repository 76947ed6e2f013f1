"""Where a dataset's sound lies now: where it was studied, where the user says, or where it moved with the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import streamlit as st
from sqlalchemy import Engine

from dashboard.shared import data
from db.connection.open import StoreError
from db.reads import study

VARIABLE = "ATLAS_AUDIO_ROOT"
_MOST_FILES = 1_000_000
_SECONDS = 600
"""After which a folder is looked through again."""


def given() -> tuple[tuple[str, str], ...]:
    """What the user says of folders: the dataset or the former folder, empty for any, and the folder now.

    ``--audio-root`` behind ``--`` on the command line, any number of times, else `VARIABLE`, with the system's
    separator between several.
    """
    return _given(tuple(sys.argv[1:]), os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _given(arguments: tuple[str, ...], variable: str) -> tuple[tuple[str, str], ...]:
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--audio-root", action="append")
    try:
        told = parser.parse_known_args(list(arguments))[0].audio_root
    except argparse.ArgumentError:  # without a value
        told = None
    parts = (part.rpartition("=") for part in told or variable.split(os.pathsep) if part.strip())
    return tuple((of, os.path.abspath(os.path.expanduser(folder))) for of, _, folder in parts)


def folders(root: str) -> Iterator[str]:
    """Folders that may hold a dataset's sound, ``root`` the first: that is where it was studied."""
    yield root
    name, from_store = _known(root)
    for of, folder in given():
        if of and of in (name, root):
            yield folder
        elif of and root.startswith(f"{of.rstrip('/')}/"):
            yield os.path.join(folder, os.path.relpath(root, of))
    store = data.locate().path
    if from_store and store is not None:
        yield os.path.normpath(os.path.join(os.path.dirname(os.path.realpath(store)), from_store))


def called(file_name: str) -> list[str]:
    """Files of a name below the folders that were given for any dataset."""
    return [path for of, folder in given() if not of for path in _by_name(folder).get(file_name, ())]


def name_of(root: str) -> str:
    """What the store calls the dataset that was studied there; the folder's name where it does not know it."""
    return _known(root)[0] or os.path.basename(root.rstrip("/"))


def _known(root: str) -> tuple[str, str]:
    """Name of a dataset, and its folder as seen from the store's; empty where the store cannot tell."""
    try:
        known: dict[str, tuple[str, str]] = data.read(data.locate(), by_root)
    except StoreError:
        return "", ""
    return known.get(root, ("", ""))


def by_root(engine: Engine) -> dict[str, tuple[str, str]]:
    """Name of each dataset, and its folder as seen from the store's (empty where that is not known), by its folder."""
    places = study.dataset_places(engine).drop_duplicates("root")
    return {
        str(root): (str(name), beside if isinstance(beside, str) else "")
        for root, name, beside in places[["root", "name", "root_from_store"]].itertuples(index=False)
    }


@st.cache_resource(max_entries=4, ttl=_SECONDS, show_spinner="Looking for sound")
def _by_name(folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    n = 0
    for place, _, files in os.walk(folder):
        for file in files:
            found.setdefault(file, []).append(str(Path(place, file)))
        n += len(files)
        if n > _MOST_FILES:
            break
    return found
