"""The stage that scores one task: entropy, selections, nulls, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

from core.ablation import ablate
from core.arrays.blocks import WORTH_THREADS
from core.arrays.threads import one_thread
from core.datasets.scan import Scan
from core.probes.fit import Probe
from core.progress.progress import Update
from core.recording.activations import Activations
from core.results import TaskScores
from core.run.config import AnalysisConfig
from core.scoring import context
from core.scoring import scores as scoring
from core.scoring.counts import TaskCounts


def n_steps_of_score(config: AnalysisConfig) -> int:
    """Shuffles and parts of `score`."""
    return config.shuffles + context.N_PARTS


def score(
    config: AnalysisConfig,
    scan: Scan,
    matrices: Activations,
    attribute: str,
    counts: TaskCounts,
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
