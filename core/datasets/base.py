"""What a dataset is: clips with attributes and a split; and the errors a user can meet.

A *task* is a dataset read through one attribute; the attribute's values are its classes. One pass
over a dataset's audio serves all its tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush
from pathlib import Path

import numpy as np

from core.datasets.splits import draw_splits, own_splits
from core.errors import InputError
from core.results import SHUFFLED, Problem
from core.untrusted_text import harmless, is_storable

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a clip with a label: a phone, a note, an event.

    Attributes
    ----------
    attribute : str
        What kind of label it is; all segments of one attribute over a dataset make one task.
    label : str
        Its class.
    onset, offset : float
        Seconds from the clip's start, ``onset < offset``.
    """

    attribute: str
    label: str
    onset: float
    offset: float


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of audio with labels; ``path`` is relative to the dataset's root (posix).

    ``split`` is ``train``, ``valid``, ``test``, or ``fold 1`` to ``fold K``; ``segments`` are in order of onset.
    """

    path: str
    split: str
    labels: Mapping[str, str]
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Clips as found on disk.

    Attributes
    ----------
    name : str
    root : Path
    attributes : tuple of str
        Each is a task.
    clips : tuple of Clip
    problems : tuple of Problem
        Rows and files left out so far, with the reason.
    split_origin : str
        ``official``, ``manifest`` or ``ours`` (seeded).
    task_names : mapping of str to str
        Attribute to task, where it is not ``<name>-<attribute>``.
    description, source, licence : str
        One line each.
    groups : tuple of str
        Attributes that say where a clip comes from; `core.datasets.choose_tasks` takes none of them by itself.
    split_of : mapping of str to tuple of str
        Attributes with a split of their own, a value a clip, in place of the clips'.
    multilabel : tuple of str
        Attributes of which a clip may have several values, held with commas between them.
    segment_attributes : tuple of str
        Attributes of clips' segments, each a task too; none is among ``attributes``. Of a demo whose sound is not made
        yet they are told before there is any segment.
    segment_files : mapping of str to (mapping of str to str)
        Files of segments that a table names: column to path of the clip to path of the file, both below the root;
        several files have ``|`` between them. `core.datasets.segments.attach` reads them.
    entropy_rate : float or None
        Share of neurons that entropy keeps, where the paper has one of its own for the dataset.
    unit_seconds : float or None
        Length to which EVAR crops or pads its clips.
    notes : tuple of str
        What a user should know before running, a line each.
    unexpected : tuple of str
        What differs from the dataset as published, a line each.
    drawn : (str, int) or None
        Where the split was drawn by `draw_splits`: the attribute within whose values, and the seed.
    kept_together : tuple of str
        Where the split is that of `own_splits`: the name that each clip's part follows from, a value a clip.
    make : callable or None
        Where files are still to be made: writes those of some clips' paths that are not there yet, tells a second
        callable how many are, and returns which it cannot make.
    """

    name: str
    root: Path
    attributes: tuple[str, ...]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    split_origin: str = "manifest"
    task_names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    source: str = ""
    licence: str = ""
    groups: tuple[str, ...] = ()
    split_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    multilabel: tuple[str, ...] = ()
    segment_attributes: tuple[str, ...] = ()
    segment_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    entropy_rate: float | None = None
    unit_seconds: float | None = None
    notes: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    drawn: tuple[str, int] | None = None
    kept_together: tuple[str, ...] = ()
    make: Callable[[Collection[str], Callable[[int], None] | None], list[Problem]] | None = None

    def task(self, attribute: str) -> str:
        """Name of the task that reads this attribute."""
        return self.task_names.get(attribute, f"{self.name}-{attribute}")

    def tasks(self) -> dict[str, str]:
        """Task name to attribute, for all attributes."""
        return {self.task(attribute): attribute for attribute in self.attributes}

    def segment_tasks(self) -> dict[str, str]:
        """Task name to attribute, for all attributes of segments."""
        return {self.task(attribute): attribute for attribute in self.segment_attributes}

    def segments_of(self, attribute: str) -> Iterator[tuple[Clip, Segment]]:
        """All segments of one attribute, with their clips, in order."""
        return ((clip, segment) for clip in self.clips for segment in clip.segments if segment.attribute == attribute)

    def segment_sizes(self, attribute: str) -> Counter[str]:
        """How many segments each of the attribute's labels has."""
        return self._segment_sizes.get(attribute, Counter())

    @cached_property
    def _segment_sizes(self) -> Mapping[str, Counter[str]]:
        """Of every attribute: a dataset may have millions of segments."""
        pairs = Counter((segment.attribute, segment.label) for clip in self.clips for segment in clip.segments)
        sizes: dict[str, Counter[str]] = {}
        for (attribute, label), n in pairs.items():
            sizes.setdefault(attribute, Counter())[label] = n
        return sizes

    def with_segments_of(self, attributes: Collection[str]) -> Dataset:
        """The dataset with the segments of some attributes alone."""
        if set(attributes) >= set(self.segment_attributes):
            return self
        clips = tuple(
            replace(clip, segments=tuple(s for s in clip.segments if s.attribute in attributes)) if clip.segments
            else clip
            for clip in self.clips
        )  # fmt: skip
        return replace(
            self, clips=clips, segment_attributes=tuple(a for a in self.segment_attributes if a in attributes)
        )

    def values(self, clip: Clip, attribute: str) -> tuple[str, ...]:
        """A clip's classes: none, one, or several of a ``multilabel`` attribute."""
        value = clip.labels.get(attribute, "")
        if attribute not in self.multilabel:
            return (value,) if value else ()
        parts = (part.strip() for part in value.split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def classes(self, attribute: str) -> list[str]:
        """The attribute's values, numbers in numeric order."""
        return natural_order(set(self.sizes(attribute)))

    def sizes(self, attribute: str) -> Counter[str]:
        """How many clips each of the attribute's values has."""
        if attribute in self.multilabel:
            return Counter(value for clip in self.clips for value in self.values(clip, attribute))
        sizes = Counter(clip.labels.get(attribute, "") for clip in self.clips)
        sizes.pop("", None)
        return sizes

    def only(self, clips: Sequence[Clip]) -> Dataset:
        """Some of the clips, each with what ``split_of`` and ``kept_together`` hold for it."""
        position: dict[str, int] = {}
        for i, clip in enumerate(self.clips):
            position.setdefault(clip.path, i)
        kept = [position[clip.path] for clip in clips]
        split_of = {attribute: tuple(splits[i] for i in kept) for attribute, splits in self.split_of.items()}
        together = tuple(self.kept_together[i] for i in kept) if self.kept_together else ()
        return replace(self, clips=tuple(clips), split_of=split_of, kept_together=together)

    def redraw(self, seed: int, attribute: str = "") -> list[str] | None:
        """The split of each clip as another seed gives it; None where there is nothing of ours to draw.

        A drawn split is drawn over the clips there are. A hashed one keeps together what it kept together (actors,
        tones). With the seed in force both give the split in force.

        Parameters
        ----------
        seed : int
        attribute : str, optional
            None is given for one with a split of its own (`split_of`): how that is made is known to the loader
            alone (VoxCeleb's gender by speaker: within each class), and the clips' split is not the one it is read in.
        """
        if attribute in self.split_of:
            return None
        if self.drawn is not None:
            return draw_splits(len(self.clips), [clip.labels.get(self.drawn[0], "") for clip in self.clips], seed)
        if self.kept_together:
            parts = own_splits(self.kept_together, seed)
            return [parts[name] for name in self.kept_together]
        return None

    def drawn_again(self) -> Dataset:
        """With the split drawn over the clips there are, so that it does not depend on those left out."""
        splits = self.redraw(self.drawn[1]) if self.drawn else None
        if splits is None:
            return self
        return replace(self, clips=tuple(replace(c, split=s) for c, s in zip(self.clips, splits, strict=True)))


def storable(dataset: Dataset) -> Dataset:
    """Without files whose names are no UTF-8: neither a database nor a terminal takes such names.

    Raises
    ------
    InputError
        If the folder itself has such a name.
    """
    if not is_storable(str(dataset.root)):
        raise InputError(f"{dataset.root}: the folder's path is no UTF-8; rename it")
    odd = [clip.path for clip in dataset.clips if not is_storable(clip.path)]
    problems = tuple(
        p if is_storable(p.path + p.reason) else replace(p, path=harmless(p.path), reason=harmless(p.reason))
        for p in (*dataset.problems, *(Problem(path, "has a name that is no UTF-8; rename it") for path in odd))
    )
    if odd:
        dataset = dataset.only([clip for clip in dataset.clips if is_storable(clip.path)]).drawn_again()
    return replace(dataset, problems=problems)


def shuffled_labels(dataset: Dataset, seed: int) -> Dataset:
    """The dataset under another name, with each clip's labels dealt to another clip of its split.

    A clip's labels stay together, so that classes and groups are as large as they were and as entangled; so does the
    name that its part follows from, as groups are to be in one part in every redraw. Segments stay where they are:
    `core.datasets.segments.turned` shifts them within their clips.
    """
    rng = np.random.default_rng([seed, len(dataset.clips)])
    labels = [clip.labels for clip in dataset.clips]
    of_split: dict[str, list[int]] = {}
    for i, clip in enumerate(dataset.clips):
        of_split.setdefault(clip.split, []).append(i)
    clips, together = list(dataset.clips), list(dataset.kept_together)
    for _, own in sorted(of_split.items()):
        for i, source in zip(own, rng.permutation(own), strict=True):
            clips[i] = replace(clips[i], labels=labels[source])
            if together:
                together[i] = dataset.kept_together[source]
    return replace(
        dataset,
        name=f"{SHUFFLED}{dataset.name}",
        clips=tuple(clips),
        task_names={
            attribute: f"{SHUFFLED}{dataset.task(attribute)}"
            for attribute in (*dataset.attributes, *dataset.segment_attributes)
        },
        split_of={},
        kept_together=tuple(together),
        notes=(*dataset.notes, f"{dataset.name}: labels are shuffled (seed {seed}); whatever is found is chance"),
    )


def natural_order(values: set[str]) -> list[str]:
    """Sort with numbers inside the text compared as numbers: 9 before 10, ``a2`` before ``a10``."""

    def key(value: str) -> list[tuple[int, float, str]]:
        parts = re.split(r"(-?\d+(?:\.\d+)?)", value)
        return [(1, 0.0, p) if i % 2 == 0 else (0, float(p), "") for i, p in enumerate(parts) if p]

    return sorted(values, key=lambda value: (key(value), value))


def draw_evenly(dataset: Dataset, attributes: Sequence[str], limit: int, seed: int) -> list[Clip]:
    """At most ``limit`` clips, drawn in turn from each class and within it over the splits.

    The first attribute has the say, with its own split where it has one; a clip of several classes counts for each
    of them. Clips that have none of the attributes and no segment come last. Order on disk is kept.
    """
    clips, first = dataset.clips, attributes[0] if attributes else ""
    if len(clips) <= limit:
        return list(clips)
    splits = dataset.split_of.get(first) or [clip.split for clip in clips]
    classes = [dataset.values(clip, first) or ("",) for clip in clips]
    rng = np.random.default_rng([seed, len(clips), limit])
    strata: dict[tuple[str, str], list[int]] = {}
    spare = []
    for i in rng.permutation(len(clips)).tolist():
        is_of_none = classes[i] == ("",) and not any(dataset.values(clips[i], attribute) for attribute in attributes)
        if is_of_none and not clips[i].segments:
            spare.append(i)
            continue
        for value in classes[i]:
            strata.setdefault((splits[i], value), []).append(i)
    # Within a class in proportion to what each split has, from a random start.
    of_class: dict[str, list[tuple[float, int]]] = {}
    for (_, value), members in strata.items():
        start = rng.random()
        places = [((rank + start) / len(members), i) for rank, i in enumerate(members)]
        of_class.setdefault(value, []).extend(places)
    waiting = {value: [i for _, i in sorted(places, reverse=True)] for value, places in of_class.items()}
    drawn = _in_turn(waiting, classes, limit)
    return [clips[i] for i in sorted([*drawn, *spare][:limit])]


def _in_turn(waiting: Mapping[str, list[int]], classes: Sequence[Sequence[str]], limit: int) -> list[int]:
    """Take the last clip of whichever class has the fewest so far."""
    drawn: dict[int, None] = {}
    n_drawn = dict.fromkeys(waiting, 0)
    turns = [(0, value) for value in sorted(waiting)]
    while turns and len(drawn) < limit:
        n, value = heappop(turns)
        if n == n_drawn[value]:
            while waiting[value] and waiting[value][-1] in drawn:
                waiting[value].pop()
            if not waiting[value]:
                continue
            clip = waiting[value].pop()
            drawn[clip] = None
            for own in classes[clip]:
                n_drawn[own] += 1
        heappush(turns, (n_drawn[value], value))
    return list(drawn)
