"""What a dataset is: clips with attributes and a split; and the errors a user can meet.

A *task* is a dataset read through one attribute; the attribute's values are its classes. One pass
over a dataset's audio serves all its tasks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.results import Problem

SPLITS = ("train", "valid", "test")


class InputError(ValueError):
    """A user's mistake: one clear line that names the thing, what was expected and the next step."""


@dataclass(frozen=True)
class Clip:
    """One piece of audio with labels; ``path`` is relative to the dataset's root (posix).

    ``split`` is ``train``, ``valid``, ``test``, or ``fold 1`` to ``fold K``.
    """

    path: str
    split: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Dataset:
    """Clips as found on disk.

    Attributes
    ----------
    name : str
    root : Path
    attributes : tuple of str
        Each is a task.
    clips : tuple of Clip
    problems : tuple of Problem
        Rows and files left out so far, with the reason.
    split_origin : str
        ``official``, ``manifest`` or ``ours`` (seeded).
    task_names : mapping of str to str
        Attribute to task, where it is not ``<name>-<attribute>``.
    description, source, licence : str
        One line each.
    groups : tuple of str
        Attributes that say where a clip comes from; `core.datasets.choose_tasks` takes none of them by itself.
    split_of : mapping of str to tuple of str
        Attributes with a split of their own, a value a clip, in place of the clips'.
    multilabel : tuple of str
        Attributes of which a clip may have several values, held with commas between them.
    entropy_rate : float or None
        Share of neurons that entropy keeps, where the paper has one of its own for the dataset.
    unit_seconds : float or None
        Length to which EVAR crops or pads its clips.
    notes : tuple of str
        What a user should know before running, a line each.
    unexpected : tuple of str
        What differs from the dataset as published, a line each.
    """

    name: str
    root: Path
    attributes: tuple[str, ...]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    split_origin: str = "manifest"
    task_names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: str = ""
    licence: str = ""
    groups: tuple[str, ...] = ()
    split_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    multilabel: tuple[str, ...] = ()
    entropy_rate: float | None = None
    unit_seconds: float | None = None
    notes: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()

    def task(self, attribute: str) -> str:
        """Name of the task that reads this attribute."""
        return self.task_names.get(attribute, f"{self.name}-{attribute}")

    def tasks(self) -> dict[str, str]:
        """Task name to attribute, for all attributes."""
        return {self.task(attribute): attribute for attribute in self.attributes}

    def values(self, clip: Clip, attribute: str) -> tuple[str, ...]:
        """A clip's classes: none, one, or several of a ``multilabel`` attribute."""
        value = clip.labels.get(attribute, "")
        if attribute not in self.multilabel:
            return (value,) if value else ()
        parts = (part.strip() for part in value.split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def classes(self, attribute: str) -> list[str]:
        """The attribute's values, numbers in numeric order."""
        return natural_order({value for clip in self.clips for value in self.values(clip, attribute)})

    def only(self, clips: Sequence[Clip]) -> Dataset:
        """Some of the clips, each with what ``split_of`` holds for it."""
        position: dict[str, int] = {}
        for i, clip in enumerate(self.clips):
            position.setdefault(clip.path, i)
        kept = [position[clip.path] for clip in clips]
        split_of = {attribute: tuple(splits[i] for i in kept) for attribute, splits in self.split_of.items()}
        return replace(self, clips=tuple(clips), split_of=split_of)


def natural_order(values: set[str]) -> list[str]:
    """Sort with numbers inside the text compared as numbers: 9 before 10, ``a2`` before ``a10``."""

    def key(value: str) -> list[tuple[int, float, str]]:
        parts = re.split(r"(-?\d+(?:\.\d+)?)", value)
        return [(1, 0.0, p) if i % 2 == 0 else (0, float(p), "") for i, p in enumerate(parts) if p]

    return sorted(values, key=lambda value: (key(value), value))


def draw_splits(n_clips: int, groups: Sequence[str], seed: int) -> list[str]:
    """Our own seeded split, 60/15/25, a stratum at a time.

    Parameters
    ----------
    n_clips : int
    groups : sequence of str, length n_clips
        Strata: each is split by itself, so that every class gets its share of each part.
    seed : int
    """
    splits = [""] * n_clips
    rng = np.random.default_rng([seed, n_clips])
    for group in sorted(set(groups)):
        members = rng.permutation([i for i, g in enumerate(groups) if g == group])
        for rank, i in enumerate(members):
            share = (rank + 0.5) / len(members)
            splits[i] = "train" if share < 0.6 else "valid" if share < 0.75 else "test"
    return splits


def draw_evenly(clips: Sequence[Clip], attributes: Sequence[str], limit: int, seed: int) -> list[Clip]:
    """At most ``limit`` clips, drawn in turn from each class and within it over the splits.

    The first attribute has the say; order on disk is kept.
    """
    if len(clips) <= limit:
        return list(clips)
    rng = np.random.default_rng([seed, len(clips), limit])
    strata: dict[tuple[str, str], list[int]] = {}
    for i in rng.permutation(len(clips)):
        clip = clips[i]
        strata.setdefault((clip.split, clip.labels.get(attributes[0], "")), []).append(int(i))
    # Within a class in proportion to what each split has, from a random start; then in turn over classes.
    of_class: dict[str, list[tuple[float, int]]] = {}
    for (_, value), members in strata.items():
        start = rng.random()
        places = [((rank + start) / len(members), i) for rank, i in enumerate(members)]
        of_class.setdefault(value, []).extend(places)
    queue = [(turn, value, i) for value, own in of_class.items() for turn, (_, i) in enumerate(sorted(own))]
    return [clips[i] for i in sorted(i for *_, i in sorted(queue)[:limit])]
