"""The stage that records when and where in its clips each neuron fires: one more pass, each rank its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.progress.progress import Update
from core.recording.activations import Activations
from core.recording.passes import Passes
from core.recording.top_clips import Chosen, Index, choose
from core.recording.traces import Found, FoundElsewhere, batches_of, find_patterns, traces_of
from core.results import ClipTraces
from core.run.stages.base import Stage
from core.run.study import Study


@dataclass(frozen=True)
class Trace(Stage):
    """Top, middle and silent clips of each neuron, and where in them it fires."""

    part = "extract"
    study: Study
    scan: Scan
    matrices: Activations

    @property
    def key(self) -> str:
        return self.study.key("traces", self.scan.content_key)

    @cached_property
    def chosen(self) -> Chosen:
        """The clips of every neuron."""
        return choose(self.scan.dataset.name, self.matrices)

    def run(self) -> ClipTraces:
        study, folder = self.study, self.matrices.folder
        with study.shown("traces", len(np.unique(self.chosen.clips)), "clips") as update:
            passes = study.passes(self.scan)
            patterns = find_on_ranks(study.ranks, study.encoder, self.scan, (self.chosen, folder), passes, update)
        return traces_of(self.scan.dataset.name, self.chosen, patterns)


@dataclass(frozen=True)
class FindJob:
    """Where neurons fire in the clips of some batches; on others than rank 0 into a file of the rank's own."""

    encoder: str
    dataset: str
    clips: Index
    folder: Path
    batches: Sequence[Index]
    passes: Passes

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> Found | FoundElsewhere:
        n_before = 0

        def progress(n: int) -> None:
            nonlocal n_before
            ranks.count(n - n_before)
            n_before = n
            on_step()

        encoder, scan = ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset]
        name = None if ranks.is_first else f"traces-{ranks.rank}.part"
        patterns = Found.open(encoder, self.clips, len(scan.dataset.clips), self.folder, name)
        find_patterns(encoder, scan, patterns, ranks.mine(self.batches), self.passes, progress)
        return patterns if ranks.is_first else patterns.elsewhere()


def find_on_ranks(
    ranks: Ranks, encoder: Encoder, scan: Scan, wanted: tuple[Chosen, Path], passes: Passes, update: Update
) -> Found:
    """Look where in their clips the neurons fire, each rank in its own; ``wanted`` are the clips and where it lies."""
    chosen, folder = wanted[0], wanted[1].absolute()
    batches = batches_of(chosen, passes.batch_size)
    job = FindJob(encoder.name, scan.dataset.name, chosen.clips, folder, batches, passes)
    try:
        patterns, *others = ranks.do(job, lambda: update(ranks.count()))
        for other in others:
            patterns.take(other)
    finally:
        for left_over in folder.glob("traces-*.part"):
            left_over.unlink()
    update(ranks.count())
    return patterns
