"""Units: is the neuron the right unit? Kinds of unit of one encoder under the same evidence."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared import address, data, draw, page, sections, share, sidebar, tables
from dashboard.shared.text import words
from dashboard.shared.theme import NULL_COLOUR
from dashboard.views.units import charts, facts
from db.reads import study
from db.reads import units as queries

PAIR_WIDTH, THIRD_WIDTH = 330, 255  # pixels; narrower charts stand one below the other

scope = sidebar.choose(any_units=True)
store, preset, task = scope.store, scope.preset, scope.task
every = data.read(store, study.unit_models).set_index("name")
encoder = str(every["encoder"][scope.model])
page.head(
    f"Units of {words.plain(encoder)}",
    "units",
    "Is the neuron the right unit? Neurons, coordinates of the stream, directions and features, each with the same "
    "null, the same check on test clips and the same ablation.",
    tab=f"Units of {encoder}",
)
contents = sections.Contents("units")
evidence = data.read(store, queries.evidence, encoder, preset)
here = facts.with_rates(evidence[evidence["task"] == task])
effects = data.read(store, queries.effects, encoder, task)
effects = effects.assign(kind=effects["unit_kind"].map(facts.called))
means = facts.means_over_classes(effects)
for line in facts.answers(here, means):
    st.markdown(line)
for line in facts.warnings(means, sorted(set(here["unit_kind"]))):
    st.markdown(f":orange[:material/info:] {line}")
draw.key(charts.colours(list(dict.fromkeys(here["kind"]))) | {"by chance": NULL_COLOUR})


def with_evidence() -> None:
    """Numbers of each kind, beside chance."""
    trio = st.grid(3, min_column_width=THIRD_WIDTH, gap="medium")
    told = (
        ("per_1000", "null_per_1000_high", "With evidence, of 1,000", ",.0f", "Class-specific units"),
        ("replicated_share", "replicated_share_all_pairs", "Pairs replicated", ".0%", "Held on test clips"),
        ("selective_share", "chance_share", "Selective, of the active", ".0%", "By entropy"),
    )
    for field, chance, title, form, head in told:
        rows = here.assign(chance_share=0.05)
        rows = rows[rows[field].notna()]
        with trio.container(gap="xxsmall"):
            line = sections.subheading(head)
            if rows.empty:
                st.caption("Not known: no test clips of the classes, or no pair was chosen.")
                continue
            draw.chart(
                charts.beside_chance, rows, field, chance, title, form, name=field, head=line,
                alt=f"{title} of each kind of unit, beside chance",
            )  # fmt: skip
    st.caption(
        "Grey ticks: left, the 97.5th percentile on shuffled labels; middle, the share of all pairs that replicate by "
        "themselves; right, the share that q < 0.05 lets through at most where nothing is there."
    )


of_evidence = contents.section("Evidence", "evidence", folded="Folded: units with evidence, of each kind.")
if of_evidence:
    with of_evidence.body:
        with_evidence()

layers = facts.layers_with_rates(data.read(store, queries.by_layer, encoder, task, preset))
n_layers = max((int(data.read(store, study.layers, name)["layer"].max()) for name in here["name"]), default=0) + 1
of_layers = contents.section("Layer by layer", "layers", folded="Folded: units with evidence in each layer.")
if of_layers:
    with of_layers.body:
        if layers.empty:
            st.caption("Not stored: this task was scored by an older version. The same command scores it anew.")
        else:
            draw.chart(
                charts.by_layer, layers, n_layers, name=f"layers_{preset}", head=of_layers.head, legend=False,
                alt="Units with evidence of 1,000 in each layer, a line a kind, dashed what shuffled labels give",
            )  # fmt: skip
            st.caption("Dashed in a kind's colour: 97.5th percentile on shuffled labels.")

selections = facts.fairest_first(list(dict.fromkeys(effects["selection"])))


def taken_out() -> None:
    """What classes lose without their own units, for each way to choose as many, or as much."""
    if means.empty:
        st.caption("Nothing was ablated here: the stage was left out, or no class has both units and enough clips.")
        return
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    for selection in selections:
        of = means["selection"] == selection
        with pair.container(gap="xxsmall"):
            draw.chart(
                charts.effects, effects[effects["selection"] == selection], means[of],
                name=f"effects_{selection}", head=sections.subheading(facts.selection_title(selection).capitalize()),
                alt=f"What classes lose beyond random sets, {facts.selection_title(selection)}, kind by kind",
            )  # fmt: skip
    st.caption(
        "Small rings: classes; dot and bar: their mean and its 95 % interval over classes. Further left: more is lost. "
        "Random sets have as many units of the same layers and activity; where sets are chosen by norm, they remove as "
        "much. Positive units are set to 0, the others to their mean."
    )
    placed = effects[effects["removed"] > 0]
    if len(placed):
        draw.chart(
            charts.by_norm, placed, name="effect_by_norm", legend=False,
            head=sections.subheading(
                "Every ablation, over the norm that it removed", help="How the norm is taken: docs/units.md"
            ),
            alt="Change of the own logit beyond random sets over the norm removed, a dot a class and choice",
        )  # fmt: skip


of_effects = contents.section("What taking them out costs", "effects", folded="Folded: effects beyond random sets.")
if of_effects:
    with of_effects.body:
        taken_out()
        st.caption("Effects of single layers are not measured: sets are chosen over all layers.")

autoencoders = data.read(store, queries.autoencoders, encoder, task)
stability = data.read(store, queries.stability, encoder)
stability = stability.assign(kind=stability["unit_kind"].map(facts.called))


def seeds() -> None:
    """What another seed finds again."""
    st.markdown(facts.found_again(stability))
    if len(stability):
        draw.chart(
            charts.found_again, stability, n_layers, name="found_again", legend=False,
            head=sections.subheading("Best partner of another seed"),
            alt="Mean cosine of units with their best partner of another seed, layer by layer and kind by kind",
        )  # fmt: skip
    st.caption(
        "Found again: each other's best, cosine 0.7 or more. Neurons, coordinates and heads are the network's own: "
        "no seed chooses them. Features are matched where two autoencoders were trained: --sae-seeds 2."
    )


of_seeds = contents.section("Another seed", "seeds", folded=facts.found_again(stability))
if of_seeds:
    with of_seeds.body:
        seeds()

if len(autoencoders):
    of_codes = contents.section("Autoencoders", "autoencoders", folded="Folded: how well each reconstructs.")
    if of_codes:
        with of_codes.body:
            st.dataframe(
                tables.percent(autoencoders, "explained_variance", "dead_share", "recovered", "recovered_low",
                               "recovered_high", "accuracy", "accuracy_reconstructed", "accuracy_mean"),
                hide_index=True, placeholder="–",
                column_order=["layer", "origin", "n_features", "n_active", "explained_variance", "dead_share",
                              "accuracy", "accuracy_reconstructed", "accuracy_mean", "change_reconstructed",
                              "recovered", "recovered_low", "recovered_high"],
                column_config={
                    "layer": st.column_config.NumberColumn("Layer"),
                    "origin": st.column_config.TextColumn("From", help="Trained here, or the file it was read from."),
                    "n_features": st.column_config.NumberColumn("Features", format="localized"),
                    "n_active": st.column_config.NumberColumn("In a token", format="%.1f"),
                    "explained_variance": st.column_config.NumberColumn("Variance", format="%.1f%%",
                                                                        help="Explained, on held-out tokens."),
                    "dead_share": st.column_config.NumberColumn("Dead", format="%.1f%%"),
                    "accuracy": st.column_config.NumberColumn("Accuracy", format="%.0f%%"),
                    "accuracy_reconstructed": st.column_config.NumberColumn("Reconstructed", format="%.0f%%"),
                    "accuracy_mean": st.column_config.NumberColumn("At the mean", format="%.0f%%",
                                                                   help="The layer's mean output in every token."),
                    "change_reconstructed": st.column_config.NumberColumn("Log p", format="%+.2f",
                                                                          help="Change of the own class's, in nats."),
                    "recovered": st.column_config.NumberColumn("Recovered", format="%.0f%%",
                                                               help="Of what the mean output loses."),
                    "recovered_low": st.column_config.NumberColumn("2.5 %", format="%.0f%%"),
                    "recovered_high": st.column_config.NumberColumn("97.5 %", format="%.0f%%"),
                },
                alt="How well each layer's autoencoder reconstructs, and what the head loses by it",
            )  # fmt: skip
            share.take_away("autoencoders", pd.DataFrame(autoencoders), of_codes.head)

address.write(scope.state)
