"""One model of a run: what every stage needs, and what it leaves to be told at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.progress.progress import Progress, Update
from core.recording.passes import Passes
from core.results import Record, RunStep
from core.run import load
from core.run.config import AnalysisConfig
from core.run.steps import Steps
from core.run.versions import code_version, versions

RESULTS = 3
"""Raised when stages change meaning, so that stored results of older code are computed anew."""


class Store(Protocol):
    """What is asked of the store; `db.writes.store.Store` is one."""

    def start_run(
        self,
        model_name: str,
        config: Mapping[str, object],
        seed: int,
        code_version: str,
        versions: Mapping[str, str],
        device: str,
    ) -> int:
        """Note that a run begins and return its id."""
        ...

    def plan_steps(self, run_id: int, steps: Sequence[RunStep]) -> None:
        """Note what the run is to do."""
        ...

    def tell_step(self, run_id: int, position: int, status: str | None = None, **told: Any) -> None:
        """Note how far a step of a run is."""
        ...

    def finish_run(self, run_id: int, status: str, seconds: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        """Note how a run ended."""
        ...

    def is_done(self, key: str) -> bool:
        """Return whether the stage ``key`` is complete in the store."""
        ...

    def write(self, run_id: int, stage_key: str, model_id: int, record: Record) -> None:
        """Store what a stage gave, with its mark, in one transaction."""
        ...

    def forget_stages(self, model_id: int, dataset: str) -> None:
        """Take the marks of all that a model's matrices of a dataset gave."""
        ...


@dataclass
class Study:
    """One model of a run."""

    config: AnalysisConfig
    progress: Progress
    store: Store
    files: Path
    encoder: Encoder
    model_id: int
    ranks: Ranks
    steps: Steps
    family: Sequence[Encoder] = ()
    """Views of the same network, this study's own among them: units that the same passes show."""
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _run_id: int | None = None
    _batch_sizes: dict[float, int] = field(default_factory=dict)

    @property
    def run_id(self) -> int:
        """The run in the store, begun when the first stage has something to do."""
        if self._run_id is None:
            config = {**self.config.as_dict(), "model": self.encoder.name}
            self._run_id = self.store.start_run(
                self.encoder.name, config, self.config.seed, code_version(), versions(), str(self.encoder.device)
            )
            self.steps.begin(self._run_id)
        return self._run_id

    @property
    def did_anything(self) -> bool:
        """Whether any stage had something to do."""
        return self._run_id is not None

    @contextmanager
    def timer(self, part: str) -> Iterator[None]:
        """Add the time of a block to what the run spent in ``extract``, ``score`` or ``ablate``."""
        _ = self.run_id  # the run begins here, so that one that is killed leaves its row
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - started

    def shown(self, label: str, total: int, unit: str, *, is_told: bool = True) -> AbstractContextManager[Update]:
        """A stretch of work that shows how far it is, and is told in a line at its end."""
        return self.progress.stage(label, total, unit, is_told=is_told)

    def key(self, name: str, content_key: str, *settings: object) -> str:
        """Name of a stage in the store: what its result depends on, hashed."""
        c = self.config
        facts = [RESULTS, name, self.encoder.name, self.encoder.weights_key, content_key,
                 c.padding, self.precision, *settings]  # fmt: skip
        if c.length != "native":
            facts.append(c.length)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def passes(self, scan: Scan) -> Passes:
        """How a dataset's clips go through the model."""
        return self.passes_of(scan.longest)

    def passes_of(self, seconds: float) -> Passes:
        """How clips of at most this length go through the model; batch sizes are found by trying, once a length."""
        if seconds not in self._batch_sizes:
            self._batch_sizes[seconds] = load.batch_size(self.ranks, self.encoder, self.config.batch_size, seconds)
        n = self._batch_sizes[seconds]
        return Passes(n, n, self.config.padding, self.precision, self.config.workers)

    @property
    def probes_layers(self) -> bool:
        """Whether heads on every layer are asked for, and this is the view of the network that has them."""
        return self.config.probes_layers(self.encoder.unit_kind)

    @property
    def precision(self) -> str:
        """That of the forward passes; bfloat16 only where it is asked for."""
        return "float32" if self.config.precision == "auto" else self.config.precision

    def note(self, text: str) -> None:
        """Tell something at the end, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)

    def fail(self, text: str) -> None:
        """Tell that something asked for could not be done; what follows goes on, and the run ends with 1."""
        self.failures.append(text)
        self.progress.fail(text)

    def finish(self, status: str) -> None:
        """Note in the store how the run ended, if it began."""
        if self._run_id is not None:
            self.store.finish_run(self._run_id, status, self.seconds, self.notes)
