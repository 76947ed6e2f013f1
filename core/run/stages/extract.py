"""The stage that records a dataset's activations: one forward pass a clip, each rank its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.errors import InputError
from core.progress.progress import Update
from core.recording import checksums
from core.recording.activations import Activations, folder_of, lacks_layers, open_activations, reopen
from core.recording.extract import changed_by_precision, extract, missing_batches
from core.recording.firing import with_segments
from core.recording.passes import Passes
from core.recording.patterns import forget_patterns
from core.recording.top_clips import Index, top_clips
from core.results import TopClips as TopClipsRecord
from core.run.stages.base import Stage
from core.run.stages.trace import traces_key
from core.run.study import Study

_NOT_SHARED_SAFELY = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")
"""File systems where two machines that write neighbouring rows of a map undo each other's: pages go back whole."""


def record_activations(study: Study, scan: Scan) -> Activations:
    """Counts of positive tokens per clip and neuron, and embeddings, beside the store; what is there is not run again.

    Of clips with segments, also in which tokens each unit fires.

    Raises
    ------
    InputError
        If they are not there and ``--stages`` does not have ``extract``.
    """
    config, encoder, name = study.config, study.encoder, scan.dataset.name
    where, with_layers = (encoder, scan, study.files, config.padding, study.precision), study.probes_layers
    if with_layers and lacks_layers(folder_of(*where)):
        told = f"{name} was recorded by {encoder.name} without the outputs of its layers"
        if "extract" not in config.stages:
            raise InputError(f"{told}; add extract to --stages, or leave out --probe-layers")
        study.progress.print(f"  {told}: it is recorded again (--probe-layers)", "dim")
    matrices = checksums.with_sums(open_activations(*where, with_layers))
    checksums.check(matrices, study.progress.warn)
    if not matrices.complete:
        if "extract" not in config.stages:
            raise InputError(f"{name} has no activations of {encoder.name} yet; add extract to --stages")
        with study.timer("extract"), study.shown("extract", len(matrices.done), "clips") as update:
            recorded = [(encoder, matrices), *others(study, scan)]
            extract_on_ranks(study.ranks, recorded, scan, study.passes(scan), update)
        if study.precision != "float32":
            study.note(changed_by_precision(encoder, scan, config.padding, study.precision))
    checksums.settle(matrices, study.files, lambda: study.store.forget_stages(study.model_id, name))
    if study.store.is_done(traces_key(study, scan)):  # rows were made anew, and are as they were
        forget_patterns(matrices.folder)
    return matrices


def others(study: Study, scan: Scan) -> list[tuple[Encoder, Activations]]:
    """What further units of the same network still lack of a dataset: the same passes show it."""
    config = study.config
    opened = [
        (encoder, open_activations(encoder, scan, study.files, config.padding, study.precision))
        for encoder in study.family if encoder.name != study.encoder.name
    ]  # fmt: skip
    return [(encoder, checksums.with_sums(matrices)) for encoder, matrices in opened if not matrices.complete]


@dataclass(frozen=True)
class TopClips(Stage):
    """The clips that each neuron answers to most."""

    part = "extract"
    study: Study
    scan: Scan
    matrices: Activations

    @property
    def wanted(self) -> bool:
        """Always: it needs no pass."""
        return True

    @property
    def key(self) -> str:
        return self.study.key("top_clips", self.scan.content_key, self.scan.dataset.name)

    def run(self) -> TopClipsRecord:
        return top_clips(self.scan, self.matrices)


@dataclass(frozen=True)
class ExtractJob:
    """Fill the rows of some batches; ``recorded`` are names of encoders, and the folders of their matrices."""

    recorded: Sequence[tuple[str, Path]]
    dataset: str
    batches: Sequence[Index]
    passes: Passes

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        recorded = [(ranks.held["encoder", name], reopen(folder)) for name, folder in self.recorded]
        scan = ranks.held["scan", self.dataset]
        timed = with_segments(scan, scan.dataset.segment_attributes) if scan.dataset.segment_attributes else None
        extract(recorded, scan, self.passes, lambda _: on_step(), ranks.mine(self.batches), timed)


def extract_on_ranks(
    ranks: Ranks, recorded: Sequence[tuple[Encoder, Activations]], scan: Scan, passes: Passes, update: Update
) -> None:
    """Fill the rows that are not done yet, each rank its own; as `core.recording.extract.extract`.

    Raises
    ------
    InputError
        If several machines do not share the folder, or share it on a file system that loses rows.
    """
    _, matrices = recorded[0]
    if ranks.several_machines:
        _refuse_unsafe(matrices.folder, Path("/proc/self/mounts"))

    n_shown = -1

    def watch() -> None:
        nonlocal n_shown
        n_done = int(matrices.done.sum())
        if n_done != n_shown:
            n_shown = n_done
            update(n_done)

    watch()
    folder, batches = matrices.folder.absolute(), missing_batches(matrices, passes.batch_size)
    folders = [(encoder.name, each.folder.absolute()) for encoder, each in recorded]
    ranks.do(ExtractJob(folders, scan.dataset.name, batches, passes), watch)
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
