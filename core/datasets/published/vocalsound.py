"""VocalSound: laughter, sighs, coughs, throat clearing, sneezes and sniffs of 3,365 people."""

from __future__ import annotations

import re
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.derive import gender, is_small_number
from core.datasets.files import (
    by_published_name,
    evar_file,
    evar_splits,
    mismatches,
    not_the_list,
    published_name,
    read_json,
    read_rows,
    some_names,
    walk,
)
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.results import Problem

NAME = re.compile(
    r"(?P<speaker>[fm]\d{4})_(?P<collection>\d+)_(?P<sound>laughter|sigh|cough|throatclearing|sneeze|sniff)\.wav"
)
FOLDERS = ("audio_16k", "audio_44k", "data_44k")
PEOPLE = "meta/all_meta.csv"
COLUMNS = ("speaker", "gender", "age", "country", "language", "health")
PARTS = {"tr": "train", "val": "valid", "te": "test"}
AGE_GROUPS = {"18-25": range(18, 26), "26-48": range(26, 49), "49-80": range(49, 81)}
"""As the authors evaluate them."""


class VocalSound(Published):
    """VocalSound.

    Attributes of a clip
    --------------------
    sound, gender, speaker : str
        From the file's name; speakers are in one part only.
    age, country, language, health : str
        Of the speaker, from ``meta/all_meta.csv``; age in the authors' three groups, health "no" for no problem.
    """

    name = "vocalsound"
    title = "VocalSound: six human sounds other than speech"
    source = "https://github.com/YuanGongND/vocalsound"
    licence = "CC BY-SA 4.0"
    size = "1.7 GB (16 kHz) or 4.5 GB (44.1 kHz)"
    place = "vs_release_16k/{audio_16k/*.wav, datafiles/*.json, meta/all_meta.csv}"
    tasks = {
        "sound": "vocalsound",
        "gender": "vocalsound-gender",
        "age": "vocalsound-age",
        "country": "vocalsound-country",
        "language": "vocalsound-language",
        "health": "vocalsound-health",
    }
    groups = ("speaker",)
    n_clips = 21_024
    n_classes = {"sound": 6, "gender": 2, "age": 3}
    unit_seconds = 4.18

    def recognise(self, folder: Path) -> bool:
        return _audio_folder(folder) is not None

    def listing(self, root: Path, options: Options) -> Listing:
        audio = _audio_folder(root) or FOLDERS[0]
        people, notes = _people(root / PEOPLE)
        problems: list[Problem] = []
        matches: dict[str, re.Match[str]] = {}
        files = by_published_name(walk(root / audio))
        for name in files:
            match = NAME.fullmatch(name)
            if match is None:
                problems.append(Problem(f"{audio}/{name}", "is not named as speaker_collection_sound.wav"))
            else:
                matches[name] = match
        speakers = {match["speaker"] for match in matches.values()}
        if people:
            reason = f"has no row in {PEOPLE}: stays, without age, country, language and health"
            nameless = sorted(speakers - set(people))
            problems += [Problem(f"{audio}/{speaker}_*", reason, left_out=False) for speaker in nameless]

        splits, origin = _lists(root / "datafiles"), "official"
        table = evar_file(options.evar_dir, "metadata", "vocalsound.csv")
        if not splits and table is not None:
            splits, origin = {Path(file).name: split for file, split in evar_splits(table).items() if split}, "EVAR"
        if splits:
            told_by = "datafiles" if origin == "official" else "EVAR's vocalsound.csv"
            problems += mismatches((f"{audio}/{n}" for n in splits), (f"{audio}/{n}" for n in matches), told_by)
        else:
            parts, origin = own_splits(speakers, options.seed), "ours"
            splits = {name: parts[match["speaker"]] for name, match in matches.items()}
            notes.append("vocalsound: no datafiles/tr.json, val.json, te.json; split by speaker instead")
        clips = [
            Clip(f"{audio}/{files[name]}", splits[name], _labels(match, people.get(match["speaker"], {})))
            for name, match in matches.items()
            if name in splits
        ]
        together = [clip.labels["speaker"] for clip in clips] if origin == "ours" else []
        return Listing(clips, problems, origin, notes=notes, kept_together=together)


def _audio_folder(root: Path) -> str | None:
    for folder in FOLDERS:
        if any(NAME.fullmatch(published_name(name)) for name in some_names(root / folder)):
            return folder
    return None


def _people(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    if not path.is_file():
        return {}, [f"vocalsound: no {PEOPLE}, so no age, country, language, health; unpack the archive again"]
    return {row["speaker"]: row for row in read_rows(path, header=COLUMNS)}, []


def _lists(folder: Path) -> dict[str, str]:
    """File name to part, from the authors' lists; the 44 kHz release has them as ``tr_rev.json`` and so on."""
    splits: dict[str, str] = {}
    for short, part in PARTS.items():
        path = next((p for p in (folder / f"{short}.json", folder / f"{short}_rev.json") if p.is_file()), None)
        if path is None:
            continue
        what = "no list of VocalSound clips"
        content = read_json(path, what)
        try:
            # The paths are those of the authors' machine.
            splits |= {re.split(r"[/\\]", entry["wav"])[-1]: part for entry in content["data"]}
        except (KeyError, TypeError) as error:
            raise not_the_list(path, what, error) from error
    return splits


def _labels(match: re.Match[str], person: dict[str, str]) -> dict[str, str]:
    return {
        "sound": match["sound"],
        "gender": gender(match["speaker"]),
        "age": age_group(person.get("age", "")),
        "country": person.get("country", ""),
        "language": person.get("language", ""),
        "health": person.get("health", ""),
        "speaker": match["speaker"],
    }


def age_group(age: str) -> str:
    """``"30"`` is in ``"26-48"``; empty where it is in none."""
    return next((name for name, years in AGE_GROUPS.items() if is_small_number(age) and int(age) in years), "")
