"""What threads of this process share: contexts, and how many threads BLAS starts for one product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController


class Shared:
    """A context of the whole process: the first thread that comes enters it, the last that goes leaves it.

    Each for itself would restore what it found, which may be another's.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make, self._lock = make, Lock()
        self._n_inside, self._entered = 0, ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Be inside."""
        with self._lock:
            if not self._n_inside:
                self._entered.enter_context(self._make())
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    self._entered.close()


@cache
def _controller() -> ThreadpoolController:
    """Finding the libraries takes milliseconds; it is done once."""
    return ThreadpoolController()


def blas_threads(n: int) -> AbstractContextManager[object]:
    """BLAS with so many threads for each product; PyTorch keeps its own."""
    return _controller().limit(limits=n, user_api="blas")


_one_thread = Shared(lambda: blas_threads(1))


def one_thread(small: bool = True) -> AbstractContextManager[None]:
    """BLAS with one thread inside the block if the work is ``small``: waiting takes longer than such work."""
    return _one_thread() if small else nullcontext()
