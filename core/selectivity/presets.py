"""Counts -> activation probabilities -> AAPE -> class-specific neurons.

Source: Kawamura, Niizumi, Ono 2026 (arXiv 2602.15307), section on AAPE; it adapts LAPE (Tang et al.
2024, arXiv 2402.16438). Where the published text leaves room, the reading is a setting with a
default, never a constant in the code.

Conventions: matrices are (n_classes, n_neurons) with neurons by flat index, layer after layer;
probabilities are shares of tokens; entropies are in nats. Low entropy = selective. A neuron that
never fires has entropy NaN and is never selected. Ties are broken by flat index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from core.results import FloatArray, IntArray, Mask

if TYPE_CHECKING:
    import pandas as pd

Preset = Literal["aape", "lape", "calibrated"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


@dataclass(frozen=True)
class SelectionSettings:
    """How class-specific neurons are chosen.

    Attributes
    ----------
    preset : str
        ``aape`` (the paper), ``lape`` (LAPE's published code) or ``calibrated`` (rule of evidence).
    entropy_rate : float
        Share of all neurons that the entropy keeps (``aape``, ``lape``).
    probability_bar : float
        A neuron is specific for a class when its probability there exceeds this quantile of all
        (neuron, class) probabilities (``aape``, ``lape``).
    bar_scope : str
        ``task``: one bar over all pairs; ``class``: for each class over the neurons (``aape``).
    activity : str
        ``quantile:R``: drop the share R of neurons with the lowest largest probability;
        ``any-above:Q``: keep a neuron only if some class exceeds quantile Q of all pairs.
    q_max, lift_min, rate_min : float
        ``calibrated``: false discovery rate, least ratio to the mean of the other classes, least
        probability.
    """

    preset: Preset = "aape"
    entropy_rate: float = 0.01
    probability_bar: float = 0.95
    bar_scope: Literal["task", "class"] = "task"
    activity: str = "quantile:0.05"
    q_max: float = 0.05
    lift_min: float = 2.0
    rate_min: float = 0.02

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"unknown preset '{self.preset}'; expected one of {', '.join(PRESETS)}")
        for name in ("entropy_rate", "probability_bar", "q_max"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a share in (0, 1]")
        if self.bar_scope not in ("task", "class"):
            raise ValueError(f"bar_scope is '{self.bar_scope}'; expected task or class")
        parse_activity(self.activity)

    def in_force(self) -> dict[str, object]:
        """The settings that this preset reads."""
        used = {
            "aape": ("entropy_rate", "probability_bar", "bar_scope", "activity"),
            "lape": ("entropy_rate", "probability_bar"),
            "calibrated": ("q_max", "lift_min", "rate_min"),
        }[self.preset]
        return {k: v for k, v in asdict(self).items() if k in used}


def parse_activity(rule: str) -> tuple[str, float]:
    """Read ``quantile:R`` or ``any-above:Q``.

    Raises
    ------
    ValueError
        For anything else.
    """
    kind, _, text = rule.partition(":")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if kind not in ("quantile", "any-above") or not 0 <= value <= 1:
        raise ValueError(f"activity is '{rule}'; expected quantile:R or any-above:Q with a share in [0, 1]")
    return kind, value


def activation_probabilities(positive_counts: IntArray, token_counts: IntArray) -> FloatArray:
    """P(event given class).

    Parameters
    ----------
    positive_counts : ndarray of int, shape (n_classes, n_neurons)
    token_counts : ndarray of int, shape (n_classes,)

    Returns
    -------
    ndarray of float, shape (n_classes, n_neurons)

    Raises
    ------
    ValueError
        If shapes do not fit, a class has no token, or a count exceeds its tokens.
    """
    positive, tokens = np.asarray(positive_counts), np.asarray(token_counts)
    if positive.ndim != 2 or tokens.shape != positive.shape[:1]:
        raise ValueError(
            f"positive_counts {positive.shape} and token_counts {tokens.shape}; "
            "expected (n_classes, n_neurons) and (n_classes,)"
        )
    if (tokens <= 0).any():
        raise ValueError(f"class {int(np.argmax(tokens <= 0))} has no token; leave such classes out")
    if (positive < 0).any() or (positive > tokens[:, None]).any():
        raise ValueError("a positive count is negative or exceeds its class's tokens")
    return positive / tokens[:, None]


def entropy(probabilities: FloatArray) -> FloatArray:
    """AAPE of each neuron: entropy of its probabilities, normalised over the classes.

    Parameters
    ----------
    probabilities : ndarray, shape (n_classes, n_neurons)

    Returns
    -------
    ndarray of float, shape (n_neurons,)
        In nats, from 0 (one class only) to ln n_classes (all alike); NaN if it never fires.
    """
    total = probabilities.sum(axis=0)
    dead = total == 0
    share = probabilities / np.where(dead, 1.0, total)
    logs = np.log(np.where(share > 0, share, 1.0))
    # Clipped because rounding can leave -0.0 or a hair over ln n_classes.
    value = np.clip(-(share * logs).sum(axis=0), 0.0, np.log(max(len(probabilities), 1)))
    return np.where(dead, np.nan, value)


def lift(probabilities: FloatArray) -> FloatArray:
    """Probability over the mean probability of the other classes; shape as given.

    Infinite where the others are all 0 and this is not, NaN where all are 0.
    """
    n_classes = len(probabilities)
    others = (probabilities.sum(axis=0) - probabilities) / max(n_classes - 1, 1)
    # The subtraction can leave rounding dust where the others are exactly 0.
    others[others < 1e-12] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return probabilities / others


def kth_smallest(values: FloatArray, rate: float) -> float:
    """The k-th smallest value, k = round(n * rate), counted from 1; -inf for k = 0 (LAPE's quantile)."""
    flat = np.ravel(values)
    k = round(flat.size * rate)
    return float(np.partition(flat, k - 1)[k - 1]) if k > 0 else -np.inf


def select(
    probabilities: FloatArray,
    settings: SelectionSettings,
    entropies: FloatArray | None = None,
    q_values: FloatArray | None = None,
) -> Mask:
    """Which neuron is specific for which class.

    Parameters
    ----------
    probabilities : ndarray, shape (n_classes, n_neurons)
    settings : SelectionSettings
    entropies : ndarray, shape (n_neurons,), optional
        As from `entropy`, where it is known already.
    q_values : ndarray, shape (n_classes, n_neurons), optional
        Needed by ``calibrated`` (see `core.evidence.permutation.evidence`).

    Returns
    -------
    ndarray of bool, shape (n_classes, n_neurons)
    """
    if settings.preset == "calibrated":
        if q_values is None:
            raise ValueError("the preset 'calibrated' needs q_values; core.evidence.permutation.evidence gives them")
        return (
            (q_values < settings.q_max)
            & (probabilities >= settings.rate_min)
            & (lift(probabilities) >= settings.lift_min)
        )
    if entropies is None:
        entropies = entropy(probabilities)
    bar = kth_smallest(probabilities, settings.probability_bar)
    if settings.preset == "lape":
        active = np.asarray((probabilities > bar).any(axis=0))
    else:
        active = _active(probabilities, settings.activity)
    chosen = np.zeros(probabilities.shape[1], dtype=bool)
    chosen[_lowest(entropies, active, round(settings.entropy_rate * entropies.size))] = True
    if settings.preset == "aape" and settings.bar_scope == "class":
        bars = np.array([kth_smallest(row, settings.probability_bar) for row in probabilities])
        return chosen & (probabilities > bars[:, None])
    return chosen & (probabilities > bar)


def _active(probabilities: FloatArray, rule: str) -> Mask:
    kind, value = parse_activity(rule)
    if kind == "quantile":
        largest = probabilities.max(axis=0)
        return largest > kth_smallest(largest, value)
    return np.asarray((probabilities > kth_smallest(probabilities, value)).any(axis=0))


def _lowest(entropies: FloatArray, active: Mask, quota: int) -> IntArray:
    """Flat indices of the ``quota`` lowest entropies among the active; fewer if there are fewer."""
    candidates = np.flatnonzero(active & ~np.isnan(entropies))
    return candidates[np.argsort(entropies[candidates], kind="stable")[:quota]]


def class_specific_neurons(
    positive_counts: IntArray,
    token_counts: IntArray,
    layer_widths: Sequence[int],
    preset: Preset = "aape",
    q_values: FloatArray | None = None,
    **settings: object,
) -> pd.DataFrame:
    """Class-specific neurons from counts.

    Parameters
    ----------
    positive_counts : ndarray of int, shape (n_classes, n_neurons)
        Neurons of all layers, layer after layer.
    token_counts : ndarray of int, shape (n_classes,)
    layer_widths : sequence of int
        Neurons of each layer, in order.
    preset : str
        ``aape``, ``lape`` or ``calibrated``.
    q_values : ndarray, shape (n_classes, n_neurons), optional
        Needed by ``calibrated``.
    **settings
        Fields of `SelectionSettings`.

    Returns
    -------
    DataFrame
        ``class_index``, ``layer``, ``neuron``, ``activation_probability``, ``entropy`` (nats);
        sorted by class, entropy, layer, neuron. Classes without neurons have no row.

    Raises
    ------
    ValueError
        If shapes do not fit or a setting is out of range.
    """
    import pandas as pd

    widths = np.asarray(layer_widths)
    probabilities = activation_probabilities(positive_counts, token_counts)
    if widths.sum() != probabilities.shape[1]:
        raise ValueError(f"layer_widths add up to {widths.sum()}, counts hold {probabilities.shape[1]} neurons")
    chosen = replace(SelectionSettings(preset=preset), **settings)  # type: ignore[arg-type]
    entropies = entropy(probabilities)
    mask = select(probabilities, chosen, entropies, q_values)
    class_index, flat = np.nonzero(mask)
    starts = np.concatenate([[0], np.cumsum(widths)])
    layer = np.searchsorted(starts, flat, side="right") - 1
    table = pd.DataFrame(
        {
            "class_index": class_index,
            "layer": layer,
            "neuron": flat - starts[layer],
            "activation_probability": probabilities[class_index, flat],
            "entropy": entropies[flat],
        }
    )
    return table.sort_values(["class_index", "entropy", "layer", "neuron"], ignore_index=True)
