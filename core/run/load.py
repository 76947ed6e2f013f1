"""What the ranks of a run do together: load encoders, extract, look where neurons fire, ask heads.

A single process does the same alone. Batches are those of a single process, whole, whoever passes them, so that
every number of ranks gives the same numbers.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.ablation import conditions
from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Passes
from core.datasets.base import InputError
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders import Encoder, load_encoder
from core.encoders.base import Padding
from core.encoders.device import batch_size_for, choose_device
from core.encoders.hooks import Change
from core.encoders.untrained import untrained
from core.recording import activations, traces
from core.recording.activations import Activations
from core.results import ClipTraces
from core.run.config import AnalysisConfig

_NOT_SHARED_SAFELY = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
"""File systems where two machines that write neighbouring rows of a map undo each other's: pages go back whole."""

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Load:
    """Every rank its own copy of the encoders, on its own device."""

    config: AnalysisConfig

    def run(self, ranks: Ranks, told: Callable[[], None]) -> dict[str, str]:
        """Name of the machine, and what must be the same on all ranks."""
        if not _held(ranks, "encoder"):
            for encoder in load_encoders(self.config, device_for(self.config.device, ranks)):
                ranks.held["encoder", encoder.name] = encoder
        encoders = _held(ranks, "encoder")
        return {
            "machine": platform.node(),
            "PyTorch": torch.__version__,
            "devices": str({encoder.device.type for encoder in encoders}),
            **{f"weights of {encoder.name}": encoder.weights_key for encoder in encoders},
        }


@dataclass(frozen=True)
class Hold:
    """Every rank the dataset that rank 0 has looked at."""

    scan: Scan

    def run(self, ranks: Ranks, told: Callable[[], None]) -> None:
        ranks.held["scan", self.scan.dataset.name] = self.scan


@dataclass(frozen=True)
class BatchSize:
    """Clips in one forward pass that the smallest of the devices takes."""

    encoder: str
    wanted: int
    seconds: float

    def run(self, ranks: Ranks, told: Callable[[], None]) -> int:
        encoder = ranks.held["encoder", self.encoder]
        found = 0
        try:
            found = batch_size_for(encoder, self.wanted, self.seconds)
        finally:  # the others ask too, and would wait
            least = ranks.least(found, encoder.device)
        return least


@dataclass(frozen=True)
class Extract:
    """Fill the rows of some batches."""

    encoder: str
    dataset: str
    folder: Path
    batches: Sequence[Index]
    batch_size: int
    padding: Padding
    precision: str
    workers: int

    def run(self, ranks: Ranks, told: Callable[[], None]) -> None:
        activations.extract(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], activations.reopen(self.folder),
            self.batch_size, self.padding, self.precision, self.workers, lambda _: told(), ranks.mine(self.batches),
        )  # fmt: skip


@dataclass(frozen=True)
class Find:
    """Where neurons fire in the clips of some batches; on others than rank 0 into a file of the rank's own."""

    encoder: str
    dataset: str
    clips: Index
    folder: Path
    batches: Sequence[Index]
    padding: Padding
    precision: str
    workers: int

    def run(self, ranks: Ranks, told: Callable[[], None]) -> traces.Found | traces.FoundElsewhere:
        n_before = 0

        def progress(n: int) -> None:
            nonlocal n_before
            ranks.count(n - n_before)
            n_before = n
            told()

        name = None if ranks.is_first else f"traces-{ranks.rank}.part"
        found = traces.find_patterns(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], self.clips, self.folder,
            ranks.mine(self.batches), self.padding, self.precision, self.workers, progress, name,
        )  # fmt: skip
        return found if ranks.is_first else found.elsewhere()


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


def load_encoders(config: AnalysisConfig, device: str) -> list[Encoder]:
    """The encoders that were asked for, each followed in the end by its untrained twin where that was."""
    encoders = [
        load_encoder(name, config.weights or None, device, config.weights_config or None) for name in config.models
    ]
    if config.untrained:
        twins = [untrained(encoder, config.seed) for encoder in encoders if not encoder.name.endswith("-untrained")]
        encoders = list({encoder.name: encoder for encoder in [*encoders, *twins]}.values())
    return encoders


def device_for(wanted: str, ranks: Ranks) -> str:
    """The device of a rank: of several on CUDA each has its own.

    Raises
    ------
    InputError
        If there are fewer devices than ranks on the machine, or one device was named for all.
    """
    device = choose_device(wanted)
    if ranks.world == 1 or not device.startswith("cuda"):
        return device
    if ":" in device:
        raise InputError(f"--device {device} is one device, torchrun started {ranks.world} ranks; expected cuda or cpu")
    n_devices = torch.cuda.device_count()
    if ranks.local_world > n_devices:
        raise InputError(
            f"{ranks.local_world} ranks on {platform.node()}, where PyTorch sees {n_devices} CUDA device(s); "
            f"expected torchrun --nproc-per-node {n_devices}, or --device cpu"
        )
    torch.cuda.set_device(ranks.local_rank)
    return f"cuda:{ranks.local_rank}"


def load(ranks: Ranks, config: AnalysisConfig) -> list[Encoder]:
    """Load the encoders on every rank; rank 0 first, so that what must be fetched is fetched once.

    Raises
    ------
    InputError
        If an encoder cannot be loaded, or a rank's differs from rank 0's.
    """
    job = Load(config)
    job.run(ranks, lambda: None)
    ours, *others = ranks.do(job)
    for number, theirs in enumerate(others, start=1):
        for what in ours.keys() - {"machine"}:
            if theirs.get(what) != ours[what]:
                raise InputError(
                    f"rank {number} on {theirs['machine']} has other {what} ({theirs.get(what)}) than rank 0 on "
                    f"{ours['machine']} ({ours[what]}); expected the same on all machines"
                )
    return _held(ranks, "encoder")


def hold(ranks: Ranks, scan: Scan) -> None:
    """Give every rank a dataset."""
    ranks.do(Hold(scan))


def batch_size(ranks: Ranks, encoder: Encoder, wanted: int, seconds: float) -> int:
    """Clips in one forward pass on every rank; see `core.encoders.device.batch_size_for`."""
    return int(ranks.do(BatchSize(encoder.name, wanted, seconds))[0])


def extract(
    ranks: Ranks,
    encoder: Encoder,
    scan: Scan,
    matrices: Activations,
    batch_size: int,
    padding: Padding,
    precision: str,
    workers: int,
    progress: Callable[[int], None],
) -> None:
    """Fill the rows that are not done yet, each rank its own; as `core.recording.activations.extract`."""
    if ranks.several_machines:
        _refuse_unsafe(matrices.folder, Path("/proc/self/mounts"))

    told = -1

    def watch() -> None:
        nonlocal told
        n_done = int(matrices.done.sum())
        if n_done != told:
            told = n_done
            progress(n_done)

    watch()
    batches = activations.missing_batches(matrices, batch_size)
    folder = matrices.folder.absolute()
    ranks.do(
        Extract(encoder.name, scan.dataset.name, folder, batches, batch_size, padding, precision, workers), watch
    )  # fmt: skip
    watch()
    if not matrices.complete:
        raise InputError(
            f"{folder}: what other ranks wrote did not arrive; expected a folder that all machines share: "
            "give --db a path on such a file system"
        )


def trace(
    ranks: Ranks,
    encoder: Encoder,
    scan: Scan,
    matrices: Activations,
    batch_size: int,
    padding: Padding,
    precision: str,
    workers: int,
    progress: Callable[[int], None],
    chosen: traces.Chosen,
) -> ClipTraces:
    """Look where in their clips the neurons fire, each rank in its own; as `core.recording.traces.trace`."""

    def find(_: Encoder, __: Scan, clips: Index, folder: Path, batches: Sequence[Index], *how: Any) -> traces.Found:
        folder = folder.absolute()
        job = Find(encoder.name, scan.dataset.name, clips, folder, batches, padding, precision, workers)
        try:
            found, *others = ranks.do(job, lambda: progress(ranks.count()))
            for other in others:
                found.take(other)
        finally:
            for left_over in folder.glob("traces-*.part"):
                left_over.unlink()
        progress(ranks.count())
        return found

    return traces.trace(
        encoder, scan, matrices, batch_size, padding, precision, workers, progress, chosen, find
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


def _held(ranks: Ranks, kind: str) -> list[Any]:
    return [thing for (of, _), thing in ranks.held.items() if of == kind]


def _refuse_unsafe(folder: Path, mounts: Path) -> None:
    """Stop before several machines write to a file system that would lose some of it.

    Raises
    ------
    InputError
        With the file system's name.
    """
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:  # not Linux
        return
    here = folder.resolve()
    above = [(len(place), kind) for _, place, kind, *_ in lines if here.is_relative_to(place)]
    kind = max(above)[1] if above else ""
    if kind in _NOT_SHARED_SAFELY:
        raise InputError(
            f"{here} is on {kind}, where rows that several machines write to one file get lost; expected a parallel "
            "file system such as Lustre, GPFS or BeeGFS: give --db a path there, or run on one machine"
        )
