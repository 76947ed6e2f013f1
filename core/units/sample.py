"""Tokens of some selection clips, by which the thresholds and directions of units are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.datasets.scan import Scan
from core.encoders.base import Batch, Encoder
from core.encoders.hooks import keep
from core.recording.passes import Passes, autocast
from core.recording.waveforms import Waveforms, read_ahead
from core.results import IntArray
from core.units.encoder import UnitEncoder, head_places

N_CLIPS = 128
"""Of each dataset, drawn among its selection clips."""
N_TOKENS = 8_192
"""Of each layer, over all datasets: the 95th percentile is then known to a quarter of a per cent."""
_CLIPS_AT_ONCE = 16


@dataclass(frozen=True)
class Sample:
    """Values of drawn tokens, layer by layer, on the CPU.

    Attributes
    ----------
    stream : list of Tensor, each (n_tokens, width)
        A block's output.
    heads : list of Tensor, each (n_tokens, n_heads)
        Length of what each attention head gives; empty where that was not asked for.
    """

    stream: list[Tensor]
    heads: list[Tensor]


def drawn_clips(scan: Scan, splits: Sequence[str], seed: int, n: int = N_CLIPS) -> IntArray:
    """Up to ``n`` clips of those splits, of all clips where there are none; ascending positions."""
    of_split = np.array([clip.split in splits for clip in scan.dataset.clips])
    clips = np.flatnonzero(of_split) if of_split.any() else np.arange(len(of_split))
    return np.sort(np.random.default_rng([seed, len(clips)]).permutation(clips)[:n])


@dataclass(frozen=True)
class Draw:
    """What is drawn.

    Attributes
    ----------
    seed : int
    n_tokens : int
        Of each layer; fewer where there are no more.
    with_heads : bool
        Whether attention heads are looked at, too.
    """

    seed: int
    n_tokens: int = N_TOKENS
    with_heads: bool = False


def sample(
    encoder: Encoder,
    clips: Sequence[tuple[Scan, IntArray]],
    passes: Passes,
    draw: Draw,
    progress: Callable[[int], None],
) -> Sample:
    """Draw counted tokens of every layer from some clips, as many of each dataset that has any.

    Parameters
    ----------
    clips : sequence of (Scan, ndarray of int)
        Datasets, and positions in each; together one clip at least.
    progress : callable
        Called with the number of clips done.
    """
    clips = [(scan, of_scan) for scan, of_scan in clips if len(of_scan)]
    drawn = _Drawn(encoder, draw.with_heads, np.random.default_rng([draw.seed, len(clips)]))
    done = 0
    for scan, of_scan in clips:
        batches = [of_scan[i : i + _CLIPS_AT_ONCE] for i in range(0, len(of_scan), _CLIPS_AT_ONCE)]
        each = -(-draw.n_tokens // (len(clips) * len(batches)))
        for sounds in read_ahead(scan, batches, encoder.sample_rate, passes.workers):
            drawn.take(sounds, passes, each)
            progress(done := done + len(sounds))
    return Sample([torch.cat(parts) for parts in drawn.stream], [torch.cat(parts) for parts in drawn.heads if parts])


class _Drawn:
    """What was drawn so far, layer by layer."""

    def __init__(self, encoder: Encoder, with_heads: bool, rng: np.random.Generator) -> None:
        self.encoder, self.rng = encoder, rng
        if with_heads:
            self.encoder = UnitEncoder(encoder, "head", head_places(encoder), None)
        self.layers = range(encoder.n_layers) if with_heads else range(0)
        self.stream: list[list[Tensor]] = [[] for _ in range(encoder.n_layers)]
        self.heads: list[list[Tensor]] = [[] for _ in range(encoder.n_layers)]

    @torch.inference_mode()
    def take(self, sounds: Waveforms, passes: Passes, n_tokens: int) -> None:
        """Pass a batch, and draw so many tokens of each layer."""
        batch = self.encoder.prepare(sounds, passes.padding)
        with autocast(self.encoder, passes.precision), keep(self.encoder, self.layers) as lengths:
            hidden = self.encoder.begin(batch)
            for layer in range(self.encoder.n_layers):
                hidden = self.encoder.block(layer, hidden, batch)
                tokens = self._tokens(layer, batch, n_tokens)
                self.stream[layer].append(_of(hidden, tokens))
                if layer in lengths:
                    self.heads[layer].append(_of(lengths[layer], tokens))

    def _tokens(self, layer: int, batch: Batch, n_tokens: int) -> Tensor:
        """Which of a batch's tokens, row after row, are drawn."""
        counted = np.flatnonzero(self.encoder.counted(layer, batch).cpu().numpy().ravel())
        return torch.from_numpy(np.sort(self.rng.permutation(counted)[:n_tokens]))


def _of(values: Tensor, tokens: Tensor) -> Tensor:
    return values.flatten(0, 1)[tokens.to(values.device)].float().cpu()
