"""Find and read a file of weights that nobody vouches for: nothing in it is run, nothing is unpacked beside it."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from core.errors import InputError
from core.files import is_plain_file, is_zip

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
MOST_BYTES = 8 << 30
"""Of a file in an archive; a full training file of the base model has 1.6 GB."""


@dataclass(frozen=True)
class Source:
    """A weights file; ``names`` may tell its configuration, the first that does counts; ``shown`` is for messages."""

    file: Path
    names: tuple[str, ...]
    shown: str


@contextmanager
def opened(weights: Path) -> Iterator[Source]:
    """Find the one weights file behind a path: a file, a folder or a release archive.

    Raises
    ------
    InputError
        If there is none or more than one, or the archive is broken or made to fill the disk.
    OSError
        If it may not be read, or there is no room to unpack it.
    """
    path = Path(os.path.abspath(weights))  # so that a bare file name has a folder with a name
    if os.path.isdir(path):  # Path.is_dir fails where a name is too long
        path = _only_file(path)
    elif not is_plain_file(path):
        raise InputError(
            f"no weights at {weights}; expected a {', '.join(SUFFIXES)} file, its folder or a release .zip"
        )
    if not _is_release(path):
        yield Source(path, (path.parent.name, path.stem), str(path))
        return
    with TemporaryDirectory(prefix="weights-") as folder:
        yield _unpacked(path, Path(folder))


def _only_file(folder: Path) -> Path:
    """The one checkpoint in a folder, or in the folders in it."""
    for pattern in ("*", "*/*"):
        files = sorted(p for p in folder.glob(pattern) if p.is_file())
        for suffixes in (SUFFIXES, (".bin",), (".zip",)):
            checkpoints = [p for p in files if p.suffix.lower() in suffixes]
            if len(checkpoints) == 1:
                return checkpoints[0]
            if checkpoints:
                shown = ", ".join(str(p.relative_to(folder)) for p in checkpoints[:5])
                raise InputError(
                    f"{folder} holds {len(checkpoints)} checkpoints ({shown}); give one of them with --weights"
                )
    raise InputError(f"{folder} holds no checkpoint; expected a {', '.join(SUFFIXES)} file in it")


def _is_release(path: Path) -> bool:
    """Whether a file is an archive of files; PyTorch's own format is a zip too, with a ``data.pkl``."""
    if path.suffix.lower() == ".safetensors" or not is_zip(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not any(PurePosixPath(name).name == "data.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def _unpacked(path: Path, folder: Path) -> Source:
    """The one checkpoint of a release archive, copied under a name of ours into ``folder``."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                m
                for m in archive.infolist()
                if PurePosixPath(m.filename).suffix.lower() in SUFFIXES and "__MACOSX" not in m.filename
            ]
            if len(members) != 1:
                raise InputError(
                    f"{path} holds {len(members)} checkpoints, expected 1; unzip it and give the one you mean"
                )
            (member,) = members
            inside = PurePosixPath(member.filename)
            # Weights hardly compress: what grows a hundredfold is made to fill a disk.
            if member.file_size > min(MOST_BYTES, 100 * member.compress_size + (1 << 20)):
                raise InputError(
                    f"{path}: {printable(inside.name)} would unpack to {member.file_size:,} bytes; refused"
                )
            target = folder / f"weights{inside.suffix.lower()}"
            with archive.open(member) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, 1 << 20)  # zipfile reads no more than the size it announced
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is not a readable .zip ({_first_line(error)}); fetch it again") from error
    names = (printable(inside.parent.name), printable(inside.stem), path.stem)
    return Source(target, names, f"{path}/{printable(member.filename)}")


def tensors_of(source: Source, kind: str) -> dict[str, Tensor]:
    """All named tensors of a file; mapped to it where possible.

    Parameters
    ----------
    source : Source
    kind : str
        What is expected, for messages: ``an M2D checkpoint``.

    Raises
    ------
    InputError
        If the file is broken, is something else, or asks for code.
    """
    return tensors_in(dictionary_of(source, kind), source)


def tensors_in(held: Mapping[Any, Any], source: Source) -> dict[str, Tensor]:
    """Of what a file holds the named tensors, those of the ``model`` or ``state_dict`` in it if there is one."""
    inner = next((held[key] for key in ("model", "state_dict") if isinstance(held.get(key), dict)), held)
    tensors = {name: t for name, t in inner.items() if isinstance(name, str) and isinstance(t, Tensor)}
    check_claims(tensors.values(), source.file, source.shown)
    return tensors


def dictionary_of(source: Source, kind: str) -> dict[Any, Any]:
    """What a checkpoint holds by name, ``kind`` being what was expected; raises as `tensors_of`."""
    expected = f"expected {kind} ({', '.join(SUFFIXES)}); a download that broke off looks like this too"
    try:
        loaded = content(source.file)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise InputError(
                f"{source.shown} is refused: it asks for {printable(wanted[1])}, and loading that could run code; "
                "a checkpoint needs tensors and settings only"
            ) from error
        raise InputError(f"{source.shown} is not a PyTorch checkpoint; {expected}") from error
    except OSError:
        raise
    except Exception as error:  # a broken file can fail anywhere in the readers
        raise InputError(f"{source.shown} cannot be read ({_first_line(error)}); {expected}") from error
    if not isinstance(loaded, dict):
        raise InputError(f"{source.shown} holds a {type(loaded).__name__}, not named tensors; {expected}")
    return loaded


def check_claims(tensors: Iterable[Tensor], file: Path, shown: str) -> None:
    """Refuse tensors that are far larger than their file: one number can be said to fill any shape.

    Raises
    ------
    InputError
    """
    claimed, there = sum(t.numel() * t.element_size() for t in tensors), file.stat().st_size
    if claimed > max(4 * there, 1 << 30):
        raise InputError(f"{shown} is refused: its tensors of {claimed:,} bytes are too large for a file of {there:,}")


NUMPY_NUMBERS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")


class _Unread:
    """Stands for NumPy's numbers in a training file's records (fairseq's best score): nothing of them is needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def content(file: Path) -> Any:
    """What a file of weights holds; nothing in it is run.

    Parameters
    ----------
    file : path
        ``.safetensors`` by its name, else as PyTorch saves it.

    Raises
    ------
    Exception
        Of any kind, where the file is broken or asks for code.
    """
    if file.suffix.lower() == ".safetensors":
        return load_file(file)
    zipped = is_zip(file)
    if zipped:
        with zipfile.ZipFile(file) as archive:
            # PyTorch stores without compression, and what is mapped must lie there as it is.
            if sum(m.file_size for m in archive.infolist()) > file.stat().st_size:
                raise InputError("its parts are compressed, which PyTorch never does")
    # Training files hold their arguments as a Namespace, which only holds values.
    known: list[Any] = [argparse.Namespace, *((_Unread, name) for name in NUMPY_NUMBERS)]
    with torch.serialization.safe_globals(known), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch wonders at in a broken file; the error follows
        # Mapped, so that the optimizer's state in a training file (two thirds of it) is never read.
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)


def printable(text: str) -> str:
    """Text from a file, fit for one line of a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _first_line(error: Exception) -> str:
    return (printable(str(error).strip().splitlines()[0]) if str(error).strip() else type(error).__name__)[:160]
