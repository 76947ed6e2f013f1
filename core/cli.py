"""The command line around the study: options, what is found, and what is told."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from core.config import STAGES, AnalysisConfig
from core.datasets import Dataset, InputError, choose_tasks, demo, find
from core.datasets.base import draw_evenly
from core.encoders import known_encoders
from core.progress import stage
from core.scan import Scan, scan
from core.selectivity import PRESETS

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


def parse(argv: Sequence[str] | None) -> tuple[AnalysisConfig, bool]:
    """Read the command line; the flag says whether ``--list`` was given."""
    given = vars(_parser().parse_args(argv))
    show_list = given.pop("list")
    known = {f.name for f in fields(AnalysisConfig)}
    assert set(given) <= known
    return AnalysisConfig(**{k: v for k, v in given.items() if v is not None}), show_list


def _commas(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in _commas(text))


def _auto(text: str) -> int:
    return 0 if text == "auto" else int(text)


def _clips(text: str) -> int | None:
    return None if text == "auto" else 0 if text == "all" else int(text)


def _parser() -> argparse.ArgumentParser:
    d = AnalysisConfig()
    p = argparse.ArgumentParser(
        prog="run_analysis.py",
        description="Record the MLP neurons of audio transformers, score how selective they are, ablate them, "
        "and keep everything in a store that can be asked in SQL.",
        epilog="Exit codes: 0 all done; 1 some tasks failed, the others are stored; 2 wrong usage or input; "
        "130 stopped by the user.",
    )
    what = p.add_argument_group("what")
    what.add_argument(
        "--tasks", metavar="all|NAME,NAME", help="tasks to run; all = every task whose data is found (all)"
    )
    what.add_argument("--model", dest="models", action="append", metavar="NAME", help="encoder, repeatable (nano-ssl and nano-sl)")  # fmt: skip
    what.add_argument("--weights", metavar="PATH", help="checkpoint of the model, where it needs one")
    what.add_argument("--data-dir", dest="data_dirs", action="append", metavar="DIR", help="folder that holds datasets (or is one), repeatable (the embedded demo)")  # fmt: skip
    what.add_argument(
        "--limit", type=int, metavar="N", help="at most N clips a dataset, drawn evenly over classes (all)"
    )
    what.add_argument(
        "--list", action="store_true", help="show models, datasets and tasks that are found, and stop"
    )
    what.add_argument("--stages", type=_commas, metavar="S,S", help=f"of {','.join(STAGES)} (all)")
    where = p.add_argument_group("where and how")
    where.add_argument("--db", metavar="PATH|URL", help=f"the store ({d.db})")
    where.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps (auto)")
    where.add_argument("--batch-size", type=_auto, metavar="N|auto", help="clips in one forward pass (auto)")
    where.add_argument("--precision", help="float32, bfloat16 or auto (auto = float32)")
    where.add_argument("--workers", type=int, metavar="N", help=f"threads that read audio ({d.workers})")
    how = p.add_argument_group("selection")
    how.add_argument("--preset", dest="presets", type=_commas, metavar="P,P", help=f"of {','.join(PRESETS)} (all, stored side by side)")  # fmt: skip
    how.add_argument(
        "--entropy-rate", type=float, metavar="R", help=f"share of neurons kept by entropy ({d.entropy_rate})"
    )
    how.add_argument("--probability-bar", type=float, metavar="Q", help=f"quantile of all probabilities a class must exceed ({d.probability_bar})")  # fmt: skip
    how.add_argument("--bar-scope", help=f"task or class ({d.bar_scope})")
    how.add_argument("--activity", metavar="RULE", help=f"quantile:R or any-above:Q ({d.activity})")
    how.add_argument("--event", help=f"positive or high ({d.event})")
    how.add_argument("--select-on", help=f"train (train and valid clips) or all ({d.select_on})")
    how.add_argument("--padding", help=f"exclude or include tokens that hold padding ({d.padding})")
    worth = p.add_argument_group("null and ablation")
    worth.add_argument("--shuffles", type=int, metavar="N", help=f"label shuffles of the null ({d.shuffles})")
    worth.add_argument(
        "--controls", type=int, metavar="N", help=f"random sets beside each ablated set ({d.controls})"
    )
    worth.add_argument("--control-layers", help="task: controls are shared by a task's targets of one size and have their mean layer profile; "  # fmt: skip
                       f"target: each target its own, in exactly its layers ({d.control_layers})")  # fmt: skip
    worth.add_argument("--gains", type=_numbers, metavar="G,G", help="factors on the ablated neurons (0)")
    worth.add_argument("--ablate", type=_commas, metavar="A,A", help="top:SHARE (strongest evidence for the class) or a preset's own sets (top:0.01)")  # fmt: skip
    worth.add_argument(
        "--ablate-clips",
        type=_clips,
        metavar="N|all|auto",
        help="test clips of a task that are ablated, drawn evenly over classes (auto: 120 on a CPU, else all)",
    )
    worth.add_argument("--min-test-clips", type=int, metavar="N", help=f"ablate only classes with so many test clips ({d.min_test_clips})")  # fmt: skip
    worth.add_argument("--seed", type=int, metavar="N", help=f"of every random draw ({d.seed})")
    return p


def datasets(config: AnalysisConfig, console: Console) -> list[tuple[Dataset, tuple[str, ...]]]:
    """Datasets and the attributes to run; the embedded demo where no folder is given."""
    if config.data_dirs:
        found = find([Path(d).expanduser() for d in config.data_dirs], config.seed)
    else:
        found = demo.datasets(console)
    chosen, left_out = choose_tasks(found, config.tasks)
    for line in left_out:
        console.print(f"left out: {line}", style="yellow", highlight=False)
    return [(_limited(dataset, attributes, config), attributes) for dataset, attributes in chosen]


def _limited(dataset: Dataset, attributes: tuple[str, ...], config: AnalysisConfig) -> Dataset:
    if not config.limit:
        return dataset
    clips = draw_evenly(dataset.clips, attributes, config.limit, config.seed)
    return replace(dataset, clips=tuple(clips))


def scan_dataset(dataset: Dataset, files: Path, config: AnalysisConfig, console: Console) -> Scan:
    """Look at every file once; tell what is left out by name."""
    with stage(console, f"{dataset.name} · files", len(dataset.clips)) as update:
        scanned = scan(dataset, files / "scans" / f"{dataset.name}.csv", config.workers, update)
    for problem in scanned.problems[:5]:
        console.print(
            f"    left out: {problem.path}: {problem.reason}", style="yellow", highlight=False, markup=False
        )
    if len(scanned.problems) > 5:
        console.print(
            f"    and {len(scanned.problems) - 5} more, all in the store's table of problems", style="yellow"
        )
    if dataset.split_origin == "ours":
        console.print(
            f"    the manifest has no split; clips were split 60/15/25 by class with seed {config.seed}"
        )
    if not scanned.dataset.clips:
        raise InputError(
            f"{dataset.name} in {dataset.root} has no usable clip; first reason: {scanned.problems[0].reason}"
        )
    return scanned


def show_list(config: AnalysisConfig, console: Console) -> None:
    """Models, datasets and tasks; nothing is computed."""
    models = Table("model", "what it is", title="Models", title_justify="left", box=None, pad_edge=False)
    for name, line in known_encoders().items():
        models.add_row(name, line)
    console.print(models)
    found = (
        find([Path(d).expanduser() for d in config.data_dirs], config.seed)
        if config.data_dirs
        else demo.planned()
    )
    tasks = Table("task", "clips", "classes", "train/valid/test", title="\nTasks", title_justify="left", box=None, pad_edge=False)  # fmt: skip
    for dataset in found:
        for task, attribute in dataset.tasks().items():
            of = [clip.split for clip in dataset.clips if attribute in clip.labels]
            sizes = "/".join(str(of.count(split)) for split in ("train", "valid", "test"))
            tasks.add_row(task, str(len(of)), str(len(dataset.classes(attribute))), sizes)
    console.print(tasks)
    for dataset in found:
        console.print(f"{dataset.name}: {dataset.root}", style="dim", highlight=False, soft_wrap=True)


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


def reason(error: OSError) -> str:
    """An operating system's error in words, with the file it is about."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


class Tally(Protocol):
    """What `keep_going` and `tell_end` need of a study."""

    notes: list[str]
    failures: list[str]

    @property
    def did_anything(self) -> bool:
        """Whether any stage had something to do."""
        ...


@contextmanager
def keep_going(study: Tally, console: Console, name: str) -> Iterator[None]:
    """Note a failure of one dataset or task and go on with the next.

    Errors of the disk or the user's input, and Ctrl-C, are passed on: the next task would meet them too.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        text = str(error).strip().splitlines()
        study.failures.append(f"{name}: {type(error).__name__}: {text[0] if text else ''}")
        console.print(f"  failed: {study.failures[-1]}", style="red", highlight=False, markup=False)


def tell_end(console: Console, config: AnalysisConfig, studies: Sequence[Tally], seconds: float) -> int:
    """Say what was left out, what failed and how to look at the rest; returns the exit code."""
    notes = [note for study in studies for note in study.notes]
    failures = [failure for study in studies for failure in study.failures]
    console.print()
    for note in notes:
        console.print(note, style="yellow", highlight=False, markup=False)
    if failures:
        console.print(
            f"{len(failures)} failed: {'; '.join(failures)}", style="red", highlight=False, markup=False
        )
    if not any(study.did_anything for study in studies) and not failures:
        console.print(f"everything asked for is already in {config.db}; nothing was changed")
    else:
        console.print(f"done in {seconds / 60:.1f} min; results are in {config.db}", highlight=False)
    shown = "" if config.db == AnalysisConfig().db else f" -- --db {config.db}"
    console.print(
        f"look at them with: streamlit run dashboard/app.py{shown}", highlight=False, soft_wrap=True
    )
    return 1 if failures else 0
