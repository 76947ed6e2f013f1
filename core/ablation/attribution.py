"""What every neuron does for every class: gradient times activation, and single neurons really taken out to check it.

A clip's *margin* is by how much the linear head prefers its class. `Attribution.of_neurons` estimates, for all
neurons at once, what the margin loses when a neuron is set to 0, and what the logit of a class loses on its own clips
beyond what it loses on others; `Attribution.check` sets some to 0, one at a time, and measures both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from core.ablation.conditions import Pass, whole_pass, without_each
from core.ablation.outcomes import log_probabilities
from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.encoders.base import Batch, Encoder
from core.encoders.device import out_of_memory
from core.encoders.hooks import keep
from core.probes.fit import Part
from core.probes.linear import LinearHead
from core.recording.passes import Passes, autocast, in_halves
from core.recording.waveforms import Waveforms, read_ahead
from core.results import FloatArray, IntArray, Mask

T = TypeVar("T")


@dataclass(frozen=True)
class _Examined:
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

    def each(
        self, encoder: Encoder, scan: Scan, passes: Passes, work: Callable[[_Examined, Batch], T]
    ) -> Iterator[tuple[_Examined, T]]:
        """Some of the clips after the other with what ``work`` makes of them; fewer at once where memory is short.

        Raises
        ------
        InputError
            If there is no memory for one clip.
        """

        def once(index: IntArray, sounds: Waveforms) -> tuple[_Examined, T]:
            some, batch = self.only(index), encoder.prepare(sounds, passes.padding)
            with autocast(encoder, passes.precision):
                return some, work(some, batch)

        n_clips, at_once = len(self.clips), passes.batch_size
        places = [np.arange(i, min(i + at_once, n_clips)) for i in range(0, n_clips, at_once)]
        waveforms = read_ahead(scan, [self.clips[p] for p in places], encoder.sample_rate, passes.workers)
        for place, sounds in zip(places, waveforms, strict=True):
            yield from in_halves(encoder, place, sounds, once)

    def only(self, which: IntArray) -> _Examined:
        return _Examined(self.head, self.clips[which], self.own[which], self.several)

    def numbers(self, embeddings: NDArray[np.float32]) -> FloatArray:
        """Margin, log probability and logit of each clip's own, (3, n_copies, n_clips).

        ``embeddings`` (n_copies * n_clips, n_features) come copy after copy.
        """
        logits = self.head.logits(embeddings)
        own = np.tile(self.own, (len(logits) // len(self.own), 1))
        numbers = [
            np.einsum("ij,ij->i", self._weights(logits), logits),
            log_probabilities(logits, own, self.several),
            np.einsum("ij,ij->i", own / own.sum(axis=1, keepdims=True), logits),
        ]
        return np.stack(numbers).reshape(3, -1, len(self.clips))

    def sides(self, seed: int = 0) -> tuple[_Examined, _Examined]:
        """The logit of each class that some clips have: on each of them, and on up to `N_OTHERS` drawn others."""
        drawn = []
        for c, own in zip(self.head.class_index, self.own.T, strict=True):
            others = np.flatnonzero(~own & own.any())
            drawn.append(np.sort(np.random.default_rng([seed, int(c), len(others)]).permutation(others)[:N_OTHERS]))
        outputs = np.arange(len(drawn)).repeat([len(others) for others in drawn])
        return self._logits(*np.nonzero(self.own)), self._logits(np.concatenate(drawn), outputs)

    def lacking(self, seed: int = 0) -> list[_Examined]:
        """Logits of classes that do not come with the margins: on others' clips, and on own ones of several classes."""
        own, others = self.sides(seed)
        return [others, own] if self.several else [others]

    def of_logit(self) -> _Examined:
        """The logit of each clip's own class in place of its margin, where it has one class."""
        return _Examined(self.head, self.clips, self.own, True)

    def _logits(self, clips: IntArray, outputs: IntArray) -> _Examined:
        """One output of the head for each of some clips, whatever their own class is."""
        return _Examined(self.head, self.clips[clips], outputs[:, None] == np.arange(self.own.shape[1]), True)

    def logit_of(self, clips: IntArray, c: int) -> _Examined:
        """The logit of one class alone, on some of the clips, whatever their own class is."""
        return self._logits(clips, np.full(len(clips), np.flatnonzero(self.head.class_index == c)[0]))

    def gradient(self, embeddings: Tensor) -> Tensor:
        """Of each clip's margin by its embedding, (n_clips, n_features)."""
        weights = self._weights(self.head.logits(embeddings.detach().float().cpu().numpy()))
        return torch.from_numpy(weights @ self.head.weight / self.head.scale).to(embeddings)

    def _weights(self, logits: FloatArray) -> FloatArray:
        """What the margin is made of: margin = sum over outputs of weights * logits."""
        own = np.tile(self.own, (len(logits) // len(self.own), 1))
        weights: FloatArray = own / own.sum(axis=1, keepdims=True)
        if not self.several:
            rival = np.where(own, -np.inf, logits).argmax(axis=1)
            weights[np.arange(len(own)), rival] -= 1.0
        return weights


def _examined(parts: Sequence[Part], members: Mask) -> list[_Examined]:
    """The parts with the clips that have a class their head knows."""
    several = bool((members.sum(axis=1) > 1).any())
    examined = []
    for part in parts:
        own = members[part.clips][:, part.head.class_index]
        known = own.any(axis=1)
        examined.append(_Examined(part.head, part.clips[known], own[known], several))
    return examined


@dataclass(frozen=True)
class Sample:
    """On what attributions are checked.

    Attributes
    ----------
    n_random, n_highest : int
        Neurons; fewer where the encoder has fewer.
    n_clips : int
        Clips of a class, at most, and twice as many of others.
    seed : int
    """

    n_random: int = 200
    n_highest: int = 50
    n_clips: int = 4
    seed: int = 0


N_OTHERS = 8
"""Clips of other classes on which a class's logit is attributed, for each part."""
_PREDICTED = ("total", "selective")
"""What single neurons really cost, against which both attributions are held."""


@dataclass(frozen=True)
class Attribution:
    """Gradient times activation of the linear head's margin, for all neurons and classes.

    The attribution of a neuron in a clip is the sum over all tokens, those of padding and class tokens too,
    of its activation times the derivative of the clip's margin by that activation. To first order it is
    what the margin loses when the neuron is set to 0, which scales all tokens: positive where the neuron
    speaks for the clip's class. (Attribution patching with a baseline of zero: Nanda 2023; Syed et al. 2023,
    arXiv:2310.10348; equal to input times gradient, Shrikumar et al. 2016, arXiv:1605.01713.)

    The margin of a clip is the logit of its class minus the largest other one. In a task whose clips may
    have several classes it is the mean of the logits of the clip's classes, others not subtracted, and
    counts for each of them.

    The *selective* attribution is that of the class's logit, mean over own clips less the mean over some other clips:
    to first order the selective part of what taking the neuron out does (`core.ablation.outcomes`).

    Attributes
    ----------
    encoder : Encoder
    scan : Scan
    parts : sequence of Part
        Heads, each with the clips that it is tested on; one, or one a fold.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip of the dataset has.
    passes : Passes
    """

    encoder: Encoder
    scan: Scan
    parts: Sequence[Part]
    members: Mask
    passes: Passes

    def of_neurons(self, progress: Callable[[int], None] | None = None, seed: int = 0) -> pd.DataFrame:
        """Every neuron's attribution for every class.

        Each batch runs forward once; then, from the last block to the first, each block again with its graph,
        which is freed at once: memory is that of one block, time about three forward passes. Where clips have one
        class, that class's logit has its backward pass on the same graphs.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of passes done, of `n_passes`.
        seed : int
            Of the draw of other clips.

        Returns
        -------
        DataFrame
            One row for each class that a clip could be examined for, and neuron, in that order:
            ``class_index``, ``neuron_index``; ``attribution``, mean over the class's clips, in logits;
            ``standard_error`` of that mean over clips (NaN for one clip); ``n_clips``; ``selective``, of the class's
            logit, own clips less others (NaN without others). Clips whose classes are all unknown to their head are
            left out.

        Raises
        ------
        InputError
            If there is no memory for one clip.
        """
        n_classes = self.members.shape[1]
        n_clips = np.zeros(n_classes, dtype=np.int64)
        total = np.zeros((n_classes, self.encoder.n_neurons))
        squares, of_own = np.zeros_like(total), np.zeros_like(total)
        done = 0
        for part in self._every:
            of_head = part.head.class_index
            for some, (values, *logits) in part.each(self.encoder, self.scan, self.passes, self._of_margins):
                of_class = some.own.T.astype(np.float64)
                n_clips[of_head] += some.own.sum(axis=0)
                total[of_head] += of_class @ values
                squares[of_head] += of_class @ values**2
                for logit in logits:
                    of_own[of_head] += of_class @ logit
                done += len(some.clips)
                if progress:
                    progress(done)
        others, n_others = self._of_logits(seed, of_own, progress and (lambda n: progress(done + n)))
        with np.errstate(invalid="ignore"):
            selective = of_own / n_clips[:, None] - others / n_others[:, None]
        return _table(n_clips, total, squares).assign(selective=selective[np.flatnonzero(n_clips)].ravel())

    @property
    def n_passes(self) -> int:
        """Passes of `of_neurons`: each clip's own margin, then the logit of each class on clips that still lack it."""
        of_classes = sum(len(side.clips) for part in self._every for side in part.lacking())
        return sum(len(part.clips) for part in self._every) + of_classes

    @cached_property
    def _every(self) -> list[_Examined]:
        return _examined(self.parts, self.members)

    def _of_margins(self, some: _Examined, batch: Batch) -> list[FloatArray]:
        """Of each clip's margin; and by the same pass of its class's logit, where it has one class."""
        return self._attributed([some] if some.several else [some, some.of_logit()], batch)

    def _alone(self, some: _Examined, batch: Batch) -> FloatArray:
        return self._attributed([some], batch)[0]

    def _attributed(self, asked: Sequence[_Examined], batch: Batch) -> list[FloatArray]:
        with _frozen(self.encoder.module):
            return [each.cpu().numpy().astype(np.float64) for each in _clip_attributions(self.encoder, batch, asked)]

    def _of_logits(
        self, seed: int, of_own: FloatArray, progress: Callable[[int], None] | None
    ) -> tuple[FloatArray, IntArray]:
        """Sums of the attributions of classes' logits on other clips, (n_classes, n_neurons), and of how many.

        Those on own clips that did not come with the margins are added to ``of_own``.
        """
        others, n_others, done = np.zeros_like(of_own), np.zeros(len(of_own), dtype=np.int64), 0
        for part in self._every:
            of_head = part.head.class_index
            for asked, sums in zip(part.lacking(seed), (others, of_own), strict=False):
                for some, values in asked.each(self.encoder, self.scan, self.passes, self._alone):
                    sums[of_head] += some.own.T.astype(np.float64) @ values
                    if sums is others:
                        n_others[of_head] += some.own.sum(axis=0)
                    done += len(values)
                    if progress:
                        progress(done)
        return others, n_others

    def check(
        self, attributions: pd.DataFrame, sample: Sample, progress: Callable[[int], None] | None = None
    ) -> tuple[pd.DataFrame, dict[str, float]]:
        """Set single neurons to 0, one at a time, and see whether the margin loses what `of_neurons` said.

        Each neuron is examined for the class for which its attribution is strongest (largest absolute value),
        on some of that class's clips. The highest are the neurons whose strongest attribution is largest, the
        others are drawn at random from all the rest.

        Parameters
        ----------
        attributions : DataFrame
            From `of_neurons`.
        sample : Sample
        progress : callable, optional
            Called with the number of clips times neurons done.

        Returns
        -------
        checked : DataFrame
            One row a neuron: ``class_index``, ``neuron_index``, ``attribution``, ``measured`` (mean loss of the
            margin over the clips, in logits), ``in_highest``; ``selective`` (attribution), ``measured_total`` (loss of
            the log probability), ``measured_selective`` (loss of the class's logit, less that on other clips).
        summary : dict
            Spearman's rank correlation of attribution and measured loss of margin, ``spearman_random``,
            ``spearman_highest`` and ``spearman_all`` (NaN where one of them does not vary); of either attribution and
            either loss over all neurons, ``margin_total``, ``margin_selective``, ``selective_total`` and
            ``selective_selective``; and ``n_clips``, the clips that were run.

        Raises
        ------
        InputError
            If there is no memory for one clip.
        """
        rng = np.random.default_rng(sample.seed)
        checked = _choose(attributions, sample, rng)
        classes = checked["class_index"].to_numpy()
        neurons = checked["neuron_index"].to_numpy()
        asked: list[_Question] = []
        for c in np.unique(classes):
            rows = np.flatnonzero(classes == c)
            sides = _draw(self._every, c, sample.n_clips, rng), _draw_others(self._every, c, 2 * sample.n_clips, rng)
            asked += [_Question(some, rows, side) for side, drawn in enumerate(sides) for some in drawn]
        lost, n_clips = self._lost(asked, neurons, progress), np.zeros((2, len(checked)))
        measured = np.zeros((2, 3, len(checked)))
        for question, losses in zip(asked, lost, strict=True):
            measured[question.side][:, question.rows] += losses.sum(axis=2)
            n_clips[question.side, question.rows] += losses.shape[2]
        with np.errstate(invalid="ignore"):
            own, others = measured / n_clips[:, None]
        measured = np.stack([own[0], own[1], own[2] - others[2]])
        checked.insert(3, "measured", measured[0])
        checked = checked.assign(measured_total=measured[1], measured_selective=measured[2])
        return checked, {**_agreement(checked), "n_clips": len({i for each in asked for i in each.some.clips.tolist()})}

    def _lost(
        self, asked: Sequence[_Question], neurons: IntArray, progress: Callable[[int], None] | None
    ) -> list[FloatArray]:
        """What each question's clips lose with each of its neurons at 0, (3, n_neurons, n_clips).

        Whatever is asked of a batch of clips shares its unchanged pass, and passes with other questions' neurons.
        """
        if not asked:
            return []
        pairs = _Pairs.of(asked, neurons, self.encoder.layer_widths)
        clips, at_once = np.unique(pairs.clip), self.passes.batch_size
        batches = [clips[i : i + at_once] for i in range(0, len(clips), at_once)]
        embeddings = np.empty((2, len(pairs.clip), self.encoder.n_features), dtype=np.float32)
        waveforms = read_ahead(self.scan, batches, self.encoder.sample_rate, self.passes.workers)
        work, done = partial(self._of_batch, pairs), 0
        for batch, sounds in zip(batches, waveforms, strict=True):
            for which, values in in_halves(self.encoder, batch, sounds, work):
                embeddings[:, which] = values
                done += len(which)
                if progress:
                    progress(done)
        lost, start = [], 0
        for each in asked:
            end = start + len(each.rows) * len(each.some.clips)
            # Copy after copy, as many as the question has neurons.
            unablated, without = (each.some.numbers(of_pairs[start:end]) for of_pairs in embeddings)
            lost.append(unablated - without)
            start = end
        return lost

    def _of_batch(self, pairs: _Pairs, clips: IntArray, sounds: Waveforms) -> tuple[IntArray, NDArray[np.float32]]:
        """Which pairs are of these clips, and their embeddings: as they are, and without the pair's neuron."""
        batch = self.encoder.prepare(sounds, self.passes.padding)
        which = np.flatnonzero(np.isin(pairs.clip, clips))
        with torch.no_grad(), autocast(self.encoder, self.passes.precision):
            whole = whole_pass(self.encoder, batch, set(pairs.layer[which].tolist()))
            unablated = self.encoder.finish(whole.hidden[-1], batch).float().cpu().numpy()
            places = np.searchsorted(clips, pairs.clip[which])
            values = np.empty((2, len(which), self.encoder.n_features), dtype=np.float32)
            values[0] = unablated[places]
            n_copies = max(1, self.passes.rows_per_pass * batch.n_clips // batch.clip.shape[0])
            for layer in np.unique(pairs.layer[which]):
                left = np.flatnonzero(pairs.layer[which] == layer)
                while len(left):
                    some = left[:n_copies]
                    without = _fitting(self.encoder, whole, places[some], pairs.neuron[which[some]], int(layer))
                    if without is None:
                        n_copies = len(some) // 2
                    else:
                        values[1, some], left = without, left[n_copies:]
        return which, values


def _agreement(checked: pd.DataFrame) -> dict[str, float]:
    """Rank correlations of what was estimated and what was lost."""
    highest = checked["in_highest"].to_numpy()
    groups = {"random": ~highest, "highest": highest, "all": np.ones(len(checked), dtype=bool)}
    of_margin = {
        f"spearman_{name}": _rank_correlation(checked.loc[which, ["attribution", "measured"]])
        for name, which in groups.items()
    }
    of_kinds = {
        f"{predictor}_{kind}": _rank_correlation(checked[[column, f"measured_{kind}"]].dropna())
        for predictor, column in (("margin", "attribution"), ("selective", "selective"))
        for kind in _PREDICTED
    }
    return of_margin | of_kinds


def _table(n_clips: IntArray, total: FloatArray, squares: FloatArray) -> pd.DataFrame:
    examined = np.flatnonzero(n_clips)
    n, n_neurons = n_clips[examined][:, None].astype(np.float64), total.shape[1]
    mean = total[examined] / n
    with np.errstate(invalid="ignore"):
        variance = np.maximum(squares[examined] - n * mean**2, 0.0) / (n - 1)  # 0 / 0 of a single clip is NaN
    return pd.DataFrame(
        {
            "class_index": examined.repeat(n_neurons),
            "neuron_index": np.tile(np.arange(n_neurons), len(examined)),
            "attribution": mean.ravel(),
            "standard_error": np.sqrt(variance / n).ravel(),
            "n_clips": n_clips[examined].repeat(n_neurons),
        }
    )


def _clip_attributions(encoder: Encoder, batch: Batch, asked: Sequence[_Examined]) -> list[Tensor]:
    """Sum over a clip's tokens of activation times gradient of each of its margins, float32 (n_clips, n_neurons).

    Each of ``asked`` has the batch's clips; one forward pass serves them all.
    """
    with torch.no_grad():
        hidden = whole_pass(encoder, batch, set()).hidden
    with torch.enable_grad(), _Ordinary():
        last = hidden[-1].requires_grad_()
        embeddings = encoder.finish(last, batch)
        slopes = [by_last for (by_last,) in _slopes(embeddings, [last], [each.gradient(embeddings) for each in asked])]
    layers: list[list[Tensor]] = [[] for _ in asked]
    for layer in reversed(range(encoder.n_layers)):
        with torch.enable_grad(), _Ordinary(), keep(encoder, [layer]) as kept:
            before = hidden[layer].requires_grad_()
            after = encoder.block(layer, before, batch)
            wanted = [kept[layer], before] if layer else [kept[layer]]  # nothing lies before the first block's neurons
            found = _slopes(after, wanted, slopes)
        slopes = [by_hidden for _, *by_hiddens in found for by_hidden in by_hiddens]
        activation = kept[layer].detach().float()
        for of_asked, (by_activation, *_) in zip(layers, found, strict=True):
            of_rows = (activation * by_activation.float()).sum(1)
            of_asked.append(of_rows.new_zeros(batch.n_clips, of_rows.shape[1]).index_add_(0, batch.clip, of_rows))
        hidden.pop()
    return [torch.cat(of_asked[::-1], dim=1) for of_asked in layers]


def _slopes(of: Tensor, by: Sequence[Tensor], slopes: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
    """Gradients for each slope, one backward pass after the other; the last takes the graph with it."""
    last = len(slopes) - 1
    return [torch.autograd.grad(of, by, slope, retain_graph=i < last) for i, slope in enumerate(slopes)]


class _Ordinary(TorchFunctionMode):
    """Copies what an encoder keeps from a pass in inference mode (a table of positions): no graph may hold it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map_only(
            Tensor, lambda tensor: tensor.clone() if tensor.is_inference() else tensor, (args, kwargs or {})
        )
        return func(*args, **kwargs)


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


def _choose(attribution: pd.DataFrame, sample: Sample, rng: np.random.Generator) -> pd.DataFrame:
    """The neurons to check, each with the class for which its attribution is strongest."""
    strength = attribution["attribution"].abs()
    rows = strength.groupby(attribution["neuron_index"]).idxmax().to_numpy()
    rows = rows[np.argsort(-strength[rows].to_numpy(), kind="stable")]
    others = np.sort(rng.permutation(rows[sample.n_highest :])[: sample.n_random])
    chosen = attribution.loc[np.concatenate([rows[: sample.n_highest], others])].reset_index(drop=True)
    chosen["in_highest"] = chosen.index < sample.n_highest
    return chosen[["class_index", "neuron_index", "attribution", "in_highest", "selective"]]


def _draw(examined: Sequence[_Examined], c: int, n: int, rng: np.random.Generator) -> Iterator[_Examined]:
    """Up to ``n`` of the clips of a class, by head."""
    of_class = [np.flatnonzero(each.own[:, each.head.class_index == c].any(axis=1)) for each in examined]
    source = np.repeat(np.arange(len(examined)), [len(clips) for clips in of_class])
    drawn = np.sort(rng.permutation(len(source))[:n])
    for i in np.unique(source[drawn]):
        yield examined[i].only(np.concatenate(of_class)[drawn[source[drawn] == i]])


def _draw_others(examined: Sequence[_Examined], c: int, n: int, rng: np.random.Generator) -> Iterator[_Examined]:
    """The logit of a class on up to ``n`` clips that do not have it, by head."""
    others = [
        np.flatnonzero(~each.own[:, each.head.class_index == c].any(axis=1) & (c in each.head.class_index))
        for each in examined
    ]
    source = np.repeat(np.arange(len(examined)), [len(clips) for clips in others])
    drawn = np.sort(rng.permutation(len(source))[:n])
    for i in np.unique(source[drawn]):
        which = np.concatenate(others)[drawn[source[drawn] == i]]
        yield examined[i].logit_of(which, c)


@dataclass(frozen=True)
class _Question:
    """Some neurons, rows of what is checked, on some clips; of side 0, the class's own, or 1, others."""

    some: _Examined
    rows: IntArray
    side: int


@dataclass(frozen=True)
class _Pairs:
    """Each neuron of each question with each of its clips (positions in the dataset), one array each, (n_pairs,)."""

    clip: IntArray
    neuron: IntArray
    layer: IntArray

    @classmethod
    def of(cls, asked: Sequence[_Question], neurons: IntArray, layer_widths: Sequence[int]) -> _Pairs:
        clip = [np.tile(each.some.clips, len(each.rows)) for each in asked]
        neuron = np.concatenate([neurons[each.rows].repeat(len(each.some.clips)) for each in asked])
        layer = np.searchsorted(layer_starts(layer_widths), neuron, side="right") - 1
        return cls(np.concatenate(clip), neuron, layer)


def _fitting(
    encoder: Encoder, whole: Pass, clips: IntArray, neurons: IntArray, layer: int
) -> NDArray[np.float32] | None:
    """As `without_each`; None if several are too many for the memory."""
    try:
        return without_each(encoder, whole, clips, neurons, layer)
    except RuntimeError as error:
        if not out_of_memory(error) or len(neurons) == 1:
            raise
    if encoder.device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def _rank_correlation(pairs: pd.DataFrame) -> float:
    """Spearman's of two columns, ties at their mean rank."""
    ranks = rankdata(pairs, axis=0)
    if not len(ranks) or not np.ptp(ranks, axis=0).all():
        return float("nan")
    return float(np.corrcoef(ranks.T)[0, 1])
