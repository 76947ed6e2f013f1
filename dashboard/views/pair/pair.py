"""Pair: two neurons side by side, of one model or of two: profiles, difference, what they share, one player."""

from __future__ import annotations

import math

import streamlit as st

from dashboard.shared import address, data, draw, page, sections, sidebar
from dashboard.shared.player import beside
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.pair import charts, clips, facts, together
from db.reads import gallery, neurons, pair, study

CELLS_BY_CHANCE = 14_000  # numbers read to say what chance gives
OTHER = ("other_layer", "other_neuron")

scope = sidebar.choose(
    show=("model", "dataset", "task", "preset"), clears=(), clears_model=("layer", "neuron"), any_units=True
)
store, task, preset = scope.store, scope.task, scope.preset
title = st.container()


def default(model: str, class_name: str | None, but: beside.Place | None) -> tuple[int, int]:
    """The neuron of the strongest evidence, for a class where one is named."""
    wanted = gallery.Wanted(model, task, preset, class_name)
    two = tuple(int(one) for one in data.read(store, gallery.found, wanted)["neuron_id"].head(2))
    found = data.read(store, gallery.cards, wanted, two)
    places = [(model, int(a), int(b)) for a, b in zip(found["layer"], found["neuron"], strict=True)]
    return next((place[1:] for place in places if place != but), (0, 0))


def side(label: str, model: str, names: tuple[str, str], usual: tuple[int, int]) -> beside.Place:
    """Show the selectors of a neuron; returns what the address says of it."""
    widths = data.read(store, study.layers, model).set_index("layer")["width"]
    last = int(widths.index.max())
    layer = address.number_of(names[0], usual[0], widths.index)
    neuron = address.number(names[1], usual[1] if layer == usual[0] else 0, 0, int(widths[layer]) - 1)
    key = address.show(f"select_{names[0]}", layer)
    st.number_input(
        f"{label} layer", 0, last, step=1, key=key, width=95, on_change=address.on_change(names[0], key, (names[1],))
    )
    key = address.show(f"select_{names[1]}", neuron)
    st.number_input(
        f"{label} neuron", 0, int(widths[layer]) - 1, step=1, key=key, width=125,
        on_change=address.on_change(names[1], key),
    )  # fmt: skip
    return model, layer, neuron


def swap() -> None:
    """Let the second neuron be the first."""
    (model, layer, neuron), (other_model, other_layer, other_neuron) = own, other
    address.go(
        model=other_model, layer=other_layer, neuron=other_neuron, other_model=model, other_layer=layer,
        other_neuron=neuron,
    )  # fmt: skip


with_task = [one for one in scope.models if task in set(data.read(store, study.tasks, one)["task"])]
other_model = address.choice("other_model", with_task, scope.model)
with st.container(horizontal=True, vertical_alignment="bottom"):
    own = side("First", scope.model, ("layer", "neuron"), default(scope.model, None, None))
    st.button("Swap", icon=":material/swap_horiz:", on_click=swap, help="The second neuron becomes the first.")
    if len(with_task) > 1:
        address.select("Second model", "other_model", with_task, other_model, clears=OTHER, width=150)
    of_own = data.read(store, neurons.neuron_selectivity, *own)
    own_class = of_own.loc[of_own["task"] == task, "top_class"].dropna()
    usual = default(other_model, str(own_class.iloc[0]) if len(own_class) else None, own)
    other = side("Second", other_model, OTHER, usual)
labels = (beside.name(own, other), beside.name(other, own))
with title:
    page.head(
        f"{words.plain(labels[0])} beside {words.plain(labels[1])}",
        "pair",
        "Two neurons over the same classes and the same clips: where they agree, where they differ, and how sure that "
        "is.",
    )
if own == other:
    st.info("Both are the same neuron: choose another one beside it.")

for place, label, colour in zip((own, other), labels, ("blue", "orange"), strict=True):
    pairs = data.read(store, neurons.neuron_classes, *place)
    standing = data.read(store, neurons.neuron_selectivity, *place)
    of_task = standing[standing["task"] == task]
    told = facts.headline(
        pairs[(pairs["task"] == task) & (pairs["preset"] == preset)],
        of_task.iloc[0].to_dict() if len(of_task) else None, task, preset,
    )  # fmt: skip
    there = {"model": place[0], "task": task, "preset": preset, "layer": place[1], "neuron": place[2]}
    st.markdown(f":{colour}[■] [{words.plain(label)}]({address.relative('neuron', **there)}): {told}")

profiles = [data.read(store, pair.profile, one[0], task, *one[1:]) for one in (own, other)]
n_classes = len(set(profiles[0]["class_name"]) & set(profiles[1]["class_name"]))
step = math.ceil(
    int(data.read(store, study.layers, other_model)["width"].sum()) / max(CELLS_BY_CHANCE // max(n_classes, 1), 200)
)
chance = data.derive(facts.by_chance, profiles[0], data.read(store, pair.sampled_profiles, other_model, task, step))
st.markdown(facts.correlation_sentence(facts.correlation(profiles[0], profiles[1]), chance, n_classes))


def classes() -> None:
    """Both profiles, and beside them their difference."""
    st.subheader(
        f"Over the classes of {words.plain(task)}",
        help="**Log odds**: how much more likely the neuron fires in the class than in the others, as a logarithm; it "
        "does not depend on how often the neuron fires at all. Its interval takes clips, or whole voices, as units. "
        f"**Activation probability**: {TERMS['activation probability']} Its interval takes each clip for one "
        "observation, which is the widest that independent clips allow.",
    )
    known = facts.measured(profiles[0], profiles[1])
    if not known:
        st.caption("One of them was not scored in this task.")
        return
    measure = address.choice("measure", known, known[0])
    if len(known) > 1:
        key = address.show("select_measure", measure)
        st.segmented_control(
            "Measure", known, format_func=facts.MEASURES.__getitem__, key=key, required=True,
            on_change=address.on_change("measure", key), label_visibility="collapsed",
        )  # fmt: skip
    state["measure"] = measure
    rows = facts.differences(profiles[0], profiles[1], measure)
    shown = facts.most_different(rows)
    form = "+.2f" if measure == "log_odds" else ".1%"
    halves = st.grid(2, min_column_width=380, gap="large")
    name = "_".join(str(part) for part in (*own, *other))
    with halves.container():
        head = sections.subheading("Both")
        draw.chart(
            charts.profile_chart, shown, labels, facts.MEASURES[measure].capitalize(), form, name=f"pair_{name}",
            head=head, data=rows, alt=f"{facts.MEASURES[measure]} of both neurons by class, with intervals",
        )  # fmt: skip
    with halves.container():
        head = sections.subheading("Difference")
        draw.chart(
            charts.difference_chart, shown, labels, form, name=f"difference_{name}", head=head,
            data=rows, alt="Difference of the two neurons by class, with intervals",
        )  # fmt: skip
    n_sure = int(rows["excludes_0"].sum())
    cut = f"The {len(shown)} largest differences of {len(rows)} classes. " if len(rows) > len(shown) else ""
    lacks = " Log odds are stored for class-specific neurons only." if "log_odds" not in known else ""
    st.caption(
        f"{cut}Lines: 95 % intervals, each class for itself. In {n_sure} of {len(rows)} classes the interval of the "
        f"difference excludes 0; of 20 classes without any difference one would too. It takes both for independent, "
        f"though they hear the same clips.{lacks}"
    )


state: dict[str, object | None] = {
    **scope.state, "layer": own[1], "neuron": own[2], "other_model": other[0], "other_layer": other[1],
    "other_neuron": other[2],
}  # fmt: skip
state["clips"] = clips.show(store, task, (own, other))
classes()
together.tuning(store, (own, other), labels)
together.classes(store, (own, other), labels, preset)
together.clips(store, (own, other), labels)
together.firing(store, str(state["clips"]) if state["clips"] else None, (own, other), labels)
address.write(state)
