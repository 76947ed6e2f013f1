"""The stage that counts the neurons which two classes share, over all tasks of a model that the store holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from core.results import Sharing, SpecificSet
from core.run.stages.base import Stage
from core.run.study import Study
from core.scoring.sharing import share_all


@dataclass(frozen=True)
class Share(Stage):
    """Classes x classes, within and across tasks."""

    part = "score"
    study: Study
    sets: Sequence[SpecificSet]

    @property
    def wanted(self) -> bool:
        """Where anything was selected."""
        return self.part in self.study.config.stages and bool(self.sets)

    @property
    def key(self) -> str:
        facts = [(s.preset, s.task, s.class_names, s.pairs, *s.nested) for s in self.sets]
        return self.study.key("share", hashlib.sha256(repr(facts).encode()).hexdigest())

    def run(self) -> Sharing:
        return Sharing(share_all(self.sets, self.study.encoder.n_neurons))
