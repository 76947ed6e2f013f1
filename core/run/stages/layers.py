"""The stage that fits linear heads to the output of every layer, each rank some layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.datasets.task import Task
from core.distributed.ranks import Ranks
from core.probes.fit import Probe, fit_task
from core.probes.layers import tell
from core.probes.weighted import Layers, Summed, fit_sum
from core.recording.activations import reopen
from core.results import LayerProbes
from core.run.stages.task import TaskStage, TaskStudy


@dataclass(frozen=True)
class LayersJob:
    """Heads of a task on every layer, then on the weighted sum of all; this rank's of them in order."""

    encoder: str
    dataset: str
    attribute: str
    folder: Path
    widths: tuple[int, ...]
    n_refits: int
    seed: int

    @property
    def pieces(self) -> range:
        """One for each layer, and one for the sum where all are of one width."""
        return range(len(self.widths) + (len(set(self.widths)) == 1))

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> list[Probe | Summed]:
        task = Task(ranks.held["scan", self.dataset], self.attribute)
        device = str(ranks.held["encoder", self.encoder].device)
        layers = Layers(np.asarray(reopen(self.folder).layers), self.widths)
        found: list[Probe | Summed] = []
        for number in ranks.mine(self.pieces):
            is_sum = number == len(self.widths)
            found.append(
                fit_sum(task, layers, device, self.n_refits, self.seed)
                if is_sum else fit_task(task, layers.of(number), device)
            )  # fmt: skip
            ranks.count(1)
            on_step()
        return found


@dataclass(frozen=True)
class ProbeLayers(TaskStage):
    """How well each layer's output tells a task's classes, and a weighted sum of all."""

    part = "score"
    of: TaskStudy

    @property
    def wanted(self) -> bool:
        return self.part in self.study.config.stages and self.study.probes_layers

    @property
    def key(self) -> str:
        config, task = self.study.config, self.of.task
        return self.study.key("layer probes", task.scan.content_key, task.name, config.probe_seeds, config.seed)

    def run(self) -> LayerProbes:
        study, task, ranks = self.study, self.of.task, self.study.ranks
        folder, widths = self.of.matrices.folder.absolute(), study.encoder.stream_widths
        job = LayersJob(
            study.encoder.name, task.dataset.name, task.attribute, folder, widths, study.config.probe_seeds,
            study.config.seed,
        )  # fmt: skip
        with study.shown("probe layers", len(job.pieces), "heads") as update:
            shares = ranks.do(job, lambda: update(ranks.count()))
            update(ranks.count())
        probes = [shares[i % ranks.world][i // ranks.world] for i in job.pieces]
        n = len(widths)
        return tell(task, probes[:n], probes[n] if len(probes) > n else None, study.config.seed)
