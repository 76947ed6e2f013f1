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

from core.ablation.conditions import Pass, whole_pass, written
from core.arrays.neurons import layer_starts
from core.encoders.base import Encoder
from core.encoders.device import out_of_memory
from core.encoders.hooks import Change, change_conditions
from core.errors import InputError
from core.recording.passes import Passes, autocast, in_halves
from core.recording.waveforms import Waveforms
from core.results import FloatArray, IntArray, Mask

N_CLIPS = 8
"""On which norms are measured: tokens are what is averaged over, and there are hundreds."""
MOST_KEPT = 2**26
"""Bytes of activations of a clip that are held; where they are more, blocks run again for each change."""


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

        def once(_: IntArray, some: Waveforms) -> Pass:
            with autocast(encoder, passes.precision):
                batch = encoder.prepare(some, passes.padding)
                n_bytes = 4 * batch.counted.numel() * encoder.n_neurons
                is_small = n_bytes <= MOST_KEPT * batch.n_clips
                return whole_pass(encoder, batch, set(range(encoder.n_layers)) if is_small else set())

        whole = [one for sounds in batches for one in in_halves(encoder, np.arange(len(sounds)), sounds, once)]
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
            n_tokens += [_weights(self.encoder, whole, layer).sum().item() for layer in range(self.encoder.n_layers)]
            at_once, start = max(1, self.passes.rows_per_pass // whole.batch.clip.shape[0]), 0
            while start < len(changes):
                some = changes[start : start + at_once]
                found = self._fitting(whole, some)
                if found is None:
                    at_once = len(some) // 2
                    continue
                squares[start : start + len(some)] += found
                start += len(some)
                done += len(some)
                if progress:
                    progress(done)
        held = self.variance > 0
        return np.sqrt((squares[:, held] / n_tokens[held] / self.variance[held]).sum(axis=1))

    def _fitting(self, whole: Pass, changes: Sequence[Change]) -> FloatArray | None:
        """As `_squares`, half the clips at a time where there is no memory; None where fewer changes may fit."""
        try:
            return self._squares(whole, changes)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if len(changes) > 1:
                return None
            n_clips = whole.batch.n_clips
            if n_clips == 1:
                raise InputError(
                    f"{self.encoder.name} on {self.encoder.device} has no memory to ablate one clip; cut long files, "
                    "or use --device cpu"
                ) from error
        halves = [_only(whole, some) for some in (range(n_clips // 2), range(n_clips // 2, n_clips))]
        found = [self._fitting(half, changes) for half in halves]
        return sum((each for each in found if each is not None), start=np.zeros((1, self.encoder.n_layers)))

    def means(self) -> list[Tensor]:
        """Mean output of each block, (width,), over the clips' counted tokens."""
        return [
            _mean([_tokens(self.encoder, one, layer) for one in self.whole]) for layer in range(self.encoder.n_layers)
        ]

    def _squares(self, whole: Pass, changes: Sequence[Change]) -> FloatArray:
        """Squared length of what each change alters in each block's output, over counted tokens."""
        encoder = self.encoder
        squares = np.zeros((len(changes), encoder.n_layers))
        if whole.activations:  # what it writes is all that it alters: no block need run
            touched = _touched(encoder, changes)
            for i, layer in zip(*np.nonzero(touched), strict=True):
                squares[i, layer] = _length(encoder, whole, layer, written(encoder, whole, changes[i], layer)[None])[0]
            return squares
        copies = whole.batch.repeat(len(changes))
        with autocast(encoder, self.passes.precision), change_conditions(encoder, changes):
            for layer in range(encoder.n_layers):
                before = torch.cat([whole.hidden[layer]] * len(changes))
                after = encoder.block(layer, before, copies).unflatten(0, (len(changes), -1))
                squares[:, layer] = _length(encoder, whole, layer, after - whole.hidden[layer + 1])
        return squares


def _touched(encoder: Encoder, changes: Sequence[Change]) -> Mask:
    """Which layers each change has units in, (n_changes, n_layers)."""
    starts = layer_starts(encoder.layer_widths)
    return np.stack([np.histogram(change.neurons, bins=starts)[0] > 0 for change in changes])


def _length(encoder: Encoder, whole: Pass, layer: int, differs: Tensor) -> FloatArray:
    """Squared length over counted tokens of changes of a block's output, (n_changes, rows, tokens, width)."""
    of_tokens = differs.float().square().sum(-1).flatten(1) * _weights(encoder, whole, layer)
    found: FloatArray = of_tokens.sum(1, dtype=torch.float64).cpu().numpy()
    return found


def _only(whole: Pass, clips: range) -> Pass:
    """Some of the clips of a pass."""
    batch, rows = whole.batch.take(torch.tensor(list(clips), device=whole.batch.clip.device))
    kept = {layer: activation[rows] for layer, activation in whole.activations.items()}
    return Pass(batch, [hidden[rows] for hidden in whole.hidden], kept)


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
