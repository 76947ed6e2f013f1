"""Weights that follow from a tensor's name and shape alone, so that another program can make the same ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import torch


def filled(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, torch.Tensor]:
    """A tensor for each name: normal numbers seeded by its CRC-32, over the root of what one output sums.

    Vectors get 0.1 of them, scales of norms 1 more; a running mean of -40 and a running variance of 400 stand for
    levels in dB. Patches are small, so that the eps of the first norm shows.
    """
    made = {}
    for name, shape in shapes:
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if name.endswith("running_mean"):
            values = -40.0 + values
        elif name.endswith("running_var"):
            values = 400.0 + values
        elif name.endswith("num_batches_tracked"):
            values = np.zeros(shape, dtype=np.int64)
        elif name.endswith("weight_g"):
            values = 1.0 + 0.1 * values
        elif len(shape) < 2:
            scales = (name.endswith("weight") and "norm" in name) or name.endswith("init_bn.1.weight")
            values = 0.1 * values + float(scales)
        else:
            values = values / np.sqrt(np.prod(shape[1:]))
        if "patch_embed" in name:
            values = 0.02 * values
        made[name] = torch.from_numpy(np.asarray(values))
        if made[name].is_floating_point():
            made[name] = made[name].float()
    return made


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    """White noise that grows louder and falls silent, so that levels differ."""
    sound = np.random.default_rng(seed).standard_normal(n_samples) * np.linspace(0.001, 0.3, n_samples)
    sound[n_samples * 3 // 4 :] *= 1e-9
    return sound.astype(np.float32)
