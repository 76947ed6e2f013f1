"""Neuron: what one unit answers to, its clips, and what taking it out does."""

from __future__ import annotations

from itertools import zip_longest

import pandas as pd
import streamlit as st

from dashboard import data, facts
from dashboard.charts import ablation as ablation_charts
from dashboard.charts import neuron as neuron_charts
from dashboard.charts.common import class_order
from dashboard.components import address, clip, draw, presets, share, tables
from dashboard.components import store as stores
from db import queries

N_CLIPS = 6
MOST_NARROW = 24  # classes that fit half the page

store = stores.require()
models = data.read(store, queries.models).set_index("name")
model_names = list(models.index)

title = st.empty()
selectors = st.container(horizontal=True, vertical_alignment="bottom")
context = st.container(horizontal=True, vertical_alignment="bottom")

model = address.choice("model", model_names, model_names[0])
task_names = list(data.read(store, queries.tasks, model)["task"])
if not task_names:
    st.info(f"No task has been scored for {model}: `{stores.COMMAND} --model {model}`")
    st.stop()
task = address.choice("task", task_names, task_names[0])
preset = presets.choose()
ANY_CLASS = "any class"


def choose_class() -> None:
    """Write the class of the list to the address; “any” leaves it out."""
    value = st.session_state["select_list_class"]
    st.query_params.pop("class", None)
    if value != ANY_CLASS:
        address.go(**{"class": value})


with context:
    address.select(
        "Task of the list", "task", task_names, task, clears=("class",), width=230,
        help="Previous and next go through the class-specific neurons of this task and layer.",
    )  # fmt: skip
    class_slot = st.container(width=190)
    presets.select(preset)

widths = data.read(store, queries.layers, model).set_index("layer")["width"]
counts = data.read(store, queries.layer_class_counts, model, task, preset)
classes = class_order(counts["class_name"])
class_name = address.optional("class", classes)
fullest = int(counts.loc[counts["n_neurons"].idxmax(), "layer"]) if len(counts) else 0
with class_slot:
    key = address.show("select_list_class", class_name or ANY_CLASS)
    st.selectbox("Class of the list", [ANY_CLASS, *classes], key=key, on_change=choose_class)
layer = address.number("layer", fullest, 0, int(widths.index.max()))
found = data.read(store, queries.cell_neurons, model, task, preset, layer, class_name)
current_list = sorted({int(neuron) for neuron in found["neuron"]})
strongest = found.sort_values(["p_value", "lift"], ascending=[True, False], kind="stable")
default = int(strongest["neuron"].iloc[0]) if len(strongest) else 0
neuron = address.number("neuron", default, 0, int(widths[layer]) - 1)

before = max((n for n in current_list if n < neuron), default=None)
after = min((n for n in current_list if n > neuron), default=None)
title.title(f"Neuron {neuron} in layer {layer} of {model}")
with selectors:
    address.select("Model", "model", model_names, model, clears=("layer", "neuron", "class"), width=190)
    key = address.show("select_layer_number", layer)
    st.number_input(
        "Layer", 0, int(widths.index.max()), step=1, key=key, width=120,
        on_change=address.on_change("layer", key, ("neuron",)),
    )  # fmt: skip
    key = address.show("select_neuron_number", neuron)
    st.number_input(
        "Neuron", 0, int(widths[layer]) - 1, step=1, key=key, width=140,
        on_change=address.on_change("neuron", key),
    )  # fmt: skip
    for label, icon, target in [
        ("Previous", ":material/chevron_left:", before), ("Next", ":material/chevron_right:", after)
    ]:  # fmt: skip
        st.button(
            label,
            icon=icon,
            disabled=target is None,
            on_click=address.go,
            kwargs={"layer": layer, "neuron": target},
            help="In the list of class-specific neurons chosen below.",
        )
    st.space("stretch")
    link_slot = st.container(width="content")
position = f"number {current_list.index(neuron) + 1} of" if neuron in current_list else "not among"
st.caption(
    f"{position.capitalize()} the {len(current_list):,} neurons of layer {layer} that {preset} "
    f"finds class-specific for {class_name or 'any class'} of {task}."
)

answers = data.read(store, queries.neuron, model, layer, neuron)
selectivity = data.read(store, queries.neuron_selectivity, model, layer, neuron)
specific = data.read(store, queries.neuron_classes, model, layer, neuron)
specific = specific[specific["preset"] == preset]

st.subheader(
    "Clips it answers to most",
    help="Over the whole dataset, by the neuron's mean activation over the clip's tokens.",
)
clips = data.read(store, queries.top_clips, model, layer, neuron, None, N_CLIPS)
dataset = None
if clips.empty:
    st.caption("No clips are stored for this neuron.")
else:
    datasets = list(dict.fromkeys(clips["dataset"]))
    of_task = answers.loc[answers["task"] == task, "dataset"]
    own = of_task.iloc[0] if len(of_task) else datasets[0]
    dataset = address.choice("dataset", datasets, own if own in datasets else datasets[0])
    if len(datasets) > 1:
        key = address.show("select_dataset", dataset)
        st.segmented_control(
            "Dataset", datasets, key=key, required=True,
            on_change=address.on_change("dataset", key),
        )  # fmt: skip
    cards = st.columns(3, gap="small")
    for place, row in enumerate(clips[clips["dataset"] == dataset].to_dict("records")):
        with cards[place % 3], st.container(border=True):
            labels = str(row["labels"] or "")
            st.markdown(
                f"**{row['activation_rate']:.0%}** of tokens" + (f"  \n{labels}" if labels else ""),
                help=f"Mean activation {row['mean_activation']:.3g}; {row['split']} clip.",
            )
            clip.player(row["root"], row["path"], labels)

st.subheader(
    "Activation probability by class",
    help=f"**Activation probability**: {presets.TERMS['probability']} "
    f"**Class-specific**: {presets.TERMS['class-specific']}",
)
st.caption(
    f":orange[■] class-specific by {preset}; dashed line: mean of the classes. Each task has its own vertical scale."
)
measured = [name for name in task_names if (answers["task"] == name).any()]
selected_tasks = set(specific["task"])
# The list's task first, then those the neuron is specific in, then the rest.
measured.sort(key=lambda name: (name != task, name not in selected_tasks))


def bars(name: str) -> None:
    """One task's small chart."""
    rows = answers[answers["task"] == name]
    marks = specific.loc[specific["task"] == name, ["class_name", "q_value", "replicated"]]
    shown = rows.merge(marks, on="class_name", how="left", indicator="origin")
    others = (shown["activation_probability"].sum() - shown["activation_probability"]) / max(len(shown) - 1, 1)
    shown["lift"] = shown["activation_probability"] / others.where(others > 0)
    shown["selected"] = shown["origin"] == "both"
    shown["replicated"] = shown["replicated"].map(tables.yes_no)
    chosen = ", ".join(str(c) for c in shown.loc[shown["selected"], "class_name"])
    st.markdown(f"**{name}**" + (f" :orange[{chosen}]" if chosen else ""))
    drawn, spec = neuron_charts.class_bars(shown.drop(columns="origin"))
    st.vega_lite_chart(
        drawn,
        spec,
        key=f"bars_{name}",
        alt=f"Activation probability over the classes of {name}",
    )


n_classes = answers.groupby("task")["class_name"].nunique()
narrow = [name for name in measured[1:] if n_classes[name] <= MOST_NARROW]
if measured:
    bars(measured[0])
for name in measured[1:]:
    if name not in narrow:
        bars(name)
for pair in zip_longest(narrow[::2], narrow[1::2]):
    for column, name in zip(st.columns(2, gap="medium"), pair, strict=True):
        if name is not None:
            with column:
                bars(name)

st.subheader(
    "Selectivity",
    help=f"**Entropy**: {presets.TERMS['entropy']} Rank 1 has the lowest of the model's neurons.",
)
by_place = {name: place for place, name in enumerate(measured)}
by_preset = {name: place for place, name in enumerate(presets.MEANING)}
selectivity = selectivity.sort_values(
    ["task", "preset"],
    key=lambda column: column.map(by_place if column.name == "task" else by_preset),
)
table = selectivity.assign(
    is_class_specific=selectivity["is_class_specific"].map(tables.yes_no),
    rank=[
        "never fires" if pd.isna(rank) else f"{int(rank):,} of {int(total):,}"
        for rank, total in zip(selectivity["entropy_rank"], selectivity["n_neurons"], strict=True)
    ],
)
st.dataframe(
    tables.percent(table, "max_probability"),
    hide_index=True,
    column_order=[
        "task", "preset", "is_class_specific", "classes", "q_value", "entropy", "rank", "top_class",
        "max_probability",
    ],
    column_config={
        **tables.COLUMNS,
        "task": "Task",
        "preset": "Preset",
        "is_class_specific": st.column_config.TextColumn(
            "Class-specific", help=presets.TERMS["class-specific"]
        ),
        "classes": "For",
        "rank": st.column_config.TextColumn("Entropy rank", help="1 = most selective."),
        "top_class": "Highest class",
    },
    height=min(38 + 35 * len(table), 330),
    placeholder="–",
    alt="Entropy, rank and selection of the neuron in every task by every preset",
)  # fmt: skip
with st.container(horizontal=True):
    share.take_away(f"selectivity_{model}_{layer}_{neuron}", selectivity)
    share.take_away(f"probabilities_{model}_{layer}_{neuron}", answers)

st.subheader("Ablation")
st.caption(
    "This neuron's own ablation was not measured. Below is what happened when whole sets that "
    "contain it were taken out, beside random sets of the same size."
)
ablations = data.read(store, queries.neuron_ablations, model, layer, neuron)
if ablations.empty:
    st.caption("No ablated set contains this neuron.")
else:
    ablations["believable"] = facts.believable(ablations)
    ablations["label"] = [facts.ablation_label(row) for row in ablations.to_dict("records")]
    order = ablations.assign(size=ablations["delta"].abs())
    top = order.sort_values(["believable", "size"], ascending=False).drop_duplicates("label")[:10]
    draw.chart(ablation_charts.ablation_chart, top, alt="Effects of the sets that contain this neuron")
    n_more = ablations["label"].nunique() - len(top)
    more = f" The {n_more:,} weaker ones are in the CSV." if n_more else ""
    n_stand = int(ablations["believable"].sum())
    st.caption(
        f"{n_stand:,} of {len(ablations):,} effects stand (q < 0.05, interval without 0, outside "
        f"the range of the controls).{more}"
    )
    share.take_away(f"ablations_{model}_{layer}_{neuron}", ablations)

state = {
    "model": model, "task": task, "preset": preset, "class": class_name, "layer": layer,
    "neuron": neuron, "dataset": dataset,
}  # fmt: skip
with link_slot:
    share.link("neuron", state)
