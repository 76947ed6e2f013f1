"""Heatmap: where in a model the neurons for each class lie, and which they are."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data
from dashboard.charts import heatmap as heatmaps
from dashboard.charts.common import class_order
from dashboard.components import address, draw, presets, share, tables
from dashboard.components import store as stores
from db import queries

MOST_ROWS = 60
ALL_CLASSES = "all classes"

store = stores.require()
dark = st.context.theme.type == "dark"
model_names = list(data.read(store, queries.models)["name"])

st.title("Where the neurons lie")
st.caption("Class-specific neurons by layer and class. Click a cell, or choose it below the chart.")
selectors = st.container(horizontal=True, vertical_alignment="bottom")

model = address.choice("model", model_names, model_names[0])
task_names = list(data.read(store, queries.tasks, model)["task"])
if not task_names:
    st.info(f"No task has been scored for {model}: `{stores.COMMAND} --model {model}`")
    st.stop()
task = address.choice("task", task_names, task_names[0])
preset = presets.choose()
with selectors:
    address.select("Model", "model", model_names, model, clears=("layer", "class"), width=190)
    address.select("Task", "task", task_names, task, clears=("layer", "class"), width=230)
    presets.select(preset)
    st.space("stretch")
    link_slot = st.container(width="content")
st.caption(presets.MEANING[preset])

counts = data.read(store, queries.layer_class_counts, model, task, preset)
if counts.empty:
    st.info(f"The preset {preset} was not run for {task} on {model}.")
    st.stop()
classes = class_order(counts["class_name"])
layers = sorted(counts["layer"].unique())
fullest = counts.loc[counts["n_neurons"].idxmax()]
untouched = "layer" not in st.query_params and "class" not in st.query_params
layer = address.number("layer", int(fullest["layer"]), int(layers[0]), int(layers[-1]))
chosen_class = str(fullest["class_name"]) if untouched else address.optional("class", classes)


def choose_cell() -> None:
    """Write the clicked cell to the address."""
    cells = st.session_state["counts_chart"].selection.cell
    if cells:
        address.go(layer=int(cells[0]["layer"]), **{"class": cells[0]["class_name"]})


facts = data.read(store, queries.coverage, preset)
facts = facts[(facts["model"] == model) & (facts["task"] == task)]
if len(facts):
    row = facts.iloc[0]
    spoken = f"**{int(row['n_class_specific']):,}** neurons are class-specific; "
    if pd.notna(row["null_n_class_specific_mean"]):
        spoken += (
            f"with shuffled labels {row['null_n_class_specific_mean']:,.1f} on average. Coverage "
            f"**{row['coverage']:.0%}** of {int(row['n_classes'])} classes; with shuffled labels "
            f"{row['null_coverage_low']:.0%} to {row['null_coverage_high']:.0%}"
        )
    else:
        spoken += "no shuffled-label null was computed, so the count says little"
    st.markdown(f"{spoken}.", help=presets.TERMS["null"])

draw.chart(
    heatmaps.count_heatmap,
    counts,
    (layer, chosen_class),
    dark,
    key="counts_chart",
    on_select=choose_cell,
    alt=f"Class-specific neurons of {model} for {task} by layer and class",
)

with st.container(horizontal=True, vertical_alignment="bottom"):
    key = address.show("select_layer", layer)
    st.selectbox("Layer", layers, key=key, on_change=address.on_change("layer", key), width=110)
    key = address.show("select_class", chosen_class or ALL_CLASSES)

    def choose_class() -> None:
        """Write the chosen class to the address, with the layer, so that “all” is kept too."""
        value = st.session_state["select_class"]
        address.go(layer=st.session_state["select_layer"])
        if value == ALL_CLASSES:
            st.query_params.pop("class", None)
        else:
            address.go(**{"class": value})

    st.selectbox("Class", [ALL_CLASSES, *classes], key=key, on_change=choose_class, width=260)

state = {
    "model": model, "task": task, "preset": preset, "layer": layer, "class": chosen_class
}  # fmt: skip
with link_slot:
    share.link("heatmap", state)

found = data.read(store, queries.cell_neurons, model, task, preset, layer, chosen_class)
place = f"layer {layer}, {chosen_class or ALL_CLASSES}"
st.subheader(f"Neurons of {place}")
if found.empty:
    st.caption(
        "No neuron here. An empty cell is a result: under this preset no neuron of the layer stands out for the class."
    )
    st.stop()
# The strongest evidence first; lift decides where p was not computed or is the same.
found = found.sort_values(["p_value", "lift"], ascending=[True, False], kind="stable")
strongest = [int(neuron) for neuron in dict.fromkeys(found["neuron"])]
n_left_out = len(strongest) - MOST_ROWS
strongest = strongest[:MOST_ROWS]
probabilities = data.read(store, queries.probabilities, model, task, layer, tuple(strongest))
wide = probabilities.pivot(index="neuron", columns="class_name", values="activation_probability")
ordered = [int(wide.index[i]) for i in heatmaps.cluster_order(wide.to_numpy(float))]
note = f" {n_left_out:,} with weaker evidence are left out." if n_left_out > 0 else ""
st.caption(
    f"{len(ordered)} neurons over all classes of {task}, like beside like; in per cent.{note} "
    "Click a row to open the neuron."
)
event = draw.chart(
    heatmaps.probability_heatmap,
    probabilities,
    ordered,
    chosen_class,
    dark,
    key="neurons_chart",
    on_select="rerun",
    alt=f"Activation probability of the neurons of {place} over the classes of {task}",
)
if event.selection.neuron:
    clicked = event.selection.neuron[0]["neuron"]
    st.switch_page("views/neuron.py", query_params={**state, "neuron": clicked})

rows = found.assign(
    link=[
        address.relative("neuron", **{k: v for k, v in state.items() if v is not None}, neuron=n)
        for n in found["neuron"]
    ],
    replicated=found["replicated"].map(tables.yes_no),
)
if "activation_probability" not in rows:
    rows = rows.merge(probabilities, on=["neuron", "class_name"], how="left")
st.dataframe(
    tables.percent(rows, "activation_probability"),
    hide_index=True,
    column_order=[
        "link", "class_name", "activation_probability", "lift", "entropy", "p_value", "q_value",
        "replicated",
    ],
    column_config={
        **tables.COLUMNS,
        "link": st.column_config.LinkColumn(
            "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left"
        ),
    },
    height=min(37 + 35 * len(rows), 390),
    placeholder="–",
    alt=f"Numbers of the neurons of {place}",
)  # fmt: skip
share.take_away(f"neurons_{model}_{task}_{preset}_layer{layer}", found)
