"""The disk a study will need, asked for before anything is computed: matrices, traces, answers, the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from core import files as on_disk
from core.ablation.ablate import MOST_TOGETHER
from core.ablation.refitted import NAMES
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.describe.describe import MOST_CLIPS
from core.describe.tokens import MOST_TOKENS
from core.encoders.base import Encoder
from core.errors import InputError
from core.recording.activations import folder_of, is_whole, most_tokens, n_bytes, shapes_of
from core.recording.candidates import most_candidates
from core.recording.firing import with_segments
from core.recording.top_clips import N_MIDDLE, N_SILENT, N_TOP_CLIPS
from core.run.config import AnalysisConfig, ablate_clips_for, control_families_for, refit_clips_for
from core.timing.tracks import SegmentTask

STORE_BYTES = 1_000_000
"""Of the store with nothing in it. These are of the demo's store of two models and two datasets: 64 MB, told as 67."""
CLIP_BYTES = 500
NEURON_BYTES = 700
"""Of the clips chosen for a neuron of one dataset, without its traces."""
PAIR_BYTES = 140
"""Of a class and a neuron: probabilities, selectors, preferences, attribution."""
EFFECT_BYTES = 1_400
"""Of an ablation and a class that it affects."""
CONTROL_BYTES = 50
"""Of one of its random sets."""
SEGMENT_BYTES = 45
"""Of a unit in the segments of a class, curves of some of them among it."""
DESCRIPTION_BYTES = 400
"""Of a unit that is told in words."""
STIMULUS_BYTES = 450
"""Of a unit that is asked with a set of made sounds."""
SCAN_BYTES = 300
"""Of a clip in the cache of the scan."""
LEAST = 16_000_000
"""Asked for whatever a study needs: the store's write-ahead log lasts until a stage is stored, reports stay."""


@dataclass(frozen=True)
class Need:
    """Bytes.

    Attributes
    ----------
    matrices : int
        Counts, sums, embeddings, layers' outputs and their checksums that are not on the disk yet.
    firing : int
        In which tokens of clips with segments units fire; about, if clips are as long as the longest.
    traces : int
        Where neurons fire in clips that they may keep, until that is stored; about.
    answers : int
        Of the largest task's ablations, while they run together; at most.
    moments : int
        Of units that are told in words: their activations at drawn moments, while these are looked at; at most.
    store : int
        What the database grows by; about.
    other : int
        Of the store's write-ahead log, scans and reports; about.
    """

    matrices: int = 0
    firing: int = 0
    traces: int = 0
    answers: int = 0
    moments: int = 0
    store: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """Traces, answers and moments lie there one after the other."""
        return self.matrices + self.firing + self.store + self.other + max(self.traces, self.answers, self.moments)

    def __str__(self) -> str:
        parts = [f"{of.name} {on_disk.size(getattr(self, of.name))}" for of in fields(self) if getattr(self, of.name)]
        return f"{on_disk.size(self.total)} ({', '.join(parts)})"


def needed(
    config: AnalysisConfig, encoder: Encoder, scan: Scan, attributes: Sequence[str], files: Path,
    held: Collection[tuple[str, str]] = (),
) -> Need:  # fmt: skip
    """What one model on one dataset still needs.

    ``held`` are (model, task) of which the store has scores: where matrices are there too, they are taken for done.
    """
    precision = "float32" if config.precision == "auto" else config.precision
    folder = folder_of(encoder, scan, files, config.padding, precision)
    shapes = shapes_of(encoder, scan, config.padding, config.probes_layers(encoder.unit_kind))
    missing = [shape for n, shape in shapes.items() if not is_whole(folder / f"{n}.npy", *shape)]
    in_time = scan.dataset.segment_attributes
    tasks = [Task(scan, a) for a in attributes if missing or (encoder.name, scan.dataset.task(a)) not in held]
    if not missing and not (tasks and {"score", "ablate"} & set(config.stages)):
        return Need()
    n_clips = len(scan.dataset.clips)
    extracts = bool(missing) and "extract" in config.stages
    stored = encoder.n_neurons * _tokens(encoder, scan, config, N_TOP_CLIPS + N_MIDDLE + N_SILENT)
    told = encoder.n_neurons * (config.describe and "score" in config.stages)
    rows = [(NEURON_BYTES * encoder.n_neurons + stored) * extracts, DESCRIPTION_BYTES * told]
    rows += _rows(config, encoder, tasks)
    for task in (SegmentTask(scan, a) for a in in_time if missing and "score" in config.stages):
        rows.append(SEGMENT_BYTES * encoder.n_neurons * len(task.class_names))
    timed = int(with_segments(scan, in_time).sum()) if extracts and in_time else 0
    matrices = sum(n_bytes(*shape) for shape in missing)
    return Need(
        matrices=matrices + n_bytes((n_clips, len(shapes) - 1), np.uint32) if missing else 0,
        firing=timed * most_tokens(encoder, scan, config.padding) * sum(-(-w // 8) for w in encoder.layer_widths)
        if timed
        else 0,
        traces=extracts * encoder.n_neurons * _tokens(encoder, scan, config, most_candidates(n_clips)),
        answers=max((_answers(config, encoder, task) for task in tasks), default=0),
        moments=4 * told * min(n_clips, 2 * MOST_CLIPS) * min(MOST_TOKENS, most_tokens(encoder, scan, config.padding)),
        store=CLIP_BYTES * n_clips + sum(rows) if _is_file(config.db) else 0,  # which keeps the traces, compressed
        other=SCAN_BYTES * n_clips + (max(rows) if _is_file(config.db) else 0),
    )


def _rows(config: AnalysisConfig, encoder: Encoder, tasks: Sequence[Task]) -> list[int]:
    """What each stage of some tasks adds to the store, and to its log until it is stored."""
    controls = sum(config.n_controls(control_families_for(encoder.device, config.control_families)))
    n_ways = len(config.operations(encoder.unit_kind)) if "ablate" in config.stages else 0
    rows = []
    for n_classes in (len(task.class_names) for task in tasks):
        scores = PAIR_BYTES * encoder.n_neurons * n_classes * ("score" in config.stages)
        effects = (EFFECT_BYTES + CONTROL_BYTES * controls) * n_classes * (n_classes + 1)
        rows += [scores, *[effects] * (n_ways * len(config.choices()))]
    return rows


def _tokens(encoder: Encoder, scan: Scan, config: AnalysisConfig, n_clips: int) -> int:
    """Tokens of so many clips of a neuron, if they are the longest; by their share of the longest one's."""
    kept = min(n_clips, len(scan.dataset.clips))
    most = most_tokens(encoder, scan, config.padding)
    if scan.unit_seconds:
        return kept * most
    seconds = np.sort(scan.files["seconds"].to_numpy(dtype=np.float64))[-kept:]
    return int(np.ceil(most * seconds / seconds[-1]).sum())


def _answers(config: AnalysisConfig, encoder: Encoder, task: Task) -> int:
    """All ablations with their controls that run together: logits of test clips, and embeddings of train clips."""
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
    one = n_conditions * (n_clips * n_heads * n_classes + n_train * encoder.n_features) * 4
    return max(one, min(one * len(config.choices()) * len(config.operations()), MOST_TOGETHER))


def _is_file(db: str) -> bool:
    """Whether the store lies on this disk, and not on a server."""
    return "://" not in db or db.startswith("sqlite")


def ask(
    config: AnalysisConfig,
    encoders: Sequence[Encoder],
    data: Sequence[tuple[Scan, Sequence[str]]],
    files: Path,
    held: Collection[tuple[str, str]] = (),
) -> tuple[str, bool]:
    """What a study will need of the disk and what is free, in words; empty where everything is there.

    ``held`` as in `needed`.

    Returns
    -------
    message : str
    is_short : bool
        Whether that is less than is free. All but the matrices are estimates, so it is no reason to stop.

    Raises
    ------
    InputError
        If there is no room for the matrices, whose size is known, and `LEAST`.
    """
    needs = [needed(config, encoder, *of, files, held) for encoder in encoders for of in data]
    is_nothing = all(need == Need() for need in needs)
    asked = sum(encoder.n_neurons for encoder in encoders) * len(config.stimuli) * ("score" in config.stages)
    need = Need(
        sum(n.matrices for n in needs),
        sum(n.firing for n in needs),
        max((n.traces for n in needs), default=0),
        max((n.answers for n in needs), default=0),
        max((n.moments for n in needs), default=0),
        sum(n.store for n in needs) + (STORE_BYTES + STIMULUS_BYTES * asked) * (_is_file(config.db) and not is_nothing),
        max(LEAST, sum(n.other for n in needs)),
    )
    free, place = on_disk.free_space(files)
    message = f"disk: {need} needed, {on_disk.size(free)} free in {place}"
    if free < need.matrices + LEAST:
        raise InputError(f"{message}; free some, give --db a path on a larger disk, or take fewer clips with --limit")
    if is_nothing:
        return "", False
    if need.total <= free:
        return message, False
    return (
        f"{message}; all but the matrices is a guess: the run goes on, and keeps what is finished if it fills up",
        True,
    )
