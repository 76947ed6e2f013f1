"""The stage that places a model's units in a plane by how alike they respond to all clips of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.scan import Scan
from core.mapping.place import METHOD, VERSION, Means, place
from core.recording.activations import Activations
from core.results import IntArray, UnitMap
from core.run.stages.base import Stage
from core.run.study import Study

MOST_CLIPS = 2_000
"""Clips of all datasets together, at most: the responses of all units to them are in memory."""
Recording = tuple[Scan, Activations]


@dataclass(frozen=True)
class Place(Stage):
    """One map of a model's units, over the datasets that were recorded in this run."""

    part = "score"
    study: Study
    recordings: Sequence[Recording]

    @property
    def wanted(self) -> bool:
        """Where it was asked for and anything was recorded."""
        return self.part in self.study.config.stages and self.study.config.map_units and bool(self.recordings)

    @property
    def key(self) -> str:
        contents = sorted(scan.content_key for scan, _ in self.recordings)
        data = hashlib.sha256("\n".join(contents).encode()).hexdigest()
        return self.study.key("map", data, METHOD, VERSION, MOST_CLIPS, self.study.config.seed)

    def run(self) -> UnitMap | None:
        study = self.study
        names = [scan.dataset.name for scan, _ in self.recordings]
        with study.shown("map of units", study.encoder.n_neurons, "units") as update:
            found = place(self._means(), names, study.config.seed)
            update(study.encoder.n_neurons)
        if found is None:
            study.note(f"{study.encoder.name}: no map, too few units that vary or too few clips")
            return None
        held, chance = found.facts["trustworthiness"], found.facts["trustworthiness_chance"]
        study.progress.print(
            f"  {len(found.places):,} units on a map over {found.facts['n_clips']:,} clips; trustworthiness "
            f"{held:.2f}, places dealt anew {chance:.2f}"
        )
        return found

    def _means(self) -> Means:
        """Clip means of every unit, (n_clips, n_units): of each dataset's clips that hold tokens the same share."""
        heard = [np.flatnonzero(np.asarray(of.tokens) > 0) for _, of in self.recordings]
        share = min(1.0, MOST_CLIPS / max(1, sum(map(len, heard))))
        rng = np.random.default_rng(self.study.config.seed)
        return np.concatenate(
            [_means(of, _some(clips, share, rng)) for (_, of), clips in zip(self.recordings, heard, strict=True)]
        )


def _some(clips: IntArray, share: float, rng: np.random.Generator) -> IntArray:
    return np.sort(rng.choice(clips, int(share * len(clips)), replace=False))


def _means(of: Activations, clips: IntArray) -> Means:
    tokens = np.asarray(of.tokens)[clips, None].astype(np.float32)
    return np.divide(np.asarray(of.total)[clips], tokens, dtype=np.float32)
