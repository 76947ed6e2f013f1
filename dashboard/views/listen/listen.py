"""Listen: any sound through a model, and which of its neurons answer."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.shared import address, command, data, described, draw, page, sections, share, sidebar, tables
from dashboard.shared.player.player import Overlay, Track, player
from dashboard.shared.text import words
from dashboard.shared.text.facts import in_words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.listen import charts, lights, sounds, uploads
from dashboard.views.listen import facts as listen_facts
from dashboard.views.listen import model as live
from db.reads import clips, descriptions, listen, maps

MOST_IN_TABLE, MOST_IN_LIST, MOST_IN_STRIP, MOST_CLASSES, MOST_COLUMNS = 40, 10, 14, 14, 160

scope = sidebar.choose(show=("model", "dataset", "preset"), clears=sounds.CLEARS)
store = scope.store
page.head(
    "Listen",
    "listen",
    "Play the model a sound: the page shows which neurons answer to it more than to almost any clip of the datasets, "
    "when they do, and what classes of sound they usually speak for.",
)


@st.cache_data(scope="session", max_entries=8, show_spinner=False)
def placed(
    location: str, stamp: tuple[int | str, ...], model: str, dataset: str | None, sound_key: str,
    _means: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, list[str]] | None:  # fmt: skip
    """Percentile of each neuron, how far beyond it lies, over how many clips of which datasets; None if unknown."""
    percentiles, steps, n_clips, names = [], [], [], []
    for row in data.read(store, listen.n_clips, dataset).to_dict("records"):
        known = data.read(store, clips.percentiles, model, row["dataset"])
        if known is not None:
            levels, values = np.asarray(known[0], dtype=float), known[1]
            percentiles.append(listen_facts.percentiles(_means, levels, values))
            steps.append(listen_facts.beyond(_means, levels, values))
            n_clips.append(row["n_clips"])
            names.append(row["dataset"])
    if not percentiles:
        return None
    return listen_facts.pooled(percentiles, n_clips), np.min(np.stack(steps), axis=0), sum(n_clips), names


given = sounds.choose(scope)
sound = given.sound
state: dict[str, object | None] = {**scope.state, "source": given.source, "clip": given.clip_id, "sound": given.ready}


def end() -> NoReturn:
    """Write out the state and end the page."""
    address.write(state)
    st.stop()


if sound is None:
    st.info("Choose, record or upload a sound above; the model is loaded when it is first needed.")
    end()
if not isinstance(sound, uploads.Sound):
    st.warning(words.plain(sound))
    end()

about = f"{sound.seconds:.1f} s, {sound.sample_rate / 1000:g} kHz"
about += f", {sound.n_channels} channels averaged" if sound.n_channels > 1 else ""
about += f"; only the first {uploads.MAX_SECONDS} s are used" if sound.shortened else ""
player_slot = st.container()


wav = uploads.wav(sound)


def play(overlay: Overlay | None = None) -> None:
    """Put the sound into its place."""
    with player_slot:
        player(
            [Track(sounds.READY.get(given.ready or "", given.name), about, wav=wav, overlay=overlay)],
            key="listen_player",
        )


facts = data.read(store, listen.model_facts, scope.model)
model = live.Model(scope.model, facts["weights_key"], facts["runs"])
widths: list[int] = facts["layer_widths"]
try:
    with st.spinner(f"{words.plain(scope.model)} listens; the first time it has to be loaded …"):
        answer = live.answer(model, sound)
except live.NoAnswer as error:
    play()
    st.warning(f"{words.plain(scope.model)} cannot listen here: {words.plain(error)}.")
    end()

known = placed(store.location, store.stamp, scope.model, scope.dataset, sound.key, answer.mean)
unknown = np.full(len(answer.mean), np.nan)
percentile, step, n_clips, datasets = known or (unknown, unknown, 0, [])
high = percentile > listen_facts.HIGH
classes = data.read(store, listen.classes, scope.model, scope.preset, scope.dataset)
pairs = data.read(store, listen.class_specific_pairs, scope.model, scope.preset, scope.dataset)
top = listen_facts.strongest(percentile, step, answer.mean, answer.rate, widths, MOST_IN_TABLE)
top = listen_facts.with_classes(top, pairs, classes)
top.attrs.clear()

layer = address.number("layer", int(top["layer"].iloc[0]), 0, len(widths) - 1)
of_layer = top.loc[top["layer"] == layer, "neuron"]
neuron = address.number("neuron", int(of_layer.iloc[0]) if len(of_layer) else 0, 0, widths[layer] - 1)
state |= {"layer": layer, "neuron": neuron}
here = (layer, neuron)
strongest = [(int(a), int(b)) for a, b in zip(top["layer"], top["neuron"], strict=True)]
shown = list(dict.fromkeys([*strongest[:MOST_IN_STRIP], here]))
labels = {lights.name_of(place): place for place in shown}
chosen = lights.name_of(here)
heard = list(dict.fromkeys([*strongest, here]))
try:
    traces = dict(zip(map(lights.name_of, heard), live.patterns(model, sound, heard), strict=True))
except live.NoAnswer as error:
    play()
    st.warning(words.plain(error))
    end()
trace = traces[chosen]
peak = float(trace.activation.max(initial=0.0))
strength = np.round(trace.activation * (255 / peak if peak > 0 else 0)).astype(np.uint8)
play(Overlay(strength, trace.column_seconds, trace.band_edges_hz, chosen, peak))

n_high, n_all = int(high.sum()), len(answer.mean)
of = words.plain(datasets[0]) if len(datasets) == 1 else f"the {len(datasets)} datasets"
compared = f"{n_clips:,} clips of {of}"
if known:
    st.markdown(
        f"**{n_high:,}** of {n_all:,} neurons ({n_high / n_all:.1%}) answer more strongly than to 95\u00a0% of the "
        f"{compared}; to an average clip of them 5\u00a0% do.",
        help="By mean activation over the sound's tokens.",
    )
else:
    st.info(
        "The store holds no percentiles of this model here, so neurons are ranked by how often they fire; which of "
        "them usually do is not known. This command adds what is missing:"
    )
    command.show({**command.ALL, "--model": scope.model})
st.caption(
    "One clip proves little: loudness, pitch, noise and the room drive neurons too, and neurons answer in groups. "
    "Try sounds of the same kind that differ in everything else."
)


def choose_in_strip() -> None:
    """Lay the clicked neuron over the clip."""
    clicked = st.session_state["strip"].selection.neuron
    if clicked and clicked[0]["name"] in labels:
        a, b = labels[clicked[0]["name"]]
        address.go(layer=a, neuron=b)


def choose_in_table() -> None:
    """Lay the neuron of the chosen row over the clip."""
    for place in st.session_state[table_key].selection.rows:
        address.go(layer=int(top["layer"].iloc[place]), neuron=int(top["neuron"].iloc[place]))


def choose_light(a: int, b: int) -> None:
    """Lay the neuron of the clicked light over the clip."""
    address.go(layer=a, neuron=b)


starts = np.cumsum([0, *widths])
ids = {place: int(facts["first_neuron"]) + int(starts[place[0]]) + place[1] for place in heard}
is_described = bool(described.over(store, scope.model))
rows = data.read(store, descriptions.of_units, scope.model, scope.dataset, tuple(sorted(ids.values())))
said = {int(row["neuron_id"]): row for row in rows.drop_duplicates("neuron_id").to_dict("records")}
units = data.read(store, maps.places, scope.model)
on_map = units[units["neuron_id"].isin(list(ids.values()))].set_index("neuron_id")[["x", "y"]]


def light(place: tuple[int, int]) -> lights.Light:
    """A neuron's light: where it lies on the map, and what is said of it."""
    words_of = said.get(ids[place])
    at = on_map.loc[ids[place]] if ids[place] in on_map.index else None
    return lights.Light(
        place,
        traces[lights.name_of(place)].activation,
        in_words(words_of) if words_of else "",
        None if at is None else (float(at["x"]), float(at["y"])),
        place in strongest[:MOST_IN_LIST] or place == here,
    )


head = sections.heading(
    "When they answer", help="Mean over frequency; each row against its own peak, so rows do not compare."
)
st.caption(
    "The neurons that answer most, lit while the sound plays: on the map of all units, where those that respond alike "
    "lie together, and in words. Below, over the clip’s time. Click one to lay it over the picture above; all stand in "
    "the table at the end, with the moment at which each is strongest."
)
lights.show(
    [light(place) for place in heard], here, trace.column_seconds, choose_light,
    units[["x", "y"]].to_numpy(float) if len(units) else None,
)  # fmt: skip
if units.empty or not is_described:
    with st.container(horizontal=True):
        if not is_described:
            described.offer(store, scope.model, scope.dataset)
        if units.empty:
            with st.popover("No map yet", icon=":material/bubble_chart:", help="How units come onto a map."):
                st.markdown(f"{words.plain(scope.model)} has no map in this store; this command makes one:")
                command.show(command.of_recorded(scope.model, "--map"))
over_time = {name: traces[name] for name in labels}
strip = listen_facts.over_time(
    [one.activation for one in over_time.values()], list(over_time), trace.column_seconds, MOST_COLUMNS
)
draw.chart(
    charts.time_chart, strip, chosen, sound.seconds, name="neurons_over_time", head=head, key="strip",
    on_select=choose_in_strip,
    alt="Activation of the neurons that answer most, over the clip's time",
)  # fmt: skip

if known:
    spoken = listen_facts.spoken_for(high, widths, pairs, classes)
    spoken["label"] = spoken["class_name"].astype(str) + " · " + spoken["task"].astype(str)
    head = sections.heading(
        "Classes they speak for",
        help=f"Of the neurons that {scope.preset} finds specific for a class, the share above their 95th "
        "percentile here. p: as many or more in a random set with as many neurons in each layer; q over the "
        "classes. Neurons answer in groups, so p is smaller than it should be: read the order, not the p.",
    )
    if spoken.empty:
        st.caption(f"No class here has three class-specific neurons or more by {scope.preset}.")
    else:
        draw.chart(
            charts.class_chart, spoken.head(MOST_CLASSES), name="classes_spoken_for", head=head, data=spoken,
            alt="Share of each class's neurons that answer strongly, beside random neurons",
        )  # fmt: skip
        n_more = int((spoken["q_value"] < 0.05).sum())
        st.caption(
            f"{n_more} of {len(spoken)} classes with three neurons or more have more than random ones; the "
            f"{min(len(spoken), MOST_CLASSES)} with the smallest p are drawn."
        )
    head = sections.heading("By layer", help="Share of a layer's neurons above their 95th percentile.")
    draw.chart(
        charts.layer_chart, listen_facts.by_layer(high, answer.rate, widths), name="answers_by_layer", head=head,
        alt="Share of each layer's neurons that answer strongly",
    )  # fmt: skip
    st.caption("Dashed: an average clip of the datasets.")

head = sections.heading("The neurons that answer most")
table_key = f"top_{layer}_{neuron}"
told = [said.get(ids[place], {}) for place in strongest]
top = top.assign(
    peak_seconds=[
        listen_facts.peak(traces[lights.name_of(place)].activation, trace.column_seconds) for place in strongest
    ],
    **{name: [one.get(name) for one in told] for name in ("description", "correlation", "null_correlation_high")},
)
carried = {name: value for name, value in scope.state.items() if value is not None}
links = [
    address.relative("neuron", **carried, layer=a, neuron=b)
    for a, b in zip(top["layer"], top["neuron"], strict=True)
]  # fmt: skip
st.dataframe(
    tables.percent(top.assign(link=links), "activation_rate"),
    hide_index=True,
    key=table_key,
    on_select=choose_in_table,
    selection_mode="single-row",
    column_order=[
        "link", "layer", "percentile", "beyond", "peak_seconds", "activation_rate", "mean_activation", "lift",
        "q_value", "classes", *(("description", "correlation", "null_correlation_high") if said else ()),
    ],
    column_config={
        **tables.COLUMNS,
        "link": st.column_config.LinkColumn("Neuron", display_text=r"neuron=(\d+)$", help="Opens the neuron's page."),
        "layer": st.column_config.NumberColumn("Layer", help="From 0, the one nearest the sound."),
        "percentile": st.column_config.NumberColumn(
            "Percentile", format="%.1f", help=f"Share of the {compared} that drive the neuron less than this sound."
        ),
        "beyond": st.column_config.NumberColumn(
            "Beyond", format="%.1f×",
            help="How far over the median clip, in steps from the median to the 95th percentile: 1 is the 95th. The "
            "least over the datasets.",
        ),
        "activation_rate": st.column_config.NumberColumn(
            "Tokens above 0", format="%.0f%%", help="Share of the sound's tokens at which the neuron is active."
        ),
        "classes": st.column_config.ListColumn(
            "Class-specific for", width="large", help=TERMS["class-specific"]
        ),
        "lift": st.column_config.NumberColumn("Lift", format="%.1f×", help=TERMS["lift"] + " Of the first."),
        "q_value": st.column_config.NumberColumn("q", format="%.2g", help=TERMS["q"] + " Of the first."),
        "mean_activation": st.column_config.NumberColumn("Mean activation", format="%.3g"),
        "peak_seconds": st.column_config.NumberColumn(
            "Strongest at (s)", format="%.2f", help="The middle of the moment at which it is strongest."
        ),
        "description": st.column_config.TextColumn("Description", width="large"),
        "correlation": st.column_config.NumberColumn("r", format="%.2f", help="Of the description, on held-out clips."),
        "null_correlation_high": st.column_config.NumberColumn(
            "To beat", format="%.2f",
            help="97.5th percentile of r of other units’ descriptions, or that of the majority class.",
        ),
    },
    height=min(38 + 35 * len(top), 388),
    placeholder="–",
    alt="The neurons that answer most to the sound",
)  # fmt: skip
share.take_away(
    "neurons_that_answer",
    pd.DataFrame(top.assign(classes=[", ".join(names) for names in top["classes"]])),
    head,
)
address.write(state)
