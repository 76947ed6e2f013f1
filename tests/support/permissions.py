"""Permissions that hold for the superuser as well, as whom tests may run."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_VERSION = 0x20080522
_Sets = ctypes.c_uint32 * 6
"""Effective, permitted and inheritable capabilities, the lower 32 of each and then the upper."""


@contextmanager
def obeyed() -> Iterator[None]:
    """Let this thread, and those that it starts, have no rights beyond what files grant."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("the superuser may read everything")
    system, header, before = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(_VERSION, 0), _Sets()
    assert system.capget(header, before) == 0
    none = _Sets(0, before[1], before[2], 0, before[4], before[5])
    assert system.capset(header, none) == 0
    try:
        yield
    finally:
        assert system.capset(header, before) == 0
