"""The stage that replaces blocks' outputs by what autoencoders make of them, and asks the linear head again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.ablation.reconstruction import Replaced, logits, losses
from core.evidence.exchange_of_task import group_of_clips
from core.evidence.intervals import sampling_units
from core.probes.fit import Part
from core.recording.waveforms import Waveforms, read_ahead
from core.results import Reconstructions
from core.run.config import ablate_clips_for
from core.run.stages.task import TaskStage, TaskStudy
from core.units.encoder import StreamPlace, UnitEncoder
from core.units.sae import SparseCode


@dataclass(frozen=True)
class Reconstruct(TaskStage):
    """What the head loses, layer by layer."""

    part = "ablate"
    of: TaskStudy

    @property
    def wanted(self) -> bool:
        return self.part in self.study.config.stages and self.study.encoder.unit_kind == "sae"

    @property
    def key(self) -> str:
        config, task = self.study.config, self.of.task
        return self.study.key(
            "reconstruction", task.scan.content_key, task.name, config.seed, config.min_test_clips,
            ablate_clips_for(self.study.encoder.device, config.ablate_clips),
        )  # fmt: skip

    def run(self) -> Reconstructions | None:
        study, task, encoder = self.study, self.of.task, self.study.encoder
        if not self.of.heads.parts:
            return None
        assert isinstance(encoder, UnitEncoder)
        parts, replaced = self.of.test_clips(study.config.min_test_clips), self._replaced(encoder)
        clips = np.concatenate([part.clips for part in parts])
        answers = np.full((2 * len(replaced.layers) + 1, len(clips), len(task.class_names)), np.nan, dtype=np.float32)
        with study.shown("reconstructed", len(clips), "clips") as update:
            start = 0
            for part in parts:
                passes, told = study.passes(task.scan), partial(_tell, update, start)
                of_part = logits(encoder.encoder, part.head, self._sounds(part), replaced, passes, told)
                answers[:, start : start + len(part.clips), part.head.class_index] = of_part
                start += len(part.clips)
        groups, several = group_of_clips(task), task.attribute in task.dataset.multilabel
        units = sampling_units(None if groups is None else groups[clips], len(clips))
        rows = losses(answers, task.members[clips], several, units, replaced.layers, study.config.seed)
        return Reconstructions(task.name, rows)

    def _replaced(self, encoder: UnitEncoder) -> Replaced:
        codes = {
            layer: place.code
            for layer, place in enumerate(encoder.places)
            if isinstance(place, StreamPlace) and isinstance(place.code, SparseCode)
        }
        means = self.of.removed.means()
        return Replaced(codes, {layer: means[layer] for layer in codes})

    def _sounds(self, part: Part) -> Iterator[Waveforms]:
        scan, passes = self.of.task.scan, self.study.passes(self.of.task.scan)
        batches: list[NDArray[np.int64]] = [
            part.clips[i : i + passes.batch_size] for i in range(0, len(part.clips), passes.batch_size)
        ]
        return read_ahead(scan, batches, self.study.encoder.sample_rate, passes.workers)


def _tell(update: Callable[[int], None], before: int, done: int) -> None:
    """So many clips of a part are done, after others."""
    update(before + done)
