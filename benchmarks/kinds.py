"""What it costs to record several kinds of unit in one pass: times the bare encoder, and memory as clips grow.

    python -m benchmarks.kinds                  # nano, M2D-sized and Whisper-tiny-sized networks, a table

As `benchmarks.extract`: the same waveforms in the same batches, medians over repeats that take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.extract import CLIPS, SECONDS, TITLES, Batches, Held, bare, head, load, make_batches, matrices
from core.encoders import Encoder
from core.encoders.device import batch_size_for, choose_device
from core.recording import extract
from core.recording.activations import Activations
from core.recording.patterns import forget_patterns
from core.recording.waveforms import Waveforms
from core.units.fit import fit
from core.units.sample import Sample

SETS = (
    ("mlp",), ("mlp", "residual"), ("mlp", "residual", "random", "pca"), ("mlp", "residual", "random", "pca", "head"),
)  # fmt: skip
Recorded = list[tuple[Encoder, Activations]]


@torch.inference_mode()
def sampled(encoder: Encoder, waveforms: Waveforms) -> Sample:
    """All tokens of some clips; heads' lengths do not matter for the time."""
    batch = encoder.prepare(waveforms)
    hidden, stream = encoder.begin(batch), []
    for layer in range(encoder.n_layers):
        hidden = encoder.block(layer, hidden, batch)
        stream.append(hidden.flatten(0, -2).float().cpu())
    return Sample(stream, [torch.rand(64, encoder.n_heads) for _ in stream])


def views(encoder: Encoder, kinds: tuple[str, ...], batches: Batches, seconds: float, folder: Path) -> Recorded:
    """Each kind of unit with its own empty matrices."""
    seen = sampled(encoder, batches[0][1])
    units = [encoder if kind == "mlp" else fit(encoder, kind, seen, 0) for kind in kinds]
    n_clips = sum(len(rows) for rows, _ in batches)
    return [(each, matrices(each, seconds, n_clips, folder / each.unit_kind)) for each in units]


def record(recorded: Recorded, batches: Batches) -> None:
    """One pass."""
    for _, to in recorded:
        to.done[:] = 0
        forget_patterns(to.folder)
    for _ in extract.fill([extract.Recorded.of(*each) for each in recorded], batches):
        pass


def measure(model: str, device: str, n_clips: int, repeats: int) -> None:
    """A table of one network."""
    with tempfile.TemporaryDirectory() as name:
        folder, seconds = Path(name), SECONDS[model]
        encoder = load(model, device, folder)
        batches = make_batches(encoder, seconds, n_clips, batch_size_for(encoder, 0, seconds))
        of_sets = [views(encoder, kinds, batches, seconds, folder / "+".join(kinds)) for kinds in SETS]
        found: list[list[float]] = [[] for _ in (None, *SETS)]
        for repeat in range(repeats + 1):  # the first warms up
            for i, recorded in enumerate((None, *of_sets)):
                started = time.perf_counter()
                if recorded is None:
                    bare(encoder, batches, None)  # type: ignore[arg-type]
                else:
                    record(recorded, batches)
                if repeat:
                    found[i].append((time.perf_counter() - started) / n_clips * 1000)
        base = statistics.median(found[0])
        print(f"\n## {TITLES[model]}\n\n| recorded | ms a clip | times bare | held at most, MB: n, 4 n clips |")
        print("| --- | --- | --- | --- |")
        print(f"| nothing | {base:.2f} | 1.00 | |")
        for kinds, values in zip(SETS, found[1:], strict=True):
            middle = statistics.median(values)
            held = [peak(encoder, kinds, batches * times, seconds, folder / f"held-{times}") for times in (1, 4)]
            told = ", ".join(f"{one / 1e6:,.0f}" for one in held)
            print(f"| {', '.join(kinds)} | {middle:.2f} | {middle / base:.2f} | {told} |", flush=True)


def peak(encoder: Encoder, kinds: tuple[str, ...], batches: Batches, seconds: float, folder: Path) -> float:
    """Bytes that a pass holds at most."""
    shifted, start = [], 0
    for rows, waveforms in batches:
        shifted.append((rows - rows[0] + start, waveforms))
        start += len(rows)
    recorded = views(encoder, kinds, shifted, seconds, folder / "+".join(kinds))
    with Held(encoder) as held:
        record(recorded, shifted)
    return held.most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="nano,m2d,whisper")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    device = str(choose_device(given.device))
    print(head(device, "ab"))
    for model in given.models.split(","):
        measure(model, device, CLIPS[model], given.repeats)


if __name__ == "__main__":
    main()
