"""What a task's scores are worth: everything that is told beside them.

Intervals, stability, confounds, other selectors and tuning of one task of one model, all from the
stored counts, means and embeddings; no second pass over the audio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from core.arrays.blocks import Rows, Shares
from core.confounds.neurons import explained_pairs, neuron_confounds
from core.confounds.probes import confound_probes, task_confounds
from core.datasets import folds
from core.datasets.task import Task
from core.evidence.exchange_of_task import exchange_of, group_of_clips
from core.evidence.intervals import lift_intervals
from core.evidence.stability import across_folds, over_split_seeds, split_half
from core.recording.activations import Activations
from core.results import ProbeResult, Selection, TaskScores
from core.scoring.counts import TaskCounts, events, found_of, selectors
from core.selectivity.agreement import agreement
from core.selectivity.pitch_tuning import pitch_tuning
from core.selectivity.preferences import preferences
from core.selectivity.presets import SelectionSettings
from core.selectivity.selectors import score_table

N_HALVES = 5
"""Draws of two halves, and of the split where it is ours."""


N_PARTS = 7
"""Of `Context.add_to`."""


@dataclass
class Context:
    """One task, and what has been found beside its scores so far.

    Attributes
    ----------
    task : Task
    activations : Activations
    counts : TaskCounts
        What the scores were made of.
    settings : sequence of SelectionSettings
    event : str
        As the counts were made.
    seed : int
    """

    task: Task
    activations: Activations
    counts: TaskCounts
    settings: Sequence[SelectionSettings]
    event: str
    seed: int
    pairs: list[pd.DataFrame] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.positive, self.tokens = events(self.activations, self.counts.chosen, self.event)
        self.members = self.task.members[:, [self.task.class_names.index(name) for name in self.counts.names]]
        self.groups = group_of_clips(self.task, self.counts.chosen)

    def add_to(self, scores: TaskScores, own: ProbeResult, progress: Callable[[int], None] | None = None) -> TaskScores:
        """The scores with what puts them in context: columns of the chosen pairs, tables, warnings.

        Parameters
        ----------
        scores : TaskScores
        own : ProbeResult
            The model's linear head.
        progress : callable, optional
            Called with the number of parts done, of `N_PARTS`.

        Returns
        -------
        TaskScores
            ``tables`` as the store names them; pairs with ``lift_low``, ``lift_high``, ``p_value_cleaned``,
            ``explained_by``, and where they apply ``share_of_draws``, ``n_folds_held`` and ``n_folds``.
        """
        self.pairs = [selection.pairs for selection in scores.selections]
        parts: list[Callable[[], None]] = [
            self.intervals, self.confounds, self.stability, self.folds, self.selectors, self.attributes,
        ]  # fmt: skip
        assert len(parts) + 1 == N_PARTS
        for done, part in enumerate(parts, start=1):
            part()
            if progress:
                progress(done)
        warnings = self.probes(own)
        selections = tuple(
            replace(selection, pairs=pairs) for selection, pairs in zip(scores.selections, self.pairs, strict=True)
        )
        return replace(
            scores,
            selections=selections,
            tables=self.tables,
            warnings=(*scores.warnings, *warnings, *_explained(selections)),
        )

    @property
    def chosen_pairs(self) -> pd.DataFrame:
        """Every pair that a preset chose, once."""
        return pd.concat(self.pairs)[["class_index", "neuron_index", "q_value"]].drop_duplicates(
            ["class_index", "neuron_index"], ignore_index=True
        )

    def _add_columns(self, of_pairs: pd.DataFrame) -> None:
        """Add columns to the chosen pairs."""
        self.pairs = [pairs.merge(of_pairs, how="left", on=["class_index", "neuron_index"]) for pairs in self.pairs]

    def intervals(self) -> None:
        """Of each chosen pair's lift."""
        chosen, pairs = self.counts.chosen, self.chosen_pairs
        intervals = lift_intervals(
            Rows(self.positive, chosen), self.tokens[chosen], self.counts.members,
            (pairs["class_index"].to_numpy(), pairs["neuron_index"].to_numpy()), self.groups,
        )  # fmt: skip
        self._add_columns(intervals[["class_index", "neuron_index", "lift_low", "lift_high"]])

    def confounds(self) -> None:
        """Which neurons follow level, duration or silence, and which pairs these explain."""
        chosen = self.counts.chosen
        rates = Shares(self.positive, np.maximum(self.tokens, 1).astype(np.float32))
        of_neurons = found_of(
            self.activations,
            chosen,
            f"confounds, {self.event}",
            lambda: neuron_confounds(self.task.scan, rates, chosen),
        )
        self.tables["neuron_confound"] = of_neurons.copy()
        explained = explained_pairs(self.task.scan, self.positive, self.tokens, self.members, chosen, self.chosen_pairs)
        self._add_columns(explained[["class_index", "neuron_index", "p_value_cleaned", "explained_by"]])

    def stability(self) -> None:
        """Whether halves of the clips, and other draws of our own split, choose the same pairs."""
        chosen, exchange = self.counts.chosen, self.counts.exchange
        halves = split_half(
            Rows(self.positive, chosen), self.tokens[chosen], self.counts.members, self.settings, self.groups, exchange,
            N_HALVES, self.seed,
        )  # fmt: skip
        drawn = pd.DataFrame(columns=["preset", "n_draws", "n_pairs", "share_of_draws", "share_expected"])
        if self._hangs_on_our_split():
            masks = [self._mask(pairs) for pairs in self.pairs]
            of_pairs, drawn = over_split_seeds(
                self.positive, self.tokens, self.members, self._redraw, masks, self.settings,
                partial(exchange_of, self.task), N_HALVES, self.seed,
            )  # fmt: skip
            self.pairs = [
                pairs.merge(of_pairs[of_pairs["preset"] == setting.preset].drop(columns="preset"), how="left",
                            on=["class_index", "neuron_index"])
                for pairs, setting in zip(self.pairs, self.settings, strict=True)
            ]  # fmt: skip
        self.tables["stability"] = halves.merge(drawn.drop(columns="n_pairs"), how="left", on="preset")

    def _hangs_on_our_split(self) -> bool:
        """Whether another draw of the split would have given other selection clips."""
        tested = self.task.in_splits("test") & self.counts.chosen
        return not tested.any() and self.task.dataset.redraw(self.seed, self.task.attribute) is not None

    def _redraw(self, seed: int) -> list[str]:
        splits = self.task.dataset.redraw(seed, self.task.attribute)
        assert splits is not None
        return splits

    def _mask(self, pairs: pd.DataFrame) -> np.ndarray:
        mask = np.zeros(self.counts.p.shape, dtype=bool)
        mask[pairs["class_index"].to_numpy(dtype=np.int64), pairs["neuron_index"].to_numpy(dtype=np.int64)] = True
        return mask

    def folds(self) -> None:
        """In how many folds a chosen pair holds."""
        splits = self.task.splits
        if folds.names(splits.tolist()):
            pairs = self.chosen_pairs
            held = across_folds(
                self.positive, self.tokens, self.members, splits,
                (pairs["class_index"].to_numpy(), pairs["neuron_index"].to_numpy()),
            )  # fmt: skip
            self._add_columns(held[["class_index", "neuron_index", "n_folds_held", "n_folds"]])

    def selectors(self) -> None:
        """Every pair by the field's other selectors, and how far they agree."""
        scores = selectors(self.activations, self.counts)
        self.tables["selector_score"] = score_table(scores)
        self.tables["selector_pair"] = agreement(scores)

    def attributes(self) -> None:
        """Tuning of the chosen neurons to pitch, their preferences for each class."""
        chosen = self.counts.chosen
        neurons = np.unique(self.chosen_pairs["neuron_index"].to_numpy(dtype=np.int64))
        log_odds = preferences(
            Rows(self.positive, chosen), self.tokens[chosen], self.counts.members, self.groups, neurons
        ).rename(columns={"low": "ci_low", "high": "ci_high"})
        self.tables["neuron_preference"] = log_odds
        if self.task.attribute.split("_")[-1] == "pitch" and all(name.isdecimal() for name in self.counts.names):
            pitches = np.array([int(name) for name in self.counts.names])[self.counts.members.argmax(axis=1)]
            self.tables["pitch_tuning"] = pitch_tuning(
                Rows(self.positive, chosen), self.tokens[chosen], pitches, neurons, seed=self.seed
            )

    def probes(self, own: ProbeResult) -> list[str]:
        """What level, duration, silence and spectrum alone tell, groups apart and mixed; in words what that marks."""
        embeddings = np.asarray(self.activations.embeddings)
        probes = confound_probes(self.task, embeddings, own, self.seed)
        self.tables["confound_probe"] = probes.rename(columns={"group": "group_name"})
        return task_confounds(probes)


def _explained(selections: Sequence[Selection]) -> list[str]:
    """How many of the calibrated pairs a confound explains, in words."""
    lines = []
    for selection in selections:
        explained = selection.pairs["explained_by"].fillna("")
        n = int((explained != "").sum())
        if selection.preset == "calibrated" and n:
            most = explained[explained != ""].mode().iloc[0]
            lines.append(
                f"{n:,} of {len(explained):,} calibrated pairs {'has' if n == 1 else 'have'} no evidence left beside "
                f"level, duration and silence (most by {'all three' if most == 'together' else most})"
            )
    return lines
