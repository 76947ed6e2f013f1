"""Pitch: which notes neurons prefer, how sharply, whether octaves go together, and what they sound like."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, command, data, draw, made, opening, page, sections, share, sidebar
from dashboard.shared.player import player
from dashboard.shared.text import numbers, words
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.pitch import neuron_line, note_name
from dashboard.shared.theme import MODEL_COLOURS
from dashboard.views.pitch import charts, facts
from db.reads import clips as clip_queries
from db.reads import pitch, study

PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
N_CURVES = 6
N_SOUNDS = 6
NO_OTHER, ALL_NOTES = "none", "all notes"
ORDERS = {"clearest": "Largest tuning range", "sharpest": "Narrowest", "octaves": "Octaves most alike"}


def neuron_table(rows: pd.DataFrame, name: str, title: str) -> None:
    """Show neurons with links to their pages."""
    head = sections.subheading(title)
    shown = facts.table(rows, {"model": model, "task": task, "preset": preset})
    st.dataframe(
        shown, hide_index=True, column_config=facts.COLUMNS, placeholder="–", alt=title,
        height=min(38 + 35 * len(rows), 390),
    )  # fmt: skip
    share.take_away(name, rows, head)


scope = sidebar.choose(show=("model", "preset"), clears=("note", "first"), any_units=True)
store, model, preset = scope.store, scope.model, scope.preset
page.head(
    "Pitch",
    "pitch",
    "Neurons that answer to musical notes: which note each prefers, how narrow its curve is, and whether it takes a "
    "note's octaves for the same note.",
)
contents = sections.Contents("pitch")
tuned = data.read(store, pitch.tuned_tasks, model)
known_notes = {name: data.read(store, pitch.notes, model, name) for name in map(str, tuned["task"])}
played = {name: data.derive(facts.with_notes, notes) for name, notes in known_notes.items()}
names = [name for name, notes in played.items() if len(notes)]
if not names:
    st.info(
        f"No task of {words.plain(model)} has notes as classes, so there is no tuning to show. The generated datasets "
        "demo-notes and demo-synth bring one each; so do NSynth, Surge synthesizer presets, and any folder whose "
        "manifest has a column pitch with MIDI numbers (60 is C4)."
    )
    command.show({"--tasks": "demo-notes-pitch,demo-synth-pitch"})
    st.stop()

usual = opening.first(names, [scope.task, *opening.by_replication(store, model, preset)])
task = address.choice("pitch_task", names, usual)
others = [NO_OTHER, *(name for name in names if name != task)]
usual_other = others[-1] if len(others) == 2 else others[0]
other = address.choice("pitch_other", others, usual_other)
notes = played[task]
known = {str(note): note_name(note) for note in notes["note"]}
note = address.optional("note", list(known))
midi = None if note is None else int(note)

with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select("Notes of", "pitch_task", names, task, clears=("pitch_other", "note", "first"), width=230)
    address.select(
        "Beside", "pitch_other", others, other, width=230, disabled=len(others) == 1,
        help="A second task with notes: the same neurons, another instrument.",
    )  # fmt: skip


def choose_note() -> None:
    """Write the note of the select box to the address; “all notes” leaves it out."""
    chosen = st.session_state["select_note"]
    st.query_params.pop("note", None)
    st.query_params.pop("first", None)
    if chosen != ALL_NOTES:
        address.go(note=chosen)


# A keyboard for each note: on one that lives on, the key that is down could not be pressed again.
keyboard = f"keyboard_{note}"


def press_key() -> None:
    """Write the key that was clicked to the address; the one that is down is let go."""
    pressed = [str(int(key["note"])) for key in st.session_state[keyboard].selection.get("key", [])]
    st.query_params.pop("first", None)
    if pressed and pressed[0] == note:
        st.query_params.pop("note", None)
    elif pressed and pressed[0] in known:
        address.go(note=pressed[0])
        st.session_state["pressed"] = pressed[0], time.time_ns() // 1_000_000


def preferred_notes(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Neurons by layer and preferred note, and by note beside chance."""
    by_layer = data.read(store, pitch.preferred, model, name, preset)
    return by_layer, data.derive(facts.by_note, by_layer, played[name])


preferred, counted = preferred_notes(task)
n_tuned = int(preferred["n_neurons"].sum())
spoken = f"**{n_tuned:,}** {'neuron is' if n_tuned == 1 else 'neurons are'} class-specific for some note of "
spoken += f"{words.plain(task)} by {preset}"
coverage = data.read(store, study.coverage_of, model, preset)
of_task = coverage[coverage["task"] == task]
chance = of_task["null_n_class_specific_mean"].dropna()
dealt = tuned.loc[tuned["task"] == task, "shuffled"].iloc[0]
spoken += f"; with shuffled labels {chance.iloc[0]:,.1f} on average" if len(chance) else "; no null was computed"
st.markdown(f"{spoken}. Labels were permuted by {words.plain(dealt)}.", help=TERMS["null"])

if n_tuned == 0:
    st.info(
        f"The preset {preset} finds no neuron for a single note of {words.plain(task)}: another may, in the sidebar."
    )
    address.write({**scope.state, "pitch_task": task, "pitch_other": other, "note": note})
    st.stop()

order = address.choice("order", list(ORDERS), "clearest")
tuned_neurons = data.read(store, pitch.tuned_neurons, model, task, preset, order, midi)
first = address.number("first", 1, 1, max(len(tuned_neurons), 1))
pair = (task,) if other == NO_OTHER else (task, other)


def show_keyboard(head: DeltaGenerator) -> None:
    """The keyboard, and what the pressed key sounds like."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = address.show("select_note", note or ALL_NOTES)
        st.selectbox(
            "Note", [ALL_NOTES, *known], key=key, on_change=choose_note, width=190,
            format_func=lambda value: value if value == ALL_NOTES else f"{known[value]} (MIDI {value})",
        )  # fmt: skip
    st.caption(
        "Bars: neurons that answer most to the note. Grey: what chance gives if each note is preferred as often as it "
        "is played (95 %). The lowest and highest notes catch every neuron whose curve still rises there."
    )
    draw.chart(
        charts.keyboard, counted, midi, key=keyboard, on_select=press_key, head=head,
        name=f"notes_{model}_{task}_{preset}", data=preferred,
        alt=f"How many neurons of {model} prefer each note of {task}, above a keyboard",
    )  # fmt: skip

    if note:
        pressed_note, pressed_at = st.session_state.get("pressed", ("", 0))
        clips = data.read(store, clip_queries.class_clips, task, note, N_SOUNDS)
        if clips.empty:
            st.caption(f"No clip of {known[note]} is in the store.")
        else:
            player.player(
                [player.stored_track(row, str(row["path"]), str(row["labels"])) for row in clips.to_dict("records")],
                key=f"note_{task}_{note}", play=pressed_at if pressed_note == note else 0,
            )  # fmt: skip


def show_curves() -> None:
    """The tuning curves of some neurons, and all as a table."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = address.show("select_order", order)
        st.segmented_control(
            "Order", list(ORDERS), key=key, required=True, format_func=lambda name: ORDERS[name],
            on_change=address.on_change("order", key, ("first",)),
            help="Largest tuning range: between the best and the worst note. Narrowest: fewest "
            "notes over half height, then by bandwidth. Octaves most alike: by "
            "the lower end of the octave index's interval.",
        )  # fmt: skip
        for label, side, target in [("Earlier", "left", first - N_CURVES), ("Later", "right", first + N_CURVES)]:
            st.button(
                label, icon=f":material/chevron_{side}:", disabled=not 0 < target <= len(tuned_neurons),
                on_click=address.go, kwargs={"first": target},
            )  # fmt: skip
    shown = tuned_neurons.iloc[first - 1 : first - 1 + N_CURVES]
    if tuned_neurons.empty:
        st.caption(f"No neuron prefers {known[str(note)]}; it may still be class-specific for it, see below.")
    beside = "" if other == NO_OTHER else f", :orange[■] {words.plain(other)}"
    if len(shown):
        st.caption(
            f":blue[■] {words.plain(task)}{beside}. Dashed: mean of the notes. Circle: preferred note in "
            f"{words.plain(task)}, grey its 95 % interval."
        )
    grid = st.grid(3, min_column_width=250, gap="medium")
    for row in shown.to_dict("records"):
        layer, neuron = int(row["layer"]), int(row["neuron"])
        rates = data.derive(facts.named_curve, data.read(store, pitch.curve, model, pair, layer, neuron))
        with grid.container(border=True, height="stretch"):
            place = {"model": model, "task": task, "preset": preset, "layer": str(layer), "neuron": str(neuron)}
            head = st.container(horizontal=True, vertical_alignment="center")
            head.page_link("views/neuron/neuron.py", label=f"**L{layer}·{neuron}**", query_params=place)
            head.space("stretch")
            st.caption(neuron_line(row))
            best = (row["preferred_pitch"], row["preferred_low"], row["preferred_high"])
            draw.chart(
                charts.tuning_curves, rates, pair, best, head=head, name=f"curve_{model}_{task}_{layer}_{neuron}",
                alt=f"Rate of neuron {neuron} in layer {layer} over the notes of {' and '.join(pair)}",
            )  # fmt: skip
    table = f"{numbers.counted(len(tuned_neurons), 'neuron')} as a table"
    listed = st.expander(table, icon=":material/table:", on_change="rerun")
    if listed.open:
        with listed:
            neuron_table(tuned_neurons, f"tuned_{model}_{task}_{preset}_{order}", "Tuning of the neurons of this list")
    if note:
        specific = data.read(store, pitch.note_neurons, model, task, preset, note)
        listed = st.expander(
            f"{numbers.counted(len(specific), 'neuron')} class-specific for {known[note]}",
            icon=":material/table:",
            on_change="rerun",
        )
        if listed.open:
            with listed:
                neuron_table(specific, f"note_{model}_{task}_{preset}_{note}", f"Neurons for {known[note]}")


def show_wheels() -> None:
    """How many neurons prefer each pitch class."""
    st.caption(
        "Wedge: how many times as many neurons prefer the pitch class as by chance. Ring: chance, grey its 95 % range."
    )
    wheels = {name: preferred_notes(name)[1] for name in pair}
    folded = {
        name: data.derive(facts.by_pitch_class, rows)
        for name, rows in wheels.items() if rows["n_neurons"].sum()
    }  # fmt: skip
    top = max(float(rows[["times", "times_high"]].max().max()) for rows in folded.values())
    grid = st.grid(2, min_column_width=320, gap="medium")
    for (name, rows), colour, mark in zip(folded.items(), MODEL_COLOURS, ("blue", "orange"), strict=False):
        with grid.container():
            n_neurons = numbers.counted(int(rows["n_neurons"].sum()), "neuron")
            head = sections.subheading(f":{mark}[■] {words.plain(name)}: {n_neurons}")
            draw.chart(
                charts.wheel, rows, top, colour, st.context.theme.type == "dark", head=head,
                name=f"wheel_{model}_{name}_{preset}",
                alt=f"Neurons that prefer each of the twelve pitch classes in {name}, over chance",
            )  # fmt: skip


def show_octaves(head: DeltaGenerator) -> None:
    """Whether octaves are one note to the neurons."""
    if indices.empty:
        st.caption("No index is known: the notes span too little for octaves and the tritones beside them.")
    else:
        st.caption(facts.octave_sentence(indices))
        draw.chart(
            charts.octave_chart, indices, head=head, name=f"octave_index_{model}_{task}_{preset}",
            alt="Octave equivalence index over neurons, by whether its interval excludes 0",
        )  # fmt: skip


def show_same(head: DeltaGenerator) -> None:
    """The same neurons' notes in the second task."""
    pairs = data.read(store, pitch.preferred_pairs, model, task, other, preset)
    together = facts.agreement(pairs)
    st.markdown(
        facts.agreement_sentence(together) if together
        else f"Too few neurons are tuned in both by {preset} to compare ({int(pairs['n_neurons'].sum())})."
    )  # fmt: skip
    if len(pairs):
        st.caption(
            "Brackets: 95 % interval over neurons drawn anew; neurons of a layer resemble each other, so they are "
            "rather too narrow. By chance: the two tasks' preferred notes paired at random."
        )
        draw.chart(
            charts.preferred_scatter, facts.named_pairs(pairs), task, other, data=pairs, head=head,
            name=f"preferred_{model}_{task}_{other}_{preset}",
            alt=f"Preferred note in {task} against that in {other}, of neurons tuned in both",
        )  # fmt: skip


section = contents.section(
    "Press a key", "keys", folded="Folded: how many neurons answer most to each note; a key plays it.",
    help="It plays, and its neurons come up below. The select box does the same, in silence.",
)  # fmt: skip
if section:
    with section.body:
        show_keyboard(section.head)

section = contents.section(
    f"Neurons of {known[note]}" if note else "Tuning curves", "curves", asked=(note, first),
    folded="Folded: at which notes single neurons fire.",
)  # fmt: skip
if section:
    with section.body:
        show_curves()

indices = data.read(store, pitch.octave_indices, model, task, preset)
section = contents.section(
    "Octaves", "octaves", is_open=False,
    folded="Folded: how many neurons prefer each pitch class." if indices.empty else facts.octave_sentence(indices),
    help="A wheel folds all octaves into one: C4 and C5 both count as C.",
)  # fmt: skip
if section:
    with section.body:
        show_wheels()
        show_octaves(sections.subheading("Octave equivalence", help=facts.OCTAVE))

widths = data.read(store, pitch.bandwidths, model, task, preset)
section = contents.section(
    "Bandwidth", "bandwidth", is_open=False, folded=facts.bandwidth_sentence(widths), help=facts.BANDWIDTH
)
if section:
    with section.body:
        head = section.head
        st.caption(facts.bandwidth_sentence(widths))
        if widths["bandwidth"].notna().any():
            draw.chart(
                charts.bandwidth_chart, widths, head=head, name=f"bandwidth_{model}_{task}_{preset}",
                alt="Bandwidth of the tuning curves in semitones",
            )  # fmt: skip

section = contents.section(
    "Preferred note by layer", "layers", is_open=False,
    folded="Folded: which notes the neurons of each layer prefer, beside what chance gives.",
)  # fmt: skip
if section:
    with section.body:
        head = section.head
        st.caption(
            "Shade: share of the layer's tuned neurons that prefer the note. By chance each note has its share of the "
            f"clips ({facts.span(notes['share'])}). Orange dot: more than that, q < 0.05."
        )
        draw.chart(
            charts.layer_notes, data.derive(facts.by_layer, preferred, notes), data=preferred, head=head,
            name=f"layers_{model}_{task}_{preset}",
            alt=f"Share of each layer's tuned neurons that prefer each note of {task}",
        )  # fmt: skip

dataset = task.rpartition("-")[0]
of_notes = pd.concat(
    [
        made.answers(store, model, name, preset).assign(task=name)
        for name in dict.fromkeys([task, *scope.tasks]) if name.rpartition("-")[0] == dataset
    ],
    ignore_index=True,
)  # fmt: skip
of_notes = of_notes[of_notes["question"] == "note"]
if len(of_notes):
    section = contents.section(
        "Made tones: is the note kept?", "made", is_open=False, help=made.HELP,
        folded="Folded: whether units keep their note when timbre and level of made tones change.",
    )  # fmt: skip
    if section:
        with section.body:
            made.show_notes(of_notes, section.head)

if other != NO_OTHER:
    section = contents.section(
        f"The same neurons in {words.plain(other)}", "same", is_open=False,
        asked=None if other == usual_other else other,
        folded=f"Folded: the notes that neurons tuned in both tasks prefer in {words.plain(other)}.",
    )  # fmt: skip
    if section:
        with section.body:
            show_same(section.head)

address.write(
    {
        **scope.state, "pitch_task": task, "pitch_other": other, "note": note, "order": order,
        "first": first if first > 1 else None,
    }
)  # fmt: skip
