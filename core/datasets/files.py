"""What loaders of datasets share: walking folders, reading tables, the cache."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from core.datasets.base import SPLITS
from core.datasets.links import current
from core.errors import InputError
from core.files import OF_THE_KERNEL, is_of_the_kernel, refuse_no_file
from core.results import Problem

Row = Mapping[str, str]
LFS_POINTER = b"version https://git-lfs"
EXTENSIONS = frozenset(
    (".wav", ".wave", ".bwf", ".w64", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc",
     ".au", ".snd", ".caf", ".sph", ".nist", ".voc")
)  # fmt: skip
"""Of what libsndfile reads; it looks into a file and not at its name, so a manifest may list others."""
NOT_READ = frozenset({".m4a", ".mp4", ".aac", ".wma", ".amr", ".webm", ".ape"})
"""Sound that is told of where it lies among files that are read."""
SOUND = EXTENSIONS | NOT_READ
OF_OTHER_KIND = "is of a kind that is not read; convert it to WAV or FLAC"
_NOT_READ = tuple(NOT_READ)


def cache_folder() -> Path:
    """The user's cache of this project: ``ATLAS_CACHE``, or in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if "ATLAS_CACHE" in os.environ:
        return Path(os.environ["ATLAS_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "audio-neuron-atlas"


def is_not_read(path: str) -> bool:
    """Whether a file is sound of a kind that is not read."""
    return path.lower().endswith(_NOT_READ)


def walk(root: Path, suffixes: Collection[str] = SOUND) -> Iterator[str]:
    """Paths below ``root`` with one of the (lower-case) suffixes, relative and posix, sorted folder by folder.

    macOS's forks (``._x.wav``) and hidden folders are skipped, as is what cannot be read (`unreadable_folders` tells);
    of links `core.datasets.links` decides. A folder that is named like a file is told as one, so that it is named when
    it is read.
    """
    links, entered = current(), set[str]()
    endings, start = tuple(suffixes), str(root)
    # A stack of our own: folders may lie deeper in each other than functions may call each other.
    levels = [("", _entries(start))]
    while levels:
        prefix, entries = levels[-1]
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            if name.lower().endswith(endings):
                if entry.is_symlink():
                    links.meet(entry.path, start)
                yield prefix + name
            elif _is_folder(entry) and (not entry.is_symlink() or links.follow(entry.path, start, entered)):
                levels.append((f"{prefix}{name}/", _entries(entry.path)))
                break
        else:
            levels.pop()


def published_name(path: str, ending: str = ".wav") -> str:
    """What a file of sound is called in its publisher's lists, in whatever format it is kept."""
    stem, suffix = os.path.splitext(path)
    return stem + ending if suffix.lower() in SOUND else path


def by_published_name(paths: Iterable[str], ending: str = ".wav") -> dict[str, str]:
    """Name in the publisher's lists to the file; of two in different formats the publisher's, or one that is read."""
    last = sorted(paths, key=lambda path: (path.endswith(ending), not is_not_read(path)))
    return {published_name(path, ending): path for path in last}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link that leads round in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What a folder holds; nothing where it cannot be read, or is the kernel's."""
    try:
        if is_of_the_kernel(os.stat(folder)):
            raise OSError(errno.EINVAL, OF_THE_KERNEL)
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=_name_of))
    except OSError as error:
        if (unreadable := _UNREADABLE.get(None)) is not None:
            unreadable[folder] = error.strerror or str(error)
        return iter(())


_UNREADABLE: ContextVar[dict[str, str]] = ContextVar("_UNREADABLE")


@contextmanager
def unreadable_folders() -> Iterator[dict[str, str]]:
    """The folders that `walk` cannot read meanwhile, and why."""
    found: dict[str, str] = {}
    token = _UNREADABLE.set(found)
    try:
        yield found
    finally:
        _UNREADABLE.reset(token)


_name_of = attrgetter("name")


def some_names(folder: Path, limit: int = 200) -> list[str]:
    """Names of a few entries of a folder, hidden ones left out; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [name for name in (entry.name for entry in islice(entries, limit)) if not name.startswith(".")]
    except OSError:
        return []


def read_rows(
    path: Path,
    columns: Collection[str] = (),
    delimiter: str = ",",
    header: Sequence[str] | None = None,
    is_quoted: bool = True,
) -> list[dict[str, str]]:
    """A table's rows by column name: UTF-8, byte-order mark and CRLF tolerated, cells stripped.

    ``header`` names the columns of a file that has no such line. Where a table is not quoted, quotes are characters as
    any.

    Raises
    ------
    InputError
        If the file cannot be read or lacks one of ``columns``.
    """
    try:
        refuse_nul(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE
            reader = csv.DictReader(
                file, fieldnames=header, delimiter=delimiter, skipinitialspace=True, quoting=quoting
            )
            names = [(name or "").strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            rows = [{k: (v or "").strip() for k, v in row.items() if isinstance(v, str | None) and k} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({str(error).strip()}); get it again") from error
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(
            f"{path} has no column '{missing[0]}' (found: {', '.join(filter(None, names)) or 'none':.300})"
        )
    return rows


def read_lines(path: Path) -> list[str]:
    """A list's lines, stripped, without empty ones.

    Raises
    ------
    InputError
        If the file cannot be read as text.
    """
    try:
        refuse_nul(path)
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a list ({str(error).strip()}); get it again") from error
    return [line.strip() for line in lines if line.strip()]


def read_json(path: Path, what: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """What a JSON file holds.

    Parameters
    ----------
    path : path
    what : str
        What the file is that cannot be read or holds something else (``no list of notes``), for the message.
    object_hook : callable, optional
        As of `json.loads`.

    Raises
    ------
    InputError
        If the file cannot be read, or ``object_hook`` does not find what it looks for.
    """
    try:
        refuse_no_file(path)
        content = path.read_bytes()
        if _NO_CHARACTER.search(content):
            raise ValueError("it holds half a character or a NUL")
        return json.loads(content, object_hook=object_hook)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise not_the_list(path, what, error) from error


def not_the_list(path: Path, what: str, error: object = "") -> InputError:
    """What to tell of a list that is another than it should be."""
    why = f" ({error!r:.200})" if error else ""
    return InputError(f"{path} is {what}{why}; unpack the archive again")


_NO_CHARACTER = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
"""In JSON; what stands outside of the first 65,536 characters is written as itself in the lists that are read."""


def refuse_nul(path: Path) -> None:
    """No text holds NUL bytes; UTF-16 does, and they end a name for the system and a text for a database.

    Raises
    ------
    OSError, ValueError
    """
    refuse_no_file(path)
    with path.open("rb") as file:
        if any(b"\0" in piece for piece in iter(lambda: file.read(1 << 20), b"")):
            raise ValueError("it holds NUL bytes; save it as UTF-8")


def is_lfs_pointer(path: Path) -> bool:
    """Whether the file is a Git LFS pointer in place of its content."""
    try:
        refuse_no_file(path)
        with path.open("rb") as file:
            return file.read(len(LFS_POINTER)) == LFS_POINTER
    except OSError:
        return False


def evar_file(evar_dir: Path | None, *parts: str) -> Path | None:
    """A file of the user's EVAR folder (``metadata/esc50.csv``), None where there is none."""
    if evar_dir is None:
        return None
    for base in (evar_dir / "evar", evar_dir):
        path = base.joinpath(*parts)
        if path.is_file():
            return path
    return None


def evar_splits(path: Path, column: str = "split") -> Mapping[str, str]:
    """EVAR's table: file name to split (or what another column says).

    Raises
    ------
    InputError
        If it cannot be read or has a split of another name than train, valid and test.
    """
    by_file = {row["file_name"]: row[column] for row in read_rows(path, ("file_name", column))}
    if column == "split":
        check_splits(path, by_file.values())
    return by_file


def check_splits(path: Path, splits: Iterable[str]) -> None:
    """Refuse a table that names another part than train, valid, test or none."""
    strange = set(splits) - {*SPLITS, ""}
    if strange:
        raise InputError(f"{path} has the split '{min(strange):.80}'; expected train, valid or test")


def mismatches(listed: Iterable[str], on_disk: Iterable[str], table: str) -> list[Problem]:
    """What only one of a table and the disk has.

    Files of a folder without a single one on disk are one problem.
    """
    here, listed = set(on_disk), dict.fromkeys(listed)
    if here == listed.keys():
        return []
    folders = {os.path.dirname(path) for path in here}
    absent: Counter[str] = Counter()
    problems = []
    for path in listed:
        if path in here:
            continue
        if os.path.dirname(path) in folders:
            problems.append(Problem(path, f"is listed in {table}, but not on disk"))
        else:
            absent[os.path.dirname(path)] += 1
    for folder, n in absent.items():
        problems.append(Problem(folder, f"holds none of the {n:,} files listed in {table}"))
    problems += [Problem(path, f"is not listed in {table}") for path in sorted(here - listed.keys())]
    return problems


def match_rows(
    rows: Iterable[Row], path_of: Callable[[Row], str], on_disk: Iterable[str], table: str
) -> tuple[list[tuple[str, Row]], list[Problem]]:
    """A table's rows whose file is on disk, with its path; what only one of table and disk has is a problem.

    A file may be kept in another format than the table's, which is WAV.
    """
    here = by_published_name(on_disk)
    by_path = [(path_of(row), row) for row in rows]
    problems = mismatches((path for path, _ in by_path), here, table)
    problems = [replace(problem, path=here.get(problem.path, problem.path)) for problem in problems]
    return [(here[path], row) for path, row in by_path if path in here], problems
