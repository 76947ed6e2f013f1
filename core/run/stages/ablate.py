"""What each stage computes for one task, from settings to records; `run_analysis` keeps the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.ablation import ablate, conditions, targets
from core.ablation.ablate import ALPHA
from core.ablation.answers import Answers
from core.ablation.conditions import Asked, ask_all
from core.ablation.operations import Operation, per_token
from core.arrays.blocks import Rows
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.encoders.hooks import Change
from core.evidence.exchange_of_task import group_of_clips
from core.probes import refits
from core.probes.fit import Part, Probe
from core.probes.linear import LinearHead
from core.progress.progress import Update
from core.recording.activations import Activations
from core.recording.passes import Passes
from core.results import Ablation, Mask
from core.run.config import FEWER_CONTROLS, AnalysisConfig, control_families_for
from core.run.stages.attribute import some_test_clips
from core.scoring.counts import TaskCounts
from core.scoring.scores import masks
from core.selectivity.selectors import selector_scores


@dataclass(frozen=True)
class Sweep:
    """One choice of neurons and one operation on them, ready to run; see `core.ablation.ablate.ablate`."""

    task: str
    parts: list[Part]
    members: Mask
    names: Sequence[str]
    targets: list[targets.Target]
    setting: ablate.Setting
    known: ablate.Known
    n_passes: int

    def run(
        self, encoder: Encoder, scan: Scan, folder: Path, progress: Update, ask: Callable[..., None] = ask_all
    ) -> list[Ablation]:
        """What each target lost; answers lie in ``folder`` meanwhile, filled by ``ask``."""
        return ablate.ablate(
            encoder, scan, self.parts, self.members, self.names, self.task, self.targets, self.setting, progress,
            self.known, folder, ask,
        )  # fmt: skip


def refit_heads(
    config: AnalysisConfig, scan: Scan, matrices: Activations, attribute: str, heads: Probe
) -> list[list[LinearHead]]:
    """Heads fitted again on resampled train clips, of whole groups where they are known."""
    groups = group_of_clips(scan, attribute)
    return refits.refit_heads(heads, scan, attribute, matrices.embeddings, config.probe_seeds, config.seed, groups)


def n_controls(config: AnalysisConfig, encoder: Encoder) -> tuple[int, int]:
    """Random sets matched in layer, and in activity too."""
    return config.n_controls(control_families_for(encoder.device, config.control_families))


def fewer_controls(sweep: Sweep, found: Sequence[Ablation]) -> str:
    """That a sweep ran fewer controls than it could have, in words; empty if not."""
    n = max(int(ablation.effects["n_controls"].max()) for ablation in found)
    if n >= sweep.setting.n_controls:
        return ""
    return (
        f"{sweep.task}: {n} controls instead of {sweep.setting.n_controls}, since no effect has q < {ALPHA:g}; "
        f"--controls {sweep.setting.n_controls} runs all"
    )


def prepare_ablation(
    config: AnalysisConfig,
    encoder: Encoder,
    scan: Scan,
    matrices: Activations,
    attribute: str,
    counts: TaskCounts,
    heads: Probe,
    choice: targets.Choice,
    operation: Operation,
    refit: Callable[[], list[list[LinearHead]]],
    batch_size: int,
    precision: str,
) -> tuple[Sweep | None, list[str]]:
    """What an ablation of one task needs, or None where it cannot be; and what the user should know, a line each.

    ``refit`` gives the refitted heads (`refit_heads`), where they are needed.
    """
    task, told = scan.dataset.task(attribute), []
    enough = ablate.classes_with_clips(scan, attribute, config.min_test_clips)
    material = _material(config, encoder, scan, matrices, counts, choice)
    chosen, left_out = targets.choose(choice, material, enough, config.max_pairs)
    if left_out:
        told.append(f"{task}: {left_out}")
    reason = ablate.why_not(heads, chosen)
    if reason:
        return None, [*told, f"{task}: not ablated ({choice}), {reason}"]
    members, names = scan.members(attribute)
    parts = some_test_clips(config, encoder, scan, attribute, heads, config.min_test_clips)
    n_clips, n_every = (sum(len(part.clips) for part in of) for of in (parts, heads.parts))
    if n_clips < n_every:
        told.append(f"{task}: ablated on {n_clips} of {n_every} test clips; --ablate-clips all takes them all")
    passes = Passes(batch_size, batch_size, config.padding, precision, config.workers)
    fewer = FEWER_CONTROLS if config.controls is None and encoder.device.type == "cpu" else 0
    setting = ablate.Setting(operation, *n_controls(config, encoder), fewer, config.control_layers, config.seed, passes)
    known = ablate.Known(
        per_token(matrices.positive, matrices.tokens, counts.chosen),
        per_token(matrices.total, matrices.tokens, counts.chosen) if operation.gain is None else None,
        refit(),
        group_of_clips(scan, attribute),
    )
    n_passes = n_clips * ablate.n_conditions(chosen, encoder.layer_widths, setting, known)
    return Sweep(task, parts, members, names, chosen, setting, known, n_passes), told


def _material(
    config: AnalysisConfig,
    encoder: Encoder,
    scan: Scan,
    matrices: Activations,
    counts: TaskCounts,
    choice: targets.Choice,
) -> targets.Material:
    """What targets are chosen from."""
    mask, scores = None, {}
    if choice.kind == "preset":
        settings = [s for s in config.selections(scan.dataset.entropy_rate) if s.preset == choice.name]
        (mask,) = masks(counts, settings)
    if choice.kind == "selector":
        positive, total = (Rows(of, counts.chosen) for of in (matrices.positive, matrices.total))
        scores = selector_scores(positive, total, np.asarray(matrices.tokens[counts.chosen]), counts.members)
    return targets.Material(counts.names, counts.z, counts.p, encoder.layer_widths, mask, scores)


@dataclass(frozen=True)
class Ask:
    """Answers of heads under some conditions."""

    encoder: str
    dataset: str
    folder: Path
    parts: Sequence[Asked]
    changes: Sequence[Change]
    passes: Passes
    conditions: Sequence[int]
    done: NDArray[np.uint8]

    def run(self, ranks: Ranks, told: Callable[[], None]) -> None:
        answers = Answers.reopen(self.folder)
        conditions.ask_all(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], self.parts, self.changes,
            self.passes, answers, self.conditions, told, Answers(answers.values, answers.sums, self.done), ranks,
        )  # fmt: skip


def asker(ranks: Ranks) -> Callable[..., None]:
    """`core.ablation.conditions.ask_all` with all ranks, for answers that lie in a folder."""
    return partial(_ask_all, ranks)


def _ask_all(
    ranks: Ranks,
    encoder: Encoder,
    scan: Scan,
    parts: Sequence[Asked],
    changes: Sequence[Change],
    passes: Passes,
    answers: Answers,
    which: Sequence[int],
    progress: Callable[[], None] | None = None,
) -> None:
    assert answers.folder is not None, "other ranks find the answers in a folder"
    folder, done = answers.folder.absolute(), np.array(answers.done)
    ranks.do(Ask(encoder.name, scan.dataset.name, folder, parts, changes, passes, which, done), progress)
    # Nothing is left, unless a rank had so little memory that it halved batches which others took part in.
    conditions.ask_all(encoder, scan, parts, changes, passes, answers, which, progress)
