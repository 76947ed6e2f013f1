"""Whose page is made next, where many are asked for at once.

All visitors share one interpreter: pages that are made at the same time take as much longer each. So they are made
one after the other, as they were asked for, but who asks without having looked at his last page is taken for having
asked later. A page that takes long, or waits for a process of its own, no longer holds up the next.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from threading import Condition

from streamlit.runtime.scriptrunner import get_script_run_ctx

SOON = 0.1
"""Seconds for which a page is made alone; beyond it most wait for a process or a disk."""
LOOK = 0.2
"""Seconds from a page to the next for which a person looks at it at least."""
BEHIND = 3.0
"""Seconds by which who does not look, or has not been here, is taken for having asked later."""
MOST_KNOWN = 10_000
"""Visitors of whom the last page is known."""


class Turns:
    """Who makes a page, and who waits."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number = count()
        self._waiting: list[tuple[float, int]] = []
        self._began: dict[int, float] = {}
        self._ended: dict[str, float] = {}

    @contextmanager
    def turn(self, visitor: str) -> Iterator[None]:
        """Wait until the visitor's page may be made, which is done inside."""
        number = self._wait(visitor)
        try:
            yield
        finally:
            with self._changed:
                del self._began[number]
                self._ended.pop(visitor, None)  # the last to have had a page stands last
                self._ended[visitor] = time.monotonic()
                if len(self._ended) > MOST_KNOWN:
                    del self._ended[next(iter(self._ended))]
                self._changed.notify_all()

    def _wait(self, visitor: str) -> int:
        with self._changed:
            now = time.monotonic()
            has_looked = now - self._ended.get(visitor, now) >= LOOK
            place = (now if has_looked else now + BEHIND, next(self._number))
            heapq.heappush(self._waiting, place)
            try:
                while place != self._waiting[0] or (left := self._alone_for()) > 0:
                    self._changed.wait(left if place == self._waiting[0] else None)
            finally:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
                self._changed.notify_all()
            self._began[place[1]] = time.monotonic()
            return place[1]

    def _alone_for(self) -> float:
        """Seconds for which a page is still made alone."""
        return max(self._began.values(), default=-SOON) + SOON - time.monotonic()


_turns = Turns()


def turn() -> AbstractContextManager[None]:
    """The turn of whoever's page this is."""
    context = get_script_run_ctx()
    return _turns.turn(context.session_id) if context else nullcontext()
