"""Speech: which gender, language, emotion or voice neurons prefer, how surely, and what else it may be."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, command, data, draw, made, opening, order, page, sections, sidebar
from dashboard.shared.charts.common import class_order
from dashboard.shared.player import player
from dashboard.shared.text import made as made_text
from dashboard.shared.text import words
from dashboard.views.speech import charts, facts
from db.reads import clips as clip_queries
from db.reads import preferences

PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
MOST_CHARTS, N_DOTS, N_SOUNDS = 6, 8, 4
NO_OTHER, ALL_CLASSES = "none", "all classes"
SIMILARITY = {"odds": "Log odds", "sets": "Shared neurons"}
LOG_ODDS = (
    "Natural logarithm of the odds that a token fires in the class over the odds in the other classes: 0 = no "
    "preference, 0.7 = twice the odds. Whole clips, or whole voices where known, are the units of the interval."
)


scope = sidebar.choose(show=("model", "preset"), clears=("speech_class", "speech_other"), any_units=True)
store, model, preset = scope.store, scope.model, scope.preset
page.head(
    "Speech",
    "speech",
    "Which neurons lean towards a gender, a language, an emotion or a voice, how surely, and whether it is that or "
    "merely who was recorded.",
)
contents = sections.Contents("speech")
known = data.read(store, preferences.preference_tasks, model)
if known.empty:
    st.info(
        f"No preferences are stored for {words.plain(model)}: they are measured for class-specific neurons. The "
        "generated datasets demo-speech and demo-digits bring gender, language and voice; CREMA-D emotions, VoxForge "
        "languages, VoxCeleb1 gender and nationality."
    )
    command.show({"--tasks": "demo-speech-gender,demo-speech-language"})
    st.stop()

names = facts.speech_first(known)
attribute_of = dict(zip(known["task"], known["attribute"], strict=True))
of_speech = [name for name in names if facts.is_speech(attribute_of[name])]
usual = opening.first(of_speech or names, opening.by_replication(store, model, preset))
elsewhere = st.query_params.get("task", "")  # as the other pages say it
is_said = elsewhere in names and "speech_task" not in st.query_params
task = elsewhere if is_said else address.choice("speech_task", names, usual)
counts = facts.with_chance(data.read(store, preferences.preferring, model, task))
classes = class_order(counts["class_name"])
class_name = address.optional("speech_class", classes)

with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select("Task", "speech_task", names, task, clears=("speech_class", "speech_other"), width=260)
    key = address.show("select_speech_class", class_name or ALL_CLASSES)

    def choose_class() -> None:
        """Write the class to the address; “all classes” leaves it out."""
        chosen = st.session_state["select_speech_class"]
        st.query_params.pop("speech_class", None)
        if chosen != ALL_CLASSES:
            address.go(speech_class=chosen)

    st.selectbox("Class", [ALL_CLASSES, *classes], key=key, on_change=choose_class, width=230)
if not any(facts.is_speech(name) for name in known["attribute"]):
    st.info(
        "No task of this store tells something of speech; any other may be looked at here all the same. demo-speech "
        "and demo-digits bring gender, language and voice."
    )

with st.container(border=True):
    st.markdown("**Read with care: what else goes with these labels**")
    probes = data.read(store, preferences.confounds, model, task)
    explained = data.read(store, preferences.explained, model, task, preset)
    dealt = str(known.loc[known["task"] == task, "shuffled"].iloc[0])
    for line in facts.confound_lines(probes, explained, dealt, preset):
        st.markdown(f"- {line}")

n_chosen = int(explained["n_pairs"].sum())
similarity = address.choice("by", list(SIMILARITY), "odds")
common = data.read(store, preferences.classes_in_common, task)
common = common[common["task"].isin(names)]
others = list(dict.fromkeys(common["task"]))
other = address.choice("speech_other", others, others[0]) if others else None
by_value = st.query_params.get("sort") == order.VALUE


def show_preferring(head: DeltaGenerator) -> None:
    """How many neurons lean towards each class, or away from it."""
    st.caption(
        f"Of {int(counts['n_neurons'].max()):,} neurons that some rule selected in this task; {preset} selected "
        f"{n_chosen:,} pairs of neuron and class. Counted is an interval wholly above 0 (positive, right) or below "
        "(negative, left); grey ticks: as many would be by chance. They were chosen on these same clips, so more than "
        "chance is expected."
    )
    draw.chart(
        charts.preferring, counts, by_value, name=f"preferring_{model}_{task}", head=head,
        alt=f"Neurons with positive or negative log odds for each class of {task}, with what chance gives",
    )  # fmt: skip


def show_strongest() -> None:
    """Of each class the neurons that lean to it most."""
    fullest = set(counts.sort_values("n_prefer", ascending=False, kind="stable")["class_name"].head(MOST_CHARTS))
    asked = (class_name,) if class_name else tuple(name for name in classes if name in fullest)
    rows = facts.settled(
        data.read(store, preferences.strongest, model, task, preset, asked, 3 * N_DOTS if class_name else N_DOTS)
    )
    notes = ["Lines: 95 % interval, grey where it includes 0."]
    if len(classes) == 2:
        notes.append("Two classes mirror each other.")
    if not class_name and len(classes) > MOST_CHARTS:
        notes.append(f"The {len(asked)} classes with most; any other can be chosen above.")
    st.caption(" ".join(notes))
    grid = st.grid(1 if class_name else 3, min_column_width=280, gap="medium")
    for name in asked:
        of_class = rows[rows["class_name"] == name]
        with grid.container():
            head = sections.subheading(words.plain(name) + ("" if len(of_class) else ": no neuron leans to it"))
            if len(of_class):
                draw.chart(
                    charts.dots, of_class, name=f"log_odds_{model}_{task}_{name}", head=head,
                    alt=f"Log odds of the neurons that prefer {name} most, with intervals",
                )  # fmt: skip


def show_same(other: str, head: DeltaGenerator) -> None:
    """One class in this task and in another."""
    of_other = set(common.loc[common["task"] == other, "class_name"])
    both = [name for name in classes if name in of_other]
    of = class_name if class_name in both else both[0]
    address.select("Against", "speech_other", others, other, width=260)
    pair = data.read(store, preferences.in_two_tasks, model, task, other, of)
    points = facts.filled_from_counts(pair, data.read(store, preferences.one_label, model, other))
    agreement = facts.sign_agreement(points["log_odds_a"].to_numpy(), points["log_odds_b"].to_numpy())
    if agreement is None:
        st.caption("No neuron has log odds in both.")
    else:
        st.markdown(facts.agreement_sentence(agreement, of, preset if n_chosen == 0 else ""))
        voices = list(data.read(store, preferences.voices_in_common, task, other)["value"])
        if voices:
            st.markdown(
                f":material/warning: Both datasets have {len(voices)} voices in common ({words.listed(voices)}): "
                "agreement may be theirs."
            )
        st.caption(
            f"The neurons chosen in {words.plain(task)}, at most the 500 strongest. Brackets: Wilson's interval, and "
            "95 % of random pairings; neurons resemble each other, so both are rather too narrow. No interval: not "
            "chosen in the second task, log odds from its counts."
        )
        draw.chart(
            charts.two_tasks, points, task, other, data=pair, head=head, name=f"two_tasks_{model}_{task}_{other}_{of}",
            alt=f"Neurons' log odds of {of} in {task} against {other}",
        )  # fmt: skip


def show_tree(head: DeltaGenerator) -> None:
    """Which classes resemble each other, as a tree."""
    key = address.show("select_by", similarity)
    st.segmented_control(
        "Resemblance by", list(SIMILARITY), key=key, required=True, format_func=lambda name: SIMILARITY[name],
        on_change=address.on_change("by", key),
        help="Log odds: 1 − correlation of the classes' log odds over neurons. Shared neurons: 1 − overlap beyond "
        "chance of the sets that the rule selected.",
    )  # fmt: skip
    if similarity == "odds":
        read = data.read(store, preferences.profiles, model, task, int(counts["n_neurons"].sum()))
        distances = data.derive(facts.profile_distances, read)
    else:
        read = data.read(store, preferences.overlaps, model, task, preset)
        distances = data.derive(facts.overlap_distances, read)
    grown = data.derive(facts.tree, distances)
    if grown is None:
        st.caption(
            "A tree needs three classes with neurons."
            if len(classes) > 2
            else "Two classes only: there is no tree to grow."
        )
    else:
        groups = data.read(store, preferences.families, task)
        families = facts.find_families(groups, attribute_of[task], classes)
        family = next(iter(families), None)
        leaves = grown.leaves
        if family is not None:
            leaves = leaves.assign(family=leaves["class_name"].map(family.of_class))
        for line in facts.tree_lines(grown, family, distances):
            st.markdown(line)
        draw.chart(
            charts.tree, leaves, grown.branches, None if family is None else family.name.replace("_", " "),
            st.context.theme.type == "dark", data=read, head=head, name=f"tree_{model}_{task}_{similarity}",
            alt=f"Tree of the classes of {task} by {SIMILARITY[similarity]}",
        )  # fmt: skip


section = contents.section(
    "Neurons for each class", "counts", asked=st.query_params.get("sort"), help=LOG_ODDS,
    folded="Folded: how many neurons lean towards each class, beside what chance gives.",
)  # fmt: skip
if section:
    with section.body:
        by_value = order.choose(section.head)
        show_preferring(section.head)

section = contents.section(
    "The strongest neurons", "strongest", asked=class_name, help=LOG_ODDS,
    folded="Folded: the neurons that lean most to each class, with intervals.",
)  # fmt: skip
if section:
    with section.body:
        show_strongest()

said_by_made = made.answers(store, model, task, preset)
for question in made.questions(said_by_made):
    if question == "note":
        continue
    section = contents.section(
        f"Made sounds: {made_text.QUESTIONS[question]}", f"made_{question}", is_open=question == "gender",
        help=made.HELP, folded="Folded: what the class’s neurons answer to when all but one thing is held.",
    )  # fmt: skip
    if section:
        with section.body:
            made.show_answers(said_by_made, question, classes, section.head)

section = contents.section(
    "The same class in another dataset", "same", is_open=False,
    asked=None if other is None or other == others[0] else other,
    folded="No other task of this store has a class of the same name." if other is None
    else f"Folded: whether neurons lean the same way in {words.listed(others)}.",
)  # fmt: skip
if section:
    with section.body:
        if other is None:
            st.caption("No other task of this store has a class of the same name.")
        else:
            show_same(other, section.head)

section = contents.section(
    "Which classes resemble each other", "tree", is_open=False, asked=None if similarity == "odds" else similarity,
    folded="Folded: a tree of the classes, and whether groups of them keep together.",
)  # fmt: skip
if section:
    with section.body:
        show_tree(section.head)

if class_name:
    contents.lead_to(f"What {words.plain(class_name)} sounds like", "sounds")
    st.subheader(f"What {words.plain(class_name)} sounds like", anchor="sounds")
    clips = data.read(store, clip_queries.class_clips, task, class_name, N_SOUNDS)
    tracks = [player.stored_track(row, str(row["path"]), str(row["labels"])) for row in clips.to_dict("records")]
    if tracks:
        player.player(tracks, key=f"class_{task}_{class_name}")
    else:
        st.caption("No clip of this class is in the store.")
else:
    st.caption("Choose a class above to hear it.")

address.write(
    {
        **scope.state, "speech_task": task, "speech_class": class_name, "speech_other": other,
        "sort": order.VALUE if by_value else None, "by": similarity,
    }
)  # fmt: skip
