"""Neuron: one unit's whole life: its sounds, its classes, what they are worth, what it causes, others like it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, data, draw, made, notebook, order, page, sections, share, sidebar, tables
from dashboard.shared.charts.common import class_order
from dashboard.shared.text import made as made_text
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted
from dashboard.views.neuron import charts, clips, facts, in_time, of_class, parts, twin
from db.notebook.records import Unit
from db.reads import descriptions, neurons, stimuli, study
from db.reads import neuron_evidence as evidence

ANY_CLASS = "any class"
N_CURVES = 6  # of tuning to made sounds
HALF_WIDTH = 560  # pixels; the sounds and the classes stand side by side where both have as much
PARTS: dict[str, tuple[str, Callable[..., dict[str, str] | None]]] = {
    "worth": ("What it is worth", parts.worth),
    "time": ("In time", in_time.in_time),
    "cause": ("What it causes", parts.cause),
    "alike": ("Others like it", parts.alike),
    "twins": ("In other models", twin.twins),
}

scope = sidebar.choose(clears=("class", "clips", "hear"), clears_model=("layer", "neuron"), any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
title = st.container()
widths = data.read(store, study.layers, model).set_index("layer")["width"]
classes = class_order(data.read(store, evidence.task_classes, model, task))
class_name = address.optional("class", classes)
specific = data.read(store, evidence.specific_neurons, model, task, preset, class_name)
of_layer = specific["layer"].value_counts(sort=False)
layer = address.number_of("layer", int(of_layer.idxmax()) if len(of_layer) else 0, widths.index)
here = specific[specific["layer"] == layer]
strongest = here.sort_values(["p_value", "lift"], ascending=[True, False], kind="stable")["neuron"]
neuron = address.number("neuron", int(strongest.iloc[0]) if len(strongest) else 0, 0, int(widths[layer]) - 1)
current_list = [int(one) for one in here["neuron"]]
with title:
    page.head(
        f"Neuron {neuron} in layer {layer} of {words.plain(model)}",
        "neuron",
        "One neuron’s whole life: the sounds it answers to, the classes they belong to, how sure that is, what the "
        "model loses without it, and the neurons most like it.",
        f"L{layer}·{neuron} {model}",
    )
    notebook.star(store, Unit(model, layer, neuron))
    contents = sections.Contents("neuron")


def choose_class() -> None:
    """Write the class of the list to the address; “any” leaves it out."""
    value = st.session_state["select_list_class"]
    st.query_params.pop("class", None)
    if value != ANY_CLASS:
        address.go(**{"class": value})


def choose_any() -> None:
    """Go to a class-specific neuron of any layer."""
    place = random.randrange(len(specific))
    address.go(layer=int(specific["layer"].iloc[place]), neuron=int(specific["neuron"].iloc[place]))


before = max((one for one in current_list if one < neuron), default=None)
after = min((one for one in current_list if one > neuron), default=None)
with st.container(horizontal=True, vertical_alignment="bottom"):
    key = address.show("select_layer_number", layer)
    st.number_input(
        "Layer", 0, int(widths.index.max()), step=1, key=key, width=100,
        on_change=address.on_change("layer", key, ("neuron",)),
    )  # fmt: skip
    key = address.show("select_neuron_number", neuron)
    st.number_input(
        "Neuron", 0, int(widths[layer]) - 1, step=1, key=key, width=130, on_change=address.on_change("neuron", key)
    )
    for label, icon, target in [
        ("Previous", ":material/chevron_left:", before), ("Next", ":material/chevron_right:", after)
    ]:  # fmt: skip
        st.button(
            label, icon=icon, disabled=target is None, on_click=address.go,
            kwargs={"layer": layer, "neuron": target}, help="In the list of this layer’s class-specific neurons.",
        )  # fmt: skip
    st.button(
        "Any", icon=":material/casino:", disabled=specific.empty, on_click=choose_any,
        help="A class-specific neuron at random, of any layer.",
    )  # fmt: skip
    key = address.show("select_list_class", class_name or ANY_CLASS)
    st.selectbox("In the list of", [ANY_CLASS, *classes], key=key, on_change=choose_class, width=130)
    st.space("stretch")
    if st.button("Compare", icon=":material/compare:", help="This neuron beside another of your choice."):
        here_is = {"model": model, "task": task, "preset": preset, "layer": str(layer), "neuron": str(neuron)}
        st.switch_page("views/pair/pair.py", query_params=here_is)

answers = data.read(store, neurons.neuron, model, layer, neuron)
selectivity = data.read(store, neurons.neuron_selectivity, model, layer, neuron)
pairs = data.read(store, neurons.neuron_classes, model, layer, neuron)
pairs = pairs[pairs["preset"] == preset]
standing = selectivity[selectivity["task"] == task]
st.markdown(
    facts.headline(pairs, standing.iloc[0].to_dict() if len(standing) else None, task, preset),
    help=f"**Class-specific**: {TERMS['class-specific']} **Lift**: {TERMS['lift']} Its 95 % interval "
    f"stands in brackets. **q**: {TERMS['q']} **Entropy**: {TERMS['entropy']}",
)
dataset = next(map(str, answers.loc[answers["task"] == task, "dataset"]), "")
if in_words := facts.described(data.read(store, descriptions.unit_descriptions, model, layer, neuron), dataset):
    st.markdown(
        in_words,
        help="Up to three terms, classes and acoustic descriptors, found on train and valid clips where more is "
        "explained than on shifted activations; scored on test clips beside descriptions dealt from other "
        "units and the majority class. Others’ descriptions are scored in the same way.",
    )
position = f"number {current_list.index(neuron) + 1} of" if neuron in current_list else "not among"
st.caption(
    f"{position.capitalize()} the {counted(len(current_list), 'neuron')} of layer {layer} that {preset} finds "
    f"class-specific for {words.plain(class_name or ANY_CLASS)} of {words.plain(task)}."
)
state: dict[str, object | None] = {**scope.state, "class": class_name, "layer": layer, "neuron": neuron}


first, rest = facts.task_order(answers, pairs, task)


def its_classes(head: DeltaGenerator) -> None:
    """Activation probability over the classes of the chosen task."""
    if not first:
        st.caption("No task has been scored for this neuron.")
        return
    if task in first:
        st.markdown(f"**{words.plain(task)}**")
        draw.chart(
            charts.class_chart,
            facts.bars(answers[answers["task"] == task], pairs[pairs["task"] == task]),
            by_value,
            name=f"probabilities_{model}_{layer}_{neuron}",
            head=head,
            data=answers,
            alt=f"Activation probability over the classes of {task}",
        )
    st.caption(
        f":orange[■] class-specific by {preset}, with its lift; dashed line: mean of the classes. Point at a bar for "
        "the interval of its lift, q and the number of clips."
    )
    if len(pairs):
        folded = st.expander("Evidence for its classes, as a table", on_change="rerun", key="pairs_table")
        if folded.open:
            with folded:
                pairs_table()


def small_charts(names: list[str]) -> None:
    """A small chart for each of these tasks, those of one dataset together."""
    of = answers[answers["task"].isin(names)]
    for dataset, tasks in of.groupby("dataset", sort=True)["task"].unique().items():
        st.markdown(f"**{words.plain(dataset)}**")
        grid = st.grid(min_column_width=390, gap="medium")
        for name in tasks:
            shown = facts.bars(answers[answers["task"] == name], pairs[pairs["task"] == name])
            with grid.container(gap="xxsmall"):
                st.caption(words.plain(words.within(str(name), str(dataset))))
                spec = charts.class_bars(shown, by_value)
                st.vega_lite_chart(spec, key=f"bars_{name}", alt=f"Activation probability over the classes of {name}")


def other_tasks() -> None:
    """The same in the other tasks, those at once in which it is class-specific."""
    specific = [name for name in first if name != task]
    st.caption("Each task has its own vertical scale.")
    small_charts(specific)
    if rest:
        none = "in none of which it is class-specific"
        folded = st.expander(
            f"{counted(len(rest), 'more task')}, {none}", on_change="rerun", key="more_tasks", expanded=not specific
        )
        if folded.open:
            with folded:
                small_charts(rest)


def pairs_table() -> None:
    """All classes that the preset finds the neuron specific for, with what holds them up."""
    folds = pairs["n_folds_held"].astype("object").where(pairs["n_folds"].notna())
    rows = pairs.assign(
        interval=[facts.lift_text(row) for row in pairs.to_dict("records")],
        replicated=pairs["replicated"].map(tables.yes_no),
        folds=[
            "–" if pd.isna(held) else f"{int(held)} of {int(n)}"
            for held, n in zip(folds, pairs["n_folds"], strict=True)
        ],
        share_of_draws=100 * pairs["share_of_draws"],
    )
    head = sections.subheading("The classes that the neuron is specific for")
    st.dataframe(
        tables.percent(rows, "activation_probability"),
        hide_index=True,
        column_order=[
            "task", "class_name", "activation_probability", "interval", "q_value", "replicated", "folds",
            "share_of_draws", "explained_by",
        ],
        column_config={
            **tables.COLUMNS,
            "task": "Task",
            "interval": st.column_config.TextColumn("Lift [95 %]", help=TERMS["lift"]),
            "folds": st.column_config.TextColumn("Held in folds", help="Folds in which the lift is at least 2."),
            "share_of_draws": st.column_config.NumberColumn(
                "Other draws", format="%.0f%%", help="Of other draws of our split, how many choose the pair again."
            ),
            "explained_by": st.column_config.TextColumn(
                "Explained by", help="The confound without which its evidence is gone; empty: none of the three."
            ),
        },
        height=min(38 + 35 * len(rows), 390),
        placeholder="–",
        alt="The classes that the neuron is specific for",
    )  # fmt: skip
    share.take_away(f"classes_{model}_{layer}_{neuron}", pairs, head)


halves = st.grid(2, min_column_width=HALF_WIDTH, gap="large")
with halves.container():
    contents.lead_to("Hear it", "hear")
    state["hear"] = of_class.choose(class_name)
    if class_name and state["hear"] == of_class.CLASS:
        of_class.show(store, model, (task, class_name), layer, neuron)
    else:
        state["clips"] = clips.show(store, model, task, layer, neuron, scope.dataset, dataset)
with halves.container():
    contents.lead_to("Which classes it answers to", "classes")
    head = sections.heading(
        "Which classes it answers to", anchor="classes",
        help=f"**Activation probability**: {TERMS['activation probability']}",
    )  # fmt: skip
    by_value = order.choose(head)
    its_classes(head)
if len(first) + len(rest) > 1:
    of_others = contents.section("In other tasks", "tasks", is_open=False, folded=facts.elsewhere_sentence(pairs, task))
    if of_others:
        with of_others.body:
            other_tasks()
asked_with = data.read(store, stimuli.sets, model)
if len(asked_with):
    to_factors = data.read(store, stimuli.of_unit, model, layer, neuron)
    to_others = data.read(store, stimuli.invariance, model, layer, neuron)
    of_made = contents.section(
        "To made sounds", "made", is_open=False, folded=made_text.unit_summary(to_factors, to_others),
        help=f"**Made sound**: {TERMS['made sound']} **Explains**: {TERMS['explained share']}",
    )  # fmt: skip
    if of_made:
        with of_made.body:
            for line in made_text.unit_sentences(to_factors, to_others) or [
                made_text.unit_summary(to_factors, to_others)
            ]:
                st.markdown(line)
            for line in made_text.class_lines(to_factors, pairs):
                st.markdown(f"- {line}")
            made.curves(store, model, layer, neuron, to_factors, N_CURVES)
            share.take_away(f"made_{model}_{layer}_{neuron}", to_factors, of_made.head)
contents.lead_to("More about it", "more")
st.subheader("More about it", anchor="more")
part = address.choice("part", list(PARTS), next(iter(PARTS)))
key = address.show("select_part", part)
st.segmented_control(
    "More about it", list(PARTS), format_func=lambda name: PARTS[name][0], key=key, required=True,
    on_change=address.on_change("part", key), label_visibility="collapsed",
)  # fmt: skip
n_neurons = int(widths.sum())
one = parts.One(store, model, task, preset, layer, neuron, n_neurons, tuple(classes))
chosen = PARTS[part][1](one, answers[answers["task"] == task], selectivity, pairs[pairs["task"] == task])
address.write({**state, **(chosen or {}), "sort": order.VALUE if by_value else None, "part": part})
