"""What the page of time tells in words; pure functions."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.shared.player.player import Label
from dashboard.shared.text.facts import Q_LIMIT
from dashboard.shared.text.in_time import latency, seconds, short_shape
from dashboard.shared.text.numbers import between, counted, number, share
from dashboard.shared.text.words import plain

Facts = Mapping[Hashable, Any]


def answer(facts: Facts) -> str:
    """Say in Markdown how many units answer to segments, beside shifted labels and test clips.

    Parameters
    ----------
    facts : mapping
        A row of `db.reads.segments.tasks`.
    """
    n, n_classes = int(facts["n_class_specific"]), int(facts["n_classes"])
    chance = facts["null_coverage_mean"] * n_classes
    ends = between(facts["null_n_class_specific_low"], facts["null_n_class_specific_high"], ",.0f")
    text = (
        f"**{counted(n, 'unit')}** fire in the segments of one class of {plain(facts['task'])} at least twice as often "
        f"as in others’ (q < {Q_LIMIT}), for **{int(facts['n_classes_covered'])} of {n_classes}** classes; with labels "
        f"shifted in time {number(facts['null_n_class_specific_mean'], ',.1f')} units ({ends}) and "
        f"{number(chance, '.1f')} classes."
    )
    if pd.notna(facts["replicated_share"]):
        text += (
            f" On test clips {share(facts['replicated_share'])} of the pairs hold, of all pairs "
            f"{share(facts['replicated_share_all_pairs'])}."
        )
    if pd.notna(facts["exchanged_share"]):
        text += (
            f" With whole tracks of labels exchanged among clips as long {share(facts['exchanged_share'])} of the "
            f"pairs keep p < {Q_LIMIT}; the others may follow where in a clip the class lies."
        )
    return text


def how(facts: Facts) -> str:
    """Say what was left to chance, and what was not measured."""
    n, within = int(facts["n_clips"]), int(facts["n_within"])
    where = (
        f"in {within:,} of {n:,} clips between the first and the last label, in the others over the whole clip"
        if 0 < within < n
        else "between the first and the last label of each clip"
        if within
        else "over the whole clip"
    )
    return (
        f"Null: {plain(facts['shuffled'])}, {where}; {int(facts['n_shuffles'])} drawn shifts for the coverage, all "
        f"shifts for p. Columns of {seconds(facts['column_seconds'])}, segments of {seconds(facts['median_seconds'])} "
        "in the median. No head is trained and nothing is ablated for segments."
    )


def warnings(facts: Facts) -> list[str]:
    """What to know before reading it."""
    return [plain(one) for one in json.loads(facts["warnings_json"])]


def title(layer: object, neuron: object) -> str:
    """Name a unit as charts do."""
    return f"L{layer}·{neuron}"


def with_evidence_first(units: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table: intervals as text."""
    rows = units.to_dict("records")
    return units.assign(latency=[latency(row) for row in rows], shape=[short_shape(row) for row in rows])


def labels_of(segments: pd.DataFrame, class_name: str) -> dict[int, tuple[Label, ...]]:
    """Labels by clip, those of a class made to stand out.

    Parameters
    ----------
    segments : DataFrame
        Of `db.reads.segments.labels`.
    """
    found: dict[int, list[Label]] = {}
    for row in segments.to_dict("records"):
        name = str(row["class_name"])
        label = Label(name, float(row["onset_seconds"]), float(row["offset_seconds"]), name == class_name)
        found.setdefault(int(row["clip_id"]), []).append(label)
    return {clip: tuple(of) for clip, of in found.items()}


def class_rows(classes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """How much there is of each class, in an order, for a table."""
    place = {name: i for i, name in enumerate(names)}
    return classes.sort_values("class_name", key=lambda column: column.map(place), kind="stable")
