"""What a server loads before it is needed: what the first page takes at its start, what later pages take after that."""

from __future__ import annotations

import ast
import gc
import inspect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from time import sleep

import streamlit as st

THREAD = "atlas-warm"
AFTER = 3.0
"""Seconds for which the first page's browser still draws, with a processor that it would share."""


def begin(scripts: Sequence[Path]) -> None:
    """Load what scripts of pages import, while the first visitor's browser is still on its way."""
    Thread(target=_load_all, args=(scripts,), daemon=True).start()


def imported(script: Path) -> Iterator[str]:
    """Names that a script imports, of modules and of what lies in them."""
    for node in ast.parse(script.read_bytes()).body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _load_all(scripts: Sequence[Path]) -> None:
    for script in scripts:
        for name in imported(script):
            _load(name)
    inspect.stack()  # Streamlit asks it once, for the first page; of all modules it then knows where they lie


def _load(name: str) -> None:
    """A module, or the one in which the name lies."""
    module = name.rpartition(".")[0]
    if module:
        import_module(module)
    with suppress(ModuleNotFoundError):
        import_module(name)


@st.cache_resource(show_spinner=False)
def up() -> None:
    """Load, beside the visitors, what later pages need, and take all that stays out of the collector's way; once."""
    Thread(target=_settle, name=THREAD, daemon=True).start()


def _settle() -> None:
    sleep(AFTER)
    for name in ("scipy.cluster.hierarchy", "scipy.stats"):  # of trees, clustered rows, chance
        import_module(name)
    gc.collect()
    # Long answers of the store make the collector look at everything: a tenth of a second, most of it modules.
    gc.freeze()
