"""Segments on the columns of an encoder's tokens: which class is on when.

A column belongs to a class when at least half of its span lies in segments of that class (`HALF`). Columns may belong
to several classes, where labels overlap, or to none. Columns without a counted token are left out: those that hold
padding; the others follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.arrays.neurons import layer_starts
from core.datasets.base import Segment, natural_order
from core.datasets.task import Task
from core.describe.tokens import column_spans
from core.recording.firing import Firing
from core.results import FloatArray, IntArray, Mask, TokenGrid

HALF = 0.5
"""Share of a column's span that lies in segments of a class it belongs to, at least."""
_PAIRS = 2**20
"""Units of layers that are counted together times classes, at most."""
_ROUNDING = 1e-9
"""Seconds by which sums of times may be off."""


@dataclass(frozen=True)
class SegmentTask(Task):
    """One attribute of clips' segments; a clip is a member of each class of which it has a segment."""

    @cached_property
    def class_names(self) -> list[str]:
        """In the order of class indices."""
        return natural_order({s.label for clip in self.dataset.clips for s in clip.segments if self._has(s)})

    @cached_property
    def members(self) -> Mask:
        """Which classes each clip has, shape (n_clips, n_classes)."""
        index = {name: i for i, name in enumerate(self.class_names)}
        members = np.zeros((len(self.dataset.clips), len(index)), dtype=np.bool_)
        for i, segments in enumerate(self.segments):
            members[i, [index[s.label] for s in segments]] = True
        return members

    @cached_property
    def segments(self) -> list[list[Segment]]:
        """Of each clip those of this attribute, in order of onset."""
        return [[s for s in clip.segments if self._has(s)] for clip in self.dataset.clips]

    @property
    def lengths(self) -> FloatArray:
        """Seconds of every segment."""
        return np.array([s.offset - s.onset for of_clip in self.segments for s in of_clip], dtype=np.float64)

    def _has(self, segment: Segment) -> bool:
        return segment.attribute == self.attribute


@dataclass(frozen=True)
class Track:
    """A clip's labels on the columns of a layer, within the stretch over which they are shifted.

    Attributes
    ----------
    clip : int
    columns : ndarray of int, shape (n,)
        Which columns of the clip: from the first to the last labelled one where the clip has two classes and more,
        else all that count.
    cells : ndarray of float32, shape (n,)
        Counted tokens of each.
    classes : ndarray of int, shape (n_present,)
        Those that have a column.
    masks : ndarray of bool, shape (n_present, n)
        Which columns belong to each.
    onsets : tuple of ndarray of int
        Of each class present: the columns of the stretch in which its segments begin, those in which a column lies.
    is_within : bool
        Whether the stretch ends with the labels.
    """

    clip: int
    columns: IntArray
    cells: NDArray[np.float32]
    classes: IntArray
    masks: Mask
    onsets: tuple[IntArray, ...]
    is_within: bool

    @property
    def n(self) -> int:
        """Columns, so many shifts."""
        return len(self.columns)


def union(segments: Iterable[Segment]) -> FloatArray:
    """Stretches that some segments cover together, shape (n, 2), in order, none touching the next.

    Examples
    --------
    >>> union([Segment("a", "x", 0.0, 1.0), Segment("a", "x", 0.5, 2.0), Segment("a", "x", 3.0, 4.0)]).tolist()
    [[0.0, 2.0], [3.0, 4.0]]
    """
    joined: list[list[float]] = []
    for segment in sorted(segments, key=lambda s: (s.onset, s.offset)):
        if joined and segment.onset <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], segment.offset)
        else:
            joined.append([segment.onset, segment.offset])
    return np.array(joined, dtype=np.float64).reshape(-1, 2)


def laid(spans: FloatArray, of_class: Mapping[int, Sequence[Segment]]) -> Mask:
    """Which columns belong to each class: lie in its segments by at least `HALF`; (n_classes, n_columns).

    Parameters
    ----------
    spans : ndarray, shape (n_columns, 2)
        Seconds.
    of_class : mapping of int to sequence of Segment
        None without a segment.
    """
    if not of_class:
        return np.zeros((0, len(spans)), dtype=np.bool_)
    stretches = [union(segments) for segments in of_class.values()]
    covered = _covered(spans, np.concatenate(stretches))
    of_each = np.add.reduceat(covered, np.cumsum([0, *map(len, stretches[:-1])]), axis=1)
    return _is_half(of_each, spans).T


def _covered(spans: FloatArray, stretches: FloatArray) -> FloatArray:
    """Seconds of each column that each stretch covers, (n_columns, n_stretches)."""
    ends = np.minimum(spans[:, None, 1], stretches[None, :, 1])
    return np.maximum(ends - np.maximum(spans[:, None, 0], stretches[None, :, 0]), 0)


def has_column(spans: FloatArray, times: FloatArray) -> Mask:
    """Whether a column belongs to each segment by itself, (n_segments,), of times (n_segments, 2)."""
    return np.asarray(_is_half(_covered(spans, times), spans).any(axis=0))


def _is_half(covered: FloatArray, spans: FloatArray) -> Mask:
    return np.asarray(covered >= (HALF * (spans[:, 1] - spans[:, 0]) - _ROUNDING)[:, None])


def track(clip: int, of_class: Mapping[int, Sequence[Segment]], spans: FloatArray, cells: IntArray) -> Track:
    """A clip's labels on its columns.

    Parameters
    ----------
    clip : int
    of_class : mapping of int to sequence of Segment
        By class index, in order of onset.
    spans : ndarray, shape (n_columns, 2)
        Seconds, from `core.describe.tokens.column_spans`.
    cells : ndarray of int, shape (n_columns,)
        Counted tokens of each column.
    """
    counted = np.flatnonzero(cells > 0)
    of_class = dict(sorted(of_class.items()))
    every = laid(spans[counted], of_class)
    is_there = every.any(axis=1)
    every, present = every[is_there], np.array(list(of_class), dtype=np.int64)[is_there].tolist()
    is_within = len(present) > 1
    labelled = np.flatnonzero(every.any(axis=0))
    first, stop = (int(labelled[0]), int(labelled[-1]) + 1) if is_within else (0, len(counted))
    columns = counted[first:stop]
    starts = spans[columns, 0]
    last = float(spans[columns[-1], 1]) if len(columns) else 0.0
    times = np.array([(s.onset, s.offset) for k in present for s in of_class[k]], dtype=np.float64).reshape(-1, 2)
    begins, is_counted = times[:, 0], has_column(spans[counted], times)
    column = np.searchsorted(starts, begins + _ROUNDING, side="right") - 1
    is_inside = (column >= 0) & (begins < last) & is_counted
    ends = np.cumsum([0, *(len(of_class[k]) for k in present)]).tolist()
    onsets = tuple(column[i:j][is_inside[i:j]] for i, j in pairwise(ends))
    return Track(
        clip, columns, cells[columns].astype(np.float32), np.array(present, dtype=np.int64), every[:, first:stop],
        onsets, is_within,
    )  # fmt: skip


class Tracks:
    """Tracks of a task's clips in each layer; worked out anew where a layer's columns are others than those before.

    Layers of the same columns are counted in blocks: a clip is small beside what it costs to ask for it.

    Parameters
    ----------
    task : SegmentTask
    firing : Firing
    grid : callable
        The `TokenGrid` of a layer.
    """

    def __init__(self, task: SegmentTask, firing: Firing, grid: Callable[[int], TokenGrid]) -> None:
        self.task, self.firing, self.grid = task, firing, cache(grid)
        index = {name: i for i, name in enumerate(task.class_names)}
        self._of_class: list[dict[int, list[Segment]]] = []
        for segments in task.segments:
            of_class: dict[int, list[Segment]] = {}
            for segment in segments:
                of_class.setdefault(index[segment.label], []).append(segment)
            self._of_class.append(of_class)
        own = task.scan.files["seconds"].to_numpy(dtype=np.float64)
        self._seconds = np.full(len(own), task.scan.unit_seconds) if task.scan.unit_seconds else own
        self._known: dict[tuple[int, int], Track] = {}
        self._latest: dict[int, tuple[TokenGrid, Mask, Track]] = {}

    @cached_property
    def clips(self) -> IntArray:
        """Clips that have segments, bits, and a token that counts."""
        has = np.array([bool(of_class) for of_class in self._of_class], dtype=np.bool_)
        there = np.flatnonzero(has & (self.firing.file_of >= 0)).tolist()
        return np.array([clip for clip in there if self.firing.counted(clip, 0).any()], dtype=np.int64)

    def of(self, clip: int, layer: int) -> Track:
        """The track of one clip in one layer."""
        at = self._known.get((clip, layer))
        if at is None:
            at = self._known[clip, layer] = self._made(clip, layer)
        return at

    def _made(self, clip: int, layer: int) -> Track:
        grid, counted = self.grid(layer), self.firing.counted(clip, layer)
        known = self._latest.get(clip)
        if known and known[0] == grid and np.array_equal(known[1], counted):
            return known[2]
        spans = column_spans(grid, counted.shape[1], float(self._seconds[clip]))
        made = track(clip, self._of_class[clip], spans, counted.sum(axis=0))
        self._latest[clip] = grid, counted, made
        return made

    def with_class(self, clips: IntArray, class_index: int, layer: int) -> Iterator[tuple[Track, int]]:
        """Tracks of some clips that have columns of a class, and where among the classes of each that is."""
        for clip in clips[self.task.members[clips, class_index]].tolist():
            track = self.of(clip, layer)
            at = np.flatnonzero(track.classes == class_index)
            if len(at):
                yield track, int(at[0])

    def fires(self, track: Track, layers: range, units: IntArray | None = None) -> NDArray[np.float32]:
        """In how many bands each unit of some layers fires in the columns of a track, or some of them, (n, n_units)."""
        return self._fires(track.clip, layers, units)[track.columns].astype(np.float32)

    def _fires(self, clip: int, layers: range, units: IntArray | None) -> NDArray[np.uint8]:
        """The same in every column of a clip; units, ascending, are numbered through these layers."""
        if units is None:
            of_each = [self.firing.columns(clip, layer) for layer in layers]
        else:
            starts = layer_starts(self.firing.widths[layers.start : layers.stop])
            at = np.searchsorted(units, starts).tolist()
            of_each = [
                self.firing.columns(clip, layer, units[first:stop] - start)
                for layer, first, stop, start in zip(layers, at, at[1:], starts, strict=False)
                if first < stop
            ]
        return of_each[0] if len(of_each) == 1 else np.concatenate(of_each, axis=1)

    def n_columns(self, clip: int, layer: int) -> int:
        """Columns of a clip with a counted token, labelled or not."""
        return int(self.firing.counted(clip, layer).any(axis=0).sum())

    def everywhere(self, clip: int, classes: IntArray, layer: int) -> Mask:
        """Which of these columns belong to each of some classes, (n_classes, n_columns)."""
        spans, of_class = self._spans(clip, layer), self._of_class[clip]
        own = {k: of_class[k] for k in classes.tolist() if k in of_class}
        masks = np.zeros((len(classes), len(spans)), dtype=np.bool_)
        masks[np.isin(classes, list(own))] = laid(spans, own)
        return masks

    def _spans(self, clip: int, layer: int) -> FloatArray:
        """Seconds in which these columns begin and end."""
        counted = self.firing.counted(clip, layer)
        return column_spans(self.grid(layer), counted.shape[1], float(self._seconds[clip]))[counted.any(axis=0)]

    def fires_everywhere(self, clip: int, layers: range, units: IntArray) -> NDArray[np.float32]:
        """In how many bands some units of some layers fire in these columns, (n_columns, n_units)."""
        counted = self.firing.counted(clip, layers.start).any(axis=0)
        return self._fires(clip, layers, units)[counted].astype(np.float32)

    @cached_property
    def blocks(self) -> list[range]:
        """Layers that are counted together: that follow each other and have the same columns."""
        most = _PAIRS // (len(self.task.class_names) + 1)
        blocks = [range(1)]
        for layer in range(1, len(self.firing.widths)):
            last = blocks[-1]
            if sum(self.firing.widths[last.start : layer + 1]) <= most and self._are_alike(last.start, layer):
                blocks[-1] = range(last.start, layer + 1)
            else:
                blocks.append(range(layer, layer + 1))
        return blocks

    @property
    def widths(self) -> list[int]:
        """Units of each block."""
        return [sum(self.firing.widths[block.start : block.stop]) for block in self.blocks]

    def _are_alike(self, one: int, other: int) -> bool:
        firing = self.firing
        return self.grid(one) == self.grid(other) and all(
            np.array_equal(firing.counted(clip, one), firing.counted(clip, other)) for clip in self.clips.tolist()
        )

    def n_without(self, layer: int) -> IntArray:
        """Segments of each class that no column belongs to by itself, (n_classes,): too short for the columns."""
        missed = np.zeros(len(self.task.class_names), dtype=np.int64)
        for clip in self.clips.tolist():
            spans = self._spans(clip, layer)
            every = [(k, s.onset, s.offset) for k, segments in self._of_class[clip].items() for s in segments]
            class_index, onset, offset = (np.array(column) for column in zip(*every, strict=True))
            np.add.at(missed, class_index[~has_column(spans, np.column_stack([onset, offset]))], 1)
        return missed

    def seconds_of(self, layer: int) -> float:
        """From column to column of a layer; the median over clips where its grid does not say."""
        grid = self.grid(layer)
        if grid.column_seconds is not None:
            return grid.column_seconds
        n = [max(1, int(self.firing.shape[clip, layer, 1])) for clip in self.clips.tolist()]
        return float(np.median(self._seconds[self.clips] / np.array(n))) if n else float("nan")
