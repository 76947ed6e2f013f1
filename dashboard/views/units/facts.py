"""What the page of units tells in words and numbers; pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboard.shared.text.numbers import number, with_interval
from dashboard.shared.text.words import listed, plain

NAMES = {
    "mlp": "neurons",
    "residual": "coordinates",
    "random": "random directions",
    "pca": "principal directions",
    "head": "attention heads",
    "sae": "autoencoder features",
}
LOW = "-low"
N_RESAMPLES = 2_000
FEW_CLASSES = 5


def called(kind: str) -> str:
    """What units of a kind are called."""
    name, low, _ = kind.partition(LOW)
    return NAMES.get(name, name) + (", low" if low else "")


def with_rates(evidence: pd.DataFrame) -> pd.DataFrame:
    """Add the kind in words, and numbers per 1,000 units: with evidence, by chance, selective among the active ones."""
    per = 1000 / evidence["n_units"]
    return evidence.assign(
        kind=evidence["unit_kind"].map(called),
        per_1000=evidence["n_class_specific"] * per,
        null_per_1000=evidence["null_n_class_specific_mean"] * per,
        null_per_1000_high=evidence["null_n_class_specific_high"] * per,
        selective_share=evidence["n_selective"] / evidence["n_active"].replace(0, np.nan),
    )


def layers_with_rates(layers: pd.DataFrame) -> pd.DataFrame:
    """Add the kind in words, and per 1,000 units of the layer: with evidence, and the most that chance gives."""
    per = 1000 / layers["n_units"]
    return layers.assign(
        kind=layers["unit_kind"].map(called),
        per_1000=layers["n_class_specific"] * per,
        null_per_1000_high=layers["null_n_class_specific_high"] * per,
    )


def means_over_classes(effects: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean over classes of what goes beyond random sets, for each way to choose units, kind by kind.

    Parameters
    ----------
    effects : DataFrame
        Of `db.reads.units.effects`.

    Returns
    -------
    DataFrame
        ``selection``, ``unit_kind``, ``kind``, ``operation``, ``gain``, ``n_classes``, ``n_hold``, ``n_units``,
        ``removed``, ``control_removed`` (means over classes); ``beyond``, ``low``, ``high``: mean and 95 % bootstrap
        over classes; ``less_than_neurons``, ``less_low``, ``less_high``: the same of the paired difference to neurons
        (NaN without them, or for them). Intervals are NaN below two classes.
    """
    rows = []
    for (selection, kind, operation, gain), of in effects.groupby(
        ["selection", "unit_kind", "operation", "gain"], sort=False, dropna=False
    ):
        neurons = effects[(effects["selection"] == selection) & (effects["unit_kind"] == "mlp")]
        beside = of.merge(neurons[["class_name", "beyond_control"]], on="class_name", suffixes=("", "_mlp"))
        mean = _bootstrap(of["beyond_control"].to_numpy(), seed)
        differs = (beside["beyond_control"] - beside["beyond_control_mlp"]).to_numpy()
        less = _bootstrap(differs if kind != "mlp" else differs[:0], seed)
        holds = (of["q_value"] < 0.05) & (of["outside_controls"] == 1)
        rows.append(
            {
                "selection": selection, "unit_kind": kind, "kind": called(str(kind)), "operation": operation,
                "gain": gain, "n_classes": len(of), "n_hold": int(holds.sum()), "n_units": of["n_units"].mean(),
                "removed": of["removed"].mean(), "control_removed": of["control_removed"].mean(),
                "beyond": mean[0], "low": mean[1], "high": mean[2],
                "less_than_neurons": less[0], "less_low": less[1], "less_high": less[2],
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _bootstrap(values: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Mean of some classes, and its percentile interval over them."""
    if not len(values):
        return (float("nan"),) * 3
    if len(values) < 2:
        return float(values[0]), float("nan"), float("nan")
    drawn = np.random.default_rng([seed, len(values)]).integers(0, len(values), (N_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def selection_title(selection: str) -> str:
    """How a choice of units sets kinds side by side.

    Examples
    --------
    >>> selection_title("mad n=32"), selection_title("mad norm=0.2"), selection_title("mad 1%")
    ('equal number: 32 (mad)', 'equal norm: 0.2 (mad)', 'equal share: 1 % (mad)')
    >>> selection_title("aape")
    'own sets (aape)'
    """
    name, _, amount = selection.partition(" ")
    if amount.startswith("n="):
        return f"equal number: {amount[2:]} ({name})"
    if amount.startswith("norm="):
        return f"equal norm: {amount[5:]} ({name})"
    if amount.endswith("%"):
        return f"equal share: {amount[:-1]} % ({name})"
    return f"own sets ({selection})"


def fairest_first(selections: Sequence[str]) -> list[str]:
    """Choices that set kinds side by side fairly come first: by number, then by norm, then the others."""

    def place(selection: str) -> int:
        return next((i for i, mark in enumerate((" n=", " norm=")) if mark in selection), 2)

    return sorted(selections, key=lambda selection: (place(selection), selection))


def answers(evidence: pd.DataFrame, means: pd.DataFrame) -> list[str]:
    """Tell in a sentence each which kind has most evidence, and which costs most when it is taken out (Markdown).

    Parameters
    ----------
    evidence : DataFrame
        Of `with_rates`, one task.
    means : DataFrame
        Of `means_over_classes`, the same task.
    """
    lines = []
    ranked = evidence.sort_values("per_1000", ascending=False)
    if len(ranked):
        told = [
            f"{row['per_1000']:,.0f} of 1,000 {plain(row['kind'])} ({number(row['null_per_1000_high'], ',.0f')})"
            for row in ranked.to_dict("records")
        ]
        lines.append(f"**Evidence.** Class-specific are {listed(told, 8)}; in brackets, at most on shuffled labels.")
    for selection in fairest_first(list(dict.fromkeys(means["selection"])))[:2] if len(means) else []:
        of = means[means["selection"] == selection].sort_values("beyond")
        parts = [
            f"{plain(row['kind'])} {with_interval(row['beyond'], row['low'], row['high'], '+.2f')}"
            for row in of.to_dict("records")
        ]
        lines.append(
            f"**Taken out, {selection_title(selection)}.** A class's own logit changes, beyond random sets of the "
            f"kind: {listed(parts, 8)} (means and intervals over {of['n_classes'].max():,} classes)."
        )
    return lines


def warnings(means: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    """What must be known before kinds are compared (Markdown)."""
    lines = []
    if len(kinds) < 2:
        lines.append(
            "Only one kind of unit was studied. `--units mlp,residual,random,pca,sae --train-sae all` sets others "
            "beside it."
        )
    elif len(means) and not means["selection"].str.contains(" n=| norm=").any():
        lines.append(
            "Kinds were ablated by shares of their units alone, which is neither as many nor as much of the stream: "
            "`--ablate mad:n=32,mad:norm=0.2` asks for both."
        )
    if len(means) and means["n_classes"].max() < FEW_CLASSES:
        lines.append("Intervals over so few classes are rough.")
    return lines


def found_again(stability: pd.DataFrame) -> str:
    """Tell what share of each kind another seed finds again, beside the bar (Markdown)."""
    if stability.empty:
        return "No kind of unit here was looked for with another seed."
    parts = []
    for kind, of in stability.groupby("unit_kind", sort=False):
        share = of["n_found"].sum() / of["n_units"].sum()
        chance = number(of["null_cosine_high"].max(), ".2f")
        parts.append(f"{share:.0%} of the {called(str(kind))} (best cosine with random directions at most {chance})")
    return f"Another seed finds again {listed(parts, 8)}."
