"""Map: all units of a model in one picture, those that respond alike near one another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import Engine

from dashboard.shared import address, command, data, described, page, sections, share, sidebar, tables
from dashboard.shared.charts import groups as class_groups
from dashboard.shared.charts.common import class_order
from dashboard.shared.player.overlays import of_patterns
from dashboard.shared.player.player import player, stored_track
from dashboard.shared.text import words
from dashboard.shared.text.facts import in_words, null_sentence
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted
from dashboard.views.map import canvas, facts, shades
from db.reads import clips as clip_queries
from db.reads import descriptions, heatmap, maps, study
from db.reads import neuron_evidence as evidence

MOST_CLIPS = 8
TOLD = {
    "layer": ("class_name", "q_value", "entropy"),
    "task": ("task", "class_name", "q_value", "lift"),
    "class": ("class_name", "q_value", "lift", "top_class"),
    "selectivity": ("top_class", "entropy", "entropy_q_value"),
    "effect": ("effect_class", "attribution", "standard_error"),
    "words": ("description", "correlation", "null_correlation_high"),
}  # what the table tells of each unit, by what it is coloured by

scope = sidebar.choose(clears_model=("layer", "neuron", "area"), any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
page.head(
    "Map",
    "map",
    "All units of a model: those that respond alike lie together. Point at one for its name and description, click it "
    "to hear it, draw around some to list them.",
    f"Map of {model}",
)
told = data.read(store, maps.facts, model)
if told.empty:
    st.info(f"{words.plain(model)} has no map in this store; this command makes one, of what is recorded already:")
    command.show(command.of_recorded(model, "--map"))
    address.write(scope.state)
    st.stop()


def map_units(engine: Engine, model: str, task: str, preset: str, of: str) -> pd.DataFrame:
    """The units that have a place, and what is known of them: their ``task``, their ``effect``, their ``words``, else
    what they are to the sidebar's task.
    """
    units = data.read(store, maps.places, model)
    if of == "words":
        known = data.read(store, descriptions.best, model, dataset)
    elif of == "task":
        known = data.read(store, maps.tasks, model, preset)
    else:
        known = (maps.effects if of == "effect" else maps.of_task)(engine, model, task, preset)
    return units.merge(known, on="neuron_id", how="left")


def map_sentences(engine: Engine, model: str, dataset: str) -> bytes:
    """What is said of each unit that has a place, with its score, packed."""
    said = descriptions.best(engine, model, dataset)
    lines = dict(zip(said["neuron_id"], facts.sentences(said), strict=True))
    return canvas.packed([lines.get(one, "") for one in data.read(store, maps.places, model)["neuron_id"]])


def map_shading(engine: Engine, model: str, task: str, preset: str, by: str) -> tuple[shades.Shading, bytes]:
    """Colours of these units, which the other names tell all of, and their names, packed."""
    del model, preset
    names = class_order(classes)
    groups = heatmap.class_groups(engine, task)
    groupings = class_groups.groupings(groups, names)
    order = class_groups.in_groups(names, groups, groupings[0] if groupings else None)
    shading = shades.shaded(by, units, len(names), order)
    return shading, canvas.packed(shading.labels)


dataset = str(data.read(store, study.tasks, model).set_index("task").loc[task, "dataset"])
is_described = dataset in described.over(store, model)
by = address.choice("colour", list(shades.BY), "task") if "colour" in st.query_params else "task"
units = data.read(store, map_units, model, task, preset, by if by in ("task", "effect", "words") else "class")
classes = data.read(store, evidence.task_classes, model, task)
chosen = facts.row_of(units, st.query_params.get("layer"), st.query_params.get("neuron"))
if chosen is None and "neuron" in st.query_params:
    st.warning("The address asks for a unit that has no place on this map; none is chosen.")
area = facts.corners(st.query_params.get("area"))
if area is None and "area" in st.query_params:
    st.warning("The address asks for an area of the map that cannot be read; it was left out.")


def choose(row: int) -> None:
    """Write a unit to the address; its sound begins by itself."""
    one = units.iloc[row]
    address.go(layer=int(one["layer"]), neuron=int(one["neuron"]))
    st.session_state["map_pressed"] = time.time_ns() // 1_000_000


def asked(what: Mapping[str, Any]) -> None:
    """Do what the browser asks."""
    row, drawn = what.get("unit"), what.get("area")
    # In the browser all numbers are fractions.
    if isinstance(row, int | float) and row == row // 1 and 0 <= row < len(units):
        choose(int(row))
    elif drawn == "":
        st.query_params.pop("area", None)
    elif isinstance(drawn, str) and facts.corners(drawn):
        address.go(area=drawn)


def caption() -> str:
    """What the colours say, beside what chance gives."""
    if by == "layer":
        return ""
    if by == "selectivity":
        return facts.selectivity_sentence(units, task)
    if by == "effect":
        return facts.effect_sentence(units, task)
    if by == "words":
        return facts.words_sentence(units, dataset)
    of_tasks = data.read(store, study.coverage_of, model, preset)
    if by == "class":
        return null_sentence(of_tasks, model, task, preset)
    return facts.task_sentence(int(units["task"].notna().sum()), of_tasks[of_tasks["model"] == model], preset)


def hear(row: int) -> None:
    """Play the unit's top clips."""
    one = units.iloc[row]
    layer, neuron = int(one["layer"]), int(one["neuron"])
    of_tasks = data.read(store, study.tasks, model).set_index("task")["dataset"]
    own = str(one["task"]) if by == "task" and one["task"] in of_tasks.index else task  # where it is strongest
    dataset = str(of_tasks[own])
    clips = data.read(store, clip_queries.neuron_clips, model, dataset, layer, neuron)
    clips = clips[clips["kind"] == "top"].head(MOST_CLIPS)
    head = sections.heading(f"Layer {layer}, neuron {neuron}", anchor="unit")
    there = {**scope.state, "task": own, "layer": layer, "neuron": neuron}
    head.page_link(
        "views/neuron/neuron.py", label="Its page", icon=":material/hearing:",
        query_params={name: str(value) for name, value in there.items() if value is not None},
    )  # fmt: skip
    st.caption(words.plain(shading.labels[row]))
    said = data.read(store, descriptions.of_units, model, dataset, (int(one["neuron_id"]),))
    if len(said):
        st.markdown(f"Over {words.plain(dataset)}: *{words.plain(in_words(said.iloc[0].to_dict()))}*")
    if clips.empty:
        st.caption(f"It has no top clips in {words.plain(dataset)}: it never fires there, or they were not ranked.")
        return
    patterns = data.read(store, clip_queries.neuron_patterns, model, dataset, layer, neuron)
    overlays = of_patterns(patterns, f"neuron {neuron}, layer {layer}")
    tracks = [
        stored_track(
            clip, str(clip["labels"] or clip["path"]),
            f"top {int(clip['rank'])} of {dataset}, active at {clip['activation_rate']:.0%} of tokens",
            overlays.get(int(clip["clip_id"])),
        )
        for clip in clips.to_dict("records")
    ]  # fmt: skip
    pressed = st.session_state.get("map_pressed", 0)
    player(tracks, key="map_player", play=pressed, label=f"Player of layer {layer}, neuron {neuron}")


def list_units() -> None:
    """The units of the area, or those around the chosen one, or those of the strongest evidence."""
    if area is not None:
        found, title = facts.strongest(units[facts.inside(units, area)], by), "In the area"
    elif chosen is not None:
        found, title = facts.around(units, chosen), "Nearest in the picture"
    else:
        found, title = facts.strongest(units, by), "All units"
    head = sections.heading(title, anchor="list")
    shown = found.head(facts.MOST_LISTED)
    cut = f"; the {len(shown):,} of the strongest evidence are shown" if len(shown) < len(found) else ""
    st.caption(f"{counted(len(found), 'unit')}{cut}. Mark a row to hear its unit; the number opens its page.")

    def mark() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            choose(int(units.index.get_loc(shown.index[rows[0]])))

    key = f"map_list_{chosen}_{st.query_params.get('area', '')}"
    state = {name: value for name, value in scope.state.items() if value is not None}
    links = [
        address.relative("neuron", **state, layer=layer, neuron=neuron)
        for layer, neuron in zip(shown["layer"], shown["neuron"], strict=True)
    ]
    st.dataframe(
        shown.assign(link=links),
        hide_index=True,
        key=key,
        on_select=mark,
        selection_mode="single-row",
        column_order=["layer", "link", *TOLD[by]],
        column_config={
            **tables.COLUMNS,
            "layer": st.column_config.NumberColumn("Layer", format="%d"),
            "link": st.column_config.LinkColumn("Neuron", display_text=r"neuron=(\d+)$", alignment="left"),
            "entropy_q_value": st.column_config.NumberColumn(
                "q of the entropy", format="%.2g", help="Of shuffled labels giving an entropy as low."
            ),
            "attribution": st.column_config.NumberColumn("Effect", format="%.2g", help=TERMS["attribution"]),
            "standard_error": st.column_config.NumberColumn(
                "± SE", format="%.2g", help="Its standard error over clips; 1.96 of them to an end of a 95 % interval."
            ),
            "top_class": st.column_config.TextColumn("Strongest class", help="Where its probability is highest."),
            "effect_class": st.column_config.TextColumn("Class"),
            "task": st.column_config.TextColumn("Task", help="Where its evidence has the lowest p."),
            "description": st.column_config.TextColumn("Description", width="medium"),
            "correlation": st.column_config.NumberColumn("r", format="%.2f", help="On held-out clips."),
            "null_correlation_high": st.column_config.NumberColumn(
                "To beat", format="%.2f",
                help="97.5th percentile of r of other units’ descriptions, or that of the majority class.",
            ),
        },
        height=min(37 + 35 * max(len(shown), 1), 390),
        placeholder="–",
        alt=f"{title} of the map of {model}",
    )  # fmt: skip
    share.take_away(f"map_{model}_{task}_{preset}", found.drop(columns="neuron_id"), head)


shading, names = data.read(store, map_shading, model, task, preset, by)
sentences = data.read(store, map_sentences, model, dataset) if is_described else b""
st.markdown(facts.trust(told.iloc[0].to_dict()))
key = address.show("select_map_colour", by)
st.segmented_control(
    "Colour by", list(shades.BY), key=key, required=True, format_func=shades.BY.__getitem__,
    on_change=address.on_change("colour", key),
    help="**Layer**: where the unit sits. **Task**: whose class it is specific for, by the lowest p. **Class**, "
    "**Selectivity**, **Effect**: in the task of the sidebar. **Description**: its first term, over the task’s "
    f"dataset. {TERMS['entropy']} {TERMS['attribution']}",
)  # fmt: skip
picture, beside = st.columns([3, 2], gap="medium")
with picture:
    token = data.key_of(store.stamp, model)
    drawn = st.query_params.get("area") if area is not None else None
    all_units = canvas.Picture(token, units[["x", "y"]].to_numpy(float), shading, canvas.Texts(names, sentences))
    canvas.show(all_units, chosen, drawn, asked=asked)
    if told_below := caption():
        st.caption(told_below)
    if not is_described:
        described.offer(store, model, dataset)
with beside:
    if chosen is None:
        st.caption("Click a unit, or mark one in the table, to hear its top clips.")
    else:
        hear(chosen)
    list_units()
one = None if chosen is None else units.iloc[chosen]
address.write(
    {
        **scope.state, "colour": by, "layer": None if one is None else int(one["layer"]),
        "neuron": None if one is None else int(one["neuron"]), "area": drawn,
    }
)  # fmt: skip
