"""Time: which units answer to segments of clips (phones, notes, events), when, and how soon after their onsets."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared import address, command, data, draw, page, sections, share, tables
from dashboard.shared import store as stores
from dashboard.shared.charts.common import class_order
from dashboard.shared.charts.in_time import curve_chart
from dashboard.shared.player.overlays import of_patterns
from dashboard.shared.player.player import Track, player, stored_track
from dashboard.shared.text import in_time as told
from dashboard.shared.text import words
from dashboard.shared.text.glossary import TERMS
from dashboard.shared.text.numbers import counted
from dashboard.views.time import charts, facts
from db.reads import clips as clip_queries
from db.reads import segments, study

MOST_UNITS, MOST_CURVES, MOST_LATENCIES, MOST_CLIPS = 200, 6, 24, 8
CURVE_WIDTH = 250  # pixels; narrower charts stand one below the other
INTRO = (
    "When, not only whether: which units fire in segments of clips (phones, notes, events), how soon after their "
    "onsets, and in which part of them; beside labels shifted in time."
)

store = stores.require()
every = data.read(store, segments.tasks)
if every.empty:
    page.head("Time", "time", INTRO)
    st.info(
        "No segments were counted in this store. Datasets whose clips have segments beside them (TextGrid, labels, "
        "MIDI) have tasks in time; the demo has some. This command counts them, in the pass that records clips:"
    )
    command.show(command.ALL)
    address.write({})
    st.stop()
models = list(dict.fromkeys(map(str, every["model"])))
model = address.choice("model", models, models[0])
of_model = every[every["model"] == model].set_index("task", drop=False)
names = [str(name) for name in of_model["task"]]
best = of_model.sort_values(["n_classes_covered", "n_class_specific"], ascending=False, kind="stable")["task"]
task = address.choice("time_task", names, str(best.iloc[0]))
with st.sidebar:
    address.select("Model", "model", models, model, clears=("time_task", "time_class", "layer", "neuron"))
    address.select("Task in time", "time_task", names, task, clears=("time_class", "layer", "neuron"))
found: dict[Any, Any] = of_model.loc[task].to_dict()
page.head("Time", "time", INTRO, f"{task} in time, {model}")
contents = sections.Contents("time")
classes = data.read(store, segments.classes, model, task)
counted_classes = classes[classes["token_count"] > 0]
class_names = class_order(counted_classes["class_name"])
most = counted_classes.sort_values(["n_class_specific", "token_count"], ascending=False, kind="stable")["class_name"]
asked = address.optional("time_class", class_names)
class_name = asked or (str(most.iloc[0]) if len(most) else "")


def choose_class() -> None:
    """Write the clicked class to the address."""
    points = st.session_state["time_classes"].selection.point
    if points:
        for name in ("layer", "neuron"):
            st.query_params.pop(name, None)
        address.go(time_class=points[0]["class_name"])


def of_classes(head: DeltaGenerator) -> None:
    """Units of each class, layer by layer; and how much there is of each."""
    n_layers = data.read(store, study.layers, model)["layer"].tolist()
    grid = pd.MultiIndex.from_product([class_names, n_layers], names=["class_name", "layer"]).to_frame(index=False)
    rows = grid.merge(data.read(store, segments.by_layer, model, task), on=["class_name", "layer"], how="left")
    rows = rows.assign(n_units=rows["n_units"].fillna(0).astype(int))
    draw.chart(
        charts.class_heatmap, rows, class_names, class_name, name=f"time_{model}_{task}", head=head,
        key="time_classes", on_select=choose_class, selection_mode="point",
        alt=f"Units of {model} that are specific for each class of {task}, layer by layer",
    )  # fmt: skip
    null = told.by_chance(found)
    st.caption(f"Click a class for its units. All layers and classes have one line of q < 0.05; {null}.")
    folded = st.expander("How much there is of each class, as a table", on_change="rerun", key="time_class_table")
    if folded.open:
        with folded:
            st.dataframe(
                facts.class_rows(classes, [*class_names, *classes["class_name"]]).assign(
                    milliseconds=1000 * classes["seconds"]
                ),
                hide_index=True, placeholder="–",
                column_order=["class_name", "n_class_specific", "n_segments", "n_clips", "n_test_clips", "token_count",
                              "milliseconds", "n_too_short"],
                column_config={
                    **tables.COLUMNS,
                    "n_class_specific": st.column_config.NumberColumn("Units"),
                    "n_segments": st.column_config.NumberColumn("Segments", help="In train and valid clips."),
                    "n_clips": st.column_config.NumberColumn("Clips", help="Train and valid clips that have it."),
                    "n_test_clips": st.column_config.NumberColumn("Test clips"),
                    "token_count": st.column_config.NumberColumn("Tokens", help="0: the class is left out."),
                    "milliseconds": st.column_config.NumberColumn("Median ms", format="%.0f"),
                    "n_too_short": st.column_config.NumberColumn(
                        "Too short", help="Segments in which no column lies by half, of all splits."
                    ),
                },
                alt=f"Segments, clips and tokens of each class of {task}",
            )  # fmt: skip


def chosen_unit(units: pd.DataFrame) -> dict[Any, Any]:
    """The unit of the address, or that of the strongest evidence."""
    layer, neuron = (st.query_params.get(name, "") for name in ("layer", "neuron"))
    if layer.isdecimal() and neuron.isdecimal():
        at = units[(units["layer"] == int(layer)) & (units["neuron"] == int(neuron))]
        if len(at):
            return at.to_dict("records")[0]
        st.warning("The address asks for a unit that is not among the strongest of this class; showing the strongest.")
    return units.to_dict("records")[0]


def list_units(units: pd.DataFrame, head: DeltaGenerator) -> None:
    """The class's units with their evidence; a mark chooses one."""
    key = f"time_units_{task}_{class_name}"

    def mark() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            one = units.iloc[rows[0]]
            address.go(time_class=class_name, layer=int(one["layer"]), neuron=int(one["neuron"]))

    rows = facts.with_evidence_first(units).assign(
        replicated=units["replicated"].map(tables.yes_no), found=units["is_class_specific"].map(tables.yes_no),
        link=[address.relative("neuron", model=model, layer=layer, neuron=neuron, part="time")
              for layer, neuron in zip(units["layer"], units["neuron"], strict=True)],
    )  # fmt: skip
    st.dataframe(
        tables.percent(rows, "activation_probability"), hide_index=True, placeholder="–", key=key, on_select=mark,
        selection_mode="single-row", height=min(38 + 35 * len(rows), 320),
        column_order=["layer", "link", "found", "activation_probability", "lift", "q_value", "replicated", "latency",
                      "shape"],
        column_config={
            **tables.COLUMNS,
            "layer": st.column_config.NumberColumn("Layer", format="%d"),
            "link": st.column_config.LinkColumn("Neuron", display_text=r"neuron=(\d+)", alignment="left"),
            "found": st.column_config.TextColumn("Specific", help="q < 0.05, lift at least 2, rate at least 2 %."),
            "activation_probability": st.column_config.NumberColumn("Rate", format="%.1f%%"),
            "latency": st.column_config.TextColumn("Latency [95 %]", help=TERMS["latency"]),
            "shape": st.column_config.TextColumn("Onset / sustain / offset", help=TERMS["onset index"]),
        },
        alt=f"Units of {class_name} by their evidence",
    )  # fmt: skip
    if len(units) == MOST_UNITS:
        st.caption(
            f"The {MOST_UNITS} of the strongest evidence, here and in the file; all are in the view segment_scores."
        )
    share.take_away(share.file_name("time", model, task, class_name), units, head)


def show_curves(units: pd.DataFrame, one: dict[Any, Any]) -> None:
    """Curves of the chosen unit and the strongest others."""
    curves = data.read(store, segments.curves, model, task, class_name)
    if curves.empty:
        st.caption("No curve is kept for this class: its units do not fire near any onset.")
        return
    kept = units[units["is_beyond"].notna()]
    is_one = (kept["layer"] == one["layer"]) & (kept["neuron"] == one["neuron"])
    shown = pd.concat([kept[is_one], kept[~is_one]]).head(MOST_CURVES)
    top = float(max(curves["activation_probability"].max(), curves["null_high"].max()))
    grid = st.grid(3, min_column_width=CURVE_WIDTH, gap="medium")
    for row in shown.to_dict("records"):
        rows = curves[(curves["layer"] == row["layer"]) & (curves["neuron"] == row["neuron"])]
        name = facts.title(row["layer"], row["neuron"])
        with grid.container(gap="xxsmall"):
            draw.chart(
                curve_chart, rows.drop(columns=["layer", "neuron"]), bool(row["is_class_specific"]), top,
                name=f"curve_{name}", head=sections.subheading(name),
                alt=f"Rate of {name} around onsets of {class_name}, over the band of shifted activity",
            )  # fmt: skip
            st.caption(f"Latency {told.latency(row)}; {told.shape(row)}.")
    more = f" Kept are curves of {counted(len(kept), 'unit')} here." if len(kept) > len(shown) else ""
    st.caption(
        "Orange: specific for the class; line at 0: the onset. Grey: where 95 % of curves of shifted activity lie as a "
        f"whole, dashed their mean.{more}"
    )


def show_latencies(units: pd.DataFrame) -> None:
    """Latencies of the class's units by layer."""
    rows = units[(units["is_beyond"] == 1) & units["latency_seconds"].notna()].head(MOST_LATENCIES)
    if len(rows) < 2:
        return
    draw.chart(
        charts.latency_chart, rows[["layer", "neuron", "latency_seconds", "latency_low", "latency_high",
                                    "is_class_specific"]],
        name=share.file_name("latency", model, task, class_name), head=sections.subheading("Latencies, layer by layer"),
        alt=f"Latency of units after onsets of {class_name} with 95 % intervals, layer by layer",
    )  # fmt: skip
    st.caption(
        f"Half of the peak on the way up; lines: 95 % over resampled clips, of groups where known, and a column "
        f"({told.seconds(found['column_seconds'])}) on either side. Only a line wholly below 0 says that the unit "
        "answers before the onset."
    )


def hear(one: dict[Any, Any]) -> None:
    """Clips with their labels below the picture: the unit's top ones that have segments, then others of the class."""
    layer, neuron = int(one["layer"]), int(one["neuron"])
    dataset = str(found["dataset"])
    own = data.read(store, clip_queries.neuron_clips, model, dataset, layer, neuron)
    own = own[own["kind"] == "top"]
    others = data.read(store, segments.clips, task, class_name, MOST_CLIPS)
    shown = pd.concat([own, others[~others["clip_id"].isin(own["clip_id"])]], ignore_index=True).head(MOST_CLIPS)
    if shown.empty:
        st.caption("No clip of this class is stored.")
        return
    labels = facts.labels_of(
        data.read(store, segments.labels, task, tuple(int(clip) for clip in shown["clip_id"])), class_name
    )
    overlays = of_patterns(
        data.read(store, clip_queries.neuron_patterns, model, dataset, layer, neuron), facts.title(layer, neuron)
    )
    tracks: list[Track] = []
    for clip in shown.to_dict("records"):
        is_top = not pd.isna(clip.get("rank"))
        caption = f"top {int(clip['rank'])} of the unit" if is_top else f"{int(clip['n_segments'])} × {class_name}"
        track = stored_track(clip, str(clip["path"]), caption, overlays.get(int(clip["clip_id"])))
        tracks.append(Track(**{**vars(track), "labels": labels.get(int(clip["clip_id"]), ())}))
    player(tracks, key="time_player", label=f"Player of {facts.title(layer, neuron)}")
    st.caption(
        f"Below the picture: labels of {words.plain(task)}, those of {words.plain(class_name)} filled. When the unit "
        "fires is laid over clips of which it is stored: its top ones."
    )


st.markdown(facts.answer(found))
st.caption(facts.how(found))
for line in facts.warnings(found):
    st.markdown(f":orange[:material/info:] {line}")
state: dict[str, object | None] = {"model": model, "time_task": task, "time_class": asked}
if class_name:
    by_class = contents.section("Classes", "classes")
    if by_class:
        with by_class.body:
            of_classes(by_class.head)
    units = data.read(store, segments.units, model, task, class_name, MOST_UNITS)
    one = chosen_unit(units)
    if "neuron" in st.query_params:
        state |= {"layer": int(one["layer"]), "neuron": int(one["neuron"])}
    of_units = contents.section(f"Units of {words.plain(class_name)}", "units", asked=asked)
    if of_units:
        with of_units.body:
            address.select("Class", "time_class", class_names, class_name, clears=("layer", "neuron"), width=260)
            sentence = told.unit_sentence(one, class_name, found["column_seconds"])
            st.markdown(f"**{facts.title(one['layer'], one['neuron'])}** {sentence}")
            list_units(units, of_units.head)
    of_curves = contents.section("Around onsets", "curves", folded="Folded: curves with the band of shifted activity.")
    if of_curves:
        with of_curves.body:
            show_curves(units, one)
            show_latencies(units)
    to_hear = contents.section("Hear it", "hear", folded="Folded: clips with their labels below the picture.")
    if to_hear:
        with to_hear.body:
            hear(one)
else:
    st.caption("No class has a token: its segments are too short for the model's columns.")
address.write(state)
