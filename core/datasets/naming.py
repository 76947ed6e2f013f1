"""What a dataset is called: what the user says, else the nearest folder whose name tells something."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.datasets.base import Dataset
from core.errors import InputError

_TELLS_NOTHING = re.compile(
    r"(audios?|wavs?|flacs?|mp3s?|oggs?|sounds?|clips?|files?|recordings?|samples?|data|datasets?|raw|processed|original"
    r"|train|training|valid|validation|val|dev|test|testing|eval|snapshots|main|master|blobs|tmp|v?\d+|\d+hz|\d+k(hz)?)"
    r"|(?=.*\d)[0-9a-f]{8,64}",  # the name of a snapshot
    re.IGNORECASE,
)
_HUB = re.compile(r"(?:datasets|models)--.+--(.+)")


def asked_for(data_dir: str) -> tuple[str, Path]:
    """Name and folder of ``NAME=DIR``; the name is empty where only a folder is given.

    A folder that exists as it is written needs no name, whatever its own holds.

    Raises
    ------
    InputError
        If the name is none.
    """
    whole = Path(os.path.expanduser(data_dir))
    name, separator, folder = data_dir.partition("=")
    if not separator or os.path.exists(whole) or "/" in name or "\\" in name:
        return "", whole
    name = name.strip()
    if not name or not folder.strip() or not name.isprintable() or "," in name:
        raise InputError(f"--data-dir {data_dir} is not known; expected DIR or NAME=DIR, the name without commas")
    return name, Path(os.path.expanduser(folder))


def telling_name(folder: Path) -> str:
    """The folder's name as it is written (a link's own), or where it tells nothing the next above that does.

    Examples
    --------
    >>> telling_name(Path("/corpora/BirdSet/audio")), telling_name(Path("/corpora/pets"))
    ('BirdSet', 'pets')
    >>> telling_name(Path("/cache/datasets--ashraq--esc50/snapshots/0123abcd"))
    'esc50'
    """
    written = Path(os.path.abspath(folder))
    for part in (written, *written.parents):
        if part.name and not _TELLS_NOTHING.fullmatch(part.name):
            hub = _HUB.fullmatch(part.name)
            return hub[1] if hub else part.name
    return written.name


def renamed(dataset: Dataset, name: str) -> Dataset:
    """The dataset under another name, and its tasks accordingly."""
    tasks = {
        attribute: f"{name}{task.removeprefix(dataset.name)}"
        if task.startswith(dataset.name)
        else f"{name}-{attribute}"
        for attribute, task in dataset.task_names.items()
    }
    return replace(dataset, name=name, task_names=tasks)


def apart(datasets: Sequence[Dataset], places: Sequence[Path], is_given: Sequence[bool]) -> list[Dataset]:
    """The datasets, those of one name told apart by the folders above them.

    Parameters
    ----------
    datasets : sequence of Dataset
    places : sequence of Path
        Where each lies, as it is written.
    is_given : sequence of bool
        Whether its name is not to be changed: the user's, or a published dataset's.

    Raises
    ------
    InputError
        If two still have one name.
    """
    by_name: dict[str, list[int]] = {}
    for i, dataset in enumerate(datasets):
        by_name.setdefault(dataset.name, []).append(i)
    named = list(datasets)
    for name, same in by_name.items():
        names = with_folders_above([places[i] for i in same], name) if len(same) > 1 else [name]
        for i, longer in zip(same, names, strict=True):
            if longer != name and not is_given[i]:
                note = f"{longer}: another folder is named {name}, so this one, {datasets[i].root}, is called so"
                named[i] = replace(renamed(datasets[i], longer), notes=(*datasets[i].notes, note))
    roots: dict[str, Path] = {}
    for dataset in named:
        if dataset.name in roots:
            raise InputError(
                f"two datasets are named {dataset.name}: {roots[dataset.name]} and {dataset.root}; "
                "name one of them, --data-dir NAME=DIR, or leave it out"
            )
        roots[dataset.name] = dataset.root
    return named


def with_folders_above(places: Sequence[Path], name: str) -> list[str]:
    """The name behind as many of the folders above each place as tell all apart; as it is where none do.

    Examples
    --------
    >>> with_folders_above([Path("/runs/A/out"), Path("/runs/B/out")], "last")
    ['A-out-last', 'B-out-last']
    """
    above = [
        [part for part in Path(os.path.abspath(place)).parts[1:] if part != name and not _TELLS_NOTHING.fullmatch(part)]
        for place in places
    ]
    for n in range(1, max(map(len, above), default=0) + 1):
        names = ["-".join([*parts[-n:], name]) for parts in above]
        if len(set(names)) == len(names):
            return names
    return [name] * len(places)
