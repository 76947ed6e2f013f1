"""Class: the neurons of one class to be heard, where they lie, what else they answer to, what silencing them does."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NoReturn

import pandas as pd
import streamlit as st

from dashboard.shared import address, class_link, command, data, draw, page, sections, share, sidebar
from dashboard.shared.charts.common import class_order
from dashboard.shared.grid.grid import PAGE, Card, grid, pair_state
from dashboard.shared.player.clip import Stored
from dashboard.shared.player.of_class import class_tracks, overlay_of
from dashboard.shared.player.player import player
from dashboard.shared.text import kinds, words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.classes import charts, facts
from db.reads import classes as queries
from db.reads import clips, gallery, study

FIRST, MOST = 6, 48  # cards
N_CLIPS = 6  # of the class, where it has no neuron or the neuron none of its clips

scope = sidebar.choose(show=("model", "task", "preset"), clears=("class", "cards"), any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
title = st.container()
counts = data.read(store, study.layer_class_counts, model, task, preset)
if counts.empty:
    page.head("Class", "classes")
    st.info(f"The rule {preset} was not run for {words.plain(task)} on {words.plain(model)}.")
    st.stop()
names = class_order(counts["class_name"])
class_name = address.optional("class", names) or str(counts.groupby("class_name")["n_neurons"].sum().idxmax())
of_class = counts[counts["class_name"] == class_name]
datasets = data.read(store, study.tasks, model).set_index("task")["dataset"]
dataset = str(datasets[task])
neurons = data.read(store, queries.neurons_of, model, task, preset, class_name)
also = data.read(store, queries.also, model, task, preset, class_name)
state = {"model": model, "dataset": dataset, "task": task, "preset": preset, "class": class_name}
with title:
    page.head(facts.capital(class_name), "classes", tab=f"{class_name} · {task}, {model}")
    contents = sections.Contents("classes")

with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select("Class", "class", names, class_name, clears=("cards",), width=260)
n_neurons = int(data.read(store, study.unit_models).set_index("name")["n_units"][model])
expected = float(of_class["expected_null"].sum(skipna=False))
st.markdown(
    facts.headline(neurons, expected, n_neurons, preset, (task, class_name)),
    help=f"**Class-specific**: {TERMS['class-specific']} **{preset}**: {TERMS[preset]}",
)


def silenced() -> None:
    """What becomes of the class without its neurons, in a sentence."""
    effects = data.read(store, queries.silenced, model, task, class_name)
    with st.container(border=True):
        st.markdown(
            f"**What if they are silenced?** {'' if len(effects) else 'That was not measured for this class.'}",
            help="Each set is chosen for the class by a rule of its own, named in brackets; see *Ablation*. "
            "Significant: q < 0.05 over all classes and sets, and outside of all random sets.",
        )  # fmt: skip
        if effects.empty:
            st.caption(
                "Ablations need a linear probe, neurons, and test clips of the class. This command measures them where "
                "that is given:"
            )
            command.show({"--tasks": task, "--model": model, "--stages": "ablate"})
            return
        told = kinds.first_selection(list(effects["selection"]))
        lines = facts.silenced_lines(effects, class_name, told)
        st.markdown(lines[0])
        if len(lines) > 1:
            with st.expander(f"{len(lines) - 1} other choices of neurons"):
                st.markdown("\n".join(lines[1:]))
        st.page_link(
            "views/ablation/ablation.py", label="All classes and controls on Ablation", icon=":material/content_cut:",
            query_params={"model": model, "dataset": dataset, "task": task, "target": class_name, "selection": told},
        )  # fmt: skip


def best(n_cards: int) -> str:
    """Cards of its best neurons; returns what they are ranked by."""
    contents.lead_to("Its best neurons", "best")
    head = sections.heading(
        "Its best neurons", anchor="best",
        help=f"**Lift**: {TERMS['lift']} **Entropy**: {TERMS['entropy']} **Attribution**: {TERMS['attribution']}",
    )  # fmt: skip
    known = [name for name in facts.ORDERS if name != "cause" or neurons["attribution"].notna().any()]
    by = address.choice("by", known, known[0])
    st.segmented_control(
        "Ranked by", known, format_func=facts.ORDERS.__getitem__, required=True, label_visibility="collapsed",
        key=address.show("select_by", by), on_change=address.on_change("by", "select_by"),
    )  # fmt: skip
    st.caption(
        f"{facts.MEANINGS[by]} Each is shown with a clip of {words.plain(class_name)}, if there is one among its "
        "strongest; bright: where it fires."
        + ("" if "cause" in known else " What single neurons cause was not estimated for this task.")
    )
    rows = facts.ranked(neurons, by).head(n_cards)
    cards = cards_of(rows)
    query = data.key_of(store.stamp, tuple(state.values()), by, n_cards)
    grid(
        query, len(cards), lambda number: cards[number * PAGE :][:PAGE], key="class_cards", opened=open_neuron,
        compared=open_pair,
    )  # fmt: skip
    if len(neurons) > n_cards and n_cards < MOST:
        st.button(
            f"{min(FIRST, len(neurons) - n_cards)} more of {len(neurons):,}", icon=":material/expand_more:",
            on_click=address.go, kwargs={"cards": min(n_cards + FIRST, MOST)},
        )  # fmt: skip
    share.take_away(f"neurons_{model}_{task}_{class_name}", neurons, head)
    return by


def cards_of(rows: pd.DataFrame) -> list[Card]:
    """A card for each neuron, with a clip of the class."""
    ids = tuple(int(one) for one in rows["neuron_id"])
    strongest = data.read(store, gallery.card_clips, model, task, ids)
    strongest = strongest[[class_name in classes for classes in strongest["classes"]]].drop_duplicates("neuron_id")
    found = {int(clip["neuron_id"]): clip for clip in strongest.to_dict("records")}
    clip_ids = tuple(sorted({int(clip["clip_id"]) for clip in found.values()}))
    patterns = data.read(store, gallery.card_patterns, model, task, ids, clip_ids)
    fires = {(int(row["neuron_id"]), int(row["clip_id"])): row for row in patterns.to_dict("records")}
    others = also[also["neuron_id"].isin(ids)].groupby("neuron_id")["class_name"].agg(list)
    any_clips = data.read(store, clips.class_clips, task, class_name, N_CLIPS).to_dict("records")
    made = []
    for place, row in enumerate(rows.to_dict("records")):
        neuron_id = int(row["neuron_id"])
        lines = facts.card_lines(row, len(names), others.get(neuron_id, []))
        clip = found.get(neuron_id) or next(iter(any_clips[place % N_CLIPS :] or any_clips), None)
        made.append(card_of(row, lines, clip, fires))
    return made


def card_of(
    row: dict[Hashable, Any], lines: tuple[str, ...], clip: dict[Hashable, Any] | None, fires: dict[Any, Any]
) -> Card:
    """One neuron's card; ``clip`` may be one that it does not answer to."""
    layer, neuron = int(row["layer"]), int(row["neuron"])
    known = (model, layer, neuron, address.relative("neuron", **neuron_state(layer, neuron)), class_name, lines)
    if clip is None:
        return Card(*known)
    pattern = fires.get((int(row["neuron_id"]), int(clip["clip_id"])))
    overlay = None if pattern is None else overlay_of(pattern, "")
    caption = facts.clip_caption(clip.get("rank", math.nan), clip.get("activation_rate", math.nan))
    return Card(*known, caption, Stored.of(clip), overlay, float(clip["duration_seconds"]))


def neuron_state(layer: int, neuron: int) -> dict[str, str]:
    """What the address of a neuron's page says, which plays clips of the class first."""
    return {**state, "layer": str(layer), "neuron": str(neuron), "hear": "class"}


def open_neuron(card: Card) -> NoReturn:
    """Go to a neuron's page."""
    st.switch_page("views/neuron/neuron.py", query_params=neuron_state(card.layer, card.neuron))


def open_pair(pair: Any) -> None:
    """Go to two neurons side by side."""
    if (there := pair_state(pair)) is not None:
        st.switch_page("views/pair/pair.py", query_params={"task": task, "preset": preset, **there})


def unheard() -> None:
    """Clips of a class without neurons."""
    st.caption(
        "No cards: a class without class-specific neurons is a result. Another selection rule, in the sidebar, may "
        "find some; read its number beside its null. Some clips of the class:"
    )
    player(class_tracks(store, task, class_name, N_CLIPS), key="class_clips")


def layers() -> None:
    """Where they lie."""
    draw.chart(
        charts.layers_chart, of_class, name=f"layers_{model}_{task}_{class_name}",
        head=sections.subheading("Where they lie"),
        alt=f"Class-specific neurons for {class_name} in each layer, over the mean on permuted labels",
    )  # fmt: skip
    st.caption("Tick: mean on permuted labels, spread evenly over classes and neurons. Grey: no more than that.")
    st.page_link(
        "views/heatmap/heatmap.py", label="On Heatmap", icon=":material/grid_on:",
        query_params={**state, "layer": str(int(of_class.loc[of_class["n_neurons"].idxmax(), "layer"]))},
    )  # fmt: skip


def shared() -> None:
    """What else they answer to, and which classes share them."""
    head = sections.subheading(
        "What else they answer to",
        help="Classes that share more of its neurons than two sets of these sizes would by chance: q < 0.05 and an "
        "odds ratio whose 95 % interval lies above 1. Left out are classes that contain it, and tasks that read "
        "the same clips by another attribute.",
    )  # fmt: skip
    st.markdown(facts.also_sentence(also, len(neurons)))
    stored = data.read(store, queries.shared_with, model, task, preset, class_name)
    same_clips = set(datasets.index[datasets == dataset]) - {task}
    rows = facts.sharing(stored, same_clips)
    if rows.empty:
        st.caption("No other class shares significantly more of them than two sets of these sizes would.")
        return
    rows["link"] = [
        address.relative("classes", model=model, task=of, preset=preset, **{"class": name})
        for of, name in zip(rows["task"], rows["class_name"], strict=True)
    ]
    st.dataframe(
        rows, hide_index=True, column_order=["link", "class_name", "task", "n_shared", "expected", "odds"],
        column_config={
            "link": st.column_config.LinkColumn(
                "", display_text=":material/open_in_new:", help="Opens the class.", width=40
            ),
            "class_name": "Class", "task": "Task",
            "n_shared": st.column_config.NumberColumn("Shared"),
            "expected": st.column_config.NumberColumn("By chance", format="%.1f"),
            "odds": st.column_config.TextColumn("Odds ratio [95 %]"),
        },
        height=min(38 + 35 * len(rows), 330), alt=f"Classes that share neurons with {class_name}",
    )  # fmt: skip
    share.take_away(f"shared_with_{model}_{task}_{class_name}", stored, head)
    if rows.attrs["n"] > len(rows):
        st.caption(f"The {len(rows)} strongest of {rows.attrs['n']:,}.")
    st.page_link(
        "views/sharing/sharing.py", label="All pairs on Sharing", icon=":material/hub:",
        query_params={"model": model, "task": task, "preset": preset, "row": class_name},
    )  # fmt: skip


def elsewhere() -> None:
    """The same class in other tasks and models."""
    known = data.read(store, queries.elsewhere, preset, class_name)
    rows = known[(known["model"] != model) | (known["task"] != task) | (known["class_name"] != class_name)]
    section = contents.section(
        "The same class elsewhere", "elsewhere", is_open=False, folded=facts.elsewhere_sentence(rows),
        help="Classes of this name, in other tasks and on other models.",
    )  # fmt: skip
    if section is None:
        return
    with section.body:
        for row in rows.to_dict("records"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                label = f"{words.plain(row['task'])} · {words.plain(row['model'])}"
                class_link.show(str(row["model"]), str(row["task"]), str(row["class_name"]), label, preset=preset)
                st.caption(facts.elsewhere_counts(row), width="content")
        if rows.empty:
            st.caption(facts.elsewhere_sentence(rows))


n_cards = address.number("cards", FIRST, 1, MOST)
silenced()
by = None
if neurons.empty:
    unheard()
else:
    by = best(n_cards)
    of_place = contents.section(
        "Where they lie, and what else they answer to", "place", is_open=False,
        folded=facts.also_sentence(also, len(neurons)),
    )  # fmt: skip
    if of_place:
        left, right = of_place.body.columns([2, 5], gap="large")
        with left:
            layers()
        with right:
            shared()
elsewhere()
address.write({**scope.state, "class": class_name, "by": by, "cards": None if n_cards == FIRST else n_cards})
