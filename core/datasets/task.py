"""A dataset read through one of its attributes: which classes each clip has, and which split it is in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.datasets import folds
from core.datasets.base import Dataset
from core.datasets.scan import Scan
from core.results import Mask


@dataclass(frozen=True)
class Task:
    """One attribute of a dataset whose files were all read.

    Attributes
    ----------
    scan : Scan
    attribute : str
    """

    scan: Scan
    attribute: str

    @property
    def name(self) -> str:
        """As users type it and the store keeps it, ``esc50`` or ``cremad-gender``."""
        return self.dataset.task(self.attribute)

    @property
    def dataset(self) -> Dataset:
        """Only the clips that can be used."""
        return self.scan.dataset

    @cached_property
    def class_names(self) -> list[str]:
        """In the order of class indices."""
        return self.dataset.classes(self.attribute)

    @cached_property
    def members(self) -> Mask:
        """Which classes each clip has, shape (n_clips, n_classes)."""
        index = {name: i for i, name in enumerate(self.class_names)}
        members = np.zeros((len(self.dataset.clips), len(index)), dtype=bool)
        for i, clip in enumerate(self.dataset.clips):
            for value in self.dataset.values(clip, self.attribute):
                members[i, index[value]] = True
        return members

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each clip, -1 without a label, shape (n_clips,).

        Raises
        ------
        ValueError
            Where a clip may have several labels: `members` tells them.
        """
        if self.attribute in self.dataset.multilabel:
            raise ValueError(f"clips of {self.dataset.name} may have several labels of {self.attribute}; ask members")
        index = {name: i for i, name in enumerate(self.class_names)}
        return np.array([index.get(c.labels.get(self.attribute, ""), -1) for c in self.dataset.clips])

    @cached_property
    def splits(self) -> NDArray[np.str_]:
        """Split of each clip, shape (n_clips,): the attribute's own where it has one, else the clip's."""
        own = self.dataset.split_of.get(self.attribute)
        return np.array([c.split for c in self.dataset.clips] if own is None else own, dtype=np.str_)

    def in_splits(self, *splits: str) -> NDArray[np.bool_]:
        """Which clips are in one of train, valid and test; of folds the last is test, the others are train."""
        return np.isin(folds.roles(self.splits), splits)

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Which clips a linear head is told on that has not seen them: the test clips, with folds those of any."""
        return np.isin(self.splits, folds.names(self.splits.tolist()) or ["test"])
