"""Forward passes under many conditions, each only from where it differs; heads are asked what they see.

A condition changes some neurons. What lies before the first of them is computed once a batch, and in
pre-norm blocks the first changed layer needs no pass either: it differs only by what its changed neurons
write (`_after_first`). Conditions run together, as copies of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.distributed.ranks import ALONE, Ranks
from core.encoders.base import Batch, Encoder
from core.encoders.device import no_memory, out_of_memory
from core.encoders.hooks import Change, change_conditions, keep
from core.recording.passes import Passes, autocast
from core.recording.waveforms import Waveforms, read_ahead
from core.results import IntArray

_ENOUGH_BATCHES = 4
"""For each rank; with fewer the ranks share each batch, condition by condition, so that none is idle."""


def first_layers(changes: Sequence[Change], layer_widths: Sequence[int]) -> list[int]:
    """The first layer that each change touches; the number of layers where it touches none."""
    starts = layer_starts(layer_widths)
    lowest = [min(change.neurons, default=starts[-1]) for change in changes]
    return [int(layer) for layer in np.searchsorted(starts, lowest, side="right") - 1]


class Head(Protocol):
    """What is asked: a linear head, or whatever else reads clip embeddings."""

    def answers(self, embeddings: NDArray[np.floating], n_classes: int) -> NDArray[np.float32]:
        """(n_clips, n_classes) of embeddings (n_clips, n_features)."""
        ...


class Embeddings:
    """Answers with the embeddings themselves, for heads that are still to be fitted to them."""

    def answers(self, embeddings: NDArray[np.floating], n_classes: int) -> NDArray[np.float32]:
        """As they are, (n_clips, n_features)."""
        assert embeddings.shape[1] == n_classes, "there is a place for each feature"
        return embeddings.astype(np.float32)


@dataclass(frozen=True)
class Asked:
    """Heads and the clips on which they are asked.

    Attributes
    ----------
    clips : ndarray of int
        Positions in the dataset.
    heads : sequence of Head
        All see the same embeddings.
    of_condition : mapping of int to sequence of Head
        Further heads, asked after the others and under one condition alone (the last one is the network with nothing
        changed); as many for each. Where a condition has none, their answers are NaN.
    """

    clips: IntArray
    heads: Sequence[Head]
    of_condition: Mapping[int, Sequence[Head]] = field(default_factory=dict)


@dataclass(frozen=True)
class Inquiry:
    """What heads are asked under, and where their answers go.

    Attributes
    ----------
    changes : sequence of Change
    conditions : sequence of int
        Which of the changes to run; no change at all is always one more.
    answers : Answers
        To be filled: as many heads and clips, and one condition more than changes; what is done is left alone.
    passes : Passes
    before : Answers, optional
        Those that were there when the ranks began, by which all see the same that is missing.
    """

    changes: Sequence[Change]
    conditions: Sequence[int]
    answers: Answers
    passes: Passes
    before: Answers | None = None

    def of(self, clips: slice) -> Inquiry:
        """The same for some of the clips."""
        before = None if self.before is None else self.before.of(clips)
        return replace(self, answers=self.answers.of(clips), before=before)


@dataclass(frozen=True)
class Question:
    """Heads, part after part, and what they are asked under; answers are of all parts' clips in order."""

    parts: Sequence[Asked]
    inquiry: Inquiry


def ask_all(
    encoder: Encoder,
    scan: Scan,
    questions: Sequence[Question],
    progress: Callable[[], None] | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Each head's logits of every clip under every change, and without any.

    Parameters
    ----------
    questions : sequence of Question
        All about the same clips, part by part, with the same passes: their sound is read, prepared and passed
        unchanged once.
    progress : callable, optional
        Called after each forward pass.
    ranks : Ranks
        This process among others, which do the rest: other batches, or where those are few other conditions.

    Raises
    ------
    InputError
        If there is no memory for one clip.
    """
    inquiries = [replace(q.inquiry, before=q.inquiry.before or q.inquiry.answers.as_now()) for q in questions]
    start = 0
    for of_part in zip(*(question.parts for question in questions), strict=True):
        these = slice(start, start := start + len(of_part[0].clips))
        asking = [_Asking(asked, inquiry.of(these)) for asked, inquiry in zip(of_part, inquiries, strict=True)]
        _ask(encoder, scan, asking, progress, ranks)


def ask(encoder: Encoder, scan: Scan, asked: Asked, inquiry: Inquiry) -> None:
    """One question about clips of one part, as `ask_all`."""
    ask_all(encoder, scan, [Question([asked], inquiry)])


@torch.inference_mode()
def _ask(
    encoder: Encoder, scan: Scan, asking: Sequence[_Asking], progress: Callable[[], None] | None, ranks: Ranks
) -> None:
    """Questions about clips of one part."""
    passes, clips = asking[0].inquiry.passes, asking[0].asked.clips
    places = [np.arange(i, min(i + passes.batch_size, len(clips))) for i in range(0, len(clips), passes.batch_size)]
    places = [place for place in places if any(each.was_missing(each.conditions, place) for each in asking)]
    if len(places) >= _ENOUGH_BATCHES * ranks.world:
        places, ranks = list(ranks.mine(places)), ALONE
    sweep = _Sweep(encoder, asking, progress, ranks)
    waveforms = read_ahead(scan, [clips[place] for place in places], encoder.sample_rate, passes.workers)
    for place, sounds in zip(places, waveforms, strict=True):
        sweep.fit_in(place, sounds)
        sweep.number += 1


@dataclass(frozen=True)
class _Asking:
    """A question about clips of one part; its answers before the ranks began are known."""

    asked: Asked
    inquiry: Inquiry

    @property
    def unablated(self) -> int:
        return len(self.inquiry.changes)

    @property
    def conditions(self) -> list[int]:
        return [*self.inquiry.conditions, self.unablated]

    def was_missing(self, conditions: Sequence[int], place: IntArray) -> bool:
        """Whether an answer was missing when the ranks began."""
        assert self.inquiry.before is not None
        return bool(self.inquiry.before.missing(conditions, place))

    def is_missing(self, conditions: Sequence[int], place: IntArray) -> bool:
        """Whether it still is."""
        return self.was_missing(conditions, place) and bool(self.inquiry.answers.missing(conditions, place))

    def write(self, conditions: Sequence[int], place: IntArray, embeddings: NDArray[np.float32]) -> None:
        """What the heads answer to embeddings, condition after condition."""
        answers = self.inquiry.answers
        n_heads, n_classes = len(answers.values), answers.values.shape[-1]
        logits = np.full((n_heads, len(conditions), len(place), n_classes), np.nan, dtype=np.float32)
        for i, (condition, own) in enumerate(zip(conditions, np.split(embeddings, len(conditions)), strict=True)):
            heads = [*self.asked.heads, *self.asked.of_condition.get(condition, ())]
            for of_head, head in zip(logits[:, i], heads, strict=False):
                of_head[:] = head.answers(own, n_classes)
        answers.write(conditions, place, logits)


class _Sweep:
    """All conditions of all questions over batch after batch."""

    def __init__(
        self, encoder: Encoder, asking: Sequence[_Asking], progress: Callable[[], None] | None, ranks: Ranks
    ) -> None:
        self.ranks, self.number = ranks, 0  # of the batch
        self.encoder, self.asking, self.progress = encoder, asking, progress
        self.first_layer = [
            [*first_layers(each.inquiry.changes, encoder.layer_widths), encoder.n_layers] for each in asking
        ]
        self.passes = asking[0].inquiry.passes
        self.rows_per_pass = self.passes.rows_per_pass
        self.n_copies = 1  # of the pass that runs

    def fit_in(self, place: IntArray, sounds: Waveforms) -> None:
        """A batch, with fewer conditions in a pass, or its halves, where there is no memory."""
        while True:
            try:
                self.batch(place, sounds)
                return
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if self.n_copies == 1 and len(sounds) == 1:
                    raise no_memory(self.encoder, sounds[0], "to ablate") from error
            if self.encoder.device.type == "cuda":
                torch.cuda.empty_cache()
            if self.n_copies == 1:
                break
            self.rows_per_pass //= 2
        half = len(sounds) // 2
        self.fit_in(place[:half], sounds[:half])
        self.fit_in(place[half:], sounds[half:])

    def batch(self, place: IntArray, sounds: Waveforms) -> None:
        """What is still missing of a batch, as far as it is this rank's."""
        batch = self.encoder.prepare(sounds, self.passes.padding)
        groups = self._groups(max(1, self.rows_per_pass // batch.clip.shape[0]))
        own = [group for i, group in enumerate(groups, start=self.number) if self.ranks.owns(i)]
        todo = [(i, group) for i, group in own if self.asking[i].is_missing(group, place)]
        if not todo:
            return
        self.n_copies = 1
        with autocast(self.encoder, self.passes.precision):
            whole = whole_pass(self.encoder, batch, {self.first_layer[i][c] for i, group in todo for c in group})
            for i, group in todo:
                self.n_copies = len(group)
                self.asking[i].write(group, place, self._embeddings(whole, i, group))
                if self.progress:
                    self.progress()

    def _groups(self, at_once: int) -> list[tuple[int, list[int]]]:
        """Conditions that share a pass, of each question: that with nothing changed, then from the first layer on.

        They are of what is there already, too: what shares a pass does not hang on where a killed run stood.
        """
        groups = []
        for i, each in enumerate(self.asking):
            order = sorted(each.inquiry.conditions, key=lambda c, of=self.first_layer[i]: of[c])  # type: ignore[misc]
            groups += [(i, [each.unablated]), *((i, order[j : j + at_once]) for j in range(0, len(order), at_once))]
        return groups

    def _embeddings(self, whole: Pass, i: int, group: list[int]) -> NDArray[np.float32]:
        asking = self.asking[i]
        if group == [asking.unablated]:
            return _array(self.encoder.finish(whole.hidden[-1], whole.batch))
        changes = [asking.inquiry.changes[c] for c in group]
        return run(self.encoder, whole, changes, self.first_layer[i][group[0]])


@dataclass(frozen=True)
class Pass:
    """A forward pass with nothing changed.

    Attributes
    ----------
    hidden : list of Tensor
        The residual stream before each block, and after the last.
    activations : dict of Tensor
        What entered the MLP output projection of the layers that a condition changes first; empty
        where a block does not end with its MLP.
    """

    batch: Batch
    hidden: list[torch.Tensor]
    activations: dict[int, torch.Tensor]


def whole_pass(encoder: Encoder, batch: Batch, first: set[int]) -> Pass:
    """Run a batch unchanged; ``first`` are the layers that conditions change first."""
    kept_layers = {layer for layer in first if layer < encoder.n_layers} if encoder.ends_with_mlp else set()
    hidden = [encoder.begin(batch)]
    with keep(encoder, kept_layers) as activations:
        for layer in range(encoder.n_layers):
            hidden.append(encoder.block(layer, hidden[-1], batch))
    return Pass(batch, hidden, activations)


def run(encoder: Encoder, whole: Pass, changes: Sequence[Change], first_layer: int) -> NDArray[np.float32]:
    """Embeddings under some changes at once, from the first layer that any of them touches."""
    copies = whole.batch.repeat(len(changes))
    if first_layer in whole.activations:
        state = _after_first(encoder, whole, changes, first_layer)
        first_layer += 1
    else:
        state = torch.cat([whole.hidden[first_layer]] * len(changes))
    with change_conditions(encoder, changes):
        return _from(encoder, first_layer, state, copies)


def without_each(encoder: Encoder, whole: Pass, clips: IntArray, neurons: IntArray, layer: int) -> NDArray[np.float32]:
    """Embeddings of clips of a pass, any of them several times, each with one neuron at 0.

    Parameters
    ----------
    clips, neurons : ndarray of int, shape (n,)
        Of the pass's batch; flat indices, all of one layer.
    layer : int

    Returns
    -------
    ndarray of float32, shape (n, n_features)
    """
    batch, rows = whole.batch.take(torch.from_numpy(clips).to(whole.batch.clip.device))
    of_rows = neurons[batch.clip.cpu().numpy()]
    if layer in whole.activations:  # as `_after_first`
        columns = torch.from_numpy(of_rows - layer_starts(encoder.layer_widths)[layer]).to(rows.device)
        lost = whole.activations[layer][rows, ..., columns][..., None]
        written = encoder.projections[layer].weight[:, columns].T.to(lost.dtype)
        state = whole.hidden[layer + 1][rows] - lost * written[(slice(None),) + (None,) * (lost.ndim - 2)]
        return _from(encoder, layer + 1, state, batch)
    with change_conditions(encoder, [Change(np.array([neuron])) for neuron in of_rows]):
        return _from(encoder, layer, whole.hidden[layer][rows], batch)


def _from(encoder: Encoder, layer: int, state: torch.Tensor, batch: Batch) -> NDArray[np.float32]:
    """Embeddings by the blocks from a layer on."""
    for after in range(layer, encoder.n_layers):
        state = encoder.block(after, state, batch)
    return _array(encoder.finish(state, batch))


def _after_first(encoder: Encoder, whole: Pass, changes: Sequence[Change], layer: int) -> torch.Tensor:
    """The residual stream after the first changed block, without running it again.

    All that comes before the MLP output projection is as it was, so the stream differs only by what
    the changed neurons write to it: new minus old, through their columns of the projection.
    """
    return torch.cat([whole.hidden[layer + 1] + written(encoder, whole, change, layer) for change in changes])


def written(encoder: Encoder, whole: Pass, change: Change, layer: int) -> torch.Tensor:
    """What a change alters in a block's output, everything before the block's MLP output projection as it was.

    Parameters
    ----------
    whole : Pass
        With the layer's activations.
    """
    weight, activation = encoder.projections[layer].weight, whole.activations[layer]
    start, end = layer_starts(encoder.layer_widths)[layer : layer + 2]
    own = (change.neurons >= start) & (change.neurons < end)
    neurons = torch.from_numpy(change.neurons[own] - start).to(weight.device)
    differs = activation[..., neurons] * (change.factor - 1.0)
    if change.shift is not None:
        differs += torch.from_numpy(change.shift[own]).to(differs)
    return differs @ weight[:, neurons].T.to(differs.dtype)


def _array(embeddings: torch.Tensor) -> NDArray[np.float32]:
    return embeddings.float().cpu().numpy()
