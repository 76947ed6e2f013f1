"""How busy the device is: memory and utilisation, as far as they can be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

GB = 1e9


@dataclass(frozen=True)
class DeviceUsage:
    """One look at a device; None where it is not told.

    Attributes
    ----------
    device : str
        ``cuda:0``, ``mps`` or ``cpu``.
    memory_bytes, memory_total_bytes : int or None
        On CUDA of the whole device, others' processes included; else of this process, beside the machine's.
    utilisation_percent : float or None
        Of the device (CUDA), or the processor time of this process, 100 for each core that is busy all the time.
    """

    device: str
    memory_bytes: int | None = None
    memory_total_bytes: int | None = None
    utilisation_percent: float | None = None

    def __str__(self) -> str:
        parts = [self.device]
        if self.memory_bytes is not None:
            of = f" of {self.memory_total_bytes / GB:.1f}" if self.memory_total_bytes else ""
            parts.append(f"{self.memory_bytes / GB:.1f}{of} GB")
        if self.utilisation_percent is not None:
            cores = f" of {psutil.cpu_count() or 1} cores" if self.device == "cpu" else " busy"
            parts.append(f"{self.utilisation_percent:.0f} %{cores}")
        return ", ".join(parts)


class DeviceMonitor:
    """Looks at a device, at most once a second.

    Parameters
    ----------
    device : str
    clock : callable
        Seconds, steadily rising.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.device, self._clock = device, clock
        self._seen = -1.0, DeviceUsage(device)
        self._process = psutil.Process()
        self._process.cpu_percent()  # each call tells of the time since the one before

    def read(self) -> DeviceUsage:
        """The device as it is now, or was less than a second ago."""
        now = self._clock()
        when, usage = self._seen
        if when < 0 or now - when >= 1:
            usage = _cuda(self.device) if self.device.startswith("cuda") else self._of_process()
            self._seen = now, usage
        return usage

    def _of_process(self) -> DeviceUsage:
        resident, installed = self._process.memory_info().rss, psutil.virtual_memory().total
        return DeviceUsage(self.device, resident, installed, self._process.cpu_percent())


def _cuda(device: str) -> DeviceUsage:
    import torch  # loaded long before by whoever runs a model; options and --help do without

    try:
        free, total = torch.cuda.mem_get_info(device)
    except (RuntimeError, ValueError):
        return DeviceUsage(device)
    try:
        busy: float | None = torch.cuda.utilization(device)
    except Exception:  # needs nvidia-ml-py and a driver that answers; each fails in its own way
        busy = None
    return DeviceUsage(device, total - free, total, busy)
