"""How far a whole run is, and how long it takes at least: from what was measured so far, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """A dataset of the run: its clips, and the tasks that are asked of it; ``in_time`` those of clips' segments."""

    dataset: str
    n_clips: int
    tasks: tuple[str, ...]
    in_time: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a run is; empty where it is at none."""

    model: str = ""
    dataset: str = ""
    task: str = ""


PASSES = ("extract",)
"""Stages that take each clip of a dataset once."""


@dataclass
class TimeLeft:
    """What a run is to do, and how long of it took how long.

    Attributes
    ----------
    models : sequence of str
        In the order they are run.
    parts : sequence of Part
        In the order each model takes them.
    passes, tasks : bool
        Whether the run records clips, and whether it scores or ablates tasks.
    at_once : int
        Models that run side by side.
    """

    models: Sequence[str] = ()
    parts: Sequence[Part] = ()
    passes: bool = True
    tasks: bool = True
    at_once: int = 1
    _per_clip: dict[tuple[str, str], float] = field(default_factory=dict)
    _per_task: dict[str, list[float]] = field(default_factory=dict)

    def passed(self, model: str, stage: str, seconds_per_clip: float) -> None:
        """Remember how long a clip took in one of `PASSES`."""
        self._per_clip[model, stage] = seconds_per_clip

    def did_task(self, model: str, seconds: float) -> None:
        """Remember how long scoring and ablating a task took."""
        self._per_task.setdefault(model, []).append(seconds)

    def numbered(self, place: Place) -> dict[str, tuple[int, int]]:
        """Which model, dataset and task of how many a run is at: ``{"model": (1, 2)}``; what is at none is not told."""
        listed = {
            "model": (place.model, list(self.models)),
            "dataset": (place.dataset, [part.dataset for part in self.parts]),
            "task": (place.task, self._tasks()),
        }
        return {
            kind: (names.index(name) + 1, len(names))
            for kind, (name, names) in listed.items()
            if name in names and len(names) > 1
        }

    def seconds_left(self, place: Place, stage: str = "", stage_left: float | None = None) -> tuple[float, bool] | None:
        """Time left of the whole run, and whether that is all: else it is what is known of it, and more will come.

        What comes is taken to go as fast as the same stages of the same model went, and not to be in the store yet.
        None where nothing is known.

        Parameters
        ----------
        place : Place
        stage : str
            The one that runs.
        stage_left : float, optional
            Seconds it takes yet.
        """
        names = [part.dataset for part in self.parts]
        if place.model not in self.models or place.dataset not in names:
            return None
        at = names.index(place.dataset)
        is_last = place.model in self.models[-self.at_once :]
        left, known = stage_left or 0.0, stage_left is not None and is_last
        pending = [(part, name) for part in self.parts[at + 1 :] for name in PASSES]
        for part, name in pending if self.passes else ():
            seconds = self._per_clip.get((place.model, name))
            left, known = left + part.n_clips * (seconds or 0.0), known and seconds is not None
        n_tasks = self._n_tasks_left(place) if self.tasks else 0
        measured = self._per_task.get(place.model, [])
        if measured:
            left += n_tasks * sum(measured) / len(measured)
        known = known and (not n_tasks or bool(measured)) and not (place.task and self.tasks)
        return (left, known) if left else None

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Models and tasks of the run."""
        return list(self.models), self._tasks()

    def _tasks(self) -> list[str]:
        return [task for part in self.parts for task in part.tasks]

    def _n_tasks_left(self, place: Place) -> int:
        """Tasks of the present model that are not begun."""
        names = [part.dataset for part in self.parts]
        begun = [task for part in self.parts[: names.index(place.dataset)] for task in part.tasks]
        own = self.parts[names.index(place.dataset)].tasks
        n_own = own.index(place.task) + 1 if place.task in own else 0
        return len(self._tasks()) - len(begun) - n_own
