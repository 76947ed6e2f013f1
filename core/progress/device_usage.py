"""How busy the device is: memory and utilisation, as far as they can be told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

GB = 1e9
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Usage:
    """One look at a device; None where it is not told.

    Attributes
    ----------
    device : str
        ``cuda:0``, ``mps`` or ``cpu``.
    memory_bytes, memory_total_bytes : int or None
        On CUDA of the whole device, others' processes included; else of this process (at its largest, where
        the present size is not told), beside the machine's.
    utilisation_percent : float or None
        Of the device (CUDA), or the processor time of this process, 100 for each core that is busy all the time.
    """

    device: str
    memory_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilisation_percent: float | None = None

    def __str__(self) -> str:
        told = [self.device]
        if self.memory_bytes is not None:
            of = f" of {self.memory_total_bytes / GB:.1f}" if self.memory_total_bytes else ""
            told.append(f"{self.memory_bytes / GB:.1f}{of} GB")
        if self.utilisation_percent is not None:
            cores = f" of {os.cpu_count() or 1} cores" if self.device == "cpu" else " busy"
            told.append(f"{self.utilisation_percent:.0f} %{cores}")
        return ", ".join(told)


class Meter:
    """Looks at a device, at most once a second.

    Parameters
    ----------
    device : str
    clock : callable
        Seconds, steadily rising.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.device, self._clock = device, clock
        self._seen = -1.0, Usage(device)
        self._processor = clock(), time.process_time()

    def read(self) -> Usage:
        """The device as it is now, or was less than a second ago."""
        now = self._clock()
        when, usage = self._seen
        if when < 0 or now - when >= 1:
            usage = _cuda(self.device) if self.device.startswith("cuda") else self._process(now)
            self._seen = now, usage
        return usage

    def _process(self, now: float) -> Usage:
        (since, spent), processor = self._processor, time.process_time()
        self._processor = now, processor
        percent = round(100 * (processor - spent) / (now - since), 1) if now > since else None
        return Usage(self.device, _resident(), _machine(), percent)


def _cuda(device: str) -> Usage:
    import torch  # loaded long before by whoever runs a model; options and --help do without

    try:
        free, total = torch.cuda.mem_get_info(device)
    except (RuntimeError, ValueError):
        return Usage(device)
    try:
        busy: float | None = torch.cuda.utilization(device)
    except Exception:  # needs nvidia-ml-py and a driver that answers; each fails in its own way
        busy = None
    return Usage(device, total - free, total, busy)


def _resident() -> int | None:
    """Memory of this process in bytes."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    if resource is None:
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if os.uname().sysname == "Darwin" else largest * 1024


def _machine() -> int | None:
    """Memory of the machine in bytes."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
