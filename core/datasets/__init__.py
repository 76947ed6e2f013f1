"""Datasets on disk: which there are, and which are found below the folders a user names."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from core.datasets import audiofolder, hear, hub, links, manifest, metadata, parquet, tables
from core.datasets.base import Clip, Dataset, storable
from core.datasets.files import EXTENSIONS, some_names, unreadable_folders, walk
from core.datasets.naming import apart, asked_for, renamed, telling_name
from core.datasets.published.base import Options, Published
from core.datasets.published.common_voice import CommonVoice
from core.datasets.published.cremad import CremaD
from core.datasets.published.esc50 import ESC50
from core.datasets.published.fsd50k import FSD50K
from core.datasets.published.gise51 import GISE51
from core.datasets.published.gtzan import GTZAN
from core.datasets.published.nsynth import NSynth
from core.datasets.published.speech_commands import SpeechCommands
from core.datasets.published.surge import Surge
from core.datasets.published.tau import TAU
from core.datasets.published.urbansound8k import UrbanSound8K
from core.datasets.published.vocalsound import VocalSound
from core.datasets.published.voxceleb1 import VoxCeleb1
from core.datasets.published.voxforge import VoxForge
from core.datasets.segments import folder as segments_folder
from core.datasets.segments.attach import attach, may_have_segments
from core.errors import InputError
from core.files import OF_THE_KERNEL, is_of_the_kernel
from core.results import Problem
from core.untrusted_text import quoted

PUBLISHED: tuple[Published, ...] = (
    ESC50(), GISE51(), VoxForge(), VoxCeleb1(), CremaD(), GTZAN(), NSynth(), Surge(), UrbanSound8K(), SpeechCommands(),
    FSD50K(), VocalSound(), CommonVoice(), TAU(),
)  # fmt: skip
"""The paper's eight first."""

CLIPS_PER_CLASS = 4
"""Mean clips (or segments) a class below which ``--tasks all`` takes an attribute for a name."""
MOST_SEGMENT_CLASSES = 200
"""Classes of segments above which ``--tasks all`` leaves an attribute to who asks for it."""

__all__ = ["PUBLISHED", "Clip", "Dataset", "InputError", "NothingFound", "Options", "choose_tasks", "find", "passed_on"]


class NothingFound(InputError):
    """No dataset in a folder."""


def passed_on(error: InputError) -> None:
    """What cannot be read ends it."""
    raise error


def find(
    data_dirs: Sequence[str | Path],
    options: Options | None = None,
    stored: Mapping[str, str] | None = None,
    unusable: Callable[[InputError], None] = passed_on,
) -> list[Dataset]:
    """Datasets in some folders: the folder itself, else its sub-folders, else theirs.

    A ``manifest.csv`` goes first, then the published layouts, then a folder of class folders; last sound that has
    segments alone.

    Parameters
    ----------
    data_dirs : sequence of str or Path
        Folders, or ``hf:OWNER/NAME`` of a hub; ``NAME=DIR`` for the one dataset that is to have a name of the user's.
    options : Options, optional
    stored : mapping of str to str, optional
        Folder to the name under which a store knows the dataset there: it keeps it.
    unusable : callable
        Told why a dataset cannot be read, which is left out then; by default that is raised.

    Raises
    ------
    InputError
        If a folder is missing, holds no dataset (`NothingFound`), two datasets have one name, or none can be read.
    """
    reader, stored = _Reader(options or Options()), stored or {}
    found: list[_Found] = []
    for given in data_dirs:
        name, folder = asked_for(str(given))
        for one in _in_folder(given, name, folder, reader):
            known = name or stored.get(str(one.dataset.root), "")
            is_fixed = bool(known or one.dataset.task_names)
            found.append(_Found(renamed(one.dataset, known) if known else one.dataset, one.place, is_fixed))
    errors = reader.all_errors()
    if errors and not found:
        raise errors[0]
    for error in errors:
        unusable(error)
    return apart([one.dataset for one in found], [one.place for one in found], [one.is_fixed for one in found])


def _in_folder(given: str | Path, name: str, folder: Path, reader: _Reader) -> list[_Found]:
    """The datasets of one ``--data-dir``; the last tells of sound that is in none of them."""
    if hub.is_id(str(folder)):
        try:
            return _in_folder(given, name, hub.fetched(str(folder)), reader)
        except NothingFound as nothing:
            try:
                converted = hub.fetched(str(folder), hub.AS_PARQUET)
            except InputError:
                raise nothing from None
            return _in_folder(given, name, converted, reader)
    if not os.path.isdir(folder):  # Path.is_dir fails where a name is too long
        raise InputError(f"--data-dir {given}: no such folder; give the folder that holds datasets")
    n_errors = len(reader.all_errors())
    with links.treated(reader.options.follow_links):
        here = _looked_into(folder, reader, depth=2)
        is_nothing = not here and len(reader.all_errors()) == n_errors
        if is_nothing and next(walk(folder, EXTENSIONS), "") and may_have_segments(folder):
            here = reader.with_segments(folder)
        if not here and len(reader.all_errors()) == n_errors:
            raise NothingFound(f"--data-dir {given}: {_why_nothing(folder)}")
    if name and len(here) > 1:
        raise InputError(
            f"--data-dir {given} names one dataset, {len(here)} lie there: "
            f"{', '.join(one.dataset.name for one in here)}; give each its own --data-dir NAME=DIR"
        )
    if here and (loose := _loose(folder, {one.dataset.root for one in here})):
        last, told = here[-1].dataset, audiofolder.not_taken(loose, f"in {folder} beside its datasets")
        here[-1] = replace(here[-1], dataset=replace(last, unexpected=(*last.unexpected, *told)))
    return here


@dataclass(frozen=True)
class _Found:
    """A dataset, where it lies as that is written, and whether its name is given."""

    dataset: Dataset
    place: Path
    is_fixed: bool = False


@dataclass(frozen=True)
class _Reader:
    """Reads datasets, and keeps why some cannot be read.

    Attributes
    ----------
    options : Options
    errors : list of InputError
        Of datasets.
    closed : dict of str to str
        Folders that cannot be read, and why.
    told : set of str
        Those of them that a dataset tells of.
    """

    options: Options
    errors: list[InputError] = field(default_factory=list)
    closed: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def all_errors(self) -> list[InputError]:
        """Of datasets, and of folders that are in none."""
        step = "give yourself permission to read it, or take it elsewhere"
        untold = [(path, why) for path, why in self.closed.items() if path not in self.told]
        return [*self.errors, *(InputError(f"{path} cannot be read ({why}); {step}") for path, why in untold)]

    def read(self, folder: Path, read: Callable[[Path], Dataset]) -> list[_Found]:
        """The dataset in a folder; none where it cannot be read."""
        try:
            with unreadable_folders() as unreadable, links.treated(self.options.follow_links) as met:
                dataset = attach(read(root := folder.resolve()))
            if not (dataset.attributes or dataset.segment_attributes):
                told = "; ".join([*(f"{p.path}: {p.reason}" for p in dataset.problems[:1]), *dataset.notes[:1]])
                raise InputError(f"{root} has no labels of clips, and no segments{f' ({told})' if told else ''}")
            self.told.update(map(os.path.realpath, unreadable))  # a link may lead to what cannot be read
            closed = [
                Problem(os.path.relpath(path, root), f"cannot be read ({why}), nor what lies in it")
                for path, why in unreadable.items()
            ]
            notes, problems = (*dataset.notes, *met.told(root)), (*dataset.problems, *closed)
            dataset = storable(replace(dataset, notes=notes, problems=problems))
            if not met.are_followed:
                dataset = links.without_those_out(dataset)
        except InputError as error:
            self.errors.append(error)
            return []
        return [_Found(dataset, folder)]

    def manifest(self, folder: Path) -> list[_Found]:
        return self.read(folder, lambda root: manifest.read(root, self.options.seed, telling_name(folder)))

    def metadata(self, folder: Path) -> list[_Found]:
        return self.read(folder, lambda root: metadata.read(root, self.options.seed, telling_name(folder)))

    def hear(self, folder: Path) -> list[_Found]:
        return self.read(folder, lambda root: hear.read(root, telling_name(folder)))

    def parquet(self, folder: Path) -> list[_Found]:
        return self.read(folder, lambda root: parquet.read(root, self.options.seed, telling_name(folder)))

    def class_folders(self, folder: Path) -> list[_Found]:
        """The folder as one of class folders; none where it is none, or its folders may be folds."""
        found = audiofolder.layout(folder)
        if not found or (found.may_be_folds and not self.options.classes_are_folders):
            return []
        return self.read(folder, lambda root: audiofolder.read(root, found, self.options.seed, telling_name(folder)))

    def with_segments(self, folder: Path) -> list[_Found]:
        return self.read(folder, lambda root: segments_folder.read(root, self.options.seed, telling_name(folder)))

    def published(self, folder: Path) -> list[_Found]:
        options = self.options
        of = [each for each in PUBLISHED if each.recognise(folder) or each.recognise_by_evar(folder, options)]
        return [found for each in of for found in self.read(folder, partial(each.read, options=options))]


def _looked_into(folder: Path, reader: _Reader, depth: int, class_folders: bool = True) -> list[_Found]:
    """`_below`; nothing where the folder cannot be read, which the reader keeps."""
    try:
        with os.scandir(folder):  # what cannot be listed would look empty
            if is_of_the_kernel(os.stat(folder)):
                raise OSError(errno.EINVAL, OF_THE_KERNEL)
        return _below(folder, reader, depth, class_folders)
    except OSError as error:
        reader.closed[os.path.realpath(folder)] = error.strerror or str(error)
        return []


def _below(folder: Path, reader: _Reader, depth: int, class_folders: bool = True) -> list[_Found]:
    """The folder as a dataset, and what is in those of its sub-folders that are not part of it."""
    if manifest.recognise(folder):
        return reader.manifest(folder)
    if metadata.recognise(folder):
        return reader.metadata(folder)
    if hear.recognise(folder):
        return reader.hear(folder)
    if parquet.recognise(folder):
        return reader.parquet(folder)
    here = reader.published(folder)
    class_folders = class_folders and not here
    found = audiofolder.layout(folder) if class_folders else None
    if found and any(split for _, split in found.parts):
        return reader.class_folders(folder)
    taken = {clip.path.partition("/")[0] for one in here for clip in one.dataset.clips}
    for inside in _sub_folders(folder) if depth else []:
        if inside.name not in taken:
            here += _looked_into(inside, reader, depth - 1, class_folders)
    if class_folders and not here:
        return reader.class_folders(folder)
    return here


def _why_nothing(folder: Path) -> str:
    """Why no dataset was found in a folder, and the next step."""
    layouts = (audiofolder.layout(place) for place in _down_to(folder, depth=3))
    found = next((each for each in layouts if each and each.may_be_folds), None)
    if found:
        names = ", ".join(found.classes[:3]) + (", ..." if len(found.classes) > 3 else "")
        known = [published.lacks for published in PUBLISHED if published.is_without_its_table(found.classes)]
        return (
            f"its folders ({names}) look like folds or parts of a download, not like classes; "
            + (f"this may be {known[0]}; " if known else "")
            + "if they are classes, --classes-are-folders; else write a manifest.csv with a row a file"
        )
    for table in _tables(folder):
        if column := tables.column_of_files(table):
            return (
                f"no dataset found, but {table} names files in its column '{column}'; save it as manifest.csv in the "
                "folder that holds the sound, with that column called 'file' and paths relative to that folder"
            )
    sounds = list(walk(folder))
    lying = f"{len(sounds):,} sound files, {sounds[0]} the first" if sounds else "no sound file"
    return (
        f"no dataset found ({lying}); expected a published dataset as unpacked, a manifest.csv, or a folder for each "
        "of two classes or more, in it or in a sub-folder (--list tells what to get and where to put it)"
    )


def _tables(folder: Path) -> Iterator[Path]:
    """Tables in a folder and in its folders, which nothing here knows."""
    for place in _down_to(folder, depth=1):
        names = (name for name in some_names(place) if name.lower().endswith((".csv", ".tsv", ".txt")))
        yield from (place / name for name in sorted(names))


def _down_to(folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those below it, level by level."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        level = [inside for place in level for inside in _sub_folders(place)]


def _loose(folder: Path, roots: Collection[Path]) -> list[str]:
    """Sound in a folder that is in none of its datasets."""
    loose = []
    for place, inside, files in os.walk(folder):
        if Path(place).resolve() in roots or is_of_the_kernel(os.stat(place)):
            inside.clear()
            continue
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        sounds = (f for f in sorted(files) if Path(f).suffix.lower() in EXTENSIONS and not f.startswith("."))
        loose += [os.path.relpath(os.path.join(place, file), folder) for file in sounds]
    return loose


def _sub_folders(folder: Path) -> list[Path]:
    try:
        if is_of_the_kernel(os.stat(folder)):
            return []
        return [f for f in sorted(folder.iterdir()) if f.is_dir() and not f.name.startswith(".") and links.may_enter(f)]
    except OSError:
        return []


def choose_tasks(datasets: Sequence[Dataset], wanted: str) -> tuple[list[tuple[Dataset, tuple[str, ...]]], list[str]]:
    """The datasets with the attributes that are asked for.

    Parameters
    ----------
    datasets : sequence of Dataset
    wanted : str
        Task names with commas, or ``all``: every attribute of clips or segments but those that name single ones
        rather than classes (fewer than `CLIPS_PER_CLASS` a class) or have one value.

    Returns
    -------
    chosen : list of (Dataset, attributes)
        Attributes of clips; those of segments that were chosen are the dataset's ``segment_attributes``, and its clips
        have segments of these alone. A dataset of which only such were chosen has no attributes here.
    left_out : list of str
        What ``all`` left out, and why, a line each.

    Raises
    ------
    InputError
        If a name is unknown, names the nearest; or if a task that is asked for by name has a single class.
    """
    if wanted.strip() == "all":
        left_out: list[str] = []
        chosen = []
        for dataset in datasets:
            asked = [a for a in dataset.attributes if a in dataset.task_names or a not in dataset.groups]
            reasons = {a: _not_a_task(dataset, a) for a in asked}
            reasons |= {a: _no_segment_task(dataset, a) for a in dataset.segment_attributes}
            left_out += [f"{dataset.task(a)}: {reason}" for a, reason in reasons.items() if reason]
            chosen.append((dataset, {a for a, reason in reasons.items() if not reason}))
        return [_of_dataset(d, names) for d, names in chosen if names], left_out
    known = [task for dataset in datasets for task in (*dataset.tasks(), *dataset.segment_tasks())]
    names = _names(wanted, known)
    if not names:
        raise InputError(f"--tasks is empty; expected 'all' or some of {', '.join(known)}")
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
            raise InputError(f"unknown task '{name}'; {hint} (--list shows all)")
    chosen = [(d, {a for a in (*d.attributes, *d.segment_attributes) if d.task(a) in names}) for d in datasets]
    for dataset, attributes in chosen:
        for attribute in sorted(attributes):
            if reason := _nothing_to_tell(dataset, attribute):
                raise InputError(f"{dataset.task(attribute)}: {reason}; leave it out of --tasks")
    return [_of_dataset(d, attributes) for d, attributes in chosen if attributes], []


def _of_dataset(dataset: Dataset, names: Collection[str]) -> tuple[Dataset, tuple[str, ...]]:
    """A dataset with some of its attributes of segments, and those of clips."""
    return dataset.with_segments_of(names), tuple(a for a in dataset.attributes if a in names)


def _names(wanted: str, known: Collection[str]) -> list[str]:
    """Task names with commas between them; one that is known may hold commas itself."""
    parts, at, names = _parts(wanted), 0, []
    with_commas = {_parts(name): name for name in known if "," in name}
    while at < len(parts):
        end = next((e for e in range(len(parts), at + 1, -1) if parts[at:e] in with_commas), at + 1)
        names.append(with_commas.get(parts[at:end], parts[at]))
        at = end
    return [name for name in names if name]


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _nothing_to_tell(dataset: Dataset, attribute: str) -> str:
    """Why an attribute is no task; a single class of segments is told from what lies outside them."""
    n_classes = 2 if attribute in dataset.segment_attributes else len(dataset.classes(attribute))
    return f"{n_classes} class, nothing to tell apart" if n_classes < 2 else ""


def _not_a_task(dataset: Dataset, attribute: str) -> str:
    if reason := _nothing_to_tell(dataset, attribute):
        return reason
    n_labelled = sum(attribute in clip.labels for clip in dataset.clips)
    n_classes = len(dataset.classes(attribute))
    if n_labelled < CLIPS_PER_CLASS * n_classes:
        return (
            f"{n_classes} values over {n_labelled} clips look like names of single clips; "
            f"--tasks {quoted(dataset.task(attribute))} runs it all the same"
        )
    return ""


def _no_segment_task(dataset: Dataset, attribute: str) -> str:
    sizes = dataset.segment_sizes(attribute)
    step = f"--tasks {quoted(dataset.task(attribute))} runs it all the same"
    if sizes.total() < CLIPS_PER_CLASS * len(sizes):
        return (
            f"{len(sizes):,} labels of {sizes.total():,} segments, fewer than {CLIPS_PER_CLASS} a label: too few for "
            f"classes (or words, sentences); {step}"
        )
    if len(sizes) > MOST_SEGMENT_CLASSES:
        return f"{len(sizes):,} classes; 'all' takes up to {MOST_SEGMENT_CLASSES} of segments; {step}"
    return ""
