"""What the Ablation page says and shows of its rows; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.shared.charts.common import class_order
from dashboard.shared.text import facts, words
from dashboard.shared.text.numbers import between

ALL_CLIPS = "all"
OWN = "own"
"""Instead of a target: each target's effect on its own class."""
_POINTS = (
    "delta", "ci_low", "ci_high", "control_delta_mean", "control_delta_low", "control_delta_high", "beyond_control",
    "beyond_control_low", "beyond_control_high", "group_ci_low", "group_ci_high", "delta_heads_low",
    "delta_heads_high", "activity_control_delta_mean", "activity_control_delta_low", "activity_control_delta_high",
)  # fmt: skip


def operation_key(operation: str, gain: float | None) -> str:
    """Name an operation as ``--gains`` does: a number, ``mean`` or ``keep``."""
    return operation if gain is None or pd.isna(gain) else f"{gain:g}"


def operation_label(key: str) -> str:
    """Say what an operation does, for a list of them."""
    known = {"0": "Silenced (× 0)", "mean": "Set to their mean", "keep": "Kept alone in their layers"}
    return known.get(key) or f"{'Weakened' if abs(float(key)) < 1 else 'Strengthened'} (× {key})"


def operation_order(keys: Sequence[str]) -> list[str]:
    """Gains by size, then ``mean``, then ``keep``."""
    gains = sorted((key for key in keys if key not in ("mean", "keep")), key=float)
    return gains + [key for key in ("mean", "keep") if key in keys]


def is_own(target: str, affected: Any) -> bool:
    """Whether a class is the target's own: the target itself, or one of a pair ``A + B``."""
    return not pd.isna(affected) and (affected == target or affected in target.split(" + "))


def in_points(effects: pd.DataFrame) -> pd.DataFrame:
    """Shares as percentage points; adds ``affected`` (with a name for all clips), ``own``, ``stands``."""
    shares = [name for name in _POINTS if name in effects]
    return pd.concat([effects.drop(columns=shares), effects[shares] * 100], axis="columns").assign(
        affected=effects["affected_class"].fillna(ALL_CLIPS),
        own=[is_own(t, a) for t, a in zip(effects["target"], effects["affected_class"], strict=True)],
        stands=facts.believable(effects),
    )


def targets_in_order(effects: pd.DataFrame) -> list[str]:
    """Targets in the classes' reading order."""
    return class_order(str(name) for name in effects["target"])


def classes_in_order(effects: pd.DataFrame) -> list[str]:
    """Affected classes in reading order; all test clips last."""
    names = class_order(str(name) for name in effects["affected_class"].dropna().sort_values())
    return [*names, *([ALL_CLIPS] if effects["affected_class"].isna().any() else [])]


def smallest_effect(n_clips: int, p_limit: float = 0.05) -> int | None:
    """Fewest clips that must change, all in one direction, for an exact McNemar test below ``p_limit``.

    None where even all of ``n_clips`` are not enough.

    Examples
    --------
    >>> smallest_effect(10)
    6
    >>> smallest_effect(5) is None
    True
    """
    return next((n for n in range(1, n_clips + 1) if 0.5 ** (n - 1) < p_limit), None)


def power_sentence(effects: pd.DataFrame) -> str:
    """Tell how many test clips a class has, and how large an effect must be to be seen on them."""
    of_class = effects.loc[effects["affected_class"].notna()]
    if of_class.empty:
        return ""
    low, high, n_tests = int(of_class["n_clips"].min()), int(of_class["n_clips"].max()), len(of_class)
    sizes = f"{low}" if low == high else f"{low} to {high}"
    spoken = f"Each class was tested on {sizes} clips, in {n_tests:,} tests. "
    alone = smallest_effect(high)
    if alone is None:
        return spoken + f"With {high} clips no effect can reach p < 0.05, however large it is."
    spoken += f"With {high} clips a class must lose or win at least {100 * alone / high:.0f} points to reach p < 0.05"
    # Benjamini-Hochberg: k effects of one p stand where p is at most 0.05 k / n_tests.
    corrected = smallest_effect(high, 0.05 / n_tests)
    if corrected is not None:
        return (
            spoken
            + f", and {100 * corrected / high:.0f} points to be significant alone among so many tests (q < 0.05)."
        )
    together = int(0.5 ** (high - 1) * n_tests / 0.05) + 1
    return spoken + (
        f"; after correction for so many tests (q < 0.05) not even the loss of every clip can be "
        f"significant alone, only together with {together - 1} more as strong."
    )


def verdict(effects: pd.DataFrame) -> str:
    """Tell how many effects are significant and the largest of them, or that none is; names are safe in Markdown."""
    whole = effects["affected_class"].isna()
    rows = effects if whole.all() else effects[~whole]
    marked = rows.assign(stands=facts.believable(rows), size=rows["delta"].abs())
    if marked["n_controls"].eq(0).all():
        counted = "No random controls were run, so nothing can be called significant."
    else:
        counted = f"**{_counted(int(marked['stands'].sum()), len(marked))}**"
        counted += "" if whole.all() else _over_all_clips(effects[whole])
    largest = marked.sort_values(["stands", "size"], ascending=False, kind="stable").iloc[0]
    if not largest["size"] > 0:
        return f"{counted} Nothing changed: the probe gets the same clips of every class right."
    heading = "The largest of them: " if largest["stands"] else "The largest that was measured: "
    return f"{counted} {heading}{facts.ablation_sentence(largest.to_dict())}"


def _counted(n: int, total: int) -> str:
    return f"{f'{n:,}' if n else 'None'} of {total:,} effects {'is' if n < 2 else 'are'} significant."


def _over_all_clips(whole: pd.DataFrame) -> str:
    """Of the effects on all test clips together, which have many more, how many are significant; empty if none is."""
    n = int(facts.believable(whole).sum())
    if not n:
        return ""
    return f" Over the test clips of all classes together {n:,} of {len(whole):,} {'are' if n > 1 else 'is'}."


def specific_sentence(specificity: pd.DataFrame) -> str:
    """Tell which way of choosing neurons lowers their own class most beyond what it does to the others."""
    known = specificity.dropna(subset=["specificity"])
    if known.empty:
        return "Without random controls this cannot be told."
    best = known.sort_values("specificity", ascending=False, kind="stable").iloc[0]
    points = 100 * best["specificity"]
    compared = f"{abs(points):.1f} points {'more' if points >= 0 else 'less'} than the others"
    name = words.plain(best["selection"])
    who = f"Only {name} was ablated: classes lose" if len(known) == 1 else f"Highest is {name}: classes lose"
    lead = f"{who} by their own neurons {compared} do"
    if pd.isna(best["ci_low"]):
        return f"{lead}; too few classes for an interval."
    interval = between(100 * best["ci_low"], 100 * best["ci_high"], ".1f")
    doubt = "" if best["ci_low"] > 0 else ", so it may be nothing"
    return f"{lead} (95 % interval {interval}{doubt})."


def flip_kinds(flips: pd.DataFrame) -> pd.DataFrame:
    """Add ``kind``: ``lost`` (was right), ``won`` (is right now), ``other``.

    In this order; of each the clips of the target's own class first.
    """
    kind = pd.Series("other", index=flips.index, dtype=object)
    kind[flips["predicted_after"] == flips["true_class"]] = "won"
    kind[flips["predicted_before"] == flips["true_class"]] = "lost"
    order = kind.map({"lost": 0, "won": 2, "other": 4}) + (flips["true_class"] != flips["target"])
    return flips.assign(kind=kind).iloc[order.argsort(kind="stable").to_numpy()].reset_index(drop=True)


def flip_sentence(flips: pd.DataFrame) -> str:
    """Count what became of the clips that are called by another class."""
    n = flips["kind"].value_counts()
    parts = [f"{n.get('lost', 0):,} lost the right answer", f"{n.get('won', 0):,} won it"]
    if n.get("other", 0):
        parts.append(f"{n['other']:,} went from one wrong class to another")
    clips = f"**{len(flips):,} clips** are" if len(flips) > 1 else "**1 clip** is"
    return f"{clips} called by another class: {', '.join(parts)}."


def flip_title(row: Mapping[Any, Any]) -> str:
    """Name a flipped clip by what it is called before and after."""
    return f"{row['predicted_before']} → {row['predicted_after']}"


def flip_caption(row: Mapping[Any, Any]) -> str:
    """Tell a flipped clip's true class, and what became of it."""
    became = {"lost": "right before, wrong after", "won": "wrong before, right after", "other": "wrong both times"}
    true = "no label" if pd.isna(row["true_class"]) else str(row["true_class"])
    return f"is {true}: {became[row['kind']]}"


def doses(own: pd.DataFrame) -> pd.DataFrame:
    """Effects on the own class (else on all clips) over the gains that were run, in points, with gain 1 = unchanged."""
    scaled = own[own["operation"] == "scale"]
    rows = in_points(scaled[scaled["affected_class"].notna()])
    if rows.empty:
        rows = in_points(scaled)
    unchanged = rows.drop_duplicates("target").assign(gain=1.0, q_value=1.0, stands=False)
    unchanged[[name for name in _POINTS if name in unchanged]] = 0.0
    every = pd.concat([rows[rows["gain"] != 1], unchanged], ignore_index=True)
    return every.assign(dose=[f"{gain:g}" for gain in every["gain"]]).sort_values(["target", "gain"], ignore_index=True)


_PARTS = {"0": "silenced", "mean": "set to their mean", "keep": "kept alone"}


def needed_and_enough(own: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the own class (else on all clips) without the neurons and with them alone, beside random sets.

    Returns
    -------
    DataFrame
        ``target``, ``part`(``untouched``, ``silenced``, ``set to their mean``, ``kept alone``), ``accuracy``, ``low``,
        ``high``, ``random``, ``random_low``, ``random_high`` (the same done to random sets), in per cent; empty where
        nothing was kept alone.
    """
    rows = own[own["affected_class"].notna()] if own["affected_class"].notna().any() else own
    keys = [operation_key(o, g) for o, g in zip(rows["operation"], rows["gain"], strict=True)]
    rows = rows.assign(part=pd.Series(keys, index=rows.index).map(_PARTS)).dropna(subset="part")
    if "kept alone" not in set(rows["part"]):
        return pd.DataFrame()
    base = rows["accuracy_unablated"]
    done = pd.DataFrame(
        {
            "target": rows["target"],
            "part": rows["part"],
            "accuracy": 100 * rows["accuracy_ablated"],
            "low": 100 * (base + rows["ci_low"]).clip(0, 1),
            "high": 100 * (base + rows["ci_high"]).clip(0, 1),
            "random": 100 * (base + rows["control_delta_mean"]),
            "random_low": 100 * (base + rows["control_delta_low"]),
            "random_high": 100 * (base + rows["control_delta_high"]),
            "n_clips": rows["n_clips"],
        }
    )
    untouched = rows.drop_duplicates("target")
    before = pd.DataFrame(
        {
            "target": untouched["target"],
            "part": "untouched",
            "accuracy": 100 * untouched["accuracy_unablated"],
            "n_clips": untouched["n_clips"],
        }
    )
    return pd.concat([done, before], ignore_index=True)


def some_targets(rows: pd.DataFrame, chosen: str, most: int) -> pd.DataFrame:
    """Rows of the first ``most`` targets, the chosen one among them."""
    names = [str(name) for name in dict.fromkeys(rows["target"])]
    kept = names[:most] if chosen in names[:most] or chosen not in names else [*names[: most - 1], chosen]
    return rows[rows["target"].isin(kept)]
