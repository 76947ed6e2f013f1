"""A folder of folders without a table: ``class/clip.wav``, or ``train|valid|test/class/clip.wav``.

The folder's name is the class (attribute ``class``, task ``<folder>-class``). Where no folders name the
split, clips are split 60/15/25 by class with the seed.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from core.datasets import audio
from core.datasets.base import SPLITS, Clip, Dataset
from core.datasets.files import walk
from core.datasets.splits import SPLIT_WORDS, draw_splits
from core.results import Problem


def recognise(folder: Path) -> bool:
    """Whether at least two sub-folders (of it, or of a split's folder) hold audio, and no audio lies beside them."""
    splits = split_folders(folder)
    inside = [f for split in splits for f in _folders(split)] if splits else _folders(folder)
    with_audio = {f.name for f in inside if _has_audio(f)}
    return len(with_audio) >= 2 and not _has_audio(folder)


def split_folders(folder: Path) -> list[Path]:
    """Sub-folders that are named like splits."""
    return [f for f in _folders(folder) if f.name.lower() in SPLIT_WORDS]


def read(folder: Path, seed: int = 0, name: str = "") -> Dataset:
    """List the clips; audio is not opened. By default the dataset has the folder's name."""
    every = [p for p in walk(folder, audio.EXTENSIONS | audio.NOT_READ) if 2 <= len(p.split("/")) <= 3]
    paths = [p for p in every if PurePosixPath(p).suffix.lower() in audio.EXTENSIONS]
    in_splits = [p for p in paths if len(p.split("/")) == 3 and p.split("/")[0].lower() in SPLIT_WORDS]
    if in_splits:
        entries = [(p, p.split("/")[1], SPLIT_WORDS[p.split("/")[0].lower()]) for p in in_splits]
    else:
        flat = [p for p in paths if len(p.split("/")) == 2]
        classes = [p.split("/")[0] for p in flat]
        entries = list(zip(flat, classes, draw_splits(len(flat), classes, seed), strict=True))
    within = {path.rpartition("/")[0] for path, *_ in entries}
    assert {split for *_, split in entries} <= set(SPLITS)
    return Dataset(
        name=name or folder.resolve().name,
        root=folder.resolve(),
        attributes=("class",),
        clips=tuple(Clip(path, split, {"class": name}) for path, name, split in entries),
        problems=tuple(
            Problem(p, "is of a kind that is not read; convert it to WAV or FLAC")
            for p in every
            if PurePosixPath(p).suffix.lower() in audio.NOT_READ and p.rpartition("/")[0] in within
        ),
        split_origin="folders" if in_splits else "ours",
        description="a folder for each class",
        drawn=None if in_splits else ("class", seed),
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return [f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))]
    except OSError:
        return []


def _has_audio(folder: Path) -> bool:
    try:
        return any(f.suffix.lower() in audio.EXTENSIONS and not f.name.startswith(".") for f in folder.iterdir())
    except OSError:
        return False
