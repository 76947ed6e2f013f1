"""Heads asked under many conditions by all ranks of a run; the ablation stage's passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, Question, ask_all
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder
from core.encoders.hooks import Change
from core.recording.passes import Passes


@dataclass(frozen=True)
class Sent:
    """A question as other ranks get it: they open its answers themselves."""

    folder: Path
    parts: Sequence[Asked]
    changes: Sequence[Change]
    passes: Passes
    conditions: Sequence[int]
    done: NDArray[np.uint8]

    @classmethod
    def of(cls, question: Question) -> Sent:
        """One whose answers lie in a folder."""
        inquiry = question.inquiry
        assert inquiry.answers.folder is not None, "other ranks find the answers in a folder"
        folder, done = inquiry.answers.folder.absolute(), np.array(inquiry.answers.done)
        return cls(folder, question.parts, inquiry.changes, inquiry.passes, inquiry.conditions, done)

    def opened(self) -> Question:
        """The question, with the answers there are."""
        answers = Answers.reopen(self.folder)
        before = Answers(answers.values, answers.sums, self.done)
        return Question(self.parts, Inquiry(self.changes, self.conditions, answers, self.passes, before))


@dataclass(frozen=True)
class AskJob:
    """Answers of heads under some conditions."""

    encoder: str
    dataset: str
    questions: Sequence[Sent]

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> None:
        encoder, scan = ranks.held["encoder", self.encoder], ranks.held["scan", self.dataset]
        ask_all(encoder, scan, [question.opened() for question in self.questions], on_step, ranks)


@dataclass(frozen=True)
class Asker:
    """`core.ablation.conditions.ask_all` with all ranks, for answers that lie in folders."""

    ranks: Ranks

    def __call__(
        self, encoder: Encoder, scan: Scan, questions: Sequence[Question], progress: Callable[[], None] | None = None
    ) -> None:
        self.ranks.do(AskJob(encoder.name, scan.dataset.name, [Sent.of(each) for each in questions]), progress)
        # Nothing is left, unless a rank had so little memory that it halved batches which others took part in.
        ask_all(encoder, scan, questions, progress)
