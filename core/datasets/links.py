"""Links in what a user named: followed wherever they lead, and told; or, for archives of strangers, not at all.

On clusters and in the caches of hubs every file is a link. A link to a folder that is walked anyway is never followed:
what lies there is taken where it lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.datasets.base import Clip, Dataset
from core.errors import InputError
from core.results import Problem

OUT = "leads out of the dataset's folder through a link, and --no-follow-links is given"


@dataclass
class Links:
    """What is done with links, and which were met.

    Attributes
    ----------
    are_followed : bool
    out : dict of str to None
        Links that were followed out of the folder that is walked.
    passed_over : dict of str to None
        Links to folders that were not followed.
    """

    are_followed: bool = True
    out: dict[str, None] = field(default_factory=dict)
    passed_over: dict[str, None] = field(default_factory=dict)

    def meet(self, path: str, root: str) -> None:
        """Take note of a link to a file; by its text alone, as there may be very many."""
        target = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
        if not _is_below(target, root):
            self.out[path] = None

    def follow(self, path: str, root: str, entered: set[str]) -> bool:
        """Whether to go on below a link to a folder; ``entered`` are those that were followed on this walk."""
        target, real_root = os.path.realpath(path), os.path.realpath(root)
        is_walked_anyway = _is_below(target, real_root) or _is_below(real_root, target) or target in entered
        if is_walked_anyway or not self.are_followed:
            self.passed_over[path] = None
            return False
        entered.add(target)
        self.out[path] = None
        return True

    def told(self, root: Path) -> tuple[str, ...]:
        """What was done with them, a line each."""
        lines = []
        if self.out:
            first = next(iter(self.out))
            lines.append(
                f"{_some(self.out, root)} out of the folder (the first to {os.path.realpath(first)}): followed; "
                "--no-follow-links leaves out what lies there"
            )
        if self.passed_over:
            why = "to folders that are read where they lie" if self.are_followed else "with --no-follow-links"
            lines.append(f"{_some(self.passed_over, root)}: not followed, {why}")
        return tuple(lines)


def _some(links: dict[str, None], root: Path) -> str:
    names = [os.path.relpath(path, root) for path in list(links)[:3]]
    more = ", ..." if len(links) > 3 else ""
    return f"{len(links):,} {'link leads' if len(links) == 1 else 'links lead'} ({', '.join(names)}{more})"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


_links: ContextVar[Links] = ContextVar("links")


def current() -> Links:
    """What holds for links here."""
    return _links.get(Links())


@contextmanager
def treated(are_followed: bool) -> Iterator[Links]:
    """Within it links are followed or not; it tells which were met."""
    links = Links(are_followed)
    token = _links.set(links)
    try:
        yield links
    finally:
        _links.reset(token)


def may_enter(folder: Path) -> bool:
    """Whether a folder may be looked into as far as links go."""
    return current().are_followed or not folder.is_symlink()


def without_those_out(dataset: Dataset) -> Dataset:
    """The dataset without clips that lead out of its folder.

    Raises
    ------
    InputError
        If none is left.
    """
    inside: list[Clip] = []
    problems: list[Problem] = []
    root = os.path.realpath(dataset.root)
    for clip in dataset.clips:
        if _is_below(os.path.realpath(f"{root}/{clip.path}"), root):
            inside.append(clip)
        else:
            problems.append(Problem(clip.path, OUT))
    if not problems:
        return dataset
    if not inside:
        raise InputError(f"{dataset.root}: each of its {len(problems):,} clips {OUT}")
    return replace(dataset.only(inside).drawn_again(), problems=(*dataset.problems, *problems))
