"""What listing NSynth costs: a fake one of 300,000 empty files, made in a temporary folder, listed.

    python benchmarks/list_nsynth.py                  # some minutes, nearly all of it making the files

The files are found in the system's cache, as they were just made: on a disk that was just mounted the look
into the folders takes longer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.datasets import choose_tasks, find, report  # noqa: E402
from core.datasets.scan import scan  # noqa: E402

SHARES = {"train": 0.945, "valid": 0.041, "test": 0.014}
FAMILIES = ("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal")
SOURCES = ("acoustic", "electronic", "synthetic")
VELOCITIES = (25, 50, 75, 100, 127)


def make(root: Path, n_files: int) -> None:
    """Empty files under NSynth's names, and lists with all the fields of the real ones."""
    pitches = range(21, 109)
    for split, share in SHARES.items():
        audio = root / f"nsynth-{split}" / "audio"
        audio.mkdir(parents=True)
        entries = {}
        every = itertools.product(range(1000), FAMILIES, SOURCES, pitches, VELOCITIES)
        for i, (number, family, source, pitch, velocity) in enumerate(itertools.islice(every, round(n_files * share))):
            instrument = f"{family}_{source}_{number:03}"
            name = f"{instrument}-{pitch:03}-{velocity:03}"
            (audio / f"{name}.wav").touch()
            entries[name] = {
                "note": i, "note_str": name, "instrument": number, "instrument_str": instrument, "pitch": pitch,
                "velocity": velocity, "sample_rate": 16_000, "qualities": [0] * 10, "qualities_str": ["dark"],
                "instrument_family": FAMILIES.index(family), "instrument_family_str": family,
                "instrument_source": SOURCES.index(source), "instrument_source_str": source,
            }  # fmt: skip
        (root / f"nsynth-{split}" / "examples.json").write_text(json.dumps(entries, indent=4))


def peak_mib() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--look", action="store_true", help="also look at each file, twice")
    parser.add_argument("--folder", type=Path, help="where to make the files (the system's temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        root = Path(folder)
        start = time.perf_counter()
        # In a process of its own, so that this one's peak memory is that of listing.
        maker = get_context("spawn").Process(target=make, args=(root / "nsynth", arguments.files))
        maker.start()
        maker.join()
        print(f"{arguments.files:,} files made in {time.perf_counter() - start:.0f} s")
        before = peak_mib()
        with told("listed"):
            (dataset,) = find([root / "nsynth"])
        print(f"{len(dataset.clips):,} clips with {len(dataset.problems)} problems, split as {dataset.split_origin}")
        for what in ("classes and sizes", "tasks chosen"):
            with told(what):
                report.summary(dataset) if what.startswith("classes") else choose_tasks([dataset], "all")
        looks = ("files looked at first (all of them empty)", "files looked at again") if arguments.look else ()
        for what in looks:
            with told(what):
                scan(dataset, root / "scan.csv")
        print(f"memory {peak_mib() - before:,.0f} MiB over the {before:,.0f} of the imports")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Print what a block took."""
    start, start_cpu = time.perf_counter(), time.process_time()
    yield
    took, took_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"{what}: {took:.1f} s ({took_cpu:.1f} s of processor)", flush=True)


if __name__ == "__main__":
    main()
