"""The stages of made sounds: what units answer to a set of them, and what that says of class-specific units."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.results import ConfoundAnswers, SpecificSet, StimulusStudy
from core.run import verdicts
from core.run.stages.base import Stage
from core.run.study import Study
from core.stimuli import study as told
from core.stimuli.answers import FOLLOWS, KEPT, answers, units_of
from core.stimuli.respond import respond
from core.stimuli.sets import SETS
from core.stimuli.sound import SECONDS
from core.stimuli.tuning import N_DRAWS, N_PERMUTED


@dataclass(frozen=True)
class Stimulate(Stage):
    """One set of made sounds through the model, and what explains the answers of every unit."""

    part = "score"
    study: Study
    name: str

    @property
    def key(self) -> str:
        limits = self.study.config.shuffles, told.MOST_CURVES, N_DRAWS, N_PERMUTED
        return self.study.key("stimuli, to six digits", SETS[self.name].content_key, *limits, self.study.config.seed)

    def run(self) -> StimulusStudy | None:
        study, stimuli = self.study, SETS[self.name]
        if problem := stimuli.lacks:
            study.note(f"made sounds {self.name}: left out, {problem}")
            return None
        with study.shown(f"sounds {self.name}", stimuli.design.n_stimuli, "sounds") as update:
            responses = respond(study.encoder, stimuli, study.config.seed, study.passes_of(SECONDS), update)
        layers = np.repeat(np.arange(study.encoder.n_layers), study.encoder.layer_widths)
        steps = told.n_steps(stimuli.design)
        with study.shown(f"factors of {self.name}", steps, "steps", is_told=False) as update:
            done = iter(range(1, steps + 1))
            shuffles, seed = study.config.shuffles, study.config.seed
            found = told.tell(stimuli, responses, layers, shuffles, seed, lambda: update(next(done)))
        study.progress.print(f"  made sounds {self.name} · {verdicts.stimulated(found)}")
        return found


@dataclass(frozen=True)
class Answer(Stage):
    """What made sounds say of the model's class-specific units.

    Attributes
    ----------
    sets : sequence of SpecificSet
    attributes : mapping
        Task to attribute.
    stamps : sequence of str
        Of the sets of made sounds that the store holds: another stamp, other answers.
    units : callable
        Reads what is known of the units, as `core.stimuli.answers.units_of` takes it.
    """

    part = "score"
    study: Study
    sets: Sequence[SpecificSet]
    attributes: Mapping[str, str]
    stamps: Sequence[str]
    units: Callable[[], pd.DataFrame]

    @property
    def wanted(self) -> bool:
        """Where there are both class-specific units and answers to made sounds."""
        return self.part in self.study.config.stages and bool(self.sets) and bool(self.stamps)

    @property
    def key(self) -> str:
        facts = [(s.preset, s.task, s.class_names, s.pairs) for s in self.sets]
        digest = hashlib.sha256(repr((facts, sorted(self.attributes.items()), list(self.stamps))).encode())
        return self.study.key("confound answers", digest.hexdigest(), FOLLOWS, KEPT)

    def run(self) -> ConfoundAnswers:
        return ConfoundAnswers(answers(self.sets, self.attributes, units_of(self.units())))
