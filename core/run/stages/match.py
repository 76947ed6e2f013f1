"""The stage that finds, for the units of two models, those of the other that respond alike to a dataset's clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.datasets import folds
from core.datasets.groups import telling_attributes
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.evidence.exchange_of_task import group_of_scan
from core.evidence.intervals import sampling_units
from core.matching.match import N_DEALS, Clips, match, n_steps
from core.matching.search import Means
from core.recording import checksums
from core.recording.activations import Activations, recorded
from core.results import IntArray, Matching
from core.run import outcome, verdicts
from core.run.partners import Pair
from core.run.stages.base import Stage, carry_out
from core.run.study import Study

MOST_CLIPS = 2_000
"""Clips that choose, and that are held out, at most: those of all units are in memory."""
FEWEST_CLIPS = 10


@dataclass(frozen=True)
class Match(Stage):
    """Partners of two models' units over one dataset, in both directions.

    Attributes
    ----------
    study : Study
        Of one of the two.
    models : two ModelRecords
    scan : Scan
    """

    part = "score"
    study: Study
    models: Pair
    scan: Scan

    @cached_property
    def matrices(self) -> list[Activations] | None:
        """Of both; None where one was not recorded over the dataset."""
        study = self.study
        found = [recorded(m, self.scan, study.files, study.config.padding, study.precision) for m in self.models]
        return None if None in found else [one for one in found if one]

    @property
    def wanted(self) -> bool:
        """Where both were recorded, over enough clips."""
        return self.part in self.study.config.stages and self.matrices is not None and self.lacks == ""

    @property
    def lacks(self) -> str:
        """Why nothing can be told, in words; empty where it can."""
        n = len(self._clips("train", "valid")) if self.matrices else 0
        few = f"units not matched, {n} train and valid clips; at least {FEWEST_CLIPS} are needed"
        return few if self.matrices and n < FEWEST_CLIPS else ""

    @property
    def key(self) -> str:
        others = [(model.name, model.weights_key) for model in self.models]
        of = self.scan.content_key, self.scan.dataset.name
        return self.study.key("match", *of, others, N_DEALS, MOST_CLIPS, self.study.config.seed)

    def run(self) -> Matching:
        assert self.matrices is not None
        names = self.models[0].name, self.models[1].name
        for name, matrices in zip(names, self.matrices, strict=True):
            checksums.check(checksums.with_sums(matrices), self.study.progress.warn)
            if not matrices.complete:
                raise ValueError(f"the activations of {name} are damaged; a run with it makes them anew")
        chosen, held_out = (self._means(self._clips(*splits)) for splits in (("train", "valid"), ("test",)))
        device, seed = str(self.study.encoder.device), self.study.config.seed
        total = n_steps(chosen[0].shape[1], chosen[1].shape[1], device)
        with self.study.shown(f"match {names[0]} and {names[1]}", total, "blocks") as update:
            found = match(chosen, held_out, seed, device, update)
        group = group_of_scan(self.scan)
        facts = {
            "n_clips": len(chosen[0]), "n_held_out": len(held_out[0]),
            "n_sampling_units": int(chosen[2].unit.max()) + 1, "n_deals": N_DEALS,
            "dealt": "clips" if group is None else "whole groups of clips",
            "taken_out": ", ".join(telling_attributes(self.scan)),
        }  # fmt: skip
        matching = Matching(self.scan.dataset.name, names, found, facts)
        self.study.progress.print(f"  {self.scan.dataset.name} · {verdicts.matched(matching)}")
        return matching

    def _clips(self, *splits: str) -> IntArray:
        """Clips of these splits in which both models counted tokens; evenly drawn where they are too many."""
        assert self.matrices is not None
        heard = (self.matrices[0].tokens > 0) & (self.matrices[1].tokens > 0)
        of_clips = folds.roles(np.array([clip.split for clip in self.scan.dataset.clips], dtype=np.str_))
        clips = np.flatnonzero(heard & np.isin(of_clips, splits))
        if len(clips) > MOST_CLIPS:
            clips = np.sort(np.random.default_rng(self.study.config.seed).choice(clips, MOST_CLIPS, replace=False))
        return clips

    def _means(self, clips: IntArray) -> tuple[Means, Means, Clips]:
        assert self.matrices is not None
        a, b = (
            np.divide(np.asarray(of.total)[clips], of.tokens[clips, None].astype(np.float32), dtype=np.float32)
            for of in self.matrices
        )
        group = group_of_scan(self.scan)
        labels = np.concatenate(
            [
                np.zeros((len(clips), 0), dtype=bool),
                *(Task(self.scan, n).members[clips] for n in telling_attributes(self.scan)),
            ],
            axis=1,
        )
        unit = sampling_units(None if group is None else group[clips], len(clips))
        return a, b, Clips(unit, labels[:, labels.any(axis=0)])


def match_models(studies: Sequence[Study], pairs: Sequence[Pair], scans: Sequence[Scan]) -> None:
    """Units of every two models that respond alike, once all are recorded; told of in the run of one of the two."""
    of_run = {study.encoder.name: study for study in studies}
    for models in pairs:
        names = [model.name for model in models]
        study = next(of_run[name] for name in names if name in of_run)
        with outcome.ending(study), study.progress.at(model=study.encoder.name):
            for scan in scans:
                name = scan.dataset.name
                with outcome.keep_going(study, f"{name}, {' and '.join(names)}", dataset=name):
                    stage = Match(study, models, scan)
                    carry_out(stage)
                    if stage.lacks:
                        study.note(f"{name}: {stage.lacks}")
