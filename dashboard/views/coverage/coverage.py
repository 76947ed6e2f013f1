"""Coverage: how many classes have neurons of their own, beside chance, and what that hangs on."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.shared import address, class_link, data, draw, page, sections, share, sidebar, tables
from dashboard.shared.charts import by_task as overview_charts
from dashboard.shared.text import facts, words
from dashboard.shared.theme import NULL_COLOUR, model_colours
from dashboard.views.coverage import charts
from dashboard.views.coverage import facts as coverage_facts
from db.reads import coverage as coverage_queries
from db.reads import study

PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
REFERENCES = "shuffled-label null, all pairs, by chance"

scope = sidebar.choose()
store, preset, task, model = scope.store, scope.preset, scope.task, scope.model
page.head(
    "Coverage",
    "coverage",
    "For how many classes of each task a model has neurons of their own, beside what the same search finds when the "
    "labels are shuffled. Only what lies beyond the grey counts.",
)
contents = sections.Contents("coverage")
coverage = data.read(store, study.coverage, preset)
sql = coverage.attrs.get("sql")
if scope.dataset is not None:
    coverage = coverage[coverage["dataset"] == scope.dataset]
if coverage.empty:
    st.info(f"The preset {preset} was not run here.")
    st.stop()
for line in facts.beyond_chance(coverage):
    st.markdown(line)
quota = facts.quota_note(coverage, preset)
if quota:
    st.markdown(f":orange[:material/warning:] {quota}")


def choose_point() -> None:
    """Write the clicked model and task to the address."""
    points = st.session_state["coverage_chart"].selection.point
    if points:
        address.go(model=points[0]["model"], task=points[0]["task"])


def by_task() -> None:
    """Coverage and counts of all tasks, beside shuffled labels."""
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    with pair.container(gap="xxsmall"):
        draw.chart(
            overview_charts.coverage_chart, coverage, "point", name=f"coverage_{preset}", legend=False,
            head=sections.subheading("Coverage"), key="coverage_chart", on_select=choose_point, selection_mode="point",
            alt="Coverage of each task by model, over the interval that shuffled labels reach",
        )  # fmt: skip
    with pair.container(gap="xxsmall"):
        draw.chart(
            overview_charts.count_chart, coverage, name=f"neurons_{preset}", legend=False,
            head=sections.subheading("Class-specific neurons"),
            alt="Class-specific neurons of each task by model, over the interval that shuffled labels reach",
        )  # fmt: skip
    bare = coverage[coverage["null_coverage_mean"].isna()]
    if len(bare):
        st.caption(
            f"Without a null, and so not drawn on the left: {words.listed(sorted(set(bare['task'])))}. "
            "`--shuffles 200` computes it."
        )
    st.caption(
        "Grey: 2.5th to 97.5th percentile on shuffled labels; tick: their mean. Click a point for its task below."
    )


draw.key(model_colours(coverage["model"]) | {REFERENCES: NULL_COLOUR})
of_tasks = contents.section(
    "Coverage by task", "coverage", folded="Folded: coverage and counts of each task, beside shuffled labels."
)
if of_tasks:
    with of_tasks.body:
        by_task()

here = coverage[coverage["task"] == task]
measure = address.choice("measure", list(charts.MEASURES), "coverage")


def curves_of_task() -> None:
    """What the rule would find at other settings."""
    curves = data.read(store, coverage_queries.curves, task, preset)
    if preset != "calibrated":
        for line in coverage_facts.begins(coverage_facts.mark_own(curves, here), here):
            st.markdown(line)
    if preset == "calibrated":
        st.caption(
            "No curve for `calibrated`: it keeps no fixed share of the neurons and has no threshold to move; it asks "
            "for evidence (q < 0.05), a lift of 2 and a rate of 2 %. The other two have curves:"
        )
        with st.container(horizontal=True):
            for name in ("aape", "lape"):
                st.page_link(
                    "views/coverage/coverage.py", label=f"Curves of {name}", icon=":material/show_chart:",
                    query_params={**{k: v for k, v in scope.state.items() if v is not None}, "preset": name},
                )  # fmt: skip
        return
    if curves.empty:
        st.caption(
            "No curves were stored for this task. They are computed with `--shuffles` over 0, as "
            "`python run_analysis.py --shuffles 200` does."
        )
        return
    key = address.show("select_measure", measure)
    st.segmented_control(
        "Over the settings", list(charts.MEASURES), format_func=charts.MEASURES.__getitem__, key=key, required=True,
        on_change=address.on_change("measure", key),
    )  # fmt: skip
    marked = coverage_facts.mark_own(curves, here)
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    for setting, title in charts.SETTINGS.items():
        with pair.container(gap="xxsmall"):
            draw.chart(
                charts.curve_chart, coverage_facts.along(marked, setting), setting, measure, name=f"curve_{setting}",
                data=curves, head=sections.subheading(title), legend=False,
                alt=f"{charts.MEASURES[measure]} of {task} over {title.lower()}, a line a model over its null",
            )  # fmt: skip
    shuffles = int(curves["n_shuffles"].max())
    st.caption(
        f"Ring: the setting of this store; on the left the threshold stays there, on the right the share of neurons. "
        f"Band and dashes in a model's colour: {shuffles} shuffles of the labels, 2.5th to 97.5th percentile and mean. "
        "A line within its own band found nothing."
    )


def without_neurons() -> None:
    """The task's classes for which the model has no neuron."""
    head = sections.subheading(f"Classes of {words.plain(task)} without neurons in {words.plain(model)}")
    empty = data.read(store, coverage_queries.classes_without, model, task, preset)
    if not len(here[here["model"] == model]):
        st.caption(f"{words.plain(task)} was not scored with this preset.")
    elif empty.empty:
        st.caption("None: every class has at least one.")
    else:
        st.dataframe(
            coverage_facts.class_table(empty, preset),
            hide_index=True,
            column_config={
                "class_name": tables.COLUMNS["class_name"],
                "n_clips": st.column_config.NumberColumn("Clips", help="Selection clips of the class."),
                "small": st.column_config.TextColumn(
                    "Small", help=f"Fewer than {coverage_facts.SMALL_CLASS} selection clips: too few to find much."
                ),
                "others": st.column_config.TextColumn(
                    "Other rules", help="Neurons that the other rules select for the class."
                ),
                "q_value": st.column_config.NumberColumn(
                    "Lowest q", format="%.2g",
                    help="Lowest q of the neurons that any rule selected for the class; none chosen, none known.",
                ),
                "n_top": st.column_config.NumberColumn(
                    "Fire most here", help="Neurons of the model that fire more in this class than in any other."
                ),
                "entropy_q_value": st.column_config.NumberColumn(
                    "Their lowest q", format="%.2g",
                    help="Lowest q of their entropies: below 0.05 at least one of them tells the classes apart, though "
                    "not clearly enough for the rule. In most tasks most neurons do.",
                ),
            },
            placeholder="–",
            alt=f"Classes of {task} for which {model} has no class-specific neuron",
        )  # fmt: skip
        share.take_away(f"classes_without_{preset}", empty, head)
    class_link.show(
        model, task, None, f"The classes of {words.plain(task)} one by one: their neurons to be heard", preset=preset
    )


of_task = contents.section(
    words.plain(task), "task", asked=None if measure == "coverage" else measure,
    folded="Folded: what the rule would find at other settings, and the classes without neurons.",
)  # fmt: skip
if of_task:
    with of_task.body:
        for line in coverage_facts.sentences(here):
            st.markdown(line)
        curves_of_task()
        without_neurons()

held = coverage[coverage["replicated_share"].notna()]
stable = data.read(store, coverage_queries.stability, preset)
stable = stable[stable["jaccard_mean"].notna() & stable["task"].isin(set(coverage["task"]))]


def replicated() -> None:
    """Whether what was selected is so on test clips too, and whether halves of the clips select the same."""
    pair = st.grid(2, min_column_width=PAIR_WIDTH, gap="medium")
    with pair.container(gap="xxsmall"):
        if held.empty:
            st.caption("Nothing to replicate: no pair was selected, or no task here has test clips of its classes.")
        else:
            draw.chart(
                charts.replication_chart, held, name=f"replicated_{preset}", legend=False,
                head=sections.subheading("On test clips"),
                alt="Share of selected pairs that are replicated on test clips by task and model, beside all pairs",
            )  # fmt: skip
    with pair.container(gap="xxsmall"):
        if stable.empty:
            st.caption("No halves were compared, or none chose any pair.")
        else:
            draw.chart(
                charts.stability_chart, stable, name=f"stability_{preset}", legend=False,
                head=sections.subheading("On two halves of the clips"),
                alt="Overlap of the pairs chosen on two halves of the clips by task and model, beside chance",
            )  # fmt: skip
    st.caption(
        "Grey ticks: left, the share of all pairs that would replicate by themselves (where it is as high, the "
        "selection added nothing); right, the overlap of sets of that size by chance. Grey points: fewer than "
        f"{charts.FEW_PAIRS} pairs, too few to tell."
    )
    gone = sorted(set(coverage["task"]) - set(held["task"]) | set(coverage["task"]) - set(stable["task"]))
    if gone and len(held) and len(stable):
        st.caption(f"Missing on one side: {words.listed(gone, 6)}.")


of_replicas = contents.section(
    "Replicated on test clips?", "replicated", is_open=False, folded=coverage_facts.replicated_sentence(held),
    help="Left: is the rate in the class at least twice the other classes' on test clips too? Right: does the same "
    "rule choose the same pairs of neuron and class on two halves of the clips?",
)  # fmt: skip
if of_replicas:
    with of_replicas.body:
        replicated()

table = st.expander("The numbers", icon=":material/table:", on_change="rerun")
if table.open:
    with table:
        head = sections.subheading("Every model and task")
        shown = coverage.merge(
            stable[["model", "task", "jaccard_mean", "jaccard_expected", "n_pairs_mean"]],
            on=["model", "task"],
            how="left",
        )
        st.dataframe(
            tables.percent(shown, *coverage_facts.SHARES), hide_index=True, placeholder="–",
            column_order=list(coverage_facts.COLUMNS),
            column_config={
                name: st.column_config.NumberColumn(title, format=form, help=meaning)
                if form
                else st.column_config.TextColumn(title, help=meaning)
                for name, (title, form, meaning) in coverage_facts.COLUMNS.items()
            },
            alt="Coverage, counts, nulls, replication and stability of every model and task",
        )  # fmt: skip
        rows = pd.DataFrame(shown)
        rows.attrs["sql"] = sql
        share.take_away(f"table_{preset}", rows, head)

address.write({**scope.state, "measure": st.query_params.get("measure")})
