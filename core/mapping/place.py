"""Units of one model in a plane: those that respond alike to the same clips lie together.

Clip means of all units, each unit's of mean 0 and length 1, so that the distance of two tells Pearson's correlation;
their first singular directions; t-SNE of these (van der Maaten & Hinton 2008, *JMLR* 9; Barnes-Hut, van der Maaten
2014, *JMLR* 15), begun at the first two directions, which keeps more of the order at large (Kobak & Berens 2019,
doi:10.1038/s41467-019-13056-x). How many of the neighbours in the plane are neighbours by response, too, is the
trustworthiness of Venna & Kaski (2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.manifold import TSNE, trustworthiness
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from core.results import IntArray, UnitMap

METHOD = "t-SNE"
VERSION = 1
"""Raised when units come to lie elsewhere for the same responses."""
N_DIRECTIONS = 50
PERPLEXITY = 30
N_NEIGHBOURS = 10
MOST_CHECKED = 2_000
"""Units whose neighbours are compared: among so many that are drawn."""
FEWEST_UNITS, FEWEST_CLIPS = 10, 10
Means = NDArray[np.float32]


def place(means: Means, datasets: Sequence[str], seed: int) -> UnitMap | None:
    """Place units in a plane.

    Parameters
    ----------
    means : ndarray of float32, shape (n_clips, n_units)
        Mean activation of each unit over each clip's tokens.
    datasets : sequence of str
        Where the clips are from, to be told.
    seed : int

    Returns
    -------
    UnitMap or None
        Of the units that vary; None where there are fewer than `FEWEST_UNITS` of them or `FEWEST_CLIPS` clips. The same
        for the same numbers on the same machine: one thread adds up the forces, in one order.
    """
    responses, units = alike(means)
    if len(units) < FEWEST_UNITS or len(means) < FEWEST_CLIPS:
        return None
    with threadpool_limits(1):
        places = _plane(responses, seed)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(len(units), min(len(units), MOST_CHECKED), replace=False))
    n_neighbours = min(N_NEIGHBOURS, (len(some) - 1) // 2)
    held, by_chance = (
        float(trustworthiness(responses[some], at, n_neighbors=n_neighbours))
        for at in (places[some], places[rng.permutation(some)])
    )
    facts = {
        "method": METHOD, "method_version": VERSION, "seed": seed, "datasets": ", ".join(datasets),
        "n_clips": len(means),
        "trustworthiness": held, "trustworthiness_chance": by_chance, "n_neighbours": n_neighbours,
        "n_checked": len(some),
    }  # fmt: skip
    return UnitMap(pd.DataFrame({"neuron_index": units, "x": places[:, 0], "y": places[:, 1]}), facts)


def alike(means: Means) -> tuple[Means, IntArray]:
    """Responses of mean 0 and length 1, of the units that vary: products of two are their correlation.

    Returns
    -------
    ndarray of float32, shape (n_varying, n_clips)
    ndarray of int, shape (n_varying,)
        Which units.
    """
    centred = np.ascontiguousarray(means.T)
    size = np.abs(centred).max(axis=1, initial=0.0)
    centred -= centred.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    length = np.linalg.norm(centred, axis=1)
    # Rounding alone leaves some of the mean in what does not vary.
    varies = np.isfinite(length) & (length > 1e-6 * size * np.sqrt(max(len(means), 1)))
    responses = centred[varies]
    responses /= length[varies, None]
    return responses, np.flatnonzero(varies)


def _plane(responses: Means, seed: int) -> NDArray[np.float64]:
    """Two coordinates for each unit, in [0, 1]; of one scale, the wider fills it."""
    n_directions = min(N_DIRECTIONS, *responses.shape)
    left, values, _ = randomized_svd(responses, n_directions, random_state=seed)
    near = left * values
    start = near[:, :2] / np.std(near[:, 0]) * 1e-4
    perplexity = min(PERPLEXITY, (len(near) - 1) / 3)
    embed = TSNE(init=start.astype(np.float32), perplexity=perplexity, random_state=seed)
    found = embed.fit_transform(near.astype(np.float32)).astype(np.float64)
    found -= found.min(axis=0)
    scaled: NDArray[np.float64] = found / found.max()
    return scaled
