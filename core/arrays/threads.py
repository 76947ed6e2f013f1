"""One thread for the products of small matrices: waiting for each other takes the threads longer than the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    """Finding the libraries takes milliseconds; it is done once."""
    return ThreadpoolController()


@contextmanager
def one_thread(small: bool = True) -> Iterator[None]:
    """BLAS with one thread inside the block if the work is ``small``; PyTorch keeps its own."""
    with _controller().limit(limits=1, user_api="blas") if small else nullcontext():
        yield
