"""The stage that gives every neuron its attribution, checked by taking some out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.ablation.attribution import Attribution, Sample
from core.results import Attributions
from core.run.config import ablate_clips_for
from core.run.stages.task import TaskStage, TaskStudy

ATTRIBUTED_CLIPS, CHECK_CLIPS = 5, 2
"""Clips of a class that attributions take at least, and on which they are checked."""
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
            "attribution", task.scan.content_key, task.name, config.seed, config.min_test_clips,
            ablate_clips_for(self.study.encoder.device, config.ablate_clips),
        )  # fmt: skip

    def run(self) -> Attributions | None:
        """A batch is a quarter of what extraction takes: the graph of a block is held beside its activations."""
        study, task = self.study, self.of.task
        if not self.of.heads.parts:
            return None
        parts, passes = self.of.test_clips(ATTRIBUTED_CLIPS), study.passes(task.scan)
        passes = replace(passes, batch_size=max(1, passes.batch_size // 4))
        n_clips = sum(len(part.clips) for part in parts)
        attribution = Attribution(study.encoder, task.scan, parts, task.members, passes)
        sample = Sample(N_RANDOM, N_HIGHEST, CHECK_CLIPS, study.config.seed)
        n_gradients = attribution.n_passes
        n_steps = n_gradients + 3 * CHECK_CLIPS * min(N_RANDOM + N_HIGHEST, study.encoder.n_neurons)
        with study.shown("attribute", n_steps, "passes") as update:
            neurons = attribution.of_neurons(update, study.config.seed)
            checks, summary = attribution.check(neurons, sample, lambda done: update(n_gradients + done))
        summary["n_clips_checked"] = summary.pop("n_clips")
        facts = {"n_clips": n_clips, "n_checked": len(checks), **summary}
        checks = checks.assign(in_highest=checks["in_highest"].astype(np.int64))
        return Attributions(task.name, tuple(task.class_names), neurons, checks, facts)
