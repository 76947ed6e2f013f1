"""Compare: two models, or two runs, side by side."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, command, data, draw, order, page, sections, share, sidebar
from dashboard.shared.charts import by_task as overview_charts
from dashboard.shared.charts.common import class_order
from dashboard.shared.text import facts, words
from dashboard.shared.theme import NULL_COLOUR
from dashboard.views.compare import charts, partners
from dashboard.views.compare import facts as compare_facts
from db.reads import coverage as coverage_queries
from db.reads import study

PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
REFERENCES = "shuffled-label null, chance"
ALL_TASKS, THIS_TASK = "all tasks of both (mean)", "the task in the sidebar"

scope = sidebar.choose(show=("model", "task", "preset"), clears=("first_run", "second_run"))
store, preset, task, model = scope.store, scope.preset, scope.task, scope.model
dark = st.context.theme.type == "dark"
page.head(
    "Compare",
    "compare",
    "Two models on the same sounds: what each has neurons for, where they lie, which classes share them, and what each "
    "knows. The sidebar says the first model, the box below the second.",
)
others = [name for name in scope.models if name != model]
contents = sections.Contents("compare")
state = dict(scope.state)
runs = data.read(store, study.runs)


@st.cache_data(max_entries=64, show_spinner=False)
def likeness(a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
    """Permutations take a tenth of a second; the same matrices, the same sentence."""
    return compare_facts.sharing_sentence(a, b)


def compare_runs() -> None:
    """Two runs of the store: how their settings and notes differ."""
    section = contents.section(
        "Two runs", "runs", is_open=False, asked=asked_runs(),
        folded="Folded: in which settings two runs differ, and what only one of them noted.",
        help="A store keeps one set of results for each model: another run of the same model replaces what it measures "
        "anew. So two runs of one model differ here in settings and notes, and in results only across two stores.",
    )  # fmt: skip
    if section:
        with section.body:
            show_runs()


def asked_runs() -> str | None:
    """The runs that the address names."""
    named = [st.query_params[name] for name in ("first_run", "second_run") if name in st.query_params]
    return " ".join(named) or None


def show_runs() -> None:
    """Choose two runs, and show their settings and notes."""
    if len(runs) < 2:
        st.caption("The store holds one run only.")
        return
    numbers = [str(number) for number in runs["run_id"]]
    run_titles = {str(row["run_id"]): facts.run_title(row) for row in runs.to_dict("records")}
    latest = {str(row["model"]): str(row["run_id"]) for row in reversed(runs.to_dict("records"))}
    first = address.choice("first_run", numbers, latest.get(model, numbers[0]))
    fallback = latest.get(str(state.get("other")), next(number for number in numbers if number != first))
    second = address.choice("second_run", numbers, fallback)
    with st.container(horizontal=True):
        address.select("First run", "first_run", numbers, first, format_func=run_titles.__getitem__)
        address.select("Second run", "second_run", numbers, second, format_func=run_titles.__getitem__)
    state.update(first_run=first, second_run=second)
    a, b = (runs[runs["run_id"] == int(number)].iloc[0] for number in (first, second))
    settings = compare_facts.settings_difference(a["config_json"], b["config_json"])
    notes = compare_facts.notes_difference(a["notes_json"], b["notes_json"])
    if settings.empty:
        st.caption("Their settings are the same.")
    else:
        head = sections.subheading("Settings")
        titles = {"setting": "Setting", "first": f"Run {first}", "second": f"Run {second}"}
        st.dataframe(settings, hide_index=True, column_config=titles, alt="Settings in which the two runs differ")
        share.take_away("settings_that_differ", settings, head)
    if notes.empty:
        st.caption("They noted the same.")
    else:
        head = sections.subheading("Notes")
        notes["said_by"] = notes["said_by"].map({"first": f"run {first}", "second": f"run {second}"})
        titles = {"said_by": "Only in", "note": "Note"}
        st.dataframe(notes, hide_index=True, column_config=titles, alt="What only one of the two runs noted")
        share.take_away("notes_that_differ", notes, head)


if not others:
    st.info(
        f"The store holds one model, {words.plain(model)}. This adds its untrained twin, which shows what training "
        "added; any other `--model` does as well:",
        title="Nothing to compare with",
    )
    command.show({**command.ALL, "--model": model, "--untrained": None})
    compare_runs()
    address.write(state)
    st.stop()

other = address.choice("other", others, compare_facts.natural_other(others))
state["other"] = other
models = data.read(store, study.models).set_index("name")
colours = charts.two_colours(scope.models, model, other)
address.select("Second model", "other", others, other, clears=("second_run",))
with st.container(gap="xxsmall"):
    for name in (model, other):
        row = models.loc[name]
        st.caption(
            f"**{words.plain(name)}**: {words.plain(row['description'])}; {row['n_layers']} layers, "
            f"{row['n_neurons']:,} neurons, {row['n_parameters']:,} parameters"
        )
    twin = compare_facts.twin(model, others)
    if twin is not None and twin != other:
        st.page_link(
            "views/compare/compare.py", label=f"Beside its untrained twin, {words.plain(twin)}",
            icon=":material/compare_arrows:", help="What training added to this very architecture.",
            query_params={"model": model, "task": task, "preset": preset, "other": twin},
        )  # fmt: skip

every = data.read(store, study.coverage, preset)
coverage = compare_facts.paired(every, model, other)
if coverage.empty:
    st.info(
        f"{words.plain(model)} and {words.plain(other)} have no task in common with the preset {preset}.",
        title="Nothing in common",
    )
    compare_runs()
    address.write(state)
    st.stop()
for line in compare_facts.coverage_sentences(coverage, model, other):
    st.markdown(line)
st.caption(
    "The paper (M2D, self-supervised against supervised) reports nearly all classes covered by the self-supervised "
    "model on tasks that neither saw, half of the speakers by the supervised one, and about half as many "
    "class-specific neurons there. The sentences above are this store's."
)


def by_task() -> None:
    """Coverage and counts of both models, task by task."""
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    with pair.container(gap="xxsmall"):
        draw.chart(
            charts.coverage_pairs, coverage, colours, name=f"coverage_{preset}", legend=False,
            head=sections.subheading("Coverage"),
            alt=f"Coverage of each task by {model} and {other}, joined, beside shuffled labels",
        )  # fmt: skip
    with pair.container(gap="xxsmall"):
        draw.chart(
            overview_charts.count_chart, coverage, name=f"neurons_{preset}", legend=False,
            head=sections.subheading("Class-specific neurons"),
            alt=f"Class-specific neurons of {model} and {other} by task, beside shuffled labels",
        )  # fmt: skip
    st.caption(
        "Grey: 2.5th to 97.5th percentile on shuffled labels. One dot inside the other: as many classes in both."
    )


def by_depth(head: DeltaGenerator) -> None:
    """Where in the models the neurons lie."""
    address.select("Counted over", "over", [ALL_TASKS, THIS_TASK], over, width=260)
    by_layer = compare_facts.paired(data.read(store, coverage_queries.specific_by_layer, preset), model, other)
    counted = coverage
    if over == THIS_TASK:
        by_layer, counted = by_layer[by_layer["task"] == task], coverage[coverage["task"] == task]
    if by_layer.empty:
        st.caption(f"{words.plain(task)} was not scored for both.")
        return
    draw.chart(
        charts.depth_chart, compare_facts.depth(facts.shares_by_layer(by_layer)),
        facts.null_shares(counted, models["n_neurons"].to_dict()), colours, name="neurons_by_depth", data=by_layer,
        head=head, legend=False, alt=f"Share of class-specific neurons over relative depth in {model} and {other}",
    )  # fmt: skip
    st.caption("Dashed: mean on shuffled labels, known for the whole model only.")


def of_classes(head: DeltaGenerator) -> None:
    """Neurons of each class of the task in both models."""
    counts = data.read(store, coverage_queries.class_counts, (model, other), task, preset)
    classes = class_order(counts["class_name"])
    if by_value:
        classes = list(counts.groupby("class_name")["n_neurons"].sum().sort_values(ascending=False).index)
    draw.chart(
        charts.class_pairs, counts, colours, classes, name=f"classes_{preset}", head=head, legend=False,
        alt=f"Class-specific neurons of each class of {task} in {model} and {other}",
    )  # fmt: skip


def of_sharing() -> None:
    """Which classes of the task share neurons in each model, and how alike that is."""
    shared = {name: data.read(store, study.shared, name, preset, task, task) for name in (model, other)}
    if any(pairs.empty for pairs in shared.values()):
        st.caption("No shared neurons were counted for both.")
        return
    classes = class_order(data.read(store, coverage_queries.class_counts, (model, other), task, preset)["class_name"])
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    for place, (name, pairs) in enumerate(shared.items()):
        cells = compare_facts.both_halves(pairs)
        with pair.container(gap="xxsmall"):
            head = sections.subheading(words.plain(name))
            if cells.empty:
                st.caption("No two classes have neurons.")
            else:
                draw.chart(
                    charts.sharing_matrix, cells, classes, dark, name=f"shared_{place + 1}", data=pairs, head=head,
                    alt=f"Shared neurons of the classes of {task} in {name}, observed over expected",
                )  # fmt: skip
    matrices = [compare_facts.matrix(pairs, classes) for pairs in shared.values()]
    st.markdown(likeness(*matrices))
    st.caption("Colour: shared neurons over those expected by chance; a dot: q < 0.05. Empty: a class without neurons.")


draw.key(colours | {REFERENCES: NULL_COLOUR})
of_tasks = contents.section(
    "Coverage by task", "coverage", folded="Folded: coverage and counts of both models, task by task."
)
if of_tasks:
    with of_tasks.body:
        by_task()

section = contents.section(
    words.plain(task), "task", asked=st.query_params.get("sort"),
    folded="Folded: the neurons of each class of the task in both models.",
)  # fmt: skip
scored = task in set(coverage["task"])
by_value = st.query_params.get("sort") == order.VALUE
if section and not scored:
    section.body.info(f"{words.plain(other)} was not scored on this task with {preset}; choose another in the sidebar.")
elif section:
    with section.body:
        by_value = order.choose(section.head)
        of_classes(section.head)
state["sort"] = order.VALUE if by_value else None

if scored:
    section = contents.section(
        "Which classes share neurons", "shared", is_open=False,
        folded=f"Folded: which classes of {words.plain(task)} share neurons in each model, and how alike that is.",
    )  # fmt: skip
    if section:
        with section.body:
            of_sharing()

over = address.choice("over", [ALL_TASKS, THIS_TASK], ALL_TASKS)
state["over"] = over
section = contents.section(
    "By depth", "depth", is_open=False, asked=None if over == ALL_TASKS else over,
    folded="Folded: in which part of each model the class-specific neurons lie.",
    help="Models differ in the number of layers; 0 is the first, 1 the last. Over all tasks: mean of their shares.",
)  # fmt: skip
if section:
    with section.body:
        by_depth(section.head)

partners.show(contents, store, (model, other), compare_facts.twin(model, others), task, preset)

probe = compare_facts.paired(data.read(store, coverage_queries.probes), model, other)
told = "No task has a probe of both." if probe.empty else compare_facts.probe_sentence(
    compare_facts.probe_differences(probe, model, other), model, other
)  # fmt: skip
section = contents.section(
    "Probe", "probe", is_open=False, folded=told,
    help="A linear probe on each model's frozen features, on the same test clips: 95 % Wilson intervals.",
)  # fmt: skip
if section:
    with section.body:
        st.markdown(told)
        if len(probe):
            draw.chart(
                charts.probe_pairs, probe, colours, name="probes", data=probe, head=section.head, legend=False,
                alt=f"Accuracy of the probes of {model} and {other} by task, with intervals and chance",
            )  # fmt: skip

specific = compare_facts.specificity_rows(data.read(store, coverage_queries.specificity, (model, other)), model, other)
told = "No task was ablated in the same way in both." if specific.empty else (
    f"In {int(specific['clear'].sum())} of {len(specific)} ablations the interval excludes 0."
)  # fmt: skip
section = contents.section(
    "Ablation", "ablation", is_open=False, folded=told,
    help="How much more classes lose when their own neurons are taken out than the other classes do. Interval: "
    "bootstrap over the classes; none where there are too few.",
)  # fmt: skip
if section and specific.empty:
    section.body.caption(told)
elif section:
    with section.body:
        draw.chart(
            charts.specificity_chart, specific, colours, name="ablation_specificity", head=section.head, legend=False,
            alt=f"Loss by own neurons beyond the others' loss in {model} and {other}",
        )  # fmt: skip
        st.caption(
            f"Filled: the interval excludes 0, {int(specific['clear'].sum())} of {len(specific)}. Grey: it includes 0, "
            "or there is none. Over 0: the neurons matter more for their own class."
        )
pitch = data.read(store, coverage_queries.pitch_counts, (model, other))
if len(pitch):
    contents.lead_to("Pitch", "pitch")
    head = sections.heading("Pitch", anchor="pitch")
    for line in compare_facts.pitch_sentences(pitch):
        st.markdown(line)
    share.take_away("pitch_neurons", pitch, head)
compare_runs()
address.write(state)
