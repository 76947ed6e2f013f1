"""The section of units that have a partner in the other model."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared import address, data, draw, sections, share
from dashboard.shared.charts.common import class_order
from dashboard.shared.text import words
from dashboard.shared.theme import model_colours
from dashboard.views.compare import partner_charts as charts
from dashboard.views.compare import partner_facts as facts
from db.reads import matching, study

MOST_PAIRS = 200
PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other


def show(
    contents: sections.Contents, store: data.Store, models: tuple[str, str], untrained: str | None, task: str,
    preset: str,
) -> None:  # fmt: skip
    """Show which share of a model's units has a partner in another, where, of which classes, and the most alike.

    Parameters
    ----------
    contents : Contents
    store : Store
    models : tuple of str
        The model, and the one beside it.
    untrained : str or None
        The model's untrained twin.
    task, preset : str
        The task's dataset is the one over which units were matched.
    """
    model, other = models
    dataset = str(data.read(store, study.tasks, model).set_index("task")["dataset"].get(task, ""))
    every = data.read(store, matching.matchings, model)
    of = {row["partner_model"]: row for row in every[every["dataset"] == dataset].to_dict("records")}
    beside = of.get(untrained) if untrained not in (None, other) else None
    told = facts.answer(of[other], model, other, beside) if other in of else (
        f"Units of {words.plain(model)} and {words.plain(other)} were not matched over {words.plain(dataset)}; a run "
        "with both models does it."
    )  # fmt: skip
    section = contents.section(
        "Neurons that have a partner", "partners", is_open=False, folded=told,
        help="Of each neuron the one of the other model whose mean activation over the same clips correlates most with "
        "its own. Train and valid clips choose, test clips tell how alike the two are. Partners are mutual, and both "
        "more alike than dealt clips give (q < 0.05, all neurons looked at).",
    )  # fmt: skip
    if not section:
        return
    with section.body:
        st.markdown(told)
        if other in of:
            pairs = data.read(store, matching.partners, model, other, dataset)
            st.markdown(facts.how_alike(pairs))
            shown = [other] if beside is None else [other, str(untrained)]
            _by_layer(store, (model, other, dataset), shown, of[other]["null_share"], pairs)
            _by_class(store, model, other, task, preset)
            _most_alike(pairs, {"task": task, "preset": preset}, model, other)


def _by_layer(
    store: data.Store, of: tuple[str, str, str], shown: list[str], null_share: float, pairs: pd.DataFrame
) -> None:
    model, other, dataset = of
    by_layer = data.read(store, matching.partners_by_layer, model, dataset)
    halves = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    colours = model_colours([model, *shown])
    with halves.container(gap="xxsmall"):
        draw.chart(
            charts.layer_chart, facts.layer_shares(by_layer, shown, null_share),
            {name: colours[name] for name in shown}, name="partners_by_layer", data=by_layer,
            head=sections.subheading(f"By layer of {words.plain(model)}"),
            alt=f"Share of each layer's neurons of {model} that have a partner in {' and in '.join(shown)}",
        )  # fmt: skip
        st.caption("Lines: 95 % intervals, as if neurons were independent. Dashed: the same rule on dealt clips.")
    widths = [data.read(store, study.layers, name).set_index("layer")["width"] for name in (model, other)]
    cells = facts.grid(pairs, widths[0], widths[1])
    with halves.container(gap="xxsmall"):
        draw.chart(
            charts.layer_grid, cells, model, other, name="partners_layer_by_layer",
            head=sections.subheading("Layer by layer"), alt=f"Partners by layer of {model} and layer of {other}",
        )  # fmt: skip
        st.caption(facts.depth_sentence(cells) or "Number of pairs in each layer of both.")


def _by_class(store: data.Store, model: str, other: str, task: str, preset: str) -> None:
    shares = data.read(store, matching.partner_shares, model, other, task, preset)
    head = sections.subheading(f"Class-specific neurons of {words.plain(task)}")
    if shares.empty:
        st.caption(f"{words.plain(model)} has no class-specific neurons of this task by {preset}.")
        return
    rows = facts.class_rows(shares)
    draw.chart(
        charts.class_shares, rows, class_order(rows["class_name"]), name="partners_of_classes", data=shares, head=head,
        alt=f"Share of each class's neurons of {model} that have a partner in {other}, over that of all neurons",
    )  # fmt: skip
    st.caption(f"{facts.class_sentence(rows)} Dashed: all neurons. Orange: the interval leaves that out.")


def _most_alike(pairs: pd.DataFrame, kept: dict[str, str], model: str, other: str) -> None:
    head = sections.subheading("The most alike, to be heard side by side")
    rows = pairs.head(MOST_PAIRS)
    links = [
        address.relative(
            "pair", model=model, layer=row["layer"], neuron=row["neuron"], other_model=other,
            other_layer=row["partner_layer"], other_neuron=row["partner_neuron"], **kept,
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip
    names = [
        [f"L{layer}·{neuron}" for layer, neuron in zip(rows[a], rows[b], strict=True)]
        for a, b in (("layer", "neuron"), ("partner_layer", "partner_neuron"))
    ]
    st.dataframe(
        rows.assign(own=names[0], partner=names[1], link=links), hide_index=True, placeholder="–",
        height=min(38 + 35 * len(rows), 390),
        column_order=["link", "own", "partner", "held_out", "held_out_low", "held_out_high", "null_high", "within",
                      "within_low", "within_high"],
        column_config={
            "link": st.column_config.LinkColumn("Side by side", display_text="hear both"),
            "own": model,
            "partner": other,
            "held_out": st.column_config.NumberColumn("r, held out", format="%.2f", help="On test clips."),
            "held_out_low": st.column_config.NumberColumn("from", format="%.2f", help="95 % interval."),
            "held_out_high": st.column_config.NumberColumn("to", format="%.2f"),
            "null_high": st.column_config.NumberColumn(
                "dealt clips", format="%.2f", help="97.5th percentile of its best correlation on dealt clips."
            ),
            "within": st.column_config.NumberColumn(
                "beyond classes", format="%.2f", help="On test clips, with the classes’ means taken out."
            ),
            "within_low": st.column_config.NumberColumn("from", format="%.2f", help="95 % interval."),
            "within_high": st.column_config.NumberColumn("to", format="%.2f"),
        },
        alt=f"Neurons of {model} and {other} that are each other's partner, the most alike first",
    )  # fmt: skip
    share.take_away("partners", pairs, head)
