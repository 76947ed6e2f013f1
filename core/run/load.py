"""What the ranks of a run do together: load encoders, extract, look where neurons fire, ask heads.

A single process does the same alone. Batches are those of a single process, whole, whoever passes them, so that
every number of ranks gives the same numbers.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.datasets.naming import with_folders_above
from core.datasets.scan import Scan
from core.describe import clap
from core.describe.propose import read_phrases
from core.distributed.ranks import Ranks
from core.encoders import load_encoder
from core.encoders.base import Encoder
from core.encoders.device import batch_size_for, choose_device
from core.encoders.untrained import untrained
from core.errors import InputError
from core.run.config import AnalysisConfig
from core.untrusted_text import quoted, user_path


@dataclass(frozen=True)
class Load:
    """Every rank its own copy of the encoders, on its own device."""

    config: AnalysisConfig

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> dict[str, str]:
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

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        ranks.held["scan", self.scan.dataset.name] = self.scan


@dataclass(frozen=True)
class BatchSize:
    """Clips in one forward pass that the smallest of the devices takes."""

    encoder: str
    wanted: int
    seconds: float

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> int:
        encoder = ranks.held["encoder", self.encoder]
        batch_size = 0
        try:
            batch_size = batch_size_for(encoder, self.wanted, self.seconds)
        finally:  # the others ask too, and would wait
            least = ranks.least(batch_size, encoder.device)
        return least


def load_encoders(config: AnalysisConfig, device: str) -> list[Encoder]:
    """The encoders that were asked for, each followed in the end by its untrained twin where that was."""
    encoders = [
        load_encoder(name, config.weights or None, device, config.weights_config or None, config.confirm_structure)
        for name in config.models
    ]
    _tell_apart(config.models, encoders)
    if config.untrained:
        twins = [untrained(encoder, config.seed) for encoder in encoders if not encoder.name.endswith("-untrained")]
        encoders = list({encoder.name: encoder for encoder in [*encoders, *twins]}.values())
    return encoders


def _tell_apart(asked: Sequence[str], encoders: Sequence[Encoder]) -> None:
    """Encoders of one name are called by the folders above their weights, too, as many as it takes.

    Raises
    ------
    InputError
        If two have the same weights, or no folder tells them apart.
    """
    same: dict[str, list[int]] = {}
    for i, encoder in enumerate(encoders):
        same.setdefault(encoder.name, []).append(i)
    for name, of_name in same.items():
        if len(of_name) < 2:
            continue
        first, second, *_ = (asked[i] for i in of_name)
        if len({encoders[i].weights_key for i in of_name}) < len(of_name):
            raise InputError(f"--model {first} and {second} have the same weights; leave one out")
        family, _, last = name.partition(":")
        longer = with_folders_above([user_path(asked[i].partition(":")[2]).parent for i in of_name], last)
        if not last or len(set(longer)) < len(longer):
            raise InputError(
                f"--model {first} and {second} are both named {name}; name one, --model NAME={quoted(second)}"
            )
        for i, new in zip(of_name, longer, strict=True):
            encoders[i].name = f"{family}:{new}"


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
        If an encoder, or the model that proposes, cannot be loaded, or a rank's differs from rank 0's.
    """
    if config.propose:
        clap.load(config.clap, choose_device(config.device))
        if config.phrases:
            read_phrases(config.phrases)
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


def _held(ranks: Ranks, kind: str) -> list[Any]:
    return [thing for (of, _), thing in ranks.held.items() if of == kind]
