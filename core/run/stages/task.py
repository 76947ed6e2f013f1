"""What the stages of one task share, computed when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from core.ablation.ablate import draw_parts
from core.ablation.attribution import Attribution, Estimates
from core.ablation.removed import N_CLIPS, Removed
from core.datasets.task import Task
from core.encoders.device import batch_size_with_graph
from core.evidence.exchange_of_task import group_of_clips
from core.probes import fit, refits
from core.probes.fit import Part
from core.probes.linear import LinearHead
from core.recording.activations import Activations
from core.recording.waveforms import read_ahead
from core.results import Ablation
from core.run.config import ablate_clips_for
from core.run.stages.attributer import Attributer
from core.run.stages.base import Stage
from core.run.stages.fitter import Fitter
from core.run.study import Study
from core.scoring.counts import TaskCounts, count

ATTRIBUTED_CLIPS = 5
"""Clips of a class that attributions take at least."""


@dataclass(frozen=True)
class TaskStudy:
    """One task of one model."""

    study: Study
    task: Task
    matrices: Activations
    swept: dict[str, Callable[[], list[Ablation]]] = field(default_factory=dict)
    """By an ablation's key what tells its effects, where its passes are done."""

    @cached_property
    def counts(self) -> TaskCounts:
        """Counts by class, and the evidence for each pair."""
        config = self.study.config
        widths = self.study.encoder.layer_widths
        return count(self.task, self.matrices, config.event, config.selection_splits(), widths)

    @cached_property
    def heads(self) -> fit.Probe:
        """The linear head, or one a fold."""
        return fit.fit_task(self.task, np.asarray(self.matrices.embeddings), fitter=self._fitter.rounds)

    @cached_property
    def refits(self) -> list[list[LinearHead]]:
        """Heads fitted again on resampled train clips, of whole groups where they are known."""
        config, groups = self.study.config, group_of_clips(self.task)
        return refits.refit_heads(self.heads, self.task, config.probe_seeds, config.seed, groups, self._fitter.samples)

    @property
    def _fitter(self) -> Fitter:
        return Fitter(self.study.ranks, self.study.encoder, self.task, self.matrices)

    def test_clips(self, least: int) -> list[Part]:
        """The heads with the test clips that are run: at least so many a class, where a limit is set."""
        config = self.study.config
        limit = ablate_clips_for(self.study.encoder.device, config.ablate_clips)
        return draw_parts(self.heads.parts, self.task.members, limit, least, config.seed)

    @cached_property
    def removed(self) -> Removed:
        """What measures the norm that changes remove, on some test clips of all classes."""
        parts = draw_parts(self.heads.parts, self.task.members, N_CLIPS, 0, self.study.config.seed)
        clips = np.random.default_rng(self.study.config.seed).permutation(np.concatenate([p.clips for p in parts]))
        scan, encoder, passes = self.task.scan, self.study.encoder, self.study.passes(self.task.scan)
        drawn, at_once = np.sort(clips[:N_CLIPS]), passes.batch_size
        batches = [drawn[i : i + at_once] for i in range(0, len(drawn), at_once)]
        return Removed.of(encoder, read_ahead(scan, batches, encoder.sample_rate, passes.workers), passes)

    @cached_property
    def attribution(self) -> Attribution:
        """What gives every neuron its attribution."""
        encoder, scan, passes = self.study.encoder, self.task.scan, self.study.passes(self.task.scan)
        at_once = batch_size_with_graph(encoder, passes.batch_size, self.study.config.batch_size, scan.longest)
        parts = self.test_clips(ATTRIBUTED_CLIPS)
        return Attribution(encoder, scan, parts, self.task.members, replace(passes, batch_size=at_once))

    @cached_property
    def attributions(self) -> Estimates:
        """Of every neuron, layer and class."""
        with self.study.shown("attribute", self.attribution.n_passes, "passes") as update:
            return self.attribution.estimates(update, self.study.config.seed, Attributer(self.study.ranks))


class TaskStage(Stage):
    """A stage of one task."""

    of: TaskStudy

    @property
    def study(self) -> Study:  # type: ignore[override]
        """The model and its run."""
        return self.of.study
