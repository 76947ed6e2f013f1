"""What a run of one model is to do, step by step, and how far it is: told to the store, for whoever looks on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from core.progress.time_left import Part
from core.results import RunStep

TASK_PARTS = ("score", "ablate")


class Told(Protocol):
    """What is asked of the store."""

    def plan_steps(self, run_id: int, steps: Sequence[RunStep]) -> None:
        """Note what a run is to do."""
        ...

    def tell_step(self, run_id: int, position: int, status: str | None = None, **told: Any) -> None:
        """Note how far a step is."""
        ...


class Steps:
    """The steps of a run, in order; the store hears of them once the run has begun.

    Parameters
    ----------
    store : Told
    parts : sequence of Part
        Datasets, in the order they are taken.
    stages : sequence of str
        What ``--stages`` asks for.
    """

    def __init__(self, store: Told, parts: Sequence[Part], stages: Sequence[str]) -> None:
        self._store = store
        self._run_id: int | None = None
        self._at: int | None = None
        self.all: list[RunStep] = []
        for part in parts:
            self.all += [RunStep(part.dataset, None, "extract")] if "extract" in stages else []
            self.all += [RunStep(part.dataset, task, of) for task in part.tasks for of in TASK_PARTS if of in stages]
            self.all += [RunStep(part.dataset, task, "score") for task in part.in_time if "score" in stages]

    def begin(self, run_id: int) -> None:
        """The store knows the run, and hears of its steps from now on."""
        self._store.plan_steps(run_id, self.all)
        self._run_id = run_id

    @contextmanager
    def of(self, dataset: str) -> Iterator[None]:
        """The dataset's turn: steps that it leaves behind undone are left out."""
        yield
        for place, step in enumerate(self.all):
            if step.dataset == dataset and step.status == "to come":
                self._set(place, "left out")

    @contextmanager
    def at(self, part: str, dataset: str, task: str | None = None) -> Iterator[None]:
        """This step is at work until the block ends; one that was not asked for is none."""
        from core.scoring.counts import NothingToTell  # with all that scores, which an option's error does without

        steps = [(step.dataset, step.task, step.part) for step in self.all]
        if (dataset, task, part) not in steps:
            yield
            return
        place = self._at = steps.index((dataset, task, part))
        self._set(place, "running")
        try:
            yield
        except BaseException as error:
            ways = {KeyboardInterrupt: "stopped", NothingToTell: "left out"}
            self._set(place, ways.get(type(error), "failed"))
            raise
        else:
            self._set(place, "done")
        finally:
            self._at = None

    def tell(self, **told: Any) -> None:
        """Tell how far the stage is that the step at work is at (`core.progress.progress.Progress.listen`)."""
        if self._run_id is not None and self._at is not None:
            self._store.tell_step(self._run_id, self._at, **told)

    def _set(self, place: int, status: str) -> None:
        self.all[place] = replace(self.all[place], status=status)
        if self._run_id is not None:
            self._store.tell_step(self._run_id, place, status)
