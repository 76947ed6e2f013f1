"""Seconds and memory of scoring one task from stored counts: selection, and its null by shuffles.

python benchmarks/score.py
python benchmarks/score.py --neurons 6144 --classes 20 --clips 700 --groups 40
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.evidence.exchange import Exchange
from core.evidence.fdr import benjamini_hochberg
from core.evidence.permutation import ClipCounts, evidence
from core.evidence.shuffles import shuffled_null
from core.results import Mask
from core.selectivity.presets import SelectionSettings, entropy, select

SETTINGS = [SelectionSettings("aape"), SelectionSettings("lape"), SelectionSettings("calibrated")]
TOKENS = 250


def made_up(n_clips: int, n_neurons: int, n_classes: int, seed: int = 0) -> tuple[NDArray[np.uint8], Mask]:
    """Counts of a clip's tokens, as bursts of a rate of each neuron's own; a tenth answer to one class; classes."""
    rng = np.random.default_rng(seed)
    members = (rng.permutation(n_clips) % n_classes)[:, None] == np.arange(n_classes)
    positive = np.empty((n_clips, n_neurons), dtype=np.uint8)
    for start in range(0, n_neurons, 1024):
        block = slice(start, min(start + 1024, n_neurons))
        width = block.stop - start
        fires = rng.random((n_clips, width)) < rng.beta(0.3, 1, width)
        own = rng.integers(0, n_classes * 10, width)
        fires |= members @ (own == np.arange(n_classes)[:, None]) & (rng.random((n_clips, width)) < 0.5)
        positive[:, block] = np.where(fires, rng.integers(1, TOKENS + 1, (n_clips, width)), 0)
    return positive, members


def chosen(positive: NDArray[np.uint8], members: Mask, exchange: Exchange) -> tuple[ClipCounts, int]:
    """Everything from counts to the three selections."""
    counts = ClipCounts.of(positive, np.full(len(positive), TOKENS), exchange)
    members = members[exchange.first]
    by_class, tokens = counts.by_class(members)
    probabilities = by_class / tokens[:, None]
    entropies, q = entropy(probabilities), benjamini_hochberg(evidence(counts, by_class, members)[1])
    return counts, sum(int(select(probabilities, setting, entropies, q).sum()) for setting in SETTINGS)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=36_864)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--clips", type=int, default=2_000)
    parser.add_argument("--shuffles", type=int, default=100)
    parser.add_argument("--groups", type=int, default=0, help="groups of clips to shuffle within; 0 = over all clips")
    args = parser.parse_args(argv)
    positive, members = made_up(args.clips, args.neurons, args.classes)
    exchange = Exchange.of_clips(args.clips)
    if args.groups:
        exchange = Exchange(np.arange(args.clips), np.arange(args.clips) % args.groups, "clips within group")
    # The first time also pays for memory that the operating system has not handed out yet.
    first, seconds = (timed(lambda: chosen(positive, members, exchange))[0] for _ in range(2))
    seconds_again, (counts, n_pairs) = timed(lambda: chosen(positive, members, exchange))  # type: ignore[misc]
    shuffling, _ = timed(lambda: shuffled_null(counts, members[exchange.first], SETTINGS, args.shuffles, 0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (30 if sys.platform == "darwin" else 20))
    print(f"{args.neurons:,} neurons x {args.classes} classes x {args.clips:,} clips, {exchange.description}\n")
    print("| what | result |\n| --- | --- |")
    again = f"{min(seconds, seconds_again):.2f} s, the first time {first:.2f} s"
    print(f"| counts to three selections ({n_pairs:,} pairs) | {again} |")
    print(f"| {args.shuffles} shuffles: presets, entropies, curves | {shuffling:.1f} s |")
    print(f"| largest memory, the made-up counts included | {peak:.2f} GB |")


if __name__ == "__main__":
    main()
