"""Heatmap: where in a model the neurons for each class lie, and which they are."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, class_link, data, draw, page, sections, share, sidebar, tables
from dashboard.shared.charts import groups as class_groups
from dashboard.shared.charts.common import class_order
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.heatmap import charts as heatmaps
from dashboard.views.heatmap import facts
from dashboard.views.heatmap import picture as neuron_picture
from db.reads import heatmap, study
from db.reads import neurons as neuron_queries

MOST_ROWS = 40
ALL_CLASSES = "all classes"
NO_GROUPS = "none"
SHOWN = {"count": "n_neurons", "above null": "above"}
COLOURS = {"strongest class": "class", "entropy q": "q"}
MOST_LEGEND = 12

scope = sidebar.choose(clears=("layer", "class", "groups", "block"), any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
dark = st.context.theme.type == "dark"
page.head(
    "Where the neurons lie",
    "heatmap",
    "Class-specific neurons of each layer and class, beside what shuffled labels give. Click a cell for its neurons.",
    f"Heatmap of {task}, {model}",
)
contents = sections.Contents("heatmap")

counts = data.read(store, study.layer_class_counts, model, task, preset)
if counts.empty:
    st.info(f"The rule {preset} was not run for {words.plain(task)} on {words.plain(model)}.")
    st.stop()
of_task = data.read(store, study.coverage_of, model, preset)
of_task = of_task[of_task["task"] == task].iloc[0]
cells = facts.beside_null(counts, of_task["null_n_pairs_mean"], of_task["null_n_pairs_high"])
null_known = bool(cells["expected_null"].notna().all())
names = class_order(counts["class_name"])
layers = sorted(int(layer) for layer in counts["layer"].unique())
fullest = counts.loc[counts["n_neurons"].idxmax()]
untouched = "layer" not in st.query_params and "class" not in st.query_params
layer = address.number("layer", int(fullest["layer"]), layers[0], layers[-1])
chosen_class = str(fullest["class_name"]) if untouched else address.optional("class", names)
shown = address.choice("show", list(SHOWN), "count") if null_known else "count"
groups = data.read(store, heatmap.class_groups, task)
groupings = class_groups.groupings(groups, names)
grouping = address.choice("groups", [*groupings, NO_GROUPS], groupings[0]) if groupings else NO_GROUPS
order = class_groups.in_groups(names, groups, None if grouping == NO_GROUPS else grouping)

st.markdown(facts.sentence(of_task.to_dict(), cells["stands"]), help=TERMS["null"])
if preset != "calibrated" and not of_task["n_class_specific"]:
    st.page_link(
        "views/coverage/coverage.py", label=f"Why {preset} selects none here, and where it begins to",
        icon=":material/show_chart:",
        query_params={name: value for name, value in scope.state.items() if value is not None},
    )  # fmt: skip
contents.lead_to("By layer and class", "counts")
head = sections.heading("By layer and class", anchor="counts")
with st.container(horizontal=True, vertical_alignment="bottom"):
    if null_known:
        key = address.show("select_show", shown)
        st.segmented_control(
            "Show", list(SHOWN), key=key, required=True, on_change=address.on_change("show", key),
            help="**Count**: neurons found. **Above null**: neurons found less those that shuffled labels give.",
        )  # fmt: skip
    if groupings:
        address.select(
            "Groups of classes", "groups", [*groupings, NO_GROUPS], grouping, width=190,
            help="An attribute of the dataset in which every class lies within one value.",
        )  # fmt: skip


def choose_cell() -> None:
    """Write the clicked cell to the address; the row of groups is no cell."""
    clicked = st.session_state["counts_chart"].selection.cell
    if clicked and str(clicked[0].get("layer", "")).isdecimal():
        address.go(layer=int(clicked[0]["layer"]), **{"class": clicked[0]["class_name"]})


draw.chart(
    heatmaps.count_heatmap,
    cells if null_known else counts,
    (layer, chosen_class),
    dark,
    order,
    SHOWN[shown],
    key="counts_chart",
    on_select=choose_cell,
    alt=f"Class-specific neurons of {model} for {task} by layer and class",
    name=f"counts_{model}_{task}_{preset}",
    head=head,
    data=cells.assign(**{name: cells[name].astype(float) for name in ("above", "limit")}),
)
if null_known:
    st.caption(
        "Grey: not above the permutation null (97.5th percentile). Permuted labels tell how many pairs of neuron and "
        "class there would be in all; they are spread here evenly over neurons and classes."
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

    st.selectbox("Class", [ALL_CLASSES, *order.classes], key=key, on_change=choose_class, width=260)

cell = {"model": model, "dataset": scope.dataset, "task": task, "preset": preset, "layer": layer, "class": chosen_class}
place = f"layer {layer} for {f'class {chosen_class}' if chosen_class else ALL_CLASSES}"


def neuron_links(rows: pd.DataFrame, **state: object) -> list[str]:
    """A link to the neuron of each row that has ``layer`` and ``neuron``."""
    kept = {name: value for name, value in {**cell, **state}.items() if value is not None}
    return [
        address.relative("neuron", **{**kept, "layer": at, "neuron": neuron})
        for at, neuron in zip(rows["layer"], rows["neuron"], strict=True)
    ]


LINK = st.column_config.LinkColumn(
    "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left"
)  # fmt: skip


def cell_neurons(head: DeltaGenerator) -> None:
    """The neurons of the chosen cell: a heatmap over all classes, and their numbers."""
    pairs = data.read(store, study.cell_neurons, model, task, preset, layer, chosen_class)
    if pairs.empty:
        st.caption(
            "No neuron here. An empty cell is a result: by this rule no neuron of the layer stands out for the class."
        )
        return
    # The strongest evidence first; lift decides where p was not computed or is the same.
    pairs = pairs.sort_values(["p_value", "lift"], ascending=[True, False], kind="stable")
    strongest = [int(neuron) for neuron in dict.fromkeys(pairs["neuron"])]
    n_left_out = max(len(strongest) - MOST_ROWS, 0)
    strongest = strongest[:MOST_ROWS]
    probabilities = data.read(store, neuron_queries.probabilities, model, task, layer, tuple(strongest))
    wide = probabilities.pivot(index="neuron", columns="class_name", values="activation_probability")
    ordered = [int(wide.index[i]) for i in heatmaps.cluster_order(wide.to_numpy(float))]
    note = f" {n_left_out:,} with weaker evidence are left out." if n_left_out else ""
    st.caption(
        f"{len(ordered)} neurons over all classes of {words.plain(task)}, like beside like; in per cent.{note} "
        "Click a row to open the neuron.",
        help=TERMS["activation probability"],
    )
    event = draw.chart(
        heatmaps.probability_heatmap,
        probabilities,
        ordered,
        chosen_class,
        dark,
        order,
        key="neurons_chart",
        on_select="rerun",
        alt=f"Activation probability of the neurons of {place} over the classes of {task}",
        name=f"probabilities_{model}_{task}_{preset}_layer{layer}",
        head=head,
    )
    if event.selection.neuron and str(event.selection.neuron[0]["neuron"]).isdecimal():
        clicked = event.selection.neuron[0]["neuron"]
        st.switch_page(
            "views/neuron/neuron.py", query_params={k: v for k, v in cell.items() if v} | {"neuron": clicked}
        )
    folded = st.expander("The same in numbers", icon=":material/table:", on_change="rerun", key="cell_table")
    if folded.open:
        with folded:
            list_cell(pairs)


def list_cell(pairs: pd.DataFrame) -> None:
    """The neurons of the chosen cell as a table."""
    head = sections.subheading(f"Neurons of {words.plain(place)}")
    rows = pairs.assign(link=neuron_links(pairs.assign(layer=layer)), replicated=pairs["replicated"].map(tables.yes_no))
    st.dataframe(
        tables.percent(rows, "activation_probability"),
        hide_index=True,
        column_order=[
            "link", "class_name", "activation_probability", "lift", "entropy", "p_value", "q_value", "replicated",
        ],
        column_config={**tables.COLUMNS, "link": LINK},
        height=min(37 + 35 * len(rows), 390),
        placeholder="–",
        alt=f"Numbers of the neurons of {place}",
    )  # fmt: skip
    share.take_away(f"neurons_{model}_{task}_{preset}_layer{layer}", pairs, head)


of_cell = contents.section(
    f"Neurons of {words.plain(place)}", "neurons", asked=(layer, chosen_class),
    folded="Folded: how they answer to all classes of the task.",
)  # fmt: skip
if of_cell:
    with of_cell.body:
        if chosen_class:
            class_link.show(model, task, chosen_class, preset=preset)
        cell_neurons(of_cell.head)


def choose_block() -> None:
    """Write the clicked block to the address."""
    clicked = st.session_state["all_chart"].selection.block
    if clicked:
        address.go(block=clicked[0]["block"])


def show_all(head: DeltaGenerator) -> str | None:
    """Every neuron as a pixel, and the neurons of the chosen block; returns the block."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if q_known:
            key = address.show("select_colour", colour)
            st.segmented_control(
                "Colour by", list(COLOURS), key=key, required=True, on_change=address.on_change("colour", key),
                help="**Strongest class**: the class, or its group, that the neuron answers to most; fainter = less "
                "selective. **Entropy q**: how clearly its entropy lies below that of shuffled labels; darker = "
                "clearer.",
            )  # fmt: skip
    by_class = COLOURS[colour] == "class"
    neurons = data.read(store, heatmap.neuron_entropies, model, task)
    picture = data.derive(
        neuron_picture.picture, neurons, order.classes, class_groups.colours(order) if by_class else None
    )
    block = address.optional("block", list(picture.blocks["block"]))
    kinds = order.groups or order.classes
    few = by_class and len(kinds) <= MOST_LEGEND
    draw.chart(
        heatmaps.neurons_picture,
        picture,
        (*kinds, neuron_picture.GREY) if few else (),
        block,
        order.attribute.replace("_", " ").capitalize(),
        key="all_chart",
        on_select=choose_block,
        alt=f"Every neuron of {model} by layer, coloured by {colour} in {task}",
        name=f"all_neurons_{model}_{task}",
        data=neurons,
        head=head,
    )
    n_selective = int((neurons["entropy_q_value"] < neuron_picture.Q_LIMIT).sum())
    summary = (
        f"{n_selective:,} of {len(neurons):,} neurons have an entropy below chance (q < {neuron_picture.Q_LIMIT:g}); "
        "grey ones have not, "
        if q_known
        else f"{len(neurons):,} neurons; whether an entropy is below chance was not computed (`--shuffles`); "
    )
    st.caption(
        f"{summary}and neurons that never fire are left blank. Low entropy says that something differs between "
        "classes, not what. Click a block to list its neurons."
    )
    if block is not None:
        list_block(neurons.iloc[picture.rows_of(block)], block)
    go_to(neurons.groupby("layer")["neuron"].max())
    return block


def list_block(inside: pd.DataFrame, block: str) -> None:
    """The neurons of a block as a table."""
    inside = inside.assign(
        activation=lambda rows: 100 * rows["max_probability"], link=lambda rows: neuron_links(rows, **{"class": None})
    )
    st.dataframe(
        inside,
        hide_index=True,
        column_order=["link", "top_class", "activation", "entropy", "entropy_q_value"],
        column_config={
            **tables.COLUMNS,
            "link": LINK,
            "top_class": st.column_config.TextColumn("Strongest class", help="Where its probability is highest."),
            "activation": st.column_config.NumberColumn(
                "Highest probability", format="%.1f%%", help=TERMS["activation probability"]
            ),
            "entropy_q_value": st.column_config.NumberColumn(
                "q of the entropy", format="%.2g",
                help="How often shuffled labels give an entropy as low, corrected for the number of neurons.",
            ),
        },
        height=min(37 + 35 * len(inside), 320),
        placeholder="–",
        alt=f"Neurons of the chosen block in layer {block.split('-')[0]}",
    )  # fmt: skip


def go_to(widths: pd.Series) -> None:
    """Open any neuron by its numbers."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        to_layer = int(st.number_input("Go to layer", layers[0], layers[-1], step=1, width=130, key="to_layer"))
        to_neuron = st.number_input("Neuron", 0, int(widths[to_layer]), step=1, width=130, key=f"to_neuron_{to_layer}")
        if st.button("Open neuron", icon=":material/hearing:"):
            target = {**cell, "class": None, "layer": to_layer, "neuron": int(to_neuron)}
            st.switch_page(
                "views/neuron/neuron.py", query_params={k: str(v) for k, v in target.items() if v is not None}
            )


q_known = data.read(store, heatmap.has_entropy_q, model, task)
colour = address.choice("colour", list(COLOURS), next(iter(COLOURS))) if q_known else next(iter(COLOURS))
block = st.query_params.get("block")
of_all = contents.section(
    "All neurons at once", "all", is_open=False, asked=block or (None if colour == next(iter(COLOURS)) else colour),
    folded=f"Folded: every neuron of {words.plain(model)} as a pixel, by the class that it answers to most; any of "
    "them can be opened there.",
    help="One pixel a neuron, one stripe a layer. Within a stripe neurons go by the class they answer to most, then "
    "from the most selective to the least.",
)  # fmt: skip
if of_all:
    with of_all.body:
        block = show_all(of_all.head)

address.write(
    {
        **scope.state, "layer": layer, "class": chosen_class, "show": shown if null_known else None,
        "groups": grouping if groupings else None, "colour": colour if q_known else None, "block": block,
    }
)  # fmt: skip
