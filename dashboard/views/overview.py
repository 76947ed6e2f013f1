"""Overview: what was measured, and how the models compare."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data, facts
from dashboard.charts import ablation as ablation_charts
from dashboard.charts import overview as charts
from dashboard.components import address, draw, presets, share, tables
from dashboard.components import store as stores
from db import queries

ALL_TASKS = "all tasks (mean)"
MOST_RUNS = 6
PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other

store = stores.require()
models = data.read(store, queries.models)
totals = data.read(store, queries.store_facts)

st.title("Audio neuron atlas")
st.markdown(
    "An atlas of what single neurons inside audio transformers listen to: for each neuron, how "
    "often it fires on rain, on anger, on middle C. A neuron that fires clearly more for one class "
    "of sound than for the others is called *class-specific*, and every count here stands "
    "beside what the same search finds when the labels are shuffled."
)
for column, (label, key) in zip(
    st.columns(4),
    [("Models", "n_models"), ("Neurons", "n_neurons"), ("Tasks", "n_tasks"), ("Clips", "n_clips")],
    strict=True,
):
    column.metric(label, f"{totals[key]:,}", border=True)

preset = presets.choose()
with st.container(horizontal=True, vertical_alignment="bottom"):
    presets.select(preset)
    st.space("stretch")
    link_slot = st.container(width="content")
st.caption(presets.MEANING[preset])

coverage = data.read(store, queries.coverage, preset)
probe = data.read(store, queries.probe)
probe_all = probe[probe["class_name"].isna()] if len(probe) else probe
effects = pd.concat([data.read(store, queries.ablation_effects, name) for name in models["name"]], ignore_index=True)

st.subheader(
    "Coverage and class-specific neurons by task",
    help="\n\n".join(f"**{name}**: {presets.TERMS[name]}" for name in ("class-specific", "coverage", "null")),
)
if coverage.empty:
    st.caption(f"No task has been scored with the preset {preset}.")
else:
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    draw.chart(
        charts.coverage_chart, coverage, place=pair,
        alt="Coverage of each task by model, with the shuffled-label null's interval",
    )  # fmt: skip
    draw.chart(
        charts.count_chart, coverage, place=pair,
        alt="Class-specific neurons of each task by model, with the shuffled-label null's mean",
    )  # fmt: skip
    for line in facts.beyond_chance(coverage):
        st.markdown(line)
    n_bare = int(coverage["null_coverage_mean"].isna().sum())
    bare = f" {n_bare} without a null are not drawn on the left." if n_bare else ""
    st.caption(
        "Points and bars: measured. Grey bar: what the same selection reaches on shuffled labels "
        "(2.5th to 97.5th percentile; tick: mean). Only what lies beyond the grey counts as found." + bare
    )
    numbers = st.expander("The numbers", icon=":material/table:", on_change="rerun")
    if numbers.open:
        shown = coverage.drop(columns=["dataset", "preset", "settings_json"], errors="ignore")
        shares = [n for n in shown if "coverage" in n or n.startswith("replicated_share")]
        with numbers:
            st.dataframe(
                tables.percent(shown, *shares),
                hide_index=True,
                column_config={
                    name: st.column_config.NumberColumn(name.replace("_", " "), format="%.0f%%") for name in shares
                },
                placeholder="–",
                alt="Coverage and counts of every model and task",
            )
            share.take_away(f"coverage_{preset}", coverage)

pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
with pair.container():
    st.subheader(
        "By layer",
        help="Share of each layer's neurons that are class-specific in a task; over all tasks, the "
        "mean of their shares.",
    )
    tasks = list(dict.fromkeys(coverage["task"]))
    task = address.choice("layer_task", [ALL_TASKS, *tasks], ALL_TASKS)
    address.select("Counted over", "layer_task", [ALL_TASKS, *tasks], task)
    only = None if task == ALL_TASKS else task
    by_layer = data.read(store, queries.specific_by_layer, preset, only)
    if by_layer.empty:
        st.caption("No class-specific neurons were stored.")
    else:
        counted = coverage if only is None else coverage[coverage["task"] == only]
        n_neurons = dict(zip(models["name"], models["n_neurons"], strict=True))
        draw.chart(
            charts.layer_chart,
            facts.shares_by_layer(by_layer),
            facts.null_shares(counted, n_neurons),
            alt="Share of class-specific neurons by layer, a line a model",
        )
        st.caption("Dashed: mean of the shuffled-label null, known for the whole model only.")
with pair.container():
    st.subheader(
        "Probe",
        help="Accuracy of a linear classifier on the model's frozen features, on test clips. "
        "It tells whether the model knows the classes at all. Where clips have several labels, the mean "
        "average precision over the classes.",
    )
    if probe_all.empty:
        st.caption("No probe was trained.")
    else:
        draw.chart(
            charts.probe_chart,
            probe_all,
            alt="Accuracy, or mean average precision, of each task's probe by model, with chance marked",
        )

st.subheader(
    "Strongest ablation",
    help="The class-specific neurons of one class are silenced (or scaled) and the probe is asked "
    "again. An effect is believed when q < 0.05, its interval leaves out 0, and it lies outside "
    "the range of equally large random sets.",
)
if effects.empty:
    st.caption("No neurons were ablated in the runs of this store.")
else:
    biggest = facts.biggest_ablations(effects)
    biggest["label"] = biggest["model"]
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium", vertical_alignment="center")
    draw.chart(
        ablation_charts.ablation_chart, biggest, place=pair,
        alt="Largest believable ablation effect of each model, over its random controls",
    )  # fmt: skip
    spoken = pair.container()
    for row in biggest.to_dict("records"):
        note = "" if row["believable"] else " *Not believable: no effect of this model stands.*"
        spoken.markdown(f"**{row['model']}**. {facts.ablation_sentence(row)}{note}")

st.subheader("Read with care")
warnings = data.read(store, queries.warnings)
problems = data.read(store, queries.problems)
runs = data.read(store, queries.runs)
missing = pd.concat([facts.not_measured(coverage, probe, effects), facts.run_notes(runs)], ignore_index=True)
care = {
    "Warnings": (warnings, "Confounds and small classes"),
    "Not measured": (missing, "What a task lacks, and why a place on a page may be empty"),
    "Problems": (problems, "Files that were left out or lack something"),
}
for name, (rows, meaning) in care.items():
    folded = st.expander(f"{name} ({len(rows)})", icon=":material/info:", on_change="rerun")
    if folded.open:
        with folded:
            st.caption(meaning + "." if len(rows) else "None.")
            if len(rows):
                st.dataframe(rows, hide_index=True, alt=meaning)
                share.take_away(f"{name.lower().replace(' ', '_')}", rows)

st.subheader("Runs")
for row in runs.head(MOST_RUNS).to_dict("records"):
    st.caption(facts.run_sentence(row))
if len(runs) > MOST_RUNS:
    st.caption(f"and {len(runs) - MOST_RUNS:,} earlier ones, in the table.")
table = st.expander("Runs as a table", icon=":material/table:", on_change="rerun")
if table.open:
    with table:
        st.dataframe(
            runs.drop(columns=["config_json", "versions_json"], errors="ignore"),
            hide_index=True,
            placeholder="–",
            alt="When each model was measured, how long it took, and on what device",
        )
        share.take_away("runs", runs)
settings = st.expander("Settings and versions of each run", icon=":material/tune:", on_change="rerun")
if settings.open:
    with settings:
        for row in runs.to_dict("records"):
            st.caption(f"Run {row['run_id']}, {row['model']}")
            st.code(facts.settings_text(row["config_json"]), language="json", height=220)
            if row.get("versions_json"):
                st.code(facts.settings_text(row["versions_json"]), language="json")
registered = st.expander("Models", icon=":material/memory:", on_change="rerun")
if registered.open:
    registered.dataframe(models, hide_index=True, alt="The models of this store")

with link_slot:
    share.link("", {"preset": preset, "layer_task": None if task == ALL_TASKS else task})
