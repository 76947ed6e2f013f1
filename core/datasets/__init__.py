"""Datasets on disk: which there are, and which are found below the folders a user names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from core.datasets import manifest
from core.datasets.base import Clip, Dataset, InputError

CLIPS_PER_CLASS = 4
"""Mean clips a class below which ``--tasks all`` takes an attribute for a name."""

__all__ = ["Clip", "Dataset", "InputError", "choose_tasks", "find"]


def find(data_dirs: Sequence[Path], seed: int = 0) -> list[Dataset]:
    """Datasets in some folders: the folder itself, or each of its sub-folders.

    Raises
    ------
    InputError
        If a folder is missing, holds no dataset, or two datasets have one name.
    """
    found: dict[str, Dataset] = {}
    for folder in data_dirs:
        if not folder.is_dir():
            raise InputError(f"--data-dir {folder}: no such folder; give the folder that holds datasets")
        candidates = [folder] if manifest.recognise(folder) else sorted(folder.iterdir())
        here = [
            manifest.read(candidate, seed)
            for candidate in candidates
            if candidate.is_dir() and manifest.recognise(candidate)
        ]
        if not here:
            raise InputError(f"--data-dir {folder}: no dataset found; expected a manifest.csv in it or in a sub-folder")
        for dataset in here:
            if dataset.name in found:
                raise InputError(
                    f"two datasets are named {dataset.name}: {found[dataset.name].root} and "
                    f"{dataset.root}; rename one folder"
                )
            found[dataset.name] = dataset
    return list(found.values())


def choose_tasks(datasets: Sequence[Dataset], wanted: str) -> tuple[list[tuple[Dataset, tuple[str, ...]]], list[str]]:
    """The datasets with the attributes that are asked for.

    Parameters
    ----------
    datasets : sequence of Dataset
    wanted : str
        Task names with commas, or ``all``: every attribute but those that name single clips
        rather than classes (fewer than `CLIPS_PER_CLASS` clips a class) or have one value.

    Returns
    -------
    chosen : list of (Dataset, attributes)
    left_out : list of str
        What ``all`` left out, and why, a line each.

    Raises
    ------
    InputError
        If a name is unknown; names the nearest.
    """
    if wanted.strip() == "all":
        left_out: list[str] = []
        chosen = []
        for dataset in datasets:
            reasons = {a: _not_a_task(dataset, a) for a in dataset.attributes}
            left_out += [f"{dataset.task(a)}: {reason}" for a, reason in reasons.items() if reason]
            chosen.append((dataset, tuple(a for a, reason in reasons.items() if not reason)))
        return [(d, attributes) for d, attributes in chosen if attributes], left_out
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    known = [task for dataset in datasets for task in dataset.tasks()]
    if not names:
        raise InputError(f"--tasks is empty; expected 'all' or some of {', '.join(known)}")
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
            raise InputError(f"unknown task '{name}'; {hint} (--list shows all)")
    chosen = [(d, tuple(a for a in d.attributes if d.task(a) in names)) for d in datasets]
    return [(d, attributes) for d, attributes in chosen if attributes], []


def _not_a_task(dataset: Dataset, attribute: str) -> str:
    n_labelled = sum(attribute in clip.labels for clip in dataset.clips)
    n_classes = len(dataset.classes(attribute))
    if n_classes < 2:
        return f"{n_classes} class, nothing to tell apart"
    if n_labelled < CLIPS_PER_CLASS * n_classes:
        return (
            f"{n_classes} values over {n_labelled} clips look like names of single clips; "
            f"--tasks {dataset.task(attribute)} runs it all the same"
        )
    return ""
