"""How a run ends: what failed, what is told, the exit code."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from typing import Protocol

from core.errors import InputError
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.untrusted_text import as_command, one_line

_STAY = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP,
    errno.EEXIST, errno.EINVAL,
}  # fmt: skip
"""Errors that the same command would meet again."""
_LONGEST = 3_000
"""Characters of an error: a name of another's choice may have millions."""


def in_words(error: Exception) -> str:
    """An error that ends the run, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        next_step = "put that right, then " if error.errno in _STAY else ""
        return one_line(
            f"{error.strerror}{where}; what is finished is kept, {next_step}the same command goes on from here"
        )
    text = str(error)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return one_line(text)


class Tally(Protocol):
    """What `keep_going` and `tell_end` need of a study."""

    progress: Progress
    notes: list[str]
    failures: list[str]

    def note(self, text: str) -> None:
        """Tell something at the end, once."""
        ...

    def fail(self, text: str) -> None:
        """Tell of a failure, and at the end once more."""
        ...

    def finish(self, status: str) -> None:
        """Tell the store how it ended."""
        ...

    @property
    def did_anything(self) -> bool:
        """Whether any stage had something to do."""
        ...


@contextmanager
def ending(study: Tally) -> Iterator[None]:
    """The study of one model: however it ends, the store is told."""
    try:
        yield
    except BaseException as error:
        with suppress(Exception):  # a full disk takes no last word either
            study.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    study.finish("failed" if study.failures else "done")


@contextmanager
def keep_going(study: Tally, name: str, **place: str) -> Iterator[None]:
    """Note a failure of one dataset or task, at a ``place`` of the run, and go on with the next.

    A task with nothing to tell apart is no failure. Errors of the disk or the user's input, and Ctrl-C, are passed on:
    the next task would meet them too.
    """
    from core.scoring.counts import NothingToTell  # with all that scores, which an option's error does without

    with study.progress.at(**place):
        try:
            yield
        except (InputError, OSError):
            raise
        except NothingToTell as error:
            study.note(f"{name}: not scored, {error}")
        except Exception as error:
            text = str(error).strip().splitlines()
            study.fail(f"{name}: {type(error).__name__}: {text[0] if text else ''}")


def together(notes: Sequence[str]) -> list[str]:
    """Say each thing once, with the names of all that it holds for.

    Examples
    --------
    >>> together(["pets: no head", "birds: 3 files left out", "cats: no head", "pets: no head"])
    ['pets, cats: no head', 'birds: 3 files left out']
    """
    names: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        name, separator, message = note.partition(": ")
        names.setdefault(message if separator else note, []).extend([name] if separator else [])
    return [f"{', '.join(of)}: {message}" if of else message for message, of in names.items()]


def tell_end(
    progress: Progress, config: AnalysisConfig, studies: Sequence[Tally], seconds: float, left_out: Sequence[str] = ()
) -> int:
    """Say what was left out, what failed and how to look at the rest; returns the exit code.

    ``left_out`` are datasets that could not be used.
    """
    notes = together([note for study in studies for note in study.notes])
    failures = [*left_out, *(failure for study in studies for failure in study.failures)]
    progress.print()
    for note in notes:
        progress.print(note, "yellow")
    if failures:
        progress.errors.print(f"{len(failures)} failed: {'; '.join(failures)}", style="red")
    if not any(study.did_anything for study in studies) and not failures:
        progress.print(f"everything asked for is already in {config.shown_db}; nothing was changed")
    else:
        progress.print(f"done in {seconds / 60:.1f} min; results are in {config.shown_db}")
    progress.print(f"look at them with: {page_command(config)}")
    return 1 if failures else 0


def tell_page(
    config: AnalysisConfig, progress: Progress, wanted: Set[tuple[str, str]], scored: Set[tuple[str, str]]
) -> None:
    """Say how to open the page that shows what comes, and how many of the (model, task) pairs it shows already."""
    there = f"{len(wanted & scored)} of {len(wanted)} tasks are there already"
    progress.print(f"results show as they come: {page_command(config)} ({there})", "dim")


def page_command(config: AnalysisConfig) -> str:
    """The command that opens the page on the store of a run."""
    page = "streamlit run dashboard/app.py"
    return page if config.db == AnalysisConfig().db else as_command(f"{page} --", {"--db": config.shown_db})
