"""How much of the residual stream a change takes out: what sets effects of different kinds of unit side by side.

As many units are not as large an intervention: a principal direction holds more of the stream than a neuron writes to
it. The *norm removed* is what a change alters in the output of each block, everything before the block as it was, in
standard deviations of that output:

    sqrt(sum over layers of mean |change|^2 / mean |output - mean output|^2), means over counted tokens.

A change that sets all coordinates of one layer to their mean removes 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.ablation.conditions import Pass, whole_pass
from core.encoders.base import Encoder
from core.encoders.hooks import Change, change_conditions
from core.recording.passes import Passes, autocast
from core.recording.waveforms import Waveforms
from core.results import FloatArray

N_CLIPS = 8
"""On which norms are measured: tokens are what is averaged over, and there are hundreds."""


@dataclass(frozen=True)
class Removed:
    """Measures changes of an encoder's units on some clips.

    Attributes
    ----------
    encoder : Encoder
    passes : Passes
    whole : list of Pass
        The clips' passes with nothing changed, batch by batch.
    variance : ndarray, shape (n_layers,)
        Of each block's output, over all its coordinates together.
    """

    encoder: Encoder
    passes: Passes
    whole: list[Pass]
    variance: FloatArray

    @classmethod
    @torch.inference_mode()
    def of(cls, encoder: Encoder, batches: Iterable[Waveforms], passes: Passes) -> Removed:
        """Pass clips unchanged, batch by batch."""
        whole = []
        for sounds in batches:
            with autocast(encoder, passes.precision):
                whole.append(whole_pass(encoder, encoder.prepare(sounds, passes.padding), set()))
        variance = [_variance([_tokens(encoder, one, layer) for one in whole]) for layer in range(encoder.n_layers)]
        return cls(encoder, passes, whole, np.array(variance))

    @torch.inference_mode()
    def norms(self, changes: Sequence[Change], progress: Callable[[int], None] | None = None) -> FloatArray:
        """The norm that each change removes, in standard deviations; shape (n_changes,).

        Parameters
        ----------
        progress : callable, optional
            Called with the number of changes times batches done.
        """
        squares = np.zeros((len(changes), self.encoder.n_layers))
        n_tokens, done = np.zeros(self.encoder.n_layers), 0
        for whole in self.whole:
            at_once = max(1, self.passes.rows_per_pass // whole.batch.clip.shape[0])
            n_tokens += [_weights(self.encoder, whole, layer).sum().item() for layer in range(self.encoder.n_layers)]
            for start in range(0, len(changes), at_once):
                some = changes[start : start + at_once]
                squares[start : start + len(some)] += self._squares(whole, some)
                done += len(some)
                if progress:
                    progress(done)
        held = self.variance > 0
        return np.sqrt((squares[:, held] / n_tokens[held] / self.variance[held]).sum(axis=1))

    def means(self) -> list[Tensor]:
        """Mean output of each block, (width,), over the clips' counted tokens."""
        return [
            _mean([_tokens(self.encoder, one, layer) for one in self.whole]) for layer in range(self.encoder.n_layers)
        ]

    def _squares(self, whole: Pass, changes: Sequence[Change]) -> FloatArray:
        """Squared length of what each change alters in each block's output, over counted tokens."""
        encoder, copies = self.encoder, whole.batch.repeat(len(changes))
        squares = np.zeros((len(changes), encoder.n_layers))
        with autocast(encoder, self.passes.precision), change_conditions(encoder, changes):
            for layer in range(encoder.n_layers):
                before = torch.cat([whole.hidden[layer]] * len(changes))
                differs = encoder.block(layer, before, copies).unflatten(0, (len(changes), -1))
                differs = (differs - whole.hidden[layer + 1]).float().square().sum(-1)
                weighted = differs.flatten(1) * _weights(encoder, whole, layer)
                squares[:, layer] = weighted.sum(1, dtype=torch.float64).cpu().numpy()
        return squares


def _weights(encoder: Encoder, whole: Pass, layer: int) -> Tensor:
    """How often each token of a block's output counts, row after row."""
    return encoder.counted(layer, whole.batch).float().flatten()


def _tokens(encoder: Encoder, whole: Pass, layer: int) -> tuple[Tensor, Tensor]:
    """A block's output (n_tokens, width), and how often each token counts."""
    hidden = whole.hidden[layer + 1]
    return hidden.double().reshape(-1, hidden.shape[-1]), _weights(encoder, whole, layer).double()


def _variance(parts: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean squared distance of tokens from their mean."""
    n, mean = sum(weights.sum().item() for _, weights in parts), _mean(parts)
    return sum((weights @ (tokens - mean).square().sum(1)).item() for tokens, weights in parts) / n


def _mean(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    total = torch.stack([weights @ tokens for tokens, weights in parts]).sum(0)
    return total / sum(weights.sum().item() for _, weights in parts)
