"""Where the model runs, and how much of it at once."""

from __future__ import annotations

import torch

from core.datasets.base import InputError


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
    known = wanted in ("cpu", "cuda", "mps") or (kind == "cuda" and number.isdecimal())
    if not known:
        raise InputError(f"--device {wanted} is not known; expected auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise InputError(
            f"--device {wanted}: PyTorch sees {torch.cuda.device_count()} CUDA device(s) here; use --device cpu or auto"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps is not available here; use --device cpu or auto")
    return wanted


def batch_size_for(device: torch.device, wanted: int) -> int:
    """Clips in one forward pass; on a CPU small batches stay in the cache."""
    return wanted or (256 if device.type == "cuda" else 32)


def ablate_clips_for(device: torch.device, wanted: int | None) -> int:
    """Test clips of a task that are ablated, 0 = all: on a CPU, ablation is what takes the time."""
    if wanted is not None:
        return wanted
    return 60 if device.type == "cpu" else 0


def rows_per_pass_for(device: torch.device) -> int:
    """Chunks of audio times conditions in one forward pass of an ablation."""
    return 4096 if device.type == "cuda" else 32
