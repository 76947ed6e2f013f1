"""The stage that changes each class's neurons, and as many random ones, and asks the same linear head again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from core.ablation import ablate, targets
from core.ablation.operations import Operation, per_token
from core.ablation.refitted import N_CONTROLS, Refitting, refitting, train_clips
from core.encoders.hooks import Change
from core.errors import InputError
from core.evidence.exchange_of_task import group_of_clips
from core.files import size
from core.results import Ablation, Ablations, FloatArray
from core.run.config import ablate_clips_for, control_families_for, refit_clips_for
from core.run.stages.ask import Asker
from core.run.stages.score import selection_facts
from core.run.stages.task import TaskStage, TaskStudy
from core.run.study import Study
from core.scoring.counts import selectors
from core.scoring.scores import masks

LEAST_REFITTED = 5
"""Train clips of a class on which heads are fitted again, at least."""
MOST_REFITTED = 4 * 2**30
"""Bytes of heads that are fitted again, which are held together."""


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
               refit_clips_for(self.study.encoder.device, config.refit_clips), "outcomes, norms"]  # fmt: skip
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
        if self.key not in self.of.swept:
            chosen, reason = self._targets()
            if reason:
                study.note(f"{task.name}: not ablated ({self.choice}), {reason}")
                return self._record([])
            self._sweep_with_others(self._sweep(chosen))
        return self._record(self.of.swept.pop(self.key)())

    def _sweep(self, chosen: list[targets.Target]) -> ablate.Sweep:
        return ablate.Sweep(self.study.encoder, self.of.task, self._parts(), chosen, self._setting(), self._known)

    def _sweep_with_others(self, sweep: ablate.Sweep) -> None:
        """This and, as far as there is room, the task's other ablations that are not done yet, in one sweep."""
        study, stages, sweeps, n_bytes = self.study, [self], [sweep], sweep.n_bytes
        for other in self._others():
            with suppress(InputError):  # that of a file which cannot be read is told when it is its turn
                chosen, reason = other._targets()
                further = None if reason else other._sweep(chosen)
                if further and n_bytes + further.n_bytes <= ablate.MOST_TOGETHER:
                    stages, sweeps, n_bytes = [*stages, other], [*sweeps, further], n_bytes + further.n_bytes
        choices = ", ".join(dict.fromkeys(str(stage.choice) for stage in stages))
        ways = ", ".join(dict.fromkeys(str(stage.operation) for stage in stages))
        with study.shown(f"ablate {choices} {ways}", sum(each.n_passes for each in sweeps), "passes") as update:
            told = ablate.run_together(sweeps, [stage.folder for stage in stages], update, Asker(study.ranks))
        self.of.swept.update(zip((stage.key for stage in stages), told, strict=True))

    def _others(self) -> list[Ablate]:
        config = self.study.config
        ways = config.operations(self.study.encoder.unit_kind)
        every = [Ablate(self.of, choice, way) for choice in config.choices() for way in ways]
        others = {stage.key: stage for stage in every if stage.key != self.key}
        return [stage for key, stage in others.items() if not self.study.store.is_done(key)]

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

    def _removed(self, changes: Sequence[Change]) -> FloatArray:
        """The norm that each change removes."""
        of = self.of.removed
        with self.study.shown("norm removed", len(changes) * len(of.whole), "changes", is_told=False) as update:
            return of.norms(changes, update)

    def _material(self) -> targets.Material:
        """What targets are chosen from."""
        counts, choice, mask = self.of.counts, self.choice, None
        if choice.kind == "preset":
            every = self.study.config.selections(self.of.task.dataset.entropy_rate)
            (mask,) = masks(counts, [setting for setting in every if setting.preset == choice.name])
        scores = selectors(self.of.matrices, counts, [choice.name]) if choice.kind == "selector" else {}
        widths = self.study.encoder.layer_widths
        size = partial(ablate.removed_by, self.operation, widths, self._known) if choice.norm else None
        return targets.Material(counts.names, counts.z, counts.p, widths, mask, scores, size)

    def _parts(self) -> list[ablate.Part]:
        parts = self.of.test_clips(self.study.config.min_test_clips)
        n_clips, n_every = (sum(len(part.clips) for part in of) for of in (parts, self.of.heads.parts))
        if n_clips < n_every:
            self.study.note(
                f"{self.of.task.name}: ablated on {n_clips} of {n_every} test clips; --ablate-clips all takes them all"
            )
        return parts

    def _setting(self) -> ablate.Setting:
        config, passes = self.study.config, self.study.passes(self.of.task.scan)
        return ablate.Setting(self.operation, *n_controls(self.study), config.control_layers, config.seed, passes)

    @cached_property
    def _known(self) -> ablate.Known:
        matrices, chosen = self.of.matrices, self.of.counts.chosen
        return ablate.Known(
            per_token(matrices.positive, matrices.tokens, chosen),
            per_token(matrices.total, matrices.tokens, chosen) if self.operation.gain is None else None,
            self.of.refits,
            group_of_clips(self.of.task),
            self._refitting(),
            self._removed,
        )

    def _refitting(self) -> Refitting | None:
        """Train clips of each head, drawn evenly over classes; None where heads are not fitted again."""
        study, config, task, heads = self.study, self.study.config, self.of.task, self.of.heads
        limit = refit_clips_for(self.study.encoder.device, config.refit_clips)
        if not limit:
            return None
        n_bytes = (
            8 * sum(part.head.weight.size for part in heads.parts) * (len(task.class_names) * (1 + N_CONTROLS) + 1)
        )
        if n_bytes > MOST_REFITTED:
            study.note(
                f"{task.name}: probes are not refitted to the changed network, they would take {size(n_bytes)} of "
                "memory"
            )
            return None
        every = train_clips(heads, task)
        drawn = [ablate.draw_clips(clips, task.members[clips], limit, LEAST_REFITTED, config.seed) for clips in every]
        n, n_every = (sum(map(len, of)) for of in (drawn, every))
        if n < n_every:
            study.note(
                f"{task.name}: probes refitted to the changed network on {n} of {n_every} train clips; "
                f"--refit-clips {max(map(len, every))} takes them all"
            )
        return refitting(heads, task, drawn)


def n_controls(study: Study) -> tuple[int, int]:
    """Random sets matched in layer, and in activity too."""
    return study.config.n_controls(control_families_for(study.encoder.device, study.config.control_families))
