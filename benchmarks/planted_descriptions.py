"""Planted units: how often the right term is named, and how often noise gets a description.

    python -m benchmarks.planted_descriptions

Units are one descriptor's rank, or one class, plus as much noise as half of them; others are noise alone, with a part
that is the same over a whole clip.
"""

from __future__ import annotations

import time

import numpy as np

from core.describe.describe import own
from core.describe.terms import Vocabulary
from tests.support.planted_descriptions import heard, with_units

N_CLIPS, N_UNITS, SEEDS = 400, 100, 3


def main() -> None:
    """Print a line a seed."""
    for seed in range(SEEDS):
        started = time.monotonic()
        planted, truth = with_units(heard(N_CLIPS, seed), N_UNITS, N_UNITS, seed)
        described, _ = own(planted, lambda: None)
        vocabulary: Vocabulary = planted.vocabulary
        named = {row.neuron_index: vocabulary.read(row.predicts)[0] for row in described.itertuples()}
        right = [
            any((t.kind, t.name) == (truth[i].kind, truth[i].name) for t in named.get(i, ())) for i in range(N_UNITS)
        ]
        alone = [right[i] and len(named[i]) == 1 for i in range(N_UNITS)]
        noise = sum(unit >= N_UNITS for unit in named)
        lost = sorted({str(truth[i]) for i in np.flatnonzero(~np.array(right))})
        print(
            f"seed {seed}: right term named for {sum(right)} of {N_UNITS} (nothing else for {sum(alone)}), "
            f"none named for {N_UNITS - noise} of {N_UNITS} units of noise; "
            f"{time.monotonic() - started:.1f} s; missed: {lost}"
        )


if __name__ == "__main__":
    main()
