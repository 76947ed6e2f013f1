"""Small replicas of datasets of speech, voices and notes, with generated audio and the real sets' quirks.

Beside the clips that can be used each holds, where the real set could: a file that is no audio, files that only the
table or only the disk has, speakers without a row, wrong names, and what macOS leaves behind.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from core.datasets.splits import own_splits

PARTS = ("train", "valid", "test")
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 80000\n"


def tone(path: Path, hertz: float, seed: int, rate: int = 16_000, noise: float = 0.05) -> None:
    """Write 0.2 s of a tone with two overtones and noise over it; the format is the name's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([int(hertz), seed])
    times = np.arange(int(0.2 * rate)) / rate
    wave = sum(0.2 / k * np.sin(2 * np.pi * k * hertz * times) for k in (1, 2, 3))
    soundfile.write(path, (wave + noise * rng.standard_normal(len(times))).clip(-1, 1), rate)


def midi(path: Path, pitch: int, seed: int, rate: int = 16_000) -> None:
    """Write a note."""
    tone(path, 440 * 2 ** ((pitch - 69) / 12), seed, rate)


def junk(*paths: Path) -> None:
    """Write files that look like audio by their names only."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no audio at all")


def groups_of(names: Sequence[str], train: int, valid: int, test: int, seed: int = 0) -> dict[str, str]:
    """So many of the names in each part as our own split draws them: group to part."""
    parts = own_splits(names, seed)
    return {
        name: part
        for part, n in zip(PARTS, (train, valid, test), strict=True)
        for name in [name for name in names if parts[name] == part][:n]
    }


def voxforge(folder: Path) -> Path:
    """78 good clips of 5 languages: told by a folder, wget's tree, the list of addresses, the README (fr, it)."""
    root = folder / "voxforge"
    places = {
        "de": "de",
        "en": "en/Trunk/Audio/Main/16kHz_16bit",
        "ru": ".",
        "fr": ".",
        "it": ".",
    }
    addresses = []
    for kind, (language, place) in enumerate(places.items()):
        speakers = groups_of([f"{language}speaker{i}" for i in range(40)], 4, 1, 2)
        archives = [f"{name}-20100{i + 1}01-abc" for i, name in enumerate(speakers)]
        if language == "de":
            archives += [f"anonymous-2011010{i}-x{i}" for i in range(4)]
        for i, archive in enumerate(archives):
            home = root / place / archive
            for clip in range(2):
                sub = "flac" if language == "ru" and i == 0 else "wav"
                rate = 48_000 if i == 1 else 16_000
                tone(home / sub / f"{language}-{clip:02}.{sub}", 200 * 1.3**kind, 2 * i + clip, rate)
            (home / "etc").mkdir()
            told = {"fr": "Language: FR\r\n", "it": "\tlanguage: it\n"}.get(language, "Language: EN\n")
            (home / "etc" / "README").write_bytes(
                f"User Name:x\n\nGender: unknown\n{told}Dialect: é\n".encode("latin-1")
            )
            if language == "ru":
                addresses.append(f"http://www.example.org/ru/Trunk/Audio/Main/16kHz_16bit/{archive}.tgz\r\n")
    (root / "voxforge_urls.txt").write_text("".join(addresses), encoding="utf-8")
    first = next((root / "de").glob("despeaker*"))
    junk(first / "wav" / "de-99.wav", first / "wav" / "._de-00.wav")
    tone(root / "lost-20100101-abc" / "wav" / "a.wav", 200, 0)
    tone(root / "stray" / "a.wav", 200, 0)
    return root


NATIONALITIES = {"USA": 6, "Norway": 5, "France": 1}


def voxceleb1(folder: Path) -> Path:
    """91 good clips of 13 speakers, 4 in train, 1 in valid, 2 in test; the table with tabs, quotes, blanks and CRLF."""
    root = folder / "voxceleb1"
    rows, lines = ['VoxCeleb1 ID\t"VGGFace1 ID"\tGender\tNationality\tSet'], []
    nations = [nation for nation, n in NATIONALITIES.items() for _ in range(n)] + ["no row"]
    for i, nation in enumerate(nations):
        speaker = f"id{10_001 + i}"
        gender = "mf"[i % 2]
        person = (
            (speaker, f'"Some Name_{i}"', gender, f" {nation} ", "dev ")
            if i % 3
            else (speaker, "N", gender, nation, "dev")
        )
        if nation != "no row":
            rows.append("\t".join(person))
        for clip, part in enumerate((1, 1, 1, 1, 2, 3, 3)):
            name = f"{speaker}/video{i}_{clip // 2}/{clip:05}.wav"
            tone(root / "wav" / name, (120 if gender == "m" else 220) * 1.1 ** len(nation), i)
            lines.append(f"{part} {name}")
    lines += [
        "1 id10001/video0_0/00077.wav",  # not on disk
        "1 id10999/video0/00001.wav",  # a speaker of whom nothing is on disk
        "4 id10001/video0_0/00000.wav",  # no such part
        "1 id10001/video0_0/00099.wav",  # no audio
    ]
    junk(root / "wav" / "id10001" / "video0_0" / "00099.wav", root / "wav" / "id10001" / "video0_0" / "._00000.wav")
    tone(root / "wav" / "id10001" / "video0_0" / "00088.wav", 150, 51)  # not listed
    tone(root / "wav" / "id10001" / "00001.wav", 150, 52)  # no video
    (root / "vox1_meta.csv").write_bytes("\r\n".join([*rows, ""]).encode("utf-8-sig"))
    (root / "iden_split.txt").write_bytes("\r\n".join([*lines, "", ""]).encode())
    return root


def cremad(folder: Path) -> Path:
    """142 good clips, nearly all of 10 actors (4 train, 2 valid, 4 test); one ends in a single X, one is a pointer."""
    root = folder / "CREMA-D"
    actors = groups_of([str(number) for number in range(1001, 1090)], 4, 2, 4)
    emotions = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    sentences = ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
    rows = ["ActorID,Age,Sex,Race,Ethnicity"]
    for i, actor in enumerate(actors):
        sex, race = ("Female", "Male")[i % 2], ("Caucasian", "African American")[i % 2]
        age, ethnicity = (25 + i % 2 * 20, ("Not Hispanic", "Hispanic")[i % 2])
        rows.append(f'{actor},{age},{sex},"{race}",{ethnicity}')
        spoken = [(s, emotions[(i + j) % 6], "XX") for j, s in enumerate(sentences)]
        spoken += [("IEO", emotions[(i + j) % 6], level) for j, level in enumerate(("LO", "MD", "HI"))]
        for sentence, emotion, level in spoken:
            path = root / "AudioWAV" / f"{actor}_{sentence}_{emotion}_{level}.wav"
            tone(path, (220 if sex == "Female" else 120) * (1 + 0.2 * emotions.index(emotion)), i)
    first = min(actors)
    audio = root / "AudioWAV"
    (audio / f"{first}_WSI_HAP_XX.wav").write_bytes(LFS_POINTER)
    next(audio.glob(f"{first}_TSI_*_XX.wav")).rename(audio / f"{first}_TSI_SAD_X.wav")
    junk(audio / f"{first}_IOM_SAD_XX.wav", audio / f"._{first}_IOM_SAD_XX.wav")
    tone(audio / "1001_XYZ_ANG_XX.wav", 200, 0)
    tone(audio / "1091_DFA_ANG_XX.wav", 200, 0)  # an actor without a row
    (root / "VideoDemographics.csv").write_bytes(
        "\r\n".join([*rows, "1090,45,Male,Unknown,Hispanic", ""]).encode("utf-8-sig")
    )
    tone(audio / "1090_DFA_ANG_XX.wav", 200, 0)
    return root


PITCHES = (48, 57, 60, 69)
"""C and A, of octaves 3 and 4."""


def nsynth(folder: Path) -> Path:
    """55 good clips: 3 families in train (synth_lead nowhere else), 2 in valid and test."""
    root = folder / "nsynth"
    numbers = itertools.count()
    for part, families in (("train", 3), ("valid", 2), ("test", 2)):
        entries = {}
        kinds = (("bass", "synthetic"), ("guitar", "acoustic"), ("synth_lead", "synthetic"))[:families]
        for k, (family, source) in enumerate(kinds):
            instrument = f"{family}_{source}_{next(numbers):03}"
            for pitch, velocity in itertools.product(PITCHES, (50, 100)):
                name = f"{instrument}-{pitch:03}-{velocity:03}"
                midi(root / f"nsynth-{part}" / "audio" / f"{name}.wav", pitch, 200 * k + velocity)
                entries[name] = _entry(name, instrument, family, source, pitch, velocity)
        if part == "train":
            name = "guitar_acoustic_001-061-127"  # not on disk
            entries[name] = _entry(name, "guitar_acoustic_001", "guitar", "acoustic", 61, 127)
            audio = root / "nsynth-train" / "audio"
            junk(audio / "guitar_acoustic_001-060-100.wav", audio / "._guitar_acoustic_001-060-050.wav")
            midi(audio / "guitar_acoustic_001-062-127.wav", 62, 0)  # not listed
        (root / f"nsynth-{part}" / "examples.json").write_text(json.dumps(entries, indent=4), encoding="utf-8")
    return root


def _entry(name: str, instrument: str, family: str, source: str, pitch: int, velocity: int) -> dict[str, object]:
    return {
        "note": 7, "note_str": name, "instrument": 1, "instrument_str": instrument, "pitch": pitch,
        "velocity": velocity, "sample_rate": 16_000, "qualities": [0, 1], "qualities_str": ["dark"],
        "instrument_family": 0, "instrument_family_str": family,
        "instrument_source": 0, "instrument_source_str": source,
    }  # fmt: skip


def surge(folder: Path) -> Path:
    """62 good clips: 16 tones (8 train, 4 valid, 4 test), four notes each, one note missing; Vorbis at 44.1 kHz."""
    root = folder / "surge"
    for kind, source in enumerate(("3rdparty", "factory")):
        tones = groups_of([f"surge-patches-{source}-Maker-Bass {i}-velocity64" for i in range(99)], 4, 2, 2)
        for i, name in enumerate(tones):
            for pitch in PITCHES:
                midi(root / name / f"{pitch}.ogg", pitch, 100 * kind + i, 44_100)
    (root / name / "48.ogg").unlink()
    junk(root / min(tones) / "69.ogg", root / name / "._57.ogg")
    midi(root / name / "loud.ogg", 60, 0)
    midi(root / name / "128.ogg", 60, 0)
    return root


def vocalsound(folder: Path) -> Path:
    """85 good clips, nearly all of 14 speakers (8 train, 3 valid, 3 test), six sounds each, at two rates."""
    root = folder / "vs_release_44k"
    sounds = ("laughter", "sigh", "cough", "throatclearing", "sneeze", "sniff")
    lists: dict[str, list[dict[str, str]]] = {"tr": [], "val": [], "te": []}
    rows = []

    def listed(part: str, name: str) -> Path:
        lists[part].append({"wav": f"/home/authors/data_44k/{name}", "labels": "/m/01j3sz", "spk_id": name[:5]})
        return root / "data_44k" / name

    for i, part in enumerate(["tr"] * 8 + ["val"] * 3 + ["te"] * 3):
        speaker = f"{'fm'[i % 2]}{3 + i:04}"
        sex, age = ("female", "male")[i % 2], (20, 30, 60)[i % 3]
        lives = ('USA,English,"no"', '"India, South", Hindi,yes')[i % 2]
        rows.append(f"{speaker},{sex},{age},{lives}")
        for k, sound in enumerate(sounds):
            tone(listed(part, f"{speaker}_0_{sound}.wav"), 150 * 1.4**k, i, 44_100 if i % 2 else 48_000)
    junk(listed("tr", "f0003_1_cough.wav"), root / "data_44k" / "._f0003_0_cough.wav")
    listed("te", "f0003_2_cough.wav")  # not on disk
    tone(root / "data_44k" / "f0003_3_cough.wav", 200, 0)  # not listed
    tone(root / "data_44k" / "f0003_0_yawn.wav", 200, 0)
    tone(listed("tr", "m0999_0_cough.wav"), 200, 0)  # a speaker without a row
    (root / "meta").mkdir()
    (root / "meta" / "all_meta.csv").write_bytes("\r\n".join([*rows, ""]).encode())
    (root / "datafiles").mkdir()
    for part, entries in lists.items():
        (root / "datafiles" / f"{part}_rev.json").write_text(json.dumps({"data": entries}), encoding="utf-8")
    return root


def common_voice(folder: Path) -> Path:
    """Two languages; 8 train, 4 valid and 4 test clips each by speakers of both genders, ages and accents."""
    root = folder / "cv-corpus-21.0-2025-03-14"
    header = (
        "client_id",
        "path",
        "sentence",
        "up_votes",
        "down_votes",
        "age",
        "gender",
        "accents",
        "locale",
        "segment",
    )
    for language in ("de", "en"):
        number = 0
        for part, n in (("train", 8), ("dev", 4), ("test", 4)):
            rows = ["\t".join(header)]
            for i in range(n):
                name = f"common_voice_{language}_{number}.mp3"
                number += 1
                person = (f"{language}-{part}-{i // 2}", ("twenties", "sixties")[i % 4 // 2])
                gender = ("male_masculine", "female")[i % 2]
                cells = (person[0], name, '"Quoted, and not closed', "2", "0", person[1], gender, f"{language} {i % 2}")
                rows.append("\t".join((*cells, language, "")))
                tone(root / language / "clips" / name, 200 * 1.5 ** (i % 2), number)
            (root / language / f"{part}.tsv").write_text("\n".join([*rows, ""]), encoding="utf-8")
        tone(root / language / "clips" / f"common_voice_{language}_90.mp3", 200, 90)  # in no table that counts
    row = ("de-train-0", "common_voice_de_91.mp3", "gone", "2", "0", "", "", "", "de", "")
    broken = ("de-train-0", "common_voice_de_92.mp3", "broken", "2", "0", "", "", "", "de", "")
    with (root / "de" / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("\t".join(row) + "\n" + "\t".join(broken) + "\n")
    junk(root / "de" / "clips" / "common_voice_de_92.mp3", root / "en" / "clips" / "._common_voice_en_0.mp3")
    return root


REPLICAS: dict[str, Callable[[Path], Path]] = {
    "commonvoice": common_voice,
    "voxforge": voxforge,
    "vc1": voxceleb1,
    "cremad": cremad,
    "nsynth": nsynth,
    "surge": surge,
    "vocalsound": vocalsound,
}
