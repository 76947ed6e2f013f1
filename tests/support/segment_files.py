"""Segments as people have them: every format, told from one list of spans, beside sounds of a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from core.datasets import find
from core.datasets.base import Dataset

RATE = 16_000
Span = tuple[float, float, str]
WORDS: tuple[Span, ...] = ((0.1, 0.3, "she"), (0.3, 0.75, "had"))
PHONES: tuple[Span, ...] = ((0.1, 0.2, "sh"), (0.2, 0.3, "iy"), (0.3, 0.5, "hh"), (0.5, 0.75, "ae"))


def sound(path: Path, seconds: float = 1.0) -> Path:
    """A quiet noise at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).standard_normal(round(seconds * RATE)) * 0.01
    soundfile.write(path, noise, RATE)
    return path


def corpus(root: Path, names: Sequence[str] = ("a", "b"), seconds: float = 1.0) -> Path:
    """A folder of sounds with a manifest of one attribute."""
    for name in names:
        sound(root / f"{name}.wav", seconds)
    rows = [f"{name}.wav,{('train', 'test')[i % 2]},{('cat', 'dog')[i % 2]}\n" for i, name in enumerate(names)]
    (root / "manifest.csv").write_text("file,split,kind\n" + "".join(rows))
    return root


def found(root: Path) -> Dataset:
    """The one dataset in a folder."""
    (dataset,) = find([root])
    return dataset


def spans(dataset: Dataset, attribute: str, clip: int = 0) -> list[Span]:
    """A clip's segments of one attribute, times to the microsecond."""
    return [
        (round(s.onset, 6), round(s.offset, 6), s.label)
        for s in dataset.clips[clip].segments
        if s.attribute == attribute
    ]


def textgrid(tiers: dict[str, Sequence[Span]], end: float = 1.0, is_long: bool = True) -> str:
    """A TextGrid as Praat writes it, with empty intervals between the spans."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    filled = {name: _filled(of, end) for name, of in tiers.items()}
    if not is_long:
        lines += ["0", f"{end}", "<exists>", f"{len(tiers)}"]
        for name, of in filled.items():
            lines += ['"IntervalTier"', f'"{name}"', "0", f"{end}", f"{len(of)}"]
            lines += [line for on, off, label in of for line in (f"{on}", f"{off}", f'"{label}"')]
        return "\n".join([*lines, ""])
    lines += ["xmin = 0 ", f"xmax = {end} ", "tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for number, (name, of) in enumerate(filled.items(), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ']
        lines += ["        xmin = 0 ", f"        xmax = {end} ", f"        intervals: size = {len(of)} "]
        for i, (on, off, label) in enumerate(of, start=1):
            lines += [f"        intervals [{i}]:", f"            xmin = {on} ", f"            xmax = {off} "]
            lines += [f'            text = "{label}" ']
    return "\n".join([*lines, ""])


POINTS = """    item [2]:
        class = "TextTier"
        name = "tones"
        xmin = 0
        xmax = 1
        points: size = 2
        points [1]:
            number = 0.25
            mark = "H*"
        points [2]:
            number = 0.5
            mark = ""
"""


def _filled(of: Sequence[Span], end: float) -> list[Span]:
    filled, at = list[Span](), 0.0
    for on, off, label in of:
        filled += [(at, on, "")] if on > at else []
        filled.append((on, off, label))
        at = max(at, off)
    return [*filled, (at, end, "")] if at < end else filled


def timit(of: Sequence[Span], rate: int = RATE) -> str:
    return "".join(f"{round(on * rate)} {round(off * rate)} {label}\n" for on, off, label in of)


def audacity(of: Sequence[Span]) -> str:
    return "".join(f"{on:.6f}\t{off:.6f}\t{label}\n" for on, off, label in of)


def vtt(of: Sequence[Span]) -> str:
    return "WEBVTT\n\n" + "".join(f"00:{on:06.3f} --> 00:{off:06.3f}\n<v Ann>{label}\n\n" for on, off, label in of)


def srt(of: Sequence[Span]) -> str:
    def time(at: float) -> str:
        return f"00:00:{at:06.3f}".replace(".", ",")

    return "".join(f"{i}\n{time(on)} --> {time(off)}\n{label}\n\n" for i, (on, off, label) in enumerate(of, start=1))


def strong(of: Sequence[Span], file: str = "a.wav") -> str:
    return "".join(f"{file}\t{on}\t{off}\t{label}\n" for on, off, label in of)


MIDI = b"MThd\0\0\0\x06\0\x01\0\x01\0\xdcMTrk\0\0\0\x0c\0\x90<@\x40\x80<@\0\xff\x2f\0"
"""One note, C4."""


def every_format(root: Path) -> list[tuple[Path, bytes]]:
    """A folder of sounds, each with its segments in another format, and a table; the files and what is in them."""
    texts = {
        "a.TextGrid": textgrid({"words": WORDS, "phones": PHONES}) + POINTS,
        "b.TextGrid": textgrid({"words": WORDS, "phones": PHONES}, is_long=False),
        "c.PHN": timit(PHONES),
        "d.txt": audacity(WORDS),
        "e.vtt": vtt(WORDS),
        "f.srt": srt(WORDS),
        "strong.tsv": "filename\tonset\toffset\tevent_label\n" + strong(WORDS, "h.wav"),
    }
    corpus(root, tuple("abcdefgh"))
    contents = {name: text.encode() for name, text in texts.items()} | {"g.mid": MIDI}
    for name, content in contents.items():
        (root / name).write_bytes(content)
    return [(root / name, content) for name, content in contents.items()]
