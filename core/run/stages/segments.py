"""The stage that tells which units answer to segments, and when: on the bits that the pass over the clips took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.arrays.threads import one_thread
from core.datasets.scan import Scan
from core.datasets.segments.key import segments_key
from core.distributed.ranks import Ranks
from core.errors import InputError
from core.recording.activations import Activations, reopen
from core.recording.firing import Firing, with_segments
from core.recording.passes import Passes
from core.recording.patterns import Index
from core.recording.traces import batches_with, take_firing
from core.results import SegmentScores
from core.run import verdicts
from core.run.stages.base import Stage
from core.run.study import Study
from core.timing import curves, evidence, tell
from core.timing.tracks import HALF, SegmentTask, Tracks

_TAKEN_AGAIN = (
    "in which tokens units fire was taken of {:,} clips in another pass: the one that counted left nothing of it "
    "(these segments were not asked for then, or a file is damaged)"
)


@dataclass(frozen=True)
class Segments(Stage):
    """One attribute of clips' segments: counts, evidence beside shifted labels, curves around onsets."""

    part = "score"
    study: Study
    scan: Scan
    matrices: Activations
    attribute: str

    @cached_property
    def task(self) -> SegmentTask:
        """The dataset read through the attribute."""
        return SegmentTask(self.scan, self.attribute)

    @property
    def key(self) -> str:
        config = self.study.config
        how = HALF, evidence.N_DRAWN, curves.AROUND_SECONDS, curves.N_SHIFTS, curves.MOST_OF_CLASS
        return self.study.key(
            "segments, classes dealt",
            self.scan.dataset.name,
            self.scan.content_key,
            segments_key(self.scan, self.attribute),
            config.selection_splits(),
            how,
            config.seed,
        )

    def run(self) -> SegmentScores | None:
        study, name = self.study, self.task.name
        encoder = study.encoder
        tracks = Tracks(self.task, self._firing(), encoder.token_grid)
        of = tell.Study.of(tracks, study.config.selection_splits(), study.config.seed)
        if of.lacks:
            (study.note if study.config.tasks.strip() == "all" else study.fail)(f"{name}: {of.lacks}")
            return None
        with study.shown("segments", of.n_steps, "steps") as update, one_thread():
            steps = iter(range(1, of.n_steps + 1))
            scores = of.run(lambda: update(next(steps)))
        for warning in scores.warnings:
            study.progress.warn(f"{name}: {warning}", indent=4)
        study.progress.print(f"  {name} · {verdicts.in_time(scores)}")
        return scores

    def _firing(self) -> Firing:
        """In which tokens units fire; clips that the pass left out are passed again."""
        study, widths = self.study, self.study.encoder.layer_widths
        found = Firing.look(widths, self.matrices)
        missing = found.missing(with_segments(self.scan, [self.attribute]))
        if not len(missing):
            return found
        if "extract" not in study.config.stages:
            raise InputError(
                f"{self.task.name}: in which tokens units fire was not recorded of {len(missing):,} clips; add extract "
                "to --stages"
            )
        passes = study.passes(self.scan)
        batches = batches_with(missing, len(self.matrices.done), passes.batch_size)
        study.note(f"{self.task.name}: {_TAKEN_AGAIN.format(len(missing))}")
        folder = self.matrices.folder.absolute()
        job = FiringJob(study.encoder.name, self.scan.dataset.name, folder, missing, batches, passes)
        with study.shown("firing", sum(map(len, batches)), "clips") as update:
            study.ranks.do(job, lambda: update(study.ranks.count()))
            update(study.ranks.count())
        return Firing.look(widths, self.matrices)


@dataclass(frozen=True)
class FiringJob:
    """In which tokens units fire, of some clips, which some batches have."""

    encoder: str
    dataset: str
    folder: Path
    clips: Index
    batches: Sequence[Index]
    passes: Passes

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        def progress(n: int) -> None:
            ranks.count(n)
            on_step()

        encoder, scan = ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset]
        take_firing(encoder, scan, reopen(self.folder), (self.clips, ranks.mine(self.batches)), self.passes, progress)
