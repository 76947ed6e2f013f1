"""What each stage computes for one task, from settings to records; `run_analysis` keeps the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.ablation import ablate, attribution, targets
from core.ablation.ablate import ALPHA
from core.ablation.conditions import Passes, ask_all
from core.ablation.operations import Operation, per_token
from core.arrays.blocks import Rows
from core.arrays.threads import one_thread
from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.encoders.device import ablate_clips_for, control_families_for
from core.evidence.exchange_of_task import group_of_clips
from core.evidence.permutation import WORTH_THREADS
from core.probes import refits
from core.probes.fit import Part, Probe
from core.probes.linear import LinearHead
from core.progress.progress import Update
from core.recording.activations import Activations
from core.results import Ablation, Attributions, ModelRecord, TaskScores
from core.run.config import FEWER_CONTROLS, AnalysisConfig
from core.scoring import context
from core.scoring import scores as scoring
from core.selectivity.presets import Mask
from core.selectivity.selectors import selector_scores

ATTRIBUTED_CLIPS, CHECK_CLIPS = 5, 2
"""Clips of a class that attributions take at least, and on which they are checked."""
N_RANDOM, N_HIGHEST = 200, 50
"""Neurons for which they are."""


def model_record(encoder: Encoder) -> ModelRecord:
    """What the store keeps of an encoder."""
    n_parameters = sum(p.numel() for p in encoder.module.parameters())
    return ModelRecord(
        encoder.name, encoder.weights_key, encoder.layer_widths, encoder.sample_rate, n_parameters,
        encoder.description, encoder.licence, tuple(encoder.token_grid(layer) for layer in range(encoder.n_layers)),
    )  # fmt: skip


def n_steps_of_score(config: AnalysisConfig) -> int:
    """Shuffles and parts of `score`."""
    return config.shuffles + context.N_PARTS


def score(
    config: AnalysisConfig,
    scan: Scan,
    matrices: Activations,
    attribute: str,
    counts: scoring.TaskCounts,
    heads: Probe,
    progress: Update,
) -> TaskScores:
    """Entropy and class-specific neurons by every preset, beside their nulls and all that tells what they are worth."""
    settings = config.selections(scan.dataset.entropy_rate)
    with one_thread(matrices.positive.shape[1] < WORTH_THREADS):
        scores = scoring.score(
            scan, attribute, counts, settings, config.shuffles, config.seed, config.selection_splits(), progress
        )
        scores = context.with_worth(
            scan, matrices, attribute, counts, scores, settings, heads.result, config.event, config.seed,
            lambda done: progress(config.shuffles + done),
        )  # fmt: skip
    left_out = ablate.too_few_clips(scan, attribute, counts.names, config.min_test_clips)
    return replace(scores, warnings=(*scores.warnings, left_out)) if left_out else scores


def some_test_clips(
    config: AnalysisConfig, encoder: Encoder, scan: Scan, attribute: str, heads: Probe, least: int
) -> list[Part]:
    """The heads with the test clips that are run: at least so many a class, where a limit is set."""
    members, _ = scan.members(attribute)
    limit = ablate_clips_for(encoder.device, config.ablate_clips)
    return ablate.draw_parts(heads.parts, members, limit, least, config.seed)


def n_steps_of_attribution(encoder: Encoder, parts: Sequence[Part]) -> int:
    """Clips, and clips with one neuron taken out, that `attribute_neurons` runs at most."""
    return sum(len(part.clips) for part in parts) + min(N_RANDOM + N_HIGHEST, encoder.n_neurons) * CHECK_CLIPS


def attribute_neurons(
    config: AnalysisConfig,
    encoder: Encoder,
    scan: Scan,
    attribute: str,
    parts: Sequence[Part],
    batch_size: int,
    precision: str,
    progress: Update,
) -> Attributions:
    """Every neuron's attribution, and the check by taking some out.

    A batch is a quarter of what extraction takes: the graph of a block is held beside its activations.
    """
    members, names = scan.members(attribute)
    passes = Passes(max(1, batch_size // 4), batch_size, config.padding, precision, config.workers)
    neurons = attribution.attribute(encoder, scan, parts, members, passes, progress)
    n_clips = sum(len(part.clips) for part in parts)
    checks, summary = attribution.check(
        encoder, scan, parts, members, neurons, passes, N_RANDOM, N_HIGHEST, CHECK_CLIPS, config.seed,
        lambda done: progress(n_clips + done),
    )  # fmt: skip
    told = {
        "n_clips": n_clips,
        "n_checked": len(checks),
        "n_clips_checked": summary["n_clips"],
        **{name: summary[name] for name in ("spearman_all", "spearman_random", "spearman_highest")},
    }
    checks = checks.assign(in_highest=checks["in_highest"].astype(np.int64))
    return Attributions(scan.dataset.task(attribute), tuple(names), neurons, checks, told)


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
    counts: scoring.TaskCounts,
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
    counts: scoring.TaskCounts,
    choice: targets.Choice,
) -> targets.Material:
    """What targets are chosen from."""
    mask, scores = None, {}
    if choice.kind == "preset":
        settings = [s for s in config.selections(scan.dataset.entropy_rate) if s.preset == choice.name]
        (mask,) = scoring.masks(counts, settings)
    if choice.kind == "selector":
        positive, total = (Rows(of, counts.chosen) for of in (matrices.positive, matrices.total))
        scores = selector_scores(positive, total, np.asarray(matrices.tokens[counts.chosen]), counts.members)
    return targets.Material(counts.names, counts.z, counts.p, encoder.layer_widths, mask, scores)
