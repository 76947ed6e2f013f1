"""Gradients of heads taken by all ranks of a run; the passes of the stage that attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ablation.gradients import Questions, attribute
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.recording.passes import Passes

MOST_BYTES = 2**28
"""Of attributions that ranks hold until rank 0 has added them up, all together."""


@dataclass(frozen=True)
class AttributeJob:
    """Attributions of what some batches ask, this rank's of them in order."""

    encoder: str
    dataset: str
    batches: Sequence[Questions]
    passes: Passes

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> list[NDArray[np.float32]]:
        encoder, scan = ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset]
        found = []
        for values in attribute(encoder, scan, ranks.mine(self.batches), self.passes):
            found.append(values)
            ranks.count(len(values))
            on_step()
        return found


@dataclass(frozen=True)
class Attributer:
    """`core.ablation.gradients.attribute` with all ranks, each taking whole batches."""

    ranks: Ranks

    def __call__(
        self,
        encoder: Encoder,
        scan: Scan,
        batches: Sequence[Questions],
        passes: Passes,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        ranks = self.ranks
        if ranks.world == 1:
            yield from attribute(encoder, scan, batches, passes, progress)
            return
        done = 0

        def watch() -> None:
            if progress:
                progress(done + ranks.count())

        largest = max((len(batch.clip) for batch in batches), default=1) * encoder.n_neurons * 4
        n = ranks.world * max(1, MOST_BYTES // (ranks.world * largest))
        for some in (batches[i : i + n] for i in range(0, len(batches), n)):
            of_ranks = ranks.do(AttributeJob(encoder.name, scan.dataset.name, some, passes), watch)
            done += sum(len(batch.clip) for batch in some)
            yield from (of_ranks[i % ranks.world][i // ranks.world] for i in range(len(some)))
