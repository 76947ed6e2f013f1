"""The stage in which a model of sounds and language proposes phrases for units."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.describe import clap, propose
from core.describe.acoustics import Floats
from core.describe.clap import Clap
from core.describe.referee import N_DEALT
from core.recording.activations import open_map
from core.recording.waveforms import read_ahead
from core.results import Descriptions
from core.run import verdicts
from core.run.stages.describe import OfDrawn

CLIPS_AT_ONCE = 8


@dataclass(frozen=True)
class Propose(OfDrawn):
    """The phrase of each unit, scored on held-out clips."""

    @property
    def asked(self) -> bool:
        return bool(self.study.config.propose)

    @cached_property
    def clap(self) -> Clap:
        """The model that proposes."""
        return clap.load(self.study.config.clap, str(self.study.encoder.device))

    @cached_property
    def phrases(self) -> list[str]:
        """What it chooses from."""
        path = self.study.config.phrases
        return propose.read_phrases(path) if path else propose.phrases_of(self.scan)

    @property
    def key(self) -> str:
        digest = hashlib.sha256(json.dumps(self.phrases).encode()).hexdigest()
        of = self.scan.content_key, self.scan.dataset.name
        facts = self.clap.weights_key, digest, N_DEALT, self.study.config.seed
        return self.study.key("proposed descriptions beside dealt clips", *of, *facts)

    def run(self) -> Descriptions:
        clips, matrices = self.drawn.clips, self.matrices
        means = np.asarray(matrices.total[clips]) / np.maximum(np.asarray(matrices.tokens[clips]), 1)[:, None]
        likeness = self._sounds() @ self.clap.phrases(self.phrases).T
        guess = propose.majority(self.scan, self.drawn)
        found = propose.propose(means.astype(np.float32), likeness, self.drawn, self.phrases, guess)
        source = f"clap:{self.clap.name}"
        record = self.record(source, found.assign(author=source), found.iloc[:0], found["predicts"].nunique())
        self.study.progress.print(f"    {verdicts.proposed(record)}")
        return record

    def _sounds(self) -> Floats:
        """What stands for each drawn clip, shape (n_drawn, width); kept beside the store, row by row as it is made."""
        study, scan, clips = self.study, self.scan, self.drawn.clips
        path = self.beside("clap", ".npy", self.clap.weights_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = open_map(path, (len(scan.dataset.clips), self.clap.width), np.float32)
        is_there = np.abs((rows[clips] ** 2).sum(axis=1) - 1) < 1e-3  # of length 1 once it is whole
        missing = clips[~is_there]
        batches = [missing[i : i + CLIPS_AT_ONCE] for i in range(0, len(missing), CLIPS_AT_ONCE)]
        with study.shown("hear by CLAP", len(missing), "clips") as update:
            n_done = 0
            sounds = read_ahead(scan, batches, self.clap.sample_rate, study.config.workers)
            for batch, waveforms in zip(batches, sounds, strict=True):
                rows[batch] = self.clap.sounds(waveforms)
                n_done += len(batch)
                update(n_done)
        rows.flush()
        return np.array(rows[clips])
