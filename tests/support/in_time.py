"""Clips whose activations in time are made up, as a pass would have recorded them: what is planted must be found.

No encoder and no sound: `Recorded` stands in for `core.recording.firing.Firing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from core.datasets.base import Clip, Dataset, Segment
from core.datasets.levels import BAND_FEATURES, LEVEL_FEATURES
from core.datasets.scan import Scan, scan
from core.results import Mask, TokenGrid
from core.timing.tracks import SegmentTask, Tracks

STEP = 0.05
"""Seconds of a column."""
GRID = TokenGrid((0.0, 8000.0), STEP, STEP)
N_COLUMNS, RATE = 60, 16_000
KINDS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Recorded:
    """Bits of one layer and one band: ``fires`` is (n_clips, n_columns, n_units)."""

    fires: NDArray[np.bool_]

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.fires.shape[2],)

    @property
    def file_of(self) -> NDArray[np.int64]:
        return np.zeros(len(self.fires), dtype=np.int64)

    @property
    def shape(self) -> NDArray[np.int32]:
        return np.tile(np.array([1, self.fires.shape[1]], dtype=np.int32), (len(self.fires), 1, 1))

    def counted(self, clip: int, layer: int) -> Mask:
        return np.ones((1, self.fires.shape[1]), dtype=np.bool_)

    def columns(self, clip: int, layer: int, units: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        fires = self.fires[clip].astype(np.uint8)
        return fires if units is None else fires[:, units]


def tracks_of(dataset: Dataset, fires: NDArray[np.bool_], attribute: str = "phone") -> Tracks:
    """Ready to be counted."""
    seconds = fires.shape[1] * STEP
    files = pd.DataFrame(
        {"path": [clip.path for clip in dataset.clips], "sha256": [clip.path for clip in dataset.clips]}
        | dict.fromkeys([*LEVEL_FEATURES, *BAND_FEATURES], 0.0)
    ).assign(seconds=seconds)
    scanned = Scan(dataset, files, ())
    return Tracks(SegmentTask(scanned, attribute), Recorded(fires), lambda layer: GRID)  # type: ignore[arg-type]


def dataset_of(tracks: Sequence[Sequence[Segment]], n_test: int = 0) -> Dataset:
    """Clips with these segments; the last ``n_test`` are test clips."""
    splits = ["train"] * (len(tracks) - n_test) + ["test"] * n_test
    clips = tuple(
        Clip(f"{i:03}.wav", split, {"speaker": f"s{i % 7}"}, tuple(segments))
        for i, (split, segments) in enumerate(zip(splits, tracks, strict=True))
    )
    return Dataset("made", Path("/made"), ("speaker",), clips, groups=("speaker",), segment_attributes=("phone",))


def phones(rng: np.random.Generator, n_clips: int) -> list[list[Segment]]:
    """Segments of 0.1 to 0.3 s without gaps, after 0.3 s of silence and before 0.3 s of it."""
    every = []
    for _ in range(n_clips):
        at, segments = 0.3, []
        while at < N_COLUMNS * STEP - 0.6:
            end = at + float(rng.integers(2, 7)) * STEP
            segments.append(Segment("phone", str(rng.choice(KINDS)), round(at, 6), round(end, 6)))
            at = end
        every.append(segments)
    return every


def slow_noise(rng: np.random.Generator, shape: tuple[int, int, int], memory: float = 0.9) -> NDArray[np.bool_]:
    """Units that stay on and off for long, whatever is heard: a thresholded autoregression, (clips, columns, units)."""
    n_clips, n_columns, n_units = shape
    state = rng.standard_normal((n_clips, n_units))
    made = np.empty(shape, dtype=np.bool_)
    for column in range(n_columns):
        state = memory * state + np.sqrt(1 - memory**2) * rng.standard_normal((n_clips, n_units))
        made[:, column] = state > 0.5
    return made


def on_during(
    dataset: Dataset, label: str, shape: tuple[int, int], delay: int = 0, length: int = 0
) -> NDArray[np.bool_]:
    """One unit that is on in a class's segments; or so many columns, from so many after each onset."""
    made = np.zeros(shape, dtype=np.bool_)
    for i, clip in enumerate(dataset.clips):
        for segment in clip.segments:
            if segment.label == label:
                first, stop = round(segment.onset / STEP), round(segment.offset / STEP)
                made[i, first + delay : (first + delay + length) if length else stop] = True
    return made


def noise_scan(folder: Path, n_clips: int, seconds: float, segments: Sequence[Sequence[Segment]]) -> Scan:
    """Files of noise with these segments, all of them train clips; scanned."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    clips = []
    for i in range(n_clips):
        soundfile.write(folder / f"{i:04}.wav", 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)
        clips.append(Clip(f"{i:04}.wav", "train", {"kind": "ab"[i % 2]}, tuple(segments[i])))
    dataset = Dataset("noise", folder, ("kind",), tuple(clips), segment_attributes=("phone",))
    return scan(dataset, folder.parent / "noise.csv")
