"""The stage that gives every neuron its attribution, checked by taking some out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.ablation import ablate, attribution
from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.probes.fit import Part, Probe
from core.progress.progress import Update
from core.recording.passes import Passes
from core.results import Attributions
from core.run.config import AnalysisConfig, ablate_clips_for

ATTRIBUTED_CLIPS, CHECK_CLIPS = 5, 2
"""Clips of a class that attributions take at least, and on which they are checked."""
N_RANDOM, N_HIGHEST = 200, 50
"""Neurons for which they are."""


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
