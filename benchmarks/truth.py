"""How far selectors find what was planted, and how much they find where there is nothing.

    python benchmarks/truth.py                     # tables in Markdown, seeded
    python benchmarks/truth.py --runs 5 --shuffles 50
    python benchmarks/truth.py --recordings        # units of unequal size, and neurons that a few of them dominate
    python benchmarks/truth.py --kinds             # ablations whose kind of effect is known

Every selector is judged on networks whose neurons are known (`planted.py`). Scores get as many neurons of each class
as are true, which no study knows; presets choose by themselves. *With null*: only pairs with q < 0.05 besides.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.planted import Planted, p_values, planted_counts, planted_sound  # noqa: E402
from benchmarks.planted_kinds import (  # noqa: E402
    N_CLASSES,
    at_random,
    planted_kinds,
    rows_of_targets,
    top_of_shuffled,
)
from benchmarks.recordings import DEALT, Recorded, recorded_counts  # noqa: E402
from core.evidence.fdr import significant  # noqa: E402
from core.results import FloatArray  # noqa: E402
from core.selectivity.presets import SelectionSettings, entropy, select  # noqa: E402
from core.selectivity.selectors import SELECTORS, selector_scores  # noqa: E402

NOISE = (0.0, 0.5, 1.0, 2.0)
CLASS_SIZES = (6, 20, 100)
N_RECORDINGS = (60, 180)
Q_MAX = 0.05
CALIBRATED = "preset `calibrated`"
KINDS = ("specific", "shared", "level", "speaker", "other")
"""Of neurons; the false pairs of the first two are with a wrong class."""
Mask = NDArray[np.bool_]
Make = Callable[[int, float, int, str], Planted]


def selections(planted: Planted) -> dict[str, Mask]:
    """What every selector and every preset by quota chooses, (n_classes, n_neurons) each."""
    rates = planted.rates
    entropies = entropy(rates)
    scores = selector_scores(planted.positive, planted.total, planted.tokens, planted.members, entropies)
    n_true = planted.truth.sum(axis=1)
    found = {f"top by `{name}`": top(scores[name], n_true) for name in SELECTORS}
    for preset in ("aape", "lape"):
        found[f"preset `{preset}`"] = select(rates, SelectionSettings(preset), entropies)
    return found


def evident(planted: Planted, within_speaker: bool = False) -> Mask:
    """Pairs with q < 0.05."""
    return significant(p_values(planted, within_speaker), Q_MAX)


def calibrated(planted: Planted, pairs: Mask) -> Mask:
    """What the preset of that name chooses of the pairs with q < 0.05."""
    return select(planted.rates, SelectionSettings("calibrated"), q_values=np.where(pairs, 0.0, 1.0))


def top(scores: FloatArray, n: Sequence[int] | NDArray[np.int64]) -> Mask:
    """The ``n[k]`` highest scores of each class k; ties to the first, NaN never."""
    chosen = np.zeros(scores.shape, dtype=bool)
    for k, row in enumerate(scores):
        best = np.argsort(-row, kind="stable")[: n[k]]  # NaN sorts last
        chosen[k, best] = ~np.isnan(row[best])
    return chosen


def judge(found: Mask, truth: Mask) -> tuple[float, float, float]:
    """Precision (NaN if nothing was found), recall, share of false ones (0 if nothing was found)."""
    n_found, n_right = found.sum(), (found & truth).sum()
    precision = n_right / n_found if n_found else np.nan
    return precision, n_right / truth.sum(), 1 - precision if n_found else 0.0


def judged(planted: Planted) -> dict[str, list[tuple[float, float, float]]]:
    """How good each selector is by itself, with the null over all clips, and with that within each speaker.

    ``calibrated`` has no first one: it is made of a null.
    """
    nulls = [evident(planted, within_speaker) for within_speaker in (False, True)]
    masks = {name: [mask, *(mask & null for null in nulls)] for name, mask in selections(planted).items()}
    masks[CALIBRATED] = [calibrated(planted, null) for null in nulls]
    return {name: [judge(mask, planted.truth) for mask in with_nulls] for name, with_nulls in masks.items()}


def table_of_truth(make: Make, class_size: int, confounding: str, runs: int) -> str:
    """Precision and recall, means over runs; a row for each selector, noise across, arrows from null to null."""
    n_nulls = 3 if confounding == "strong" else 2
    cells: dict[str, list[str]] = {}
    for noise in NOISE:
        all_runs = [judged(make(class_size, noise, seed, confounding)) for seed in range(runs)]
        for name in all_runs[0]:
            steps = range(n_nulls - (name == CALIBRATED))
            parts = [" ".join(_mean([run[name][step][i] for run in all_runs]) for i in (0, 1)) for step in steps]
            cells.setdefault(name, []).append(" → ".join(parts))
    header = ["selector", *(f"noise {noise:g}" for noise in NOISE)]
    return markdown(header, [[name, *row] for name, row in cells.items()])


def false_discovery(class_size: int, confounding: str, noise: float, runs: int) -> list[str]:
    """Mean share of false pairs among those of ``calibrated``, under both nulls."""
    networks = [planted_counts(class_size, noise, seed, confounding) for seed in range(runs)]
    return [_mean([judge(calibrated(n, evident(n, within)), n.truth)[2] for n in networks]) for within in (False, True)]


def _mean(values: Sequence[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{np.mean(known):.2f}" if known else "–"


def what_is_false(class_size: int, confounding: str, noise: float, runs: int) -> list[str]:
    """False pairs of ``calibrated`` a network, by kind of neuron, under both nulls."""
    found = np.zeros((2, len(KINDS)))
    for seed in range(runs):
        planted = planted_counts(class_size, noise, seed, confounding)
        for i, within in enumerate((False, True)):
            false = calibrated(planted, evident(planted, within)) & ~planted.truth
            found[i] += [false[:, planted.kinds == kind].sum() for kind in KINDS]
    return [f"{a:.1f} / {b:.1f}" for a, b in (found / runs).T]


def shuffled_runs(class_size: int, noise: float, n_runs: int, seed: int = 0) -> tuple[float, float, float]:
    """Where nothing is true: share of runs with any pair at q < 0.05, with any of ``calibrated``, mean pairs at q.

    Every pair that is found is false, so the share of runs with any is the mean false discovery proportion.
    """
    rng = np.random.default_rng(seed)
    n_pairs = np.zeros((n_runs, 2))
    for run in range(n_runs):
        planted = planted_counts(class_size, noise, run).shuffled(rng)
        found = evident(planted)
        n_pairs[run] = found.sum(), calibrated(planted, found).sum()
    return (*(n_pairs > 0).mean(axis=0), float(n_pairs[:, 0].mean()))


def shuffled_recordings(
    dealt: str, n_recordings: int, n_runs: int, seed: int = 0, n_neurons: int = 600
) -> tuple[float, float]:
    """As `shuffled_runs`, for clips of recordings: share of runs with any pair at q < 0.05, mean pairs.

    Each run is a network of its own, and labels dealt as the null has it.
    """
    rng = np.random.default_rng(seed)
    n_pairs = np.zeros(n_runs)
    for run in range(n_runs):
        nothing = recorded_counts(dealt, n_recordings, run, n_neurons).shuffled(rng)
        n_pairs[run] = significant(nothing.p_values(), Q_MAX).sum()
    return float((n_pairs > 0).mean()), float(n_pairs.mean())


def found_in_recordings(recorded: Recorded) -> list[tuple[float, float, float]]:
    """Judgement of the pairs with q < 0.05, and of those that ``calibrated`` chooses of them."""
    pairs = significant(recorded.p_values(), Q_MAX)
    chosen = select(recorded.rates, SelectionSettings("calibrated"), q_values=np.where(pairs, 0.0, 1.0))
    return [judge(mask, recorded.truth) for mask in (pairs, chosen)]


def discovery_in_recordings(dealt: str, n_recordings: int, runs: int) -> list[float]:
    """Mean false discovery proportion and recall of the pairs with q < 0.05, then of ``calibrated``."""
    judged_runs = [found_in_recordings(recorded_counts(dealt, n_recordings, seed)) for seed in range(runs)]
    return [float(np.mean([run[step][i] for run in judged_runs])) for step in (0, 1) for i in (2, 1)]


def of_recordings(n_runs: int) -> str:
    """The section on clips of recordings; a quarter as many networks where something is true."""
    rows = []
    for dealt in DEALT:
        for n_recordings in N_RECORDINGS:
            any_pair, pairs = shuffled_recordings(dealt, n_recordings, n_runs)
            shares = discovery_in_recordings(dealt, n_recordings, max(1, n_runs // 4))
            rows.append([dealt, str(n_recordings), f"{any_pair:.3f}", f"{pairs:.2f}", *(f"{x:.3f}" for x in shares)])
    header = ["labels dealt", "recordings", "runs with any q < 0.05", "false pairs a run",
              "planted: false discovery", "recall", "of `calibrated`: false discovery", "recall"]  # fmt: skip
    title = f"Recordings of 1 to 6 clips, a few of which dominate many neurons: {n_runs} runs with shuffled labels"
    return f"\n### {title}\n\n{markdown(header, rows)}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    return "\n".join(lines)


def of_kinds(runs: int, null_runs: int) -> str:
    """Effects by kind of planted neurons, and how often the selective part of what is no class's own holds."""
    columns = ("total", "shift", "selective", "discrimination", "readable_refit_log_prob")
    every: dict[str, list[pd.DataFrame]] = {}
    for seed in range(runs):
        network = planted_kinds(seed)
        for kind, classes in (("carry", range(3)), ("doubled", range(3, N_CLASSES)), ("shift", range(N_CLASSES))):
            targets = [network.neurons[kind][c] for c in classes]
            rows = rows_of_targets(
                network.outcomes(network.head(), targets, at_random(network, 20, seed)), len(targets)
            )
            every.setdefault(kind, []).append(rows[rows["position"] == rows["target"] + classes.start + 1])
    table = []
    for kind, frames in every.items():
        by = pd.concat(frames).groupby("outcome")
        change, held = by["beyond_control"].mean(), by["holds"].mean()
        table.append([kind, *(f"{change[c]:+.2f} ({held[c]:.2f})" for c in columns)])
    null = [[name, f"{held:.3f}"] for name, held in held_by_chance(null_runs).items()]
    return "\n\n".join(
        [
            f"Mean change beyond control of the class's own number, and share that holds; {runs} networks.",
            markdown(["neurons", *columns], table),
            markdown([f"targets, {null_runs} networks", "selective part holds"], null),
        ]
    )


def held_by_chance(runs: int) -> dict[str, float]:
    """How often the selective part holds of sets at random, and of those chosen on shuffled labels."""
    chosen = {"random": lambda n, seed: at_random(n, N_CLASSES, seed), "chosen on shuffled labels": top_of_shuffled}
    held = {}
    for name, choose in chosen.items():
        shares = []
        for seed in range(runs):
            network = planted_kinds(10_000 + seed)
            targets, controls = choose(network, seed), at_random(network, 20, 10_000 + seed)
            rows = rows_of_targets(network.outcomes(network.head(), targets, controls, refit=False), N_CLASSES)
            own = (rows["position"] == rows["target"] + 1) & (rows["outcome"] == "selective")
            shares.append(rows.loc[own, "holds"].mean())
        held[name] = float(np.mean(shares))
    return held


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="networks for each cell (%(default)s)")
    parser.add_argument("--shuffles", type=int, default=200, help="runs with shuffled labels (%(default)s)")
    parser.add_argument("--recordings", action="store_true", help="nothing but the section on recordings")
    parser.add_argument("--kinds", action="store_true", help="nothing but the section on kinds of effect")
    given = parser.parse_args(arguments)
    if given.kinds:
        print(of_kinds(given.runs, given.shuffles))
        return
    if given.recordings:
        print(of_recordings(given.shuffles))
        return
    runs = given.runs
    print(f"Precision and recall, means of {runs} networks (seeds 0 to {runs - 1}); – = nothing was found.")
    print("By itself → with q < 0.05, labels dealt over all clips → within each speaker (confounding strong).")
    for confounding in ("weak", "strong"):
        for size in CLASS_SIZES:
            print(f"\n### {size} clips a class, confounding {confounding}\n", flush=True)
            print(table_of_truth(planted_counts, size, confounding, runs))
    print("\n### An encoder that hears tones, 20 clips a class, confounding weak\n", flush=True)
    print(table_of_truth(planted_sound, 20, "weak", max(1, runs // 3)))
    print("\n### False discovery of `calibrated`: labels dealt over all clips / within each speaker\n", flush=True)
    rows = []
    for confounding in ("weak", "strong"):
        for size in CLASS_SIZES:
            rates = [" / ".join(false_discovery(size, confounding, noise, runs)) for noise in NOISE]
            rows.append([confounding, str(size), *rates])
    print(markdown(["confounding", "clips a class", *(f"noise {noise:g}" for noise in NOISE)], rows))
    print("\n### False pairs of `calibrated` a network at noise 0.5, under the same two\n", flush=True)
    rows = [
        [confounding, str(size), *what_is_false(size, confounding, 0.5, runs)]
        for confounding in ("weak", "strong")
        for size in CLASS_SIZES
    ]
    print(markdown(["confounding", "clips a class", *KINDS], rows))
    print(f"\n### Nothing is true: {given.shuffles} runs with shuffled labels\n", flush=True)
    rows = []
    for size in CLASS_SIZES:
        for noise in NOISE:
            any_pair, any_calibrated, pairs = shuffled_runs(size, noise, given.shuffles)
            rows.append([str(size), f"{noise:g}", f"{any_pair:.3f}", f"{any_calibrated:.3f}", f"{pairs:.2f}"])
    print(
        markdown(
            ["clips a class", "noise", "runs with any q < 0.05", "runs with any `calibrated`", "false pairs a run"],
            rows,
        )
    )
    print(of_recordings(given.shuffles))
    print("\n### Kinds of effect\n", flush=True)
    print(of_kinds(given.runs, given.shuffles))


if __name__ == "__main__":
    main()
