"""A folder of folders without a table: ``class/clip.wav``, or ``train|valid|test/class/clip.wav``.

The folder's name is the class (attribute ``class``, task ``<folder>-class``), whatever lies how deep below it. A folder
that is named like a split is one where it holds class folders, and a class where it holds sound. Where no folders name
the split, clips are split 60/15/25 by class with the seed. Folders that are named like folds, parts of a download or
numbered buckets are taken for classes only where the user says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.base import Clip, Dataset
from core.datasets.files import EXTENSIONS, OF_OTHER_KIND, is_not_read, walk
from core.datasets.links import may_enter
from core.datasets.splits import SPLIT_WORDS, draw_splits
from core.results import Problem

_NO_CLASS = re.compile(
    r"(fold|part|chunk|shard|batch|bucket|split|disk|disc|cd|vol|volume|subset|archive)?[ _.-]*\d+"
    r"|.*[._-](dev|eval|train|test|valid|val)[._-](audio|wavs?|clips?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Layout:
    """What the folders in a folder mean.

    Attributes
    ----------
    classes : tuple of str
        Names of the class folders.
    parts : tuple of (str, str)
        Folder, relative and with a slash at its end, that holds class folders, and the split that it stands for; the
        folder itself is ``""``, and no split is ``""``.
    """

    classes: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]

    @property
    def may_be_folds(self) -> bool:
        """Whether the names are such as publishers give to folds, parts and buckets, not classes."""
        return all(_NO_CLASS.fullmatch(name) for name in self.classes)


def layout(folder: Path) -> Layout | None:
    """How a folder reads, by a look at its folders; None where there are not two classes."""
    within = {f.name: {c.name for c in _folders(f) if _has_sound(c)} for f in _folders(folder)}
    splits = {name for name, classes in within.items() if name.lower() in SPLIT_WORDS and classes}
    if not any(len(within[name]) >= 2 for name in splits):
        splits = set()
    beside = {name for name in within if name not in splits and _has_sound(folder / name)}
    if not splits:
        return Layout(tuple(sorted(beside)), (("", ""),)) if len(beside) >= 2 else None
    classes = set().union(*(within[name] for name in splits))
    parts = [(f"{name}/", SPLIT_WORDS[name.lower()]) for name in sorted(splits)]
    if "train" not in dict(parts).values() and classes <= beside:  # the same classes beside a part that was set apart
        return Layout(tuple(sorted(beside)), (*parts, ("", "train")))
    return Layout(tuple(sorted(classes)), tuple(parts))


def read(folder: Path, found: Layout, seed: int = 0, name: str = "") -> Dataset:
    """List the clips; audio is not opened. By default the dataset has the folder's name."""
    every = list(walk(folder))
    entries, problems, others = [], [], []
    for path in every:
        of, split = _class_of(path, found)
        if not of:
            others.append(path)
        elif is_not_read(path):
            problems.append(Problem(path, OF_OTHER_KIND))
        else:
            entries.append((path, of, split))
    is_drawn = not any(split for *_, split in entries)
    if is_drawn:
        drawn = draw_splits(len(entries), [of for _, of, _ in entries], seed)
        entries = [(path, of, split) for (path, of, _), split in zip(entries, drawn, strict=True)]
    return Dataset(
        name=name or folder.resolve().name,
        root=folder.resolve(),
        attributes=("class",),
        clips=tuple(Clip(path, split, {"class": of}) for path, of, split in entries),
        problems=tuple(problems),
        split_origin="ours" if is_drawn else "folders",
        description="a folder for each class",
        notes=_beside_a_part(found),
        unexpected=not_taken(others, "in no class folder"),
        drawn=("class", seed) if is_drawn else None,
    )


def not_taken(paths: Sequence[str], where: str) -> tuple[str, ...]:
    """Sound that is no clip, in a line; nothing where there is none."""
    if not paths:
        return ()
    first = ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
    return (f"{len(paths):,} sound file{'s' * (len(paths) > 1)} not taken, {where}: {first}",)


def _class_of(path: str, found: Layout) -> tuple[str, str]:
    """A file's class and split; empty where it is in no class folder."""
    for part, split in found.parts:
        if path.startswith(part):
            of, slash, _ = path.removeprefix(part).partition("/")
            if slash and of in found.classes:
                return of, split
    return "", ""


def _beside_a_part(found: Layout) -> tuple[str, ...]:
    if ("", "train") not in found.parts:
        return ()
    parts = ", ".join(part for part, _ in found.parts if part)
    return (f"classes beside {parts} are taken for its train part",)


def _folders(folder: Path) -> list[Path]:
    try:
        inside = [f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith((".", "_"))]
    except OSError:
        return []
    return [f for f in inside if may_enter(f)]


def _has_sound(folder: Path) -> bool:
    try:
        return next(walk(folder, EXTENSIONS), None) is not None
    except OSError:
        return False
