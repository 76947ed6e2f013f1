"""What kind of effect ablations have, over the classes of a task: means, what holds, and the sentences that tell it.

Pure functions of rows as `db.reads.ablation.own_outcomes` gives them: one a target, its own class and outcome.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT, action
from dashboard.shared.text.numbers import between, counted, number, share
from dashboard.shared.text.words import listed, plain

_N_DRAWS, _LEAST_CLASSES = 2000, 5
_MOST_EXACT, _LEAST_DRAWN = 12, 1e-4
"""Up to so many units every pattern of signs is tried; beyond, the least p that drawn signs give."""
_SHARE = re.compile(r"(.+) ([\d.]+)%")
_NOTICED = 0.02
"""Loss of accuracy below which a head hardly notices."""


@dataclass(frozen=True)
class Rule:
    """How a selection chose its neurons.

    Attributes
    ----------
    name : str
        ``mad``, ``top``, ``aape``, ...
    percent : str
        Of all neurons, as it was asked for; empty where sizes come from the rule.
    """

    name: str
    percent: str = ""

    @classmethod
    def of(cls, selection: str) -> Rule:
        """From a selection's name.

        Examples
        --------
        >>> Rule.of("mad 0.2%"), Rule.of("aape").name
        (Rule(name='mad', percent='0.2'), 'aape')
        """
        found = _SHARE.fullmatch(selection)
        return cls(found[1], found[2]) if found else cls(selection)

    @property
    def option(self) -> str:
        """As ``--ablate`` takes it."""
        return f"{self.name}:{float(self.percent) / 100:g}" if self.percent else self.name


def first_selection(selections: Sequence[str]) -> str:
    """The selection that is told where none is asked for: ``mad 1%``, else ``top 1%``, else the first."""
    return next((name for name in ("mad 1%", "top 1%") if name in selections), selections[0])


def interval_of_mean(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap of a mean over classes, as `ablation_specificity` has it; NaN of fewer than 5."""
    if len(values) < _LEAST_CLASSES or np.isnan(values).any():
        return float("nan"), float("nan")
    low, high = np.quantile(values[_resamples(len(values))].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


@lru_cache(maxsize=16)
def _resamples(n: int) -> np.ndarray:
    """Places of so many values, drawn with replacement; the same whenever it is asked for."""
    draws = np.random.default_rng(0).integers(n, size=(_N_DRAWS, n))
    draws.flags.writeable = False
    return draws


def holding(rows: pd.DataFrame) -> pd.Series:
    """Mark outcomes that hold: q below 0.05, and outside of all random sets; without either they do not."""
    q, outside = (rows[name].to_numpy(dtype=np.float64) for name in ("q_value", "outside_controls"))
    return pd.Series((q < Q_LIMIT) & (outside == 1), index=rows.index)


def losing(rows: pd.DataFrame) -> pd.Series:
    """Mark outcomes that hold and lie below what random sets do."""
    return holding(rows) & (rows["beyond_control"].to_numpy(dtype=np.float64) < 0)


_NUMBERS = ("change", "control_mean", "beyond_control", "unablated")


def over_classes(own: pd.DataFrame, keys: Sequence[str] = ("selection",)) -> pd.DataFrame:
    """Mean of each outcome over the classes.

    Parameters
    ----------
    own : DataFrame
    keys : sequence of str
        Columns that tell apart what was ablated.

    Returns
    -------
    DataFrame
        ``keys``, ``outcome``, ``mean``, ``low``, ``high`` (95 %, over classes), ``control`` (mean over classes of the
        random sets' mean), ``unablated``, ``n`` (classes), ``n_hold``, ``n_lose`` (of those, the classes that lose
        more than under random sets), ``n_neurons`` (mean), ``n_units`` (most), ``n_controls`` (least).
    """
    own = own.astype(dict.fromkeys(_NUMBERS, "float64"))  # a column without any number has none
    own = own.assign(holds=holding(own), loses=losing(own))
    groups = own.groupby([*keys, "outcome"], sort=False, dropna=False)
    means = groups.agg(
        mean=("change", "mean"), control=("control_mean", "mean"), unablated=("unablated", "mean"),
        n=("change", "size"), n_hold=("holds", "sum"), n_lose=("loses", "sum"), n_neurons=("n_neurons", "mean"),
        n_units=("n_units", "max"), n_controls=("n_controls", "min"),
    ).reset_index()  # fmt: skip
    group = groups.ngroup().to_numpy()
    ends = np.cumsum(np.bincount(group, minlength=len(means)))
    of_group = np.split(own["change"].to_numpy()[np.argsort(group, kind="stable")], ends[:-1])[: len(means)]
    intervals = np.array([interval_of_mean(values) for values in of_group]).reshape(-1, 2)
    means = means.assign(low=intervals[:, 0], high=intervals[:, 1])
    columns = [*keys, "outcome", "mean", "low", "high", "control", "unablated", "n", "n_hold", "n_lose", "n_neurons",
               "n_units", "n_controls"]  # fmt: skip
    return means[columns].astype(dict.fromkeys(("n_hold", "n_lose", "n_units", "n_controls"), "int64"))


def told(own: pd.DataFrame) -> pd.DataFrame:
    """Of each model and task the rows that are told first: of `first_selection`, silenced if anything was.

    Parameters
    ----------
    own : DataFrame
        Of `db.reads.report.own_outcomes` or ``own_effects``: with ``model``, ``task``, ``selection``, ``operation``,
        ``gain``.
    """
    parts = [own.iloc[:0]]
    for _, of in own.groupby(["model", "task"], sort=False):
        silenced = of[(of["operation"] == "scale") & (of["gain"] == 0)]
        done = silenced if len(silenced) else of[_alike(of, "operation") & _alike(of, "gain")]
        parts.append(done[done["selection"] == first_selection(list(dict.fromkeys(done["selection"])))])
    return pd.concat(parts)


def _alike(rows: pd.DataFrame, name: str) -> pd.Series:
    """Which rows have the same as the first; missing is the same as missing."""
    first = rows[name].iloc[0]
    return rows[name].isna() if pd.isna(first) else rows[name] == first


def model_lines(own: pd.DataFrame) -> list[str]:
    """Tell for each model how many classes lose something of their own without their own neurons.

    Parameters
    ----------
    own : DataFrame
        Of `db.reads.report.own_outcomes`.
    """
    means = over_classes(told(own), ["model", "task", "selection"])
    lines = []
    for model, of in means.groupby("model", sort=False):
        selective, shift = (of[of["outcome"] == name] for name in ("selective", "shift"))
        n_classes, n_tasks = int(selective["n"].sum()), len(selective)
        if not n_classes:
            continue
        lines.append(
            f"**{plain(model)}**: {int(selective['n_lose'].sum())} of {n_classes} classes in {counted(n_tasks, 'task')}"
            f" lose on their own clips, beyond what all other clips lose, without their own neurons "
            f"({listed(list(dict.fromkeys(selective['selection'])))}): {number(selective['mean'].mean(), '+z.2f')} in "
            f"logit in the mean; random sets {number(selective['control'].mean(), '+z.2f')}; all other clips "
            f"{number(shift['mean'].mean(), '+z.2f')} (a shift)."
        )
    return lines


def least_p(n_units: int) -> float:
    """The least p that flipping the signs of so many units can give.

    Examples
    --------
    >>> least_p(5), least_p(200)
    (0.0625, 0.0001)
    """
    return 2.0 / 2**n_units if n_units <= _MOST_EXACT else _LEAST_DRAWN


def verdict(means: pd.DataFrame, row: Mapping[Any, Any], accuracy: Mapping[str, float]) -> str:
    """Tell whether a class's neurons matter, in what way, how much, and how sure that is.

    Parameters
    ----------
    means : DataFrame
        Of `over_classes`, for one selection.
    row : mapping
        ``selection``, ``operation``, ``gain``.
    accuracy : mapping
        ``unablated``, ``ablated``: mean over classes, of the frozen head.

    Returns
    -------
    str
        Markdown, safe with any name; empty where no target is a class.
    """
    of = _by_outcome(means)
    if "selective" not in of:
        return ""
    selective, shift, total = (of.get(name, _NOTHING) for name in ("selective", "shift", "total"))
    done = _done(row, selective["n_neurons"])
    if not selective["n_controls"]:
        return f"**{done} {_sizes(of)}.** Without random sets beside it, what of this is owed to the choice is unknown."
    lowest = min(least_p(int(one["n_units"])) for one in (selective, shift, total) if one["n_units"])
    if lowest >= Q_LIMIT:
        return (
            f"**Nothing could be significant: of {int(selective['n_units'])} clips (or voices, or recordings) the "
            f"least possible p is {number(lowest, '.2g')}.** {done} {_sizes(of)}."
        )
    if selective["n_hold"]:
        return f"**{done} {_selective(selective, shift)}.** {_shifted(selective, shift)}{_read(of, accuracy)}"
    if shift["n_hold"]:
        return (
            f"**Only a shift: {_lower(done)} a class's logit {_moves(shift['mean'])} on all *other* clips, and on its "
            f"own no further.** The shift is significant for {_of(shift)}, what its own clips lose beyond it "
            f"({number(selective['mean'], '+z.2f')}) for none.{_read(of, accuracy)}"
        )
    if total["n_hold"]:
        return (
            f"**{done} the log probability of a class {_moves(total['mean'], ' nats')}; significant for "
            f"{_of(total)}.** Neither a shift nor a loss of its own clips alone is significant for "
            f"any.{_read(of, accuracy)}"
        )
    return (
        f"**Nothing is significant: {_lower(done)} none of {selective['n']} classes changes beyond random sets.** "
        f"On average {_sizes(of)}."
    )


def beside(means: pd.DataFrame, cross: Mapping[str, Mapping[str, float]]) -> str:
    """Tell what random sets do, and what the same neurons do to other classes, to be read beside the verdict.

    Parameters
    ----------
    means : DataFrame
        Of `over_classes`, for one selection.
    cross : mapping
        Outcome to ``change`` (mean), ``n`` and ``n_hold`` of the classes that are not the target's own.
    """
    of = _by_outcome(means)
    if not of.get("selective", _NOTHING)["n_controls"]:
        return ""
    random = ", ".join(
        f"{name} {number(of[name]['control'], '+z.2f')}" for name in ("total", "shift", "selective") if name in of
    )
    text = f"{of['selective']['n_controls']} random sets of the same size and layers, mean: {random}."
    if "selective" in cross and not pd.isna(cross["selective"]["change"]):
        other = cross["selective"]
        change = number(other["change"], "+z.2f")
        text += (
            f" Of the *other* classes the same neurons change the selective part by {change}; "
            f"significant for {int(other['n_hold']):,} of {int(other['n']):,} pairs of a class and another's neurons."
        )
    return text


def readable(means: pd.DataFrame, n_lost: int, accuracy: Mapping[str, float]) -> str:
    """Tell whether what a class's neurons carried is taken over by others, as heads fitted again read it.

    Parameters
    ----------
    means : DataFrame
        Of `over_classes`, for one selection.
    n_lost : int
        Classes of which a whole new head loses log probability beyond random sets.
    accuracy : mapping
        As of `verdict`.
    """
    of = _by_outcome(means)
    if "readable_refit" not in of:
        return ""
    refit = of["readable_refit"]
    beyond = refit["mean"] - (0.0 if pd.isna(refit["control"]) else refit["control"])
    if n_lost:
        end = f"what {n_lost} of {refit['n']} classes lose, no new probe finds again."
    elif beyond > -_NOTICED:
        end = "**what these neurons carried, others carry too.**"
    else:
        end = f"{number(100 * beyond, '+.1f')} points beyond random sets, though significant for no single class."
    text = (
        f"{_read(of, accuracy).strip()} A whole probe refitted reads {share(refit['unablated'] + refit['mean'])} "
        f"({share(refit['unablated'])} with nothing changed): {end}"
    )
    return text.strip()


_NOTHING: Mapping[Any, Any] = {"n_hold": 0, "n_units": 0, "n_controls": 0, "mean": float("nan")}
"""Of an outcome that is not stored."""


def _by_outcome(means: pd.DataFrame) -> dict[str, Mapping[Any, Any]]:
    return {str(one["outcome"]): one for one in means.to_dict("records")}


def _done(row: Mapping[Any, Any], n_neurons: float) -> str:
    """What was done to which neurons, as the beginning of a sentence."""
    rule, done = Rule.of(str(row["selection"])), action(row)
    chosen = f"{rule.percent} % of neurons" if rule.percent else counted(round(n_neurons), "neuron")
    whose = f"its {chosen} ({plain(rule.name)})"
    return f"Without {whose}" if done == "silenced" else f"With {whose} {done}"


def _selective(one: Mapping[Any, Any], shift: Mapping[Any, Any]) -> str:
    """What own clips lose, or gain, beyond all others, and for how many classes that holds."""
    verb, mean = ("loses", "lose") if one["mean"] < 0 else ("gains", "gain"), one["mean"]
    if one["low"] < 0 < one["high"]:
        return _either_way(one)
    others = f"all other clips {verb[1]}" if shift["mean"] * mean > 0 else "the change of all other clips"
    interval = between(one["low"], one["high"], "+z.2f")
    sure = "" if interval == "–" else f" (95 % interval over classes {interval})"
    beyond = f"beyond what {others}" if others.startswith("all") else f"beyond {others}"
    return f"a class {verb[0]} {_size(mean)} in logit on its own clips {beyond}{sure}; significant for {_of(one)}"


def _either_way(one: Mapping[Any, Any]) -> str:
    """How many classes lose, and gain, where the mean over them tells neither."""
    n_lose, n_gain = one["n_lose"], one["n_hold"] - one["n_lose"]
    verbs = ("loses" if n_lose == 1 else "lose", "gains" if n_gain == 1 else "gain")
    lose, gain = (f"{n or 'none'} {verb}" for n, verb in zip((n_lose, n_gain), verbs, strict=True))
    return (
        f"it depends on the class: of {one['n']} classes {lose} and {gain} in logit on their own clips beyond all "
        f"other clips; on average {number(one['mean'], '+z.2f')} (95 % interval over classes "
        f"{between(one['low'], one['high'], '+z.2f')})"
    )


def _of(one: Mapping[Any, Any]) -> str:
    """So many of how many classes; those that change the other way than the mean are told apart."""
    same = one["n_lose"] if one["mean"] < 0 else one["n_hold"] - one["n_lose"]
    other = one["n_hold"] - same
    apart = f" ({other} more the other way round)" if other else ""
    return f"{same} of {one['n']} classes{apart}"


def _shifted(selective: Mapping[Any, Any], shift: Mapping[Any, Any]) -> str:
    """How much of the change on own clips is a change on all clips."""
    mean, fall = shift["mean"], "fall" if selective["mean"] < 0 else "rise"
    if pd.isna(mean):
        return ""
    other = f"{number(mean, '+z.2f')} on all *other* clips"
    if selective["low"] < 0 < selective["high"]:
        return f"The logit changes by {other}{', a shift' if shift['n_hold'] else ''}."
    if not shift["n_hold"] or mean * selective["mean"] <= 0:
        return f"It is no shift of all clips alike ({other})."
    much = "Most" if abs(mean) > abs(selective["mean"]) else "The lesser part"
    return f"{much} of the {fall} is a shift ({other})."


def _read(of: Mapping[str, Mapping[Any, Any]], accuracy: Mapping[str, float]) -> str:
    """What the frozen head, and one with new offsets, still read of a class's clips; begins with a space."""
    before, frozen = accuracy.get("unablated", float("nan")), accuracy.get("ablated", float("nan"))
    if pd.isna(before) or pd.isna(frozen):
        return ""
    untouched = f"{share(before)} untouched"
    if "readable_offsets" not in of:
        return f" The frozen probe reads {share(frozen)} of its clips ({untouched})."
    offsets = of["readable_offsets"]
    again = offsets["unablated"] + offsets["mean"]
    if before - frozen < _NOTICED:
        return f" The frozen probe hardly notices: it reads {share(frozen)} of its clips ({untouched})."
    regained = (again - frozen) / (before - frozen)
    undo = "undo that" if regained >= 0.8 else "undo part of that" if regained >= 0.3 else "do not undo that"
    return f" The frozen probe reads {share(frozen)} of its clips ({untouched}); new offsets {undo}: {share(again)}."


def _sizes(of: Mapping[str, Mapping[Any, Any]]) -> str:
    """The mean of each outcome, without a word on what it is worth."""
    told = {"selective": "selective", "shift": "shift", "total": "total"}
    sizes = ", ".join(f"{word} {number(of[name]['mean'], '+z.2f')}" for name, word in told.items() if name in of)
    return f"a class changes by: {sizes}"


def _moves(mean: float, unit: str = "") -> str:
    return f"{'falls' if mean < 0 else 'rises'} by {_size(mean)}{unit}"


def _size(mean: float) -> str:
    return number(abs(mean), ".2f")


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
