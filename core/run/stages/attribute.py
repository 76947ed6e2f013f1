"""The stage that gives every neuron its attribution, checked by taking some out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.ablation.attribution import Sample
from core.results import Attributions
from core.run.config import ablate_clips_for
from core.run.stages.task import TaskStage, TaskStudy

CHECK_CLIPS = 2
"""Clips of a class on which attributions are checked."""
N_RANDOM, N_HIGHEST = 200, 50
"""Neurons for which they are."""


@dataclass(frozen=True)
class Attribute(TaskStage):
    """What the linear head would lose without each single neuron, by its gradient."""

    part = "ablate"
    of: TaskStudy

    @property
    def key(self) -> str:
        config, task = self.study.config, self.of.task
        return self.study.key(
            "attribution of neurons and layers", task.scan.content_key, task.name, config.seed, config.min_test_clips,
            ablate_clips_for(self.study.encoder.device, config.ablate_clips),
        )  # fmt: skip

    def run(self) -> Attributions | None:
        study, task = self.study, self.of.task
        if not self.of.heads.parts:
            return None
        attribution, (neurons, layers) = self.of.attribution, self.of.attributions
        sample = Sample(N_RANDOM, N_HIGHEST, CHECK_CLIPS, study.config.seed)
        n_steps = 3 * CHECK_CLIPS * min(N_RANDOM + N_HIGHEST, study.encoder.n_neurons)
        with study.shown("check attribution", n_steps, "passes") as update:
            checks, summary = attribution.check(neurons, sample, update)
        summary["n_clips_checked"] = summary.pop("n_clips")
        n_clips = sum(len(part.clips) for part in attribution.parts)
        facts = {"n_clips": n_clips, "n_checked": len(checks), **summary}
        checks = checks.assign(in_highest=checks["in_highest"].astype(np.int64))
        return Attributions(task.name, tuple(task.class_names), neurons, checks, facts, layers)
