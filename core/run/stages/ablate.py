"""The stage that changes each class's neurons, and as many random ones, and asks the same linear head again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.ablation import ablate, targets
from core.ablation.operations import Operation, per_token
from core.arrays.blocks import Rows
from core.evidence.exchange_of_task import group_of_clips
from core.results import Ablation, Ablations
from core.run.config import FEWER_CONTROLS, ablate_clips_for, control_families_for
from core.run.stages.ask import Asker
from core.run.stages.score import selection_facts
from core.run.stages.task import TaskStage, TaskStudy
from core.run.study import Study
from core.scoring.scores import masks
from core.selectivity.selectors import selector_scores


@dataclass(frozen=True)
class Ablate(TaskStage):
    """One choice of neurons, and one operation on them."""

    part = "ablate"
    of: TaskStudy
    choice: targets.Choice
    operation: Operation

    @property
    def key(self) -> str:
        config, task, selection = self.study.config, self.of.task, selection_facts(self.of)
        how = [config.controls, n_controls(self.study), config.control_layers, config.max_pairs, config.probe_seeds,
               config.seed, config.min_test_clips, ablate_clips_for(self.study.encoder.device, config.ablate_clips),
               "flips"]  # fmt: skip
        of_choice = selection if self.choice.kind == "preset" else selection[:2]
        return self.study.key(
            "ablate", task.scan.content_key, task.name, of_choice, self.choice.key, self.operation.name,
            self.operation.gain, *how,
        )  # fmt: skip

    @property
    def folder(self) -> Path:
        """Where answers lie until the effects are stored."""
        return self.study.files / "ablations" / self.key

    def run(self) -> Ablations:
        study, task = self.study, self.of.task
        chosen, reason = self._targets()
        if reason:
            study.note(f"{task.name}: not ablated ({self.choice}), {reason}")
            return self._record([])
        setting, known = self._setting(), self._known()
        sweep = ablate.Sweep(study.encoder, task, self._parts(), chosen, setting, known)
        with study.shown(f"ablate {self.choice} {self.operation}", sweep.n_passes, "passes") as update:
            ablations = sweep.run(update, self.folder, Asker(study.ranks))
        self._note_fewer_controls(ablations)
        return self._record(ablations)

    def stored(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, ablations: Sequence[Ablation]) -> Ablations:
        return Ablations(self.of.task.name, str(self.choice), self.operation.name, self.operation.gain, ablations)

    def _targets(self) -> tuple[list[targets.Target], str]:
        """Which neurons, class by class; and why none can be ablated, empty where they can."""
        study, task = self.study, self.of.task
        enough = ablate.classes_with_clips(task, study.config.min_test_clips)
        chosen, left_out = targets.choose(self.choice, self._material(), enough, study.config.max_pairs)
        if left_out:
            study.note(f"{task.name}: {left_out}")
        return chosen, ablate.why_not(self.of.heads, chosen)

    def _material(self) -> targets.Material:
        """What targets are chosen from."""
        counts, matrices, mask, scores = self.of.counts, self.of.matrices, None, {}
        if self.choice.kind == "preset":
            every = self.study.config.selections(self.of.task.dataset.entropy_rate)
            (mask,) = masks(counts, [setting for setting in every if setting.preset == self.choice.name])
        if self.choice.kind == "selector":
            positive, total = (Rows(of, counts.chosen) for of in (matrices.positive, matrices.total))
            scores = selector_scores(positive, total, np.asarray(matrices.tokens[counts.chosen]), counts.members)
        return targets.Material(counts.names, counts.z, counts.p, self.study.encoder.layer_widths, mask, scores)

    def _parts(self) -> list[ablate.Part]:
        parts = self.of.test_clips(self.study.config.min_test_clips)
        n_clips, n_every = (sum(len(part.clips) for part in of) for of in (parts, self.of.heads.parts))
        if n_clips < n_every:
            self.study.note(
                f"{self.of.task.name}: ablated on {n_clips} of {n_every} test clips; --ablate-clips all takes them all"
            )
        return parts

    def _setting(self) -> ablate.Setting:
        study, config = self.study, self.study.config
        fewer = FEWER_CONTROLS if config.controls is None and study.encoder.device.type == "cpu" else 0
        passes = study.passes(self.of.task.scan)
        return ablate.Setting(
            self.operation, *n_controls(study), fewer, config.control_layers, config.seed, passes
        )  # fmt: skip

    def _known(self) -> ablate.Known:
        matrices, chosen = self.of.matrices, self.of.counts.chosen
        return ablate.Known(
            per_token(matrices.positive, matrices.tokens, chosen),
            per_token(matrices.total, matrices.tokens, chosen) if self.operation.gain is None else None,
            self.of.refits,
            group_of_clips(self.of.task),
        )

    def _note_fewer_controls(self, ablations: Sequence[Ablation]) -> None:
        """That fewer controls were run than could have been."""
        wanted, _ = n_controls(self.study)
        n = max(int(ablation.effects["n_controls"].max()) for ablation in ablations)
        if n < wanted:
            self.study.note(
                f"{self.of.task.name}: {n} controls instead of {wanted}, since no effect has q < {ablate.ALPHA:g}; "
                f"--controls {wanted} runs all"
            )


def n_controls(study: Study) -> tuple[int, int]:
    """Random sets matched in layer, and in activity too."""
    return study.config.n_controls(control_families_for(study.encoder.device, study.config.control_families))
