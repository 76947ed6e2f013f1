"""How clips go through a model: batch size, padding, precision, workers; in halves where memory ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoders.base import Encoder, Padding
from core.encoders.device import no_memory, out_of_memory
from core.recording.waveforms import Waveforms

T = TypeVar("T")


def in_halves(
    encoder: Encoder,
    index: NDArray[np.int64],
    waveforms: Waveforms,
    once: Callable[[NDArray[np.int64], Waveforms], T],
) -> Iterator[T]:
    """What one pass over a batch gives if it fits into memory, else what passes over its halves give."""
    try:
        yield once(index, waveforms)
        return
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        if len(waveforms) == 1:
            raise no_memory(encoder, waveforms[0]) from error
    if encoder.device.type == "cuda":
        torch.cuda.empty_cache()
    half = len(waveforms) // 2
    yield from in_halves(encoder, index[:half], waveforms[:half], once)
    yield from in_halves(encoder, index[half:], waveforms[half:], once)


def autocast(encoder: Encoder, precision: str) -> torch.autocast:
    """Autocast to bfloat16 where asked for, else nothing."""
    return torch.autocast(encoder.device.type, torch.bfloat16, enabled=precision == "bfloat16")


@dataclass(frozen=True)
class Passes:
    """How the forward passes run.

    Attributes
    ----------
    batch_size : int
        Clips read and prepared together.
    rows_per_pass : int
        Chunks of audio times conditions in one forward pass; halved where memory does not suffice.
    padding, precision : str
        As in extraction.
    workers : int
    """

    batch_size: int = 32
    rows_per_pass: int = 64
    padding: Padding = "exclude"
    precision: str = "float32"
    workers: int = 2
