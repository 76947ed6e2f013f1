"""The stage that compares ways to choose neurons: how much more a class loses by its own than the others do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd

from core.ablation.specificity import specificity
from core.results import Specificity
from core.run import verdicts
from core.run.stages.base import Stage
from core.run.study import Study


@dataclass(frozen=True)
class Compare(Stage):
    """Self less cross effect, for every selection whose effects the store holds."""

    part = "ablate"
    study: Study
    effects: pd.DataFrame

    @property
    def wanted(self) -> bool:
        """Where there are effects, of this run or of former ones."""
        return len(self.effects) > 0

    @property
    def key(self) -> str:
        rows = self.effects.drop(columns="ablation_id").to_numpy().tolist()
        return self.study.key("specificity", hashlib.sha256(repr(rows).encode()).hexdigest())

    def run(self) -> Specificity:
        return Specificity(specificity(self.effects, self.study.config.seed))

    def stored(self) -> None:
        for line in verdicts.most_specific(self.effects, self.study.config.seed):
            self.study.note(line)
