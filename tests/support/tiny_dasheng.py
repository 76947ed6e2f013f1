"""Tiny Dasheng checkpoints in both layouts that are published: the authors' ``.pt`` and the hub's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.support import by_name

SIZES = {"base": (128, 2), "0.6B": (160, 2), "1.2B": (192, 3)}
"""Width and heads, of as many features as the published sizes have: 64, 80, 64."""
DEPTH = 2


def state(size: str = "base") -> dict[str, Tensor]:
    width, _ = SIZES[size]
    shapes: dict[str, tuple[int, ...]] = {
        "time_pos_embed": (1, width, 1, 252),
        "freq_pos_embed": (1, width, 1, 1),
        **{f"init_bn.1.{part}": (64,) for part in ("weight", "bias", "running_mean", "running_var")},
        "init_bn.1.num_batches_tracked": (),
        "patch_embed.proj.weight": (width, 1, 64, 4),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for i in range(DEPTH):
        parts = {"norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width),
                 "mlp.fc1": (width // 2, width), "mlp.fc2": (width, width // 2)}  # fmt: skip
        shapes |= {f"blocks.{i}.{part}.weight": shape for part, shape in parts.items()}
        shapes |= {f"blocks.{i}.{part}.bias": shape[:1] for part, shape in parts.items()}
    return by_name.filled(shapes.items())


def build(folder: Path, size: str = "base", **config: Any) -> tuple[str, Path]:
    """Write the authors' file; name and weights for `load_encoder`."""
    path = folder / f"dasheng_{size}.pt"
    settings = {"embed_dim": SIZES[size][0], "num_heads": SIZES[size][1], "depth": DEPTH, "target_length": 1008}
    torch.save({"model": state(size), "config": settings | config}, path)
    return "dasheng", path


def build_of_hub(folder: Path, size: str = "base") -> str:
    """Write a folder as the hub has it; its name for `load_encoder`."""
    folder = folder / f"dasheng-{size}"
    folder.mkdir()
    held = {f"encoder.{name}": tensor for name, tensor in state(size).items()}
    save_file(held | {"outputlayer.weight": torch.ones(3, 2)}, folder / "model.safetensors")
    config = {"model_type": "dasheng", "name": f"dasheng-{size}"}
    config["encoder_kwargs"] = {"num_heads": SIZES[size][1], "depth": DEPTH, "n_mels": 64}  # type: ignore[assignment]
    (folder / "config.json").write_text(json.dumps(config))
    return f"dasheng:{folder}"
