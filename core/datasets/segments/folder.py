"""A folder of sound that has segments, and nothing else that labels its clips."""

from __future__ import annotations

from pathlib import Path

from core.datasets.base import Clip, Dataset
from core.datasets.files import EXTENSIONS, walk


def read(folder: Path, seed: int, name: str) -> Dataset:
    """List the clips, without attributes and with a split drawn with the seed; audio is not opened."""
    clips = tuple(Clip(path, "train", {}) for path in walk(folder, EXTENSIONS))
    found = Dataset(name, folder.resolve(), (), clips, split_origin="ours", drawn=("", seed))
    return found.drawn_again()
