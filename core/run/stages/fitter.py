"""Linear heads fitted by all ranks of a run: those of folds, and those on resampled train clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.task import Task
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.probes.fit import Chosen, fit_rounds
from core.probes.linear import LinearHead
from core.probes.refits import Sample, fit_samples
from core.recording.activations import Activations, reopen


@dataclass(frozen=True)
class FitJob:
    """Heads of a task's rounds, or of samples of its train clips; this rank's of them in order."""

    encoder: str
    dataset: str
    attribute: str
    folder: Path
    samples: Sequence[Sample] | None = None

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> list[Any]:
        task = Task(ranks.held["scan", self.dataset], self.attribute)
        embeddings = np.asarray(reopen(self.folder).embeddings)
        if self.samples is not None:
            return fit_samples(task, embeddings, ranks.mine(self.samples))
        device = str(ranks.held["encoder", self.encoder].device)
        return fit_rounds(task, embeddings, device, slice(ranks.rank, None, ranks.world))


@dataclass(frozen=True)
class Fitter:
    """Fits the heads of one task of one model, each rank some."""

    ranks: Ranks
    encoder: Encoder
    task: Task
    matrices: Activations

    def rounds(self, n: int) -> list[Chosen]:
        """As `core.probes.fit.fit_rounds`; there are so many."""
        if self.ranks.world == 1 or n == 1:
            return fit_rounds(self.task, np.asarray(self.matrices.embeddings), str(self.encoder.device))
        return self._in_shares(n, None)

    def samples(self, samples: Sequence[Sample]) -> list[LinearHead]:
        """As `core.probes.refits.fit_samples`."""
        if self.ranks.world == 1:
            return fit_samples(self.task, np.asarray(self.matrices.embeddings), samples)
        return self._in_shares(len(samples), samples)

    def _in_shares(self, n: int, samples: Sequence[Sample] | None) -> list[Any]:
        folder, dataset = self.matrices.folder.absolute(), self.task.dataset.name
        shares = self.ranks.do(FitJob(self.encoder.name, dataset, self.task.attribute, folder, samples))
        return [shares[i % self.ranks.world][i // self.ranks.world] for i in range(n)]
