"""The disk a study will need, asked for before anything is computed: matrices, traces, answers, the store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from core.ablation.refitted import NAMES
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.encoders.base import Encoder
from core.errors import InputError
from core.recording.activations import MATRICES, folder_of, is_whole, most_tokens, n_bytes, shapes_of
from core.recording.top_clips import N_MIDDLE, N_SILENT, N_TOP_CLIPS
from core.run.config import AnalysisConfig, ablate_clips_for, control_families_for, refit_clips_for

STORE_BYTES = 93
"""Of the store for each class and neuron: 1.16 GB for 12.5 million (`benchmarks/make_store.py`), all tables."""


@dataclass(frozen=True)
class Need:
    """Bytes.

    Attributes
    ----------
    matrices : int
        Counts, sums, embeddings and their checksums that are not on the disk yet.
    traces : int
        Where neurons fire in their clips, while that is read; at most.
    answers : int
        Of the largest ablation, while it runs; at most.
    store : int
        What the database grows by; about.
    """

    matrices: int = 0
    traces: int = 0
    answers: int = 0
    store: int = 0

    @property
    def total(self) -> int:
        """Traces and answers lie there one after the other."""
        return self.matrices + self.store + max(self.traces, self.answers)

    def __str__(self) -> str:
        parts = [f"{of.name} {size(getattr(self, of.name))}" for of in fields(self) if getattr(self, of.name)]
        return f"{size(self.total)} ({', '.join(parts)})"


def size(n: int) -> str:
    """Bytes in words."""
    divided, unit = (n / 1e9, "GB") if n >= 1e8 else (n / 1e6, "MB") if n >= 1e5 else (n / 1e3, "kB")
    return f"{divided:,.1f} {unit}"


def needed(
    config: AnalysisConfig, encoder: Encoder, scan: Scan, attributes: Sequence[str], precision: str, files: Path
) -> Need:
    """What one model on one dataset still needs; nothing where its matrices are there."""
    folder = folder_of(encoder, scan, files, config.padding, precision)
    shapes = shapes_of(encoder, scan, config.padding)
    missing = {n: shape for n, shape in shapes.items() if not is_whole(folder / f"{n}.npy", *shape)}
    if not missing:
        return Need()
    n_clips, n_classes = len(scan.dataset.clips), [len(scan.dataset.classes(a)) for a in attributes]
    traces = encoder.n_neurons * _kept_tokens(encoder, scan, config) * ("extract" in config.stages)
    scores = STORE_BYTES * encoder.n_neurons * sum(n_classes) * ("score" in config.stages)
    return Need(
        matrices=sum(n_bytes(*shape) for shape in missing.values()) + n_bytes((n_clips, len(MATRICES)), np.uint32),
        traces=traces,
        answers=max((_answers(config, encoder, Task(scan, a)) for a in attributes), default=0),
        store=scores + traces if _is_file(config.db) else 0,  # which keeps the traces, compressed
    )


def _kept_tokens(encoder: Encoder, scan: Scan, config: AnalysisConfig) -> int:
    """Tokens of the clips that a neuron keeps, if it keeps the longest; by their share of the longest one's."""
    kept = min(N_TOP_CLIPS + N_MIDDLE + N_SILENT, len(scan.dataset.clips))
    most = most_tokens(encoder, scan, config.padding)
    if scan.unit_seconds:
        return kept * most
    seconds = np.sort(scan.files["seconds"].to_numpy(dtype=np.float64))[-kept:]
    return int(np.ceil(most * seconds / seconds[-1]).sum())


def _answers(config: AnalysisConfig, encoder: Encoder, task: Task) -> int:
    """One ablation with all controls: what all heads say of test clips, and the embeddings of train clips."""
    if "ablate" not in config.stages or not config.ablate:
        return 0
    n_classes = len(task.class_names)
    n_tested = int(task.tested.sum())
    limit = ablate_clips_for(encoder.device, config.ablate_clips)
    n_clips = min(n_tested, max(limit, config.min_test_clips * n_classes)) if limit else n_tested
    controls = sum(config.n_controls(control_families_for(encoder.device, config.control_families)))
    n_conditions = n_classes * (1 + controls) + 1
    n_train = min(len(task.scan.dataset.clips) - n_tested, refit_clips_for(encoder.device, config.refit_clips))
    n_heads = 1 + config.probe_seeds + len(NAMES) * bool(n_train)
    return n_conditions * (n_clips * n_heads * n_classes + n_train * encoder.n_features) * 4


def _is_file(db: str) -> bool:
    """Whether the store lies on this disk, and not on a server."""
    return "://" not in db or db.startswith("sqlite")


def ask(
    config: AnalysisConfig,
    encoders: Sequence[Encoder],
    data: Sequence[tuple[Scan, Sequence[str]]],
    files: Path,
) -> tuple[str, bool]:
    """What a study will need of the disk and what is free, in words; empty where everything is there.

    Returns
    -------
    message : str
    is_short : bool
        Whether that is less than is free. All but the matrices are estimates, so it is no reason to stop.

    Raises
    ------
    InputError
        If there is no room for the matrices alone, whose size is known.
    """
    precision = "float32" if config.precision == "auto" else config.precision
    needs = [needed(config, encoder, *of, precision, files) for encoder in encoders for of in data]
    need = Need(
        sum(n.matrices for n in needs),
        max((n.traces for n in needs), default=0),
        max((n.answers for n in needs), default=0),
        sum(n.store for n in needs),
    )
    if not need.matrices:
        return "", False
    place = next(folder for folder in (files, *files.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    message = f"disk: {need} needed, {size(free)} free in {place}"
    if need.matrices > free:
        raise InputError(f"{message}; free some, give --db a path on a larger disk, or take fewer clips with --limit")
    if need.total <= free:
        return message, False
    return (
        f"{message}; all but the matrices is a guess: the run goes on, and keeps what is finished if it fills up",
        True,
    )
