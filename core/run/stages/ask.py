"""Heads asked under many conditions by all ranks of a run; the ablation stage's passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, ask_all
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.encoders.hooks import Change
from core.recording.passes import Passes


@dataclass(frozen=True)
class AskJob:
    """Answers of heads under some conditions."""

    encoder: str
    dataset: str
    folder: Path
    parts: Sequence[Asked]
    changes: Sequence[Change]
    passes: Passes
    conditions: Sequence[int]
    done: NDArray[np.uint8]

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        answers = Answers.reopen(self.folder)
        before = Answers(answers.values, answers.sums, self.done)
        inquiry = Inquiry(self.changes, self.conditions, answers, self.passes, before)
        ask_all(
            ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset], self.parts, inquiry, on_step, ranks
        )  # fmt: skip


@dataclass(frozen=True)
class Asker:
    """`core.ablation.conditions.ask_all` with all ranks, for answers that lie in a folder."""

    ranks: Ranks

    def __call__(
        self,
        encoder: Encoder,
        scan: Scan,
        parts: Sequence[Asked],
        inquiry: Inquiry,
        progress: Callable[[], None] | None = None,
    ) -> None:
        answers = inquiry.answers
        assert answers.folder is not None, "other ranks find the answers in a folder"
        folder, done = answers.folder.absolute(), np.array(answers.done)
        job = AskJob(
            encoder.name, scan.dataset.name, folder, parts, inquiry.changes, inquiry.passes, inquiry.conditions, done
        )
        self.ranks.do(job, progress)
        # Nothing is left, unless a rank had so little memory that it halved batches which others took part in.
        ask_all(encoder, scan, parts, inquiry, progress)
