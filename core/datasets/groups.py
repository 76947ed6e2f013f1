"""Attributes that tell whose or of which recording a clip is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.datasets.scan import Scan
from core.datasets.task import Task

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


def group_attributes(task: Task) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Attributes other than ``attribute`` that say where a clip comes from, and each clip's value, empty without."""
    for group in task.dataset.attributes:
        named = group in task.dataset.groups or any(group == g or group.endswith(f"_{g}") for g in GROUPS)
        # An attribute read in a split of its own (gender, by speaker) names no origin.
        if group != task.attribute and named and group not in task.dataset.split_of:
            yield group, np.array([clip.labels.get(group, "") for clip in task.dataset.clips])


def telling_attributes(scan: Scan) -> list[str]:
    """Attributes of a dataset but those that say where a clip comes from."""
    origins = {name for attribute in scan.dataset.attributes for name, _ in group_attributes(Task(scan, attribute))}
    return [name for name in scan.dataset.attributes if name not in origins]
