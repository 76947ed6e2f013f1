"""``--list``: models, datasets found, tasks, and what is missing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from core.datasets import PUBLISHED, Dataset, NothingFound, report
from core.datasets.segments import table
from core.datasets.segments.phonology import base_attributes
from core.encoders import known_encoders
from core.encoders.m2d import download
from core.errors import InputError
from core.files import write_whole
from core.run.config import AnalysisConfig
from core.run.inputs import datasets as find_datasets


def show_list(config: AnalysisConfig, console: Console, stored: Mapping[str, str]) -> None:
    """Models, datasets and tasks; nothing is computed. ``stored`` as in `core.run.inputs.tasks`."""
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
        datasets = find_datasets(
            config, stored, lambda error: console.print(f"cannot be used: {error}", style="yellow")
        )
    except NothingFound as error:
        console.print(str(error), style="yellow")
        datasets = []
    for dataset in datasets:
        for line in report.summary(dataset, report.estimated_hours(dataset) if config.data_dirs else ""):
            console.print(line)
        amiss = [*report.listed_problems(dataset), *(report.judged(dataset) if config.data_dirs else [])]
        for line in [*amiss, *dataset.notes, *dataset.unexpected]:
            console.print(f"  {line}", style="yellow")
        console.print(f"  in {dataset.root}", style="dim")
    for line in report.shared_recordings(datasets):
        console.print(line, style="yellow")
    names = {dataset.name for dataset in datasets}
    missing = [published for published in PUBLISHED if published.name not in names]
    if missing:
        console.print("\nKnown datasets that are not in the folders given", style="bold")
    for published in missing:
        console.print(f"{published.name}: {published.title}")
        console.print(f"  get it: {published.source} ({published.size}; licence: {published.licence})", style="dim")
        console.print(f"  put it: DIR/{published.place}, then --data-dir DIR", style="dim")
        console.print(f"  tasks: {', '.join(published.tasks.values())}", style="dim")


def write_manifest(config: AnalysisConfig, path: Path, stored: Mapping[str, str]) -> str:
    """Write a dataset as the table that `core.datasets.manifest` reads, and its segments beside it, if it has any.

    Returns what to do with it.

    Raises
    ------
    InputError
        If there is not one dataset, or the file is there already.
    """
    if not config.data_dirs:
        raise InputError("--write-manifest needs --data-dir with the dataset to be written")
    found = find_datasets(config, stored)
    if len(found) != 1:
        names = ", ".join(dataset.name for dataset in found)
        raise InputError(f"--write-manifest writes one dataset, {len(found)} were found ({names}); give one --data-dir")
    (dataset,) = found
    written = _tables(dataset, path)
    for file in written:
        if os.path.lexists(file):
            which = "" if file == path else f" ({file.name})"
            raise InputError(f"--write-manifest {path}: there is such a file{which}; give another path")
    for file, content in reversed(written.items()):
        try:
            write_whole(file, content.encode())  # half a table would be read as a smaller dataset
        except OSError as error:
            raise InputError(f"--write-manifest {file}: cannot be written ({error.strerror or error})") from error
    beside = f", their segments in {table.NAMES[0]} beside it" if len(written) > 1 else ""
    told = f"{path} written: {len(dataset.clips):,} clips of {dataset.name}{beside}"
    in_place = path.absolute() == dataset.root / "manifest.csv"
    return told if in_place else f"{told}; it is read where it lies as {dataset.root / 'manifest.csv'}"


def _tables(dataset: Dataset, path: Path) -> dict[Path, str]:
    """The manifest, and the table of segments that goes beside it unless the dataset has one there."""
    header = ["file", "split", *dataset.attributes]
    rows = (
        [clip.path, clip.split, *("|".join(dataset.values(clip, a)) for a in dataset.attributes)]
        for clip in dataset.clips
    )
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    written = {path: text.getvalue()}
    base = base_attributes(dataset)
    is_there = path.absolute().parent == dataset.root and table.own(dataset.root)
    if base and not is_there:
        written[path.with_name(table.NAMES[0])] = table.written(dataset.clips, base)
    return written
