"""What the Neuron page says and shows of its rows; pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard.shared.text.facts import Q_LIMIT
from dashboard.shared.text.numbers import between, counted, number, p_value, with_interval
from dashboard.shared.text.words import confound, listed, plain

_Z = 1.959963984540054  # of a 95 % interval
MOST_BARS = 14
MOST_ALIKE = 12
FEWEST_CLASSES = 4
"""Profiles over fewer classes are alike or opposite whatever the neurons do."""
SELECTORS = {
    "mad": ("Mean activation", "mean activation over the class's tokens less that over all other clips"),
    "cas": ("Margin to the runner-up", "activation probability less the highest of another class"),
    "auroc": ("AUROC", "chance that a clip of the class has a higher mean activation than another"),
    "d_prime": ("d′", "difference of clips' mean activations in units of their spread"),
    "selectivity_index": ("Selectivity index", "(rate − mean rate of the others) / (their sum)"),
}
_KINDS = {"top": "Top", "middle": "Middle", "silent": "Silent"}
_MEASURES = {"rho_level": "level", "rho_duration": "duration", "rho_silence": "silence"}


def headline(pairs: pd.DataFrame, standing: Mapping[Any, Any] | None, task: str, preset: str) -> str:
    """Say in Markdown what a neuron is specific for in a task, and how selective it is.

    Parameters
    ----------
    pairs : DataFrame
        Its pairs by the preset, over all tasks: ``task``, ``class_name``, ``lift``, ``lift_low``, ``lift_high``,
        ``q_value``.
    standing : mapping or None
        Its row of ``neuron_selectivity`` in the task.
    """
    if standing is None:
        return f"Nothing was scored for {plain(task)}."
    if pd.isna(standing["entropy"]):
        return f"It never fires in {plain(task)}."
    here = pairs[pairs["task"] == task]
    n_tasks = pairs.loc[pairs["task"] != task, "task"].nunique()
    others = f"some class of {n_tasks} other task{'s' * (n_tasks != 1)}"
    if here.empty:
        verdict = f"By {preset}, class-specific for nothing in {plain(task)}" + (
            f", but for {others}" if n_tasks else ""
        )
    else:
        verdict = f"By {preset}, **class-specific for {_lifts(here)}** in {plain(task)}"
        verdict += f", and for {others}" if n_tasks else ""
    return f"{verdict}. {selective_sentence(standing)}"


def described(rows: pd.DataFrame, dataset: str = "") -> str:
    """Say in Markdown what a unit's best description is, with its scores and what dealt ones reach; empty without one.

    Parameters
    ----------
    rows : DataFrame
        Of `db.reads.descriptions.unit_descriptions`.
    dataset : str
        Over which the unit is rather told, where it is.
    """
    if rows.empty:
        return ""
    here = rows[rows["dataset"] == dataset]
    best = (here if len(here) else rows).iloc[0]
    than = "better than" if best["beats_null"] else "no better than"
    dealt = f" (r up to {best['null_correlation_high']:.2f})" if pd.notna(best["null_correlation_high"]) else ""
    others = (
        f" {counted(len(rows) - 1, 'further description')} in the view `unit_descriptions`." if len(rows) > 1 else ""
    )
    return (
        f"**In words**, by {plain(best['author'])}: *{plain(best['description'])}*. On "
        f"{counted(int(best['n_held_out']), 'held-out clip')} of {plain(best['dataset'])} it predicts the activation "
        f"with r = {number(best['correlation'])}, average precision {number(best['average_precision'])}, F1 "
        f"{number(best['f1'])}, IoU of top clips {number(best['iou'])} (chance gives these three up to 0.1): {than} "
        f"other units’ "
        f"descriptions{dealt}.{others}"
    )


def _lifts(pairs: pd.DataFrame, most: int = 3) -> str:
    lifts = []
    for row in pairs.head(most).to_dict("records"):
        lift = "" if pd.isna(row["lift"]) else f" ({lift_text(row)}, q {p_value(row['q_value'])})"
        lifts.append(f"{plain(row['class_name'])}{lift}")
    more = len(pairs) - len(lifts)
    return ", ".join(lifts) + (f" and {more} more" if more > 0 else "")


def lift_text(row: Mapping[Any, Any]) -> str:
    """Write a lift with its interval."""
    if pd.isna(row["lift"]):
        return "–"
    return with_interval(row["lift"], row["lift_low"], row["lift_high"], ".1f", "×")


def selective_sentence(standing: Mapping[Any, Any]) -> str:
    """Tell a neuron's entropy with its rank and how often shuffled labels give one as low."""
    most = math.log(standing["n_classes"])
    text = (
        f"Entropy {standing['entropy']:.2f} of at most {most:.2f} nats, rank {int(standing['entropy_rank']):,} of "
        f"{int(standing['n_neurons']):,}"
    )
    q_value = standing["entropy_q_value"]
    if pd.isna(q_value):
        return f"{text}; whether that is lower than chance was not computed."
    verdict = "lower than shuffled labels give" if q_value < Q_LIMIT else "no lower than shuffled labels give"
    return f"{text}: {verdict} (q {p_value(q_value)})."


def task_order(answers: pd.DataFrame, pairs: pd.DataFrame, task: str) -> tuple[list[str], list[str]]:
    """Split the tasks in those to show at once (the chosen one, then those with pairs), and the rest."""
    measured = sorted(dict.fromkeys(answers["task"]))
    specific = set(pairs["task"])
    first = sorted((name for name in measured if name == task or name in specific), key=lambda name: name != task)
    return first, [name for name in measured if name not in first]


def elsewhere_sentence(pairs: pd.DataFrame, task: str) -> str:
    """Tell in which other tasks a neuron is class-specific, and for what."""
    others = pairs[pairs["task"] != task]
    if others.empty:
        return "Class-specific in no other task."
    told = [
        f"{plain(name)} ({listed(list(dict.fromkeys(rows['class_name'])), 3)})"
        for name, rows in others.groupby("task", sort=True)
    ]
    return f"Class-specific in {counted(len(told), 'other task')} too: {', '.join(told)}."


def bars(answers: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Lay one task's activation probabilities out for `dashboard.views.neuron.charts`.

    Adds ``selected``, ``lift`` (over the mean of the other classes), ``interval`` (of the lift, in words),
    ``q_value``, ``replicated`` (in words).
    """
    marks = {row["class_name"]: row for row in pairs.to_dict("records")}
    rows = [marks.get(name, {}) for name in answers["class_name"]]
    rate = answers["activation_probability"]
    others = (rate.sum() - rate) / max(int(rate.notna().sum()) - 1, 1)
    tested: dict[Any, str] = {1: "yes", 0: "no"}
    return answers.assign(
        lift=rate / others.where(others > 0),
        selected=[bool(row) for row in rows],
        interval=[between(row.get("lift_low", math.nan), row.get("lift_high", math.nan), ".1f") for row in rows],
        q_value=[row.get("q_value", math.nan) for row in rows],
        replicated=[tested.get(row.get("replicated"), "not tested") for row in rows],
    )


def entropies(selectivity: pd.DataFrame) -> pd.DataFrame:
    """Make of the rows of ``neuron_selectivity`` one a task, the presets side by side.

    Returns
    -------
    DataFrame
        ``task``, ``dataset``, ``entropy``, ``most`` (possible: ln of the number of classes), ``below`` (by how much),
        ``rank`` and ``q`` (in words), ``entropy_p_value``, ``entropy_q_value``, ``top_class``, ``max_probability``,
        ``low`` (q < 0.05), and for each preset the classes that it finds.
    """
    rows = selectivity.drop_duplicates("task").set_index("task")
    most = np.log(rows["n_classes"].to_numpy(dtype=float))
    table = pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "entropy": rows["entropy"],
            "most": most,
            "below": most - rows["entropy"],
            "rank": [
                "never fires" if pd.isna(rank) else f"{int(rank):,} of {int(total):,}"
                for rank, total in zip(rows["entropy_rank"], rows["n_neurons"], strict=True)
            ],
            "q": [p_value(value, equals="") for value in rows["entropy_q_value"]],
            "entropy_p_value": rows["entropy_p_value"],
            "entropy_q_value": rows["entropy_q_value"],
            "top_class": rows["top_class"],
            "max_probability": rows["max_probability"],
            "low": rows["entropy_q_value"] < Q_LIMIT,
        },
        index=rows.index,
    )
    chosen = selectivity.pivot(index="task", columns="preset", values="classes")
    return table.join(chosen).reset_index()


def scores_by_selector(scores: pd.DataFrame) -> pd.DataFrame:
    """Lay selector scores out a row a selector and class.

    Returns
    -------
    DataFrame
        ``class_name``, ``selector`` and ``meaning`` (in words), ``score``, ``percentile`` (share of the compared
        neurons that score lower, in per cent), ``n_compared``.
    """
    rows = [
        {
            "class_name": row["class_name"],
            "selector": title,
            "meaning": meaning,
            "score": row[name],
            "percentile": 100 * row[f"{name}_below"] / row["n_compared"] if row["n_compared"] else math.nan,
            "n_compared": row["n_compared"],
        }
        for row in scores.to_dict("records")
        for name, (title, meaning) in SELECTORS.items()
    ]
    columns = ["class_name", "selector", "meaning", "score", "percentile", "n_compared"]
    return pd.DataFrame(rows, columns=columns).dropna(subset="score", ignore_index=True)


def confound_lines(confounds: Mapping[Any, Any] | None, pairs: pd.DataFrame) -> list[str]:
    """Say how far a neuron's rate goes with what is not the class, and which pairs that explains.

    Parameters
    ----------
    confounds : mapping or None
        ``n_clips``, ``rho_level``, ``rho_duration``, ``rho_silence`` in the task.
    pairs : DataFrame
        Its pairs in the task: ``class_name``, ``explained_by``.
    """
    if confounds is None:
        return ["How its rate goes with level, duration and silence was not measured in this task."]
    known = {name: confounds[key] for key, name in _MEASURES.items() if pd.notna(confounds[key])}
    if not known:
        return ["Its rate or the clips' level, duration and silence do not vary, so nothing can go together."]
    limit = _Z / math.sqrt(max(confounds["n_clips"] - 1, 1))
    rho_text = ", ".join(
        f"**{name} {number(rho, '+.2f')}**" if abs(rho) > limit else f"{name} {number(rho, '+.2f')}"
        for name, rho in known.items()
    )
    lines = [
        f"Rank correlation of its rate with a clip's {rho_text}; beyond ±{limit:.2f} (bold) is more than chance gives "
        f"with {int(confounds['n_clips']):,} unrelated clips."
    ]
    if pairs.empty:
        return lines
    explained = pairs[pairs["explained_by"].fillna("") != ""]
    for cause, rows in explained.groupby("explained_by", sort=False):
        names = listed([str(name) for name in rows["class_name"]])
        lines.append(f"Its evidence for {names} **cannot be told from {confound(cause)}**.")
    free = len(pairs) - len(explained)
    if free:
        whose = f"{free} of its {len(pairs)} classes" if len(pairs) > 1 else "its class"
        lines.append(f"For {whose} here, none of the three explains the evidence away.")
    return lines


def attributed(attribution: pd.DataFrame) -> pd.DataFrame:
    """Add an interval to attributions, as ``label``, ``value``, ``low``, ``high``, ``stands``; the largest first."""
    half = _Z * attribution["standard_error"]
    rows = attribution.assign(
        label=attribution["class_name"], value=attribution["attribution"],
        low=attribution["attribution"] - half, high=attribution["attribution"] + half,
    )  # fmt: skip
    return with_stands(rows).head(MOST_BARS)


def preferred(preferences: pd.DataFrame) -> pd.DataFrame:
    """Lay log odds out as `attributed` does; the strongest of them, in the order of the classes."""
    rows = preferences.dropna(subset="log_odds").rename(
        columns={"class_name": "label", "log_odds": "value", "ci_low": "low", "ci_high": "high"}
    )
    kept = rows["value"].abs().sort_values(ascending=False).index[:MOST_BARS]
    return with_stands(rows.loc[sorted(kept)].reset_index(drop=True))


def with_stands(rows: pd.DataFrame) -> pd.DataFrame:
    """Mark the rows whose interval is known and does not hold 0."""
    return rows.assign(stands=(rows["low"] > 0) | (rows["high"] < 0))


def sets_in_order(effects: pd.DataFrame, task: str) -> pd.DataFrame:
    """Every effect once: on the set's own class first, of those and of the others the task's first, then by size.

    Parameters
    ----------
    effects : DataFrame
        Of sets that contain the neuron, with ``believable``: of what stands, each part holds the largest first.
    task : str
    """
    ranked = effects.assign(
        own=[affected == target for target, affected in zip(effects["target"], effects["affected_class"], strict=True)],
        here=effects["task"] == task,
        size=effects["delta"].abs(),
    )
    ranked = ranked.sort_values(["own", "here", "believable", "size"], ascending=False, kind="stable")
    told_apart = ["task", "target", "selection", "operation", "gain", "affected_class"]
    return ranked.drop_duplicates(told_apart).drop(columns=["own", "here", "size"])


def held_sentence(ablations: pd.DataFrame) -> str:
    """Tell for how many classes the sets' selective part holds, of those taken apart; begins with a space, or empty.

    Parameters
    ----------
    ablations : DataFrame
        ``holds``: 1, 0 or NaN (not taken apart).
    """
    known = ablations["holds"].dropna()
    if known.empty:
        return ""
    return (
        f" Of {len(known):,} that were taken apart the selective part (own clips less the shift of all others) is "
        f"significant in {int(known.sum()):,}."
    )


def check_lines(check: pd.DataFrame) -> list[str]:
    """Say what the removal of this very neuron did, beside its estimate."""
    return [
        f"This very neuron was taken out, on {int(row['n_clips']):,} clips: the margin of {plain(row['class_name'])} "
        f"fell by **{number(row['measured'], '.3f')}** logits, the estimate was {number(row['attribution'], '.3f')}."
        for row in check.to_dict("records")
    ]


def correlations(sums: pd.DataFrame) -> pd.Series:
    """Pearson's correlation over classes, out of the sums of `db.reads.neuron_evidence.alike`; NaN if flat."""
    n = sums["n"].astype("float64")
    covariance = n * sums["sum_xy"] - sums["sum_x"] * sums["sum_y"]
    spread = (n * sums["sum_xx"] - sums["sum_x"] ** 2) * (n * sums["sum_yy"] - sums["sum_y"] ** 2)
    r: pd.Series = covariance / np.sqrt(spread.where(spread > 1e-18))
    return r.clip(-1, 1)


def neighbours(sums: pd.DataFrame) -> pd.DataFrame:
    """The most similar profiles: ``neuron_id``, ``layer``, ``neuron``, ``top_class``, ``correlation``."""
    rows = sums.assign(correlation=correlations(sums)).dropna(subset="correlation")
    rows = rows.sort_values("correlation", ascending=False, kind="stable").head(MOST_ALIKE)
    return rows[["neuron_id", "layer", "neuron", "top_class", "correlation"]].reset_index(drop=True)


def by_chance(sums: pd.DataFrame) -> float:
    """Correlation that one neuron in forty, drawn from all, exceeds; NaN where none was drawn."""
    known = correlations(sums).dropna()
    return float(known.quantile(0.975)) if len(known) else math.nan


def profile_rows(profiles: pd.DataFrame, order: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """Scale profiles to their own highest class: ``label`` (layer and neuron) in ``order``, ``relative``."""
    rows = profiles.assign(
        label=[f"{layer} · {neuron}" for layer, neuron in zip(profiles["layer"], profiles["neuron"], strict=True)]
    )
    highest = rows.groupby("label")["activation_probability"].transform("max")
    places = {f"{layer} · {neuron}": place for place, (layer, neuron) in enumerate(order)}
    rows["relative"] = rows["activation_probability"] / highest.where(highest > 0)
    return rows.sort_values("label", key=lambda labels: labels.map(places), kind="stable", ignore_index=True)


def clip_title(clip: Mapping[Any, Any], attribute: str = "") -> str:
    """Name a clip in the player's list: kind, place there, and its value of an attribute or else its file."""
    match = (
        re.search(rf"(?:^|, ){re.escape(attribute)}: (.*?)(?=, \w+: |$)", str(clip["labels"])) if attribute else None
    )
    what = match[1] if match else str(clip["path"]).rsplit("/", 1)[-1]
    return f"{_KINDS.get(clip['kind'], clip['kind'])} {clip['rank']}: {what}"


def clip_caption(clip: Mapping[Any, Any]) -> str:
    """Tell at how many of a clip's tokens the neuron fires, how strongly on average, and the clip's labels."""
    activity = f"active at {clip['activation_rate']:.0%} of tokens, mean {number(clip['mean_activation'], '.2g')}"
    return f"{activity}; {clip['labels']}" if clip["labels"] else activity
