"""The encoders of other authors' files: weights that both sides make alike, sound, and what the authors' code gave.

``official_numbers.json`` holds what the authors' own code gave for these weights and this sound: the mean over patch
tokens, and how often each neuron of the last layer was above 0. ``benchmarks/official_numbers.py`` made it, from
microsoft/unilm at 768a3c8, cwx-worst-one/EAT at 06c1c34, facebookresearch/AudioMAE at bd60e29, Audio-WestlakeU/audiossl
at ec3a14d.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

RATE = 16_000
FAMILIES = ("beats", "eat", "audiomae", "atst")
NUMBERS = Path(__file__).with_name("official_numbers.json")


def filled(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A tensor for each name, by its name and shape alone: normal deviates of NumPy's generator seeded by CRC-32.

    Scaled so that tokens, positions, attention and MLP all have a say in the result. BEATs has one table of relative
    positions under the name of each layer.
    """
    state = {}
    for name, shape in shapes.items():
        seed = zlib.crc32(re.sub(r"layers\.\d+(\.self_attn\.relative)", r"layers.0\1", name).encode())
        noise = np.random.default_rng(seed).standard_normal(shape)
        if name.endswith(("relative_attention_bias.weight", "grep_a")):
            value = 1 + noise
        elif any(part in name for part in ("pos_embed", "positions", "token", "bias")):
            value = (0.3 if len(shape) > 1 else 0.1) * noise
        elif len(shape) == 1 or name.endswith("weight_g"):
            value = 1 + 0.1 * noise
        else:
            sharp = any(part in name for part in ("qkv", "q_proj", "k_proj"))
            value = (2.0 if sharp else 1.0) * noise / np.sqrt(np.prod(shape[1:]))
        state[name] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return state


def sound(seconds: float) -> np.ndarray:
    """A gliding tone in noise, its level rising."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(time))
    return ((noise + 0.3 * np.sin(2 * np.pi * (300 + 40 * time) * time)) * (0.1 + time / 10)).astype(np.float32)


@dataclass(frozen=True)
class Layout:
    """What the authors' code has and gave.

    Attributes
    ----------
    settings : mapping
        From which its network was made.
    shapes : mapping
        Every tensor of it, by name.
    mean, positive : mapping
        By seconds of sound: mean over patch tokens, (width,), and counts of the last layer, (neurons,).
    """

    settings: dict[str, Any]
    shapes: dict[str, list[int]]
    mean: dict[float, np.ndarray]
    positive: dict[float, np.ndarray]

    @property
    def state(self) -> dict[str, Tensor]:
        return filled(self.shapes)


@cache
def layouts(family: str) -> dict[str, Layout]:
    """Of an encoder, by what is different about them."""
    found = json.loads(NUMBERS.read_text())[family]
    return {
        name: Layout(
            one["settings"],
            one["shapes"],
            {float(seconds): np.array(values) for seconds, values in one["mean"].items()},
            {float(seconds): np.array(values) for seconds, values in one["positive"].items()},
        )
        for name, one in found.items()
    }


def write(folder: Path, family: str, name: str) -> Path:
    """A file, or a folder, as it is published, of weights that both sides make alike."""
    layout = layouts(family)[name]
    path = folder / f"{family}-{name}".replace(", ", "-").replace(" ", "-")
    if name in ("Hugging Face", "timm"):
        path.mkdir()
        (path / "config.json").write_text("{}")
        if name == "timm":
            torch.save(layout.state, path / "pytorch_model.bin")
        else:
            save_file(layout.state, path / "model.safetensors")
        return path
    if family == "atst":
        path = path.with_suffix(".ckpt")
        student = {key.replace("teacher", "student"): torch.zeros_like(t) for key, t in layout.state.items()}
        torch.save({"state_dict": student | layout.state, "hyper_parameters": {"arch": "base"}, "epoch": 3}, path)
        return path
    torch.save({"cfg": layout.settings, "model": layout.state}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def build(folder: Path, family: str) -> tuple[str, Path | None]:
    """An encoder's name and weights, as ``load_encoder`` takes them."""
    return f"{family}:{write(folder, family, next(iter(layouts(family))))}", None
