"""What could pass for the class: level, duration, silence, and groups that cross the splits."""

from __future__ import annotations

import numpy as np

from core.confounds.probes import feature_probe, well_over_chance
from core.datasets.groups import group_attributes
from core.datasets.task import Task
from core.results import Mask

SMALL_CLASS = 10


def warnings(task: Task, chosen: Mask) -> list[str]:
    """Reasons for care with one task, in words.

    Parameters
    ----------
    scan : Scan
    attribute : str
    chosen : ndarray of bool, shape (n_clips,)
        Selection clips.
    """
    messages = []
    members, names = task.members, task.class_names
    sizes = members[chosen].sum(axis=0)
    small = [f"{name} ({n})" for name, n in zip(names, sizes, strict=True) if 0 < n < SMALL_CLASS]
    if small:
        messages.append(f"fewer than {SMALL_CLASS} selection clips: {_some(small)}")
    absent = [name for name, n in zip(names, sizes, strict=True) if n == 0]
    if absent:
        messages.append(f"no selection clip, left out: {_some(absent)}")
    level = _level_tells(task)
    if level:
        messages.append(level)
    messages += _groups_cross(task, members)
    return messages


def _level_tells(task: Task) -> str:
    """Whether duration, level, peak and silence alone tell the class on test clips."""
    probe = feature_probe(task, "level+duration+silence")
    if not well_over_chance(probe):
        return ""
    return (
        f"duration, level and silence alone tell the class: {probe['metric']} {probe['accuracy']:.2f} on test clips, "
        f"chance {probe['chance']:.2f}; neurons that follow loudness or padding will look selective"
    )


def _groups_cross(task: Task, members: Mask) -> list[str]:
    messages = []
    held_out = task.in_splits("test")
    for group, values in group_attributes(task):
        known = (values != "") & members.any(axis=1)
        groups, of_clip = np.unique(values[known], return_inverse=True)
        clip, class_index = np.nonzero(members[known])
        met = np.unique(np.stack([of_clip[clip], class_index]), axis=1)  # each (group, class) once
        n_classes_of = np.bincount(met[0], minlength=len(groups))
        if len(groups) < 2 or np.mean(n_classes_of == 1) < 0.9:
            continue
        crossing = set(values[known & held_out]) & set(values[known & ~held_out])
        if crossing:
            messages.append(
                f"each {group} has one {task.attribute}, and {len(crossing)} of {len(groups)} occur in both "
                f"selection and test clips: a neuron for the {group} passes for one for the {task.attribute}"
            )
    return messages


def _some(values: list[str], n: int = 5) -> str:
    return ", ".join(values[:n]) + (f" and {len(values) - n} more" if len(values) > n else "")
