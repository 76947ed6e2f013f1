"""What could pass for the class: level, duration, silence, and groups that cross the splits."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.scan import LEVEL_FEATURES, Scan
from core.selectivity import Mask

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
SMALL_CLASS = 10


def warnings(scan: Scan, attribute: str, chosen: Mask) -> list[str]:
    """Reasons for care with one task, in words.

    Parameters
    ----------
    scan : Scan
    attribute : str
    chosen : ndarray of bool, shape (n_clips,)
        Selection clips.
    """
    found = []
    members, names = scan.members(attribute)
    sizes = members[chosen].sum(axis=0)
    small = [f"{name} ({n})" for name, n in zip(names, sizes, strict=True) if 0 < n < SMALL_CLASS]
    if small:
        found.append(f"fewer than {SMALL_CLASS} selection clips: {_some(small)}")
    absent = [name for name, n in zip(names, sizes, strict=True) if n == 0]
    if absent:
        found.append(f"no selection clip, left out: {_some(absent)}")
    level = _level_tells(scan, attribute)
    if level:
        found.append(level)
    found += _groups_cross(scan, attribute, members)
    return found


def _level_tells(scan: Scan, attribute: str) -> str:
    """Whether duration, level, peak and silence alone tell the class on test clips."""
    if attribute in scan.dataset.multilabel:
        return "clips have several labels: whether duration and level alone tell them is not looked at"
    labels, _ = scan.labels(attribute)
    train = scan.in_splits("train", "valid", attribute=attribute) & (labels >= 0)
    test = scan.in_splits("test", attribute=attribute) & (labels >= 0)
    if len(np.unique(labels[train])) < 2 or test.sum() < 20:
        return ""
    features = scan.files[list(LEVEL_FEATURES)].to_numpy(dtype=np.float64)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(features[train], labels[train])
    accuracy = float(model.score(features[test], labels[test]))
    majority = np.bincount(labels[train]).argmax()
    chance = max(float(np.mean(labels[test] == majority)), 1 / len(np.unique(labels[train])))
    if accuracy < chance + max(0.1, 3 * np.sqrt(chance * (1 - chance) / test.sum())):
        return ""
    return (
        f"duration, level and silence alone tell the class: accuracy {accuracy:.2f} on test clips, chance "
        f"{chance:.2f}; neurons that follow loudness or padding will look selective"
    )


def _groups_cross(scan: Scan, attribute: str, members: Mask) -> list[str]:
    found = []
    held_out = scan.in_splits("test", attribute=attribute)
    for group in scan.dataset.attributes:
        named = group in scan.dataset.groups or any(group == g or group.endswith(f"_{g}") for g in GROUPS)
        if group == attribute or not named:
            continue
        values = np.array([clip.labels.get(group, "") for clip in scan.dataset.clips])
        known = (values != "") & members.any(axis=1)
        groups, of_clip = np.unique(values[known], return_inverse=True)
        clip, class_index = np.nonzero(members[known])
        met = np.unique(np.stack([of_clip[clip], class_index]), axis=1)  # each (group, class) once
        n_classes_of = np.bincount(met[0], minlength=len(groups))
        if len(groups) < 2 or np.mean(n_classes_of == 1) < 0.9:
            continue
        crossing = set(values[known & held_out]) & set(values[known & ~held_out])
        if crossing:
            found.append(
                f"each {group} has one {attribute}, and {len(crossing)} of {len(groups)} occur in both "
                f"selection and test clips: a neuron for the {group} passes for one for the {attribute}"
            )
    return found


def _some(values: list[str], n: int = 5) -> str:
    return ", ".join(values[:n]) + (f" and {len(values) - n} more" if len(values) > n else "")
