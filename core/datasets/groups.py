"""Attributes that tell whose or of which recording a clip is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.datasets.scan import Scan

GROUPS = (
    "speaker",
    "voice",
    "actor",
    "singer",
    "instrument",
    "source",
    "recording",
    "session",
    "tone",
    "patch",
)
"""Attribute names that say where a clip comes from."""


def group_attributes(scan: Scan, attribute: str) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Attributes other than ``attribute`` that say where a clip comes from, and each clip's value, empty without."""
    for group in scan.dataset.attributes:
        named = group in scan.dataset.groups or any(group == g or group.endswith(f"_{g}") for g in GROUPS)
        # An attribute read in a split of its own (gender, by speaker) names no origin.
        if group != attribute and named and group not in scan.dataset.split_of:
            yield group, np.array([clip.labels.get(group, "") for clip in scan.dataset.clips])
