"""What kind of effect, by which rule of choosing, at which dose; and what heads fitted again still read."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared import data, draw, sections
from dashboard.shared.text import kinds
from dashboard.views.ablation import facts, kind_charts, outcomes
from db.reads import ablation as queries
from db.reads import study
from db.reads.ablation import Chosen

_FACET_WIDTH = 250  # pixels; narrower charts stand one below the other
_KINDS = {
    "total": ("Total, in nats", "Log p of a class on its own clips"),
    "shift": ("Shift, in logits", "Logit of a class on all other clips"),
    "selective": ("Selective, in logits", "Logit on own clips, less the shift"),
}
_MOST_CLASSES = 30  # of the charts of what is still read


def means_of(store: data.Store, chosen: Chosen) -> pd.DataFrame:
    """Every outcome's mean over classes by their own neurons, of all ways of choosing them."""
    own = _own(store, chosen)
    means: pd.DataFrame = data.derive(kinds.over_classes, own)
    return means


def _own(store: data.Store, chosen: Chosen) -> pd.DataFrame:
    own: pd.DataFrame = data.read(store, queries.own_outcomes, *_done(chosen))
    return own


def _done(chosen: Chosen) -> tuple[str, str, str, float | None]:
    """What was done in which task, whichever neurons were chosen."""
    return chosen.model, chosen.task, chosen.operation, chosen.gain


def show_verdict(store: data.Store, chosen: Chosen, means: pd.DataFrame, accuracy: dict[str, float]) -> None:
    """Tell in a sentence whether these neurons matter, in what way, how much, and how sure that is.

    Parameters
    ----------
    store : Store
    chosen : Chosen
    means : DataFrame
        Of `means_of`.
    accuracy : dict
        Of `dashboard.views.ablation.outcomes.mean_accuracy`.
    """
    means, row = means[means["selection"] == chosen.selection], chosen._asdict()
    # Where no target is a class of the task, or its effect was not taken apart, accuracy is what is known.
    st.markdown(
        kinds.verdict(means, row, accuracy) or data.derive(facts.verdict, data.read(store, queries.effects, chosen))
    )
    cross = data.read(store, queries.cross_outcomes, chosen)
    if said := kinds.beside(means, cross.set_index("outcome").to_dict("index")):
        st.caption(said)


def show_doses(contents: sections.Contents, store: data.Store, chosen: Chosen, means: pd.DataFrame) -> None:
    """Show total, shift and selective over the doses of every rule of choosing, with all random sets.

    Parameters
    ----------
    contents : Contents
    store : Store
    chosen : Chosen
    means : DataFrame
        Of `means_of`.
    """
    means = means[means["outcome"].isin(list(_KINDS))]
    if means.empty:
        return
    n_neurons = int(data.read(store, study.unit_models).set_index("name")["n_units"][chosen.model])
    section = contents.section(
        "What kind of effect", "kinds", folded="Folded: total, shift and selective over the share of neurons taken out."
    )
    if section:
        with section.body:
            _doses(outcomes.with_doses(means, n_neurons), _draws(store, chosen, means, n_neurons), chosen)


def _draws(store: data.Store, chosen: Chosen, means: pd.DataFrame, n_neurons: int) -> pd.DataFrame:
    """Each random set's mean over the classes, with the rule and share of the sets it stands beside."""
    draws = data.read(store, queries.mean_controls, *_done(chosen))
    sizes = means.drop_duplicates("selection")[["selection", "n_neurons"]]
    return outcomes.with_doses(draws.merge(sizes, on="selection"), n_neurons)


def _doses(means: pd.DataFrame, draws: pd.DataFrame, chosen: Chosen) -> None:
    model, task, selection, *_ = chosen
    rules, known = list(dict.fromkeys(means["rule"])), [kind for kind in _KINDS if kind in set(means["outcome"])]
    draw.key(kind_charts.rule_colours(rules))
    facets = st.grid(len(known), min_column_width=_FACET_WIDTH, gap="small")
    for outcome in known:
        title, meaning = _KINDS[outcome]
        rows = means[means["outcome"] == outcome]
        of_random = draws[["selection", "rule", "share"]].assign(value=draws[outcome])
        unit = ["total"] if outcome == "total" else ["shift", "selective"]
        domain = outcomes.domain(means[means["outcome"].isin(unit)], draws[unit])
        with facets.container(gap="xxsmall"):
            head = sections.subheading(title)
            st.caption(meaning)
            draw.chart(
                kind_charts.dose_chart, rows, of_random, domain, rules, selection, head=head, legend=False,
                name=f"{outcome}_{model}_{task}",
                alt=f"{outcome.capitalize()} effect over the share of neurons, a line a rule, with all random sets",
            )  # fmt: skip
    st.caption(outcomes.doses_sentence(means, selection))


def show_readable(
    contents: sections.Contents,
    store: data.Store,
    chosen: Chosen,
    means: pd.DataFrame,
    now: tuple[pd.DataFrame, dict[str, float]],
) -> None:
    """Show what the frozen head, new offsets and a whole new head still read of each class.

    Parameters
    ----------
    contents : Contents
    store : Store
    chosen : Chosen
    means : DataFrame
        Of `means_of`.
    now : (DataFrame, dict)
        What the frozen head reads: `db.reads.ablation.own_effects` of the same selection, operation and gain, and
        their `dashboard.views.ablation.outcomes.mean_accuracy`.
    """
    frozen, accuracy = now
    own = _own(store, chosen)
    own = own[own["selection"] == chosen.selection]
    if not own["outcome"].isin(["readable_offsets", "readable_refit"]).any():
        return
    told = kinds.readable(means[means["selection"] == chosen.selection], outcomes.n_lost(own), accuracy)
    section = contents.section(
        "What can still be read", "readable", is_open=False, folded=told,
        help="The same clips, under the same ablation, asked of three heads: the frozen one; with offsets fitted again "
        "on ablated train clips; and a whole probe refitted on them. A shift is undone by new offsets; what the "
        "network no longer holds, no probe finds.",
    )  # fmt: skip
    if section:
        with section.body:
            st.markdown(told)
            _readable(data.derive(outcomes.readable, own, frozen), chosen)


def _readable(rows: pd.DataFrame, chosen: Chosen) -> None:
    model, task, *_ = chosen
    order = list(dict.fromkeys(rows["label"]))[:_MOST_CLASSES]
    heads = [head for head in outcomes.HEADS.values() if head in set(rows["head"])]
    facets = st.grid(len(heads), min_column_width=_FACET_WIDTH, gap="small")
    for head in heads:
        of_head = rows[(rows["head"] == head) & rows["label"].isin(order)]
        with facets.container(gap="xxsmall"):
            draw.chart(
                kind_charts.readable_chart, of_head, order, head=sections.subheading(head.capitalize()),
                name=f"{head.replace(' ', '_')}_{model}_{task}",
                alt=f"Share of each class's clips that the {head} reads, untouched, ablated and under random sets",
            )  # fmt: skip
    fewer = f" The {_MOST_CLASSES} classes that lose most." if rows["label"].nunique() > _MOST_CLASSES else ""
    st.caption(
        "Tick: nothing changed. Blue: without the class's neurons. Grey: without random ones, mean and range. Classes "
        "that lose most by the frozen probe come first. Probes that are refitted see a sample of the train clips and "
        f"fewer random sets: each is to be read against its own tick.{fewer}"
    )
