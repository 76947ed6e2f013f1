"""The stage that takes more and more of each class's neurons out, in several orders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.ablation.erasure import Erasure
from core.ablation.operations import per_token
from core.ablation.outcomes import Clips
from core.encoders.hooks import Change
from core.evidence.exchange_of_task import group_of_clips
from core.evidence.intervals import sampling_units
from core.results import ErasureCurves, FloatArray, IntArray
from core.run.config import ablate_clips_for, erasure_for, usual_operation
from core.run.stages.ask import Asker
from core.run.stages.score import selection_facts
from core.run.stages.task import TaskStage, TaskStudy
from core.scoring.counts import selectors


@dataclass(frozen=True)
class Erase(TaskStage):
    """Erasure curves by `mad`, attribution and evidence, beside random orders."""

    part = "ablate"
    of: TaskStudy

    @property
    def wanted(self) -> bool:
        config = self.study.config
        return self.part in config.stages and erasure_for(self.study.encoder.device, config.erasure)

    @property
    def key(self) -> str:
        config, task = self.study.config, self.of.task
        return self.study.key(
            "erasure of all folds", task.scan.content_key, task.name, selection_facts(self.of)[:2], config.seed,
            config.min_test_clips, ablate_clips_for(self.study.encoder.device, config.ablate_clips),
            *self._other_than_out,
        )  # fmt: skip

    @property
    def _other_than_out(self) -> list[str]:
        """What is done to units that are not set to 0."""
        operation = usual_operation(self.study.encoder.unit_kind)
        return [operation.name] if operation.gain is None else []

    @property
    def folder(self) -> Path:
        """Where answers lie until the curves are stored."""
        return self.study.files / "ablations" / self.key

    def run(self) -> ErasureCurves | None:
        study, task = self.study, self.of.task
        if not self.of.heads.parts:
            return None
        parts = self.of.test_clips(study.config.min_test_clips)
        places = np.concatenate([part.clips for part in parts])
        groups, several = group_of_clips(task), task.attribute in task.dataset.multilabel
        units = sampling_units(None if groups is None else groups[places], len(places))
        clips = Clips(task.members[places], units, several, study.config.seed)
        passes = study.passes(task.scan)
        erasure = Erasure(study.encoder, task.scan, parts, clips, self._orders(), passes, self._change())
        with study.shown("erasure curves", erasure.n_passes, "passes") as update:
            points, areas = erasure.run(update, self.folder, Asker(study.ranks))
        return ErasureCurves(task.name, tuple(task.class_names), points, areas)

    def _change(self) -> Callable[[IntArray], Change]:
        """What is usually done to this kind of unit."""
        matrices, encoder = self.of.matrices, self.study.encoder
        operation = usual_operation(encoder.unit_kind)
        means = per_token(matrices.total, matrices.tokens, self.of.counts.chosen) if operation.gain is None else None
        return lambda neurons: operation.change(neurons, encoder.layer_widths, means)

    def stored(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _orders(self) -> dict[str, FloatArray]:
        """Scores of every class of the task, (n_classes, n_neurons); NaN for one without selection clips."""
        counts, matrices, neurons = self.of.counts, self.of.matrices, self.of.attributions.neurons
        n_classes, n_neurons = len(self.of.task.class_names), self.study.encoder.n_neurons
        places = [self.of.task.class_names.index(name) for name in counts.names]

        def of_task(scores: FloatArray) -> FloatArray:
            every = np.full((n_classes, n_neurons), np.nan)
            every[places] = scores
            return every

        mad = selectors(matrices, counts, ["mad"])["mad"]
        ranks = [np.argsort(np.lexsort((-z, p))) for z, p in zip(counts.z, counts.p, strict=True)]
        attribution = np.full((n_classes, n_neurons), np.nan)
        attribution[neurons["class_index"], neurons["neuron_index"]] = neurons["attribution"]
        return {"mad": of_task(mad), "attribution": attribution, "evidence": of_task(-np.array(ranks, dtype=float))}
