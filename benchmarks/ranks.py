"""How much faster two ranks on two cores extract than one rank on one core.

    python benchmarks/ranks.py                        # nano-ssl over 480 generated clips of 2 s, three turns
    python benchmarks/ranks.py --model m2d --weights CHECKPOINT --clips 48

Each measurement is a whole run of ``torchrun run_analysis.py --stages extract`` into an empty store, with one thread
of arithmetic and one that reads for each rank; its rate is the one that the run tells of its extraction, start-up left
out. One rank is held on one core, two on two (Linux). Runs take turns (1, 2, 1, 2, ...), so that what else the machine
does meets both alike; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000


def make_clips(folder: Path, n: int, seconds: float) -> Path:
    """A manifest folder of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["file,split,kind"]
    for i in range(n):
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)
        rows.append(f"{i}.wav,{('train', 'test')[i // 2 % 2]},{'ab'[i % 2]}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder


def clips_a_second(world: int, cores: list[int], data: Path, model: list[str]) -> float:
    """One run with so many ranks on so many cores."""
    with tempfile.TemporaryDirectory() as store:
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(world), "run_analysis.py", *model,
            "--device", "cpu", "--workers", "1", "--stages", "extract",
            "--data-dir", str(data), "--db", str(Path(store) / "atlas.db"),
        ]  # fmt: skip
        hold = partial(os.sched_setaffinity, 0, cores[:world])
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=hold,
            capture_output=True,
            text=True,
        )
    told = re.search(r"· extract: ([\d,]+) clips in ([\d.]+) s", done.stdout)
    if done.returncode or not told:
        sys.exit(done.stdout + done.stderr)
    return int(told[1].replace(",", "")) / float(told[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-ssl")
    parser.add_argument("--weights", help="checkpoint, where the model needs one")
    parser.add_argument("--clips", type=int, default=480)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a clip")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2, help="to compare with one")
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < given.ranks:
        sys.exit(f"{given.ranks} ranks need as many cores; this process may use {len(cores)}")
    model = ["--model", given.model, *(["--weights", given.weights] if given.weights else [])]
    rates: dict[int, list[float]] = {1: [], given.ranks: []}
    with tempfile.TemporaryDirectory() as folder:
        data = make_clips(Path(folder) / "noise", given.clips, given.seconds)
        for _ in range(given.repeats):
            for world, found in rates.items():
                found.append(clips_a_second(world, cores, data, model))
                print(f"{world} rank(s) on {world} core(s): {found[-1]:.1f} clips/s", flush=True)
    middle = {world: statistics.median(found) for world, found in rates.items()}
    print(
        f"\n{given.model}, {given.clips} clips of {given.seconds:g} s, median (least to most) of {given.repeats} runs"
    )
    print("\n| ranks | cores | clips/s | times one |\n| --- | --- | --- | --- |")
    for world, found in rates.items():
        ratio = middle[world] / middle[1]
        print(f"| {world} | {world} | {middle[world]:.1f} ({min(found):.1f} to {max(found):.1f}) | {ratio:.2f} |")


if __name__ == "__main__":
    main()
