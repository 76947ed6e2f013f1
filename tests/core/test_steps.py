"""What a run is to do, step by step: in order, told once the run has begun, and none left as if it were to come."""

from __future__ import annotations

from typing import Any

import pytest

from core.progress.time_left import Part
from core.run.steps import Steps
from core.scoring.counts import NothingToTell

PARTS = (Part("pets", 8, ("pets-kind", "pets-age")), Part("birds", 4, ("birds-kind",)))
ALL = ("extract", "score", "ablate")


class Told:
    """A store that remembers what it was told."""

    def __init__(self) -> None:
        self.words: list[tuple[Any, ...]] = []

    def plan_steps(self, run_id: int, steps: Any) -> None:
        self.words.append((run_id, *(step.status for step in steps)))

    def tell_step(self, run_id: int, position: int, status: str | None = None, **told: Any) -> None:
        self.words.append((run_id, position, status, *told.values()))


def statuses(steps: Steps) -> list[str]:
    return [step.status for step in steps.all]


def test_steps_are_those_that_were_asked_for_in_order() -> None:
    made = [(step.dataset, step.task, step.part) for step in Steps(Told(), PARTS, ALL).all]
    assert made[:3] == [("pets", None, "extract"), ("pets", "pets-kind", "score"), ("pets", "pets-kind", "ablate")]
    assert made[5:] == [("birds", None, "extract"), ("birds", "birds-kind", "score"), ("birds", "birds-kind", "ablate")]
    assert [step.part for step in Steps(Told(), PARTS, ("score",)).all] == ["score"] * 3


def test_the_store_hears_of_them_once_the_run_has_begun() -> None:
    told = Told()
    steps = Steps(told, PARTS, ALL)
    with steps.at("extract", "pets"):
        steps.tell(n_done=3)
    with steps.at("score", "pets", "pets-kind"):
        assert statuses(steps)[:3] == ["done", "running", "to come"]
        steps.begin(7)
        steps.tell(n_done=3)
    with steps.at("ablate", "pets", "pets-kind"):
        pass
    assert told.words[0] == (7, "done", "running", *["to come"] * 6)
    assert told.words[1:] == [(7, 1, None, 3), (7, 1, "done"), (7, 2, "running"), (7, 2, "done")]


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "stopped"), (NothingToTell("one class"), "left out"), (ValueError("odd"), "failed")],
)
def test_how_a_step_ended(error: BaseException, status: str) -> None:
    steps = Steps(Told(), PARTS, ALL)
    with pytest.raises(type(error)), steps.at("score", "pets", "pets-kind"):
        raise error
    assert statuses(steps) == ["to come", status, *["to come"] * 6]


def test_what_a_dataset_leaves_behind_is_left_out() -> None:
    steps = Steps(Told(), PARTS, ALL)
    with steps.of("pets"), steps.at("extract", "pets"):
        pass
    assert statuses(steps) == ["done", *["left out"] * 4, *["to come"] * 3]


def test_a_step_that_was_not_asked_for_is_none() -> None:
    told = Told()
    steps = Steps(told, PARTS, ("score",))
    steps.begin(1)
    with steps.at("ablate", "pets", "pets-kind"):
        steps.tell(n_done=1)
    assert told.words == [(1, *["to come"] * 3)] and statuses(steps) == ["to come"] * 3
