"""Erasure curves: more and more of a class's neurons out, in several orders, beside as many at random.

How steeply a class falls tells how well an order finds what the head uses; where random neurons cost as much, the
order tells nothing. Sets are the first 1, 2, 4, ... of an order, up to a quarter of all neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, Question, ask_all
from core.ablation.outcomes import FROZEN, Beside, Clips, HeadAnswers, class_outcomes
from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.encoders.hooks import Change
from core.probes.fit import Part
from core.recording.passes import Passes
from core.results import FloatArray, IntArray, Mask

N_RANDOM = 10
"""Random orders of all neurons."""
LARGEST_SHARE = 0.25
N_OTHERS = 20
"""Clips of other classes that stand beside a class's own."""
TOLD = ("total", "discrimination")


def sizes(n_neurons: int) -> list[int]:
    """1, 2, 4, ... up to a quarter of all neurons."""
    most = max(1, int(LARGEST_SHARE * n_neurons))
    return [2**i for i in range(most.bit_length())]


def first_of(scores: FloatArray, most: int) -> IntArray:
    """Flat indices of the neurons with the highest scores, best first; ties by index, NaN never."""
    ranked = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")[:most]
    return ranked[scores[ranked] > -np.inf]


@dataclass(frozen=True)
class Erasure:
    """Curves of every class of a task.

    Attributes
    ----------
    encoder : Encoder
    scan : Scan
    parts : sequence of Part
        Heads, each with test clips that it has not seen; one, or one a fold.
    clips : Clips
        The labels and units of those test clips, part after part.
    orders : mapping of str to ndarray, shape (n_classes, n_neurons)
        Name of an order to its scores, higher = out earlier.
    passes : Passes
    change : callable
        What becomes of a set of neurons; by default they are set to 0.
    """

    encoder: Encoder
    scan: Scan
    parts: Sequence[Part]
    clips: Clips
    orders: Mapping[str, FloatArray]
    passes: Passes
    change: Callable[[IntArray], Change] = Change

    @property
    def classes(self) -> list[int]:
        """Those that a head knows and of which there are clips, and others."""
        members, known = self.clips.members, np.unique(np.concatenate([part.head.class_index for part in self.parts]))
        return [c for c in known.tolist() if members[:, c].any() and not members[:, c].all()]

    @property
    def n_passes(self) -> int:
        """Clips times conditions."""
        n_sizes = len(sizes(self.encoder.n_neurons))
        ordered = sum(len(self._sample(c)) for c in self.classes) * len(self.orders)
        return n_sizes * (ordered + N_RANDOM * len(self.clips.members))

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        folder: Path | None = None,
        ask: Callable[..., None] = ask_all,
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """All curves.

        Parameters
        ----------
        progress, folder, ask
            As `core.ablation.ablate.Sweep.run`.

        Returns
        -------
        points : DataFrame
            A row for each class, order, size and outcome (``total``, ``discrimination``): ``class_index``, ``order``,
            ``n_neurons``, and the columns of `core.ablation.outcomes.ClassOutcomes.rows`.
        areas : DataFrame
            A row for each class, order and outcome: the same columns for the mean over sizes (the area under the curve
            over the logarithm of the size), and ``halved_at``, ``random_halved_at``: the smallest set that halves p of
            the own class (total), or what the AUROC is over 0.5 (discrimination); NaN where none does.
        """
        every = sizes(self.encoder.n_neurons)
        rng = np.random.default_rng([self.clips.seed, self.encoder.n_neurons])
        random = [rng.permutation(self.encoder.n_neurons) for _ in range(N_RANDOM)]
        done = 0

        def answered(name: str, clips: IntArray, ranked: Sequence[IntArray]) -> NDArray[np.float32]:
            """Logits (n_orders, n_sizes, n_clips, n_classes) with the first of each order out; at the end, of none."""
            nonlocal done
            changes = [self.change(np.sort(order[:n])) for order in ranked for n in every]
            of = folder and folder / name
            answers = Answers.open(of, 1, len(changes), len(clips), self.clips.members.shape[1])
            report = None if progress is None else lambda: progress(done + answers.n_done)
            inquiry = Inquiry(changes, range(len(changes)), answers, self.passes)
            ask(self.encoder, self.scan, [Question(self._asked(clips), inquiry)], report)
            done += answers.n_done
            return np.asarray(answers.values[0])

        of_random = answered("random", np.arange(len(self.clips.members)), random)
        points, areas = [], []
        for c in self.classes:
            sample = self._sample(c)
            ranked = [first_of(scores[c], every[-1]) for scores in self.orders.values()]
            ordered = answered(f"class-{c}", sample, ranked)
            logits = np.concatenate([ordered[:-1], of_random[:-1, sample], ordered[-1:]])
            of_class = self._curves(c, sample, logits)
            points.append(of_class[0].assign(class_index=c))
            areas.append(of_class[1].assign(class_index=c))
        return pd.concat(points, ignore_index=True), pd.concat(areas, ignore_index=True)

    def _asked(self, clips: IntArray) -> list[Asked]:
        """Each part's head on those of its clips that are among ``clips``, which are places among all, sorted."""
        ends = np.searchsorted(clips, np.cumsum([len(part.clips) for part in self.parts]))
        places = np.concatenate([part.clips for part in self.parts])[clips]
        return [
            Asked(own, [part.head])
            for part, own in zip(self.parts, np.split(places, ends[:-1]), strict=True)
            if len(own)
        ]

    def _sample(self, c: int) -> IntArray:
        """The class's clips, and some of the others, as places among the test clips."""
        own = self.clips.members[:, c]
        others = np.random.default_rng([self.clips.seed, c, len(own)]).permutation(np.flatnonzero(~own))[:N_OTHERS]
        return np.sort(np.concatenate([np.flatnonzero(own), others]))

    def _curves(self, c: int, sample: IntArray, logits: NDArray[np.float32]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Points and areas of one class; conditions are order by order and size by size, those at random last."""
        members, units = self.clips.members[sample], np.unique(self.clips.units[sample], return_inverse=True)[1]
        clips = Clips(members, units, self.clips.several, self.clips.seed)
        own: Mask = members[:, c]
        values = HeadAnswers.of(logits, clips).values([FROZEN[name] for name in TOLD], c, own)
        n_sizes, n_orders = len(sizes(self.encoder.n_neurons)), len(self.orders)
        extended = {name: _with_means(value, n_sizes) for name, value in values.items()}
        n_conditions = (n_orders + N_RANDOM) * n_sizes
        columns = n_orders * n_sizes + np.arange(N_RANDOM * n_sizes).reshape(N_RANDOM, n_sizes)
        means = n_conditions + np.arange(n_orders + N_RANDOM)
        targets = [*range(n_orders * n_sizes), *means[:n_orders].tolist()]
        controls = [columns[:, i % n_sizes] for i in range(n_orders * n_sizes)] + [means[n_orders:]] * n_orders
        of_targets = class_outcomes({"frozen": extended}, own, Beside(targets, controls), clips).rows
        names = list(self.orders)
        points = [
            rows.assign(order=names[i // n_sizes], n_neurons=sizes(self.encoder.n_neurons)[i % n_sizes])
            for i, rows in enumerate(of_targets[: n_orders * n_sizes])
        ]
        every = pd.concat(points, ignore_index=True)
        areas = [
            rows.assign(order=name).merge(_halved(every[every["order"] == name]), on="outcome")
            for name, rows in zip(names, of_targets[n_orders * n_sizes :], strict=True)
        ]
        return every, pd.concat(areas, ignore_index=True)


def _with_means(value: FloatArray, n_sizes: int) -> FloatArray:
    """Values (n_conditions + 1, n_clips) with the mean over the sizes of each order before the last row."""
    of_orders = value[:-1].reshape(-1, n_sizes, value.shape[1])
    return np.concatenate([value[:-1], of_orders.mean(axis=1), value[-1:]])


def _halved(curve: pd.DataFrame) -> pd.DataFrame:
    """For each outcome of one curve the smallest sets that halve it, of the order and at random."""
    rows = []
    for outcome, points in curve.groupby("outcome", sort=False):
        bar = np.full(len(points), -np.log(2)) if outcome == "total" else -(points["unablated"] - 0.5) / 2
        found = {}
        for name, column in (("halved_at", "change"), ("random_halved_at", "control_mean")):
            enough = points.loc[points[column] <= bar, "n_neurons"]
            found[name] = float(enough.min()) if len(enough) else np.nan
        rows.append({"outcome": outcome, **found})
    return pd.DataFrame(rows)
