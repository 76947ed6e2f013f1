"""The stage that scores one task: entropy, selections, nulls, and what stands beside them; and its linear head."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.ablation.ablate import too_few_clips
from core.arrays.blocks import WORTH_THREADS
from core.arrays.threads import one_thread
from core.datasets.task import Task
from core.probes.fit import Probe, describe
from core.progress.progress import Update
from core.recording.activations import Activations
from core.results import ProbeResult, TaskScores
from core.run import verdicts
from core.run.config import AnalysisConfig
from core.run.stages.task import TaskStage, TaskStudy
from core.scoring import context, scores
from core.scoring.counts import TaskCounts
from core.units.kinds import MLP


def selection_facts(of: TaskStudy) -> list[object]:
    """What the choice of neurons depends on, for the keys of stages."""
    config = of.study.config
    selections = config.selections(of.task.dataset.entropy_rate)
    return [config.event, config.selection_splits(), [vars(setting) for setting in selections]]


@dataclass(frozen=True)
class Score(TaskStage):
    """Entropy and class-specific neurons by every preset, each beside its null."""

    part = "score"
    of: TaskStudy

    @property
    def key(self) -> str:
        config, task = self.study.config, self.of.task
        return self.study.key(
            "score by layer", task.scan.content_key, task.name, selection_facts(self.of), config.shuffles, config.seed,
            config.min_test_clips,
        )  # fmt: skip

    def run(self) -> TaskScores:
        progress, of = self.study.progress, self.of
        _ = of.counts, of.heads  # before the steps that are shown
        with self.study.shown("score", self.study.config.shuffles + context.N_PARTS, "steps") as update:
            scored = score(self.study.config, of.task, of.matrices, of.counts, of.heads, update)
        for warning in scored.warnings:
            progress.warn(warning, indent=4)
        units = "neurons" if self.study.encoder.unit_kind == MLP else "units"
        progress.print(f"    {verdicts.verdict(scored, units)}")
        return scored


def score(
    config: AnalysisConfig, task: Task, matrices: Activations, counts: TaskCounts, heads: Probe, update: Update
) -> TaskScores:
    """Entropy and class-specific neurons by every preset, beside their nulls and all that puts them in context."""
    settings = config.selections(task.dataset.entropy_rate)
    with one_thread(matrices.positive.shape[1] < WORTH_THREADS):
        scored = scores.score(task, counts, settings, config.shuffles, config.seed, update)
        beside = context.Context(task, matrices, counts, settings, config.event, config.seed)
        scored = beside.add_to(scored, heads.result, lambda done: update(config.shuffles + done))
    left_out = too_few_clips(task, counts.names, config.min_test_clips)
    return replace(scored, warnings=(*scored.warnings, left_out)) if left_out else scored


@dataclass(frozen=True)
class Head(TaskStage):
    """The linear head's accuracy; stored for whatever comes of it."""

    part = "score"
    of: TaskStudy

    @property
    def wanted(self) -> bool:
        """An ablation needs it too."""
        return {"score", "ablate"} & set(self.study.config.stages) != set()

    @property
    def key(self) -> str:
        return self.study.key("probe", self.of.task.scan.content_key, self.of.task.name)

    def run(self) -> ProbeResult:
        return self.of.heads.result

    def stored(self) -> None:
        self.study.progress.print(f"  {self.of.task.name} · linear probe: {describe(self.of.heads.result)}")
