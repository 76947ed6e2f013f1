"""Several models at once on the cores of one machine, each in a thread; PyTorch's and BLAS's are divided among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from core.arrays.threads import blas_threads
from core.distributed.ranks import Ranks
from core.encoders.base import Encoder

T = TypeVar("T")
R = TypeVar("R")


def models_at_once(encoders: Sequence[Encoder], ranks: Ranks) -> int:
    """As many as PyTorch has threads, where one process runs them on the CPU; else one: they share the device."""
    if ranks.world > 1 or any(encoder.device.type != "cpu" for encoder in encoders):
        return 1
    return min(len(encoders), torch.get_num_threads())


def side_by_side(work: Callable[[T], R], items: Sequence[T], at_once: int, stop: Callable[[], None]) -> list[R]:
    """What ``work`` makes of each item, ``at_once`` of them at a time.

    Parameters
    ----------
    work : callable
    items : sequence
    at_once : int
        1 = one after the other, in this thread.
    stop : callable
        Makes all work end soon with `KeyboardInterrupt`; called if one item fails, or on Ctrl-C.

    Raises
    ------
    BaseException
        What the first item that failed raised, when the others have ended.
    """
    if at_once == 1:
        return [work(item) for item in items]
    n_threads = torch.get_num_threads() // at_once
    with (
        blas_threads(n_threads),
        ThreadPoolExecutor(at_once, initializer=torch.set_num_threads, initargs=(n_threads,)) as pool,
    ):
        running = [pool.submit(work, item) for item in items]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            for finished in done:
                finished.result()
            return [future.result() for future in running]
        except BaseException:
            stop()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
