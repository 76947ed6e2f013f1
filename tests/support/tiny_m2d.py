"""Tiny M2D checkpoints with random weights, in each layout that files of the real ones have."""

from __future__ import annotations

import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.datasets import InputError
from core.encoders.m2d.checkpoint import encoder_shapes, layout_of_name, read

NAME = "m2d_vit_base-80x208p16x16-tiny"
WRAPS = ("flat", "model", "backbone", "evar")
EVAR = "module.ar.runtime.backbone."


def random_state(
    name: str = NAME, width: int = 64, n_layers: int = 2, mlp_width: int = 128, seed: int = 0
) -> dict[str, Tensor]:
    """Weights of a scale at which tokens, positions, attention and MLP all have a say in the features."""
    layout = layout_of_name(name)
    assert layout is not None
    n_freq, n_time = layout.grid
    generator = torch.Generator().manual_seed(seed)
    spread = {"patch_embed.proj.weight": 0.2 / (layout.patch[0] * layout.patch[1]) ** 0.5, "pos_embed": 0.15,
              "cls_token": 0.1, "bias": 0.1}  # fmt: skip
    state = {}
    for key, shape in encoder_shapes(width, mlp_width, n_layers, layout.patch, 1 + n_freq * n_time).items():
        noise = torch.randn(shape, generator=generator)
        if "norm" in key:
            state[key] = 0.1 * noise + (1 if key.endswith("weight") else 0)
        elif key.endswith(("qkv.weight", "proj.weight", "fc1.weight", "fc2.weight")) and "patch" not in key:
            # The sharper the attention, the more a wrong position shows.
            state[key] = (
                noise * (2.0 if "qkv" in key else 0.3 if "proj" in key or "fc2" in key else 1.0) / shape[1] ** 0.5
            )
        else:
            state[key] = noise * next(s for k, s in spread.items() if key.endswith(k))
    state["pos_embed"][:, 0] = 0
    return state


def wrapped(state: dict[str, Tensor], wrap: str) -> dict[str, Any]:
    """What a file of this layout holds; extras are random, so that one taken for another shows."""
    if wrap == "flat":
        return dict(state)
    width = state["cls_token"].shape[2]
    if wrap == "model":
        training = {"mask_token": torch.randn(1, 1, 32), "decoder_embed.weight": torch.randn(32, width),
                    "decoder_pos_embed": torch.randn(1, 66, 32), "decoder_norm.weight": torch.randn(32),
                    "decoder_pred.bias": torch.randn(width), "target_norm.weight": torch.randn(width),
                    "offline_predictor.weight": torch.randn(4, 4)}  # fmt: skip
        for key, tensor in state.items():
            if key.startswith("blocks."):
                training[f"target_{key}"] = torch.randn_like(tensor)
                training[f"decoder_{key}"] = torch.randn(32)
                training[f"decoder_blocks.layers.{key.removeprefix('blocks.')}"] = torch.randn(32)
        return {
            "model": {**training, **state},
            "optimizer": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.randn(4)}}, "param_groups": []},
            "epoch": 300,
            "scaler": {"scale": 65536.0},
            "args": Namespace(lr=3e-4, model="m2d_vit_base", input_size=[80, 208], resume=None),
        }
    mel = {"to_spec.mel_basis": torch.rand(80, 201), "to_spec.stft.wsin": torch.rand(201, 1, 400)}
    if wrap == "backbone":
        return {**mel, **{f"backbone.{key}": tensor for key, tensor in state.items()}}
    head = {"norm.running_mean": torch.zeros(width), "norm.running_var": torch.ones(width),
            "mlp.mlp.0.weight": torch.randn(7, width), "mlp.mlp.0.bias": torch.randn(7)}  # fmt: skip
    tensors = {f"module.ar.runtime.{key}": t for key, t in mel.items()}
    return {
        **tensors,
        **{f"{EVAR}{key}": t for key, t in state.items()},
        **{f"module.head.{key}": t for key, t in head.items()},
    }


def write(folder: Path, name: str = NAME, wrap: str = "flat", state: dict[str, Tensor] | None = None) -> Path:
    """A checkpoint file in a folder that carries its name."""
    path = folder / name / "checkpoint-300.pth"
    path.parent.mkdir(parents=True)
    torch.save(wrapped(random_state(name) if state is None else state, wrap), path)
    return path


def build(folder: Path) -> tuple[str, Path]:
    """An encoder's name and weights, as ``load_encoder`` takes them."""
    return "m2d", write(folder)


def refusal(path: Path, config: str | None = None) -> str:
    """The one line with which reading fails."""
    with pytest.raises(InputError) as caught:
        read(path, config)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def saved(path: Path, content: Any, **options: Any) -> Path:
    """``torch.save``, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path, **options)
    return path


def zipped(path: Path, *members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of these names and contents."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path
