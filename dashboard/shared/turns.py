"""Whose page is made next, where many are asked for at once.

All visitors share one interpreter: pages that are made at the same time take as much longer each. So they are made
one after the other, as they were asked for, but who asks without having looked at his last page is taken for having
asked later, and his page is made while no other is. A page that takes long, or waits for a process of its own, no
longer holds up the next.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from threading import TIMEOUT_MAX, Condition
from typing import NamedTuple

from streamlit.runtime.scriptrunner import get_script_run_ctx

SOON = 0.1
"""Seconds for which a page is made alone; beyond it most wait for a process or a disk."""
LATE = 1.0
"""Seconds for which the page of somebody who does not look waits until one that is being made stands."""
LOOK = 0.2
"""Seconds from a page to the next for which a person looks at it at least."""
BEHIND = 3.0
"""Seconds by which who does not look, or has not been here, is taken for having asked later."""
MOST_KNOWN = 10_000
"""Visitors of whom the last page is known."""


class Place(NamedTuple):
    """Of a visitor among those who wait."""

    asked: float
    number: int
    patience: float

    def left(self, last_began: float) -> float:
        """Seconds from now until the visitor's page may be made beside one that is being made."""
        return last_began + self.patience - time.monotonic()


class Turns:
    """Who makes a page, and who waits."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number = count()
        self._waiting: set[Place] = set()
        self._began: dict[Place, float] = {}
        self._ended: dict[str, float] = {}

    @contextmanager
    def turn(self, visitor: str) -> Iterator[None]:
        """Wait until the visitor's page may be made, which is done inside."""
        place = self._wait(visitor)
        try:
            yield
        finally:
            with self._changed:
                del self._began[place]
                self._ended.pop(visitor, None)  # the last to have had a page stands last
                self._ended[visitor] = time.monotonic()
                if len(self._ended) > MOST_KNOWN:
                    del self._ended[next(iter(self._ended))]
                self._changed.notify_all()

    def _wait(self, visitor: str) -> Place:
        with self._changed:
            now = time.monotonic()
            has_looked = now - self._ended.get(visitor, now) >= LOOK
            place = Place(now + BEHIND * (not has_looked), next(self._number), SOON if has_looked else LATE)
            self._waiting.add(place)
            try:
                while (left := self._left(place)) > 0:
                    self._changed.wait(left)
            finally:
                self._waiting.remove(place)
                self._changed.notify_all()
            self._began[place] = time.monotonic()
            return place

    def _left(self, place: Place) -> float:
        """Seconds after which a visitor may look again whether it is his turn; endless behind one who goes now."""
        last = max(self._began.values(), default=-math.inf)
        before = any(one < place and one.left(last) <= 0 for one in self._waiting)
        return TIMEOUT_MAX if before and place.left(last) <= 0 else place.left(last)


_turns = Turns()


def turn() -> AbstractContextManager[None]:
    """The turn of whoever's page this is."""
    context = get_script_run_ctx()
    return _turns.turn(context.session_id) if context else nullcontext()
