"""Dasheng: a masked autoencoder's ViT on log-mel, one token each 40 ms over all bands.

Written from the published description and the behaviour of its authors' code; none of it is part of this project.
Source: Dinkel et al., "Scaling up masked audio encoder learning for general audio classification" (Interspeech
2024), repository RicherMans/Dasheng.

Frames are those of a spectrum with mirrored ends: ``1 + n_samples // 160``; four make a token, what is left over none.
The dynamic range is cut at 120 dB under the clip's own loudest band. Chunks have 252 tokens (10.08 s), the last as
many as there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.nano import Block
from core.encoders.structure import mlp_projections
from core.encoders.weights_file import Source, check_claims, dictionary_of, opened, printable
from core.errors import InputError
from core.results import TokenGrid

SAMPLE_RATE, N_FFT, HOP, F_MAX, TOP_DB = 16_000, 512, 160, 8_000.0, 120.0
FIXED = {"n_fft": N_FFT, "win_size": N_FFT, "hop_size": HOP, "f_min": 0, "f_max": int(F_MAX), "top_db": int(TOP_DB)}
"""Settings that a checkpoint may tell, and their values in all published ones."""
HEADS = {768: 12, 1280: 16, 1536: 24}
DEPTHS = {768: 12, 1280: 32, 1536: 40}
"""Of the base, 0.6B and 1.2B networks, by width: their files need not tell."""
FRAMES_AT_ONCE = 30_000
"""Of one spectrum (5 minutes), so that an hour of sound needs no more memory."""
MOST_BLOCKS, WIDEST = 500, 16_384
_DROPPED = ("front_end.", "outputlayer.", "init_bn.1.num_batches_tracked")
_KIND = "a Dasheng checkpoint"


@dataclass(frozen=True)
class DashengBatch(Batch):
    """A `Batch` that knows, without asking the device, whether all its tokens are present."""

    full: bool = False


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: its encoder's tensors by the names of `DashengNetwork`, and its settings."""

    name: str
    sha256: str
    state: dict[str, Tensor] = field(repr=False)
    n_heads: int


class FrontEnd(nn.Module):
    """A waveform to levels in dB: 32 ms Hann windows every 10 ms, HTK mel bands without norm."""

    window: Tensor
    filters: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        filters = torchaudio.functional.melscale_fbanks(N_FFT // 2 + 1, 0.0, F_MAX, n_mels, SAMPLE_RATE)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.top_db = TOP_DB

    def forward(self, waveform: NDArray[np.float32], fewest: int) -> Tensor:
        """Levels (n_mels, n_frames); a clip too short for ``fewest`` frames is filled up with zeros."""
        filled = np.pad(waveform, (0, max(0, (fewest - 1) * HOP - len(waveform))))
        mirrored = np.pad(filled, N_FFT // 2, mode="reflect")
        samples = torch.from_numpy(np.ascontiguousarray(mirrored, dtype=np.float32)).to(self.window.device)
        n_frames = 1 + len(filled) // HOP
        pieces = [
            self._power(samples[first * HOP : (min(first + FRAMES_AT_ONCE, n_frames) - 1) * HOP + N_FFT])
            for first in range(0, n_frames, FRAMES_AT_ONCE)
        ]
        level = 10 * torch.cat(pieces, 1).clamp(min=1e-10).log10()
        return torch.maximum(level, level.max() - self.top_db)

    def _power(self, samples: Tensor) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):
            spectrum = torch.stft(samples, N_FFT, HOP, window=self.window, center=False, return_complex=True)
            return self.filters.T @ (spectrum.real.square() + spectrum.imag.square())


class DashengNetwork(nn.Module):
    """Norm over bands, patches of all bands -> blocks -> final norm."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], n_heads: int, n_layers: int) -> None:
        super().__init__()
        width, _, n_mels, self.patch = shapes["patch_embed.proj.weight"]
        self.init_bn = nn.BatchNorm1d(n_mels)
        # A convolution whose stride is its kernel; as a product it keeps float32 on GPUs, too.
        self.patch_embed = nn.Linear(n_mels * self.patch, width)
        self.time_pos_embed = nn.Parameter(torch.zeros(shapes["time_pos_embed"]))
        self.freq_pos_embed = nn.Parameter(torch.zeros(1, width, 1, 1))
        mlp_width = shapes["blocks.0.mlp.fc1.weight"][0]
        self.blocks = nn.ModuleList(Block(width, n_heads, mlp_width) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def tokens(self, level: Tensor) -> Tensor:
        """Levels (rows, n_mels, patch * tokens) -> (rows, tokens, width)."""
        patches = self.init_bn(level).unflatten(2, (-1, self.patch)).transpose(1, 2).flatten(2)
        positions = (self.time_pos_embed + self.freq_pos_embed)[0, :, 0].T
        return self.patch_embed(patches) + positions[: patches.shape[1]]


class DashengEncoder(Encoder):
    """A `DashengNetwork` with its front end, chunking and pooling.

    The embedding is the mean over a clip's tokens. No token holds padding but the one of a clip shorter than 30 ms, so
    ``exclude`` and ``include`` count the same.

    Attributes
    ----------
    checkpoint : str
        Name of the file, or of its folder.
    """

    licence = "Apache-2.0"
    ends_with_mlp = True
    sample_rate = SAMPLE_RATE

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self.name, self.checkpoint = "dasheng", checkpoint.name
        self.network = self.module = _network(checkpoint).to(device)
        self.front_end = FrontEnd(self.network.init_bn.num_features).to(device)
        self.n_features = self.network.norm.normalized_shape[0]
        blocks = list(self.network.blocks)
        self._projections = mlp_projections(blocks, self.n_features, len(blocks))
        self.layer_widths = tuple(projection.in_features for projection in self._projections)
        self.tokens_per_chunk = self.network.time_pos_embed.shape[3]
        self.weights_key = checkpoint.sha256
        if checkpoint.n_heads != HEADS.get(self.n_features):  # which no tensor tells
            self.weights_key = hashlib.sha256(f"{checkpoint.sha256} {checkpoint.n_heads}".encode()).hexdigest()
        millions = sum(p.numel() for p in self.network.parameters()) / 1e6
        self.description = f"Dasheng {checkpoint.name}, {millions:.3g} M parameters, {len(blocks)} layers"

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        patch = self.network.patch
        rows: list[Tensor] = []
        clip: list[int] = []
        for i, waveform in enumerate(waveforms):
            level = self.front_end(waveform, patch)
            chunks = level[:, : level.shape[1] // patch * patch].split(self.tokens_per_chunk * patch, 1)
            rows += chunks
            clip += [i] * len(chunks)
        n_tokens = torch.tensor([row.shape[1] // patch for row in rows])
        longest = int(n_tokens.max())
        inputs = torch.stack([F.pad(row, (0, longest * patch - row.shape[1])) for row in rows])
        present = (torch.arange(longest) < n_tokens[:, None]).to(self.device)
        of_row = torch.tensor(clip, device=self.device)
        return DashengBatch(inputs, of_row, len(waveforms), present, present, bool(n_tokens.min() == longest))

    def token_grid(self, layer: int) -> TokenGrid:
        column = self.network.patch * HOP / SAMPLE_RATE
        return TokenGrid((0.0, F_MAX), column, column, self.tokens_per_chunk * column, self.tokens_per_chunk)

    def begin(self, batch: Batch) -> Tensor:
        return self.network.tokens(batch.inputs)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        full = isinstance(batch, DashengBatch) and batch.full
        return self.network.blocks[layer](hidden, None if full else ~batch.present)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        summed = (self.network.norm(hidden).float() * batch.present[:, :, None]).sum(1)
        return mean_over_clips(summed, batch.present.sum(1), batch)


def load(weights: Path | None, device: str = "cpu") -> DashengEncoder:
    """Load a Dasheng encoder.

    Parameters
    ----------
    weights : path
        The authors' ``.pt``, or a folder of the Hugging Face hub (``config.json`` beside ``model.safetensors``).
    device : str

    Raises
    ------
    InputError
        If no weights are given, or they are missing, unreadable or no Dasheng encoder.
    """
    if weights is None:
        raise InputError(
            "dasheng needs its weights: --model dasheng:FILE, or --model dasheng --weights FILE; dasheng_base.pt, "
            "dasheng_06b.pt or dasheng_12b.pt of https://zenodo.org/records/11511780, or mispeech/dasheng-base's folder"
        )
    try:
        with opened(weights) as source, source.file.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return DashengEncoder(_checked(source, sha256), device)
    except OSError as error:
        raise InputError(f"{weights} cannot be read: {error.strerror or error}") from error


def _checked(source: Source, sha256: str) -> Checkpoint:
    held = dictionary_of(source, _KIND)
    settings: Any = held.get("config")
    if not isinstance(settings, dict):
        settings = _beside(source)
    held = held["model"] if isinstance(held.get("model"), dict) else held
    tensors = {
        name.removeprefix("encoder."): t
        for name, t in held.items()
        if isinstance(name, str) and isinstance(t, Tensor) and not name.removeprefix("encoder.").startswith(_DROPPED)
    }
    check_claims(tensors.values(), source.file, source.shown)
    kernel = tensors.get("patch_embed.proj.weight", torch.empty(0))
    if kernel.ndim != 4 or "time_pos_embed" not in tensors or kernel.shape[0] > WIDEST:
        raise InputError(f"{source.shown} is no Dasheng encoder; expected {_KIND} of RicherMans/Dasheng")
    n_heads, depth = _heads_and_depth(settings, kernel.shape[0], source.shown)
    _check_shapes(tensors, depth, source.shown)
    general = source.names[-1] in ("model", "checkpoint")
    return Checkpoint(source.names[0] if general else source.names[-1], sha256, tensors, n_heads)


def _heads_and_depth(settings: Mapping[str, Any], width: int, shown: str) -> tuple[int, int]:
    for name, value in FIXED.items():
        if settings.get(name, value) not in (value, None):
            raise InputError(f"{shown}: its {name} is {printable(str(settings[name])[:40])}; expected {value}")
    n_heads, depth = settings.get("num_heads", HEADS.get(width)), settings.get("depth", DEPTHS.get(width))
    if not (isinstance(n_heads, int) and isinstance(depth, int) and 0 < n_heads <= width and 0 < depth <= MOST_BLOCKS):
        raise InputError(f"{shown}: no number of heads and blocks is known for width {width}; expected in its config")
    if width % n_heads:
        raise InputError(f"{shown}: {n_heads} heads do not divide width {width}")
    return n_heads, depth


def _beside(source: Source) -> dict[str, Any]:
    """Settings of ``config.json`` beside the file, as the hub has them."""
    try:
        config = json.loads((source.file.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(config, dict) or config.get("model_type") != "dasheng":
        return {}
    inner = config.get("encoder_kwargs")
    return config | (inner if isinstance(inner, dict) else {})


def _check_shapes(tensors: Mapping[str, Tensor], depth: int, shown: str) -> None:
    width, _, n_mels, patch = tensors["patch_embed.proj.weight"].shape
    hidden = tensors.get("blocks.0.mlp.fc1.bias", torch.empty(0)).numel()
    shapes: dict[str, tuple[int, ...]] = {
        **{f"init_bn.1.{part}": (n_mels,) for part in ("weight", "bias", "running_mean", "running_var")},
        "patch_embed.proj.weight": (width, 1, n_mels, patch),
        "patch_embed.proj.bias": (width,),
        "time_pos_embed": (1, width, 1, tensors["time_pos_embed"].shape[-1]),
        "freq_pos_embed": (1, width, 1, 1),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for i in range(depth):
        linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (hidden, width),
                  "mlp.fc2": (width, hidden)}  # fmt: skip
        shapes |= {f"blocks.{i}.{name}.weight": shape for name, shape in linear.items()}
        shapes |= {f"blocks.{i}.{name}.bias": shape[:1] for name, shape in linear.items()}
        shapes |= {f"blocks.{i}.{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    missing, extra = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"holds {printable(extra[0])[:80]}, which Dasheng does not have"
        raise InputError(f"{shown} {what}; expected {_KIND} of {depth} blocks")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape or not tensors[name].is_floating_point():
            raise InputError(
                f"{shown}: {name} is {tuple(tensors[name].shape)}; the other tensors ask for float {shape}"
            )


def _network(checkpoint: Checkpoint) -> DashengNetwork:
    state = {name.replace("init_bn.1.", "init_bn."): t.float().clone() for name, t in checkpoint.state.items()}
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    n_layers = sum(name.endswith("norm1.weight") for name in state)
    with torch.device("meta"):  # nothing is allocated or drawn that the checkpoint replaces
        network = DashengNetwork(shapes, checkpoint.n_heads, n_layers)
    state["patch_embed.weight"] = state.pop("patch_embed.proj.weight").flatten(1)
    state["patch_embed.bias"] = state.pop("patch_embed.proj.bias")
    state["init_bn.num_batches_tracked"] = torch.zeros((), dtype=torch.int64)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)
