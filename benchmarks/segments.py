"""What counting in time costs, and how often noise is taken for a finding.

python benchmarks/segments.py --pass 100          # a pass with and without bits of 100 classes, in turn
python benchmarks/segments.py --noise 200         # runs on noise that lasts, and in how many anything is found
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from core.datasets.base import Segment
from core.encoders import load_encoder
from core.recording.activations import open_activations
from core.recording.extract import extract
from core.recording.firing import Firing
from core.recording.passes import Passes
from core.results import FloatArray, wilson
from core.timing.evidence import Design, count, find
from core.timing.shifts import product
from core.timing.tell import Study
from core.timing.tracks import SegmentTask, Tracks
from tests.support.in_time import N_COLUMNS, dataset_of, noise_scan, phones, slow_noise, tracks_of

SECONDS = 2.0


def cost(name: str, n_classes: int, n_clips: int, rounds: int) -> None:
    """Print processor time of a pass without and with bits, in turn, of the counts, and seconds of all that follows."""
    encoder, rng = load_encoder(name), np.random.default_rng(0)
    segments = tuple(
        tuple(
            Segment("phone", f"class {rng.integers(n_classes)}", at, at + 0.2)
            for at in np.arange(0.1, SECONDS - 0.2, 0.1).round(3).tolist()
        )
        for _ in range(n_clips)
    )
    with tempfile.TemporaryDirectory() as folder:
        scan = noise_scan(Path(folder) / "audio", n_clips, SECONDS, segments)
        timed = np.ones(n_clips, dtype=np.bool_)
        taken: dict[str, list[float]] = {"without": [], "with": []}
        for number in range(rounds):
            for kind, mask in (("without", None), ("with", timed)):
                place = Path(folder) / f"{kind}-{number}"
                matrices = open_activations(encoder, scan, place, "exclude", "float32")
                started = time.process_time()
                extract([(encoder, matrices)], scan, Passes(32, workers=1), timed=mask)
                taken[kind].append(time.process_time() - started)
        for kind, seconds in taken.items():
            print(f"{kind}: {np.median(seconds):.2f} processor seconds ({', '.join(f'{one:.2f}' for one in seconds)})")
        size = sum(file.stat().st_size for file in matrices.folder.glob("firing-*.part")) / 1e6
        tracks = Tracks(SegmentTask(scan, "phone"), Firing.look(encoder.layer_widths, matrices), encoder.token_grid)
        counting = min(_counting(tracks) for _ in range(rounds))
        for kind, more in (("bits", 0.0), ("bits and counts", counting)):
            ratio = np.median((np.array(taken["with"]) + more) / np.array(taken["without"]))
            print(f"with {kind} over without, median of {rounds} rounds: {ratio:.3f}")
        print(f"bits of {n_clips} clips: {size:.1f} MB")
        started = time.perf_counter()
        Study.of(tracks, ("train", "valid"), 0).run(lambda: None)
        print(f"counts, evidence, nulls and curves of {n_classes} classes: {time.perf_counter() - started:.2f} s")


def _counting(tracks: Tracks) -> float:
    """Processor seconds of counting each class and unit in each clip: bits read, labels laid on columns, added up."""
    started = time.process_time()
    fresh = Tracks(tracks.task, tracks.firing, tracks.grid)
    for layers, width in zip(fresh.blocks, fresh.widths, strict=True):
        positive = np.zeros((len(tracks.task.class_names), width))
        for clip in fresh.clips.tolist():
            track = fresh.of(clip, layers.start)
            positive[track.classes] += product(track.masks.astype(np.float32), fresh.fires(track, layers))
    return time.process_time() - started


def noise(n_runs: int) -> None:
    """Print in how many runs on noise anything is found, with its 95 % interval."""
    n_found = 0
    p: dict[str, list[FloatArray]] = {"shift": [], "deal": [], "both": []}
    for seed in range(n_runs):
        rng = np.random.default_rng(seed)
        tracks = tracks_of(dataset_of(phones(rng, 30)), slow_noise(rng, (30, N_COLUMNS, 200), memory=0.95))
        found = find(tracks, design := Design.of(tracks, ("train", "valid"), seed))
        n_found += bool(found.is_specific.any())
        counts = count(tracks, design, tracks.blocks[0])
        for kind, values in (("shift", counts.by_shift), ("deal", counts.by_deal), ("both", found.p)):
            p[kind].append(values.ravel())
    for kind, parts in p.items():
        every = np.concatenate(parts)
        told = ", ".join(f"{(every < bound).mean():.4f} below {bound}" for bound in (0.05, 0.01, 0.001))
        print(f"p of {kind}, of {len(every):,}: {told}")
    low, high = wilson(n_found / n_runs, n_runs)
    print(f"anything found in {n_found} of {n_runs} runs: {n_found / n_runs:.3f} [{low:.3f}, {high:.3f}]")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pass", dest="n_classes", type=int, default=0, metavar="N", help="classes of the pass")
    parser.add_argument("--model", default="nano-ssl")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--noise", type=int, default=0, metavar="N", help="runs on noise")
    given = parser.parse_args()
    if given.n_classes:
        cost(given.model, given.n_classes, given.clips, given.rounds)
    if given.noise:
        noise(given.noise)


if __name__ == "__main__":
    main()
