"""What acoustic descriptors cost beside reading and encoding the same clips, on nano's size.

    python -m benchmarks.descriptors --clips 200 --seconds 2,5 --repeats 5

Clips of noisy tones are written to a folder, read, encoded and heard as `--describe` does, with and without the
descriptors, in turns. Times are of the processor (of all threads) and of the clock, medians. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import soundfile

from core.datasets.base import Clip, Dataset
from core.datasets.scan import scan
from core.describe import tokens
from core.describe.descriptors import NAMES
from core.describe.kept import Kept
from core.encoders import load_encoder
from core.recording.passes import Passes

RATE = 16_000


def write(folder: Path, n_clips: int, seconds: float) -> Dataset:
    """A dataset of noisy tones."""
    rng = np.random.default_rng(0)
    time_axis = np.arange(round(seconds * RATE)) / RATE
    for i in range(n_clips):
        tone = np.sin(2 * np.pi * rng.uniform(80, 900) * time_axis) * rng.uniform(0.05, 0.4)
        soundfile.write(folder / f"{i}.wav", tone + 0.05 * rng.standard_normal(len(tone)), RATE)
    return Dataset("made", folder, ("kind",), tuple(Clip(f"{i}.wav", "train", {"kind": "a"}) for i in range(n_clips)))


def main() -> None:
    """Print a row a length of clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", default="2,5")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    encoder = load_encoder("nano-ssl", None, "cpu")
    print("| seconds a clip | read and encode, CPU s | with descriptors, CPU s | more | by the clock |")
    print("| --- | --- | --- | --- | --- |")
    for seconds in map(float, args.seconds.split(",")):
        with tempfile.TemporaryDirectory() as place:
            (folder := Path(place) / "sound").mkdir()
            found = scan(write(folder, args.clips, seconds), Path(place) / "scan.csv")
            clips = np.arange(args.clips)

            def hear() -> None:
                unknown = Kept(Path(place) / "none.npz")
                with (
                    patch.object(Kept, "save", lambda _: None),
                    tokens.taken(encoder, found, clips, Passes(), unknown, lambda _: None),  # noqa: B023
                ):
                    pass

            def deaf() -> None:
                nothing = lambda _, __, spans: [np.zeros((len(of), len(NAMES)), np.float32) for of in spans]  # noqa: E731
                with patch.object(tokens, "measure", nothing):
                    hear()

            times: dict[Callable[[], None], list[tuple[float, float]]] = {deaf: [], hear: []}
            deaf()
            for _ in range(args.repeats):
                for work, taken in times.items():
                    cpu, clock = time.process_time(), time.perf_counter()
                    work()
                    taken.append((time.process_time() - cpu, time.perf_counter() - clock))
            (a, at), (b, bt) = (
                [statistics.median(column) for column in zip(*of, strict=True)] for of in times.values()
            )
            print(f"| {seconds:g} | {a:.2f} | {b:.2f} | {b / a - 1:.0%} | {bt / at - 1:.0%} |")


if __name__ == "__main__":
    main()
