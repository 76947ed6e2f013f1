"""The stage that records when and where in its clips each neuron fires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders import Encoder
from core.encoders.base import Padding
from core.recording import top_clips, traces
from core.recording.activations import Activations
from core.results import ClipTraces

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Find:
    """Where neurons fire in the clips of some batches; on others than rank 0 into a file of the rank's own."""

    encoder: str
    dataset: str
    clips: Index
    folder: Path
    batches: Sequence[Index]
    padding: Padding
    precision: str
    workers: int

    def run(self, ranks: Ranks, told: Callable[[], None]) -> traces.Found | traces.FoundElsewhere:
        n_before = 0

        def progress(n: int) -> None:
            nonlocal n_before
            ranks.count(n - n_before)
            n_before = n
            told()

        name = None if ranks.is_first else f"traces-{ranks.rank}.part"
        found = traces.find_patterns(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], self.clips, self.folder,
            ranks.mine(self.batches), self.padding, self.precision, self.workers, progress, name,
        )  # fmt: skip
        return found if ranks.is_first else found.elsewhere()


def trace(
    ranks: Ranks,
    encoder: Encoder,
    scan: Scan,
    matrices: Activations,
    batch_size: int,
    padding: Padding,
    precision: str,
    workers: int,
    progress: Callable[[int], None],
    chosen: top_clips.Chosen,
) -> ClipTraces:
    """Look where in their clips the neurons fire, each rank in its own; as `core.recording.traces.trace`."""

    def find(_: Encoder, __: Scan, clips: Index, folder: Path, batches: Sequence[Index], *how: Any) -> traces.Found:
        folder = folder.absolute()
        job = Find(encoder.name, scan.dataset.name, clips, folder, batches, padding, precision, workers)
        try:
            found, *others = ranks.do(job, lambda: progress(ranks.count()))
            for other in others:
                found.take(other)
        finally:
            for left_over in folder.glob("traces-*.part"):
                left_over.unlink()
        progress(ranks.count())
        return found

    return traces.trace(
        encoder, scan, matrices, batch_size, padding, precision, workers, progress, chosen, find
    )  # fmt: skip
