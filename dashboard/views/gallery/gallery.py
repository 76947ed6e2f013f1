"""Gallery: all neurons as cards, to be filtered, sorted, seen and heard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import streamlit as st

from dashboard.shared import address, data, notebook, page, share, sidebar
from dashboard.shared.charts.common import class_order
from dashboard.shared.grid.grid import PAGE, Card, grid, pair_state
from dashboard.shared.player import clip
from dashboard.shared.player.of_class import overlay_of
from dashboard.shared.text import words
from dashboard.shared.text.facts import null_sentence
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted
from dashboard.views.gallery import facts
from db.notebook.records import STARRED
from db.reads import gallery, study
from db.reads import neuron_evidence as evidence

ANY, ALL_LAYERS, NOT_OWN = "any class", "all layers", "starred or not"
FILTERS = ("class", "layer", "entropy")

scope = sidebar.choose(clears=FILTERS, any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
page.head(
    "Gallery",
    "gallery",
    "Neurons as cards: the clip each answers to, where in it the neuron fires (turquoise), and what it is selective "
    "for. Point at a picture to hear it, or press space on it.",
)
notebook.tell()
book = notebook.of(store)
classes = class_order(data.read(store, evidence.task_classes, model, task))
layers = [str(layer) for layer in data.read(store, study.layers, model)["layer"]]
most_entropy = math.log(max(len(classes), 2))
class_name = address.optional("class", classes)
layer = address.optional("layer", layers)
own = address.optional("list", [STARRED, *book.lists])
# Who opens a list wants to see all of it.
show = address.choice("show", list(facts.SHOWN), "specific") if own is None or "show" in st.query_params else "all"
order = address.choice("order", list(facts.ORDERS), "evidence")
effect = address.choice("effect", list(facts.EFFECTS), "any")
entropies = facts.entropy_range(st.query_params.get("entropy"), most_entropy)
if entropies is None and st.query_params.get("entropy"):
    st.warning(f"The address asks for entropy “{words.plain(st.query_params['entropy'])}”; showing all.")


def choose_optional(name: str, none: str) -> None:
    """Write a select box's value to the address; ``none`` leaves it out."""
    value = st.session_state[f"select_{name}_"]
    st.query_params.pop(name, None)
    if value != none:
        address.go(**{name: value})


def choose_entropy() -> None:
    """Write the range to the address; the whole one leaves it out."""
    low, high = st.session_state["select_entropy"]
    st.query_params.pop("entropy", None)
    if facts.entropy_range(f"{low}-{high}", most_entropy):
        address.go(entropy=f"{low:g}-{high:g}")


with st.container(horizontal=True, vertical_alignment="bottom"):
    key = address.show("select_class_", class_name or ANY)
    st.selectbox("Class", [ANY, *classes], key=key, on_change=choose_optional, args=("class", ANY), width=190)
    address.select("Neurons", "show", list(facts.SHOWN), show, format_func=facts.SHOWN.__getitem__, width=210)
    address.select(
        "Sorted by", "order", list(facts.ORDERS), order, format_func=facts.ORDERS.__getitem__, width=170,
        help="**Evidence**: lowest p first, then highest lift. **Estimated effect**: what the class loses without the "
        f"neuron. {TERMS['attribution']}",
    )  # fmt: skip
    key = address.show("select_layer_", layer or ALL_LAYERS)
    st.selectbox(
        "Layer", [ALL_LAYERS, *layers], key=key, on_change=choose_optional, args=("layer", ALL_LAYERS), width=130
    )
    with st.popover("Filters", icon=":material/tune:", help="Range of entropy, estimated effect, notebook."):
        ends = entropies or (0.0, most_entropy)
        top = math.ceil(most_entropy * 100) / 100
        key = address.show("select_entropy", (round(ends[0], 2), min(round(ends[1], 2), top) if entropies else top))
        st.slider("Entropy (nats)", 0.0, top, step=0.01, key=key, on_change=choose_entropy, help=TERMS["entropy"])
        address.select(
            "Estimated effect", "effect", list(facts.EFFECTS), effect, format_func=facts.EFFECTS.__getitem__,
            help=f"With a 95 % interval above 0. {TERMS['attribution']}",
        )  # fmt: skip
        key = address.show("select_list_", own or NOT_OWN)
        st.selectbox(
            "In the notebook", [NOT_OWN, STARRED, *book.lists], key=key, on_change=choose_optional,
            args=("list", NOT_OWN), help="All starred neurons, or those of one of your lists.",
        )  # fmt: skip

starred = {(one.unit.layer, one.unit.unit): one.name for one in book.entries if one.unit.model == model}
starts = data.read(store, study.layers, model).set_index("layer")["width"].cumsum().shift(fill_value=0)
among = None
if own is not None:
    places = [one.unit for one in book.of(own) if one.unit.model == model and one.unit.layer in starts.index]
    among = tuple(int(starts[one.layer]) + one.unit for one in places)
wanted = gallery.Wanted(
    model, task, preset, class_name, show, None if layer is None else int(layer), entropies, effect == "loses", order,
    among,
)  # fmt: skip
rows = data.read(store, gallery.cards, wanted, PAGE)
total = int(rows["n_found"].iloc[0]) if len(rows) else 0


def cards(number: int) -> Sequence[Card]:
    """A page of cards."""
    found = data.read(store, gallery.cards, wanted, PAGE, number * PAGE)
    shown = data.derive(made, found, *clips_of(tuple(int(one) for one in found["neuron_id"])), scope.state)
    return [replace(card, star=starred.get((card.layer, card.neuron))) for card in shown]


def clips_of(ids: tuple[int, ...]) -> tuple[Any, Any]:
    """The clips of some neurons, and when they fire in them."""
    clips = data.read(store, gallery.card_clips, model, task, ids)
    return clips, data.read(
        store, gallery.card_patterns, model, task, ids, tuple(sorted({int(one) for one in clips["clip_id"]}))
    )


def made(found: Any, clips: Any, patterns: Any, state: dict[str, str | None]) -> list[Card]:
    """Cards of rows."""
    of_neuron = dict(list(clips.groupby("neuron_id")))
    fires = {(int(row["neuron_id"]), int(row["clip_id"])): row for row in patterns.to_dict("records")}
    return [_card(row, of_neuron.get(row["neuron_id"]), fires, state) for row in found.to_dict("records")]


def _card(row: dict[Any, Any], clips: Any, fires: dict[Any, Any], state: dict[str, str | None]) -> Card:
    heard = None if clips is None else facts.heard(clips, str(row["class_name"]))
    where = {name: value for name, value in state.items() if value is not None}
    href = address.relative("neuron", **where, layer=row["layer"], neuron=row["neuron"])
    shown = (facts.title(row), facts.lines(row, len(classes), preset))
    place = (model, int(row["layer"]), int(row["neuron"]))
    if heard is None:
        return Card(*place, href, *shown)
    pattern = fires.get((int(row["neuron_id"]), int(heard["clip_id"])))
    overlay = None if pattern is None else overlay_of(pattern, "")
    seconds = float(heard["duration_seconds"])
    return Card(*place, href, *shown, facts.clip_text(heard), clip.Stored.of(heard), overlay, seconds)


def open_neuron(card: Card) -> NoReturn:
    """Go to a neuron's page; the class one came for stays chosen there."""
    there = {**scope.state, "class": class_name, "layer": card.layer, "neuron": card.neuron}
    st.switch_page("views/neuron/neuron.py", query_params={k: str(v) for k, v in there.items() if v is not None})


def open_pair(neurons: Any) -> None:
    """Go to two neurons side by side; that page looks at what it is asked for."""
    if (there := pair_state(neurons)) is not None:
        st.switch_page("views/pair/pair.py", query_params={"task": task, "preset": preset, **there})


of_chance = null_sentence(data.read(store, study.coverage_of, model, preset), model, task, preset)
line = st.container(horizontal=True)
line.caption(f"**{counted(total, 'neuron')}** like that. {of_chance}", width="stretch")
share.take_away(f"gallery_{model}_{task}", rows.drop(columns=["n_found", "neuron_id", "class_id"]), line)
if total:
    query = data.key_of(store.stamp, wanted, book.stamp)
    grid(query, total, cards, key="gallery_grid", opened=open_neuron, compared=open_pair)
elif own is not None:
    st.info(f"No neuron of {words.plain(model)} in {words.plain(own)} is like that; the page Notebook shows all of it.")
else:
    st.info("No neuron is like that. Choose another class or layer, “all that fire”, or a wider range of entropy.")
state = {
    **scope.state, "class": class_name, "layer": layer, "show": show, "order": order,
    "effect": effect, "entropy": st.query_params.get("entropy") if entropies else None, "list": own,
}  # fmt: skip
address.write(state)
