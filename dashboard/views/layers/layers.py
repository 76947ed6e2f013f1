"""Layers: where in the network a class becomes readable, where its neurons are, where taking them out hurts."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, class_link, command, data, draw, page, sections, share, sidebar
from dashboard.shared.charts.common import class_order
from dashboard.shared.text import kinds, words
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.theme import model_colours
from dashboard.views.layers import charts
from dashboard.views.layers import facts as layer_facts
from db.reads import classes as class_queries
from db.reads import layers as queries
from db.reads import study

CHART_WIDTH = 250  # pixels; narrower charts stand one below the other

scope = sidebar.choose(clears=("class",))
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
colour = model_colours(scope.models)[model]
page.head(
    "Layers",
    "layers",
    "Where in the network a class becomes readable, where its neurons lie, and where taking them out hurts: layer by "
    "layer, beside chance.",
    f"Layers of {model}, {task}",
)
contents = sections.Contents("layers")
probes = data.read(store, queries.probes, model, task)
of_classes = data.read(store, queries.classes, model, task)
summary = data.read(store, queries.summary, model, task)
weights = data.read(store, queries.weights, model, task)
counts = data.read(store, study.layer_class_counts, model, task, preset)
attributed = data.read(store, queries.attribution, model, task)
names = class_order(of_classes["class_name"] if len(of_classes) else counts["class_name"])
chosen = address.optional("class", names)
is_summed = len(weights) > 0


def without_heads() -> None:
    """Say why there is nothing to read, or how to get it."""
    for reason in data.read(store, queries.skipped, model, task):
        st.info(f"No head could be fitted to the layers for {words.plain(task)}: {words.plain(reason)}.")
        return
    st.info(
        "What heads read from each layer was not measured here. One option does it, in the pass that records clips:"
    )
    command.show({"--tasks": task, "--model": model, "--probe-layers": None})


def answer() -> None:
    """The page in a few sentences."""
    where = layer_facts.task_sentence(counts, attributed, preset) if len(counts) else ""
    if probes.empty:
        st.markdown(where)
        without_heads()
        return
    st.markdown(f"{layer_facts.readable_sentence(task, probes)} {where}")
    st.markdown(layer_facts.best_sentence(summary.iloc[0].to_dict(), int(probes["layer"].max())))


def accuracy(head: DeltaGenerator) -> None:
    """All classes together, layer by layer."""
    draw.chart(
        charts.accuracy_chart, probes, colour, summary if is_summed else summary.iloc[:0], name="layers", head=head,
        alt=f"{layer_facts.measure_of(probes)} of a linear head on each layer of {model} for {task}, with its "
        "interval, over chance and shuffled labels",
    )  # fmt: skip
    st.caption(
        "Band: 95 % interval over sampling units (voices or sources where they are known, else clips). What a head "
        "reads is a block's output, averaged over the tokens of a clip; “in” is what enters the first block. Shuffled: "
        f"the highest of 20 deals of the test labels, over {words.plain(summary['shuffled'].iloc[0])}."
    )


def weighted(head: DeltaGenerator) -> None:
    """The weighted sum of layers, and what each counts for."""
    st.markdown(layer_facts.weighted_sentence(summary.iloc[0].to_dict(), weights))
    draw.chart(
        charts.weight_chart, weights.assign(equal=1 / len(weights)), colour, name="layer_weights", data=weights,
        head=head, alt=f"What each layer of {model} counts for in the weighted sum for {task}",
    )  # fmt: skip
    st.caption(
        "Layers standardised, weights and head learned together on train clips (SUPERB). Lines: least and greatest "
        "over resampled train clips. A weight says what the sum takes, not what a layer alone could give: layers "
        "repeat each other."
    )


def choose_class() -> None:
    """Write the clicked class to the address."""
    points = st.session_state["layers_classes"].selection.point
    if points:
        address.go(**{"class": points[0]["class_name"]})


def by_class(head: DeltaGenerator) -> None:
    """Every class by every layer."""
    rows = of_classes.assign(beyond=layer_facts.beyond(of_classes))
    draw.chart(
        charts.class_heatmap, rows, names, name="layers_of_classes", data=of_classes, head=head,
        key="layers_classes", on_select=choose_class, selection_mode="point",
        alt=f"{layer_facts.measure_of(rows)} of each class of {task}, layer by layer of {model}",
    )  # fmt: skip
    st.caption("A dot: the 95 % interval lies over chance. Click a class for its layers below.")


def of_class(name: str) -> None:
    """One class: what can be read, where its neurons are, what is attributed to each layer."""
    heads, own, margin = (rows[rows["class_name"] == name] for rows in (of_classes, counts, attributed))
    effects = data.read(store, class_queries.silenced, model, task, name)
    lines = [layer_facts.readable_sentence(name, heads)] if len(heads) else []
    lines += [layer_facts.neurons_sentence(name, own, preset)] if len(own) else []
    lines += [layer_facts.attribution_sentence(margin)] if len(margin) else []
    if len(effects):
        lines.append(layer_facts.effect_sentence(effects, kinds.first_selection(list(effects["selection"].unique()))))
    st.markdown(" ".join(lines))
    places = st.grid(3, min_column_width=CHART_WIDTH, gap="medium")
    if len(heads):
        with places.container(gap="xxsmall"):
            draw.chart(
                charts.accuracy_chart, heads, colour, summary.iloc[:0], name="layers_of_class",
                head=sections.subheading("Where it can be read"),
                alt=f"{layer_facts.measure_of(heads)} of {name} by the head on each layer, over chance",
            )  # fmt: skip
    if len(own):
        with places.container(gap="xxsmall"):
            draw.chart(
                charts.neuron_chart, own, name="neurons_of_class", head=sections.subheading("Where its neurons are"),
                alt=f"Class-specific neurons of {name} in each layer, beside shuffled labels",
            )  # fmt: skip
    with places.container(gap="xxsmall"):
        head = sections.subheading("Where taking them out hurts", help=TERMS["attribution"])
        if len(margin):
            draw.chart(
                charts.attribution_chart, margin, name="attribution_of_class", head=head,
                alt=f"Margin of {name} attributed to the neurons of each layer, with its interval",
            )  # fmt: skip
        else:
            st.caption("Attributions by layer were not stored for this class: `--stages extract,score,ablate` does it.")
    class_link.show(model, task, name, preset=preset)


answer()
if len(probes):
    of_layers = contents.section("Accuracy by layer", "accuracy")
    if of_layers:
        with of_layers.body:
            accuracy(of_layers.head)
if len(of_classes):
    of_heads = contents.section("Class by class", "classes")
    if of_heads:
        with of_heads.body:
            by_class(of_heads.head)
if names:
    by_neurons = counts.groupby("class_name")["n_neurons"].sum()
    name = chosen or (str(by_neurons.idxmax()) if len(by_neurons) else names[0])
    one = contents.section(
        words.plain(name), "class", asked=chosen, folded="Folded: one class by layer, its neurons and attributions."
    )
    if one:
        with one.body:
            address.select("Class", "class", names, name, width=260)
            of_class(name)
if is_summed:
    of_weights = contents.section("Weighted sum of layers", "weights")
    if of_weights:
        with of_weights.body:
            weighted(of_weights.head)
table = (
    contents.section("Table", "table", is_open=False, folded="Folded: all numbers by layer.") if len(probes) else None
)
if table:
    with table.body:
        st.dataframe(
            probes.drop(columns=["model", "dataset", "task", "unit_kind", "split"]), hide_index=True, placeholder="–",
            alt=f"Accuracy by layer of {model} for {task}",
        )  # fmt: skip
        share.take_away("table_layers", pd.DataFrame(probes), table.head)

address.write({**scope.state, "class": chosen})
