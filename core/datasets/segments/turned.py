"""Segments where chance puts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.datasets.base import Clip, Dataset, Segment


def turned(dataset: Dataset, seconds: Sequence[float], seed: int) -> Dataset:
    """The dataset with each clip's segments shifted round it by an amount drawn for it.

    All attributes of a clip go together. What goes over the end is cut there, and its rest begins the clip: labels,
    their lengths and their order stay, what they are labels of does not.

    Parameters
    ----------
    dataset : Dataset
    seconds : sequence of float
        The length of each clip.
    seed : int
    """
    if not dataset.segment_attributes:
        return dataset
    rng = np.random.default_rng([seed, len(dataset.clips), 0x5E6])
    shares = rng.random(len(dataset.clips))
    clips = tuple(
        _turned(clip, length, share * length)
        for clip, length, share in zip(dataset.clips, seconds, shares.tolist(), strict=True)
    )
    return replace(dataset, clips=clips)


def _turned(clip: Clip, length: float, by: float) -> Clip:
    moved: list[Segment] = []
    for s in clip.segments:
        onset, offset = (s.onset + by) % length, (s.onset + by) % length + s.offset - s.onset
        moved.append(replace(s, onset=onset, offset=min(offset, length)))
        if offset > length:
            moved.append(replace(s, onset=0.0, offset=offset - length))
    return replace(clip, segments=tuple(sorted(moved, key=lambda s: (s.onset, s.offset, s.attribute, s.label))))
