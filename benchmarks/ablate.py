"""What an ablation costs: the sweep against as many bare forward passes, and what reuse of the prefix takes off.

    python benchmarks/ablate.py                      # nano and an M2D-sized network, tables on the screen

A sweep holds everything: prepared audio, the unchanged pass, every condition, six heads asked. *Bare* is the
encoder alone, waveforms to embeddings, timed over the same clips and multiplied by the number of conditions.
*No reuse* is the sweep with every condition run from the first block on. Repeats take turns. On a CPU
processor time is told, of all threads, so that what else the machine does counts less.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.extract import SECONDS, TITLES, Batches, head, load, make_batches, synchronise  # noqa: E402
from core.ablation import conditions  # noqa: E402
from core.ablation.answers import Answers  # noqa: E402
from core.ablation.operations import Operation  # noqa: E402
from core.arrays.neurons import layer_starts  # noqa: E402
from core.encoders import Encoder  # noqa: E402
from core.encoders.device import batch_size_for, choose_device  # noqa: E402
from core.encoders.hooks import Change  # noqa: E402
from core.probes.linear import LinearHead  # noqa: E402
from core.recording.passes import Passes  # noqa: E402
from core.results import IntArray  # noqa: E402

CLIPS = {"nano": 64, "m2d": 8}
CONDITIONS = {"nano": 24, "m2d": 6}
N_HEADS, N_CLASSES = 6, 10


def sets(encoder: Encoder, share: float, layers: range, n: int) -> list[IntArray]:
    """Random neurons of some layers, a share of all neurons each."""
    starts, rng = layer_starts(encoder.layer_widths), np.random.default_rng(0)
    among = np.arange(starts[layers.start], starts[layers.stop])
    size = min(len(among), max(1, round(share * encoder.n_neurons)))
    return [np.sort(rng.choice(among, size, replace=False)) for _ in range(n)]


def sweeps(encoder: Encoder, n: int) -> Iterator[tuple[str, list[Change]]]:
    """What is swept, in words, and the changes."""
    depth, means = encoder.n_layers, np.zeros(encoder.n_neurons)
    every, half, last = range(depth), range(depth // 2, depth), range(depth - 1, depth)
    for words, text, share, layers in (
        ("1 % of all layers, gain 0", 0.0, 0.01, every),
        ("1 % of all layers, set to the mean", "mean", 0.01, every),
        ("1 % of all layers kept alone", "keep", 0.01, every),
        ("1 % of the second half, gain 0", 0.0, 0.01, half),
        ("1 % of the last layer, gain 0", 0.0, 0.01, last),
    ):
        chosen = sets(encoder, share, layers, n)
        yield words, [Operation.of(text).change(neurons, encoder.layer_widths, means) for neurons in chosen]


@contextmanager
def no_reuse(encoder: Encoder) -> Iterator[None]:
    """Every condition from the first block on."""

    def from_the_first(changes: list[Change], _: object) -> list[int]:
        return [0] * len(changes)

    with (
        mock.patch.object(encoder, "ends_with_mlp", False),
        mock.patch.object(conditions, "first_layers", from_the_first),
    ):
        yield


def times(encoder: Encoder, batches: Batches, changes: list[Change], repeats: int) -> dict[str, float]:
    """Median seconds of a bare pass over the batches, of a sweep, and of one without reuse."""
    rng, n_clips = np.random.default_rng(1), sum(len(rows) for rows, _ in batches)
    shape = (N_CLASSES, encoder.n_features)
    zeros, ones = np.zeros(encoder.n_features), np.ones(encoder.n_features)
    heads = [
        LinearHead(zeros, ones, rng.normal(size=shape), np.zeros(N_CLASSES), np.arange(N_CLASSES))
        for _ in range(N_HEADS)
    ]
    size = max(len(rows) for rows, _ in batches)

    @torch.inference_mode()
    def bare() -> None:
        for _rows, waveforms in batches:
            encoder.forward(encoder.prepare(waveforms))

    def sweep() -> None:
        answers = Answers.open(None, N_HEADS, len(changes), n_clips, N_CLASSES)
        with mock.patch.object(conditions, "read_ahead", lambda *_: (waveforms for _, waveforms in batches)):
            inquiry = conditions.Inquiry(changes, range(len(changes)), answers, Passes(size, size))
            conditions.ask(encoder, None, conditions.Asked(np.arange(n_clips), heads), inquiry)  # type: ignore[arg-type]

    def whole_sweep() -> None:
        with no_reuse(encoder):
            sweep()

    methods: dict[str, Callable[[], None]] = {"bare": bare, "sweep": sweep, "no reuse": whole_sweep}
    found: dict[str, list[float]] = {name: [] for name in methods}
    clock = time.process_time if encoder.device.type == "cpu" else time.perf_counter
    for repeat in range(repeats + 1):  # the first warms up
        for name, method in methods.items():
            started = clock()
            method()
            synchronise(encoder)
            if repeat:
                found[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in found.items()}


def table(given: argparse.Namespace, model: str) -> Iterator[str]:
    """A model's table, line by line."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = load(model, given.device, Path(folder))
        n_clips, n = given.clips or CLIPS[model], given.conditions or CONDITIONS[model]
        batches = make_batches(encoder, SECONDS[model], n_clips, batch_size_for(encoder, 0, SECONDS[model]))
        yield f"\n## {TITLES[model]}\n"
        yield f"{n_clips} clips, {n} conditions, {N_HEADS} heads; medians of {given.repeats} repeats that take turns.\n"
        yield "| conditions | bare pass, ms a clip | sweep / (conditions x bare) | without reuse | reuse takes off |"
        yield "| --- | --- | --- | --- | --- |"
        for words, changes in sweeps(encoder, n):
            told = times(encoder, batches, changes, given.repeats)
            bare = told["bare"] * n
            yield (
                f"| {words} | {told['bare'] / n_clips * 1000:.2f} | {told['sweep'] / bare:.2f} "
                f"| {told['no reuse'] / bare:.2f} | {1 - told['sweep'] / told['no reuse']:.0%} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="nano,m2d")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--clips", type=int, default=0, help="64 of nano, 8 of M2D's size")
    parser.add_argument("--conditions", type=int, default=0, help="24 of nano, 6 of M2D's size")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    given.device = choose_device(given.device)
    print(head(given.device, ""), flush=True)
    for model in given.models.split(","):
        for line in table(given, model):
            print(line, flush=True)


if __name__ == "__main__":
    main()
