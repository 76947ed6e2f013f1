"""What was found, in words: never a number without what chance gives."""

from __future__ import annotations

import pandas as pd

from core.ablation import specificity
from core.results import Descriptions, Matching, SegmentScores, Selection, StimulusStudy, TaskScores


def verdict(scores: TaskScores, units: str = "neurons") -> str:
    """What the rule of evidence found in a task, beside shuffled labels and test clips; one line."""
    of_preset = {selection.preset: selection for selection in scores.selections}
    if "calibrated" not in of_preset:
        return "; ".join(_counted(selection, len(scores.class_names), units) for selection in scores.selections)
    calibrated = of_preset["calibrated"]
    line = _counted(calibrated, len(scores.class_names), units)
    if calibrated.pairs.empty:
        return f"{line}: nothing beyond chance (evidence q < 0.05, {scores.shuffled} shuffled)"
    if calibrated.null and len(calibrated.pairs) <= max(calibrated.null.n_pairs_high, calibrated.null.n_pairs_mean):
        return f"{line}: no more than chance gives ({scores.shuffled} shuffled)"
    held = calibrated.pairs["replicated"].dropna()
    if len(held):
        line += f"; {held.mean():.0%} hold on test clips, {calibrated.replicated_share_all_pairs:.0%} of all pairs"
    return f"{line} ({scores.shuffled} shuffled)"


def _counted(selection: Selection, n_classes: int, units: str) -> str:
    n_neurons, covered = (selection.pairs[column].nunique() for column in ("neuron_index", "class_index"))
    line = f"{selection.preset}: {n_neurons:,} {units}, {covered} of {n_classes} classes"
    if selection.null is None:
        return f"{line} (no shuffles: what chance gives is not known)"
    null = selection.null
    return f"{line}; by chance {null.n_class_specific_mean:.3g} and {null.coverage_mean * n_classes:.2g}"


def in_time(scores: SegmentScores) -> str:
    """What answers to segments, beside shifted labels and test clips; one line."""
    facts = scores.facts
    n, n_covered, n_classes = (facts[name] for name in ("n_class_specific", "n_classes_covered", "n_classes"))
    line = (
        f"in time: {n:,} units, {n_covered} of {n_classes} classes; shifted labels "
        f"{facts['null_n_class_specific_mean']:.3g} and {facts['null_coverage_mean'] * n_classes:.2g}"  # type: ignore[operator]
    )
    if not n:
        return f"{line}: nothing beyond chance (q < 0.05, {facts['shuffled']})"
    held = facts["replicated_share"]
    if held == held:
        line += f"; {held:.0%} hold on test clips, {facts['replicated_share_all_pairs']:.0%} of all pairs"
    return f"{line} ({facts['shuffled']})"


def matched(matching: Matching) -> str:
    """How many units of two models are each other's best partner, beside dealt clips; one line."""
    one, other = matching.partners
    n, beyond = (int(one.units[column].sum()) for column in ("is_partner", "is_beyond"))
    of = " and ".join(
        f"{len(side.units):,} of {name}" for name, side in zip(matching.models, (one, other), strict=True)
    )
    line = f"{n:,} of {of} are each other's most alike; dealt clips {one.null_share * len(one.units):,.0f}"
    if not matching.facts["n_held_out"]:
        return f"{line}; no clips are held out"
    r = one.units.loc[one.units["is_partner"], "held_out"].median()
    told = f", correlation {r:.2f} in the median on held-out clips" if n else ""
    return f"{line}{told}; {beyond:,} alike beyond {matching.facts['taken_out'] or 'no label'}"


def most_specific(effects: pd.DataFrame, seed: int) -> list[str]:
    """Which way to choose neurons costs their own class most beyond the others, where several were ablated."""
    lines = []
    for row in specificity.most_specific(effects, seed).to_dict("records"):
        sure = row["ci_low"] > 0
        interval = f" [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" if row["ci_low"] == row["ci_low"] else ""
        lines.append(
            f"{row['task']}: {'most specific' if sure else 'no selection is surely the most specific; highest'} is "
            f"{row['selection']} ({row['specificity']:.3f}), ahead of {row['runner_up']} by {row['lead']:.3f}{interval}"
        )
    return lines


def described(found: Descriptions) -> str:
    """How many units have a description that predicts better than dealt ones."""
    n, beats = len(found.described), int(found.described["beats_null"].sum())
    of = f" of {len(found.explained):,}" if len(found.explained) else ""
    return f"{n:,}{of} units described by {found.source}, {beats:,} of them better than descriptions of other units are"


def stimulated(found: StimulusStudy) -> str:
    """Which factors of a set of made sounds explain most in how many units, beside permuted labels; one line."""
    n = found.facts["n_varying"]
    if not found.facts["n_permutations"]:
        return f"{n:,} units vary; fewer than 21 shuffles, so what chance gives is not known"
    told = []
    for factor, name in zip(found.factors["factor"], found.factors["name"], strict=True):
        of = found.layers[found.layers["factor"] == factor] if len(found.layers) else found.layers
        n_found, n_leading, null = (of[c].sum() if len(of) else 0 for c in ("n_found", "n_leading", "null_mean"))
        told.append(f"{name} {n_found:,} (most in {n_leading:,}; permuted {null:.3g})")
    return f"of {n:,} units that vary, q < 0.05 for {', '.join(told)}"


def proposed(found: Descriptions) -> str:
    """Whether proposed phrases beat dealt ones more often than chance would have it, units taken as independent."""
    from scipy.stats import binom

    n, beats = len(found.described), int(found.described["beats_null"].sum())
    by_chance = int(binom.ppf(0.975, n, 0.025))
    verdict = f"more than chance gives (up to {by_chance:,})" if beats > by_chance else "no better than chance"
    return f"{found.source}: phrases of {beats:,} of {n:,} units beat other units' phrases, {verdict}"
