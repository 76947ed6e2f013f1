"""Published datasets: what each tells of itself, and what all share.

One file a dataset in this folder holds a `Published`: how its folder is recognised, where clips lie,
how attributes and splits follow from names and metadata. Walking, checking, derived attributes and
reporting are here and in `core.datasets.files`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from core.datasets.base import Clip, Dataset
from core.datasets.derive import DERIVATIONS
from core.datasets.files import OF_OTHER_KIND, is_not_read
from core.errors import InputError
from core.results import Problem


@dataclass(frozen=True)
class Options:
    """What a user may say of datasets.

    Attributes
    ----------
    seed : int
        Of our own splits.
    evar_dir : Path, optional
        The user's own EVAR folder (holds ``evar/metadata`` and ``evar/predefined``, or is that ``evar`` folder).
    remap : mapping of str to str
        Corrections of labels that are wrong in the published metadata, for instance ``{"Norway": "France"}``.
    classes_are_folders : bool
        Whether folders that are named like folds or parts are classes.
    follow_links : bool
        Whether links may lead out of the folders that are named.
    """

    seed: int = 0
    evar_dir: Path | None = None
    remap: Mapping[str, str] = field(default_factory=dict)
    classes_are_folders: bool = False
    follow_links: bool = True


@dataclass(frozen=True)
class Listing:
    """What is on disk.

    Attributes
    ----------
    clips : list of Clip
        Paths relative to the root. ``split`` is train, valid, test, or ``fold 1`` to ``fold K``. Labels hold the
        attributes that names and metadata tell; an attribute of several labels a clip holds them with commas.
    problems : list of Problem
        Listed but missing, LFS pointers, rows without a split and the like.
    split_origin : str
        ``official``, ``EVAR`` or ``ours``.
    split_of : mapping of str to sequence of str
        Attributes (as in `Published.tasks`) with a split of their own, a value a clip.
    notes : list of str
        What the user should know, a line each.
    kept_together : sequence of str
        Where the split is that of `core.datasets.splits.own_splits`: the name that each clip's part follows from.
    n_classes : mapping of str to int
        Attributes of which `Options.remap` makes another number of classes than published, with that number.
    """

    clips: list[Clip]
    problems: list[Problem] = field(default_factory=list)
    split_origin: str = "official"
    split_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    kept_together: Sequence[str] = ()
    n_classes: Mapping[str, int] = field(default_factory=dict)


class Published(ABC):
    """A dataset that users download themselves.

    Attributes
    ----------
    name : str
        As in task names and in the store.
    title, source, licence, size : str
        For people: what it is, where to get it, under which licence, how large the download is.
    place : str
        What to put where, relative to the folder given by ``--data-dir``.
    tasks : mapping of str to str
        Attribute to task name. Every attribute named here is a task.
    groups : tuple of str
        Attributes that say where a clip comes from (speaker, recording): kept as labels, no tasks.
    derived : mapping of str to (str, str)
        Attribute to the attribute it follows from and the rule in `core.datasets.derive.DERIVATIONS`.
    n_clips : int or None
        As published, where it is sure.
    n_classes : mapping of str to int
        Of an attribute, where it is sure.
    unit_seconds : float or None
        Length to which EVAR crops or pads.
    entropy_rate : float or None
        The paper's, where it differs from 0.01.
    multilabel : tuple of str
        Attributes of which a clip may have several values, held with commas between them.
    folders : str
        Regular expression of folders that hold its sound and are no classes; empty where its folders are classes.
    lacks : str
        What it is without its table, and where that is, for who has the sound alone.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    licence: ClassVar[str]
    size: ClassVar[str]
    place: ClassVar[str]
    tasks: ClassVar[Mapping[str, str]]
    groups: ClassVar[tuple[str, ...]] = ()
    derived: ClassVar[Mapping[str, tuple[str, str]]] = {}
    n_clips: ClassVar[int | None] = None
    n_classes: ClassVar[Mapping[str, int]] = {}
    unit_seconds: ClassVar[float | None] = None
    entropy_rate: ClassVar[float | None] = None
    multilabel: ClassVar[tuple[str, ...]] = ()
    folders: ClassVar[str] = ""
    lacks: ClassVar[str] = ""

    @classmethod
    def is_without_its_table(cls, folders: Sequence[str]) -> bool:
        """Whether folders are named like those of this dataset's sound."""
        return bool(cls.folders) and all(re.fullmatch(cls.folders, name) for name in folders)

    @abstractmethod
    def recognise(self, folder: Path) -> bool:
        """Whether ``folder`` is this dataset's root, by a look at a few names; never walks the tree."""

    def recognise_by_evar(self, folder: Path, options: Options) -> bool:
        """Whether ``folder`` is its sound without its own tables, of which the user's EVAR folder has one."""
        return False

    @abstractmethod
    def listing(self, root: Path, options: Options) -> Listing:
        """List the clips; audio is not opened but for its first bytes where pointers are known to occur.

        Raises
        ------
        InputError
            If metadata that cannot be done without are missing or unreadable.
        """

    def read(self, root: Path, options: Options) -> Dataset:
        """The dataset as the rest of the project knows it, derived attributes added."""
        listing = self.listing(root, options)
        rules = [(name, origin, cache(DERIVATIONS[rule])) for name, (origin, rule) in self.derived.items()]
        clips = tuple(replace(c, labels=_with_derived(c.labels, rules)) for c in listing.clips)
        dataset = Dataset(
            name=self.name,
            root=root.resolve(),
            attributes=tuple(self.tasks) + tuple(g for g in self.groups if g not in self.tasks),
            clips=clips,
            problems=tuple(listing.problems),
            split_origin=listing.split_origin,
            task_names=dict(self.tasks),
            description=self.title,
            source=self.source,
            licence=self.licence,
            groups=self.groups,
            split_of={attribute: tuple(splits) for attribute, splits in listing.split_of.items()},
            multilabel=self.multilabel,
            entropy_rate=self.entropy_rate,
            unit_seconds=self.unit_seconds,
            notes=tuple(listing.notes),
            unexpected=self._unexpected(clips, listing.n_classes),
            kept_together=tuple(listing.kept_together),
        )
        others = tuple(Problem(clip.path, OF_OTHER_KIND) for clip in clips if is_not_read(clip.path))
        if not others:
            return dataset
        read = [clip for clip in clips if not is_not_read(clip.path)]
        if not read:
            raise InputError(f"{self.name} in {root}: each of its {len(others):,} files {OF_OTHER_KIND}")
        return replace(dataset.only(read), problems=(*dataset.problems, *others))

    def _unexpected(self, clips: Sequence[Clip], remapped: Mapping[str, int]) -> tuple[str, ...]:
        notes = []
        if self.n_clips is not None and len(clips) != self.n_clips:
            notes.append(f"{self.name}: {len(clips):,} clips found, {self.n_clips:,} published")
        for attribute, n_published in self.n_classes.items():
            n = remapped.get(attribute, n_published)
            n_found = len({clip.labels[attribute] for clip in clips if attribute in clip.labels})
            if n_found != n and attribute not in self.multilabel:
                of_these = f" that --remap makes {n}" if n != n_published else ""
                notes.append(f"{self.name}: {n_found} values of {attribute} found, {n_published} published{of_these}")
        return tuple(notes)


def _with_derived(
    labels: Mapping[str, str], rules: Sequence[tuple[str, str, Callable[[str], str]]]
) -> Mapping[str, str]:
    every = dict(labels) if all(labels.values()) else {name: value for name, value in labels.items() if value}
    for name, origin, rule in rules:
        if origin in every:
            value = rule(every[origin])
            if value:
                every[name] = value
    return every
