"""The interface of every encoder: waveform -> input -> tokens -> blocks -> clip embedding.

A *neuron* is one unit of what enters a block's MLP output projection, that is of what leaves the
activation function (gate included). An encoder names those projections, in order, in
``projections``; everything that records or changes neurons hooks them and nothing else.

The forward pass is cut at the blocks, so that an ablation can start from the first layer it changes.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoders.structure import attention_outputs
from core.results import ModelRecord, TokenGrid

# With AMX, oneDNN of PyTorch 2.11 computes narrow convolutions wrongly in bfloat16 (embeddings of wav2vec 2.0 were off
# by more than their size). It is read when the first operation runs; who sets it keeps what was set.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")

Padding = Literal["exclude", "include"]


@dataclass(frozen=True)
class Batch:
    """Model inputs of several clips; a long clip takes several rows (chunks).

    Attributes
    ----------
    inputs : Tensor, shape (n_rows, ...)
    clip : Tensor of int64, shape (n_rows,)
        Which clip each row belongs to.
    n_clips : int
    present : Tensor of bool, shape (n_rows, n_tokens)
        Tokens that hold any sound: these are attended to and pooled.
    counted : Tensor of bool, shape (n_rows, n_tokens)
        Tokens that enter activation counts (see ``--padding``).
    """

    inputs: Tensor
    clip: Tensor
    n_clips: int
    present: Tensor
    counted: Tensor

    def repeat(self, n: int) -> Batch:
        """The same rows ``n`` times over, copy after copy, as if they were other clips.

        The inputs are not copied: only what the blocks and the pooling read is.
        """
        offsets = torch.arange(n, device=self.clip.device).repeat_interleave(self.clip.shape[0])
        return replace(
            self,
            clip=self.clip.repeat(n) + offsets * self.n_clips,
            n_clips=self.n_clips * n,
            present=self.present.repeat(n, 1),
            counted=self.counted.repeat(n, 1),
        )

    def take(self, clips: Tensor) -> tuple[Batch, Tensor]:
        """Some of the clips, any of them several times, as if they were others; and which rows these are.

        As with `repeat`, the inputs stay as they are.

        Parameters
        ----------
        clips : Tensor of int64, shape (n,)
        """
        by_clip = torch.argsort(self.clip, stable=True)
        n_rows = torch.bincount(self.clip, minlength=self.n_clips)
        first, of_each = (n_rows.cumsum(0) - n_rows)[clips], n_rows[clips]
        clip = torch.arange(len(clips), device=clips.device).repeat_interleave(of_each)
        within = torch.arange(len(clip), device=clips.device) - (of_each.cumsum(0) - of_each)[clip]
        rows = by_clip[first[clip] + within]
        taken = replace(self, clip=clip, n_clips=len(clips), present=self.present[rows], counted=self.counted[rows])
        return taken, rows


class Encoder(ABC):
    """An audio transformer whose MLP neurons can be recorded and scaled.

    Attributes
    ----------
    name : str
    sample_rate : int
        Hz.
    layer_widths : tuple of int
        Neurons of each layer, in order.
    n_features : int
        Length of a clip embedding.
    module : nn.Module
        The network itself, in eval mode.
    weights_key : str
        sha256 of the weights.
    description, licence : str
        One line each.
    ends_with_mlp : bool
        Whether a block ends by adding its MLP's output to the residual stream (pre-norm): an
        ablation then needs no pass through the first block it changes.
    unit_kind : str
        What its "neurons" are (`core.units.kinds`); another kind than ``mlp`` belongs to another encoder, which
        ``encoder_name`` names.
    thresholds : sequence of Tensor, each (width of the layer,), or None
        Activations above which a unit of each layer fires; None = 0.
    """

    name: str
    sample_rate: int
    layer_widths: tuple[int, ...]
    n_features: int
    module: nn.Module
    weights_key: str
    description: str = ""
    licence: str = ""
    ends_with_mlp: bool = False
    unit_kind: str = "mlp"
    encoder_name: str = ""
    thresholds: Sequence[Tensor] | None = None

    @property
    @abstractmethod
    def projections(self) -> list[nn.Linear]:
        """The MLP output projection of each block, in order; their inputs are the neurons."""

    @abstractmethod
    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        """Turn waveforms, each (n_samples,) float32 at ``sample_rate``, into model inputs."""

    @abstractmethod
    def begin(self, batch: Batch) -> Tensor:
        """Hidden state before the first block, shape (n_rows, n_tokens, width)."""

    @abstractmethod
    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        """One transformer block."""

    @abstractmethod
    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Clip embeddings from the last block's output, shape (n_clips, n_features)."""

    def counted(self, layer: int, batch: Batch) -> Tensor:
        """How often each token of a layer enters its counts, shape (n_rows, n_tokens of the layer).

        Bool here. Where later layers have fewer and coarser tokens (Swin), an integer: how many of
        the first layer's tokens one stands for, so that every layer's counts are over as many.
        """
        return batch.counted

    def token_grid(self, layer: int) -> TokenGrid:
        """Which patches of time and frequency the tokens of a layer are.

        Here, where no more is known: one band, a clip's counted tokens as equal parts of its length.
        """
        return TokenGrid((0.0, self.sample_rate / 2))

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        """Token of a row that each patch is, shape (n_bands, n_columns), the lowest band first.

        Parameters
        ----------
        layer : int
        n_tokens : int
            Tokens of a row in that layer, special ones (class tokens) among them: those have no place.
        """
        return np.arange(n_tokens)[None]

    def through(self, inner: Encoder) -> Encoder:
        """The encoder whose passes show what this one records beside what another view of its network does."""
        return inner

    @property
    def attention_outputs(self) -> list[nn.Linear]:
        """The attention output projection of each block, in order; their inputs are heads, one beside the other.

        Raises
        ------
        InputError
            If they are not found by the encoder's structure.
        """
        return attention_outputs(self.module, self.projections)[0]

    @property
    def n_heads(self) -> int:
        """Attention heads of a block; raises as `attention_outputs`."""
        return attention_outputs(self.module, self.projections)[1]

    @property
    def n_layers(self) -> int:
        return len(self.layer_widths)

    @property
    def n_neurons(self) -> int:
        return sum(self.layer_widths)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def forward(self, batch: Batch, then: Callable[[int, Tensor], None] | None = None) -> Tensor:
        """One whole forward pass; returns clip embeddings, shape (n_clips, n_features).

        Parameters
        ----------
        then : callable, optional
            Called with -1 and the hidden state before the first block, then with each layer and its output.
        """
        hidden = self.begin(batch)
        for layer in range(self.n_layers):
            if then:
                then(layer - 1, hidden)
            hidden = self.block(layer, hidden, batch)
        if then:
            then(self.n_layers - 1, hidden)
        return self.finish(hidden, batch)

    def pooled(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        """Mean of a hidden state over those tokens of each clip that hold sound, in all its rows.

        Tokens without a place (class tokens) are left out.

        Parameters
        ----------
        layer : int
            Whose output it is; -1 = before the first.
        hidden : Tensor, shape (n_rows, n_tokens, width)

        Returns
        -------
        Tensor of float32, shape (n_clips, width)
        """
        entered = min(
            layer + 1, self.n_layers - 1
        )  # the layer whose tokens these are: some blocks end by merging theirs
        placed = torch.zeros(hidden.shape[1], device=hidden.device)
        placed[torch.from_numpy(self.token_places(entered, hidden.shape[1]).ravel())] = 1
        with torch.autocast(hidden.device.type, enabled=False):
            tokens = self.counted(entered, replace(batch, counted=batch.present)).float() * placed
            return mean_over_clips(torch.bmm(tokens[:, None], hidden.float())[:, 0], tokens.sum(1), batch)

    @cached_property
    def stream_widths(self) -> tuple[int, ...]:
        """Width of the hidden state before the first block and after each, as a second of silence has it."""
        widths: list[int] = []
        with torch.inference_mode():
            silence = self.prepare([np.zeros(self.sample_rate, dtype=np.float32)])
            self.forward(silence, lambda _, hidden: widths.append(hidden.shape[-1]))
        return tuple(widths)

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Clip embeddings of waveforms at ``sample_rate``.

        Parameters
        ----------
        waveforms : sequence of ndarray of float32, each of shape (n_samples,)

        Returns
        -------
        ndarray of float32, shape (n_clips, n_features)
        """
        return self.forward(self.prepare(waveforms)).float().cpu().numpy()


def mean_over_clips(values: Tensor, weights: Tensor, batch: Batch) -> Tensor:
    """Weighted mean of row values over each clip's rows.

    Parameters
    ----------
    values : Tensor, shape (n_rows, n)
        Sums over a row's tokens.
    weights : Tensor, shape (n_rows,)
        How many tokens each row summed.

    Returns
    -------
    Tensor, shape (n_clips, n)
    """
    total = values.new_zeros(batch.n_clips, values.shape[1]).index_add_(0, batch.clip, values)
    weight = values.new_zeros(batch.n_clips).index_add_(0, batch.clip, weights.to(values.dtype))
    return total / weight[:, None]


def model_record(encoder: Encoder) -> ModelRecord:
    """What the store keeps of an encoder."""
    n_parameters = sum(p.numel() for p in encoder.module.parameters())
    return ModelRecord(
        encoder.name, encoder.weights_key, encoder.layer_widths, encoder.sample_rate, n_parameters,
        encoder.description, encoder.licence, tuple(encoder.token_grid(layer) for layer in range(encoder.n_layers)),
        encoder.unit_kind, encoder.encoder_name or encoder.name,
    )  # fmt: skip
