"""Sharing: which classes share neurons, between two tasks and within one."""

from __future__ import annotations

from typing import NoReturn

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, class_link, data, draw, opening, page, sections, share, sidebar, tables
from dashboard.shared.charts.common import class_order
from dashboard.shared.charts.groups import Order, groupings, in_groups
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.sharing import charts
from dashboard.views.sharing import facts as sharing_facts
from dashboard.views.sharing.clips import play
from db.reads import heatmap, sharing, study

MOST_CLASSES = 60
MOST_NEURONS = 200

is_open = {"task", "with"} & set(st.query_params.to_dict()) == set()
scope = sidebar.choose(
    show=("model", "task", "preset"),
    clears=("with", "row", "column", "neuron"),
    opens_on=opening.by_sharing,
    any_units=True,
)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
dark = st.context.theme.type == "dark"
page.head(
    "Shared neurons",
    "sharing",
    "Neurons that answer to two classes at once, beside how many two sets of their sizes would share by chance.",
    f"Shared neurons of {task}, {model}",
)
contents = sections.Contents("sharing")

figures = sharing_facts.figures(scope.tasks)
usual = opening.pair(store, model, preset) if is_open else None
other = address.optional("with", scope.tasks) or (usual[1] if usual and usual[0] == task else task)
within = other == task


def show_figure() -> None:
    """Go to the two tasks of the chosen figure."""
    chosen = st.session_state["select_figure"]
    if chosen is not None:
        first, second = figures[chosen]
        address.go(task=first, **{"with": second})
        for name in ("row", "column", "neuron"):
            st.query_params.pop(name, None)


with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select(
        "Compared with", "with", scope.tasks, other, clears=("row", "column", "neuron"), width=260,
        format_func=lambda name: "itself: classes of one task" if name == task else name,
        help="The second task; the first is chosen in the sidebar.",
    )  # fmt: skip
    if figures:
        now = next((name for name, pair in figures.items() if pair == (task, other)), None)
        key = address.show("select_figure", now)
        st.pills(
            "Figures of the paper", list(figures), key=key, on_change=show_figure,
            help="Comparisons of Kawamura et al. (2026) that this store can show. "
            + sharing_facts.missing(scope.tasks),
        )  # fmt: skip
if not figures:
    st.caption(sharing_facts.missing(scope.tasks))


def finish(**own: object) -> NoReturn:
    """Write out the state and end the page."""
    address.write({**scope.state, "with": None if within else other, **own})
    st.stop()


stored = data.read(store, study.shared, model, preset, task, other)
if stored.empty:
    st.info(
        f"No shared neurons are stored for {words.plain(task)}"
        + ("." if within else f" and {words.plain(other)}.")
        + " They are counted at the end of a run, over all tasks that the rule was run for; a task of one class "
        "has no pairs."
    )
    finish()
pairs = sharing_facts.judged(stored)
of_task = data.read(store, study.tasks, model).set_index("task")["dataset"]
if not within and of_task[task] == of_task[other]:
    st.warning(
        "Both tasks read the same clips. Their classes share neurons because they share clips: a description, not a "
        "finding.",
        icon=":material/info:",
    )
for line in sharing_facts.sentences(pairs, within):
    st.markdown(line)
if (pairs["verdict"] == sharing_facts.NO_NEURONS).all():
    st.info(
        f"By the rule {preset} fewer than two classes have neurons here, so none can be shared. Another selection "
        "rule, in the sidebar, may have chosen some; read its counts beside its null."
    )
    finish()


def order_of(name: str, side: str) -> Order:
    """Classes of a task as they are drawn: in groups where there are any, the most telling ones where they are many."""
    stand = set(sharing_facts.most_telling(cells, side, MOST_CLASSES))
    column = pd.concat([pairs["class_a"], pairs["class_b"]]) if within else pairs[f"class_{side}"]
    classes = [one for one in class_order(column.unique()) if one in stand]
    groups = data.read(store, heatmap.class_groups, name)
    attributes = groupings(groups, classes)
    return in_groups(classes, groups, attributes[0] if attributes else None)


cells = sharing_facts.matrix(pairs, within)
rows = order_of(task, "a")
columns = rows if within else order_of(other, "b")
strongest = sharing_facts.clearest(pairs)
row = address.optional("row", class_order(cells["class_a"].unique())) or strongest[0]
column = address.optional("column", class_order(cells["class_b"].unique())) or strongest[1]


def choose_cell(chart: str, selection: str) -> None:
    """Write the clicked pair to the address."""
    clicked = st.session_state[chart].selection[selection]
    if clicked and clicked[0].get("class_a") is not None:
        address.go(row=clicked[0]["class_a"], column=clicked[0]["class_b"])
        st.query_params.pop("neuron", None)


def show_matrix(head: DeltaGenerator) -> None:
    """Every pair of classes; a click chooses one."""
    draw.chart(
        charts.sharing_matrix, cells, rows.classes, columns.classes, (task, other), (row, column), dark,
        key="matrix_chart", on_select=lambda: choose_cell("matrix_chart", "cell"),
        alt=f"Neurons shared by the classes of {task} and {other}, observed over expected",
        name=f"shared_{model}_{preset}_{task}_{other}", data=pairs, head=head,
    )  # fmt: skip
    nested = " ⊂: every clip of one class belongs to the other too, so that they share neurons by definition." * bool(
        cells["nested"].max()
    )
    cut = max(cells["class_a"].nunique(), cells["class_b"].nunique()) - MOST_CLASSES
    st.caption(
        "Coloured: beyond chance (q < 0.05), orange more and blue fewer. Grey: cannot be told from chance; palest: a "
        f"class without neurons{', or the class itself' * within}.{nested} Click a cell for its neurons."
        + (f" The {MOST_CLASSES} most telling classes are drawn; all are in the rows to take away." if cut > 0 else "")
    )


def show_network(head: DeltaGenerator) -> None:
    """The classes of one task, joined where they share more than chance."""
    nodes, edges = sharing_facts.network(pairs, rows.classes)
    if edges.empty:
        st.caption("No two classes share more neurons than chance gives, so there is nothing to join.")
    else:
        draw.chart(
            charts.class_network, nodes, edges, rows.group_of, (row, column), dark,
            key="network_chart", on_select=lambda: choose_cell("network_chart", "edge"),
            alt=f"Classes of {task} joined where they share more neurons than chance",
            name=f"network_{model}_{preset}_{task}",
            data=edges,
            head=head,
        )  # fmt: skip
        joined = set(nodes["class_name"])
        alone = [name for name in rows.classes if name not in joined]
        apart = f" Joined to none: {words.listed(alone, 12)}." if alone else ""
        most = f" The {len(edges)} strongest lines are drawn." if len(edges) == sharing_facts.MOST_EDGES else ""
        st.caption(
            "Near means linked; the axes themselves mean nothing. Dashed: one class contains the other."
            f"{most}{apart} Click a line for its neurons."
        )


of_matrix = contents.section(
    "Classes by classes", "matrix", folded="Folded: the classes' shared neurons, over what chance gives.",
    help="Number: neurons specific for both classes. Colour: that number over what two sets of these sizes, drawn at "
    "random, would share (hypergeometric).",
)  # fmt: skip
if of_matrix:
    with of_matrix.body:
        show_matrix(of_matrix.head)
if within:
    of_network = contents.section(
        "Network of classes", "network", is_open=False,
        folded="Folded: the same as a network, of the classes that share more neurons than chance gives.",
        help="Two classes are joined where they share more neurons than chance (q < 0.05); the wider the line, the "
        "larger the log odds ratio. Classes that share much are drawn near each other. Dot: number of neurons.",
    )  # fmt: skip
    if of_network:
        with of_network.body:
            show_network(of_network.head)

if row is None or column is None or (within and row == column):
    st.caption("Choose a cell of two classes to see the neurons they share.")
    finish(row=row, column=column)
chosen = cells[(cells["class_a"] == row) & (cells["class_b"] == column)].iloc[0].to_dict()


def show_pair(head: DeltaGenerator) -> str | None:
    """The neurons that both classes have, and one of them to be heard; returns which."""
    verdict = f" That is {chosen['verdict']}." if chosen["verdict"] != sharing_facts.NO_NEURONS else ""
    st.markdown(f"{sharing_facts.pair_sentence(chosen)}{verdict}")
    with st.container(horizontal=True):
        for of, name in ((task, row), (other, column)):
            class_link.show(model, of, name, words.plain(name), preset=preset)
    shared = data.read(store, sharing.shared_list, model, preset, task, row, other, column)
    if shared.empty:
        st.caption("No neuron is specific for both.")
        return None
    list_shared(shared.head(MOST_NEURONS))
    if len(shared) > MOST_NEURONS:
        st.caption(
            f"The {MOST_NEURONS} that are clearest in both of {len(shared):,}; all are in the rows to take away."
        )
    share.take_away(f"shared_list_{model}_{preset}", shared, head)
    return hear(shared.head(MOST_NEURONS))


def list_shared(listed: pd.DataFrame) -> None:
    """A table of neurons, each with its numbers in both classes."""
    state = {"model": model, "task": task, "preset": preset, "class": row}
    shown = listed.assign(
        link=[
            address.relative("neuron", **state, layer=layer, neuron=neuron)
            for layer, neuron in zip(listed["layer"], listed["neuron"], strict=True)
        ]
    )
    probability = TERMS["activation probability"]
    st.dataframe(
        tables.percent(shown, "probability_a", "probability_b"),
        hide_index=True,
        column_order=["layer", "link", "probability_a", "lift_a", "q_value_a", "probability_b", "lift_b", "q_value_b"],
        column_config={
            "layer": st.column_config.NumberColumn("Layer", width="small"),
            "link": st.column_config.LinkColumn(
                "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left", width="small"
            ),
            **{
                title: config
                for side, class_name, name in (("a", row, task), ("b", column, other))
                for title, config in {
                    f"probability_{side}": st.column_config.NumberColumn(
                        f"In {class_name}" if within else f"In {class_name}, {of_task[name]}",
                        format="%.1f%%",
                        help=probability,
                    ),
                    f"lift_{side}": st.column_config.NumberColumn("Lift", format="%.1f×", help=TERMS["lift"]),
                    f"q_value_{side}": st.column_config.NumberColumn("q", format="%.2g", help=TERMS["q"]),
                }.items()
            },
        },
        height=min(37 + 35 * len(shown), 320),
        placeholder="–",
        alt=f"Neurons that {row} and {column} share",
    )  # fmt: skip


def hear(listed: pd.DataFrame) -> str:
    """Play clips of both classes with a neuron that answers to both; returns which."""
    options = [f"{layer}.{neuron}" for layer, neuron in zip(listed["layer"], listed["neuron"], strict=True)]
    picked = address.optional("neuron", options) or options[0]
    address.select(
        "Listen with neuron", "neuron", options, picked, width=260,
        format_func=lambda name: "layer {}, neuron {}".format(*name.split(".")),
        help="Clips of both classes, those first that the neuron answers to most.",
    )  # fmt: skip
    layer, neuron = map(int, picked.split("."))
    play(store, model, (task, str(row)), (other, str(column)), layer, neuron)
    return picked


section = contents.section(
    sharing_facts.names_of(chosen), "pair", asked=(row, column),
    folded=sharing_facts.pair_sentence(chosen),
)  # fmt: skip
if section is None:
    finish(row=row, column=column, neuron=st.query_params.get("neuron"))
with section.body:
    picked = show_pair(section.head)
finish(row=row, column=column, neuron=picked)
