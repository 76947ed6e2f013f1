"""Splits that are folds: ``fold 1`` to ``fold K``, each of which is the test split once.

Selection and replication need one split for all: the last fold is their test split, the others are
theirs to choose from. Linear heads go round all folds (`core.probes.fit`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_PREFIX = "fold "


def names(splits: Iterable[str]) -> list[str]:
    """The folds among some splits, in order of their numbers."""
    folds = {split for split in splits if split.startswith(_PREFIX) and split[len(_PREFIX) :].isdecimal()}
    return sorted(folds, key=lambda split: int(split[len(_PREFIX) :]))


def roles(splits: NDArray[np.str_]) -> NDArray[np.str_]:
    """The splits with the last fold called ``test`` and every other fold ``train``."""
    every = names(set(splits.tolist()))
    if not every:
        return splits
    role = {**dict.fromkeys(every, "train"), every[-1]: "test"}
    return np.array([role.get(split, split) for split in splits.tolist()])
