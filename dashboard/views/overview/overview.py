"""Overview: the study at a glance, and where to go on."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import address, data, draw, page, sections, share, sidebar, tables
from dashboard.shared.charts import ablation
from dashboard.shared.charts import by_task as charts
from dashboard.shared.text import facts, kinds, words
from dashboard.shared.text import numbers as numbers_text
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.theme import NULL_COLOUR, model_colours
from dashboard.views.overview import facts as overview_facts
from dashboard.views.overview import opening
from db.reads import coverage as coverage_queries
from db.reads import report, study

ALL_TASKS = "all tasks (mean)"
MOST_RUNS = 3
PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
REFERENCES = "shuffled-label null, chance, random controls"

scope = sidebar.choose(show=("preset",))
store, preset = scope.store, scope.preset
models = data.read(store, study.models)
totals = data.read(store, study.store_facts)
coverage = data.read(store, study.coverage, preset)
probe = data.read(store, coverage_queries.probes)
ablated = data.read(store, coverage_queries.ablated_tasks)

page.head("Audio neuron atlas", "overview", tab="Overview")
st.markdown(
    "An atlas of what single neurons inside audio transformers listen to: for each neuron, how "
    "often it fires on rain, on anger, on middle C. A neuron that fires clearly more for one class "
    "of sound than for the others is called *class-specific*, and every count here stands "
    "beside what the same search finds when the labels are shuffled."
)
contents = sections.Contents("overview")
contents.lead_to("Three findings", "findings")
opening.show(store, preset, ablated)

contents.lead_to("Start here", "start")
st.subheader("Start here", anchor="start")
tiles = st.grid(4, min_column_width=130)
for label, key in (("Models", "n_models"), ("Neurons", "n_neurons"), ("Tasks", "n_tasks"), ("Clips", "n_clips")):
    tiles.metric(label, f"{totals[key]:,}", border=True)
with st.container(gap="xxsmall"):
    for line in facts.beyond_chance(coverage):
        st.markdown(line)
steps = st.grid(3, min_column_width=260)
for name, icon, question, answer in overview_facts.PLACES:
    with steps.container(border=True, gap="xxsmall", height="stretch"):
        st.page_link(
            f"views/{name}/{name}.py",
            label=f"**{question}**",
            icon=f":material/{icon}:",
            query_params={"preset": preset},
        )
        st.caption(answer)
paper = st.expander("Where are the paper's figures?", icon=":material/article:", on_change="rerun")
if paper.open:
    with paper:
        st.caption(
            "Kawamura, Niizumi, Ono: What Do Neurons Listen To? arXiv 2602.15307 (2026). Each link asks this store the "
            "same question; their selection rule is `aape`."
        )
        names = [str(name) for name in models["name"]]
        results = st.grid(2, min_column_width=PAIR_WIDTH, gap="xxsmall")
        for figure in overview_facts.figures(names, data.read(store, study.tasks), preset, ablated):
            with results.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.page_link(
                    f"views/{figure.page}/{figure.page}.py", label=figure.title, icon=":material/arrow_forward:",
                    query_params=figure.state, disabled=bool(figure.missing), help=f"Opens {figure.shows}.",
                )  # fmt: skip
                if figure.missing:
                    st.caption(f"{figure.missing}.")

names = [str(name) for name in models["name"]]
of_coverage = contents.section(
    "Coverage by task", "coverage",
    help="\n\n".join(f"**{name}**: {TERMS[name]}" for name in ("class-specific", "coverage", "null")),
    folded="Folded: how many classes of each task have neurons of their own, beside shuffled labels.",
)  # fmt: skip
if of_coverage and coverage.empty:
    of_coverage.body.caption(f"No task has been scored with the preset {preset}.")
elif of_coverage:
    with of_coverage.body:
        draw.key(model_colours(names) | {REFERENCES: NULL_COLOUR})
        pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
        with pair.container(gap="xxsmall"):
            draw.chart(
                charts.coverage_chart, coverage, name="coverage", head=sections.subheading("Coverage"), legend=False,
                alt="Coverage of each task by model, with the shuffled-label null's interval",
            )  # fmt: skip
        with pair.container(gap="xxsmall"):
            draw.chart(
                charts.count_chart, coverage, name="class_specific_neurons", legend=False,
                head=sections.subheading("Class-specific neurons"),
                alt="Class-specific neurons of each task by model, with the shuffled-label null's interval",
            )  # fmt: skip
        n_bare = int(coverage["null_coverage_mean"].isna().sum())
        bare = f" {n_bare} without a null are not drawn on the left." if n_bare else ""
        st.caption(
            "Points and bars: measured. Grey: what the same selection reaches on shuffled labels "
            "(2.5th to 97.5th percentile; tick: mean). Only what lies beyond the grey counts as found." + bare
        )
        quota = facts.quota_note(coverage, preset)
        if quota:
            st.caption(quota)
        numbers = st.expander("The numbers", icon=":material/table:", on_change="rerun")
        if numbers.open:
            shown = coverage.drop(columns=["dataset", "preset", "settings_json"])
            shares = [n for n in shown if "coverage" in n or n.startswith("replicated_share")]
            with numbers:
                head = sections.subheading("Coverage and counts of every model and task")
                st.dataframe(
                    tables.percent(shown, *shares),
                    hide_index=True,
                    column_config={
                        name: st.column_config.NumberColumn(
                            name.removeprefix("n_").replace("_", " ").capitalize(),
                            format="%.0f%%" if name in shares else None,
                        )
                        for name in shown.columns[2:-1]
                    },
                    placeholder="–",
                    alt="Coverage and counts of every model and task",
                )
                share.take_away(f"coverage_{preset}", coverage, head)

counted_over = list(dict.fromkeys(coverage["task"]))
task = address.choice("layer_task", [ALL_TASKS, *counted_over], ALL_TASKS)
of_layers = contents.section(
    "Layers and probes", "layers", is_open=False, asked=None if task == ALL_TASKS else task,
    folded="Folded: in which layers the class-specific neurons lie, and what a linear probe tells from the features.",
)  # fmt: skip
if of_layers:
    pair = of_layers.body.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    with pair.container(gap="xsmall"):
        by_layer = data.read(store, coverage_queries.specific_by_layer, preset)
        if task != ALL_TASKS:
            by_layer = by_layer[by_layer["task"] == task]
        if by_layer.empty:
            st.caption("No class-specific neurons were stored.")
        else:
            counted = coverage if task == ALL_TASKS else coverage[coverage["task"] == task]
            n_neurons = dict(zip(models["name"], models["n_neurons"], strict=True))
            draw.chart(
                charts.layer_chart,
                facts.shares_by_layer(by_layer),
                facts.null_shares(counted, n_neurons),
                alt="Share of class-specific neurons by layer, a line a model",
                name="neurons_by_layer",
                data=by_layer,
                head=sections.subheading(
                    "Class-specific neurons by layer",
                    help="Share of each layer's neurons that are class-specific in a task; over all tasks, the mean of "
                    "their shares.",
                ),
                legend=False,
            )
            st.caption("Dashed: mean of the shuffled-label null, known for the whole model only.")
        address.select("Counted over", "layer_task", [ALL_TASKS, *counted_over], task)
    with pair.container(gap="xsmall"):
        if probe.empty:
            st.caption("No probe was trained.")
        else:
            draw.chart(
                charts.probe_chart,
                probe,
                alt="Accuracy, or mean average precision, of each task's probe by model, with interval and chance",
                name="probes",
                data=probe,
                head=sections.subheading(
                    "Linear probe",
                    help="Accuracy of a linear probe on the model's frozen features, on test clips. It tells whether "
                    "the model knows the classes at all. Where clips have several labels, the mean average precision "
                    "over the classes.",
                ),
                legend=False,
            )
            several = " A mean average precision has none." if (probe["metric"] != "accuracy").any() else ""
            st.caption(f"Thin lines: 95 % Wilson interval over the test clips; grey: chance.{several}")

own = data.read(store, report.own_outcomes)
taken_apart = set(own["model"])
of_effects = contents.section(
    "Do they matter?", "effects",
    help="The neurons of one class are silenced and the same linear probe is asked again. Selective: the change of "
    "the class's logit on its own clips, less that on all other clips (the shift). It is significant with q < 0.05 and "
    "beyond all equally large random sets. Where only accuracy is known: q < 0.05, an interval that excludes 0, and "
    "beyond the range of the random sets.",
    folded="Folded: what classes lose without their own neurons, beside random sets.",
)  # fmt: skip
if of_effects and taken_apart:
    with of_effects.body:
        pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium", vertical_alignment="center")
        effects = data.derive(overview_facts.selective, own, data.read(store, study.tasks))
        with pair.container(gap="xxsmall"):
            draw.chart(
                ablation.selective_chart, effects, tuple(models["name"]), name="selective_effects", data=own,
                head=sections.subheading("Selective effect of silencing"), legend=False,
                alt="Selective effect of each task and model, mean over classes, beside random sets",
            )  # fmt: skip
        spoken = pair.container()
        for line in data.derive(kinds.model_lines, own):
            spoken.markdown(line)
        spoken.caption(
            "Points: mean over classes, with its 95 % interval over classes; grey: mean of the random sets; beside it, "
            "for how many classes it is significant. *Ablation* tells each apart."
        )
if of_effects and (set(ablated["model"]) - taken_apart or ablated.empty):
    with of_effects.body:
        biggest = data.read(store, coverage_queries.strongest_effects)
        biggest = biggest[~biggest["model"].isin(taken_apart)]
        if biggest.empty:
            st.caption("No neurons were ablated in the runs of this store.")
        else:
            n_believed = int(biggest["believable"].sum())
            if n_believed < len(biggest):
                st.caption(overview_facts.effects_caption(n_believed, len(biggest)))
            pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium", vertical_alignment="center")
            with pair.container(gap="xxsmall"):
                draw.chart(
                    ablation.ablation_chart, biggest.assign(label=biggest["model"]), name="strongest_ablations",
                    data=biggest, head=sections.subheading("Strongest effect on accuracy"),
                    alt="Largest ablation effect on accuracy of each model, over its random controls",
                )  # fmt: skip
            spoken = pair.container()
            for row in biggest.to_dict("records"):
                note = "" if row["believable"] else " *Not significant.*"
                spoken.markdown(f"**{words.plain(row['model'])}**. {facts.ablation_sentence(row)}{note}")

warnings = data.read(store, study.warnings)
problems = data.read(store, study.problems)
runs = data.read(store, study.runs)
lacking = facts.not_measured(coverage, probe, ablated)
warned = overview_facts.warning_kinds(warnings).to_dict("records")
LABELS = {"missing": "What is missing, or what was done instead"}


def tell_kind(kind: dict[Hashable, Any]) -> None:
    """Write one kind of warning and whom it concerns."""
    icon = ":orange[:material/warning:]" if kind["grave"] else ":gray[:material/info:]"
    st.markdown(
        f"{icon} **{kind['title']}** ({numbers_text.counted(len(kind['tasks']), 'task')}: "
        f"{words.listed(kind['tasks'], 3)}). {kind['meaning']}"
    )


of_care = contents.section("Read with care", "care", folded=f"Folded: {len(warned)} kinds of warnings.")
if of_care:
    with of_care.body, st.container(gap="xsmall"):
        for kind in warned:
            if kind["grave"]:
                tell_kind(kind)
        missing = pd.concat([lacking, facts.run_notes(runs)], ignore_index=True)
        mild = [kind for kind in warned if not kind["grave"]]
        less = overview_facts.missing_kinds(lacking)
        if mild or less:
            n_kinds = numbers_text.counted(len(mild), "more kind") + " of warnings"
            folded = st.expander(
                f"{n_kinds}, and what was not measured", icon=":material/info:", on_change="rerun", key="more_kinds"
            )
            if folded.open:
                with folded:
                    for kind in mild:
                        tell_kind(kind)
                    for line in less:
                        st.markdown(f":gray[:material/do_not_disturb_on:] {line}")
        tabled = {
            "Warnings": (warnings, "Every warning, word for word"),
            "Not measured": (missing, "What a task lacks, and why a place on a page may be empty"),
            "Problems": (problems, "Files that were left out or lack something"),
        }
        for name, (rows, meaning) in tabled.items():
            folded = st.expander(f"{name} ({len(rows)})", icon=":material/table:", on_change="rerun")
            if folded.open:
                with folded:
                    head = sections.subheading(meaning if len(rows) else "None")
                    if len(rows):
                        titles = {column: LABELS.get(column, column.capitalize()) for column in rows}
                        st.dataframe(rows, hide_index=True, column_config=titles, alt=meaning)
                        share.take_away(f"{name.lower().replace(' ', '_')}", rows, head)

latest = facts.run_sentence(runs.iloc[0].to_dict()) if len(runs) else "No run is noted in this store."
of_runs = contents.section("Runs", "runs", is_open=False, folded=latest)
if of_runs:
    with of_runs.body:
        for row in runs.head(MOST_RUNS).to_dict("records"):
            st.caption(facts.run_sentence(row))
        if len(runs) > MOST_RUNS:
            st.caption(f"and {len(runs) - MOST_RUNS:,} earlier ones, in the table.")
        with st.container(horizontal=True):
            table = st.expander("Runs as a table", icon=":material/table:", on_change="rerun")
            registered = st.expander("Models", icon=":material/memory:", on_change="rerun")
        if table.open:
            with table:
                head = sections.subheading("When and on what each model was measured")
                shown = runs.drop(columns=["config_json", "versions_json", "notes_json"])
                st.dataframe(
                    shown,
                    hide_index=True,
                    column_config={name: name.replace("_", " ").capitalize() for name in shown},
                    placeholder="–",
                    alt="When each model was measured, how long it took, and on what device",
                )
                share.take_away("runs", runs, head)
        if registered.open:
            with registered:
                head = sections.subheading("The models of this store")
                titles = {name: name.removeprefix("n_").replace("_", " ").capitalize() for name in models}
                st.dataframe(models, hide_index=True, column_config=titles, alt="The models of this store")
                share.take_away("models", models, head)
        settings = st.expander("Settings and versions of each run", icon=":material/tune:", on_change="rerun")
        if settings.open:
            with settings:
                for row in runs.to_dict("records"):
                    st.caption(f"Run {row['run_id']}, {words.plain(row['model'])}")
                    st.code(facts.settings_text(row["config_json"]), language="json", height=220)
                    if row.get("versions_json"):
                        st.code(facts.settings_text(row["versions_json"]), language="json")

address.write({**scope.state, "layer_task": None if task == ALL_TASKS else task})
