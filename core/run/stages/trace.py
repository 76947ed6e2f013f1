"""The stage that records when and where in its clips each neuron fires, as extraction took it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.progress.progress import Update
from core.recording.activations import Activations, reopen
from core.recording.candidates import Asked
from core.recording.passes import Passes
from core.recording.patterns import Found, Index, forget_patterns
from core.recording.top_clips import N_DRAWN, Chosen, choose
from core.recording.traces import batches_with, find_patterns, traces_of
from core.results import ClipTraces
from core.run.stages.base import Stage
from core.run.study import Study

_TAKEN_AGAIN = (
    "where neurons fire in {:,} of the clips they keep was taken in another pass; the one that counted left nothing "
    "of it (counts of an older version, a damaged file, or more than 4 GB)"
)


def traces_key(study: Study, scan: Scan) -> str:
    """Name of the stage in the store."""
    drawn = [N_DRAWN] if len(scan.dataset.clips) > N_DRAWN else []
    return study.key("traces", scan.content_key, *drawn)


@dataclass(frozen=True)
class Trace(Stage):
    """Top, middle and silent clips of each neuron, and where in them it fires."""

    part = "extract"
    study: Study
    scan: Scan
    matrices: Activations

    @property
    def key(self) -> str:
        return traces_key(self.study, self.scan)

    @cached_property
    def chosen(self) -> Chosen:
        """The clips of every neuron."""
        return choose(self.scan.dataset.name, self.matrices)

    def run(self) -> ClipTraces:
        study, encoder, clips = self.study, self.study.encoder, self.chosen.clips
        missing = Found.look(encoder, clips, self.matrices).missing()
        if len(missing[0]):
            passes = study.passes(self.scan)
            batches = batches_with(missing[0], len(self.matrices.done), passes.batch_size)
            folder, n_clips = self.matrices.folder.absolute(), len(np.unique(missing[0]))
            study.note(f"{self.scan.dataset.name}: {_TAKEN_AGAIN.format(n_clips)}")
            job = FindJob(encoder.name, self.scan.dataset.name, folder, missing, batches, passes)
            with study.shown("traces", sum(map(len, batches)), "clips") as update:
                find_on_ranks(job, study.ranks, update)
        return traces_of(self.scan.dataset.name, self.chosen, Found.look(encoder, clips, self.matrices))

    def stored(self) -> None:
        forget_patterns(self.matrices.folder)


@dataclass(frozen=True)
class FindJob:
    """Patterns of some pairs (clips, neurons), which some batches have."""

    encoder: str
    dataset: str
    folder: Path
    pairs: tuple[Index, Index]
    batches: Sequence[Index]
    passes: Passes

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        n_before = 0

        def progress(n: int) -> None:
            nonlocal n_before
            ranks.count(n - n_before)
            n_before = n
            on_step()

        encoder, scan = ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset]
        asked = Asked(encoder, *self.pairs), ranks.mine(self.batches)
        find_patterns(encoder, scan, reopen(self.folder), asked, self.passes, progress)


def find_on_ranks(job: FindJob, ranks: Ranks, update: Update) -> None:
    """Pass the batches again, each rank its own."""
    ranks.do(job, lambda: update(ranks.count()))
    update(ranks.count())
