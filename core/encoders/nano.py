"""The embedded models ``nano-ssl`` and ``nano-sl``: a ViT like M2D's in small.

80 mel bands, patches of 40 bands and 16 frames, 2.08 s a chunk (2 x 13 tokens), 6 pre-norm blocks of
width 192 with an MLP of 768: 4,608 neurons. ``core/pretrain`` trains them; the weights lie in ``weights/`` beside
this file, each with its card.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.mel import band_edges
from core.files import is_plain_file
from core.results import TokenGrid

SAMPLE_RATE = 16_000
HOP = 160
F_MIN, F_MAX = 50.0, 8000.0
"""Hz at which the mel filters begin and end."""
WEIGHTS = Path(__file__).parent / "weights"
NAMES = ("nano-ssl", "nano-sl")
_LARGEST = 10_000
"""Of any size in a file's configuration."""


@dataclass(frozen=True)
class NanoConfig:
    """Shape of the network; stored in the weights' metadata.

    A patch is ``patch`` frames of ``patch_bands`` mel bands.
    """

    n_mels: int = 80
    n_frames: int = 208
    patch: int = 16
    patch_bands: int = 40
    width: int = 192
    n_heads: int = 3
    n_layers: int = 6
    mlp_width: int = 768
    mel_mean: float = 0.0
    mel_std: float = 1.0

    @property
    def grid(self) -> tuple[int, int]:
        """Patches along (frequency, time)."""
        return self.n_mels // self.patch_bands, self.n_frames // self.patch


_FRAMES_AT_ONCE = 1 << 14
"""Frames whose spectra are held."""


class LogMel(nn.Module):
    """Waveform (n_samples,) at 16 kHz -> log-mel (80, n_samples // 160), natural log of power."""

    def __init__(self, n_mels: int = 80) -> None:
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(
            SAMPLE_RATE, n_fft=400, hop_length=HOP, f_min=F_MIN, f_max=F_MAX, n_mels=n_mels,
            norm="slaney", mel_scale="slaney",
        )  # fmt: skip

    def forward(self, waveform: Tensor) -> Tensor:
        """Shape (..., n_samples) -> (..., n_mels, n_samples // 160)."""
        n_frames = waveform.shape[-1] // HOP
        # Spectra of an hour would take gigabytes. A frame is told by what lies within two steps of it.
        parts = []
        for first in range(0, max(n_frames, 1), _FRAMES_AT_ONCE):
            end, before = min(first + _FRAMES_AT_ONCE, n_frames), min(first, 2)
            behind = None if end == n_frames else (end + 2) * HOP
            mel = self.mel(waveform[..., (first - before) * HOP : behind])[..., before : before + end - first]
            parts.append(torch.log(mel + torch.finfo(torch.float32).eps))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, absent: Tensor | None = None) -> Tensor:
        """``x`` (batch, tokens, width); ``absent`` (batch, tokens) marks keys to leave out."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = None if absent is None else ~absent[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attended)  # (batch, heads, tokens, width / heads)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear, GELU, Linear; the neurons are what enters ``fc2``."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, n_heads: int, mlp_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, n_heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, mlp_width)

    def forward(self, x: Tensor, absent: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), absent)
        return x + self.mlp(self.norm2(x))


class NanoViT(nn.Module):
    """Patches of a normalised log-mel -> tokens -> blocks -> final norm."""

    positions: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Linear(config.patch_bands * config.patch, config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.n_heads, config.mlp_width) for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.register_buffer("positions", sincos_positions(*config.grid, config.width), persistent=False)
        self.apply(_init)

    def patches(self, mel: Tensor) -> Tensor:
        """Log-mel (batch, n_mels, frames), frames a multiple of a patch's -> (batch, F*T, values of a patch).

        Index is ``f * T + t``, frequency-major, as in M2D.
        """
        p = self.config.patch
        patches = mel.unflatten(1, (-1, self.config.patch_bands)).unflatten(3, (mel.shape[-1] // p, p))
        return patches.permute(0, 1, 3, 2, 4).flatten(3).flatten(1, 2)

    def tokens(self, mel: Tensor) -> Tensor:
        """Log-mel (batch, n_mels, frames) -> (batch, F*T, width), in the order of `patches`.

        A chunk of fewer columns takes the first columns of each row of the position table.
        """
        n_time = mel.shape[-1] // self.config.patch
        return self.patch_embed(self.patches(mel)) + self.positions[:, :n_time].flatten(0, 1)

    def forward(self, x: Tensor, absent: Tensor | None = None) -> Tensor:
        """Tokens (batch, n, width) -> tokens after the final norm."""
        for block in self.blocks:
            x = block(x, absent)
        return self.norm(x)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


def sincos_positions(n_freq: int, n_time: int, width: int) -> Tensor:
    """Fixed 2-D sine-cosine table, shape (n_freq, n_time, width): first half time, second frequency."""
    frequency = torch.exp(-math.log(10_000) * torch.arange(width // 4) / (width // 4))

    def table(n: int) -> Tensor:
        angle = torch.arange(n)[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=1)  # (n, width / 2)

    time = table(n_time)[None].expand(n_freq, -1, -1)
    freq = table(n_freq)[:, None].expand(-1, n_time, -1)
    return torch.cat([time, freq], dim=2)


class NanoEncoder(Encoder):
    """A `NanoViT` with its log-mel front end, chunking and pooling.

    Clips are cut into chunks of 2.08 s; the last chunk is filled to whole patches with the mean
    level. A token is counted when all its frames are sound (``padding="exclude"``) or always
    (``"include"``); a clip shorter than one patch keeps its only column. The embedding is the mean
    over time of each frame's stacked frequency tokens, 2 x 192 = 384 features.
    """

    sample_rate = SAMPLE_RATE
    ends_with_mlp = True

    def __init__(self, name: str, network: NanoViT, weights_key: str, description: str = "") -> None:
        config = network.config
        self.name = name
        self.module = network.eval()
        self.network = network
        self.config = config
        self.weights_key = weights_key
        self.description = description
        self.licence = "Apache-2.0"
        self.layer_widths = (config.mlp_width,) * config.n_layers
        self.n_features = config.grid[0] * config.width
        self.log_mel = LogMel(config.n_mels).to(self.device)

    @property
    def projections(self) -> list[nn.Linear]:
        return [cast(Block, block).mlp.fc2 for block in self.network.blocks]

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        config, patch = self.config, self.config.patch
        chunks: list[Tensor] = []
        clip: list[int] = []
        n_sound_frames: list[int] = []
        for i, mel in enumerate(self._log_mels(waveforms)):
            for start in range(0, mel.shape[1], config.n_frames):
                chunk = mel[:, start : start + config.n_frames]
                chunks.append(_filled(chunk, chunk.shape[1] + -chunk.shape[1] % patch))
                clip.append(i)
                n_sound_frames.append(chunk.shape[1])
        n_frames = max(chunk.shape[1] for chunk in chunks)
        inputs = torch.stack([_filled(chunk, n_frames) for chunk in chunks])
        frames = torch.tensor(n_sound_frames, device=self.device)[:, None]
        clip_of_row = torch.tensor(clip, device=self.device)
        column = torch.arange(n_frames // patch, device=self.device)[None, :]
        present = column * patch < frames
        whole = (column + 1) * patch <= frames
        has_whole = torch.zeros(len(waveforms), dtype=torch.bool, device=self.device)
        has_whole[clip_of_row[whole.any(1)]] = True
        counted = whole | (present & ~has_whole[clip_of_row][:, None])
        if padding == "include":
            counted = present
        n_freq = config.grid[0]
        return Batch(
            inputs=inputs,
            clip=clip_of_row,
            n_clips=len(waveforms),
            present=present.repeat(1, n_freq),
            counted=counted.repeat(1, n_freq),
        )

    def _log_mels(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        # Equal lengths in one transform; a clip shorter than one window is filled with silence.
        tensors = [torch.from_numpy(np.ascontiguousarray(w)).to(self.device) for w in waveforms]
        tensors = [_filled(t, max(400, t.shape[0])) for t in tensors]
        if len({t.shape[0] for t in tensors}) == 1:
            mels = list(self.log_mel(torch.stack(tensors)))
        else:
            mels = [self.log_mel(t) for t in tensors]
        return [(mel - self.config.mel_mean) / self.config.mel_std for mel in mels]

    def token_grid(self, layer: int) -> TokenGrid:
        config, frame = self.config, HOP / SAMPLE_RATE
        n_freq, n_time = config.grid
        starts = [band * config.patch_bands for band in range(n_freq + 1)]
        return TokenGrid(
            band_edges(starts, config.n_mels, F_MIN, F_MAX),
            config.patch * frame, config.patch * frame, config.n_frames * frame, n_time,
        )  # fmt: skip

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        return np.arange(n_tokens).reshape(self.config.grid[0], -1)

    def begin(self, batch: Batch) -> Tensor:
        return self.network.tokens(batch.inputs)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        absent = None if bool(batch.present.all()) else ~batch.present
        return self.network.blocks[layer](hidden, absent)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        hidden = self.network.norm(hidden)
        n_freq = self.config.grid[0]
        by_time = hidden.unflatten(1, (n_freq, -1)).transpose(1, 2).flatten(2)  # (rows, T, F * width)
        present = batch.present.unflatten(1, (n_freq, -1))[:, 0]  # (rows, T)
        summed = (by_time * present[:, :, None]).sum(1)
        return mean_over_clips(summed, present.sum(1), batch)


def _filled(values: Tensor, length: int) -> Tensor:
    """With zeros at the end up to ``length``; the same tensor, not a copy, where it is that long."""
    return values if values.shape[-1] == length else F.pad(values, (0, length - values.shape[-1]))


def load(name: str, weights: Path | None = None, device: str = "cpu") -> NanoEncoder:
    """Load an embedded model, or one that `core.pretrain` saved.

    Parameters
    ----------
    name : str
        ``nano-ssl`` or ``nano-sl``.
    weights : path, optional
        A safetensors file; by default the one in the package.
    device : str

    Raises
    ------
    ValueError
        If the file is missing, unreadable or not a nano model.
    """
    path = Path(weights) if weights else WEIGHTS / f"{name}.safetensors"
    network, description = read_weights(path)
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    return NanoEncoder(name, network.to(device), key, description)


def read_weights(path: Path) -> tuple[NanoViT, str]:
    """The network of a safetensors file, in float32, and its one-line description."""
    if not is_plain_file(path):
        raise ValueError(f"no weights at {path}; expected the .safetensors file of a nano model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            shape = dict(json.loads(metadata["config"]))
            # Files from before patches could be oblong.
            config = NanoConfig(**{"patch_bands": shape.get("patch"), **shape})
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
            _check_shape(config, state)
            network = NanoViT(config)
            network.load_state_dict(state)
    except (SafetensorError, LookupError, TypeError, RuntimeError, ValueError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(
            f"{path} does not hold a nano model ({reason}); expected a file written by core.pretrain"
        ) from error
    return network, metadata.get("description", "")


def _check_shape(config: NanoConfig, state: Mapping[str, Tensor]) -> None:
    """Refuse a configuration that the tensors do not bear out, before a network of its size is built.

    Raises
    ------
    ValueError, LookupError
    """
    for name in ("n_mels", "n_frames", "patch", "patch_bands", "width", "n_heads", "n_layers", "mlp_width"):
        value = getattr(config, name)
        if type(value) is not int or not 0 < value <= _LARGEST:
            raise ValueError(f"its {name} is {value!r:.60}")
    if not abs(config.mel_mean) <= _LARGEST or not 0 < config.mel_std <= _LARGEST:
        raise ValueError(f"its mel_mean and mel_std are {config.mel_mean!r:.60} and {config.mel_std!r:.60}")
    if config.n_mels % config.patch_bands or config.n_frames % config.patch or config.width % config.n_heads:
        raise ValueError("its sizes are no multiples of its patches and heads")
    if config.width % 4 or config.n_mels * config.n_frames > 100 * _LARGEST:
        raise ValueError("its table of positions cannot be made")
    n_blocks = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
    actual = (n_blocks, *state["patch_embed.weight"].shape, *state["blocks.0.mlp.fc1.weight"].shape)
    expected = (config.n_layers, config.width, config.patch_bands * config.patch, config.mlp_width, config.width)
    if actual != expected:
        raise ValueError(f"its tensors are of {actual}, its configuration tells {expected}")


def untrained(seed: int = 0, device: str = "cpu") -> NanoEncoder:
    """The architecture of ``nano-ssl`` with random weights, to compare with."""
    return untrained_like(load("nano-ssl"), seed, device)


def untrained_like(encoder: NanoEncoder, seed: int = 0, device: str = "cpu") -> NanoEncoder:
    """The same architecture with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = NanoViT(encoder.config)
    key = hashlib.sha256(f"untrained {seed} {asdict(encoder.config)}".encode()).hexdigest()
    return NanoEncoder("nano-untrained", network.to(device), key, f"untrained, random weights of seed {seed}: nano ViT")
