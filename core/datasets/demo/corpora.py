"""The embedded demo: five corpora made on the user's machine, cached, read as any manifest folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from core.datasets import manifest
from core.datasets.base import Clip, Dataset
from core.datasets.demo.synthesis.corpus import Corpus, MissingDemoPackage, corpora, is_written, write
from core.datasets.files import cache_folder
from core.datasets.segments import phonology
from core.datasets.segments.attach import attach
from core.errors import InputError
from core.files import free_space

if TYPE_CHECKING:
    from core.progress.progress import Progress

SOUND_SEED = 0
"""The embedded models were never shown clips of this seed's test split; so it is not an option."""
BYTES_A_CLIP = 50_000
"""On the disk, about: 39,000 to 46,000 were found."""


def datasets(progress: Progress, wanted: Collection[str] | None = None) -> list[Dataset]:
    """Make what is not made yet, and read it.

    Parameters
    ----------
    progress : Progress
        Shows the progress.
    wanted : collection of str, optional
        Names of the datasets; all by default.

    Raises
    ------
    InputError
        If a package that makes the sound is missing, or the cache cannot be written.
    """
    demo_datasets = []
    for corpus in corpora():
        if wanted is not None and corpus.name not in wanted:
            continue
        root = cache_folder() / corpus.name
        try:
            if not is_written(corpus, root, SOUND_SEED):
                n_clips = len(corpus.specs(SOUND_SEED))
                _ask_for_disk(corpus.name, root, n_clips)
                with progress.at(dataset=corpus.name), progress.stage("making sound", n_clips) as update:
                    write(corpus, root, SOUND_SEED, progress=update)
        except MissingDemoPackage as error:
            raise InputError(str(error)) from error
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise InputError(
                f"cannot write the demo's sound to {root} ({error.strerror}); "
                "set ATLAS_CACHE to a folder that can be written"
            ) from error
        made = manifest.read(
            root,
            name=corpus.name,
            description=corpus.description,
            source=corpus.source,
            licence=corpus.licence,
        )
        demo_datasets.append(replace(attach(made), notes=()))  # of its phones, which --list tells
    return demo_datasets


def _ask_for_disk(name: str, root: Path, n_clips: int) -> None:
    """Refuse a disk that the sound would fill.

    Raises
    ------
    InputError
    """
    free, place = free_space(root)
    if free < (needed := n_clips * BYTES_A_CLIP):
        raise InputError(
            f"the sound of {name} takes {needed / 1e6:.0f} MB, {free / 1e6:.1f} MB are free in {place}; free some, or "
            "set ATLAS_CACHE to a folder on a larger disk"
        )


def planned() -> list[Dataset]:
    """The demo's datasets as they will be, without making any sound.

    Segments are made with the sound: where it is not there yet, their attributes alone are told.
    """
    return [_planned(corpus) for corpus in corpora()]


def _planned(corpus: Corpus) -> Dataset:
    dataset = Dataset(
        name=corpus.name,
        root=cache_folder() / corpus.name,
        attributes=corpus.attributes,
        clips=tuple(Clip(f"audio/{s.name}.flac", s.split, s.labels) for s in corpus.specs(SOUND_SEED)),
        description=corpus.description,
        source=corpus.source,
        licence=corpus.licence,
    )
    if is_written(corpus, dataset.root, SOUND_SEED):
        return attach(dataset)
    derived = ((name, *(phonology.names(name) if name == "phone" else ())) for name in corpus.segment_attributes)
    return replace(dataset, segment_attributes=tuple(chain.from_iterable(derived)))
