"""Files that are replaced whole, with a checksum beside them, and errors of a full disk that name the file."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

BYTES_AT_ONCE = 1 << 23
OF_THE_KERNEL = "lies on a file system of the kernel, such as /proc"
_KERNELS_KINDS = frozenset(
    ("proc", "sysfs", "debugfs", "tracefs", "securityfs", "cgroup", "cgroup2", "configfs", "pstore", "bpf", "efivarfs",
     "binfmt_misc", "fusectl", "devpts", "mqueue", "selinuxfs", "nsfs")
)  # fmt: skip


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of a disk that is full name what was written: Python's own name no file once it is open."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def free_space(folder: Path) -> tuple[int, Path]:
    """Bytes that are free where a folder lies, or will, and the nearest folder above that is there."""
    place = next(above for above in (folder, *folder.absolute().parents) if above.exists())
    return shutil.disk_usage(place).free, place


@cache
def _kernels_devices() -> frozenset[int]:
    """Devices of what is mounted and holds no files of anyone's: walked for minutes, read without end."""
    found = set()
    with suppress(OSError, ValueError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] in _KERNELS_KINDS:
                found.add(os.makedev(*map(int, before.split()[2].split(":"))))
    return frozenset(found)


def is_of_the_kernel(status: os.stat_result) -> bool:
    """Whether a file or folder lies where no data do: below ``/proc``, ``/sys``, wherever those are mounted."""
    return status.st_dev in _kernels_devices()


def refuse_no_file(path: Path) -> None:
    """Refuse what is waited for, or read, without end: a pipe, a device, a file of the kernel.

    Raises
    ------
    OSError
        Also where there is nothing.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no file, but a pipe, a socket or a device", str(path))
    if is_of_the_kernel(status):
        raise OSError(errno.EINVAL, OF_THE_KERNEL, str(path))


def is_plain_file(path: Path | str) -> bool:
    """Whether there is a file that can be read to its end (`refuse_no_file`)."""
    try:
        refuse_no_file(Path(path))
    except (OSError, ValueError):
        return False
    return True


def size(n: int) -> str:
    """Bytes in words."""
    divided, unit = (n / 1e9, "GB") if n >= 1e8 else (n / 1e6, "MB") if n >= 1e5 else (n / 1e3, "kB")
    return f"{divided:,.1f} {unit}"


def is_zip(file: Path | BinaryIO) -> bool:
    """Whether a file is a zip; one whose end is damaged, or that spans several disks, is none."""
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # Python 3.11 raises it here too
        return False


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the permissions of the one that was there, else those of the user's mask.

    Raises
    ------
    OSError
        If it cannot be written; names it, and leaves what was there and nothing beside it.
    """
    # A name that nobody could guess, and no file that is there already: a link laid in its place leads nowhere.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    with naming(path):
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
                if path.exists():
                    os.chmod(part, stat.S_IMODE(path.stat().st_mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def replace_file(part: Path, path: Path) -> None:
    """Put ``part`` in the place of ``path``, and its checksum beside it.

    The former checksum stays valid too: a stop between the two steps leaves the former file.
    """
    beside = _beside(path)
    former = beside.read_text().split()[-1:] if beside.exists() else []
    new = beside.with_suffix(".crc.part")
    new.write_text("\n".join([*former, _of_file(part)]))
    os.replace(new, beside)
    os.replace(part, path)


def is_file_as_written(path: Path) -> bool:
    """Whether a file has the checksum that `replace_file` gave it; one that has none passes.

    Raises
    ------
    OSError
        If it is not there or cannot be read.
    """
    checksum, beside = _of_file(path), _beside(path)
    return not beside.exists() or checksum in beside.read_text().split()


def _beside(path: Path) -> Path:
    return path.with_suffix(path.suffix + ".crc")


def _of_file(path: Path) -> str:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BYTES_AT_ONCE):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"
