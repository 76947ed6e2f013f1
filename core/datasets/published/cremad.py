"""CREMA-D: actors speak twelve sentences in six emotions."""

from __future__ import annotations

import re
from pathlib import Path

from core.datasets.base import Clip
from core.datasets.derive import gender, is_small_number
from core.datasets.files import evar_file, evar_splits, is_lfs_pointer, read_rows, some_names, walk
from core.datasets.published.base import Listing, Options, Published
from core.datasets.splits import own_splits
from core.results import Problem

NAME = re.compile(
    r"(?P<actor>1\d{3})_(?P<sentence>IEO|DFA|IOM|ITH|ITS|IWL|IWW|MTI|TAI|TIE|TSI|WSI)"
    r"_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>LO|MD|HI|XX?)"
)
"""One published file ends in a single X."""
FOLDERS = ("AudioWAV", "AudioMP3", ".")
ACTORS = "VideoDemographics.csv"


class CremaD(Published):
    """CREMA-D.

    Attributes of a clip
    --------------------
    emotion, sentence, level : str
        From the file's name. The emotion is the acted one; only the sentence IEO has levels (LO, MD, HI).
    gender, age, race, ethnicity : str
        Of the actor, from ``VideoDemographics.csv``; age in decades, race without "Unknown".
    actor : str
        From the file's name; our split, and EVAR's, are by actor.
    """

    name = "cremad"
    title = "CREMA-D: 91 actors, twelve sentences, six acted emotions"
    source = "https://github.com/CheyneyComputerScience/CREMA-D (needs Git LFS)"
    licence = "ODbL 1.0, contents DbCL 1.0"
    size = "606 MB (AudioWAV)"
    place = "CREMA-D/AudioWAV/*.wav and CREMA-D/VideoDemographics.csv (a clone, after 'git lfs pull')"
    tasks = {
        "emotion": "cremad",
        "gender": "cremad-gender",
        "age": "cremad-age",
        "race": "cremad-race",
        "ethnicity": "cremad-ethnicity",
        "sentence": "cremad-sentence",
        "level": "cremad-level",
    }
    groups = ("actor",)
    derived = {"age": ("age", "decade")}
    n_clips = 7_442
    n_classes = {"emotion": 6, "gender": 2, "race": 3, "ethnicity": 2, "sentence": 12, "level": 3}
    unit_seconds = 2.5

    def recognise(self, folder: Path) -> bool:
        return _audio_folder(folder) is not None

    def listing(self, root: Path, options: Options) -> Listing:
        audio = _audio_folder(root) or "."
        prefix = "" if audio == "." else f"{audio}/"
        people, notes = _people(root / ACTORS)
        matches: list[tuple[str, re.Match[str]]] = []
        problems: list[Problem] = []
        n_pointers = 0
        for name in walk(root / audio):
            path = prefix + name
            match = NAME.fullmatch(Path(name).stem)
            if match is None:
                problems.append(Problem(path, "is not named as actor_sentence_emotion_level"))
            elif is_lfs_pointer(root / path):
                n_pointers += 1
                problems.append(Problem(path, "is a Git LFS pointer, not audio; run 'git lfs pull' in its repository"))
            else:
                matches.append((path, match))
        if n_pointers:
            notes.append(f"cremad: {n_pointers:,} files are Git LFS pointers; run 'git lfs pull' in {root}")
        actors = {match["actor"] for _, match in matches}
        if people:
            reason = f"has no row in {ACTORS}: stays, without gender, age, race and ethnicity"
            nameless = sorted(actors - set(people))
            problems += [Problem(f"{prefix}{actor}_*", reason, left_out=False) for actor in nameless]

        table = evar_file(options.evar_dir, "metadata", "cremad.csv")
        splits = own_splits(actors, options.seed)
        if table is not None:
            splits = {Path(file).name[:4]: split for file, split in evar_splits(table).items() if split}
            problems += [
                Problem(path, "is by an actor who is not in EVAR's cremad.csv")
                for path, match in matches
                if match["actor"] not in splits
            ]
            notes.append("cremad: each actor is in EVAR's part, also with the few clips that EVAR does not list")
        clips = [
            Clip(path, splits[match["actor"]], _labels(match, people.get(match["actor"], {})))
            for path, match in matches
            if match["actor"] in splits
        ]
        notes.append("cremad: the emotion is what was acted, not what raters heard")
        together = [match["actor"] for _, match in matches] if table is None else []
        return Listing(clips, problems, "EVAR" if table is not None else "ours", notes=notes, kept_together=together)


def _audio_folder(root: Path) -> str | None:
    for folder in FOLDERS:
        if any(NAME.fullmatch(name.rpartition(".")[0]) for name in some_names(root / folder)):
            return folder
    return None


def _people(path: Path) -> tuple[dict[str, dict[str, str]], list[str]]:
    if not path.is_file():
        return {}, [f"cremad: no {ACTORS} beside the sound, so no gender, age, race, ethnicity; get it from the source"]
    rows = read_rows(path, ("ActorID", "Age", "Sex", "Race", "Ethnicity"))
    return {row["ActorID"]: row for row in rows}, []


def _labels(match: re.Match[str], person: dict[str, str]) -> dict[str, str]:
    age, race, level = person.get("Age", ""), person.get("Race", ""), match["level"]
    return {
        "emotion": match["emotion"],
        "gender": gender(person.get("Sex", "")),
        "age": age if is_small_number(age) else "",
        "race": "" if race == "Unknown" else race,
        "ethnicity": person.get("Ethnicity", ""),
        "sentence": match["sentence"],
        "level": "" if level.startswith("X") else level,
        "actor": match["actor"],
    }
