"""BEATs checkpoints as their authors publish them: settings, names and shapes of the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.encoders.vit.filter_bank import N_MELS
from core.encoders.vit.state import check_extras, check_fit, head_note, in_float32, reading
from core.errors import InputError

GATE = 8
"""Numbers that a head's query gives to its two gates, half of them to each."""


@dataclass(frozen=True)
class Config:
    """What tensors do not tell; names and defaults are the checkpoint's ``cfg``.

    Attributes
    ----------
    input_patch_size : int
        Frames, and mel filters, of a patch.
    conv_pos, conv_pos_groups : int
        Width and groups of the convolution that gives positions.
    num_buckets, max_distance : int
        Of relative positions.
    """

    input_patch_size: int = -1
    embed_dim: int = 512
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    activation_fn: str = "gelu"
    layer_norm_first: bool = False
    deep_norm: bool = False
    conv_pos: int = 128
    conv_pos_groups: int = 16
    relative_position_embedding: bool = False
    num_buckets: int = 320
    max_distance: int = 1280
    gru_rel_pos: bool = False

    @property
    def alpha(self) -> float:
        """Factor of the residual stream at each sum."""
        return (2 * self.encoder_layers) ** 0.25 if self.deep_norm else 1.0


@dataclass(frozen=True)
class Checkpoint:
    """A BEATs encoder as read from a file; ``state`` by the names of `core.encoders.vit.beats.BeatsNetwork`."""

    name: str
    sha256: str
    config: Config
    state: Mapping[str, Tensor]
    notes: tuple[str, ...]


def read(weights: Path | None) -> Checkpoint:
    """Read a published ``.pt`` file, self-supervised or fine-tuned.

    Raises
    ------
    InputError
        If there is no such file, or it holds no BEATs encoder.
    """
    with reading(weights, "beats", "a BEATs checkpoint") as file:
        shown = file.source.shown
        config = _config(file.beside.get("cfg"), shown)
        shapes = official_shapes(config)
        check_fit(file.tensors, shapes, shown, "a BEATs encoder")
        known = ("predictor.", *(f"encoder.layers.{i}.self_attn.relative_" for i in range(1, config.encoder_layers)))
        extra = [name for name in file.tensors if name not in shapes and not name.startswith(known)]
        inner = ("encoder.", "patch_embedding.", "layer_norm.", "post_extract_proj.")
        unknown = check_extras(extra, inner, shown, "a BEATs encoder of its settings")
        state = in_float32({name: file.tensors[name] for name in shapes}, shown)
        notes = (*head_note(file.tensors, "predictor.weight"), *unknown)
        return Checkpoint(file.name, file.sha256, config, _own_names(state, config), notes)


_MOST = 1 << 14
"""Of any number in a configuration: larger ones would fill the memory before a tensor is compared."""


def _config(found: Any, shown: str) -> Config:
    if not isinstance(found, Mapping) or "input_patch_size" not in found:
        raise InputError(
            f"{shown} holds no settings of a BEATs encoder ('cfg'); expected a checkpoint as its authors publish it"
        )
    known = {name: found[name] for name in Config.__dataclass_fields__ if name in found}
    for name, value in known.items():
        wanted = type(getattr(Config, name))
        if type(value) is not wanted or (wanted is int and not 0 < value < _MOST):
            raise InputError(
                f"{shown}: its {name} is {str(value)[:40]!r}; expected {wanted.__name__} of a BEATs encoder"
            )
    config = Config(**known)
    side, width, heads = config.input_patch_size, config.encoder_embed_dim, config.encoder_attention_heads
    ends = {
        "activation_fn": config.activation_fn == "gelu",
        "input_patch_size": side > 0 and N_MELS % side == 0,
        "encoder_attention_heads": width % heads == 0,
        "conv_pos_groups": width % config.conv_pos_groups == 0,
        "deep_norm": not (config.deep_norm and config.layer_norm_first),
        "num_buckets": 4 <= config.num_buckets < 4 * config.max_distance,
    }
    wrong = [name for name, fits in ends.items() if not fits]
    if wrong:
        raise InputError(f"{shown}: its {wrong[0]} is {getattr(config, wrong[0])!r}, of which no BEATs encoder is made")
    return config


def official_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an encoder, as the authors' code names them."""
    width, hidden, side = config.encoder_embed_dim, config.encoder_ffn_embed_dim, config.input_patch_size
    heads = config.encoder_attention_heads
    shapes: dict[str, tuple[int, ...]] = {"patch_embedding.weight": (config.embed_dim, 1, side, side)}
    if config.conv_bias:
        shapes["patch_embedding.bias"] = (config.embed_dim,)
    shapes |= _pair("layer_norm", (config.embed_dim,))
    if config.embed_dim != width:
        shapes |= _pair("post_extract_proj", (width, config.embed_dim))
    shapes |= {
        "encoder.pos_conv.0.bias": (width,),
        "encoder.pos_conv.0.weight_g": (1, 1, config.conv_pos),
        "encoder.pos_conv.0.weight_v": (width, width // config.conv_pos_groups, config.conv_pos),
        **_pair("encoder.layer_norm", (width,)),
    }
    if config.relative_position_embedding:
        shapes[_RELATIVE] = (config.num_buckets, heads)
    for i in range(config.encoder_layers):
        at = f"encoder.layers.{i}."
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes |= _pair(f"{at}self_attn.{name}", (width, width))
        if config.gru_rel_pos:
            shapes |= _pair(f"{at}self_attn.grep_linear", (GATE, width // heads))
            shapes[f"{at}self_attn.grep_a"] = (1, heads, 1, 1)
        shapes |= _pair(f"{at}self_attn_layer_norm", (width,)) | _pair(f"{at}final_layer_norm", (width,))
        shapes |= _pair(f"{at}fc1", (hidden, width)) | _pair(f"{at}fc2", (width, hidden))
    return shapes


_RELATIVE = "encoder.layers.0.self_attn.relative_attention_bias.weight"


def _pair(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _own_names(theirs: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """The tensors under the names of `BeatsNetwork`, query, key and value in one."""
    state = {"patch_embed.weight": theirs["patch_embedding.weight"].flatten(1)}
    names = {"patch_embedding.bias": "patch_embed.bias", _RELATIVE: "relative.weight",
             "encoder.pos_conv.0.bias": "positions.bias"}  # fmt: skip
    for theirs_part, own in (
        ("layer_norm", "patch_norm"),
        ("post_extract_proj", "wider"),
        ("encoder.layer_norm", "norm"),
    ):
        names |= {f"{theirs_part}.{end}": f"{own}.{end}" for end in ("weight", "bias")}
    parts = {"self_attn.out_proj": "attn.proj", "self_attn.grep_linear": "attn.gate", "self_attn_layer_norm": "norm1",
             "final_layer_norm": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}  # fmt: skip
    for i in range(config.encoder_layers):
        at, own = f"encoder.layers.{i}.", f"blocks.{i}."
        for end in ("weight", "bias"):
            names |= {f"{at}{part}.{end}": f"{own}{ours}.{end}" for part, ours in parts.items()}
            three = [theirs[f"{at}self_attn.{name}_proj.{end}"] for name in "qkv"]
            state[f"{own}attn.qkv.{end}"] = torch.cat(three)
        names[f"{at}self_attn.grep_a"] = f"{own}attn.gate_scale"
    state |= {names[name]: tensor for name, tensor in theirs.items() if name in names}
    direction = theirs["encoder.pos_conv.0.weight_v"]  # normalised at each place of the kernel
    length = direction.square().sum((0, 1), keepdim=True).sqrt()
    state["positions.weight"] = theirs["encoder.pos_conv.0.weight_g"] * direction / length
    return state
