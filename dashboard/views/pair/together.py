"""What two neurons have in common: notes, classes, clips, moments; each beside chance or with its interval."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import data, sections, share
from dashboard.shared.player import beside
from dashboard.shared.text import words
from dashboard.shared.text.pitch import neuron_line
from dashboard.views.pair import facts, joint
from db.reads import clips as clip_queries
from db.reads import neuron_evidence as evidence
from db.reads import neurons, pair

Places = tuple[beside.Place, beside.Place]
_OF_CHANCE: dict[str, Any] = {
    "n_common": "In common",
    "expected": st.column_config.NumberColumn("Expected", format="%.2f"),
    "p_value": st.column_config.NumberColumn("p", format="%.2g"),
}
_SIDES = ("blue", "orange")


def tuning(store: data.Store, places: Places, labels: tuple[str, str]) -> None:
    """What notes each prefers, task by task; nothing where neither is tuned."""
    tuned = [data.read(store, evidence.tuning, *place) for place in places]
    tasks = [name for name in tuned[0]["task"] if name in set(tuned[1]["task"])]
    if not tasks:
        return
    head = sections.heading(
        "Tuning over notes", help="Preferred note, bandwidth and octave equivalence of both, with 95 % intervals."
    )
    for task in tasks:
        st.markdown(f"**{words.plain(task)}**")
        for side, label, colour in zip(tuned, labels, _SIDES, strict=True):
            row = side[side["task"] == task].iloc[0].to_dict()
            st.markdown(f":{colour}[■] {words.plain(label)}: {neuron_line(row)}")
    both = pd.concat([side.assign(neuron=label) for side, label in zip(tuned, labels, strict=True)], ignore_index=True)
    share.take_away("pair_tuning", both[both["task"].isin(tasks)], head)


def classes(store: data.Store, places: Places, labels: tuple[str, str], preset: str) -> None:
    """How many classes both are specific for."""
    head = sections.heading(
        "Classes in common",
        help="Classes that each neuron is class-specific for by the selection rule. Expected: what as many classes "
        "drawn at random have in common; p: so many or more. It is no proof of independence: classes that sound alike "
        "go together in both.",
    )
    specific = tuple(data.read(store, neurons.neuron_classes, *place) for place in places)
    scored = tuple(data.read(store, neurons.neuron_selectivity, *place) for place in places)
    rows = data.derive(facts.classes_in_common, specific, scored, preset)
    if rows.empty:
        st.caption(f"By {preset} there is no task in which both are class-specific for anything.")
        return
    st.dataframe(
        rows, hide_index=True, height=38 + 35 * len(rows), alt="Classes that both are specific for, by task",
        column_order=["task", "n_classes", "n_own", "n_other", *_OF_CHANCE, "classes"],
        column_config={
            "task": "Task", "n_classes": "Classes", "n_own": labels[0], "n_other": labels[1], **_OF_CHANCE,
            "classes": st.column_config.ListColumn("Which"),
        },
    )  # fmt: skip
    share.take_away("classes_in_common", rows, head)


def clips(store: data.Store, places: Places, labels: tuple[str, str]) -> None:
    """How many of their strongest clips are the same."""
    head = sections.heading(
        "Clips in common",
        help="Of each neuron the strongest clips of each dataset are kept. Expected: what as many clips drawn at "
        "random have in common; p: so many or more. Two neurons that answer to loud clips have many in common too.",
    )
    counts = data.read(store, pair.top_clips_in_common, *places)
    if counts.empty:
        st.caption("No dataset's clips were ranked for both.")
        return
    rows = data.derive(facts.in_common, counts, "n_clips")
    st.dataframe(
        rows, hide_index=True, height=38 + 35 * len(rows), alt="Strongest clips in common, by dataset",
        column_config={
            "dataset": "Dataset", "n_clips": st.column_config.NumberColumn("Clips", format="localized"),
            "n_own": f"Kept of {labels[0]}", "n_other": f"Kept of {labels[1]}", **_OF_CHANCE,
        },
    )  # fmt: skip
    share.take_away("clips_in_common", rows, head)


def firing(store: data.Store, dataset: str | None, places: Places, labels: tuple[str, str]) -> None:
    """Whether both fire at the same moments of the clips of a dataset that are kept of both."""
    head = sections.heading(
        "Joint firing",
        help="Pearson’s correlation of the two activations over the moments of a clip, the highest band of each "
        "moment. Chance: the first neuron in this clip with the second in another of its clips, which keeps what both "
        "do at every beginning and end. Both may follow the same sound without anything between them.",
    )
    if dataset is None:
        st.caption("No dataset's clips were ranked for both.")
        return
    patterns = [data.read(store, clip_queries.neuron_patterns, one[0], dataset, *one[1:]) for one in places]
    found = data.derive(joint.joint, *(side[["clip_id", "strength"]] for side in patterns))
    st.markdown(joint.sentence(found))
    st.caption(
        f"Over the clips of {words.plain(dataset)} that are kept of both {words.plain(labels[0])} and "
        f"{words.plain(labels[1])}: their strongest, some middle and some silent ones, which is no sample of all. Not "
        "measured: how they correlate over all clips; counts of every clip lie beside the store, for runs."
    )
    if len(found.clips):
        share.take_away("joint_firing", found.clips, head)
