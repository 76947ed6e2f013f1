"""Any folder with a ``manifest.csv``: columns ``file``, ``split`` (may be absent), attributes.

See `core.datasets.tables` for how it is read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.datasets import tables
from core.datasets.base import Dataset

FILE = "manifest.csv"


def recognise(folder: Path) -> bool:
    """Whether the folder is such a dataset."""
    return (folder / FILE).is_file()


def read(
    folder: Path, seed: int = 0, name: str = "", description: str = "", source: str = "", licence: str = ""
) -> Dataset:
    """Read the manifest; audio is not opened.

    Parameters
    ----------
    folder : path
    seed : int
        Draws the split where the manifest has none.
    name : str, optional
        By default the folder's name.
    description, source, licence : str
        One line each.

    Raises
    ------
    InputError
        If the file cannot be read, lacks the column ``file``, has no attribute or no usable row.
    """
    found = tables.dataset(folder, tables.read(folder / FILE), seed, name or folder.resolve().name)
    return replace(found, description=description, source=source, licence=licence)
