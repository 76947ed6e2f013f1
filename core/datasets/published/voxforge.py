"""VoxForge: volunteers read sentences in six languages, submitted as one archive each time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.derive import LANGUAGE_FAMILIES
from core.datasets.files import check_splits, evar_file, mismatches, read_rows, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.errors import InputError
from core.files import refuse_no_file
from core.results import Problem

ARCHIVE = re.compile(r"(?P<speaker>[^/]+?)-\d{8}[^/]*")
ADDRESSES = "voxforge_urls.txt"
ADDRESS = re.compile(r"/(?P<language>[a-z]{2})/Trunk/\S*?(?P<archive>[^/\s]+)\.tgz")
LONGEST_LINE, LONGEST_README = 1_000, 10_000
"""Characters; patterns take the square of a text's length where it is made to that end."""
README_LANGUAGE = re.compile(r"^[ \t]*Language:[ \t]*([a-z]{2})(?![a-z])", re.IGNORECASE | re.MULTILINE)


class VoxForge(Published):
    """VoxForge.

    Attributes of a clip
    --------------------
    language : str
        Two letters; of the archive, from the first of: EVAR's table, ``voxforge_urls.txt`` (a list of addresses),
        a folder above it named by the language (``de/...``), the line "Language:" of its ``etc/README``.
    archive, speaker : str
        The submission's folder, and its name before the date; "anonymous" is not one person, so there the speaker
        is the archive. Our split is by speaker, EVAR's by archive.
    """

    name = "voxforge"
    title = "VoxForge: read sentences in six languages"
    source = "https://www.voxforge.org (speech corpus; the archives are listed in TFDS's voxforge_urls.txt)"
    licence = "GPL (version not known for sure)"
    size = "about 100 GB while unpacking, 60 GB kept"
    place = "voxforge/{de,en,es,fr,it,ru}/{archive}/wav/*.wav, or all archives in one folder with voxforge_urls.txt"
    tasks = {"language": "voxforge", "language_family": "voxforge-family"}
    groups = ("speaker", "archive")
    derived = {"language_family": ("language", "language_family")}
    n_clips = 176_428
    n_classes = {"language": 6}
    unit_seconds = 5.8

    def recognise(self, folder: Path) -> bool:
        here = some_names(folder)
        below = [name for name in here if name.casefold() in LANGUAGE_FAMILIES]
        return any(_is_archive(folder / name) for name in here) or any(
            (folder / language / "Trunk").is_dir()
            or any(_is_archive(folder / language / name) for name in some_names(folder / language))
            for language in below
        )

    def listing(self, root: Path, options: Options) -> Listing:
        problems: list[Problem] = []
        files: dict[str, list[str]] = {}
        for path in walk(root):
            parts = path.split("/")
            depth = next((i for i, part in enumerate(parts[:-1]) if ARCHIVE.fullmatch(part)), None)
            if depth is None:
                problems.append(Problem(path, "lies in no folder named speaker-date-code"))
            else:
                files.setdefault("/".join(parts[: depth + 1]), []).append(path)

        table = evar_file(options.evar_dir, "metadata", "voxforge.csv")
        evar = _evar_archives(table) if table else {}
        languages = _languages(root, files, {archive: language for archive, (language, _) in evar.items()})
        problems += [Problem(folder, "is of no known language") for folder in files if folder not in languages]
        if files and not languages:
            raise InputError(
                f"{root}: no language known for any of {len(files):,} archives; unpack each language into a folder "
                f"named de, en, es, fr, it or ru, or put {ADDRESSES} there, or give EVAR's folder"
            )
        speakers = {folder: _speaker(folder) for folder in languages}
        if evar:
            splits = {folder: evar[_name(folder)][1] for folder in languages if _name(folder) in evar}
            on_disk = (_name(folder) for folder in files if folder in languages or _name(folder) in evar)
            problems += mismatches(evar, on_disk, "EVAR's voxforge.csv")
            notes = ["voxforge: EVAR splits by archive, so one speaker's archives can be in train and in test"]
        else:
            parts_of = own_splits(speakers.values(), options.seed)
            splits = {folder: parts_of[speaker] for folder, speaker in speakers.items()}
            notes = []
        clips = [
            Clip(
                path,
                splits[folder],
                {"language": languages[folder], "speaker": speakers[folder], "archive": _name(folder)},
            )
            for folder, paths in files.items()
            if folder in splits
            for path in paths
        ]
        together = [] if evar else [clip.labels["speaker"] for clip in clips]
        return Listing(clips, problems, "EVAR" if evar else "ours", notes=notes, kept_together=together)


def _is_archive(folder: Path) -> bool:
    return ARCHIVE.fullmatch(folder.name) is not None and any((folder / part).is_dir() for part in ("wav", "flac"))


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]


def _speaker(folder: str) -> str:
    name = _name(folder)
    match = ARCHIVE.fullmatch(name)
    return name if match is None or match["speaker"].casefold().startswith("anonymous") else match["speaker"]


def _evar_archives(table: Path) -> dict[str, tuple[str, str]]:
    """Archive to language and part."""
    archives = {}
    rows = read_rows(table, ("file_name", "label", "split"))
    check_splits(table, (row["split"] for row in rows))
    for row in rows:
        name = next((part for part in row["file_name"].split("/") if ARCHIVE.fullmatch(part)), None)
        if name and row["split"]:
            archives[name] = (row["label"], row["split"])
    return archives


def _languages(root: Path, folders: Mapping[str, object], of_evar: Mapping[str, str]) -> dict[str, str]:
    """Language of each archive's folder, where one is known."""
    try:
        refuse_no_file(root / ADDRESSES)
        text = (root / ADDRESSES).read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        text = ""
    addresses = (ADDRESS.search(line) for line in text.splitlines() if len(line) <= LONGEST_LINE)
    listed = {match["archive"]: match["language"] for match in addresses if match}
    languages = {}
    for folder in folders:
        above = [part for part in folder.split("/")[:-1] if part.casefold() in LANGUAGE_FAMILIES]
        language = of_evar.get(_name(folder)) or listed.get(_name(folder)) or (above[-1] if above else "")
        language = (language or _readme_language(root / folder / "etc" / "README")).casefold()
        if language in LANGUAGE_FAMILIES:
            languages[folder] = language
    return languages


def _readme_language(path: Path) -> str:
    try:
        refuse_no_file(path)
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            match = README_LANGUAGE.search(file.read(LONGEST_README))
    except OSError:
        return ""
    return match[1] if match else ""
