"""Gradient times activation, clip by clip: what every neuron does for a head's margin, or for one of its outputs.

A clip is prepared and run forward once for up to `AT_ONCE` such questions; each has a backward pass of its own, block
by block. Memory is that of the graph of one block, which runs again for it, or of all where they are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from core.ablation.conditions import whole_pass
from core.ablation.outcomes import log_probabilities
from core.datasets.scan import Scan
from core.encoders.base import Batch, Encoder
from core.encoders.hooks import keep
from core.probes.linear import LinearHead
from core.recording.passes import Passes, autocast, in_halves
from core.recording.waveforms import Waveforms, read_ahead
from core.results import FloatArray, IntArray, Mask

AT_ONCE = 8
"""Questions that share a forward pass, at most: the slopes held for them take less than a block's graph."""
N_OTHERS = 8
"""Clips of other classes on which a class's logit is attributed, for each head."""
MOST_BYTES = 2**27
"""Of the graphs of all blocks of a batch; where they are larger, one block's is held at a time."""
_BYTES_OF_GRAPH = 16
"""For each token and neuron, in float32: its activation before and after the function, and as much of the attention."""
MARGIN = -1
"""In place of the number of an output of the head."""


@dataclass(frozen=True)
class Examined:
    """A head, clips that it has not seen, and which of the head's classes each has.

    Attributes
    ----------
    clips : ndarray of int, shape (n_clips,)
        Positions in the dataset; each has a class that the head knows.
    own : ndarray of bool, shape (n_clips, n_known)
        In the order of the head's outputs.
    several : bool
        Whether clips of the task may have several classes.
    """

    head: LinearHead
    clips: IntArray
    own: Mask
    several: bool

    def only(self, which: IntArray) -> Examined:
        """Some of the clips, any of them several times."""
        return replace(self, clips=self.clips[which], own=self.own[which])

    def numbers(self, embeddings: NDArray[np.float32]) -> FloatArray:
        """Margin, log probability and logit of each clip's own, (3, n_copies, n_clips).

        ``embeddings`` (n_copies * n_clips, n_features) come copy after copy.
        """
        logits = self.head.logits(embeddings)
        own = np.tile(self.own, (len(logits) // len(self.own), 1))
        numbers = [
            np.einsum("ij,ij->i", self.weights(logits), logits),
            log_probabilities(logits, own, self.several),
            np.einsum("ij,ij->i", own / own.sum(axis=1, keepdims=True), logits),
        ]
        return np.stack(numbers).reshape(3, -1, len(self.clips))

    def weights(self, logits: FloatArray) -> FloatArray:
        """What the margin is made of, shaped as ``logits``: margin = sum over outputs of weights * logits."""
        own = np.tile(self.own, (len(logits) // len(self.own), 1))
        weights: FloatArray = own / own.sum(axis=1, keepdims=True)
        if not self.several:
            rival = np.where(own, -np.inf, logits).argmax(axis=1)
            weights[np.arange(len(own)), rival] -= 1.0
        return weights

    def logit_of(self, clips: IntArray, c: int) -> Examined:
        """The logit of one class alone, on some of the clips, whatever their own class is."""
        outputs = np.full((len(clips), 1), np.flatnonzero(self.head.class_index == c)[0])
        return Examined(self.head, self.clips[clips], outputs == np.arange(self.own.shape[1]), True)

    def others(self, seed: int) -> tuple[IntArray, IntArray]:
        """Up to `N_OTHERS` drawn clips without each class that some clips have, and the class's output."""
        drawn = []
        for c, own in zip(self.head.class_index, self.own.T, strict=True):
            others = np.flatnonzero(~own & own.any())
            drawn.append(np.sort(np.random.default_rng([seed, int(c), len(others)]).permutation(others)[:N_OTHERS]))
        return np.concatenate(drawn), np.arange(len(drawn)).repeat([len(others) for others in drawn])


@dataclass(frozen=True)
class Questions:
    """What is attributed: margins and single outputs of a head, on clips; several of one clip follow each other.

    Attributes
    ----------
    examined : Examined
    clip : ndarray of int, shape (n_questions,)
        Place among the examined clips, ascending.
    output : ndarray of int, shape (n_questions,)
        Of the head, or `MARGIN`.
    of_others : ndarray of bool, shape (n_questions,)
        Whether the clip is one without the output's class, drawn for comparison.
    """

    examined: Examined
    clip: IntArray
    output: IntArray
    of_others: Mask

    @classmethod
    def of(cls, examined: Examined, seed: int) -> Questions:
        """Each clip's margin, the logits of its own classes, and each class's logit on some clips of others."""
        own_clip, own_output = np.nonzero(examined.own & ~_is_margin(examined)[:, None])
        others, other_output = examined.others(seed)
        clip = np.concatenate([np.arange(len(examined.clips)), own_clip, others])
        output = np.concatenate([np.full(len(examined.clips), MARGIN), own_output, other_output])
        of_others = np.arange(len(clip)) >= len(clip) - len(others)
        order = np.argsort(clip, kind="stable")
        return cls(examined, clip[order], output[order], of_others[order])

    def batches(self, n_clips: int) -> list[Questions]:
        """Batches of so many clips; those of which much is asked come first, so that few backward passes are in vain.

        A clip of which more than `AT_ONCE` is asked comes again, as if it were another.
        """
        again = self.rank // AT_ONCE
        starts = np.flatnonzero(np.diff(self.clip, prepend=-1) | np.diff(again, prepend=-1))
        item = np.cumsum(np.isin(np.arange(len(self.clip)), starts)) - 1
        every = Questions(self.examined.only(self.clip[starts]), item, self.output, self.of_others)
        order = np.argsort(-np.bincount(item), kind="stable")
        return [every.only(np.sort(order[i : i + n_clips])) for i in range(0, len(order), n_clips)]

    def only(self, clips: IntArray) -> Questions:
        """Those of some clips, in ascending order."""
        which = np.isin(self.clip, clips)
        clip = np.searchsorted(clips, self.clip[which])
        return Questions(self.examined.only(clips), clip, self.output[which], self.of_others[which])

    @property
    def rank(self) -> IntArray:
        """Number of each question among those of its clip."""
        return np.arange(len(self.clip)) - np.searchsorted(self.clip, self.clip)

    @property
    def of_margin(self) -> Mask:
        """Which ask for margins."""
        return self.output == MARGIN

    @property
    def of_own(self) -> Mask:
        """Which ask for the logit of one of the clip's own classes: a margin does where nothing is subtracted."""
        return np.where(self.of_margin, _is_margin(self.examined)[self.clip], ~self.of_others)

    @property
    def classes(self) -> Mask:
        """Which of the head's classes each is told for, (n_questions, n_known)."""
        of_output = self.output[:, None] == np.arange(self.examined.own.shape[1])
        return np.where(self.of_margin[:, None], self.examined.own[self.clip], of_output)

    def slopes(self, embeddings: Tensor) -> Tensor:
        """Of what is asked by the clips' embeddings, (most questions of a clip, n_clips, n_features); else 0."""
        examined, head = self.examined, self.examined.head
        of_margins = examined.weights(head.logits(embeddings.detach().float().cpu().numpy()))
        weights = np.where(self.of_margin[:, None], of_margins[self.clip], self.classes)
        slopes = np.zeros((self.rank.max() + 1, *embeddings.shape))
        slopes[self.rank, self.clip] = weights @ head.weight / head.scale
        return torch.from_numpy(slopes).to(embeddings)


def _is_margin(examined: Examined) -> Mask:
    """Clips whose margin is the logit of their only class."""
    return examined.several & (examined.own.sum(axis=1) == 1)


def attribute(
    encoder: Encoder,
    scan: Scan,
    batches: Sequence[Questions],
    passes: Passes,
    progress: Callable[[int], None] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """What all neurons do for what is asked, batch after batch, each (n_questions, n_neurons).

    Parameters
    ----------
    batches : sequence of Questions
        From `Questions.batches`; fewer clips go at once where memory is short.
    progress : callable, optional
        Called with the number of questions answered.

    Raises
    ------
    InputError
        If there is no memory for one clip.
    """
    clips = [batch.examined.clips for batch in batches]
    waveforms = read_ahead(scan, clips, encoder.sample_rate, passes.workers)
    done = 0
    for asked, sounds in zip(batches, waveforms, strict=True):

        def once(which: IntArray, some: Waveforms, asked: Questions = asked) -> NDArray[np.float32]:
            batch = encoder.prepare(some, passes.padding)
            with autocast(encoder, passes.precision), _frozen(encoder.module):
                return of_batch(encoder, batch, asked.only(which)).cpu().numpy()

        values = np.concatenate(list(in_halves(encoder, np.arange(len(sounds)), sounds, once)))
        done += len(values)
        if progress:
            progress(done)
        yield values


def of_batch(encoder: Encoder, batch: Batch, asked: Questions) -> Tensor:
    """Sum over a clip's tokens of activation times gradient, float32 (n_questions, n_neurons).

    Parameters
    ----------
    batch : Batch
        The clips of ``asked``.
    """
    last, blocks = _last_to_first(encoder, batch)
    with torch.enable_grad(), _Ordinary():
        last.requires_grad_()
        embeddings = encoder.finish(last, batch)
        slopes = [by_last for (by_last,) in _backward(embeddings, [last], list(asked.slopes(embeddings)))]
    layers: list[Tensor] = []
    for before, activation, after in blocks:
        is_first = len(layers) == encoder.n_layers - 1  # nothing lies before its neurons
        wanted, values = [activation] if is_first else [activation, before], activation.detach().float()
        of_layer = values.new_zeros(len(slopes), batch.n_clips, values.shape[-1])
        for i, (by_activation, *by_before) in enumerate(_backward(after, wanted, slopes)):
            of_layer[i].index_add_(0, batch.clip, (values * by_activation.float()).sum(1))
            slopes[i] = slopes[i] if is_first else by_before[0]
        layers.append(of_layer[asked.rank, asked.clip])
    return torch.cat(layers[::-1], dim=1)


Block = tuple[Tensor, Tensor, Tensor]
"""The residual stream before a block, its neurons' activations and the stream after it, with the graph between them."""


def _last_to_first(encoder: Encoder, batch: Batch) -> tuple[Tensor, Iterator[Block]]:
    """The residual stream after the last block, and the blocks, each to be freed before the next.

    Where the graphs of all are small they come from the forward pass itself, else each block runs again.
    """
    if batch.present.numel() * encoder.n_neurons * _BYTES_OF_GRAPH > MOST_BYTES:
        with torch.no_grad():
            hidden = whole_pass(encoder, batch, set()).hidden
        return hidden.pop(), (_block(encoder, layer, hidden.pop(), batch) for layer in reversed(range(len(hidden))))
    with torch.no_grad():
        state, held = encoder.begin(batch), []
    for layer in range(encoder.n_layers):
        held.append(_block(encoder, layer, state, batch))
        state = held[-1][2].detach()
    return state, (held.pop() for _ in range(len(held)))


def _block(encoder: Encoder, layer: int, before: Tensor, batch: Batch) -> Block:
    with torch.enable_grad(), _Ordinary(), keep(encoder, [layer]) as kept:
        after = encoder.block(layer, before.requires_grad_(), batch)
    return before, kept[layer], after


def _backward(of: Tensor, by: Sequence[Tensor], slopes: list[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    """Gradients for each slope, one backward pass after the other; the last takes the graph with it.

    A slope may be replaced once its gradients are there.
    """
    for i in range(len(slopes)):
        yield torch.autograd.grad(of, by, slopes[i], retain_graph=i < len(slopes) - 1)


class _Ordinary(TorchFunctionMode):
    """Copies what an encoder keeps from a pass in inference mode (a table of positions): no graph may hold it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if _of_inference(args) or (kwargs and _of_inference(kwargs.values())):
            args, kwargs = tree_map_only(
                Tensor, lambda tensor: tensor.clone() if tensor.is_inference() else tensor, (args, kwargs)
            )
        return func(*args, **kwargs)


def _of_inference(values: Any) -> bool:
    """Whether any of some values is, or holds, a tensor made in inference mode; most operations meet none."""
    for value in values:
        if isinstance(value, Tensor):
            if value.is_inference():
                return True
        elif isinstance(value, list | tuple) and _of_inference(value):
            return True
    return False


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No gradient for the weights inside the block; each parameter as it was afterwards."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
