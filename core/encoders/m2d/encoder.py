"""M2D (Masked Modeling Duo), the paper's model: a ViT on 16 or 32 kHz log-mel patches.

Written from the published description of the model and its features; no code or weights of it are part
of this project. Source: Niizumi et al., "Masked Modeling Duo: Towards a Universal Audio Pre-training
Framework" (2024), repository nttcslab/m2d.

The last chunk of a clip is filled with 0, the average level of the normalised log-mel, to whole patches
and no further; filled patches are ordinary tokens to the model: attended to and pooled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.m2d import download
from core.encoders.m2d.checkpoint import Checkpoint, Layout, read
from core.encoders.mel import band_edges, to_hz, to_mel
from core.encoders.structure import mlp_projections
from core.encoders.vit.blocks import Block
from core.errors import InputError
from core.results import TokenGrid

F_MIN = 50.0
"""Hz at which the mel filters begin; they end at half the rate."""
FRAMES_AT_ONCE = 30_000
"""Of one spectrum (5 minutes), so that an hour of sound needs no more memory."""


@dataclass(frozen=True)
class M2DBatch(Batch):
    """A `Batch` that knows, without asking the device, whether all its tokens are present.

    Token 0 of each row is the class token: present, never counted.
    """

    full: bool = False


def mel_filters(n_mels: int, n_fft: int, sample_rate: int, f_min: float, f_max: float) -> NDArray[np.float64]:
    """Slaney's mel filters, each of area 1 (Hz), shape (n_fft // 2 + 1, n_mels)."""
    edges = to_hz(np.linspace(to_mel(f_min), to_mel(f_max), n_mels + 2))
    frequency = np.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


class FrontEnd(nn.Module):
    """Waveforms to normalised log-mel: 25 ms Hann windows every 10 ms, natural log of power."""

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, n_mels: int, norm: tuple[float, float]) -> None:
        super().__init__()
        self.n_fft, self.hop = sample_rate // 40, sample_rate // 100
        self.mean, self.std = norm
        filters = mel_filters(n_mels, self.n_fft, sample_rate, F_MIN, sample_rate / 2)
        self.register_buffer("window", torch.hann_window(self.n_fft, periodic=True), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)

    def forward(self, waveforms: Sequence[NDArray[np.float32]]) -> tuple[Tensor, NDArray[np.int64], NDArray[np.int64]]:
        """All clips in one transform.

        Parameters
        ----------
        waveforms : sequence of ndarray of float32, each of shape (n_samples,)
            Clips too short to be mirrored at their ends are filled with zeros to n_fft // 2 + 1 samples.

        Returns
        -------
        Tensor, shape (n, n_mels)
            Frames of all clips; between clips are a few that belong to none.
        ndarray of int64, shape (n_clips,)
            Where each clip's frames start.
        ndarray of int64, shape (n_clips,)
            How many there are: 1 + n_samples // hop.
        """
        half, hop = self.n_fft // 2, self.hop
        parts: list[NDArray[np.float32]] = []
        for waveform in waveforms:
            mirrored = np.pad(waveform, (0, max(0, half + 1 - len(waveform))))
            mirrored = np.pad(mirrored, half, mode="reflect")
            parts.append(np.pad(mirrored, (0, -len(mirrored) % hop)))  # the next clip starts on a frame
        lengths = np.array([len(part) // hop for part in parts], dtype=np.int64)
        n_frames = np.array([1 + max(half + 1, len(w)) // hop for w in waveforms], dtype=np.int64)
        samples = torch.from_numpy(np.concatenate(parts, dtype=np.float32)).to(self.window.device)
        total = 1 + (len(samples) - self.n_fft) // hop
        pieces = [
            self._log_mel(samples[start * hop : (min(start + FRAMES_AT_ONCE, total) - 1) * hop + self.n_fft])
            for start in range(0, total, FRAMES_AT_ONCE)
        ]
        log_mel = torch.cat(pieces)
        return (log_mel - self.mean) / self.std, np.cumsum(lengths) - lengths, n_frames

    def _log_mel(self, samples: Tensor) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):
            spectrum = torch.stft(samples, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)
            power = spectrum.real.square() + spectrum.imag.square()
            return torch.log(power.T @ self.filters + torch.finfo(torch.float32).eps)


class M2DNetwork(nn.Module):
    """Patches and class token -> blocks -> final norm."""

    def __init__(self, layout: Layout, width: int, mlp_width: int, n_layers: int) -> None:
        super().__init__()
        self.layout = layout
        n_freq, n_time = layout.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + n_freq * n_time, width))
        # A convolution whose stride is its kernel; as a product it keeps float32 on GPUs, too.
        self.patch_embed = nn.Linear(layout.patch[0] * layout.patch[1], width)
        self.blocks = nn.ModuleList(Block(width, mlp_width) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def tokens(self, mel: Tensor) -> Tensor:
        """Log-mel (rows, n_mels, frames) -> class token and patches, (rows, 1 + F*T, width).

        Patch ``f * T + t``, frequency-major, is token ``1 + f * T + t``. Rows of fewer columns than the model
        takes the first columns of every row of the position table.
        """
        (n_freq, n_time), (high, wide) = self.layout.grid, self.layout.patch
        columns = mel.shape[2] // wide
        patches = mel[:, : n_freq * high, : columns * wide].unflatten(1, (n_freq, high)).unflatten(3, (columns, wide))
        patches = patches.permute(0, 1, 3, 2, 4).flatten(3)  # (rows, F, T, high * wide)
        positions = self.pos_embed[0, 1:].unflatten(0, (n_freq, n_time))[:, :columns]
        tokens = (self.patch_embed(patches) + positions).flatten(1, 2)
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(mel), -1, -1)
        return torch.cat([first.to(tokens.dtype), tokens], dim=1)


class M2DEncoder(Encoder):
    """An `M2DNetwork` with its front end, chunking and pooling.

    A clip embedding is the mean over all columns of all chunks of a column's stacked tokens, F x width
    features (5 x 768 = 3840 for 16x16 patches). ``padding="include"`` counts every patch, as the model
    treats them; ``"exclude"`` only those whose frames all are sound, but of a clip shorter than a patch
    its first column.

    Attributes
    ----------
    checkpoint : str
        Name of the checkpoint's folder, or of its file.
    sha256 : str
        Of the weights file.
    layout : Layout
    """

    licence = download.LICENCE
    ends_with_mlp = True

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu", flat_features: bool = False) -> None:
        self.name = "m2d"
        self.checkpoint, self.sha256, self.layout = checkpoint.name, checkpoint.sha256, checkpoint.layout
        self.sample_rate = checkpoint.layout.sample_rate
        self.network = self.module = _network(checkpoint).to(device)
        self.front_end = FrontEnd(self.sample_rate, self.layout.n_mels, checkpoint.norm).to(device)
        width, n_layers = self.network.norm.normalized_shape[0], len(self.network.blocks)
        self._projections = mlp_projections(list(self.network.blocks), width, n_layers)
        self.layer_widths = tuple(p.in_features for p in self._projections)
        self.flat_features = flat_features
        self.n_features = width if flat_features else self.layout.grid[0] * width
        self.weights_key = _key(checkpoint, flat_features)
        self.description = _description(checkpoint, width, self.layer_widths)

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> M2DBatch:
        n_freq, n_time = self.layout.grid
        patch, chunk = self.layout.patch[1], self.layout.n_frames
        log_mel, first, n_frames = self.front_end(waveforms)
        n_chunks = -(-n_frames // chunk)
        clip = np.repeat(np.arange(len(waveforms)), n_chunks)
        offset = np.concatenate([np.arange(n) * chunk for n in n_chunks])  # in the clip, of each row
        sound = np.minimum(chunk, n_frames[clip] - offset)[:, None]  # frames of each row
        # Filled to whole patches. A chunk that is no multiple of them (1001 frames) loses its last frames instead.
        n_columns = np.minimum(n_time, -(-sound // patch))
        column = np.arange(n_columns.max())[None, :]
        present = column < n_columns
        whole = (column + 1) * patch <= sound
        counted = present if padding == "include" else whole | (present & (n_frames[clip] < patch)[:, None])
        frame = np.arange(column.size * patch)[None, :]
        index = np.where(frame < sound, (first[clip] + offset)[:, None] + frame, -1)

        def moved(array: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(log_mel.device)

        def with_class_token(mask: NDArray[np.bool_], of_class: bool) -> Tensor:
            return moved(np.pad(np.tile(mask, (1, n_freq)), ((0, 0), (1, 0)), constant_values=of_class))

        frames = moved(index)
        inputs = log_mel[frames].masked_fill(frames[:, :, None] < 0, 0.0).transpose(1, 2)
        return M2DBatch(
            inputs=inputs,
            clip=moved(clip),
            n_clips=len(waveforms),
            present=with_class_token(present, True),
            counted=with_class_token(counted, False),
            full=bool(present.all()),
        )

    def token_grid(self, layer: int) -> TokenGrid:
        (n_freq, n_time), (high, wide) = self.layout.grid, self.layout.patch
        starts = [band * high for band in range(n_freq + 1)]
        frame = self.front_end.hop / self.sample_rate
        return TokenGrid(
            band_edges(starts, self.layout.n_mels, F_MIN, self.sample_rate / 2),
            wide * frame, wide * frame, self.layout.n_frames * frame, n_time,
        )  # fmt: skip

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        return np.arange(1, n_tokens).reshape(self.layout.grid[0], -1)

    def begin(self, batch: Batch) -> Tensor:
        return self.network.tokens(batch.inputs)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        full = isinstance(batch, M2DBatch) and batch.full
        return self.network.blocks[layer](hidden, None if full else batch.present[:, None, None, :])

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        n_freq = self.layout.grid[0]
        present = batch.present[:, 1:].unflatten(1, (n_freq, -1))  # (rows, F, T)
        tokens = self.network.norm(hidden)[:, 1:].unflatten(1, (n_freq, -1))
        summed = (tokens * present[..., None]).sum(2)  # (rows, F, width)
        features = summed.mean(1) if self.flat_features else summed.flatten(1)
        return mean_over_clips(features, present[:, 0].sum(1), batch)

    @torch.inference_mode()
    def frame_features(self, waveforms: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Features over time: for each clip (T, F * width), one row a patch column, frequency-major.

        Parameters
        ----------
        waveforms : sequence of ndarray of float32, each of shape (n_samples,)
        """
        batch = self.prepare(waveforms)
        hidden = self.begin(batch)
        for layer in range(self.n_layers):
            hidden = self.block(layer, hidden, batch)
        n_freq = self.layout.grid[0]
        by_time = self.network.norm(hidden)[:, 1:].unflatten(1, (n_freq, -1)).transpose(1, 2).flatten(2)
        present = batch.present[:, 1:].unflatten(1, (n_freq, -1))[:, 0]
        return [by_time[batch.clip == i][present[batch.clip == i]].float().cpu().numpy() for i in range(batch.n_clips)]


def load(
    weights: Path | None, device: str = "cpu", config: str | None = None, flat_features: bool = False
) -> M2DEncoder:
    """Load an M2D encoder.

    Parameters
    ----------
    weights : path
        A ``.pth``, ``.pt`` or ``.safetensors`` file, its folder, the release ``.zip``, or the name of a published
        checkpoint, which is looked up in the cache and else fetched.
    device : str
    config : str, optional
        A layout such as ``80x608p16x16p16k`` in place of the one in the name.
    flat_features : bool
        Mean over all patches (width features) as clip embedding, as heads fine-tuned on AudioSet take it.

    Raises
    ------
    InputError
        If no weights are given, or they are missing, unreadable or no M2D encoder.
    """
    if weights is None:
        raise InputError(
            "m2d needs --weights: a checkpoint file, its folder, the release .zip, or a published name such as "
            f"{download.PAPER}"
        )
    return M2DEncoder(read(download.find(Path(weights)), config), device, flat_features)


def _network(checkpoint: Checkpoint) -> M2DNetwork:
    state = dict(checkpoint.state)
    width = state["cls_token"].shape[2]
    n_layers = sum(name.endswith(".norm1.weight") for name in state)
    state["patch_embed.weight"] = state.pop("patch_embed.proj.weight").reshape(width, -1)
    state["patch_embed.bias"] = state.pop("patch_embed.proj.bias")
    with torch.device("meta"):  # nothing is allocated or drawn that the checkpoint replaces
        network = M2DNetwork(checkpoint.layout, width, state["blocks.0.mlp.fc1.weight"].shape[0], n_layers)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _key(checkpoint: Checkpoint, flat_features: bool) -> str:
    """The file's sha256; hashed with what the tensors do not tell, where that differs from their default.

    A file read at another rate or chunk length gives other activations.
    """
    if checkpoint.layout == checkpoint.inherent and not flat_features:
        return checkpoint.sha256
    return hashlib.sha256(f"{checkpoint.sha256} {checkpoint.layout} flat={flat_features}".encode()).hexdigest()


def _description(checkpoint: Checkpoint, width: int, layer_widths: tuple[int, ...]) -> str:
    layout = checkpoint.layout
    release = download.PUBLISHED.get(checkpoint.name)
    facts = [
        *([release.what] if release else []),
        f"ViT of {len(layer_widths)} layers x {layer_widths[0]:,} neurons, width {width}",
        f"{layout.n_mels}x{layout.n_frames} log-mel at {layout.sample_rate // 1000} kHz",
        f"patches of {layout.patch[0]}x{layout.patch[1]}",
        *checkpoint.notes,
    ]
    return f"{checkpoint.name}: {'; '.join(facts)}"
