"""Ablation: what becomes of a class without its neurons, in what way and how much, beside random ones."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, class_link, command, data, draw, opening, page, sections, share, sidebar, tables
from dashboard.shared.text import kinds, numbers, words
from dashboard.shared.text.glossary import TERMS
from dashboard.views.ablation import attribution, charts, clips, effect, erasure, outcomes
from dashboard.views.ablation import facts as ablation_facts
from db.reads import ablation as queries

MOST_ROWS = 40  # of the strip
MOST_CLASSES = 12  # of the chart of necessity and sufficiency
PAIR_WIDTH = 380  # pixels; narrower charts stand one below the other
OWN_STATE = ("selection", "gain", "outcome", "target", "beside", "clips", "attributed")

scope = sidebar.choose(show=("model", "dataset", "task"), clears=OWN_STATE, opens_on=opening.by_effect, any_units=True)
store, model, task = scope.store, scope.model, scope.task
page.head(
    "Ablation", "ablation",
    "Take the neurons of one class out of the network, and ask the same linear probe again. The same is done to random "
    "neurons: only what goes beyond them is owed to the choice.", f"Ablation of {task}, {model}",
)  # fmt: skip
contents = sections.Contents("ablation")

settings = data.read(store, queries.ablated, model, task)
if settings.empty:
    st.info(
        f"Nothing was ablated for {words.plain(task)} on {words.plain(model)}. The overview's notes say why "
        "(no linear probe, no class with both neurons and enough test clips, or the stage was not asked for)."
    )
    command.show({"--tasks": task, "--model": model, "--stages": "ablate"})
    attribution.show(contents, store, model, task)
    address.write(scope.state)
    st.stop()

selections = list(dict.fromkeys(settings["selection"]))
apart = set(settings.loc[settings["n_taken_apart"] > 0, "selection"])
# What the last task had is shown here too, unless only its accuracy is known where others are taken apart.
offered = selections if "selection" in st.query_params else [s for s in selections if s in apart] or selections
selection = address.choice("selection", offered, kinds.first_selection(offered))
of_selection = settings[settings["selection"] == selection]
operations = {
    ablation_facts.operation_key(name, gain): (name, None if pd.isna(gain) else float(gain))
    for name, gain in zip(of_selection["operation"], of_selection["gain"], strict=True)
}
keys = ablation_facts.operation_order(list(operations))
key = address.choice("gain", keys, "0" if "0" in keys else keys[0])
operation, gain = operations[key]
chosen = queries.Chosen(model, task, selection, operation, gain)
with st.container(horizontal=True, vertical_alignment="bottom"):
    address.select(
        "Neurons chosen by", "selection", selections, selection, clears=("gain", "target", "beside"), width=210,
        help="How the neurons of a class were chosen: the highest by a score (mad), the share with the strongest "
        "evidence (top), or a preset's own set.",
    )  # fmt: skip
    address.select(
        "What was done to them", "gain", keys, key, width=250, format_func=ablation_facts.operation_label,
        help="Their output times a factor, set to its mean over the clips, or all other neurons of their layers "
        "set to theirs.",
    )  # fmt: skip

own = data.read(store, queries.own_effects, model, task, selection)
frozen = data.derive(outcomes.done_so, own, operation, gain)
accuracy = data.derive(outcomes.mean_accuracy, frozen)
is_apart = bool(outcomes.done_so(of_selection, operation, gain)["n_taken_apart"].sum())
measures = data.read(store, queries.measured, chosen) if is_apart else []
measures = [name for name in outcomes.MEASURES if name in (*measures, "accuracy")]


def effects_in(name: str) -> pd.DataFrame:
    """Every effect in one measure, as the store has it."""
    if name == "accuracy":
        return data.read(store, queries.effects, chosen)
    return data.read(store, queries.outcomes, chosen, name)


# Where nothing is asked for, the first measure in which anything is significant.
outcome = address.optional("outcome", measures) or next(
    (name for name in measures if data.derive(outcomes.shown, effects_in(name), name)["stands"].any()), measures[0]
)
measure = outcomes.MEASURES[outcome]
of_accuracy = outcome == "accuracy"
effects = effects_in(outcome)
means = effect.means_of(store, chosen)
effect.show_verdict(store, chosen, means, accuracy)
if not is_apart:
    st.info(
        f"Of {words.plain(selection)} only accuracy is stored, which moves in steps of whole clips and cannot tell a "
        "shift from a loss. Run again to get the effect taken apart (total, shift, selective, what can still be read):"
    )
    command.show(outcomes.again(task, model, selection if apart else "", keys))
effect.show_doses(contents, store, chosen, means)
shown = data.derive(outcomes.shown, effects, outcome)
targets, classes = ablation_facts.targets_in_order(effects), ablation_facts.classes_in_order(effects)
usual = data.derive(outcomes.strongest_target, shown)
target = address.optional("target", targets) or usual


def choose_cell() -> None:
    """Write the clicked row's target to the address."""
    cells = st.session_state["matrix"].selection.cell
    if cells:
        address.go(target=cells[0]["target"])


def show_matrix(head: DeltaGenerator) -> None:
    """Every class by the neurons of every class, in the chosen measure."""
    if len(measures) > 1:
        st.segmented_control(
            "Measured as", measures, format_func=lambda name: outcomes.MEASURES[name].label, required=True,
            label_visibility="collapsed", key=address.show("select_outcome", outcome),
            on_change=address.on_change("outcome", "select_outcome"),
        )  # fmt: skip
    dark = st.context.theme.type == "dark"
    nothing = not shown["stands"].any()
    folded = st.expander(
        f"Nothing is significant in this measure: all {len(shown):,} changes may be noise", icon=":material/grid_off:",
        on_change="rerun",
    ) if nothing else None  # fmt: skip
    if folded is None or folded.open:
        with folded or st.container():
            draw.chart(
                charts.matrix, shown, targets, classes, target, dark, measure.label, measure.digits, key="matrix",
                on_select=choose_cell, name=f"ablation_{model}_{task}", data=effects, head=head,
                alt=f"{measure.label}: change of every class of {task} by the neurons of every class",
            )  # fmt: skip
    rule = f"q < 0.05{' over all cells, interval excludes 0,' if of_accuracy else ''} and beyond all random controls"
    st.caption(
        f"Effect of silencing the row’s neurons on the column’s class. {measure.meaning} Colour: significant ({rule}), "
        f"{outcomes.counted(shown)}. Grey: it may be noise, or what any neurons do. Framed: the class's own neurons. "
        "Click a row to see it below. "
        + (ablation_facts.power_sentence(effects) if of_accuracy else outcomes.power_sentence(shown))
    )
    address.select("Look closer at the neurons of", "target", targets, target, width=260)
    if target in classes:
        class_link.show(model, task, target)


of_matrix = contents.section(
    "Effect of silencing, class by class", "matrix",
    folded=f"Folded: {outcomes.counted(shown)} are significant.",
    help="Effect of silencing the row’s neurons on the column’s class. Row: the class whose neurons were changed. "
    "Column: the class whose test clips were asked. The frame marks a class's own neurons: losses there and not beside "
    "it mean neurons specific to the class.",
)  # fmt: skip
if of_matrix:
    with of_matrix.body:
        show_matrix(of_matrix.head)

views = {
    ablation_facts.OWN: "Each class by its own neurons",
    "target": f"All classes by the neurons of {words.plain(target)}",
}
beside = address.choice("beside", list(views), ablation_facts.OWN)
of = None if beside == ablation_facts.OWN else target
rows = data.derive(outcomes.in_strip, shown, of)


def show_strip(head: DeltaGenerator) -> None:
    """Each effect with its interval over its random sets, and all of them as a table."""
    st.segmented_control(
        "Effects", list(views), format_func=lambda name: views[name], required=True, label_visibility="collapsed",
        key=address.show("select_beside", beside), on_change=address.on_change("beside", "select_beside"),
    )  # fmt: skip
    if rows.empty:
        st.caption("No target is a class of the task, so this measure has no row here: choose total or accuracy.")
    else:
        if of is None and rows["affected_class"].isna().all():
            st.caption("No target is a class of the task: shown is what each does to all test clips.")
        strongest = rows.loc[rows["value"].abs().sort_values(ascending=False, kind="stable").index[:MOST_ROWS]]
        draws = data.read(
            store, queries.controls, chosen, of, bool(rows["affected_class"].isna().all()), measure.control
        )  # fmt: skip
        draw.chart(
            charts.strip, strongest, outcomes.draws_beside(draws, strongest, measure.factor),
            "Class" if of is None else "Asked on", measure.axis, measure.digits, name=f"controls_{model}_{task}",
            head=head, data=draws, alt="Each effect with its interval over what random sets of the same size did",
        )  # fmt: skip
        if len(rows) > MOST_ROWS:
            st.caption(f"The {MOST_ROWS} strongest of {len(rows):,}.")
        details = st.expander(
            "The numbers, with what goes beyond controls and other heads", icon=":material/table:", on_change="rerun"
        )
        if details.open:
            with details:
                end = sections.subheading("Effects with intervals, controls, groups and heads")
                form = f"%+.{measure.digits + 1}f"
                st.dataframe(
                    rows, hide_index=True, placeholder="–",
                    column_order=["label", "n_clips", "n_units", "q_value", *outcomes.TABLE, "control_p_value"],
                    column_config={
                        **tables.COLUMNS,
                        "label": "Effect",
                        "q_value": st.column_config.NumberColumn("q", format="%.2g", width=100, help=TERMS["q"]),
                        "n_clips": st.column_config.NumberColumn("Clips", help="Test clips."),
                        "n_units": st.column_config.NumberColumn("Units", help="Clips, or groups of them, that count."),
                        "control_p_value": st.column_config.NumberColumn(
                            "p of controls", format="%.2g",
                            help="How often a random set is as far out; least: 1 / (sets + 1).",
                        ),
                        **{
                            name: st.column_config.NumberColumn(heading, format=form, help=meaning)
                            for name, (heading, meaning) in outcomes.TABLE.items()
                        },
                    },
                    alt="Effects with intervals, controls, groups and heads",
                )  # fmt: skip
                share.take_away(f"effects_{model}_{task}", effects, end)


of_strip = contents.section(
    "Beside random neurons", "strip", is_open=not is_apart,
    asked=None if (beside, target) == (ablation_facts.OWN, usual) else (beside, target),
    folded=f"{int(rows['stands'].sum())} of {numbers.counted(len(rows), 'effect')} "
    f"{'of the classes’ own neurons' if of is None else f'of the neurons of {words.plain(target)}'} are significant "
    "beyond all random sets.",
    help="Grey circles: what random sets of the same size and layers did, larger where several did the same. Line: "
    "95 % interval of the effect. Significant: q < 0.05 and beyond the random sets (of accuracy also: the "
    "interval excludes 0).",
)  # fmt: skip
if of_strip:
    with of_strip.body:
        show_strip(of_strip.head)

effect.show_readable(contents, store, chosen, means, (frozen, accuracy))
heard = clips.show(contents, store, chosen, target, outcome)


def show_accuracies() -> None:
    """Doses, what is needed and enough, and which choice is most specific."""
    doses, parts = data.derive(ablation_facts.doses, own), data.derive(ablation_facts.needed_and_enough, own)
    has_dose = doses["dose"].nunique() > 2
    blocks = st.grid(2 if has_dose or len(parts) else 1, min_column_width=PAIR_WIDTH, gap="large")
    left, right = blocks.container(), blocks.container()
    if has_dose:
        with left:
            head = sections.subheading(
                "Dose", help="The more the neurons are turned down or up, the more should change, if they matter."
            )
            draw.chart(
                charts.dose_curve, doses, target, name=f"dose_{model}_{task}", head=head, data=own,
                alt=f"Change of accuracy over gains for the neurons of {target}, with random controls",
            )  # fmt: skip
            st.caption("Vertical lines: 95 % interval. Band and dashed line: range and mean of the random controls.")
    if len(parts):
        with right:
            head = sections.subheading(
                "Needed, and enough?",
                help="Needed: accuracy falls when the neurons are silenced or set to their mean. Enough: it stays when "
                "all other neurons of their layers are set to theirs. Grey: the same done to random sets.",
            )
            draw.chart(
                charts.parts_chart, ablation_facts.some_targets(parts, target, MOST_CLASSES),
                name=f"needed_enough_{model}_{task}", head=head, data=own,
                alt="Accuracy of each class untouched, without its neurons, and with them alone",
            )  # fmt: skip
            st.caption(
                "Wide tick: untouched network. Lines: 95 % interval. Grey: range and mean of the random controls."
            )
    with right if has_dose and parts.empty else left:
        head = sections.subheading(
            "Which choice is most specific?",
            help="Mean change of a class by its own neurons, of the other classes by them (both less what controls "
            "did), and the difference, with its bootstrap interval over classes.",
        )
        if specific.empty:
            st.caption("Not computed: it needs at least one class with neurons of its own, and random controls.")
        else:
            st.markdown(ablation_facts.specific_sentence(specific))
            draw.chart(
                charts.specificity_chart, specific, name=f"specificity_{model}_{task}", head=head,
                alt="Self effect, cross effect and their difference for every way of choosing neurons",
            )  # fmt: skip


specific = data.read(store, queries.specificity, model, task)
specific = outcomes.done_so(specific, operation, gain)
of_accuracies = contents.section(
    "Accuracy by dose and choice", "doses", is_open=False,
    folded=ablation_facts.specific_sentence(specific) if len(specific)
    else "Folded: what more and less of a change does to the accuracy of each class.",
)  # fmt: skip
if of_accuracies:
    with of_accuracies.body:
        show_accuracies()

erasure.show(contents, store, model, task, target)
attribution.show(contents, store, model, task, target)
address.write(
    {**scope.state, "selection": selection, "gain": key, "outcome": outcome if len(measures) > 1 else None,
     "target": target, "beside": beside, "clips": heard, "attributed": st.query_params.get("attributed")}
)  # fmt: skip
