"""What kind of effect an ablation has: the change of each clip's log probability and logits, taken apart.

A frozen head that says a class less often may have lost an offset or the class itself. For each class, and each
condition against the network with nothing changed:

``total``           change of log p(own class) on the class's clips
``shift``           change of the class's logit on all other clips
``selective``       change of the class's logit on its own clips, less the shift
``discrimination``  change of the AUROC of the class's logit, class against rest
``readable_...``    change of accuracy and of log p(own class) with the head's offsets, and with the whole head, fitted
                    again under the same condition: what the network still holds

*Beyond control* is less the mean of the same change under random sets. Units are clips, or groups of clips (voice,
recording) where they are known. Intervals are percentile bootstraps over units (Efron and Tibshirani 1993, chapter 13),
those of the AUROC over its placements (DeLong et al. 1988, *Biometrics* 44; by cluster Obuchowski 1997, *Biometrics*
53). Tests flip the signs of the units' contributions (Hemerik, Goeman and Finos 2020, *J. R. Stat. Soc. B* 82), all
patterns of signs where there are at most 12 units. Logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import log_expit, logsumexp
from scipy.stats import rankdata

from core.ablation.effects import best_classes, hits, rows_of
from core.results import FloatArray, IntArray, Mask

N_RESAMPLES, N_FLIPS = 1000, 9_999
MOST_EXACT = 12
"""Units up to which every pattern of signs is tried."""


@dataclass(frozen=True)
class Outcome:
    """How a class's number comes from a value of each clip: mean over own clips and over all others, weighted.

    Attributes
    ----------
    value : str
        ``log_prob``, ``logit``, ``placement`` or ``hit``.
    own, other : float
        Weights of the two means.
    head : str
        Of which head's answers: ``frozen``, or fitted again: ``offsets``, ``refit``.
    """

    value: str
    own: float = 1.0
    other: float = 0.0
    head: str = "frozen"

    @property
    def is_difference(self) -> bool:
        """Whether own and other clips change alike where there is no effect."""
        return self.own == -self.other

    @property
    def of_auroc(self) -> bool:
        """Own and other placements have the same mean, the AUROC."""
        return self.value == "placement"


FROZEN = {
    "total": Outcome("log_prob"),
    "shift": Outcome("logit", 0.0, 1.0),
    "selective": Outcome("logit", 1.0, -1.0),
    "discrimination": Outcome("placement", 1.0, 1.0),
}
REFITTED = {
    "readable_offsets": Outcome("hit", head="offsets"),
    "readable_refit": Outcome("hit", head="refit"),
    "readable_offsets_log_prob": Outcome("log_prob", head="offsets"),
    "readable_refit_log_prob": Outcome("log_prob", head="refit"),
}
OUTCOMES = FROZEN | REFITTED
_OTHER = "other"
"""Heads of the same network that were fitted on resampled clips."""


def log_probabilities(logits: NDArray[np.floating], members: Mask, several: bool) -> FloatArray:
    """Log probability of each clip's own class.

    Parameters
    ----------
    logits : ndarray, shape (..., n_clips, n_classes)
        NaN where the head does not know a class.
    members : ndarray of bool, shape (n_clips, n_classes)
    several : bool
        Whether clips may have several labels: then the mean log probability of a clip's labels by their own sigmoids,
        else that of the softmax.

    Returns
    -------
    ndarray, shape (..., n_clips)
        Nats; NaN where the head knows none of the clip's classes.
    """
    known = ~np.isnan(logits)
    own = members & known
    filled = np.where(known, logits, -np.inf).astype(np.float64)
    with np.errstate(invalid="ignore"):  # where nothing was asked, or no class of a clip is known
        log_p = log_expit(filled) if several else filled - logsumexp(filled, axis=-1, keepdims=True)
        mean: FloatArray = np.where(own, log_p, 0.0).sum(axis=-1) / own.sum(axis=-1)
    return mean


def placements(logit: FloatArray, own: Mask) -> FloatArray:
    """Of an own clip the share of other clips with a lower logit, of another the share of own clips with a higher one.

    Parameters
    ----------
    logit : ndarray, shape (n_conditions, n_clips)
    own : ndarray of bool, shape (n_clips,)
        Some, but not all.

    Returns
    -------
    ndarray, shape (n_conditions, n_clips)
        Ties count half; the mean over own clips is the AUROC, and so is that over the others.
    """
    n_own = own.sum()
    n_other = len(own) - n_own
    among_all = rankdata(logit, axis=1)
    placed = np.empty_like(logit, dtype=np.float64)
    placed[:, own] = (among_all[:, own] - rankdata(logit[:, own], axis=1)) / n_other
    placed[:, ~own] = 1 - (among_all[:, ~own] - rankdata(logit[:, ~own], axis=1)) / n_own
    return placed


@dataclass(frozen=True)
class Beside:
    """Which conditions are held against each other.

    Attributes
    ----------
    targets : sequence of int
        Conditions.
    controls : sequence of ndarray of int
        For each target, the conditions of its random sets.
    """

    targets: Sequence[int]
    controls: Sequence[IntArray]


@dataclass(frozen=True)
class ClassOutcomes:
    """The outcomes of one class (or of all clips) under every condition.

    Attributes
    ----------
    changes : dict of str to ndarray, shape (n_conditions,)
        Outcome to the change of its number under each condition; NaN where it was not run.
    rows : list of DataFrame, one a target
        ``outcome``, ``unablated``, ``change``, ``change_low``, ``change_high``, ``control_mean``, ``control_low``,
        ``control_high`` (2.5th and 97.5th percentile of the random sets), ``beyond_control``, ``beyond_low``,
        ``beyond_high``, ``p_value``, ``outside_controls`` (1, 0, NaN without controls), ``n_controls``, ``n_units``,
        ``n_heads``, ``heads_low``, ``heads_high`` (least and greatest change with other heads of the same network).
    """

    changes: dict[str, FloatArray]
    rows: list[pd.DataFrame]


@dataclass(frozen=True)
class Clips:
    """The clips that were asked about.

    Attributes
    ----------
    members : ndarray of bool, shape (n_clips, n_classes)
    units : ndarray of int, shape (n_clips,)
        Unit of resampling of each, from 0.
    several : bool
        Whether a clip may have several labels.
    seed : int
        Of resamples and signs.
    """

    members: Mask
    units: IntArray
    several: bool
    seed: int


@dataclass(frozen=True)
class HeadAnswers:
    """What one head said of every clip under every condition, and of that what is no class's own.

    Attributes
    ----------
    logits : ndarray of float32, shape (n_conditions + 1, n_clips, n_classes)
        The last condition is the network with nothing changed; NaN where a condition was not run.
    log_prob : ndarray, shape (n_conditions + 1, n_clips)
        As `log_probabilities`.
    clips : Clips
    """

    logits: NDArray[np.float32]
    log_prob: FloatArray
    clips: Clips

    @classmethod
    def of(cls, logits: NDArray[np.float32], clips: Clips) -> HeadAnswers:
        """From the logits, condition after condition: all at once would be held twice."""
        log_prob = np.stack([log_probabilities(each, clips.members, clips.several) for each in logits])
        return cls(logits, log_prob, clips)

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Where the head is right, (n_conditions + 1, n_clips, n_classes + 1): `core.ablation.effects.hits`."""
        members = self.clips.members
        n_best = int(members.sum(axis=1).max())
        return np.stack([hits(best_classes(each, n_best), members) for each in self.logits])

    def value(self, name: str, c: int, own: Mask) -> FloatArray:
        """What an outcome of a class is made of, `Outcome.value`; the number of classes as ``c`` is all clips."""
        if name == "log_prob":
            return self.log_prob
        if name == "hit":
            return np.where(np.isnan(self.log_prob), np.nan, self.hits[:, :, c])
        logit = self.logits[:, :, c].astype(np.float64)
        if name == "logit":
            return logit
        known = ~np.isnan(logit[-1])
        placement = np.full_like(logit, np.nan)
        if own[known].any() and not own[known].all():
            placement[:, known] = placements(logit[:, known], own[known])
        return placement

    def values(self, outcomes: Iterable[Outcome], c: int, own: Mask) -> dict[str, FloatArray]:
        """Those that some outcomes are made of; of all clips there is no logit."""
        of_all = c == self.logits.shape[2]
        names = {outcome.value for outcome in outcomes if not (of_all and outcome.value in ("logit", "placement"))}
        return {name: self.value(name, c, own) for name in names}


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all clips, then of each class that has any (the rows of `core.ablation.effects.compare`).

    Attributes
    ----------
    of_rows : list of ClassOutcomes
    frozen : HeadAnswers
    beside : Beside
    """

    of_rows: list[ClassOutcomes]
    frozen: HeadAnswers
    beside: Beside

    @classmethod
    def of(cls, logits: NDArray[np.float32], n_resampled: int, beside: Beside, clips: Clips) -> Outcomes:
        """From the answers of all heads.

        Parameters
        ----------
        logits : ndarray, shape (n_heads, n_conditions + 1, n_clips, n_classes)
            Of the frozen head, of so many others of the same network, and of those fitted again, if there are such.
        n_resampled : int
        beside : Beside
        clips : Clips
        """
        names = ("frozen", *(f"{_OTHER} {i}" for i in range(n_resampled)), "offsets", "refit")
        heads = {name: HeadAnswers.of(of_head, clips) for name, of_head in zip(names, logits, strict=False)}
        asked = {name: [o for o in OUTCOMES.values() if o.head == name] or FROZEN.values() for name in heads}
        of_rows = []
        for c, at in rows_of(clips.members):
            own = np.zeros(len(clips.members), dtype=bool)
            own[at] = True
            values = {name: head.values(asked[name], c, own) for name, head in heads.items()}
            of_rows.append(class_outcomes(values, own, beside, clips))
        return cls(of_rows, heads["frozen"], beside)

    def rows(self, target: int) -> pd.DataFrame:
        """The columns of `ClassOutcomes.rows`, and ``position``, from 0: all clips, then class after class."""
        of_rows = [each.rows[target].assign(position=i) for i, each in enumerate(self.of_rows)]
        return pd.concat(of_rows, ignore_index=True)

    def of_controls(self, target: int) -> pd.DataFrame:
        """``position``, ``draw``, and the change of each outcome of the frozen head under each random set."""
        controls, n_rows = self.beside.controls[target], len(self.of_rows)
        missing = np.full(len(controls), np.nan)
        columns = {
            name: np.concatenate(
                [each.changes[name][controls] if name in each.changes else missing for each in self.of_rows]
            )
            for name in FROZEN
            if any(name in each.changes for each in self.of_rows)
        }
        position, draw = np.repeat(np.arange(n_rows), len(controls)), np.tile(np.arange(len(controls)), n_rows)
        return pd.DataFrame({**columns, "position": position, "draw": draw})

    def clips(self, target: int, clips: IntArray, c: int | None) -> pd.DataFrame:
        """Every clip's own change, and the mean under the target's random sets.

        Parameters
        ----------
        target : int
        clips : ndarray of int, shape (n_clips,)
            Their positions in the dataset.
        c : int or None
            The target's class, for its logit; None if it is none.

        Returns
        -------
        DataFrame
            ``clip_index``, ``log_prob`` (of the clip's own class, with nothing changed), ``delta_log_prob``,
            ``control_delta_log_prob``, ``delta_logit``, ``control_delta_logit`` (of the target's class).
        """
        controls, log_prob = self.beside.controls[target], self.frozen.log_prob
        logit = np.full_like(log_prob, np.nan) if c is None else self.frozen.logits[:, :, c].astype(np.float64)
        columns = {"clip_index": clips, "log_prob": log_prob[-1]}
        for name, value in (("log_prob", log_prob), ("logit", logit)):
            columns[f"delta_{name}"] = value[target] - value[-1]
            columns[f"control_delta_{name}"] = _mean(value[controls]) - value[-1]
        return pd.DataFrame(columns)


def class_outcomes(
    values: Mapping[str, Mapping[str, FloatArray]], own: Mask, beside: Beside, clips: Clips
) -> ClassOutcomes:
    """Outcomes of one class.

    Parameters
    ----------
    values : mapping
        Head, then value (as `Outcome.value`), to (n_conditions + 1, n_clips), the last with nothing changed; NaN
        where a condition was not run, or where the head does not know the class.
    own : ndarray of bool, shape (n_clips,)
    beside : Beside
    clips : Clips
    """
    changes: dict[str, FloatArray] = {}
    rows: list[list[dict[str, object]]] = [[] for _ in beside.targets]
    for name, outcome in OUTCOMES.items():
        value = values.get(outcome.head, {}).get(outcome.value)
        if value is None:
            continue
        known = ~np.isnan(value[-1])
        if not own[known].any() or (outcome.other and own[known].all()):
            continue
        contrast = _Contrast.of(outcome, own[known], clips.units[known], clips.seed)
        change = value[:-1, known] - value[-1, known]
        changes[name] = contrast.estimate(change)
        unablated = float(contrast.estimate(value[-1:, known])[0])
        is_frozen = outcome.head == "frozen"
        others = [of[outcome.value] for head, of in values.items() if is_frozen and head.startswith(_OTHER)]
        of_heads = np.stack([changes[name], *(contrast.estimate(of[:-1, known] - of[-1, known]) for of in others)])
        # A head that was fitted on clips without a class knows nothing of it.
        low, high, n_heads = np.fmin.reduce(of_heads), np.fmax.reduce(of_heads), (~np.isnan(of_heads)).sum(axis=0)
        for i, (target, row) in enumerate(zip(beside.targets, _rows(contrast, change, beside), strict=True)):
            spread = {"n_heads": n_heads[target], "heads_low": low[target], "heads_high": high[target]}
            rows[i].append({"outcome": name, "unablated": unablated, **row, **spread})
    return ClassOutcomes(changes, [pd.DataFrame(of_target) for of_target in rows])


def _rows(contrast: _Contrast, change: FloatArray, beside: Beside) -> list[dict[str, float]]:
    """Of each target, from the changes (n_conditions, n_clips)."""
    estimates = contrast.estimate(change)
    controls = [c[~np.isnan(estimates[c])] for c in beside.controls]
    mean_of = {c.tobytes(): c for c in controls}  # targets of one size share theirs
    means = {key: _mean(change[c]) for key, c in mean_of.items()}
    spreads = {key: _spread(estimates[c]) for key, c in mean_of.items()}
    beyond = np.stack([change[t] - means[c.tobytes()] for t, c in zip(beside.targets, controls, strict=True)])
    low, high = contrast.interval(np.concatenate([change[list(beside.targets)], beyond]))
    n = len(beyond)
    columns = {
        "change": estimates[list(beside.targets)],
        "change_low": low[:n],
        "change_high": high[:n],
        "beyond_control": contrast.estimate(beyond),
        "beyond_low": low[n:],
        "beyond_high": high[n:],
        "p_value": contrast.p_values(beyond),
    }
    return [
        {
            **{name: float(values[i]) for name, values in columns.items()},
            **spreads[controls[i].tobytes()],
            "outside_controls": _outside(estimates[target], estimates[controls[i]]),
            "n_controls": len(controls[i]),
            "n_units": contrast.n_units,
        }
        for i, target in enumerate(beside.targets)
    ]


def _mean(changes: FloatArray) -> FloatArray:
    """Mean over controls, (n_clips,); NaN without any."""
    return changes.mean(axis=0) if len(changes) else np.full(changes.shape[1], np.nan)


def _spread(controls: FloatArray) -> dict[str, float]:
    """The random sets' numbers."""
    if not len(controls):
        return dict.fromkeys(("control_mean", "control_low", "control_high"), float("nan"))
    low, high = np.quantile(controls, [0.025, 0.975])
    return {"control_mean": float(controls.mean()), "control_low": float(low), "control_high": float(high)}


def _outside(change: float, controls: FloatArray) -> float:
    """Whether the target's lies outside of all random sets, 0 or 1; NaN without any."""
    return float(change < controls.min() or change > controls.max()) if len(controls) else float("nan")


@dataclass(frozen=True)
class _Contrast:
    """An outcome of one class over given clips: its estimate, interval and test."""

    outcome: Outcome
    own: Mask
    units: IntArray
    seed: int

    @classmethod
    def of(cls, outcome: Outcome, own: Mask, units: IntArray, seed: int) -> _Contrast:
        """Units counted anew among the clips that the outcome looks at."""
        return cls(outcome, own, np.unique(units, return_inverse=True)[1], seed)

    @property
    def _weights(self) -> FloatArray:
        """Of each clip's value in the estimate, (n_clips,); those of the AUROC count it twice."""
        n_own = self.own.sum()
        own = self.outcome.own / n_own
        other = self.outcome.other / (len(self.own) - n_own) if self.outcome.other else 0.0
        return np.where(self.own, own, other)

    @property
    def n_units(self) -> int:
        """Units that have a say."""
        return len(np.unique(self.units[self._weights != 0]))

    def estimate(self, values: FloatArray) -> FloatArray:
        """(n_rows,) of values (n_rows, n_clips)."""
        estimate: FloatArray = values @ self._weights
        return estimate / 2 if self.outcome.of_auroc else estimate

    def interval(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """95 % percentile bootstrap over units of the estimates of values (n_rows, n_clips); NaN of one unit."""
        if self.n_units < 2:
            return np.full(len(values), np.nan), np.full(len(values), np.nan)
        drawn = _draws(self.own, self.units, self.seed)
        means = np.zeros((len(drawn), len(values)))
        for weight, clips in ((self.outcome.own, self.own), (self.outcome.other, ~self.own)):
            if weight:
                of_these = drawn[:, clips]
                with np.errstate(invalid="ignore"):
                    means += weight * (of_these @ values[:, clips].T) / of_these.sum(axis=1, keepdims=True)
        if self.outcome.of_auroc:  # linear in its placements: own and other means, less the AUROC counted twice
            means -= self.estimate(values)
        unknown = np.isnan(means).all(axis=0)  # of rows that were not run
        means = np.where(unknown, 0.0, means)
        quantile = np.nanquantile if np.isnan(means).any() else np.quantile  # the former goes column by column
        quantiles = quantile(means, [0.025, 0.975], axis=0)
        low, high = np.where(unknown, np.nan, quantiles)
        return low, high

    def p_values(self, values: FloatArray) -> FloatArray:
        """Two-sided, (n_rows,), of no change; NaN where the values are."""
        centre = values.mean(axis=1, keepdims=True) if self.outcome.is_difference else 0.0
        of_clips = (values - centre) * self._weights
        of_units = np.zeros((self.units.max() + 1, len(values)))
        np.add.at(of_units, self.units, of_clips.T)
        return sign_flip_p(of_units[np.unique(self.units[self._weights != 0])], self.seed)


def sign_flip_p(contributions: FloatArray, seed: int) -> FloatArray:
    """How often a sum of contributions is as far from 0 as it is if each may have the other sign.

    Parameters
    ----------
    contributions : ndarray, shape (n_units, n_tests)
    seed : int
        Of the signs that are drawn where there are more than 12 units.

    Returns
    -------
    ndarray, shape (n_tests,)
        The least is 2 / 2**n_units, or 1 in 10,000; NaN where a contribution is.
    """
    n_units = len(contributions)
    signs = _every_sign(n_units) if n_units <= MOST_EXACT else _drawn_signs(n_units, seed)
    far = np.abs(contributions.sum(axis=0)) - 1e-9 * np.abs(contributions).sum(axis=0)
    n_far = np.zeros(contributions.shape[1])
    for some in np.array_split(signs, max(1, signs.size // 2**22)):
        n_far += (np.abs(some.astype(np.float64) @ contributions) >= far).sum(axis=0)
    p = n_far / len(signs) if n_units <= MOST_EXACT else (n_far + 1) / (len(signs) + 1)
    return np.where(np.isnan(far), np.nan, p)


@lru_cache(MOST_EXACT + 1)
def _every_sign(n_units: int) -> NDArray[np.int8]:
    bits = np.arange(2**n_units)[:, None] >> np.arange(n_units) & 1
    return (1 - 2 * bits).astype(np.int8)


@lru_cache(4)
def _drawn_signs(n_units: int, seed: int) -> NDArray[np.int8]:
    return np.random.default_rng([seed, n_units]).integers(0, 2, (N_FLIPS, n_units), dtype=np.int8) * 2 - 1


def _draws(own: Mask, units: IntArray, seed: int) -> FloatArray:
    """How often each clip is in each resample, (n_resamples, n_clips).

    Units that hold a clip of the class are drawn among themselves, and so are the others. The seed meets the numbers of
    units alone: the order of the classes changes nothing.
    """
    of_class = np.zeros(units.max() + 1, dtype=bool)
    of_class[units[own]] = True
    drawn = np.empty((N_RESAMPLES, len(of_class)))
    for i, these in enumerate((of_class, ~of_class)):
        if n := int(these.sum()):
            drawn[:, these] = _resamples(seed, i, n)
    return drawn[:, units]


@lru_cache(8)
def _resamples(seed: int, i: int, n: int) -> FloatArray:
    """How often each of n units is in each resample, (n_resamples, n)."""
    drawn = np.random.default_rng([seed, i, n]).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES)
    return drawn.astype(np.float64)
