"""``--list``: models, datasets found, tasks, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from core.datasets import PUBLISHED, NothingFound, report
from core.encoders import known_encoders
from core.encoders.m2d import download
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
