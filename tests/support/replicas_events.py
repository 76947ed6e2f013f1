"""Small replicas of datasets of sound events, words and music, with generated audio and the real sets' quirks.

Beside the clips that can be used each holds, where the real set could: a file that is no audio, files that only the
table or only the disk has, rows without a label, wrong names, and what macOS leaves behind.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile


def sound(
    path: Path,
    kind: int,
    seed: int,
    rate: int = 16_000,
    seconds: float = 0.2,
    channels: int = 1,
    subtype: str = "PCM_16",
) -> None:
    """Write a tone of the kind's own pitch with noise over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([kind, seed])
    times = np.arange(int(rate * seconds)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * 1.4**kind * times) + 0.05 * rng.standard_normal(len(times))
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1).clip(-1, 1), rate, subtype=subtype)


def junk(*paths: Path) -> None:
    """Write files that look like audio by their names only."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no audio at all")


def table(path: Path, rows: Iterable[Sequence[object]], end: str = "\n", encoding: str = "utf-8") -> None:
    """Write rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode(encoding))


def esc50(folder: Path) -> Path:
    """60 good clips: 6 categories of 5 groups, 2 a fold; the table with byte-order mark and CRLF."""
    root = folder / "ESC-50-master"
    kinds = {"dog": 0, "rooster": 1, "rain": 10, "crying_baby": 20, "clock_alarm": 37, "helicopter": 40}
    rows: list[Sequence[object]] = [("filename", "fold", "target", "category", "esc10", "src_file", "take")]

    def add(fold: int, source: int, take: str, category: str, target: int) -> Path:
        name = f"{fold}-{source}-{take}-{target}.wav"
        rows.append((name, fold, target, category, target in (0, 1, 10), source, take))
        return root / "audio" / name

    for fold in range(1, 6):
        for kind, (category, target) in enumerate(kinds.items()):
            for take in "AB":
                path = add(fold, 1000 + 10 * fold + kind, take, category, target)
                sound(path, kind, 2 * fold + (take == "B"), rate=44_100)
    junk(add(1, 9001, "A", "dog", 0), root / "audio" / "._1-1010-A-0.wav", root / "audio" / ".DS_Store")
    add(2, 9002, "A", "dog", 0)  # not on disk
    sound(add(3, 9003, "A", "", 0), 0, 0)
    sound(add(6, 9004, "A", "dog", 0), 0, 0)
    sound(add(4, 9005, "A", "dog", 50), 0, 0)
    add(5, 9006, "A", "rain", 10).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 441044\n")
    sound(root / "audio" / "5-9007-A-0.wav", 0, 0)  # not in the table
    table(root / "meta" / "esc50.csv", rows, end="\r\n", encoding="utf-8-sig")
    return root


def gise51(folder: Path) -> Path:
    """40 good clips: 4 events, 5 train, 2 val, 3 eval; bracket parts of class names are missing in train."""
    root = folder / "GISE-51" / "isolated_events"
    number = 100
    for part, n in (("train", 5), ("val", 2), ("eval", 3)):
        for kind, event in enumerate(("Coin_(dropping)", "Dog", "Hi-hat", "Zipper_(clothing)")):
            name = event.partition("_(")[0] if part == "train" else event
            for i in range(n):
                number += 1
                stem = "take_two" if (part, event, i) == ("val", "Dog", 0) else str(number)
                sound(root / part / name / f"{stem}.wav", kind, i, rate=44_100, seconds=0.1 + 0.05 * i)
    junk(root / "train" / "Dog" / "90.wav", root / "train" / "Dog" / "._101.wav")
    sound(root / "train" / "Kazoo" / "91.wav", 0, 0)
    sound(root / "eval" / "92.wav", 0, 0)
    return root


def urbansound8k(folder: Path) -> Path:
    """80 good clips: 4 classes, 2 a fold; rates, widths, codecs and channels as they come."""
    root = folder / "UrbanSound8K"
    rows: list[Sequence[object]] = [
        ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"),
    ]

    def add(fold: int, source: int, i: int, number: int, name: str) -> Path:
        file = f"{source}-{number}-0-{i}.wav"
        rows.append((file, source, 0.0, 0.2, 1 + i, fold, number, name))
        return root / "audio" / f"fold{fold}" / file

    forms = [(8_000, "PCM_U8"), (11_025, "PCM_16"), (44_100, "PCM_24"), (48_000, "FLOAT"), (22_050, "MS_ADPCM")]
    classes = {"air_conditioner": 0, "car_horn": 1, "dog_bark": 3, "siren": 8}
    for fold in range(1, 11):
        for kind, (name, number) in enumerate(classes.items()):
            for i in range(2):
                rate, subtype = forms[(fold + kind + i) % len(forms)]
                path = add(fold, 1000 * fold + kind, i, number, name)
                sound(path, kind, 2 * fold + i, rate, channels=1 + (fold + i) % 2, subtype=subtype)
    junk(add(1, 99, 0, 3, "dog_bark"), root / "audio" / "fold1" / ".DS_Store", root / "audio" / "fold1" / "._99.wav")
    add(2, 98, 0, 3, "dog_bark")  # not on disk
    sound(add(3, 97, 0, 3, ""), 0, 0)
    sound(root / "audio" / "fold4" / "96-3-0-0.wav", 0, 0)  # not in the table
    table(root / "metadata" / "UrbanSound8K.csv", rows)
    return root


def gtzan(folder: Path) -> Path:
    """28 good clips of the filtered lists: 4 genres, 4 train, 1 valid, 2 test; rock as .au; 4 tracks in no list."""
    root = folder / "GTZAN"
    lists: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    parts = ("train",) * 4 + ("valid",) + ("test",) * 2
    for kind, genre in enumerate(("blues", "classical", "jazz", "rock")):
        for i in range(len(parts) + 1):
            suffix = "au" if genre == "rock" else "wav"
            sound(root / "genres" / genre / f"{genre}.{i:05d}.{suffix}", kind, i, rate=22_050, seconds=0.3)
            if i < len(parts):
                lists[parts[i]].append(f"{genre}/{genre}.{i:05d}.wav")
    lists["train"] += ["jazz/jazz.00054.wav", "classical/classical.00099.wav"]  # the latter is not on disk
    junk(root / "genres" / "jazz" / "jazz.00054.wav", root / "genres" / "jazz" / "._jazz.00001.wav")
    sound(root / "genres" / "blues" / "track one.wav", 0, 0)
    sound(root / "genres" / "blues" / "blues.00000.au", 0, 0)
    for part, lines in lists.items():
        (root / f"{part}_filtered.txt").write_text("\n".join(lines) + "\n")
    return root


def speech_commands(folder: Path) -> Path:
    """48 good clips: 4 words of 6 train, 2 valid and 2 test speakers; two clips of each train speaker for ``yes``."""
    root = folder / "speech_commands_v0.02"
    speakers = [f"{7919 * (i + 1):08x}" for i in range(10)]
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for kind, word in enumerate(("no", "up", "yes", "zero")):
        for i, speaker in enumerate(speakers):
            for take in range(2 if word == "yes" and i < 8 else 1):
                path = f"{word}/{speaker}_nohash_{take}.wav"
                sound(root / path, kind, 2 * i + take, seconds=0.2 - 0.01 * (i % 3))
                if i >= 6:
                    lists["validation_list.txt" if i < 8 else "testing_list.txt"].append(path)
    junk(root / "yes" / "0000ffff_nohash_0.wav", root / "yes" / "._0000ffff_nohash_0.wav")
    sound(root / "yes" / "yes again.wav", 0, 0)
    sound(root / "_background_noise_" / "white_noise.wav", 0, 0, seconds=1.0)
    lists["testing_list.txt"].append("up/0000eeee_nohash_0.wav")  # not on disk
    for name, lines in lists.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return root


def fsd50k(folder: Path) -> Path:
    """48 good clips: 4 leaf classes within 2 others, 6 train, 2 val, 4 eval of each leaf."""
    root = folder / "FSD50K"
    leaves = ["Bark,Dog,Animal", "Cat,Animal", "Acoustic_guitar,Guitar,Music", "Piano,Music"]
    dev: list[Sequence[object]] = [("fname", "labels", "mids", "split")]
    evaluation: list[Sequence[object]] = [("fname", "labels", "mids")]
    number = 100
    for part, n in (("train", 6), ("val", 2), ("eval", 4)):
        for kind, labels in enumerate(leaves):
            for i in range(n):
                number += 1
                mids = ",".join(f"/m/{name}" for name in labels.split(","))
                folder_name = "FSD50K.eval_audio" if part == "eval" else "FSD50K.dev_audio"
                sound(root / folder_name / f"{number}.wav", kind, i, rate=44_100, seconds=0.1 + 0.04 * i)
                if part == "eval":
                    evaluation.append((number, labels, mids))
                else:
                    dev.append((number, labels, mids, part))
    junk(root / "FSD50K.dev_audio" / "90.wav", root / "FSD50K.dev_audio" / "._101.wav")
    dev += [(90, "Cat,Animal", "", "train"), (91, "Cat,Animal", "", "train"), (92, "", "", "train")]
    sound(root / "FSD50K.dev_audio" / "92.wav", 0, 0)
    sound(root / "FSD50K.eval_audio" / "93.wav", 0, 0)  # not in the table
    sound(root / "FSD50K.dev_audio" / "94.wav", 0, 0)
    dev.append((94, "Cat,Animal", "", "maybe"))
    table(root / "FSD50K.ground_truth" / "dev.csv", dev)
    table(root / "FSD50K.ground_truth" / "eval.csv", evaluation)
    names = sorted({name for labels in leaves for name in labels.split(",")})
    table(root / "FSD50K.ground_truth" / "vocabulary.csv", [(i, name, f"/m/{name}") for i, name in enumerate(names)])
    return root


def tau(folder: Path) -> Path:
    """36 good clips of 3 scenes in 2 cities on 2 devices, of which the one fold lists 30; tables with tabs."""
    root = folder / "TAU-urban-acoustic-scenes-2019-mobile-development"
    rows: list[Sequence[object]] = [("filename", "scene_label", "identifier", "source_label")]
    lists: dict[str, list[Sequence[object]]] = {part: [("filename", "scene_label")] for part in ("train", "evaluate")}
    for kind, scene in enumerate(("airport", "bus", "park")):
        for i in range(12):
            city, device = ("lisbon", "lyon")[i % 2], "ab"[i // 6]
            place = f"{city}-{10 * kind + i // 4}"
            name = f"audio/{scene}-{place}-{i}-{device}.wav"
            sound(root / name, kind, i, rate=44_100, channels=2)
            rows.append((name, scene, place, device))
            if i < 10:
                lists["train" if i < 6 else "evaluate"].append((name, scene))
    rows.append(("audio/bus-lyon-90-0-a.wav", "bus", "lyon-90", "a"))  # not on disk
    rows.append(("audio/bus-lyon-91-0-a.wav", "bus", "lyon-91", "a"))
    lists["train"].append(("audio/bus-lyon-91-0-a.wav", "bus"))
    junk(root / "audio" / "bus-lyon-91-0-a.wav", root / "audio" / "._bus-lyon-91-0-a.wav")
    tables = {"meta.csv": rows, **{f"evaluation_setup/fold1_{part}.csv": listed for part, listed in lists.items()}}
    for name, cells in tables.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("".join("\t".join(map(str, row)) + "\n" for row in cells))
    return root


REPLICAS: dict[str, Callable[[Path], Path]] = {
    "tau": tau,
    "esc50": esc50,
    "gise51": gise51,
    "us8k": urbansound8k,
    "gtzan": gtzan,
    "spcv2": speech_commands,
    "fsd50k": fsd50k,
}
