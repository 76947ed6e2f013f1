"""M2D checkpoints: the encoder's tensors out of a file, checked, and the configuration that its name tells.

A published checkpoint's configuration is in the name of its folder, for instance
``m2d_vit_base-80x608p16x16p16k-…``: input 80 bands x 608 frames, patches 16x16, 16 kHz. Everything
else (width, depth, MLP) is read from the tensors, and what the name says is checked against them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.encoders.m2d.files import Source, opened, printable, tensors_of
from core.errors import InputError

PREFIXES = ("", "backbone.", "module.ar.runtime.backbone.")
"""Of the encoder's tensors: as trained; saved by the portable or runtime class; fine-tuned in EVAR."""

DEPTHS = {768: 12, 1024: 24}
"""Blocks of the base and the large network, so that a file that lost its last block is not a smaller network."""

INPUT_FRAMES = (200, 208, 400, 512, 608, 1001)
"""Frames of a chunk, of the published checkpoints and the paper's smaller one."""

DEFAULT_NORM = (-7.1, 4.2)
"""Mean and standard deviation of the log-mel where the file has no ``norm_stats`` (those of 2022)."""

HEAD_WIDTH = 64
MOST_WEIGHTS = 2 << 30

# Of the training and of other branches: nothing the encoder needs. The momentum encoder (target_blocks)
# has the shapes of the encoder, so tensors are told apart by their whole name.
_KNOWN_EXTRAS = (
    "mask_token", "norm_stats", "decoder_", "target_", "offline_predictor.", "audio_proj.", "text_proj.",
    "logit_scale", "text_encoder.", "head.", "to_spec.",
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
    try:
        with opened(weights) as source, source.file.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return _checked(tensors_of(source), source, sha256, config)
    except OSError as error:
        raise InputError(f"{weights} cannot be read: {error.strerror or error}") from error


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
    outside = {name: t for name, t in tensors.items() if not name.startswith(prefix) and "head." in name}
    classes = next((t.shape[0] for n, t in outside.items() if n.endswith("mlp.0.weight") and t.ndim == 2), None)
    if classes:
        notes.append(f"fine-tuned, its head of {classes} classes left out")
    if unknown:
        notes.append(f"{len(unknown)} unknown tensors left out ({', '.join(map(printable, unknown[:3]))})")
    norm = _norm(inside.get("norm_stats", tensors.get("norm_stats")), source.shown)
    own = {key: t.to(torch.float32, copy=True, memory_format=torch.contiguous_format) for key, t in state.items()}
    for key, t in own.items():
        if not bool(torch.isfinite(t).all()):
            raise InputError(f"{source.shown}: {key} holds values that are not finite; fetch the file again")
    return Checkpoint(name, sha256, layout, inherent, own, norm, tuple(notes))


def _encoder_part(inside: dict[str, Tensor], shown: str) -> tuple[dict[str, Tensor], list[str]]:
    """The encoder's tensors, all there and of shapes that fit; and names that nothing is known of."""
    blocks = {m[1] for name in inside if (m := re.match(r"blocks\.(\d{1,4})\.", name))}
    cls, kernel, fc1 = (inside.get(k) for k in ("cls_token", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"))
    width = cls.shape[-1] if cls is not None and cls.ndim else 0
    shapes = encoder_shapes(
        width,
        fc1.shape[0] if fc1 is not None and fc1.ndim else 0,
        max(len(blocks), DEPTHS.get(width, 1)),
        (kernel.shape[2], kernel.shape[3]) if kernel is not None and kernel.ndim == 4 else (0, 0),
        inside["pos_embed"].shape[1] if "pos_embed" in inside and inside["pos_embed"].ndim == 3 else 0,
    )
    missing = [name for name in shapes if name not in inside]
    if missing:
        raise InputError(
            f"{shown} lacks {len(missing)} of the {len(shapes)} tensors of an M2D encoder: {', '.join(missing[:3])}"
            f"{', …' if len(missing) > 3 else ''}; expected a whole M2D checkpoint"
        )
    for name, shape in shapes.items():
        if tuple(inside[name].shape) != shape or not inside[name].is_floating_point():
            is_now = f"{str(inside[name].dtype).removeprefix('torch.')} {tuple(inside[name].shape)}"
            raise InputError(f"{shown}: {name} is {is_now}; the other tensors ask for float {shape}")
    if width % HEAD_WIDTH or sum(inside[name].numel() for name in shapes) > MOST_WEIGHTS:
        raise InputError(
            f"{shown}: width {width} is not a multiple of {HEAD_WIDTH} (one head), or the network is too large"
        )
    extra = [name for name in inside if name not in shapes and not name.startswith(_KNOWN_EXTRAS)]
    strange = [
        name for name in extra if name.startswith(("blocks.", "norm.", "patch_embed.", "pos_embed", "cls_token"))
    ]
    if strange:  # for instance layer scale: without it every number would be wrong
        raise InputError(
            f"{shown} holds {printable(strange[0])}, which M2D's encoder does not have; it is another network"
        )
    return {name: inside[name] for name in shapes}, extra


def encoder_shapes(
    width: int, mlp_width: int, n_layers: int, patch: tuple[int, int], n_positions: int
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of an encoder; ``n_positions`` counts the class token."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, n_positions, width),
        "patch_embed.proj.weight": (width, 1, *patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    linears = {"attn.qkv": (3 * width, width), "attn.proj": (width, width),
               "mlp.fc1": (mlp_width, width), "mlp.fc2": (width, mlp_width)}  # fmt: skip
    for i in range(n_layers):
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{i}.{name}.weight": (width,), f"blocks.{i}.{name}.bias": (width,)}
        for name, (n_out, n_in) in linears.items():
            shapes |= {f"blocks.{i}.{name}.weight": (n_out, n_in), f"blocks.{i}.{name}.bias": (n_out,)}
    return shapes


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
