"""What every stage is: what it depends on, what it computes, and when it is wanted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from core.results import Record
from core.run.study import Study


class Stage(ABC):
    """One step of the study of one model; its result is one record in the store.

    Attributes
    ----------
    part : str
        What ``--stages`` calls it: ``extract``, ``score`` or ``ablate``.
    """

    part: ClassVar[str]
    study: Study

    @property
    def wanted(self) -> bool:
        """Whether the user asked for it."""
        return self.part in self.study.config.stages

    @property
    @abstractmethod
    def key(self) -> str:
        """Name in the store: a hash of all that the result depends on (`Study.key`)."""

    @abstractmethod
    def run(self) -> Record | None:
        """Compute the record; None where there is nothing to store."""

    def stored(self) -> None:  # noqa: B027 (most have nothing more to do)
        """Called when the record is in the store."""


def carry_out(*stages: Stage) -> None:
    """Run the stages that are wanted and not done yet, one after the other, and store what each gives."""
    for stage in stages:
        study = stage.study
        if stage.wanted and not study.store.is_done(stage.key):
            with study.timer(stage.part):
                record = stage.run()
                if record is not None:
                    study.store.write(study.run_id, stage.key, study.model_id, record)
                    stage.stored()
