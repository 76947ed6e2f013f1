"""M2D checkpoints: the encoder's tensors out of a file, checked, and the configuration that its name tells.

A published checkpoint's configuration is in the name of its folder, for instance
``m2d_vit_base-80x608p16x16p16k-…``: input 80 bands x 608 frames, patches 16x16, 16 kHz. Everything
else (width, depth, MLP) is read from the tensors, and what the name says is checked against them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.encoders.vit.blocks import block_shapes
from core.encoders.vit.state import (
    WRAPPERS,
    check_extras,
    check_fit,
    check_width,
    head_note,
    in_float32,
    n_blocks,
    reading,
    size,
)
from core.encoders.weights_file import Source
from core.errors import InputError

PREFIXES = (*WRAPPERS, "backbone.", "module.ar.runtime.backbone.")
"""Of the encoder's tensors: as trained or wrapped; of the portable or runtime class; fine-tuned in EVAR."""

INPUT_FRAMES = (200, 208, 400, 512, 608, 1001)
"""Frames of a chunk, of the published checkpoints and the paper's smaller one."""

DEFAULT_NORM = (-7.1, 4.2)
"""Mean and standard deviation of the log-mel where the file has no ``norm_stats`` (those of 2022)."""

# Of the training and of other branches: nothing the encoder needs. The momentum encoder (target_blocks)
# has the shapes of the encoder, so tensors are told apart by their whole name.
_KNOWN_EXTRAS = (
    "mask_token", "norm_stats", "decoder_", "target_", "offline_predictor.", "audio_proj.", "text_proj.",
    "logit_scale", "text_encoder.", "head.", "fc_norm.", "to_spec.",
)  # fmt: skip
_LAYOUT = re.compile(r"(\d{1,4})x(\d{1,6})p(\d{1,4})x(\d{1,4})(?:p(.*))?")
_RATES = {"16k": 16_000, "32k": 32_000}
_MEL_BINS = {201: 16_000, 401: 32_000}


@dataclass(frozen=True)
class Layout:
    """What a checkpoint's name tells.

    Attributes
    ----------
    n_mels, n_frames : int
        Log-mel bands, and frames of a whole chunk.
    patch : tuple of int
        Bands and frames of a patch.
    sample_rate : int
        16000 or 32000 Hz.
    """

    n_mels: int
    n_frames: int
    patch: tuple[int, int]
    sample_rate: int = 16_000

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of a whole chunk along (frequency, time)."""
        return self.n_mels // self.patch[0], self.n_frames // self.patch[1]

    def __str__(self) -> str:
        return f"{self.n_mels}x{self.n_frames}p{self.patch[0]}x{self.patch[1]}p{self.sample_rate // 1000}k"


@dataclass(frozen=True)
class Checkpoint:
    """An M2D encoder as read from a file.

    Attributes
    ----------
    name : str
        The folder's name if it tells the configuration, else the file's or the archive's.
    sha256 : str
        Of the weights file itself, also where it came in an archive.
    layout : Layout
    inherent : Layout or None
        What the tensors alone would give.
    state : mapping of str to Tensor
        The encoder's tensors in float32, by the names of the original, without prefix.
    norm : tuple of float
        Mean and standard deviation that normalise the log-mel.
    notes : tuple of str
        What was assumed or left out.
    """

    name: str
    sha256: str
    layout: Layout
    inherent: Layout | None
    state: Mapping[str, Tensor]
    norm: tuple[float, float] = DEFAULT_NORM
    notes: tuple[str, ...] = ()


def parse_layout(text: str) -> Layout | None:
    """``80x608p16x16p32k`` (further tags may follow) to a layout; None if it is none.

    Source: the names of the published checkpoints. Without a rate it is 16 kHz.
    """
    match = _LAYOUT.fullmatch(text)
    if not match:
        return None
    n_mels, n_frames, high, wide = map(int, match.groups()[:4])
    rates = [tag for tag in (match[5] or "").split("p") if re.fullmatch(r"\d+k", tag)]
    if not 0 < high <= n_mels or not 0 < wide <= n_frames or not set(rates) <= set(_RATES) or len(rates) > 1:
        return None
    return Layout(n_mels, n_frames, (high, wide), _RATES[rates[0]] if rates else 16_000)


def layout_of_name(name: str) -> Layout | None:
    """The layout in a checkpoint's name: what stands between its first and its second ``-``."""
    parts = name.split("-")
    return parse_layout(parts[1]) if len(parts) > 1 else None


def read(weights: Path, config: str | None = None) -> Checkpoint:
    """Read an M2D encoder from a ``.pth``, ``.pt`` or ``.safetensors`` file, its folder or the release ``.zip``.

    Nothing in the file is run, and nothing is unpacked but into a temporary folder.

    Parameters
    ----------
    weights : path
    config : str, optional
        A layout such as ``80x608p16x16p16k`` in place of the one in the name.

    Raises
    ------
    InputError
        If there is no such file, more than one, it cannot be read, is no M2D encoder, or does not fit its name.
    """
    with reading(weights, "m2d", "an M2D checkpoint") as file:
        return _checked(file.tensors, file.source, file.sha256, config)


def _checked(tensors: dict[str, Tensor], source: Source, sha256: str, config: str | None) -> Checkpoint:
    prefix = next((p for p in PREFIXES if f"{p}patch_embed.proj.weight" in tensors), "")
    inside = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    state, unknown = _encoder_part(inside, source.shown)
    n_tokens = state["pos_embed"].shape[1] - 1
    high, wide = state["patch_embed.proj.weight"].shape[2:]
    rate = next((_MEL_BINS.get(t.shape[-1]) for n, t in tensors.items() if n.endswith("mel_basis") and t.ndim), None)
    inherent = _inherent_layout((high, wide), n_tokens, rate)
    name, layout, notes = _layout(source, config, inherent)
    _check_layout(layout, (high, wide), n_tokens, rate, f"{source.shown}: {notes[0] if notes else name}")
    notes += _head(tensors, prefix) + unknown
    norm = _norm(inside.get("norm_stats", tensors.get("norm_stats")), source.shown)
    return Checkpoint(name, sha256, layout, inherent, in_float32(state, source.shown), norm, tuple(notes))


def _encoder_part(inside: dict[str, Tensor], shown: str) -> tuple[dict[str, Tensor], list[str]]:
    """The encoder's tensors, all there and of shapes that fit; and a note on those that nothing is known of."""
    kernel, width = inside.get("patch_embed.proj.weight"), size(inside.get("cls_token"), 3, 2)
    shapes = encoder_shapes(
        width,
        size(inside.get("blocks.0.mlp.fc1.weight"), 2, 0),
        n_blocks(list(inside), width),
        (size(kernel, 4, 2), size(kernel, 4, 3)),
        size(inside.get("pos_embed"), 3, 1),
    )
    check_fit(inside, shapes, shown, "an M2D encoder")
    check_width(width, shown)
    extra = [name for name in inside if name not in shapes and not name.startswith(_KNOWN_EXTRAS)]
    within = ("blocks.", "norm.", "patch_embed.", "pos_embed", "cls_token")
    notes = check_extras(extra, within, shown, "M2D's encoder")
    return {name: inside[name] for name in shapes}, notes


def _head(tensors: dict[str, Tensor], prefix: str) -> list[str]:
    """A note on a classifier: timm's beside the encoder, EVAR's outside."""
    evar = next((name for name in tensors if "head." in name and name.endswith("mlp.0.weight")), "")
    return head_note(tensors, f"{prefix}head.weight") or head_note(tensors, "head.weight") or head_note(tensors, evar)


def encoder_shapes(
    width: int, mlp_width: int, n_layers: int, patch: tuple[int, int], n_positions: int
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an encoder; ``n_positions`` counts the class token."""
    return {
        "cls_token": (1, 1, width),
        "pos_embed": (1, n_positions, width),
        "patch_embed.proj.weight": (width, 1, *patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        **block_shapes(width, mlp_width, n_layers),
    }


def _layout(source: Source, config: str | None, inherent: Layout | None) -> tuple[str, Layout, list[str]]:
    """The checkpoint's name, its layout, and a note if the name did not tell it."""
    named = next(((name, layout) for name in source.names if (layout := layout_of_name(name))), None)
    name = named[0] if named else source.names[-1]
    if config:
        layout = parse_layout(config) or layout_of_name(config)
        if layout is None:
            raise InputError(f"--weights-config {config} is not a layout; expected for instance 80x608p16x16p16k")
        return name, layout, [f"{layout} by --weights-config"]
    if named:
        return name, named[1], []
    if inherent is None:
        raise InputError(
            f"{source.shown}: neither its name nor its tensors tell the input size; "
            "add it, for instance --weights-config 80x608p16x16p16k"
        )
    return name, inherent, [f"{inherent} read from the tensors, as no name tells it"]


def _inherent_layout(patch: tuple[int, int], n_tokens: int, rate: int | None) -> Layout | None:
    """What the tensors tell alone: 80 bands, the published input size of so many columns, 16 kHz by default."""
    if min(patch) < 1 or 80 % patch[0]:
        return None
    n_freq = 80 // patch[0]
    if n_tokens < n_freq or n_tokens % n_freq:
        return None
    n_time = n_tokens // n_freq
    fitting: Sequence[int] = [n for n in INPUT_FRAMES if n // patch[1] == n_time] or [n_time * patch[1]]
    return Layout(80, fitting[0], patch, rate or 16_000) if len(fitting) == 1 else None


def _check_layout(layout: Layout, patch: tuple[int, int], n_tokens: int, rate: int | None, origin: str) -> None:
    n_freq, n_time = layout.grid
    advice = "rename its folder or give the right layout, for instance --weights-config 80x608p16x16p16k"
    if layout.patch != patch:
        raise InputError(f"{origin} means patches of {_by(layout.patch)}; the tensors have {_by(patch)}; {advice}")
    if n_freq * n_time != n_tokens:
        raise InputError(
            f"{origin} means {n_freq * n_time} patches; the tensors have positions for {n_tokens}; {advice}"
        )
    if rate and rate != layout.sample_rate:
        raise InputError(
            f"{origin} means {layout.sample_rate} Hz; the mel filters in the file mean {rate} Hz; {advice}"
        )


def _norm(stats: Tensor | None, shown: str) -> tuple[float, float]:
    if stats is None:
        return DEFAULT_NORM
    if stats.numel() != 2 or not bool(torch.isfinite(stats).all()) or float(stats.flatten()[1]) <= 0:
        raise InputError(f"{shown}: norm_stats is not a mean and a standard deviation; fetch the file again")
    mean, std = stats.flatten().tolist()
    return mean, std


def _by(patch: tuple[int, int]) -> str:
    return f"{patch[0]}x{patch[1]}"
