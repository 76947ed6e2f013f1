"""Around the study: what is found, and what is told."""

from __future__ import annotations

import io
import platform
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from core.datasets import PUBLISHED, Dataset, InputError, NothingFound, choose_tasks, find, report
from core.datasets.base import draw_evenly, shuffled_labels
from core.datasets.demo import corpora
from core.datasets.published.base import Options
from core.datasets.scan import Scan, scan
from core.encoders import known_encoders
from core.encoders.m2d import download
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.scoring.scores import NothingToTell
from core.untrusted_text import harmless, one_line, user_path

PACKAGES = (
    "audio-neuron-atlas",
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "sqlalchemy",
)


def tasks(config: AnalysisConfig, progress: Progress) -> list[tuple[Dataset, tuple[str, ...]]]:
    """Datasets with the attributes to run; the embedded demo, still to be made, where no folder is given."""
    chosen, left_out = choose_tasks(_found(config), config.tasks)
    for line in left_out:
        progress.warn(f"left out: {line}")
    if not chosen:
        raise InputError("no task to run; --list shows what was found, --tasks NAME runs any of it")
    return chosen


def _found(config: AnalysisConfig) -> list[Dataset]:
    if config.data_dirs:
        evar = user_path(config.evar_dir) if config.evar_dir else None
        remap = {wrong.strip(): right.strip() for wrong, _, right in (c.partition("=") for c in config.remap)}
        return find([user_path(d) for d in config.data_dirs], Options(config.seed, evar, remap))
    return corpora.planned()


def scan_dataset(
    dataset: Dataset, attributes: Sequence[str], files: Path, config: AnalysisConfig, progress: Progress
) -> Scan:
    """Look at every file once, making the demo's first; tell what is left out by name."""
    if not config.data_dirs:
        dataset = corpora.datasets(progress, {dataset.name})[0]
    if config.limit:
        dataset = dataset.only(draw_evenly(dataset, attributes, config.limit, config.seed))
    with progress.at(dataset=dataset.name), progress.stage("files", len(dataset.clips)) as update:
        scanned = scan(dataset, files / "scans" / f"{dataset.name}.csv", config.workers, update)
    if config.length == "unit":
        scanned = replace(scanned, unit_seconds=dataset.unit_seconds)
    if config.shuffle_labels:
        scanned = replace(scanned, dataset=shuffled_labels(scanned.dataset, config.seed))
    with progress.at(dataset=dataset.name):
        tell_of(scanned, files / "reports" / f"{dataset.name}.csv", config, progress)
    if not scanned.dataset.clips:
        raise InputError(
            f"{dataset.name} in {dataset.root} has no usable clip; first reason: {scanned.problems[0].reason}"
        )
    return scanned


def tell_of(scanned: Scan, path: Path, config: AnalysisConfig, progress: Progress) -> None:
    """What a dataset holds, and what is wrong with it, before anything is computed.

    Raises
    ------
    InputError
        With ``--strict``, if anything is.
    """
    dataset = scanned.dataset
    if not dataset.clips:
        return
    hours = f"{scanned.files['seconds'].sum() / 3600:.2g} hours"
    for line in report.summary(dataset, hours):
        progress.print(f"    {line}", "dim")
    if dataset.split_origin == "ours":
        progress.print(f"    its split is ours, drawn with seed {config.seed}")
    report.write_problems(scanned.problems, path)
    for line in dataset.notes:
        progress.warn(line, indent=4)
    bad, unexpected = report.problems(scanned.problems, path), [*dataset.unexpected, *report.duplicates(scanned)]
    progress.bad_files(scanned.problems, bad, str(path))
    for line in unexpected:
        progress.warn(line, indent=4)
    amiss = [*bad, *unexpected]
    if config.length == "unit" and dataset.unit_seconds is None:
        progress.warn(f"--length unit: {dataset.name} has no unit length; clips keep their own", indent=4)
    if config.strict and amiss:
        more = f" (and {len(amiss) - 1} more)" if len(amiss) > 1 else ""
        raise InputError(f"--strict: {amiss[0]}{more}")


def show_list(config: AnalysisConfig, console: Console) -> None:
    """Models, datasets and tasks; nothing is computed."""
    models = Table("model", "what it is", title="Models", title_justify="left", box=None, pad_edge=False)
    for name, line in known_encoders().items():
        models.add_row(name, line)
    console.print(models)
    title = "Published M2D checkpoints: --weights NAME asks and fetches; or fetch by hand and give the file"
    console.print(f"\n{title}", style="bold")
    for name, release in download.PUBLISHED.items():
        console.print(f"{name}: {release.what}")
        console.print(f"  {download.url(name)}", style="dim")
    console.print(f"their licence: {download.LICENCE}", style="dim")
    console.print("\nDatasets", style="bold")
    try:
        found = _found(config)
    except NothingFound as error:
        console.print(str(error), style="yellow")
        found = []
    for dataset in found:
        for line in report.summary(dataset, report.estimated_hours(dataset) if config.data_dirs else ""):
            console.print(line)
        for line in [*report.listed_problems(dataset), *dataset.notes, *dataset.unexpected]:
            console.print(f"  {line}", style="yellow")
        console.print(f"  in {dataset.root}", style="dim")
    for line in report.shared_recordings(found):
        console.print(line, style="yellow")
    names = {dataset.name for dataset in found}
    missing = [published for published in PUBLISHED if published.name not in names]
    if missing:
        console.print("\nKnown datasets that are not in the folders given", style="bold")
    for published in missing:
        console.print(f"{published.name}: {published.title}")
        console.print(f"  get it: {published.source} ({published.size}; licence: {published.licence})", style="dim")
        console.print(f"  put it: DIR/{published.place}, then --data-dir DIR", style="dim")
        console.print(f"  tasks: {', '.join(published.tasks.values())}", style="dim")


def code_version() -> str:
    """Version of this package, as installed."""
    return versions().get("audio-neuron-atlas", "not installed")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


class _Terminal(Console):
    """Names of files and classes hold any character: none of them is obeyed, and none ends the program."""

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*(harmless(part) if isinstance(part, str) else part for part in objects), **how)


def output(*, stderr: bool = False) -> Console:
    """A console that prints text as it is, but for what a terminal would obey."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character
    return _Terminal(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)


def open_log(progress: Progress, path: str, config: AnalysisConfig) -> None:
    """Let the run be logged (``--log-json``), where it is asked for.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if not path:
        return
    try:
        progress.log_to(path, (config.db, config.shown_db))
    except OSError as error:
        raise InputError(
            f"--log-json {path}: cannot be written ({error.strerror or error}); give a file in a folder that exists, "
            "or - for standard output"
        ) from error


def in_words(error: Exception) -> str:
    """An error that ends the run, in one line."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return one_line(f"{error.strerror}{where}; what is finished is kept, the same command goes on from here")
    return one_line(str(error))


def refuse_to_lose(config: AnalysisConfig, scan: Scan, stored: Collection[str]) -> None:
    """A quick look with ``--limit`` does not replace the results of other clips."""
    lost = set(stored) - {clip.path for clip in scan.dataset.clips}
    if config.limit and lost:
        raise InputError(
            f"{config.shown_db} holds results of {len(stored)} clips of {scan.dataset.name}, which this "
            f"--limit {config.limit} would replace; give --db another path for the quick look"
        )


class Tally(Protocol):
    """What `keep_going` and `tell_end` need of a study."""

    progress: Progress
    notes: list[str]
    failures: list[str]

    def note(self, text: str) -> None:
        """Tell something at the end, once."""
        ...

    @property
    def did_anything(self) -> bool:
        """Whether any stage had something to do."""
        ...


@contextmanager
def keep_going(study: Tally, name: str, **place: str) -> Iterator[None]:
    """Note a failure of one dataset or task, at a ``place`` of the run, and go on with the next.

    A task with nothing to tell apart is no failure. Errors of the disk or the user's input, and Ctrl-C, are passed on:
    the next task would meet them too.
    """
    with study.progress.at(**place):
        try:
            yield
        except (InputError, OSError):
            raise
        except NothingToTell as error:
            study.note(f"{name}: not scored, {error}")
        except Exception as error:
            text = str(error).strip().splitlines()
            study.failures.append(f"{name}: {type(error).__name__}: {text[0] if text else ''}")
            study.progress.fail(study.failures[-1])


def together(notes: Sequence[str]) -> list[str]:
    """Say each thing once, with the names of all that it holds for.

    Examples
    --------
    >>> together(["pets: no head", "birds: 3 files left out", "cats: no head", "pets: no head"])
    ['pets, cats: no head', 'birds: 3 files left out']
    """
    names: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        name, found, message = note.partition(": ")
        names.setdefault(message if found else note, []).extend([name] if found else [])
    return [f"{', '.join(of)}: {message}" if of else message for message, of in names.items()]


def tell_end(progress: Progress, config: AnalysisConfig, studies: Sequence[Tally], seconds: float) -> int:
    """Say what was left out, what failed and how to look at the rest; returns the exit code."""
    notes = together([note for study in studies for note in study.notes])
    failures = [failure for study in studies for failure in study.failures]
    progress.print()
    for note in notes:
        progress.print(note, "yellow")
    if failures:
        progress.errors.print(f"{len(failures)} failed: {'; '.join(failures)}", style="red")
    if not any(study.did_anything for study in studies) and not failures:
        progress.print(f"everything asked for is already in {config.shown_db}; nothing was changed")
    else:
        progress.print(f"done in {seconds / 60:.1f} min; results are in {config.shown_db}")
    shown = "" if config.db == AnalysisConfig().db else f" -- --db {config.shown_db}"
    progress.print(f"look at them with: streamlit run dashboard/app.py{shown}")
    return 1 if failures else 0
