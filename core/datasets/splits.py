"""Splits of our own: drawn a stratum at a time, or told by a hash of a name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

SPLIT_WORDS = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
"""What people call the parts of a split, in any case."""
_FOLD = re.compile(r"fold[ _-]?0{0,3}([1-9][0-9]{0,3})")
_SHARES = (("train", 0.70), ("valid", 0.10), ("test", 0.20))


def split_named(text: str) -> str:
    """``train``, ``valid``, ``test`` or ``fold N`` of how people write it; empty for anything else.

    Examples
    --------
    >>> split_named("Validation"), split_named("dev"), split_named("Fold_03"), split_named("rain")
    ('valid', 'valid', 'fold 3', '')
    """
    word = text.strip().lower()
    fold = _FOLD.fullmatch(word)
    return f"fold {fold[1]}" if fold else SPLIT_WORDS.get(word, "")


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
    of_group: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        of_group.setdefault(group, []).append(i)
    for _, own in sorted(of_group.items()):
        members = rng.permutation(own)
        for rank, i in enumerate(members):
            share = (rank + 0.5) / len(members)
            splits[i] = "train" if share < 0.6 else "valid" if share < 0.75 else "test"
    return splits


def own_splits(groups: Iterable[str], seed: int) -> dict[str, str]:
    """A split of our own, 70/10/20 by groups: a group's part depends on its name and the seed alone.

    Parameters
    ----------
    groups : iterable of str
        Names; clips of one group stay together.

    Returns
    -------
    dict
        Group to train, valid or test.
    """
    return {group: _part(group, seed) for group in set(groups)}


def _part(group: str, seed: int) -> str:
    number = int.from_bytes(hashlib.sha256(f"{seed}/{group}".encode()).digest()[:8], "big") / 2**64
    for name, share in _SHARES:
        if number < share:
            return name
        number -= share
    return _SHARES[-1][0]
