"""Stimuli: made sounds that change one thing and hold the rest, and what each unit answers to."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, command, data, draw, made, page, sections, share, sidebar, tables
from dashboard.shared.charts.made import tuning_chart
from dashboard.shared.text import made as text
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.stimuli import charts, facts, sounds
from db.reads import stimuli

MOST_RANKED, N_CURVES = 200, 6
SOUND_WIDTH = 210  # pixels; of a level's sound

scope = sidebar.choose(show=("model",), clears_model=("stimuli", "factor", "at"), any_units=True)
store, model = scope.store, scope.model
page.head(
    "Stimuli",
    "stimuli",
    "Sounds made to ask one question: one thing is changed, the rest is held. Which factor each unit answers to, how "
    "it is tuned, and whether that stays when another factor changes; beside permuted labels.",
    f"Stimuli, {model}",
)
known = data.read(store, stimuli.sets, model)
if known.empty:
    st.info(
        f"The units of {words.plain(model)} were not asked with made sounds. This command does it, without recording "
        "anything anew:"
    )
    command.show({**command.ALL, "--model": model, "--stages": "extract,score", "--stimuli": "all"})
    address.write(scope.state)
    st.stop()

contents = sections.Contents("stimuli")
names = list(dict.fromkeys(map(str, known["stimulus_set"])))
name = address.choice("stimuli", names, names[0])
of_set = known[known["stimulus_set"] == name]
factors = [str(one) for one in of_set["factor"]]
factor = address.choice("factor", factors, factors[0])
levels = data.read(store, stimuli.levels, model, name)
shape = [int(n) for n in of_set["n_levels"]]
asked = facts.places(st.query_params.get("at"), shape)
at = asked or [n // 2 for n in shape]
if asked is None:
    st.warning("The address asks for levels that these sounds do not have; the middle ones are chosen.")

with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select("Sounds", "stimuli", names, name, clears=("factor", "at"), width=330, format_func=text.of_set)
    key = address.show("select_factor", factor)
    st.segmented_control(
        "Factor", factors, key=key, required=True, on_change=address.on_change("factor", key, ("at",)),
        help="What is varied. The others are varied too, each level of theirs equally often.",
    )  # fmt: skip
layers = data.read(store, stimuli.layers, model, name)
st.markdown(
    text.set_sentence(layers, of_set.iloc[0].to_dict()),
    help=f"**q**: {TERMS['q']} **Explained share**: {TERMS['explained share']}",
)


def by_layer(head: DeltaGenerator) -> None:
    """Which factor explains most, layer after layer."""
    rows = facts.shares_by_layer(layers)
    draw.chart(
        charts.layer_chart, rows, factors, name=f"made_layers_{model}_{name}", head=head, data=layers,
        alt=f"Share of each layer's units that answer to each factor of {name}, beside permuted labels",
    )  # fmt: skip
    st.caption(
        "Bars: units with q < 0.05 for the factor; dark: those of them that no other factor of the set explains more. "
        "Grey, beside the whole bars: units for which permuted labels of the factor give as much as q < 0.05 asks for, "
        f"97.5th percentile of {int(of_set['n_permutations'].iloc[0])} permutations."
    )


def strongest(head: DeltaGenerator) -> None:
    """The units that the factor explains most, with their tuning."""
    ranked = data.read(store, stimuli.ranked, model, name, factor, MOST_RANKED)
    if ranked.empty:
        st.caption(f"{words.plain(factor)} has q < 0.05 for no unit.")
        return
    grid = st.grid(3, min_column_width=made.CHART_WIDTH, gap="medium")
    for row in ranked.head(N_CURVES).to_dict("records"):
        layer, neuron = int(row["layer"]), int(row["neuron"])
        tuning = data.read(store, stimuli.tuning, model, layer, neuron)
        rows = tuning[(tuning["stimulus_set"] == name) & (tuning["factor"] == factor)]
        with grid.container(gap="xxsmall"):
            label = f"[Layer {layer}, {neuron}]({address.relative('neuron', model=model, layer=layer, neuron=neuron)})"
            line = sections.subheading(label)
            if len(rows):
                draw.chart(
                    tuning_chart, rows, name=f"made_{name}_{factor}_{layer}_{neuron}", head=line,
                    alt=f"Tuning of neuron {neuron} in layer {layer} over {factor}, with its band",
                )  # fmt: skip
    st.caption(
        "Activation probability at each level, over all levels of the other factors; 95 % bands over repetitions."
    )
    st.dataframe(
        facts.table(ranked, model), hide_index=True, height=min(38 + 35 * len(ranked), 390), placeholder="–",
        column_order=["link", "layer", "shapley", "null_high", "alone", "best_level", "trend", "kept", "q_value"],
        column_config={
            **tables.COLUMNS,
            "link": st.column_config.LinkColumn("Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron."),
            "layer": "Layer",
            "shapley": st.column_config.NumberColumn("Explained", format="%.0f%%", help=TERMS["explained share"]),
            "null_high": st.column_config.NumberColumn(
                "Permuted", format="%.0f%%", help="97.5th percentile of the same with the factor's labels permuted."
            ),
            "alone": st.column_config.NumberColumn("Alone", format="%.0f%%", help="By its main effect."),
            "best_level": "Most at",
            "trend": st.column_config.NumberColumn(
                "Trend", format="%.2f", help="Correlation with the order of the levels: 1 = rises, −1 = falls."
            ),
            "kept": st.column_config.NumberColumn(
                "Kept, least", format="%.2f",
                help=f"{TERMS['kept']} The least over the other factors; each of them, beside chance, stands below.",
            ),
        },
        alt=f"Units that {factor} explains most",
    )  # fmt: skip
    share.take_away(f"made_units_{model}_{name}_{factor}", ranked, head)


def kept() -> None:
    """Whether units keep their tuning over the factor where another changes."""
    pairs = data.read(store, stimuli.kept, model, name)
    lines = text.kept_lines(pairs[pairs["factor"] == factor])
    if not lines:
        st.caption(f"{words.plain(factor)} has q < 0.05 for no unit.")
        return
    st.markdown("\n".join(f"- {line}" for line in lines))
    st.caption(
        f"Means over the units with q < 0.05 for {words.plain(factor)}. Permuted: with the labels of "
        f"{words.plain(factor)} permuted."
    )


def choose_levels() -> None:
    """Select boxes for the levels of the other factors."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for place, other in enumerate(factors):
            if other == factor:
                continue
            labels = levels.loc[levels["factor"] == other, "label"].tolist()
            key = address.show(f"select_level_{place}", labels[at[place]])

            def to_address(place: int = place, labels: list[str] = labels, key: str = key) -> None:
                moved = [*at]
                moved[place] = labels.index(st.session_state[key])
                address.go(at=".".join(map(str, moved)))

            st.selectbox(words.plain(other), labels, key=key, on_change=to_address, width=190)


def hear() -> None:
    """The sounds of all levels of the factor, the others held."""
    choose_levels()
    place = factors.index(factor)
    by_factor = [levels.loc[levels["factor"] == one, "label"].tolist() for one in factors]
    grid = st.grid(4, min_column_width=SOUND_WIDTH, gap="small")
    seed = int(of_set["seed"].iloc[0])
    for level, label in enumerate(by_factor[place]):
        here = tuple(level if one == place else at[one] for one in range(len(factors)))
        with grid.container(gap="xxsmall"):
            st.caption(words.plain(label))
            try:
                st.audio(
                    sounds.wav(name, here, 0, seed, [of[i] for of, i in zip(by_factor, here, strict=True)]), "audio/wav"
                )
            except sounds.NotMade as error:
                st.caption(str(error))
                return
    n = int(of_set["n_repetitions"].iloc[0])
    st.caption(f"Made here as you listen, the same as the model heard: the first of {n} repetitions.")


section = contents.section("Which factor explains most", "layers")
if section:
    with section.body:
        by_layer(section.head)
section = contents.section(f"Units that answer to {words.plain(factor)}", "units", help=TERMS["explained share"])
if section:
    with section.body:
        strongest(section.head)
section = contents.section("Whether its tuning stays when another factor changes", "stays", help=TERMS["kept"])
if section:
    with section.body:
        kept()
section = contents.section("Hear them", "hear")
if section:
    with section.body:
        hear()
address.write(
    {
        **scope.state,
        "stimuli": name,
        "factor": factor,
        "at": ".".join(map(str, at)) if "at" in st.query_params else None,
    }
)
