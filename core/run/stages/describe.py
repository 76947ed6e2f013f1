"""The stages that tell units in words, and referee descriptions that others gave."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from core.arrays.neurons import layer_starts
from core.datasets.scan import Scan
from core.describe import describe, given
from core.describe.describe import FEWEST_CLIPS, OURS, Drawn, Heard
from core.describe.descriptors import words
from core.describe.explain import N_SHIFTS
from core.describe.given import Given
from core.describe.kept import Kept
from core.describe.referee import N_DEALT
from core.describe.terms import Term
from core.describe.tokens import taken
from core.errors import InputError
from core.recording.activations import Activations
from core.results import Descriptions
from core.run import verdicts
from core.run.stages.base import Stage
from core.run.study import Study

_MOST_TOLD = 5


@dataclass(frozen=True)
class OfDrawn(Stage):
    """A stage that looks at drawn clips of a dataset: some explain, others are held out."""

    part = "score"
    study: Study
    scan: Scan
    matrices: Activations

    @cached_property
    def drawn(self) -> Drawn:
        """Clips that explain, and those held out."""
        return describe.draw(self.scan, np.asarray(self.matrices.tokens) > 0, self.study.config.seed)

    @property
    def asked(self) -> bool:
        """Whether the user asked for it."""
        return self.study.config.describe

    @property
    def wanted(self) -> bool:
        """Where it was asked for and there are clips enough, which is told where not."""
        if self.part not in self.study.config.stages or not self.asked:
            return False
        n, n_held_out = self.drawn.n_chosen, len(self.drawn.clips) - self.drawn.n_chosen
        n_groups = self.drawn.n_groups
        enough = min(n, n_held_out) >= FEWEST_CLIPS and n_groups > 1
        if not enough:
            of_groups = f" of {n_groups} group" if n_groups == 1 and n > 1 else ""
            self.study.note(
                f"{self.scan.dataset.name}: units not described, {n} train and valid clips{of_groups} and {n_held_out} "
                f"test clips; expected {FEWEST_CLIPS} of each, of two groups (voices or sources) and more"
            )
        return enough

    def beside(self, kind: str, suffix: str, *facts: object) -> Path:
        """Where what is known of the dataset's sound lies, whatever the model; what is cropped is so by split."""
        scan = self.scan
        known = [scan.content_key if scan.unit_seconds else scan.audio_key, scan.unit_seconds, *facts]
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()
        return self.study.files / kind / f"{name}{suffix}"

    def record(self, source: str, described: pd.DataFrame, explained: pd.DataFrame, n_dealt: int) -> Descriptions:
        """With the facts that both kinds share."""
        n = self.drawn.n_chosen
        facts = {
            "n_clips": n, "n_held_out": len(self.drawn.clips) - n, "n_dealt": min(n_dealt, N_DEALT),
            "n_shifts": N_SHIFTS, "words_json": json.dumps(words()),
        }  # fmt: skip
        found = Descriptions(self.scan.dataset.name, source, described, explained, facts)
        self.study.progress.print(f"  {self.scan.dataset.name} · {verdicts.described(found)}")
        return found


@dataclass(frozen=True)
class Hearing(OfDrawn):
    """A stage that passes the drawn clips again."""

    @contextmanager
    def heard(self) -> Iterator[Heard]:
        """The drawn clips' moments, in a file that is gone afterwards."""
        study, clips = self.study, self.drawn.clips
        passes, rate, voice = study.passes(self.scan), study.encoder.sample_rate, study.config.voice
        with ExitStack() as file:
            with study.shown("hear again", len(clips), "clips") as update:
                kept = Kept(self.beside("descriptors", ".npz", rate, voice), voice)
                tokens = file.enter_context(taken(study.encoder, self.scan, clips, passes, kept, update))
            yield Heard(self.scan, self.drawn, tokens, study.config.seed)


@dataclass(frozen=True)
class Describe(Hearing):
    """What explains every unit, in a sentence each, scored on held-out clips."""

    @property
    def key(self) -> str:
        limits, voice = (describe.MOST_CLIPS, N_DEALT, N_SHIFTS), ("voice",) * self.study.config.voice
        of = self.scan.content_key, self.scan.dataset.name
        return self.study.key("descriptions beside dealt clips", *of, *limits, self.study.config.seed, *voice)

    def run(self) -> Descriptions:
        steps = describe.n_steps(self.study.encoder.n_neurons, N_SHIFTS)
        with self.heard() as heard, self.study.shown("describe", steps, "steps") as update:
            done = iter(range(1, steps + 1))
            described, explained = describe.own(heard, lambda: update(next(done)))
        return self.record(OURS, described, explained, len(described))


@dataclass(frozen=True)
class Referee(Hearing):
    """Scores of the descriptions of a file, beside those dealt from our own.

    Attributes
    ----------
    ours : mapping of int to str
        By unit (flat index) the terms of our own description.
    """

    ours: Mapping[int, str]

    @cached_property
    def given(self) -> list[Given]:
        """The file's rows that are of this model's units."""
        path, encoder = self.study.config.import_descriptions, self.study.encoder
        of_model = encoder.encoder_name or encoder.name, encoder.unit_kind
        return [one for one in given.read(path) if (one.model, one.unit_kind) == of_model] if path else []

    @property
    def wanted(self) -> bool:
        """Where the file describes any of the model's units."""
        return bool(self.given) and super().wanted

    @property
    def key(self) -> str:
        facts = repr((self.given, sorted(self.ours.items())))
        digest = hashlib.sha256(facts.encode()).hexdigest()
        of = self.scan.content_key, self.scan.dataset.name
        return self.study.key("given descriptions beside dealt clips", *of, digest, self.study.config.seed)

    def run(self) -> Descriptions:
        units = [self._flat(one) for one in self.given]
        parts = []
        with self.heard() as heard:
            dealt = {unit: heard.vocabulary.read(text)[0] for unit, text in self.ours.items()}
            read = [heard.vocabulary.read(one.predicts) for one in self.given]
            self._tell(read)
            for author in dict.fromkeys(one.author for one in self.given):
                terms: dict[int, list[Term]] = {}
                text = {}
                for unit, one, (of, _) in zip(units, self.given, read, strict=True):
                    if one.author == author and of:
                        terms[unit], text[unit] = of, one.description
                rows = describe.scored(heard, terms, dealt)
                parts.append(rows.assign(author=author, description=[text[unit] for unit in rows["neuron_index"]]))
        source = Path(self.study.config.import_descriptions).name
        return self.record(source, pd.concat(parts, ignore_index=True), pd.DataFrame(), len(dealt))

    def _flat(self, one: Given) -> int:
        widths = self.study.encoder.layer_widths
        if one.layer >= len(widths) or one.unit >= widths[one.layer]:
            raise InputError(
                f"--import-descriptions: unit {one.unit} of layer {one.layer} is not in {self.study.encoder.name}, "
                f"whose layers have {', '.join(map(str, widths))} units; both count from 0"
            )
        return int(layer_starts(widths)[one.layer]) + one.unit

    def _tell(self, read: list[tuple[list[Term], list[str]]]) -> None:
        """One line on what was not understood."""
        unknown = Counter(part for _, parts in read for part in parts)
        n_lost = sum(not terms for terms, _ in read)
        if not unknown:
            return
        most = ", ".join(f"“{part}”" for part, _ in unknown.most_common(_MOST_TOLD))
        more = f" and {len(unknown) - _MOST_TOLD} more" if len(unknown) > _MOST_TOLD else ""
        lost = f"; {n_lost} of {len(read)} descriptions say nothing that can be scored" if n_lost else ""
        self.study.progress.warn(f"{self.scan.dataset.name}: no class or descriptor of that name: {most}{more}{lost}")
