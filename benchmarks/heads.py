"""Linear heads of many clips or classes: `core.probes.large` beside what fits heads below its size, in turns.

    python benchmarks/heads.py                                             # softmax of 20 classes, and a sigmoid each
    python benchmarks/heads.py --clips 40000 --features 768 --classes 200 --kinds sigmoids --after

Features are made up, with directions of very unequal spread as those of an encoder have; half of the clips' logits are
noise. Each fit is the whole path of regularisations. Times are of the processor, of all threads, and of the clock; the
exponent is the slope of log processor time over log clips from the first size to the last. Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.arrays.threads import blas_threads
from core.probes.large import Regressions
from core.probes.linear import STRENGTHS, OneVsRest, Softmax


def made_up(n_clips: int, n_features: int, n_classes: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scaled features (n_clips, n_features) and noisy logits (n_clips, n_classes)."""
    rng = np.random.default_rng(0)
    mixing = (rng.normal(size=(n_features, n_features)) * np.arange(1, n_features + 1)[:, None] ** -0.7).astype("f4")
    features = rng.standard_normal((n_clips, n_features), dtype=np.float32) @ mixing
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    weight = rng.normal(size=(n_features, n_classes)).astype(np.float32) / np.sqrt(n_features)
    return features, 3 * features @ weight + 3 * rng.standard_normal((n_clips, n_classes), dtype=np.float32)


def fits(kind: str, n_clips: int, n_features: int, n_classes: int) -> dict[str, Callable[[], object]]:
    """The path of a head, before and after."""
    scaled, logits = made_up(n_clips, n_features, n_classes)
    learner = OneVsRest(logits > 6) if kind == "sigmoids" else Softmax(logits.argmax(axis=1))

    def before() -> None:
        double = scaled.astype(np.float64)
        for strength in STRENGTHS:
            learner.fit(double, strength)

    def after() -> None:
        large = Regressions(scaled, learner.targets)
        for strength in STRENGTHS:
            large.fit(strength)

    return {"before": before, "after": after}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", default="2000,8000,32000")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--kinds", default="softmax,sigmoids")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--after", action="store_true", help="without what is set beside it")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sizes = [int(size) for size in given.clips.split(",")]
    print(f"{given.features} features, {given.classes} classes, {given.threads} thread(s)\n")
    print("| kind | fit | " + " | ".join(f"{size:,}" for size in sizes) + " | exponent |")
    print("| --- | --- |" + " --- |" * (len(sizes) + 1))
    with blas_threads(given.threads):
        for kind in given.kinds.split(","):
            found: dict[str, list[tuple[float, float]]] = {}
            for size in sizes:
                for name, fit in fits(kind, size, given.features, given.classes).items():
                    if name == "after" or not given.after:
                        started = time.process_time(), time.perf_counter()
                        fit()
                        told = time.process_time() - started[0], time.perf_counter() - started[1]
                        found.setdefault(name, []).append(told)
            for name, times in found.items():
                grown = np.log(times[-1][0] / times[0][0]) / np.log(sizes[-1] / sizes[0]) if len(sizes) > 1 else np.nan
                cells = " | ".join(f"{cpu:.2f} s ({clock:.2f})" for cpu, clock in times)
                print(f"| {kind} | {name} | {cells} | {grown:.2f} |", flush=True)


if __name__ == "__main__":
    main()
