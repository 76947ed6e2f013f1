"""Around the study: what is found, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from core.datasets import Dataset, InputError, choose_tasks, find, passed_on, report
from core.datasets.base import draw_evenly, shuffled_labels
from core.datasets.demo import corpora
from core.datasets.published.base import Options
from core.datasets.scan import Scan, scan
from core.datasets.segments.turned import turned
from core.datasets.segments.within import cut_to
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.untrusted_text import as_file_name, user_path


def tasks(
    config: AnalysisConfig, progress: Progress, stored: Mapping[str, str]
) -> list[tuple[Dataset, tuple[str, ...]]]:
    """Datasets with the attributes to run; the embedded demo, still to be made, where no folder is given.

    The attributes are those of clips; those of segments that are to run are in the dataset (``segment_attributes``).
    ``stored`` are folders of datasets that the store knows, with their names there.
    """
    chosen, left_out = choose_tasks(datasets(config, stored, partial(leave_out, config, progress)), config.tasks)
    for line in left_out:
        progress.warn(f"left out: {line}")
    if not chosen:
        raise InputError("no task to run; --list shows what was found, --tasks NAME runs any of it")
    return chosen


def leave_out(config: AnalysisConfig, progress: Progress, error: InputError) -> None:
    """A dataset that cannot be used is told and left out, the others run; with ``--strict`` it ends the run."""
    if config.strict:
        raise error
    progress.fail(f"left out: {error}")


def datasets(
    config: AnalysisConfig, stored: Mapping[str, str], unusable: Callable[[InputError], None] = passed_on
) -> list[Dataset]:
    """Those in the folders given, else the demo's; ``unusable`` as in `core.datasets.find`.

    Raises
    ------
    InputError
        If none of them can be used.
    """
    if config.data_dirs:
        evar = user_path(config.evar_dir) if config.evar_dir else None
        remap = {wrong.strip(): right.strip() for wrong, _, right in (c.partition("=") for c in config.remap)}
        options = Options(config.seed, evar, remap, config.classes_are_folders, config.follow_links)
        return find(config.data_dirs, options, stored, unusable)
    return corpora.planned()


def scan_all(
    tasks: Sequence[tuple[Dataset, Sequence[str]]], files: Path, config: AnalysisConfig, progress: Progress
) -> list[tuple[Scan, Sequence[str]]]:
    """Look at every dataset's files; one without a usable clip is left out. Those come first that show most soonest.

    Raises
    ------
    InputError
        If none of them can be used.
    """
    scans: list[tuple[Scan, Sequence[str]]] = []
    errors: list[InputError] = []
    for dataset, attributes in tasks:
        try:
            scans.append((scan_dataset(dataset, attributes, files, config, progress), attributes))
        except InputError as error:
            if config.strict:
                raise
            errors.append(error)
    if not scans:
        raise errors[0]
    for unusable in errors:
        leave_out(config, progress, unusable)
    return sorted(scans, key=_seconds_a_task)


def _seconds_a_task(scanned: tuple[Scan, Sequence[str]]) -> float:
    """Seconds of sound to be recorded for each task."""
    scan, attributes = scanned
    return float(scan.files["seconds"].sum()) / max(1, len(attributes) + len(scan.dataset.segment_attributes))


def scan_dataset(
    dataset: Dataset, attributes: Sequence[str], files: Path, config: AnalysisConfig, progress: Progress
) -> Scan:
    """Look at every file once, making the demo's first; tell what is left out by name."""
    if not config.data_dirs:
        dataset = corpora.datasets(progress, {dataset.name})[0].with_segments_of(dataset.segment_attributes)
    if config.limit:
        dataset = dataset.only(draw_evenly(dataset, attributes, config.limit, config.seed))
    if dataset.make:
        dataset = made(dataset, progress)
    with progress.at(dataset=dataset.name), progress.stage("files", len(dataset.clips)) as update:
        scanned = scan(dataset, files / "scans" / f"{as_file_name(dataset.name)}.csv", config.workers, update)
    seconds = scanned.files["seconds"].tolist()
    if config.length == "unit" and dataset.unit_seconds:
        cropped = cut_to(scanned.dataset, seconds, dataset.unit_seconds)
        scanned = replace(scanned, unit_seconds=dataset.unit_seconds, dataset=cropped)
    if config.shuffle_labels:
        shuffled = turned(shuffled_labels(scanned.dataset, config.seed), seconds, config.seed)
        scanned = replace(scanned, dataset=shuffled)
    with progress.at(dataset=dataset.name):
        tell_of(scanned, files / "reports" / f"{as_file_name(dataset.name)}.csv", config, progress)
    if not scanned.dataset.clips:
        raise InputError(
            f"{dataset.name} in {dataset.root} has no usable clip; first reason: {scanned.problems[0].reason}"
        )
    return scanned


def made(dataset: Dataset, progress: Progress) -> Dataset:
    """The dataset with its files, as far as they can be made."""
    assert dataset.make
    with progress.at(dataset=dataset.name), progress.stage("unpacking", len(dataset.clips)) as update:
        problems = dataset.make([clip.path for clip in dataset.clips], update)
    lacking = {problem.path for problem in problems}
    dataset = dataset.only([clip for clip in dataset.clips if clip.path not in lacking])
    return replace(dataset, problems=(*dataset.problems, *problems))


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
