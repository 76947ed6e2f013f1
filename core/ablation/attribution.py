"""What every neuron does for every class: gradient times activation, and single neurons really taken out to check it.

A clip's *margin* is by how much the linear head prefers its class. `Attribution.estimates` tells, for all
neurons at once, what the margin loses when a neuron is set to 0, and what the logit of a class loses on its own clips
beyond what it loses on others; `Attribution.check` sets some to 0, one at a time, and measures both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.ablation import gradients
from core.ablation.conditions import Pass, whole_pass, without_each
from core.ablation.gradients import Examined, Questions
from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.encoders.device import out_of_memory
from core.probes.fit import Part
from core.recording.passes import Passes, autocast, in_halves
from core.recording.waveforms import Waveforms, read_ahead
from core.results import FloatArray, IntArray, Mask


def _examined(parts: Sequence[Part], members: Mask) -> list[Examined]:
    """The parts with the clips that have a class their head knows."""
    several = bool((members.sum(axis=1) > 1).any())
    examined = []
    for part in parts:
        own = members[part.clips][:, part.head.class_index]
        known = own.any(axis=1)
        examined.append(Examined(part.head, part.clips[known], own[known], several))
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


_PREDICTED = ("total", "selective")
"""What single neurons really cost, against which both attributions are held."""
Run = Callable[
    [Encoder, Scan, Sequence[Questions], Passes, Callable[[int], None] | None], Iterator[NDArray[np.float32]]
]


class Estimates(NamedTuple):
    """What `Attribution.estimates` gives."""

    neurons: pd.DataFrame
    layers: pd.DataFrame


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

    def estimates(
        self, progress: Callable[[int], None] | None = None, seed: int = 0, run: Run = gradients.attribute
    ) -> Estimates:
        """Every neuron's attribution for every class, and every layer's, the sum of its neurons'.

        Each clip runs forward once, for all that is asked of it: its margin, the logits of its classes, and those of
        others' classes for which it was drawn. Each then has a backward pass (`core.ablation.gradients`).

        Parameters
        ----------
        progress : callable, optional
            Called with the number of backward passes done, of `n_passes`.
        seed : int
            Of the draw of other clips.
        run : callable
            In place of `core.ablation.gradients.attribute`, as which it is called.

        Returns
        -------
        Estimates
            One row for each class that a clip could be examined for, and neuron (or layer), in that order:
            ``class_index``, ``neuron_index`` (``layer``); ``attribution``, mean over the class's clips, in logits;
            ``standard_error`` of that mean over clips (NaN for one clip); ``n_clips``; ``selective``, of the class's
            logit, own clips less others (NaN without others). Clips whose classes are all unknown to their head are
            left out.

        Raises
        ------
        InputError
            If there is no memory for one clip.
        """
        starts, n_neurons = layer_starts(self.encoder.layer_widths)[:-1], self.encoder.n_neurons
        sums = _Sums.empty(self.members.shape[1], n_neurons + len(starts))
        asked = [Questions.of(part, seed) for part in self._every]
        batches = [batch for each in asked for batch in each.batches(self.passes.batch_size)]
        values = run(self.encoder, self.scan, batches, self.passes, progress)
        for batch, of_batch in zip(batches, values, strict=True):
            of_neurons = of_batch.astype(np.float64)
            sums.add(batch, np.hstack([of_neurons, np.add.reduceat(of_neurons, starts, axis=1)]))
        every = sums.table()
        is_neuron = every["neuron_index"] < n_neurons
        layers = every[~is_neuron].rename(columns={"neuron_index": "layer"})
        return Estimates(
            every[is_neuron].reset_index(drop=True),
            layers.assign(layer=layers["layer"] - n_neurons).reset_index(drop=True),
        )

    @property
    def n_passes(self) -> int:
        """Backward passes of `estimates`."""
        return sum(len(Questions.of(part, 0).clip) for part in self._every)

    @cached_property
    def _every(self) -> list[Examined]:
        return _examined(self.parts, self.members)

    def check(
        self, attributions: pd.DataFrame, sample: Sample, progress: Callable[[int], None] | None = None
    ) -> tuple[pd.DataFrame, dict[str, float]]:
        """Set single neurons to 0, one at a time, and see whether the margin loses what `estimates` said.

        Each neuron is examined for the class for which its attribution is strongest (largest absolute value),
        on some of that class's clips. The highest are the neurons whose strongest attribution is largest, the
        others are drawn at random from all the rest.

        Parameters
        ----------
        attributions : DataFrame
            From `estimates`, of neurons.
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


@dataclass(frozen=True)
class _Sums:
    """Attributions, and their squares, summed over clips class by class; float64 (n_classes, n_neurons).

    Layers stand behind the neurons, as if they were further ones.

    Attributes
    ----------
    margin, squares, own, others : ndarray
        Of the margin, and of the class's logit on own clips and on others.
    n_own, n_others : ndarray of int, shape (n_classes,)
    """

    margin: FloatArray
    squares: FloatArray
    own: FloatArray
    others: FloatArray
    n_own: IntArray
    n_others: IntArray

    @classmethod
    def empty(cls, n_classes: int, n_neurons: int) -> _Sums:
        margin, squares, own, others = (np.zeros((n_classes, n_neurons)) for _ in range(4))
        n_own, n_others = (np.zeros(n_classes, dtype=np.int64) for _ in range(2))
        return cls(margin, squares, own, others, n_own, n_others)

    def add(self, asked: Questions, values: FloatArray) -> None:
        """What a batch gave, (n_questions, n_neurons)."""
        of_margin, of_others, classes = asked.of_margin, asked.of_others, asked.classes
        for which, sums, added in (
            (of_margin, self.margin, values),
            (of_margin, self.squares, values**2),
            (asked.of_own, self.own, values),
            (of_others, self.others, values),
        ):
            told = np.flatnonzero(classes[which].any(axis=0))
            sums[asked.examined.head.class_index[told]] += classes[which][:, told].T.astype(np.float64) @ added[which]
        self.n_own[asked.examined.head.class_index] += classes[of_margin].sum(axis=0)
        self.n_others[asked.examined.head.class_index] += classes[of_others].sum(axis=0)

    def table(self) -> pd.DataFrame:
        """As `Attribution.estimates` gives it."""
        examined = np.flatnonzero(self.n_own)
        n, n_neurons = self.n_own[examined][:, None].astype(np.float64), self.margin.shape[1]
        mean = self.margin[examined] / n
        with np.errstate(invalid="ignore"):  # 0 / 0 of a single clip, or without others, is NaN
            variance = np.maximum(self.squares[examined] - n * mean**2, 0.0) / (n - 1)
            selective = self.own[examined] / n - self.others[examined] / self.n_others[examined][:, None]
        return pd.DataFrame(
            {
                "class_index": examined.repeat(n_neurons),
                "neuron_index": np.tile(np.arange(n_neurons), len(examined)),
                "attribution": mean.ravel(),
                "standard_error": np.sqrt(variance / n).ravel(),
                "n_clips": self.n_own[examined].repeat(n_neurons),
                "selective": selective.ravel(),
            }
        )


def _choose(attribution: pd.DataFrame, sample: Sample, rng: np.random.Generator) -> pd.DataFrame:
    """The neurons to check, each with the class for which its attribution is strongest."""
    strength = attribution["attribution"].abs()
    rows = strength.groupby(attribution["neuron_index"]).idxmax().to_numpy()
    rows = rows[np.argsort(-strength[rows].to_numpy(), kind="stable")]
    others = np.sort(rng.permutation(rows[sample.n_highest :])[: sample.n_random])
    chosen = attribution.loc[np.concatenate([rows[: sample.n_highest], others])].reset_index(drop=True)
    chosen["in_highest"] = chosen.index < sample.n_highest
    return chosen[["class_index", "neuron_index", "attribution", "in_highest", "selective"]]


def _draw(examined: Sequence[Examined], c: int, n: int, rng: np.random.Generator) -> Iterator[Examined]:
    """Up to ``n`` of the clips of a class, by head."""
    of_class = [np.flatnonzero(each.own[:, each.head.class_index == c].any(axis=1)) for each in examined]
    source = np.repeat(np.arange(len(examined)), [len(clips) for clips in of_class])
    drawn = np.sort(rng.permutation(len(source))[:n])
    for i in np.unique(source[drawn]):
        yield examined[i].only(np.concatenate(of_class)[drawn[source[drawn] == i]])


def _draw_others(examined: Sequence[Examined], c: int, n: int, rng: np.random.Generator) -> Iterator[Examined]:
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

    some: Examined
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
