"""Segments beside the clips' real lengths, which are known when the sound was read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from core.datasets.base import Dataset, Segment
from core.datasets.segments import phonology
from core.results import Problem

ROUNDING = 0.02
"""Seconds beyond a clip's end that nothing is told of: tools round to their frames."""
_FAR, _SAMPLES = 20.0, 1_500.0
"""How many times the clips' lengths the last segments end where times are no seconds; and from where on they look like
samples: clips are read from 4 kHz on, milliseconds are a thousand times."""


def within(dataset: Dataset, seconds: Sequence[float]) -> tuple[Dataset, tuple[Problem, ...]]:
    """Cut segments where their clips end; what lies beyond is left out and told.

    An attribute whose segments end far beyond most of its clips has times of another unit: all of it is left out.

    Parameters
    ----------
    dataset : Dataset
    seconds : sequence of float
        The length of each clip.

    Returns
    -------
    dataset : Dataset
        With the attributes that have segments left.
    problems : tuple of Problem
        A line a clip; the clip stays.
    """
    if not dataset.segment_attributes:
        return dataset, ()
    base = frozenset(phonology.base_attributes(dataset))  # what follows from others is told of with them
    wrong = _of_another_unit(dataset, base, seconds)
    gone = {name for attribute in wrong for name in (attribute, *phonology.names(attribute))}
    clips, problems = [], []
    for clip, length in zip(dataset.clips, seconds, strict=True):
        kept = tuple(s for s in clip.segments if s.attribute not in gone) if gone else clip.segments
        inside, told = _cut(kept, length, base)
        problems += [Problem(clip.path, told, left_out=False)] if told else []
        clips.append(clip if inside == clip.segments else replace(clip, segments=inside))
    left = {segment.attribute for clip in clips for segment in clip.segments}
    checked = replace(
        dataset,
        clips=tuple(clips),
        segment_attributes=tuple(a for a in dataset.segment_attributes if a in left),
        unexpected=(*dataset.unexpected, *wrong.values()),
    )
    return checked, tuple(problems)


def cut_to(dataset: Dataset, seconds: Sequence[float], unit_seconds: float) -> Dataset:
    """The dataset whose clips are read at one length: segments of what is cropped elsewhere than at its end are gone.

    Test clips are cropped at their end. Longer train and valid clips begin anywhere, at a sample that is another for
    each model's rate, so that their segments are left out, and told.

    Parameters
    ----------
    dataset : Dataset
    seconds : sequence of float
        The length of each clip.
    unit_seconds : float
        The length at which all are read.
    """
    clips, n_without = [], 0
    for clip, length in zip(dataset.clips, seconds, strict=True):
        if length <= unit_seconds or not clip.segments:
            clips.append(clip)
        elif clip.split in ("train", "valid"):
            n_without += 1
            clips.append(replace(clip, segments=()))
        else:
            clips.append(replace(clip, segments=_cut(clip.segments, unit_seconds, ())[0]))
    if not any(clip.segments for clip in dataset.clips):
        return dataset
    note = (
        f"segments: {n_without:,} train and valid clips are cropped from anywhere (--length unit); theirs are left out"
    )
    return replace(dataset, clips=tuple(clips), notes=(*dataset.notes, *([note] if n_without else [])))


def _cut(segments: tuple[Segment, ...], length: float, told_of: Collection[str]) -> tuple[tuple[Segment, ...], str]:
    """The segments within a clip's length, and what is told of those that were not."""
    if not segments or max(s.offset for s in segments) <= length:
        return segments, ""
    inside = tuple(replace(s, offset=min(s.offset, length)) for s in segments if s.onset < length)
    told = [s for s in segments if s.attribute in told_of]
    beyond = [s for s in told if s.onset >= length]
    over = [s for s in told if s.onset < length and s.offset > length + ROUNDING]
    parts = [
        f"{_counted(some)} {what} (first {some[0].label} at {some[0].onset:g} s)"
        for some, what in ((over, "beyond it, cut there"), (beyond, "from behind its end on, left out"))
        if some
    ]
    return inside, f"lasts {length:.2f} s: {'; '.join(parts)}" if parts else ""


def _counted(segments: Sequence[Segment]) -> str:
    return f"{len(segments):,} {'segment goes' if len(segments) == 1 else 'segments go'}"


def _of_another_unit(dataset: Dataset, attributes: Collection[str], seconds: Sequence[float]) -> dict[str, str]:
    """Attributes whose times are no seconds, and what is told of each."""
    ends: dict[str, list[float]] = {
        attribute: [] for attribute in dataset.segment_attributes if attribute in attributes
    }
    for clip, length in zip(dataset.clips, seconds, strict=True):
        last: dict[str, float] = {}
        for s in clip.segments:
            last[s.attribute] = max(s.offset, last.get(s.attribute, 0.0))
        for attribute, end in last.items():
            if attribute in ends:
                ends[attribute].append(end / length)
    times = {attribute: float(np.median(of)) for attribute, of in ends.items() if of}
    return {attribute: _unit(dataset.task(attribute), n) for attribute, n in times.items() if n >= _FAR}


def _unit(task: str, times: float) -> str:
    """What is told of a task whose last segments end at so many times the clips' lengths."""
    unit, step = ("samples", "the sample rate") if times >= _SAMPLES else ("milliseconds", "1,000")
    return (
        f"segments: {task} is left out: in half of its clips the last segment ends at {times:,.0f} times the clip's "
        f"length or later, so that its times look like {unit}; they are to be seconds (divide them by {step})"
    )
