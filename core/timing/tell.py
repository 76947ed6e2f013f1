"""From tracks to the record of a segment task: counts, evidence, curves, and what the user should know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.datasets.segments.key import segments_key
from core.evidence.curves import band
from core.evidence.exchange_of_task import group_of_clips
from core.results import FloatArray, IntArray, SegmentLabels, SegmentScores
from core.timing import curves as around
from core.timing.evidence import N_DRAWN, RULE, Design, Found, find, n_steps
from core.timing.exchanged import exchanged_p
from core.timing.tracks import SegmentTask, Tracks

FEWEST_CLIPS = 2
"""Selection clips with segments that are needed."""


def labels_of(task: SegmentTask) -> SegmentLabels:
    """The segments as the store keeps them."""
    index = {name: i for i, name in enumerate(task.class_names)}
    rows = [
        (clip, number, index[segment.label], segment.onset, segment.offset)
        for clip, segments in enumerate(task.segments)
        for number, segment in enumerate(segments)
    ]
    columns = ["clip_index", "number", "class_index", "onset_seconds", "offset_seconds"]
    frame = pd.DataFrame(rows, columns=columns)
    return SegmentLabels(
        task.dataset.name,
        task.attribute,
        task.name,
        segments_key(task.scan, task.attribute),
        tuple(task.class_names),
        frame,
    )


@dataclass(frozen=True)
class Study:
    """One segment task of one model, ready to be counted."""

    tracks: Tracks
    design: Design
    seed: int

    @classmethod
    def of(cls, tracks: Tracks, selection_splits: tuple[str, ...], seed: int) -> Study:
        return cls(tracks, Design.of(tracks, selection_splits, seed), seed)

    @property
    def n_steps(self) -> int:
        """How often `run` tells: clips and blocks of layers, then curves."""
        return n_steps(self.tracks, self.design) + len(self.tracks.blocks)

    @property
    def lacks(self) -> str:
        """Why there is nothing to count, in words; empty where there is something."""
        n = len(self.design.chosen)
        return "" if n >= FEWEST_CLIPS else f"{n} selection clips with segments; expected {FEWEST_CLIPS} or more"

    def run(self, step: Callable[[], None]) -> SegmentScores:
        """Everything that is told of the task."""
        tracks, task = self.tracks, self.tracks.task
        found = find(tracks, self.design, step)
        every = np.ones(len(task.dataset.clips), dtype=np.bool_)
        groups = group_of_clips(task, every)
        exchanged = exchanged_p(tracks, self.design, found, groups)
        parts, done = [], -1
        for number, part in around.curves(tracks, self.design, found, groups, self.seed):
            parts.append(part)
            for _ in range(number - max(done, 0)):
                step()
            done = number
        for _ in range(len(tracks.blocks) - max(done, 0)):
            step()
        points = _joined([part.points for part in parts], found.present)
        shapes = _joined([part.shapes for part in parts], found.present)
        layer = finest(tracks)
        classes = self._classes(found, layer)
        facts = self._facts(found, layer) | {"exchanged_share": _share_below(exchanged)}
        return SegmentScores(
            labels_of(task), classes, _scores(found, exchanged), _units(found), points, shapes, facts,
            self._warnings(found, classes, facts),
        )  # fmt: skip

    def _classes(self, found: Found, layer: int) -> pd.DataFrame:
        task, design = self.tracks.task, self.design
        n = len(task.class_names)
        index = {name: i for i, name in enumerate(task.class_names)}
        lengths: list[list[float]] = [[] for _ in range(n)]
        n_segments = np.zeros(n, dtype=np.int64)
        is_chosen = np.zeros(len(task.members), dtype=np.bool_)
        is_chosen[design.chosen] = True
        for clip, segments in enumerate(task.segments):
            for segment in segments:
                lengths[index[segment.label]].append(segment.offset - segment.onset)
                n_segments[index[segment.label]] += is_chosen[clip]
        tokens, n_specific = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        first = int(np.cumsum([0, *self.tracks.firing.widths])[layer])
        tokens[found.present] = found.tokens[:, first]
        n_specific[found.present] = found.is_specific.sum(axis=1)
        return pd.DataFrame({
            "class_index": np.arange(n), "n_clips": design.n_clips,
            "n_test_clips": task.members[design.tested].sum(axis=0), "n_segments": n_segments,
            "n_too_short": self.tracks.n_without(layer), "seconds": [float(np.median(of)) for of in lengths],
            "token_count": tokens, "n_class_specific": n_specific,
        })  # fmt: skip

    def _facts(self, found: Found, layer: int) -> dict[str, object]:
        coverage, specific = found.null.T
        facts: dict[str, object] = {}
        for name, values in (("null_coverage", coverage), ("null_n_class_specific", specific)):
            ends = zip(("mean", "low", "high"), band(values), strict=True)
            facts |= {f"{name}_{end}": float(value) for end, value in ends}
        median, columns = float(np.median(self.tracks.task.lengths)), self.tracks.seconds_of(layer)
        return {
            "n_clips": len(self.design.chosen), "n_test_clips": len(self.design.tested),
            "n_classes": len(found.present), "n_classes_covered": int(found.is_specific.any(axis=1).sum()),
            "n_class_specific": int(found.is_specific.any(axis=0).sum()), "n_pairs": int(found.is_specific.sum()),
            **facts, "n_shuffles": N_DRAWN, "replicated_share": found.replicated_share,
            "replicated_share_all_pairs": found.replicated_share_all_pairs, "column_seconds": columns,
            "median_seconds": median, "is_coarse": int(columns > median),
            "n_within": int(sum(self.tracks.of(clip, layer).is_within for clip in self.design.chosen.tolist())),
            "shuffled": self.design.shuffled,
        }  # fmt: skip

    def _warnings(self, found: Found, classes: pd.DataFrame, facts: dict[str, object]) -> tuple[str, ...]:
        told = []
        if facts["is_coarse"]:
            told.append(
                f"too coarse: a column of the model is {facts['column_seconds']:.3g} s long, half of the segments are "
                f"shorter than {facts['median_seconds']:.3g} s; its counts mix a segment with its neighbours"
            )
        n_short, n_every = int(classes["n_too_short"].sum()), len(self.tracks.task.lengths)
        if n_short:
            told.append(
                f"{n_short:,} of {n_every:,} segments are too short for any column to lie in them by half; they are "
                "not counted"
            )
        names = self.tracks.task.class_names
        lost = [names[k] for k in range(len(names)) if k not in set(found.present.tolist())]
        if lost:
            shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
            told.append(f"classes without a token among the selection clips are left out: {shown}")
        return (*told, *self.design.deals.warnings(names))


def finest(tracks: Tracks) -> int:
    """The layer of the shortest columns, the first of several."""
    return int(np.argmin([tracks.seconds_of(layer) for layer in range(len(tracks.firing.widths))]))


def _joined(frames: list[pd.DataFrame], present: IntArray) -> pd.DataFrame:
    """One frame, classes by their index in the task."""
    if not frames:
        return pd.DataFrame()
    every = pd.concat(frames, ignore_index=True)
    return every.assign(class_index=present[every["class_index"].to_numpy()])


def _share_below(exchanged: FloatArray) -> float:
    """Of the pairs whose tracks could be exchanged, those with a p below the rule's limit."""
    known = exchanged[~np.isnan(exchanged)]
    return float((known < RULE.q_max).mean()) if known.size else float("nan")


def _scores(found: Found, exchanged: FloatArray) -> pd.DataFrame:
    n_classes, n_units = found.rate.shape
    return pd.DataFrame({
        "class_index": np.repeat(found.present, n_units), "neuron_index": np.tile(np.arange(n_units), n_classes),
        "positive_count": found.positive.ravel(), "token_count": found.tokens.ravel(), "lift": found.lift.ravel(),
        "p_value": found.p.ravel(), "q_value": found.q.ravel(), "replicated": found.replicated.ravel(),
        "is_class_specific": found.is_specific.ravel().astype(np.int64), "exchanged_p": exchanged.ravel(),
    })  # fmt: skip


def _units(found: Found) -> pd.DataFrame:
    n_units = found.rate.shape[1]
    if not len(found.present):
        return pd.DataFrame({"neuron_index": np.arange(0), "entropy": [], "top_class_index": []})
    top = np.where(found.rate.max(axis=0) > 0, found.present[found.rate.argmax(axis=0)].astype(np.float64), np.nan)
    return pd.DataFrame({"neuron_index": np.arange(n_units), "entropy": found.entropy, "top_class_index": top})
