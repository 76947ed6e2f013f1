"""Where the model runs, and how much of it at once."""

from __future__ import annotations

import re

import numpy as np
import torch
from numpy.typing import NDArray

from core.encoders.base import Encoder
from core.encoders.hooks import record
from core.errors import InputError

_CLIPS_ON_CPU, _TOKENS_ON_CPU = 32, 16_384
_CLIPS_ON_CUDA, _CLIPS_TRIED, _SHARE_OF_MEMORY = 1024, 4, 0.5
_SHARE_OF_GRAPH, _CLIPS_WITH_GRAPH = 4, 16
"""Times the memory of a pass that one takes with the graph of a block beside its activations; clips in it."""


def choose_device(wanted: str) -> str:
    """``auto`` to the best device there is; others checked.

    Raises
    ------
    InputError
        If the device is unknown or not there.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = wanted.partition(":")
    known = wanted in ("cpu", "cuda", "mps") or re.fullmatch("cuda:[0-9]{1,4}", wanted)
    if not known:
        raise InputError(f"--device {wanted} is not known; expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"--device {wanted}: PyTorch sees {torch.cuda.device_count()} CUDA device(s) here; use --device cpu or auto"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps is not available here; use --device cpu or auto")
    return wanted


def batch_size_for(encoder: Encoder, wanted: int, seconds: float) -> int:
    """Clips in one forward pass.

    Parameters
    ----------
    encoder : Encoder
    wanted : int
        0 = auto: on CUDA as many as fit, by the memory that a few of the longest clips take; elsewhere
        fewer the more tokens a clip has, so that a batch stays in the cache.
    seconds : float
        Length of the longest clip.
    """
    if wanted:
        return wanted
    if encoder.device.type != "cuda":
        return min(_CLIPS_ON_CPU, _within(encoder, seconds, _TOKENS_ON_CPU))
    longest = _silence(encoder, seconds)
    free, _ = torch.cuda.mem_get_info(encoder.device)
    before = torch.cuda.memory_allocated(encoder.device)
    torch.cuda.reset_peak_memory_stats(encoder.device)
    batch = encoder.prepare([longest] * _CLIPS_TRIED)
    with torch.inference_mode(), record(encoder, batch):
        encoder.forward(batch)
    a_clip = (torch.cuda.max_memory_allocated(encoder.device) - before) / _CLIPS_TRIED
    return max(1, min(_CLIPS_ON_CUDA, int(_SHARE_OF_MEMORY * free / a_clip)))


def batch_size_with_graph(encoder: Encoder, batch_size: int, wanted: int, seconds: float) -> int:
    """Clips in one pass whose graph is held block by block, in about the memory that extraction takes.

    Parameters
    ----------
    encoder : Encoder
    batch_size : int
        Of extraction (`batch_size_for`).
    wanted : int
        0 = auto: where that is bounded by tokens, a quarter as many, in few clips: those of which little is asked
        wait for the others of their batch.
    seconds : float
        Length of the longest clip.
    """
    if wanted or encoder.device.type == "cuda":
        return max(1, batch_size // _SHARE_OF_GRAPH)
    return min(_CLIPS_WITH_GRAPH, _within(encoder, seconds, _TOKENS_ON_CPU // _SHARE_OF_GRAPH))


def _within(encoder: Encoder, seconds: float, most_tokens: int) -> int:
    n_tokens = encoder.prepare([_silence(encoder, seconds)]).present.numel()
    return max(1, most_tokens // n_tokens)


def _silence(encoder: Encoder, seconds: float) -> NDArray[np.float32]:
    return np.zeros(max(1, round(seconds * encoder.sample_rate)), dtype=np.float32)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether the device, or the machine, had no room for a batch."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def no_memory(encoder: Encoder, clip: NDArray[np.float32], purpose: str = "for") -> InputError:
    """That a single clip is too long for the memory."""
    return InputError(
        f"{encoder.name} on {encoder.device} has no memory {purpose} one clip of "
        f"{len(clip) / encoder.sample_rate:,.0f} s; cut long files, or use --device cpu"
    )
