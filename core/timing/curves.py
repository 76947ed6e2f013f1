"""What a unit does around the onsets of a class: curves with bands of shifted activity, latency, shape.

A curve is the unit's activation probability (tokens in which it fires over all) at each lag, in columns, from the
onsets of a class's segments. Lags that lie outside the stretch over which labels are shifted are left out, onset by
onset. Shifting the unit's activity circularly within that stretch against onsets that stay gives, for each lag, a mean
that is exact and the same for all shifts drawn; the band is where 95 % of `N_SHIFTS` drawn curves lie *with all their
lags*: deviations are measured in standard deviations of their lag, and the band is as wide as the largest of a curve is
in 95 of 100 curves. So a single point beyond it counts, wherever it is.

- **peak**: the highest point of the curve over its shifted mean.
- **latency**: the lag at which the curve, followed back from the peak, falls to half of the peak's height over the
  shifted mean, between columns by a straight line. Where the peak does not leave the band there is none, nor where the
  curve is above half from the first lag on. Its interval: 2.5th and 97.5th percentile over `N_RESAMPLED` bootstrap
  samples of clips, of groups of clips where these are known (none where a sample's curve is nowhere above the shifted
  mean), and a column more on either side: an onset lies anywhere in its column, and so does what answers to it.
- **shape**: rates of three parts of each segment, over the rate outside segments (never below 0), as shares that add up
  to 1. *Onset*: the first half of its columns, `EDGE_SECONDS` at most, one at least; *sustain*: its other columns;
  *offset*: as many columns after its end as the onset has, without those of another segment of the class. What no
  segment of the class has (sustain, where all are of one column) has no share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.arrays.neurons import layer_starts
from core.evidence.intervals import sampling_units
from core.results import FloatArray, IntArray, Mask
from core.timing.evidence import Design, Found
from core.timing.shifts import product
from core.timing.tracks import Tracks

AROUND_SECONDS = 0.5
EDGE_SECONDS = 0.1
N_SHIFTS, N_RESAMPLED = 200, 200
MOST_OF_CLASS = 48
"""Units of a class whose curves are kept: of those that passed, the strongest evidence first."""
STRONGEST = 3
"""Where fewer passed, so many are shown all the same."""
PARTS = ("onset", "sustain", "offset")


@dataclass(frozen=True)
class Curves:
    """Frames for the store; classes as rows of `Found`, units by flat index.

    Attributes
    ----------
    points : DataFrame
        ``class_index``, ``neuron_index``, ``lag_columns``, ``lag_seconds``, ``activation_probability``, ``null_mean``,
        ``null_low``, ``null_high``, ``token_count``.
    shapes : DataFrame
        ``class_index``, ``neuron_index``, ``n_onsets``, ``peak_seconds``, ``peak_probability``, ``is_beyond``,
        ``latency_seconds``, ``latency_low``, ``latency_high``, ``onset_index``, ``sustain_index``, ``offset_index``.
    """

    points: pd.DataFrame
    shapes: pd.DataFrame


def chosen_pairs(found: Found) -> list[tuple[int, IntArray]]:
    """Of each row of classes the units whose curves are kept, in order of their index."""
    pairs = []
    for row in range(len(found.present)):
        strength = np.lexsort((-found.lift[row], found.p[row]))
        passed = strength[found.is_specific[row][strength]][:MOST_OF_CLASS]
        others = strength[(found.positive[row] > 0)[strength] & ~found.is_specific[row][strength]]
        pairs.append((row, np.sort(np.concatenate([passed, others[: max(0, STRONGEST - len(passed))]]))))
    return pairs


def curves(
    tracks: Tracks, design: Design, found: Found, groups: IntArray | None, seed: int
) -> Iterator[tuple[int, Curves]]:
    """Curves of every class, block by block (`Tracks.blocks`): its number, and what a class's units do there.

    Parameters
    ----------
    groups : ndarray of int, shape (n_clips,), or None
        Group of each clip of the dataset.
    """
    starts = layer_starts(tracks.widths)
    pairs = chosen_pairs(found)
    for number, layers in enumerate(tracks.blocks):
        for row, units in pairs:
            own = units[(units >= starts[number]) & (units < starts[number + 1])] - starts[number]
            if len(own):
                around = _Around.of(tracks, design, layers, int(found.present[row]), own, seed)
                points, shapes = around.told(groups, seed)
                named = {"class_index": row}
                for frame in (points, shapes):
                    frame["neuron_index"] = starts[number] + own[frame.pop("unit").to_numpy()]
                yield number, Curves(points.assign(**named), shapes.assign(**named))


@dataclass(frozen=True)
class _Around:
    """Counts around the onsets of one class, in some units of a block of layers.

    Attributes
    ----------
    step : float
        Seconds of a column.
    lags : ndarray of int, shape (n_lags,)
    clips : ndarray of int, shape (n_clips,)
        Those with an onset.
    positive : ndarray, shape (n_clips, n_lags, n_units)
    tokens : ndarray, shape (n_clips, n_lags)
    expected : ndarray, shape (n_clips, n_lags, n_units)
        Mean of the count, over all shifts.
    drawn : ndarray, shape (N_SHIFTS, n_lags, n_units)
        Counts under drawn shifts.
    n_onsets : int
    parts : ndarray, shape (4, n_units), part_tokens : ndarray, shape (4,)
        Counts in onset, sustain and offset, and outside.
    """

    step: float
    lags: IntArray
    clips: IntArray
    positive: FloatArray
    tokens: FloatArray
    expected: FloatArray
    drawn: NDArray[np.float32]
    n_onsets: int
    parts: FloatArray
    part_tokens: FloatArray

    # More than six: which class, in which units, of which layers, by which shifts.
    @classmethod
    def of(cls, tracks: Tracks, design: Design, layers: range, class_index: int, units: IntArray, seed: int) -> _Around:
        """Count, clip after clip."""
        step = tracks.seconds_of(layers.start)
        reach = max(1, int(AROUND_SECONDS / step + 1e-9))
        lags = np.arange(-reach, reach + 1)
        rng = np.random.default_rng([seed, layers.start, class_index])
        clips, positive, tokens, expected, n_onsets = [], [], [], [], 0
        drawn = np.zeros((N_SHIFTS, len(lags), len(units)), dtype=np.float32)
        parts, part_tokens = np.zeros((4, len(units))), np.zeros(4)
        for track, at in tracks.with_class(design.chosen, class_index, layers.start):
            fires = tracks.fires(track, layers, units)
            masks = in_parts(track.masks[at], max(1, int(EDGE_SECONDS / step + 1e-9)))
            parts += product(masks, fires)
            part_tokens += masks @ track.cells
            onsets = track.onsets[at]
            if not len(onsets):
                continue
            near = around(onsets, lags, track.n)
            clips.append(track.clip)
            positive.append(product(near, fires))
            tokens.append(near @ track.cells)
            n_onsets += len(onsets)
            expected.append(near.sum(axis=1)[:, None] * fires.mean(axis=0, dtype=np.float64))
            by = rng.integers(track.n, size=N_SHIFTS)
            moved = fires[(np.arange(track.n) + by[:, None]) % track.n]  # (N_SHIFTS, n_columns, n_units)
            drawn += product(near, moved)
        shape = len(clips), len(lags)
        counts = [np.array(of, np.float64).reshape(*shape, len(units)) for of in (positive, expected)]
        return cls(
            step, lags, np.array(clips, dtype=np.int64), counts[0], np.array(tokens, np.float64).reshape(shape),
            counts[1], drawn, n_onsets, parts, part_tokens,
        )  # fmt: skip

    def told(self, groups: IntArray | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Points and shapes, units by their position (``unit``)."""
        n_units = self.expected.shape[2]
        total = self.tokens.sum(axis=0)
        kept = total > 0
        per_token = 1 / np.where(kept, total, 1)[:, None]
        curve, mean = (of.sum(axis=0) * per_token for of in (self.positive, self.expected))
        half = band(self.drawn[:, kept] * per_token[kept], mean[kept])
        curve, mean, lags = curve[kept], mean[kept], self.lags[kept]
        latency, peak, begins_within = latencies(curve, mean, lags * self.step)
        is_beyond = np.zeros(n_units, dtype=np.bool_)
        low = high = np.full(n_units, np.nan)
        if len(lags):
            columns = np.arange(n_units)
            is_beyond = curve[peak, columns] > (mean + half)[peak, columns]
            ends = self._interval(kept, groups, seed)
            latency, low, high = (np.where(is_beyond & begins_within, of, np.nan) for of in (latency, *ends))
        n = len(lags)
        points = pd.DataFrame({
            "unit": np.tile(np.arange(n_units), n), "lag_columns": np.repeat(lags, n_units),
            "lag_seconds": np.repeat(lags * self.step, n_units), "activation_probability": curve.ravel(),
            "null_mean": mean.ravel(), "null_low": np.maximum(mean - half, 0).ravel(),
            "null_high": np.minimum(mean + half, 1).ravel(),
            "token_count": np.repeat(np.rint(total[kept]).astype(np.int64), n_units),
        })  # fmt: skip
        indices = shape_indices(self.parts, self.part_tokens)
        shapes = pd.DataFrame({
            "unit": np.arange(n_units), "n_onsets": self.n_onsets,
            "peak_seconds": lags[peak] * self.step if n else np.nan,
            "peak_probability": curve[peak, np.arange(n_units)] if n else np.nan,
            "is_beyond": is_beyond, "latency_seconds": latency, "latency_low": low, "latency_high": high,
            **{f"{part}_index": of for part, of in zip(PARTS, indices, strict=True)},
        })  # fmt: skip
        return points, shapes

    def _interval(self, kept: Mask, groups: IntArray | None, seed: int) -> tuple[FloatArray, FloatArray]:
        """Percentiles of the latency over resampled clips, or groups; NaN with fewer than two."""
        n_units = self.expected.shape[2]
        unit = sampling_units(None if groups is None else groups[self.clips], len(self.clips))
        n = int(unit.max(initial=-1)) + 1
        if n < 2:
            return np.full(n_units, np.nan), np.full(n_units, np.nan)
        draws = np.random.default_rng([seed, 1]).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLED)
        weights = draws[:, unit].astype(np.float64)  # (N_RESAMPLED, n_clips)
        total = np.maximum(weights @ self.tokens[:, kept], 1e-9)
        n_lags, seconds = int(kept.sum()), self.lags[kept] * self.step

        def resampled(counts: FloatArray) -> FloatArray:
            """Rates of all samples side by side, (n_lags, N_RESAMPLED * n_units)."""
            summed = (weights @ counts[:, kept].reshape(len(unit), -1)).reshape(N_RESAMPLED, n_lags, n_units)
            return np.moveaxis(summed / total[:, :, None], 0, 1).reshape(n_lags, -1)

        found = latencies(resampled(self.positive), resampled(self.expected), seconds)[0]
        found = found.reshape(N_RESAMPLED, n_units)
        known = ~np.isnan(found).any(axis=0)
        ends = np.full((2, n_units), np.nan)
        ends[:, known] = np.quantile(found[:, known], [0.025, 0.975], axis=0)
        return ends[0] - self.step, ends[1] + self.step


def around(onsets: IntArray, lags: IntArray, n: int) -> NDArray[np.float32]:
    """How many onsets have a column at each lag, (n_lags, n columns); those outside have none.

    Examples
    --------
    >>> around(np.array([0, 2]), np.array([-1, 0, 1]), 3).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    counts = np.zeros((len(lags), n), dtype=np.float32)
    column = onsets[None] + lags[:, None]
    lag, onset = np.nonzero((column >= 0) & (column < n))
    np.add.at(counts, (lag, column[lag, onset]), 1)
    return counts


def band(drawn: NDArray[np.floating], mean: FloatArray) -> FloatArray:
    """Half width of the band in which 95 % of the drawn curves lie as a whole.

    Parameters
    ----------
    drawn : ndarray, shape (n_drawn, n_lags, n_units)
    mean : ndarray, shape (n_lags, n_units)
        Exact.
    """
    if not mean.size:
        return np.zeros(mean.shape)
    away = drawn - mean
    sd: FloatArray = np.sqrt((away**2).mean(axis=0))
    largest = np.abs(np.divide(away, sd, out=np.zeros_like(away), where=sd > 0)).max(axis=1)
    return sd * np.quantile(largest, 0.95, axis=0)


def latencies(curve: FloatArray, mean: FloatArray, seconds: NDArray[np.floating]) -> tuple[FloatArray, IntArray, Mask]:
    """When each unit reaches half of its peak, and where that is.

    Parameters
    ----------
    curve, mean : ndarray, shape (n_lags, n_units)
    seconds : ndarray, shape (n_lags,)
        Ascending.

    Returns
    -------
    latency : ndarray, shape (n_units,)
        NaN where the curve is nowhere above the mean; the first lag where it is above half from there on.
    peak : ndarray of int, shape (n_units,)
    begins_within : ndarray of bool, shape (n_units,)
        Whether the curve is below half before its peak: else the latency is the first lag or less.

    Examples
    --------
    >>> curve = np.array([[0.0], [0.0], [0.75], [1.0], [0.5]])
    >>> latencies(curve, np.zeros((5, 1)), np.array([-0.2, -0.1, 0.0, 0.1, 0.2]))[0].round(4).tolist()
    [-0.0333]
    """
    height = curve - mean
    n_lags, n_units = height.shape
    if not n_lags:
        return np.full(n_units, np.nan), np.zeros(n_units, dtype=np.int64), np.zeros(n_units, dtype=np.bool_)
    peak = height.argmax(axis=0)
    columns = np.arange(n_units)
    half = height[peak, columns] / 2
    before = (height < half) & (np.arange(n_lags)[:, None] < peak)
    last = n_lags - 1 - before[::-1].argmax(axis=0)  # the last lag before the peak that lies below half of it
    has = before.any(axis=0)
    below = np.where(has, last, 0)
    above = np.where(has, last + 1, 0)
    low, high = height[below, columns], height[above, columns]
    share = np.where(has, (half - low) / np.where(high > low, high - low, 1), 0)
    latency = seconds[below] + share * (seconds[above] - seconds[below])
    return np.where(height[peak, columns] > 0, latency, np.nan), peak, has


def in_parts(mask: Mask, edge: int) -> NDArray[np.float32]:
    """Onset, sustain and offset of a class's columns, and what is outside, (4, n_columns).

    Examples
    --------
    >>> in_parts(np.array([0, 1, 1, 1, 1, 0, 0, 0], dtype=bool), 1).astype(int).tolist()
    [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1, 1]]
    """
    parts = np.zeros((4, len(mask)), dtype=np.float32)
    turns = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    for start, stop in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True):
        n = max(1, min(edge, (stop - start) // 2))
        parts[0, start : start + n] = 1
        parts[1, start + n : stop] = 1
        parts[2, stop : stop + n] = 1
    parts[2, mask] = 0
    parts[3] = ~(mask | (parts[2] > 0))
    return parts


def shape_indices(positive: FloatArray, tokens: FloatArray) -> FloatArray:
    """Shares of onset, sustain and offset, (3, n_units); NaN where no part has a rate over that outside, and of a part
    without tokens.

    Parameters
    ----------
    positive : ndarray, shape (4, n_units)
        Counts in onset, sustain, offset and outside.
    tokens : ndarray, shape (4,)
    """
    rates = positive / np.maximum(tokens, 1)[:, None]
    over = np.clip(rates[:3] - rates[3], 0, None)
    total = over.sum(axis=0)
    is_there = (tokens[:3] > 0)[:, None] & (total > 0)
    return np.where(is_there, over / np.where(total > 0, total, 1), np.nan)
