"""The parts of the Neuron page of which one is read at a time: worth, cause, others alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard.shared import address, data, draw, presets, sections, share, tables
from dashboard.shared.charts.ablation import ablation_chart
from dashboard.shared.text import facts, pitch, words
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import number
from dashboard.views.neuron import charts
from dashboard.views.neuron import facts as neuron_facts
from db.reads import ablation, neurons
from db.reads import neuron_evidence as evidence

N_SCORED = 3  # classes whose selector scores are placed
N_PLACED = 1000  # neurons that a score is placed among
CELLS_ALIKE, CELLS_BY_CHANCE = 40_000, 14_000  # numbers read to find neighbours, and to say what chance gives
MOST_ALIKE = 3000
MOST_ABLATIONS = 30
PAIR_WIDTH = 380  # pixels; narrower parts stand one below the other


@dataclass(frozen=True)
class One:
    """The neuron that the page is about, and the task it is looked at in."""

    store: data.Store
    model: str
    task: str
    preset: str
    layer: int
    neuron: int
    n_neurons: int
    classes: tuple[str, ...]

    @property
    def place(self) -> tuple[int, int]:
        return self.layer, self.neuron

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.model}_{self.layer}_{self.neuron}"


def worth(one: One, answers: pd.DataFrame, selectivity: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Entropy with its evidence, other selectors' scores, confounds.

    Parameters
    ----------
    one : One
    answers, pairs : DataFrame
        Its activation probabilities and its class-specific pairs in the task.
    selectivity : DataFrame
        Its rows of ``neuron_selectivity`` in all tasks.
    """
    halves = st.grid(2, min_column_width=PAIR_WIDTH, gap="large")
    with halves.container():
        _entropy(one, selectivity)
    with halves.container():
        _selectors(one, answers)
    head = sections.heading("Is it the class, or something that goes with it?")
    confounds = data.read(one.store, evidence.confounds, one.model, *one.place)
    of_task = confounds[confounds["task"] == one.task]
    st.markdown(
        "\n".join(
            f"- {line}"
            for line in neuron_facts.confound_lines(of_task.iloc[0].to_dict() if len(of_task) else None, pairs)
        )
    )
    if len(confounds):
        share.take_away(f"confounds_{one.name}", confounds, head)


def _entropy(one: One, selectivity: pd.DataFrame) -> None:
    head = sections.subheading(
        "How selective, task by task",
        help=f"**Entropy**: {TERMS['entropy']} Rank 1 has the lowest of the model’s neurons. q: how often "
        "shuffled labels give an entropy as low, corrected for the number of neurons.",
    )
    table = neuron_facts.entropies(selectivity)
    if table["entropy"].notna().any():
        draw.chart(
            charts.entropy_chart, table, one.task, name=f"entropy_{one.name}", head=head, data=selectivity,
            alt="Entropy of the neuron in every task, grey where it is not lower than chance",
        )  # fmt: skip
    else:
        st.caption("It never fires.")
    folded = st.expander("By selection rule, as a table", on_change="rerun", key="entropy_table")
    if folded.open:
        with folded:
            _entropy_table(table)


def _entropy_table(table: pd.DataFrame) -> None:
    preset_names = [name for name in presets.MEANING if name in table]
    st.dataframe(
        tables.percent(table, "max_probability"),
        hide_index=True,
        column_order=["task", *preset_names, "entropy", "rank", "entropy_p_value", "q", "top_class", "max_probability"],
        column_config={
            **tables.COLUMNS,
            **{
                name: st.column_config.TextColumn(f"{name}: specific for", help=presets.MEANING[name])
                for name in preset_names
            },
            "task": "Task",
            "rank": st.column_config.TextColumn("Entropy rank", help="1 = most selective."),
            "entropy_p_value": st.column_config.NumberColumn(
                "p of the entropy", format="%.2g", help="How often shuffled labels give an entropy as low."
            ),
            "q": st.column_config.TextColumn("q of the entropy", help="p corrected for the number of neurons."),
            "top_class": "Highest class",
        },
        height=min(38 + 35 * len(table), 390),
        placeholder="–",
        alt="Entropy, rank and selection of the neuron in every task",
    )  # fmt: skip


def _selectors(one: One, answers: pd.DataFrame) -> None:
    head = sections.subheading(
        "By other selectivity scores",
        help="Five more ways to score how specific a neuron is for a class. A percentile makes them comparable. The "
        "top of any score is filled from noise too: none of them is evidence.",
    )
    strongest = answers.sort_values("activation_probability", ascending=False, kind="stable")["class_name"]
    step = math.ceil(one.n_neurons / N_PLACED)
    selector_scores = data.read(
        one.store, evidence.selector_scores, one.model, one.task, *one.place, tuple(strongest.head(N_SCORED)), step
    )
    scores = neuron_facts.scores_by_selector(selector_scores)
    if scores.empty:
        st.caption(
            "No other selectivity scores are stored for this neuron and task; a neuron that never fires has none."
        )
        return
    draw.chart(
        charts.selector_chart, scores, name=f"selectors_{one.name}", head=head, data=selector_scores,
        alt="Percentile of the neuron by other selectivity scores for its strongest classes",
    )  # fmt: skip
    n_compared = int(scores["n_compared"].max())
    among = "others that fire" if step == 1 else "others that fire, spread evenly over the model"
    st.caption(
        f"For its {scores['class_name'].nunique()} strongest classes of {words.plain(one.task)}, among {n_compared:,} "
        f"{among}. Dashed: the middle neuron. 97.5 % and more is rare, but one neuron in 40 is always there."
    )


def cause(one: One, answers: pd.DataFrame, selectivity: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Attribution with its check, and the ablated sets that contain the neuron; arguments as of `worth`."""
    _attribution(one)
    _ablations(one)


def _attribution(one: One) -> None:
    head = sections.heading(
        "Its estimated share",
        help="Margin of the right class over the best other one, in logits, that a class is estimated to lose without "
        "this one neuron: gradient times activation. It says nothing about neurons that act only together.",
    )
    attributions = data.read(one.store, evidence.attribution, one.model, one.task, *one.place)
    if attributions.empty:
        st.caption("No attribution was computed for this task: it needs a linear probe and the stage ablate.")
        return
    rows = neuron_facts.attributed(attributions)
    draw.chart(
        charts.interval_chart, rows, "Loss of margin without it (logits)", name=f"attribution_{one.name}",
        head=head, data=attributions, alt="Attribution of the neuron by class, with intervals",
    )  # fmt: skip
    more = f"The {len(rows)} largest of {len(attributions)} classes. " if len(attributions) > len(rows) else ""
    st.caption(
        f"{more}Lines: 95 % intervals over the class’s test clips, each class for itself; of 20 neurons without any "
        "effect, one would still show colour."
    )
    summary = data.read(one.store, ablation.attribution, one.model, one.task)
    checked = data.read(one.store, evidence.attribution_check, one.model, one.task, *one.place)
    lines = neuron_facts.check_lines(checked) or ["This very neuron was not among them."]
    st.markdown(" ".join([facts.trust_sentence(summary.iloc[0].to_dict()), *lines]))


def _ablations(one: One) -> None:
    head = sections.heading(
        "Sets that contain it",
        help="What happened when whole sets of neurons, this one among them, were changed; beside random sets of the "
        "same size. It is said of the sets, not of this neuron.",
    )
    ablations = data.read(one.store, neurons.neuron_ablations, one.model, *one.place)
    if ablations.empty:
        st.caption("No ablated set contains this neuron.")
        return
    shown = ablations.assign(believable=facts.believable(ablations))
    top = neuron_facts.sets_in_order(shown, one.task)
    drawn = top.head(MOST_ABLATIONS)
    drawn = drawn.assign(label=[facts.ablation_label(row) for row in drawn.to_dict("records")])
    draw.chart(
        ablation_chart, drawn, name=f"ablations_{one.name}", head=head, data=ablations,
        alt="Effects of the sets that contain this neuron, over the range of their controls",
    )  # fmt: skip
    n_stand = int(shown["believable"].sum())
    more = f" The other {len(top) - len(drawn):,} rows are in the file to take away." if len(top) > len(drawn) else ""
    smallest, largest = int(ablations["n_neurons"].min()), int(ablations["n_neurons"].max())
    sizes = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
    st.caption(
        f"Sets of {sizes} neurons. {n_stand:,} of {len(ablations):,} effects on accuracy "
        f"are significant (q < {facts.Q_LIMIT:g}, interval excludes 0, beyond the controls)."
        f"{neuron_facts.held_sentence(ablations)} First what the sets did to their own class, those of "
        f"{words.plain(one.task)} before others.{more}"
    )


def alike(one: One, answers: pd.DataFrame, selectivity: pd.DataFrame, pairs: pd.DataFrame) -> None:
    """Neurons of the most similar profile, and what this one prefers; arguments as of `worth`."""
    st.subheader(
        f"Nearest profiles over the classes of {words.plain(one.task)}",
        help="Pearson’s correlation of activation probabilities over the classes. Compared are neurons that share the "
        "highest class, then others that are class-specific in the task. The best of many always look alike: read a "
        "correlation beside what neurons drawn at random reach.",
    )
    _neighbours(one)
    head = sections.heading("What it prefers")
    tuned = data.read(one.store, evidence.tuning, one.model, *one.place)
    for row in tuned.to_dict("records"):
        st.markdown(f"{words.plain(row['task'])}: {pitch.neuron_line(row)} (95 % intervals in brackets).")
    odds = neuron_facts.preferred(data.read(one.store, evidence.preferences, one.model, one.task, *one.place))
    if len(odds):
        draw.chart(
            charts.interval_chart, odds, "Log odds of firing in the class", name=f"preferences_{one.name}",
            head=head, alt="Log odds that the neuron fires in a class against the others, with intervals",
        )  # fmt: skip
        st.caption(
            "Above 0: it fires more in the class than in the others. The strongest, in the order of the classes."
        )
    elif tuned.empty:
        st.caption("Tuning and preferences are stored for class-specific neurons only; here are none.")


def _neighbours(one: One) -> None:
    n_classes = len(one.classes)
    if n_classes < neuron_facts.FEWEST_CLASSES:
        st.caption(
            f"{n_classes} classes are too few: any two profiles over them are alike or opposite. Choose another task."
        )
        return
    limit = max(min(CELLS_ALIKE // n_classes, MOST_ALIKE), 200)
    sums = data.read(one.store, evidence.alike, one.model, one.task, one.preset, *one.place, limit)
    neighbours = neuron_facts.neighbours(sums)
    if neighbours.empty:
        st.caption("No other neuron to compare with: it never fires, or answers to all classes alike.")
        return
    step = math.ceil(one.n_neurons / max(CELLS_BY_CHANCE // n_classes, 200))
    chance = neuron_facts.by_chance(data.read(one.store, evidence.any_profiles, one.model, one.task, *one.place, step))
    n_above = int((neuron_facts.correlations(sums) > chance).sum())
    st.caption(
        f"The {len(neighbours)} most alike of {len(sums):,} compared. Of neurons drawn from the whole model one in 40 "
        f"correlates with it above **{number(chance, '.2f')}**, so {len(sums) / 40:,.0f} in as many; of those compared "
        f"{n_above:,} do. "
        "The best of many look alike by choice."
    )
    ids = tuple(int(one_id) for one_id in neighbours["neuron_id"])
    halves = st.grid(2, min_column_width=PAIR_WIDTH, gap="large")
    with halves.container():
        _profiles(one, neighbours, ids)
    with halves.container():
        head = sections.subheading("The most alike")
        kept = {"model": one.model, "task": one.task, "preset": one.preset, "part": "alike"}
        links = [
            address.relative("neuron", **kept, layer=layer, neuron=neuron)
            for layer, neuron in zip(neighbours["layer"], neighbours["neuron"], strict=True)
        ]
        beside = {**kept, "layer": one.layer, "neuron": one.neuron, "other_model": one.model}
        del beside["part"]
        pairs = [
            address.relative("pair", **beside, other_layer=layer, other_neuron=neuron)
            for layer, neuron in zip(neighbours["layer"], neighbours["neuron"], strict=True)
        ]
        st.dataframe(
            neighbours.assign(link=links, pair=pairs), hide_index=True, height=min(38 + 35 * len(neighbours), 460),
            placeholder="–",
            column_order=["link", "layer", "correlation", "top_class", "pair"],
            column_config={
                "link": st.column_config.LinkColumn(
                    "Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron.", alignment="left"
                ),
                "layer": "Layer",
                "correlation": st.column_config.NumberColumn(
                    "Correlation", format="%.2f", help=f"Of the profiles. One random neuron in 40 exceeds {chance:.2f}."
                ),
                "top_class": "Highest class",
                "pair": st.column_config.LinkColumn(
                    "Side by side", display_text="compare", help="Opens both neurons side by side."
                ),
            },
            alt="The neurons with the most similar profiles",
        )  # fmt: skip
        share.take_away(f"alike_{one.name}", neighbours.drop(columns="neuron_id"), head)


def _profiles(one: One, neighbours: pd.DataFrame, ids: tuple[int, ...]) -> None:
    own = data.read(one.store, neurons.probabilities, one.model, one.task, one.layer, (one.neuron,))
    others = data.read(one.store, evidence.profiles, one.model, one.task, ids)
    rows = pd.concat([own.assign(layer=one.layer), others], ignore_index=True)
    order = [one.place, *zip(neighbours["layer"], neighbours["neuron"], strict=True)]
    draw.chart(
        charts.profile_chart, neuron_facts.profile_rows(rows, order), name=f"profiles_{one.name}", data=others,
        head=sections.subheading("Their profiles"),
        alt="Profiles of this neuron, on top, and of the nearest ones over the classes",
    )  # fmt: skip
