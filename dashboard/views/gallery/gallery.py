"""Find: neurons by what they listen to, as cards, to be filtered, sorted, seen and heard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import streamlit as st
from sqlalchemy import Engine

from dashboard.shared import address, data, described, notebook, page, share, sidebar
from dashboard.shared.charts.common import class_order
from dashboard.shared.grid.grid import PAGE, Card, grid, pair_state
from dashboard.shared.player import clip
from dashboard.shared.player.of_class import overlay_of
from dashboard.shared.text import words
from dashboard.shared.text.facts import null_sentence
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted
from dashboard.views.gallery import facts, search
from db.notebook.records import STARRED
from db.reads import descriptions, gallery, listen, study
from db.reads import neuron_evidence as evidence

ANY, ALL_LAYERS, NOT_OWN = "any class", "all layers", "starred or not"
FILTERS = ("class", "layer", "entropy")

scope = sidebar.choose(clears=FILTERS, any_units=True)
store, model, task, preset = scope.store, scope.model, scope.task, scope.preset
page.head(
    "Find",
    "gallery",
    "Neurons by what they listen to, in words and by class, as cards: the clip each answers to, where in it the neuron "
    "fires (turquoise), what is said of it, and what it is selective for. Point at a picture to hear it, or press "
    "space on it.",
)
notebook.tell()
book = notebook.of(store)
classes = class_order(data.read(store, evidence.task_classes, model, task))
layers = [str(layer) for layer in data.read(store, study.layers, model)["layer"]]
tasks = data.read(store, study.tasks, model).set_index("task")
dataset = str(tasks.loc[task, "dataset"])
is_described = dataset in described.over(store, model)
most_entropy = math.log(max(len(classes), 2))
typed = " ".join(st.query_params.get("find", "").split())[: search.MOST_TEXT]
asked = search.parts(typed)
explained = address.optional("explained", list(facts.EXPLAINED)) or "any"
class_name = address.optional("class", classes)
layer = address.optional("layer", layers)
own = address.optional("list", [STARRED, *book.lists])
# Who opens a list, or looks for words, wants to see all of it.
wants_all = own is not None or bool(asked) or explained != "any"
show = "all" if wants_all and "show" not in st.query_params else address.choice("show", list(facts.SHOWN), "specific")
order = address.choice("order", list(facts.ORDERS), "evidence")
effect = address.choice("effect", list(facts.EFFECTS), "any")
entropies = facts.entropy_range(st.query_params.get("entropy"), most_entropy)
if entropies is None and st.query_params.get("entropy"):
    st.warning(f"The address asks for entropy “{words.plain(st.query_params['entropy'])}”; showing all.")


def choose_words() -> None:
    """Write what was typed to the address, and look through all neurons for it."""
    st.query_params.pop("show", None)
    st.query_params.pop("find", None)
    if wanted_words := " ".join(st.session_state["find_words"].split()):
        address.go(find=wanted_words)


def choose_explained() -> None:
    """Write what explains neurons to the address; any leaves it out."""
    st.query_params.pop("show", None)
    st.query_params.pop("explained", None)
    if st.session_state["select_explained"] != "any":
        address.go(explained=st.session_state["select_explained"])


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
    st.text_input(
        "Find in words", key=address.show("find_words", typed), on_change=choose_words, max_chars=search.MOST_TEXT,
        placeholder="high-pitched, onset, not speech", icon=":material/search:", width="stretch",
        help="Words of descriptions and of acoustic descriptors, classes, *layer 4*, *layers 2-4*, with commas "
        "between: all must hold. *Not speech* leaves out what *speech* finds.",
    )  # fmt: skip
    st.segmented_control(
        "What explains it", list(facts.EXPLAINED), key=address.show("select_explained", explained), required=True,
        format_func=facts.EXPLAINED.__getitem__, on_change=choose_explained, help=facts.EXPLAINED_MEANS,
    )  # fmt: skip
    if not is_described:
        described.offer(store, model, dataset)
with st.container(horizontal=True, vertical_alignment="bottom"):
    key = address.show("select_class_", class_name or ANY)
    st.selectbox("Class", [ANY, *classes], key=key, on_change=choose_optional, args=("class", ANY), width=170)
    address.select("Neurons", "show", list(facts.SHOWN), show, format_func=facts.SHOWN.__getitem__, width=200)
    address.select(
        "Sorted by", "order", list(facts.ORDERS), order, format_func=facts.ORDERS.__getitem__, width=160,
        help=" ".join(f"**{facts.ORDERS[name].capitalize()}**: {meaning}" for name, meaning in facts.MEANS.items()),
    )  # fmt: skip
    key = address.show("select_layer_", layer or ALL_LAYERS)
    st.selectbox(
        "Layer", [ALL_LAYERS, *layers], key=key, on_change=choose_optional, args=("layer", ALL_LAYERS), width=120
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


def indexed(engine: Engine, model: str, dataset: str) -> search.Index:
    """All descriptions, ready to be looked through."""
    return search.index_of(descriptions.searched(engine, model, dataset))


starred = {(one.unit.layer, one.unit.unit): one.name for one in book.entries if one.unit.model == model}
by_words = order in facts.OF_DESCRIPTIONS
wanted = gallery.Wanted(
    model, task, preset, class_name, show, None if layer is None else int(layer), entropies, effect == "loses",
    "evidence" if by_words else order,
)  # fmt: skip
wanted_rows = data.read(store, gallery.found, wanted)
units = wanted_rows.join(data.read(store, gallery.places, model).set_index("neuron_id"), on="neuron_id")
if own is not None:
    starts = data.read(store, study.layers, model).set_index("layer")["width"].cumsum().shift(fill_value=0)
    places = [one.unit for one in book.of(own) if one.unit.model == model and one.unit.layer in starts.index]
    units = units[units["flat_index"].isin([int(starts[one.layer]) + one.unit for one in places])]
needs_index = order == "surprise" or any(part.layers is None for part in asked)
index = data.read(store, indexed, model, dataset) if is_described and needs_index else None
vocabulary = data.read(store, descriptions.words, model, dataset) if asked and is_described else {}
counts = []
if asked:
    called = search.classes_called(asked, classes)
    specific = {
        name: data.read(store, gallery.specific_for, model, task, preset, name)["neuron_id"].to_numpy(np.int64)
        for name in called
    }
    holds = np.ones(len(units), dtype=np.bool_)
    for part in asked:
        found = search.found_by(part, units, index, vocabulary, specific)
        counts.append(int(found.sum()))
        holds &= found != part.excluded
    units = units[holds]
if is_described and (explained != "any" or order == "disagreement"):
    shares_of_all = data.read(store, descriptions.explanations, model, dataset)
    if explained != "any":
        units = units[search.explained_by(explained, units, shares_of_all)]
    if order == "disagreement":
        units = units.iloc[search.by_disagreement(units, shares_of_all)]
if index is not None and order == "surprise":
    units = units.iloc[search.by_surprise(units, index)]
total = len(units)


def cards(number: int) -> Sequence[Card]:
    """A page of cards."""
    ids = tuple(int(one) for one in units["neuron_id"].iloc[number * PAGE : (number + 1) * PAGE])
    rows = data.read(store, gallery.cards, wanted, ids)
    said = data.read(store, descriptions.of_units, model, dataset, ids) if is_described else None
    shares = data.read(store, descriptions.explanations_of, model, dataset, ids) if is_described else None
    shown = data.derive(made, rows, *clips_of(ids), said, shares, scope.state)
    return [replace(card, star=starred.get((card.layer, card.neuron))) for card in shown]


def clips_of(ids: tuple[int, ...]) -> tuple[Any, Any]:
    """The clips of some neurons, and when they fire in them."""
    clips = data.read(store, gallery.card_clips, model, task, ids)
    return clips, data.read(
        store, gallery.card_patterns, model, task, ids, tuple(sorted({int(one) for one in clips["clip_id"]}))
    )


def made(rows: Any, clips: Any, patterns: Any, said: Any, shares: Any, state: dict[str, str | None]) -> list[Card]:
    """Cards of rows."""
    of_neuron = dict(list(clips.groupby("neuron_id")))
    fires = {(int(row["neuron_id"]), int(row["clip_id"])): row for row in patterns.to_dict("records")}
    best = {} if said is None else facts.first_of_each(said)
    explained = {} if shares is None else facts.first_of_each(shares)
    return [
        _card(row, of_neuron.get(row["neuron_id"]), fires, state, facts.in_words(row["neuron_id"], best, explained))
        for row in rows.to_dict("records")
    ]


def _card(
    row: dict[Any, Any], clips: Any, fires: dict[Any, Any], state: dict[str, str | None], in_words: facts.InWords
) -> Card:
    heard = None if clips is None else facts.heard(clips, str(row["class_name"]))
    where = {name: value for name, value in state.items() if value is not None}
    href = address.relative("neuron", **where, layer=row["layer"], neuron=row["neuron"])
    shown = (facts.title(row), (*in_words.lines, *facts.lines(row, len(classes), preset)))
    card = Card(model, int(row["layer"]), int(row["neuron"]), href, *shown, said=in_words.said)
    if heard is None:
        return card
    pattern = fires.get((int(row["neuron_id"]), int(heard["clip_id"])))
    return replace(
        card, clip=facts.clip_text(heard), stored=clip.Stored.of(heard), seconds=float(heard["duration_seconds"]),
        overlay=None if pattern is None else overlay_of(pattern, ""),
    )  # fmt: skip


def open_neuron(card: Card) -> NoReturn:
    """Go to a neuron's page; the class one came for stays chosen there."""
    there = {**scope.state, "class": class_name, "layer": card.layer, "neuron": card.neuron}
    st.switch_page("views/neuron/neuron.py", query_params={k: str(v) for k, v in there.items() if v is not None})


def open_pair(neurons: Any) -> None:
    """Go to two neurons side by side; that page looks at what it is asked for."""
    if (there := pair_state(neurons)) is not None:
        st.switch_page("views/pair/pair.py", query_params={"task": task, "preset": preset, **there})


def taken() -> pd.DataFrame:
    """All that was found, with what is said of each, to be taken away."""
    names = data.read(store, listen.classes, model, preset, dataset).set_index("class_id")["class_name"]
    rows = units.assign(class_name=units["class_id"].map(names))
    if is_described:
        said = data.read(store, descriptions.best, model, dataset)
        told = ["neuron_id", "description", "author", "correlation", "null_correlation_high", "beats_null"]
        rows = rows.merge(said[told], on="neuron_id", how="left")
    rows = rows.drop(columns=["neuron_id", "class_id", "flat_index"])
    rows.attrs["sql"] = wanted_rows.attrs["sql"]
    return rows


if not is_described and (by_words or explained != "any"):
    with st.container(border=True):
        described.tell_how(store, model, dataset)
if asked:
    means = [search.readings(part.text, vocabulary) for part in asked]
    st.caption(facts.understood(asked, means, counts))
of_chance = null_sentence(data.read(store, study.coverage_of, model, preset), model, task, preset)
line = st.container(horizontal=True)
line.caption(f"**{counted(total, 'neuron')}** like that. {of_chance}", width="stretch")
share.take_away(f"gallery_{model}_{task}", taken, line)
if total:
    query = data.key_of(store.stamp, wanted, book.stamp, own, typed, explained, order)
    grid(query, total, cards, key="gallery_grid", opened=open_neuron, compared=open_pair)
elif own is not None and not asked:
    st.info(f"No neuron of {words.plain(model)} in {words.plain(own)} is like that; the page Notebook shows all of it.")
else:
    st.info(
        "No neuron is like that. Choose another class or layer, “all that fire”, a wider range of entropy, fewer words."
    )
state = {
    **scope.state, "class": class_name, "layer": layer, "show": show, "order": order,
    "effect": effect, "entropy": st.query_params.get("entropy") if entropies else None, "list": own,
    "find": typed or None, "explained": None if explained == "any" else explained,
}  # fmt: skip
address.write(state)
