"""What made sounds cost, and how often anything is found in units of noise.

Seconds are the processor's, of all threads.

    python benchmarks/stimuli.py                     # all sets through nano-ssl: seconds to make, pass and tell
    python benchmarks/stimuli.py --units 36864       # the same, told over so many units (copies with noise)
    python benchmarks/stimuli.py --noise 200         # studies of noise units: share that finds anything
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence

import numpy as np

from core.encoders import load_encoder
from core.encoders.device import batch_size_for
from core.recording.passes import Passes
from core.stimuli.respond import Responses, respond
from core.stimuli.sets import SETS
from core.stimuli.shares import explain
from core.stimuli.sound import SECONDS
from core.stimuli.study import tell


def cost(model: str, n_units: int) -> None:
    """Seconds of each set, and in all."""
    encoder = load_encoder(model)
    passes = Passes(batch_size=batch_size_for(encoder, 0, SECONDS))
    layers = np.repeat(np.arange(encoder.n_layers), encoder.layer_widths)
    total = 0.0
    for name, stimuli in SETS.items():
        if stimuli.lacks:
            print(f"{name:12} left out: {stimuli.lacks}")
            continue
        begun = time.process_time()
        for _ in stimuli.sounds(0):
            pass
        made = time.process_time()
        responses = respond(encoder, stimuli, 0, passes)
        passed = time.process_time()
        found = tell(stimuli, *repeated(responses, layers, n_units), 200, 0)
        told = time.process_time()
        total += told - made  # the pass makes them again
        n_found = int((found.units["q_value"] < 0.05).groupby(found.units["neuron_index"]).any().sum())
        varying = found.facts["n_varying"]
        print(
            f"{name:12} {stimuli.design.n_stimuli:4} sounds: made {made - begun:5.2f} s, made and passed "
            f"{passed - made:5.2f} s, told {told - passed:5.2f} s; {n_found:,} of {varying:,} units found"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"in all {total:.1f} s, {sum(of.design.n_stimuli for of in SETS.values()):,} sounds, {peak:.0f} MB at most")


def repeated(responses: Responses, layers: np.ndarray, n_units: int) -> tuple[Responses, np.ndarray]:
    """So many units: those of the model again and again, with a little noise; as they are for 0."""
    if not n_units:
        return responses, layers
    rng, which = np.random.default_rng(0), np.arange(n_units) % responses.rate.shape[1]
    rate = responses.rate[:, which]
    rate += 0.01 * rng.standard_normal(rate.shape, dtype=np.float32)
    return Responses(rate, responses.mean[:, which]), layers[which]


def noise(n_studies: int) -> None:
    """Share of studies of 200 units of noise that find any, in a few sets and for three kinds of noise."""
    kinds = {
        "normal": lambda rng, n: rng.standard_normal((n, 200)),
        "rare": lambda rng, n: rng.random((n, 200)) * (rng.random((n, 200)) < 0.05),
        "in common": lambda rng, n: rng.standard_normal((n, 3)) @ rng.standard_normal((3, 200)),
    }
    for name in ("tones", "fundamental", "am", "vowels"):
        design = SETS[name].design
        for kind, draw in kinds.items():
            found, units = 0, 0
            for seed in range(n_studies):
                answers = draw(np.random.default_rng(seed), design.n_stimuli).astype(np.float32)
                of = explain(answers[:, (answers != answers[0]).any(axis=0)], design, 200, seed)[0].evidence
                assert of is not None
                found, units = found + bool((of.q < 0.05).any()), units + int((of.q < 0.05).sum())
            print(f"{name:12} {kind:10} {found} of {n_studies} studies find any; {units / n_studies:.2f} units a study")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano-ssl")
    parser.add_argument("--units", type=int, default=0)
    parser.add_argument("--noise", type=int, default=0)
    given = parser.parse_args(argv)
    if given.noise:
        noise(given.noise)
    else:
        cost(given.model, given.units)


if __name__ == "__main__":
    main()
