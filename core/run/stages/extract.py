"""The stage that records a dataset's activations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders import Encoder
from core.encoders.base import Padding
from core.errors import InputError
from core.recording import activations
from core.recording import extract as extract_
from core.recording.activations import Activations
from core.run.stages.trace import Index

_NOT_SHARED_SAFELY = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
"""File systems where two machines that write neighbouring rows of a map undo each other's: pages go back whole."""


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
        extract_.extract(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], activations.reopen(self.folder),
            self.batch_size, self.padding, self.precision, self.workers, lambda _: told(), ranks.mine(self.batches),
        )  # fmt: skip


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
    """Fill the rows that are not done yet, each rank its own; as `core.recording.extract.extract`."""
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
    batches = extract_.missing_batches(matrices, batch_size)
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
