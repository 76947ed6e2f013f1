"""Whose page is made next: one after the other, those first who look at what they have."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from dashboard.shared import turns
from dashboard.shared.turns import Turns

PATIENCE = 30  # seconds; a busy machine is not a failure


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Turns:
    monkeypatch.setattr(turns, "SOON", PATIENCE)
    monkeypatch.setattr(turns, "LATE", PATIENCE)
    return Turns()


def has_been_here(queue: Turns, visitor: str, seconds: float) -> None:
    """The visitor has had a page, so long ago."""
    with queue.turn(visitor):
        pass
    queue._ended[visitor] -= seconds


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@contextmanager
def page_of(queue: Turns, visitor: str, pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
    """A page that is being made until the block ends."""
    begun, over = threading.Event(), threading.Event()

    def make() -> None:
        with queue.turn(visitor):
            begun.set()
            over.wait(PATIENCE)

    made = pool.submit(make)
    assert begun.wait(PATIENCE)
    yield made
    over.set()
    made.result(PATIENCE)


def ask(queue: Turns, visitor: str, pool: ThreadPoolExecutor, make: Callable[[], object]) -> Future[None]:
    """Let a visitor wait for a page."""
    n_waiting = len(queue._waiting)

    def work() -> None:
        with queue.turn(visitor):
            make()

    made = pool.submit(work)
    end = time.monotonic() + PATIENCE
    while len(queue._waiting) == n_waiting and time.monotonic() < end:
        time.sleep(0.001)
    return made


def test_pages_are_made_one_after_the_other_as_they_were_asked_for(queue: Turns, pool: ThreadPoolExecutor) -> None:
    order: list[str] = []
    busy = threading.Lock()

    def make(name: str) -> None:
        assert busy.acquire(blocking=False), "two at a time"
        order.append(name)
        busy.release()

    names = list("abcde")
    with page_of(queue, "first", pool):
        asked = [ask(queue, name, pool, lambda name=name: make(name)) for name in names]  # type: ignore[misc]
    for made in asked:
        made.result(PATIENCE)
    assert order == names


def test_who_looks_at_his_pages_goes_before_who_does_not_and_who_is_new(queue: Turns, pool: ThreadPoolExecutor) -> None:
    order: list[str] = []
    has_been_here(queue, "looks", turns.LOOK)
    has_been_here(queue, "hurries", -PATIENCE)
    with page_of(queue, "first", pool):
        asked = [
            ask(queue, name, pool, lambda name=name: order.append(name))  # type: ignore[misc]
            for name in ("hurries", "new", "looks")
        ]
    for made in asked:
        made.result(PATIENCE)
    assert order == ["looks", "hurries", "new"]


def test_who_hurries_is_not_put_off_for_ever(
    queue: Turns, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    has_been_here(queue, "looks", turns.LOOK)
    with page_of(queue, "first", pool):
        monkeypatch.setattr(turns, "BEHIND", 0.01)
        hurried = ask(queue, "new", pool, lambda: order.append("new"))
        time.sleep(0.02)
        looked = ask(queue, "looks", pool, lambda: order.append("looks"))
    hurried.result(PATIENCE), looked.result(PATIENCE)
    assert order == ["new", "looks"]


def test_a_page_that_takes_long_holds_up_nobody(
    queue: Turns, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SOON", 0.05)
    monkeypatch.setattr(turns, "LATE", 0.1)
    has_been_here(queue, "looks", turns.LOOK)
    with page_of(queue, "slow", pool) as slow, queue.turn("other"), queue.turn("looks"):
        assert not slow.done()


def test_who_does_not_look_waits_for_pages_that_are_made_and_who_looks_goes_past_him(
    queue: Turns, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SOON", 0.05)
    monkeypatch.setattr(turns, "BEHIND", 0)
    has_been_here(queue, "looks", turns.LOOK)
    with page_of(queue, "first", pool):
        hurried = ask(queue, "new", pool, lambda: None)
        ask(queue, "looks", pool, lambda: None).result(PATIENCE)
        assert not hurried.done()
    hurried.result(PATIENCE)


def test_a_page_that_fails_gives_its_turn_back(queue: Turns) -> None:
    with pytest.raises(ZeroDivisionError), queue.turn("a"):
        1 / 0  # noqa: B018
    with queue.turn("b"):
        pass


def test_of_very_many_visitors_the_last_are_known(queue: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_KNOWN", 2)
    for visitor in "abac":
        with queue.turn(visitor):
            pass
    assert list(queue._ended) == ["a", "c"]
