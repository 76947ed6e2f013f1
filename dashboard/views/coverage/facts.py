"""What the coverage page tells in words, and its tables; pure functions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboard.shared.text import facts
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted, number, spread
from dashboard.shared.text.words import plain

SMALL_CLASS = 10  # selection clips; the run warns of the same

COLUMNS = {
    "model": ("Model", "", None),
    "task": ("Task", "", None),
    "n_clips": ("Clips", "localized", "Selection clips."),
    "n_classes": ("Classes", "localized", None),
    "n_classes_covered": ("Covered", "localized", "Classes with at least one class-specific neuron."),
    "coverage": ("Coverage", "%.0f%%", TERMS["coverage"]),
    "null_coverage_mean": ("Null, mean", "%.0f%%", TERMS["null"]),
    "null_coverage_low": ("Null, 2.5 %", "%.0f%%", TERMS["null"]),
    "null_coverage_high": ("Null, 97.5 %", "%.0f%%", TERMS["null"]),
    "n_class_specific": ("Neurons", "localized", TERMS["class-specific"]),
    "null_n_class_specific_mean": ("Neurons, null", "%.1f", TERMS["null"]),
    "n_pairs": ("Pairs", "localized", "Pairs of a neuron and a class it is specific for."),
    "replicated_share": ("Hold on test", "%.0f%%", TERMS["replicated"]),
    "replicated_share_all_pairs": ("All pairs do", "%.0f%%", "The same share over all pairs, chosen or not."),
    "jaccard_mean": ("Two halves", "%.2f", "Overlap (Jaccard) of what is chosen on two halves of the clips."),
    "jaccard_expected": ("By chance", "%.3f", "That overlap for sets of the same size drawn by chance."),
    "n_pairs_mean": ("Pairs in a half", "localized", "With few of them, the overlap means nothing."),
    "shuffled": ("What was shuffled", "", "What the labels were permuted over: clips, or whole voices or sources."),
}
"""Columns of the page's table: title, format (empty: text), meaning."""
SHARES = ("coverage", "null_coverage_mean", "null_coverage_low", "null_coverage_high", "replicated_share") + (
    "replicated_share_all_pairs",
)


def replicated_sentence(held: pd.DataFrame) -> str:
    """Tell how many of the selected pairs are replicated on test clips, beside all pairs: medians over the rows."""
    if held.empty:
        return "Nothing to replicate: no pair was selected, or no task here has test clips of its classes."
    chosen, every = held["replicated_share"].median(), held["replicated_share_all_pairs"].median()
    return (
        f"On test clips {chosen:.0%} of the selected pairs are replicated, of all pairs {every:.0%} (medians of "
        f"{counted(len(held), 'case')} of model and task)."
    )


def sentences(rows: pd.DataFrame) -> list[str]:
    """Tell the coverage of one task for each model, with null and replication beside it (Markdown)."""
    lines = []
    for row in rows.to_dict("records"):
        text = (
            f"**{plain(row['model'])}** covers **{row['n_classes_covered']:,} of {row['n_classes']:,}** classes with "
            f"{counted(row['n_class_specific'], 'neuron')}"
        )
        if pd.isna(row["null_coverage_mean"]):
            text += "; without shuffled labels beside it, that says little"
        else:
            low, high = (round(row[f"null_coverage_{end}"] * row["n_classes"]) for end in ("low", "high"))
            null = number(row["null_n_class_specific_mean"], ",.1f")
            text += (
                f"; with shuffled labels {spread(low, high)} classes and {null} neurons "
                f"(mean of {row['n_shuffles']:,} shuffles of {plain(row['shuffled'])})"
            )
        if pd.notna(row["replicated_share"]):
            text += (
                f". On test clips {row['replicated_share']:.0%} of its pairs are replicated, of all pairs "
                f"{number(row['replicated_share_all_pairs'], '.0%')}"
            )
        lines.append(f"{text}.")
    return lines


def mark_own(curves: pd.DataFrame, coverage: pd.DataFrame) -> pd.DataFrame:
    """Add ``own`` (bool): the point at which each model's selection was really made.

    Parameters
    ----------
    curves : DataFrame
        ``model``, ``entropy_rate``, ``probability_bar``.
    coverage : DataFrame
        ``model``, ``settings_json`` of the same task and preset.
    """
    settings = dict(zip(coverage["model"], coverage["settings_json"], strict=True))
    own = [
        all(
            abs(point[name] - facts.setting(settings.get(point["model"]), name)) < 1e-9
            for name in ("entropy_rate", "probability_bar")
        )
        for point in curves.to_dict("records")
    ]
    return curves.assign(own=own)


def begins(marked: pd.DataFrame, coverage: pd.DataFrame) -> list[str]:
    """Explain each selection of no neuron (Markdown): what its rule asks for, and from which setting on it selects.

    Parameters
    ----------
    marked : DataFrame
        Of `mark_own`.
    coverage : DataFrame
        ``model``, ``preset``, ``n_class_specific``, ``settings_json`` of the same task and preset.
    """
    lines = []
    for row in coverage[coverage["n_class_specific"] == 0].to_dict("records"):
        rate, bar = (facts.setting(row["settings_json"], name) for name in ("entropy_rate", "probability_bar"))
        rule = (
            f"It takes the {100 * rate:g} % of lowest entropy, and of those only what fires beyond the {100 * bar:g}th "
            "percentile of all probabilities: here none does both."
        )
        of_model = marked[(marked["model"] == row["model"]) & (marked["n_class_specific"] > 0)]
        higher = of_model[np.isclose(of_model["probability_bar"], bar)]["entropy_rate"].min()
        lower = of_model[np.isclose(of_model["entropy_rate"], rate)]["probability_bar"].max()
        told = [f"{100 * higher:g} % of the neurons"] * pd.notna(higher)
        told += [f"the {100 * lower:g}th percentile"] * pd.notna(lower)
        first = " Nor does any at another setting of the curves." if (marked["model"] == row["model"]).any() else ""
        if told:
            first = f" It begins to select at {' or at '.join(told)}: see the curves."
        lines.append(f"That **{plain(row['model'])}** has 0 is the rule's own answer, no fault. {rule}{first}")
    return lines


def along(marked: pd.DataFrame, setting: str) -> pd.DataFrame:
    """The points of a curve over ``setting``: each model's other setting stays at its own point.

    Where a model's own point is not among them, its other setting stays at 1 % or 0.95.
    """
    other = {"entropy_rate": "probability_bar", "probability_bar": "entropy_rate"}[setting]
    usual = {"entropy_rate": 0.01, "probability_bar": 0.95}[other]
    kept = marked[marked["own"]].groupby("model")[other].first()
    fixed = marked["model"].map(kept).fillna(usual)
    return marked[(marked[other] - fixed).abs() < 1e-9].reset_index(drop=True)


def class_table(classes: pd.DataFrame, preset: str) -> pd.DataFrame:
    """Lay out the classes without neurons: what the other rules select in words, small ones marked.

    Parameters
    ----------
    classes : DataFrame
        Of `db.reads.coverage.classes_without`.
    preset : str
        The selector that found none.
    """
    names = [name for name in ("calibrated", "aape", "lape") if name != preset]
    others = [
        ", ".join(f"{name} {row[f'n_{name}']:,}" for name in names if row[f"n_{name}"]) or "none"
        for row in classes.to_dict("records")
    ]
    small = ["yes" if n < SMALL_CLASS else "no" for n in classes["n_clips"]]
    return classes.assign(others=others, small=small)[
        ["class_name", "n_clips", "small", "others", "q_value", "n_top", "entropy_q_value"]
    ]
