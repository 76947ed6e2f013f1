"""Partners of units of two made-up models: whether any are found where there are none, and those that were planted.

And what a search costs.

    python benchmarks/matching.py                     # 200 runs a cell
    python benchmarks/matching.py --cost 36864        # one search of so many units, on --device
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence

import numpy as np

from core.evidence.exchange import deal_groups
from core.matching.match import N_DEALS, Clips, match
from core.matching.search import best_partners, dealt, standardised
from core.results import Partners

N_CLIPS, N_UNITS = 150, 150
Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Sampling unit of each clip, and the clip means of two models that have nothing in common."""


def skewed(spread: np.ndarray | float) -> Draw:
    """Units of which a few clips have most: the exponential of normal numbers of this standard deviation."""
    every = np.arange(N_CLIPS)
    return lambda rng: (every, *(np.exp(spread * rng.standard_normal((N_CLIPS, N_UNITS))) for _ in "ab"))


def few_dimensions(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units of one model that go together in six dimensions."""
    a, b = (
        rng.standard_normal((N_CLIPS, 6)) @ rng.standard_normal((6, N_UNITS))
        + 0.5 * rng.standard_normal((N_CLIPS, N_UNITS))
        for _ in "ab"
    )
    return np.arange(N_CLIPS), a, b


def voices(largest: int) -> Draw:
    """Units that follow whole voices, of 1 to so many clips (10: of exactly as many)."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sizes = np.full(15, 10) if largest == 10 else rng.integers(1, largest + 1, 60)
        voice = np.repeat(np.arange(len(sizes)), sizes)[:N_CLIPS]
        a, b = (
            rng.standard_normal((voice.max() + 1, N_UNITS))[voice] + 0.5 * rng.standard_normal((len(voice), N_UNITS))
            for _ in "ab"
        )
        return voice, a, b

    return draw


CELLS: dict[str, Draw] = {
    "normal": lambda rng: (np.arange(N_CLIPS), *rng.standard_normal((2, N_CLIPS, N_UNITS))),
    "skewed": skewed(1.5),
    "some more skewed than others": skewed(np.linspace(0, 2.5, N_UNITS)),
    "of six dimensions": few_dimensions,
    "15 voices of 10 clips": voices(10),
    "voices of 1 to 19 clips": voices(19),
}


def matched(unit: np.ndarray, a: np.ndarray, b: np.ndarray, seed: int) -> Partners:
    clips, none = Clips(unit, np.zeros((len(unit), 0), bool)), Clips(unit[:0], np.zeros((0, 0), bool))
    a, b = a.astype(np.float32), b.astype(np.float32)
    return match((a, b, clips), (a[:0], b[:0], none), seed, "cpu", lambda _: None)[0]


def nothing_in_common(runs: int) -> None:
    """In how many runs any unit has a partner, where none should."""
    for name, draw in CELLS.items():
        found = [
            matched(*draw(np.random.default_rng([seed, len(name)])), seed).units["is_partner"].sum()
            for seed in range(runs)
        ]
        print(f"{name}: {np.count_nonzero(found) / runs:.1%} of {runs} runs have a partner, {sum(found)} in all")


def planted(runs: int) -> None:
    """Which share of units finds its own copy, by noise over signal, and which share of partners is right."""
    for noise in (0.5, 1.0, 2.0, 3.0, 4.0):
        n_right = n_partners = 0
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            a, own = rng.standard_normal((2, N_CLIPS, N_UNITS))
            order = rng.permutation(N_UNITS)
            units = matched(np.arange(N_CLIPS), a, a[:, order] + noise * own, seed).units
            partners = units[units["is_partner"]]
            n_partners += len(partners)
            n_right += int((order[partners["partner_index"]] == partners["neuron_index"]).sum())
        share = n_right / max(n_partners, 1)
        print(f"noise {noise:g}: recall {n_right / (runs * N_UNITS):.2f}, precision {share:.2f}")


def cost(n_units: int, n_clips: int, device: str) -> None:
    """Seconds of one search and of all that a pair of models takes, and the memory of the whole process."""
    rng = np.random.default_rng(0)
    a, b = (standardised(rng.standard_normal((n_clips, n_units), dtype=np.float32), device)[0] for _ in "ab")
    given = dealt(b, deal_groups(np.arange(n_clips), rng))
    started = time.perf_counter()
    best_partners(a, given)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{n_units:,} x {n_units:,} units, {n_clips:,} clips, {device}: {seconds:.1f} s a search, "
        f"{(1 + N_DEALS) * seconds:.0f} s a pair of models; {memory:.1f} GiB of memory"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cost", type=int, default=0, metavar="UNITS")
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(argv)
    if given.cost:
        cost(given.cost, given.clips, given.device)
        return
    nothing_in_common(given.runs)
    planted(max(1, given.runs // 20))


if __name__ == "__main__":
    main()
