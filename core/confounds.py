"""What could pass for the class: level, duration, silence, and groups that cross the splits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.results import IntArray
from core.scan import LEVEL_FEATURES, Scan

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


def warnings(scan: Scan, attribute: str, labels: IntArray, names: list[str], chosen: NDArray[np.bool_]) -> list[str]:
    """Reasons for care with one task, in words.

    Parameters
    ----------
    scan : Scan
    attribute : str
    labels : ndarray of int, shape (n_clips,)
        -1 without a label.
    names : list of str
    chosen : ndarray of bool, shape (n_clips,)
        Selection clips.
    """
    found = []
    sizes = np.bincount(labels[chosen & (labels >= 0)], minlength=len(names))
    small = [f"{name} ({n})" for name, n in zip(names, sizes, strict=True) if 0 < n < SMALL_CLASS]
    if small:
        found.append(f"fewer than {SMALL_CLASS} selection clips: {_some(small)}")
    absent = [name for name, n in zip(names, sizes, strict=True) if n == 0]
    if absent:
        found.append(f"no selection clip, left out: {_some(absent)}")
    level = _level_tells(scan, labels)
    if level:
        found.append(level)
    found += _groups_cross(scan, attribute, labels)
    return found


def _level_tells(scan: Scan, labels: IntArray) -> str:
    """Whether duration, level, peak and silence alone tell the class on test clips."""
    train = scan.in_splits("train", "valid") & (labels >= 0)
    test = scan.in_splits("test") & (labels >= 0)
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


def _groups_cross(scan: Scan, attribute: str, labels: IntArray) -> list[str]:
    found = []
    clips = scan.dataset.clips
    for group in scan.dataset.attributes:
        if group == attribute or not any(group == g or group.endswith(f"_{g}") for g in GROUPS):
            continue
        values = np.array([clip.labels.get(group, "") for clip in clips])
        known = (values != "") & (labels >= 0)
        classes_of = {v: set(labels[known & (values == v)].tolist()) for v in set(values[known])}
        share = np.mean([len(c) == 1 for c in classes_of.values()]) if classes_of else 0.0
        if share < 0.9 or len(classes_of) < 2:
            continue
        held_out = scan.in_splits("test")
        crossing = set(values[known & held_out]) & set(values[known & ~held_out])
        if crossing:
            found.append(
                f"each {group} has one {attribute}, and {len(crossing)} of {len(classes_of)} occur in both "
                f"selection and test clips: a neuron for the {group} passes for one for the {attribute}"
            )
    return found


def _some(values: list[str], n: int = 5) -> str:
    return ", ".join(values[:n]) + (f" and {len(values) - n} more" if len(values) > n else "")
