"""What the pitch page says and counts; pure functions over frames of `db.reads.pitch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.shared import address, tables
from dashboard.shared.text.numbers import BRACKETS, between, counted, number, spread
from dashboard.shared.text.pitch import PITCH_CLASSES, note_name

BY_CHANCE = 0.025
"""How often one side of a 95 % interval misses the truth."""

OCTAVE = (
    "1: the neuron answers an octave or two away from its note and not at the tritones beside; 0: no difference; "
    "−1: only beside. Harmonics lie octaves apart and raise it too. Neurons with a known interval only."
)
BANDWIDTH = (
    "Width of the curve, in semitones, half way between its lowest and its highest rate. Intervals of single neurons "
    "stand with their curves above."
)
COLUMNS: Mapping[str, Any] = {
    **tables.COLUMNS,
    "link": st.column_config.LinkColumn(
        "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left"
    ),
    "layer": st.column_config.NumberColumn("Layer"),
    "peak_rate": st.column_config.NumberColumn("Highest rate", format="%.1f%%", help="At the best note."),
    "floor_rate": st.column_config.NumberColumn("Lowest rate", format="%.1f%%", help="At the worst note."),
    "preferred_pitch": st.column_config.TextColumn("Prefers", help="The note with the highest rate."),
    "lift_low": st.column_config.NumberColumn("from", format="%.1f×", help="Lower end of the lift's 95 % interval."),
    "lift_high": st.column_config.NumberColumn("to", format="%.1f×", help="Upper end of the lift's 95 % interval."),
    "bandwidth_semitones": st.column_config.NumberColumn("Bandwidth", format="%.1f", help=BANDWIDTH),
    "octave_equivalence_index": st.column_config.NumberColumn("Octave index", format="%.2f", help=OCTAVE),
    **{
        f"{name}_{end}": st.column_config.NumberColumn(word, format="%.2f", help=f"{side} end of the 95 % interval.")
        for name in ("bandwidth", "oei")
        for end, word, side in (("low", "from", "Lower"), ("high", "to", "Upper"))
    },
    "preferred_low": st.column_config.TextColumn("from", help="Lower end of the 95 % interval."),
    "preferred_high": st.column_config.TextColumn("to", help="Upper end of the 95 % interval."),
}


def with_notes(classes: pd.DataFrame) -> pd.DataFrame:
    """Add ``note`` (MIDI) and ``share`` of the clips to the classes of a pitch task; classes that are no notes go."""
    numbers = classes[classes["class_name"].str.isdecimal()]
    notes = numbers.assign(note=numbers["class_name"].astype(int)).sort_values("note", ignore_index=True)
    return notes.assign(share=notes["n_clips"] / max(notes["n_clips"].sum(), 1))


def _beside_chance(counts: NDArray[np.int64], total: int, share: NDArray[np.float64]) -> dict[str, Any]:
    """Counts beside what ``total`` draws by these shares give, with the binomial 95 % range."""
    # Here, not above: a third of a second that a page without notes need not wait for.
    from scipy.stats import binom

    low, high = binom.ppf(0.025, total, share), binom.ppf(0.975, total, share)
    return {"n_neurons": counts, "expected": total * share, "low": low, "high": high}


def by_note(preferred: pd.DataFrame, notes: pd.DataFrame) -> pd.DataFrame:
    """Count the neurons that prefer each note, beside what the notes' shares of the clips give.

    Parameters
    ----------
    preferred : DataFrame
        ``layer``, ``preferred_pitch``, ``n_neurons``.
    notes : DataFrame
        Of `with_notes`.

    Returns
    -------
    DataFrame
        ``note``, ``name``, ``n_clips``, ``n_neurons``, ``expected``, ``low``, ``high``.
    """
    counted = preferred.groupby("preferred_pitch")["n_neurons"].sum()
    counts = counted.reindex(notes["note"], fill_value=0).to_numpy(dtype=np.int64)
    chance = _beside_chance(counts, int(counted.sum()), notes["share"].to_numpy())
    return notes[["note", "n_clips"]].assign(name=notes["note"].map(note_name), **chance)


def by_pitch_class(notes: pd.DataFrame) -> pd.DataFrame:
    """Fold the rows of `by_note` into one octave.

    Returns
    -------
    DataFrame
        ``pitch_class`` (0 = C), ``name``, ``n_neurons``, ``expected``, ``low``, ``high``, and ``times``, ``times_low``,
        ``times_high``: the same over ``expected``.
    """
    total = int(notes["n_neurons"].sum())
    folded = notes.assign(pitch_class=notes["note"] % 12).groupby("pitch_class")[["n_neurons", "expected"]].sum()
    folded = folded.reindex(range(12), fill_value=0).reset_index()
    share = folded["expected"].to_numpy(dtype=np.float64) / max(total, 1)
    chance = _beside_chance(folded["n_neurons"].to_numpy(dtype=np.int64), total, share)
    rows = folded[["pitch_class"]].assign(name=list(PITCH_CLASSES), **chance)
    expected = rows["expected"].where(rows["expected"] > 0)
    times = {name: rows[of] / expected for name, of in _TIMES.items()}
    return rows.assign(**times)


_TIMES = {"times": "n_neurons", "times_low": "low", "times_high": "high"}


def by_layer(preferred: pd.DataFrame, notes: pd.DataFrame) -> pd.DataFrame:
    """Share of each layer's tuned neurons that prefer each note, and where it is more than chance gives.

    Returns
    -------
    DataFrame
        ``layer``, ``note``, ``name``, ``n_neurons``, ``share``, ``expected`` (neurons), ``q_value`` (binomial, against
        the note's share of the clips; Benjamini-Hochberg over all cells), ``beyond`` (bool).
    """
    from scipy.stats import binom, false_discovery_control

    wide = preferred.pivot_table("n_neurons", "layer", "preferred_pitch", "sum", fill_value=0)
    wide = wide.reindex(columns=notes["note"], fill_value=0)
    counts = wide.to_numpy(dtype=np.int64)
    totals = counts.sum(axis=1, keepdims=True)
    share = notes["share"].to_numpy()
    p_value = binom.sf(counts - 1, totals, share)
    q_value = false_discovery_control(p_value, axis=None)
    layers, columns = np.indices(counts.shape)
    return pd.DataFrame(
        {
            "layer": wide.index.to_numpy()[layers.ravel()],
            "note": notes["note"].to_numpy()[columns.ravel()],
            "name": notes["note"].map(note_name).to_numpy()[columns.ravel()],
            "n_neurons": counts.ravel(),
            "share": (counts / np.maximum(totals, 1)).ravel(),
            "expected": (totals * share).ravel(),
            "q_value": q_value.ravel(),
            "beyond": (q_value < 0.05).ravel(),
        }
    )


@dataclass(frozen=True)
class Agreement:
    """How far neurons prefer the same notes in two tasks; each number as (value, low, high), 95 % bootstrap."""

    n_neurons: int
    rank_correlation: tuple[float, float, float]
    same: tuple[float, float, float]
    same_by_chance: float
    octave: tuple[float, float, float]
    octave_by_chance: float


def agreement(pairs: pd.DataFrame, n_draws: int = 400, seed: int = 0) -> Agreement | None:
    """Measure agreement of preferred notes; None for fewer than ten neurons or one note only.

    Parameters
    ----------
    pairs : DataFrame
        ``preferred_a``, ``preferred_b``, ``n_neurons``.
    n_draws : int
        Bootstrap draws of neurons.
    seed : int

    Notes
    -----
    ``same``: within one semitone. ``octave``: one or two octaves apart, give or take a semitone. By chance: the two
    tasks' preferred notes paired at random.
    """
    counts = pairs["n_neurons"].to_numpy(dtype=np.int64)
    total = int(counts.sum())
    a, b = pairs["preferred_a"].to_numpy(), pairs["preferred_b"].to_numpy()
    if total < 10 or len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(total, counts / total, size=n_draws)
    weights = np.vstack([counts, drawn]).astype(np.float64)
    apart = np.abs(a - b)
    octave = np.isin(apart, [11, 12, 13, 23, 24, 25])
    measured = [_rank_correlation(weights, a, b), weights @ (apart <= 1) / total, weights @ octave / total]
    rho, same, octaves = (_with_interval(values) for values in measured)
    notes_a, of_a = np.unique(a, return_inverse=True)
    notes_b, of_b = np.unique(b, return_inverse=True)
    margin_a, margin_b = np.bincount(of_a, counts) / total, np.bincount(of_b, counts) / total
    distance = np.abs(notes_a[:, None] - notes_b)
    joint = margin_a[:, None] * margin_b
    by_chance = [float(joint[distance <= 1].sum()), float(joint[np.isin(distance, [11, 12, 13, 23, 24, 25])].sum())]
    return Agreement(total, rho, same, by_chance[0], octaves, by_chance[1])


def _with_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The first value, and the 95 % percentile interval of the others."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return float(values[0]), float(low), float(high)


def _rank_correlation(weights: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Spearman's rho of cells (a, b) that hold so many neurons, a row of weights each."""
    total = weights.sum(axis=1, keepdims=True)
    centred = []
    for values in (a, b):
        of = np.unique(values, return_inverse=True)[1]
        margin = weights @ np.eye(of.max() + 1)[of]
        rank = np.cumsum(margin, axis=1) - (margin - 1) / 2
        ranks = rank[:, of]
        centred.append(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)
    x, y = centred
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights * x * y).sum(1) / np.sqrt((weights * x * x).sum(1) * (weights * y * y).sum(1)))


def agreement_sentence(agreement: Agreement) -> str:
    """Tell `Agreement` in words."""

    def share(of: tuple[float, float, float]) -> str:
        return f"**{of[0]:.0%}** {between(of[1], of[2], '.0%', BRACKETS)}"

    rho, low, high = agreement.rank_correlation
    return (
        f"{agreement.n_neurons:,} neurons are tuned in both. Their preferred notes go together with rank correlation "
        f"**{number(rho, '.2f')}** {between(low, high, '.2f', BRACKETS)}. The same note, give or take a semitone: "
        f"{share(agreement.same)}, by chance {agreement.same_by_chance:.0%}. One or two octaves apart: "
        f"{share(agreement.octave)}, by chance {agreement.octave_by_chance:.0%}."
    )


def octave_sentence(indices: pd.DataFrame) -> str:
    """Tell how many octave equivalence indices exclude 0, and how many would by chance."""
    of_verdict = indices.groupby("verdict")["n_neurons"].sum()
    total = int(of_verdict.sum())
    over, under = int(of_verdict.get("over 0", 0)), int(of_verdict.get("under 0", 0))
    return (
        f"The interval lies above 0 for **{over:,}** of {counted(total, 'neuron')} and below 0 for {under:,}; "
        f"by chance about {BY_CHANCE * total:,.0f} each."
    )


def bandwidth_sentence(widths: pd.DataFrame) -> str:
    """Tell the median bandwidth, its quartiles, and for how many neurons it is unknown."""
    known = widths.dropna(subset="bandwidth")
    unknown = int(widths.loc[widths["bandwidth"].isna(), "n_neurons"].sum())
    if known.empty:
        return f"No bandwidth is known: none of {unknown:,} curves falls to half height on both sides."
    values = np.repeat(known["bandwidth"].to_numpy(), known["n_neurons"].to_numpy())
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    middle_half = (
        f"Half of {len(values):,} neurons lie between {low:.1f} and {high:.1f} semitones (median **{middle:.1f}**). "
        if len(values) > 1 else f"The one neuron of which it is known has **{middle:.1f}** semitones. "
    )  # fmt: skip
    of_others = f"Unknown for {unknown:,}, whose curve does not fall to half height on both sides." if unknown else ""
    return f"{middle_half}{of_others}".strip()


def span(shares: pd.Series) -> str:
    """Write the least and the greatest of some shares, once where they are alike."""
    return spread(shares.min(), shares.max(), ".1%")


def named_curve(rates: pd.DataFrame) -> pd.DataFrame:
    """Add ``note`` and ``name`` to a neuron's rates, by note; classes that are no notes go."""
    rows = rates[rates["class_name"].str.isdecimal()]
    rows = rows.assign(note=rows["class_name"].astype(int)).sort_values(["task", "note"], ignore_index=True)
    return rows.assign(name=rows["note"].map(note_name))


def named_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Add the names of the notes that a pair prefers."""
    return pairs.assign(name_a=pairs["preferred_a"].map(note_name), name_b=pairs["preferred_b"].map(note_name))


def table(rows: pd.DataFrame, state: Mapping[str, str]) -> pd.DataFrame:
    """Lay neurons out for a table: a link to each neuron's page first, shares in per cent, notes by name."""
    places = zip(rows["layer"], rows["neuron"], strict=True)
    links = [address.relative("neuron", **state, layer=layer, neuron=neuron) for layer, neuron in places]
    shown = tables.percent(rows.drop(columns="neuron"), "peak_rate", "floor_rate", "activation_probability")
    for column in ("preferred_pitch", "preferred_low", "preferred_high"):
        if column in shown:
            shown[column] = [note_name(value) if pd.notna(value) else None for value in shown[column]]
    if "replicated" in shown:
        shown["replicated"] = shown["replicated"].map(tables.yes_no)
    shown.insert(0, "link", links)
    return shown
