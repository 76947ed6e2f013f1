"""The sidebar: which model, dataset, task and selector the pages show, kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from dashboard.shared import address, command, data, opening, presets
from dashboard.shared import store as stores
from dashboard.shared.text import words
from db.reads import study

ALL_DATASETS = "all datasets"
PARTS = ("model", "dataset", "task", "preset")


@dataclass(frozen=True)
class Scope:
    """What the sidebar chose; a part that the page does not show is the remembered or first one.

    ``dataset`` None stands for all; ``task`` is always one of ``tasks``, the scored tasks of ``model``
    in ``dataset``.
    """

    store: data.Store
    models: tuple[str, ...]
    model: str
    dataset: str | None
    tasks: tuple[str, ...]
    task: str
    preset: str
    shown: tuple[str, ...]

    @property
    def state(self) -> dict[str, str | None]:
        """What the address must say of it."""
        return {name: getattr(self, name) for name in self.shown}


def choose(
    show: Sequence[str] = PARTS,
    clears: Sequence[str] = (),
    clears_model: Sequence[str] = (),
    opens_on: opening.Telling = opening.by_replication,
    any_units: bool = False,
) -> Scope:
    """Show the sidebar's selectors and return what they say; ends the page where nothing is scored.

    Parameters
    ----------
    show : sequence of str
        Which of `PARTS` matter to the page.
    clears : sequence of str
        Names of the page's own state that another model, dataset or task makes void.
    clears_model : sequence of str
        Those that another model makes void.
    opens_on : callable
        Of `dashboard.shared.opening`: tasks in the order in which they tell most on this page.
    any_units : bool
        Whether the page shows an encoder through units other than its neurons, too.
    """
    store = stores.require()
    every = data.read(store, study.unit_models)
    shown_models = every if any_units else every[every["unit_kind"] == "mlp"]
    if shown_models.empty and len(every):
        st.info("This page sets the neurons of models side by side, and this store holds other units alone.")
        st.page_link("views/units/units.py", label="Units", icon=":material/scatter_plot:")
        st.stop()
    models = [str(name) for name in shown_models["name"]]
    model = address.choice("model", models, models[0])
    scored = data.read(store, study.tasks, model)
    datasets = list(dict.fromkeys(scored["dataset"]))
    dataset = address.choice("dataset", [*datasets, ALL_DATASETS], ALL_DATASETS) if "dataset" in show else ALL_DATASETS
    of_dataset = scored if dataset == ALL_DATASETS else scored[scored["dataset"] == dataset]
    tasks = [str(name) for name in of_dataset["task"]]
    if not tasks:
        st.info(f"No task has been scored for {words.plain(model)}.")
        command.show({**command.ALL, "--model": model})
        st.stop()
    preset = address.choice("preset", list(presets.MEANING), next(iter(presets.MEANING)))
    usual = opening.first(tasks, opens_on(store, model, preset)) if "task" in show else tasks[0]
    task = address.choice("task", tasks, usual)
    with st.sidebar:
        if "model" in show:
            address.select("Model", "model", models, model, clears=("dataset", "task", *clears, *clears_model))
            of_model = every[every["name"] == model].iloc[0]
            if of_model["unit_kind"] != "mlp":
                st.caption(f"Of {words.plain(of_model['encoder'])}: {of_model['description']}. The page says neuron.")
        if "dataset" in show:
            address.select("Dataset", "dataset", [ALL_DATASETS, *datasets], dataset, clears=("task", *clears))
        if "task" in show:
            # Beside the dataset's own name its tasks need not repeat it.
            address.select(
                "Task", "task", tasks, task, clears=clears,
                format_func=lambda name: name if dataset == ALL_DATASETS else words.within(name, dataset),
            )  # fmt: skip
        if "preset" in show:
            _select_preset(preset)
    of = None if dataset == ALL_DATASETS else dataset
    return Scope(store, tuple(models), model, of, tuple(tasks), task, preset, tuple(show))


def _select_preset(preset: str) -> None:
    """Show the selection rules, and below it what the chosen one means."""
    key = address.show("select_preset", preset)
    st.segmented_control(
        "Selection rule",
        list(presets.MEANING),
        key=key,
        required=True,
        on_change=address.on_change("preset", key),
        help="How class-specific neurons are chosen. All three are stored side by side.",
    )
    st.caption(presets.MEANING[preset])
