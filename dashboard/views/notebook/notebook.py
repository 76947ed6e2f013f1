"""Notebook: starred units with names, notes and lists; a link for each list; CSV there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from dashboard.shared import address, command, data, notebook, page, share
from dashboard.shared import store as stores
from dashboard.shared.text import words
from dashboard.shared.text.numbers import counted
from dashboard.views.notebook import facts
from db.connection.open import StoreError
from db.notebook import exchange
from db.notebook.records import LONGEST_NAME, STARRED, Entry, NotebookError
from db.reads import study

IMPORTED = "notebook_imported"

store = stores.require()
page.head(
    "Notebook",
    "notebook",
    "Neurons and other units that you starred, with your names, notes and lists. A list has a link of its own, and can "
    "be ablated as one target.",
)
kept = notebook.of(store)
notebook.tell()
units = data.read(store, study.unit_models).set_index("name")
widths = {
    str(model): {int(layer): int(width) for layer, width in of[["layer", "width"]].itertuples(index=False)}
    for model in units.index
    if len(of := data.read(store, study.layers, str(model)))
}


def where() -> None:
    """Whose notebook it is."""
    try:
        book = notebook.book(store.location)
    except StoreError as error:
        st.caption(words.plain(error))
        return
    st.caption(f"Kept in {words.plain(book.name)}, {words.plain(book.whose)}; the store itself is not written.")


def shown_list() -> str:
    """Choose a list; all that is starred where none is asked for."""
    name = address.optional("list", [STARRED, *kept.lists]) or STARRED
    if kept.lists:
        key = address.show("select_list", name)
        st.pills(
            "List", [STARRED, *kept.lists], key=key, required=True, on_change=address.on_change("list", key),
            format_func=lambda one: words.plain(f"{one} ({len(kept.of(one))})"), label_visibility="collapsed",
        )  # fmt: skip
    return name


def menus(name: str) -> None:
    """What can be done with a list and with all of the notebook."""
    with st.container(horizontal=True):
        if kept.entries:
            with st.popover("Export", icon=":material/download:", key="notebook_export"):
                export(name)
        with st.popover("Import", icon=":material/upload:", key="notebook_import"):
            take_in()
        if name != STARRED:
            with st.popover("Edit list", icon=":material/edit:", key="notebook_edit"):
                edit(name)


def export(name: str) -> None:
    """The list, or all that is starred, as CSV, and as targets of an ablation."""
    only, entries = (None if name == STARRED else name), kept.of(name)
    st.download_button(
        f"CSV of {words.plain(name)}", lambda: share.csv(exchange.table(entries, only)),
        file_name=share.file_name("notebook", f"{name}.csv"), key="notebook_csv", on_click="ignore",
        help="Can be imported again, here or beside another store.",
    )  # fmt: skip
    lists = kept.lists if only is None else {name: entries}
    for model in facts.models([entry for of in lists.values() for entry in of]):
        targets = f"{share.file_name('targets', name, model)}.csv"
        st.download_button(
            f"Targets in {words.plain(model)}", partial(targets_csv, lists, model), file_name=targets,
            key=f"targets_{model}", on_click="ignore",
            help="Each list as one target of an ablation.",
        )  # fmt: skip
        if model in units.index:
            kind = str(units.loc[model, "unit_kind"])
            of_kind = {} if kind == "mlp" else {"--units": kind}
            command.show(
                {**command.ALL, "--model": str(units.loc[model, "encoder"]), **of_kind, "--ablate": f"file:{targets}"}
            )


def targets_csv(lists: Mapping[str, Sequence[Entry]], model: str) -> bytes:
    """Lists as ``--ablate file:`` takes them."""
    return share.csv(exchange.targets(lists, model))


def take_in() -> None:
    """A file of one's own, told line by line."""
    with st.form("notebook_form", border=False):
        st.file_uploader(
            "A CSV from here, or with the columns model, layer, neuron", type="csv", key="notebook_file",
            max_upload_size=exchange.MOST_BYTES // 1_000_000,
            help="What is in the notebook stays as it is; names, notes and lists of the file are added. "
            f"Columns: {', '.join(exchange.COLUMNS)}.",
        )  # fmt: skip
        st.form_submit_button("Take it in", on_click=taken_in)


def taken_in() -> None:
    """Read the file that was chosen; what is told of it stands on the page until another is read."""
    given = st.session_state["notebook_file"]
    try:
        if given is None:
            raise NotebookError("no file was chosen")
        read = exchange.read(given.getvalue(), widths)
        faults = {**read.faults, **notebook.book(store.location).take_in(read.entries)}
    except StoreError as error:
        st.session_state[IMPORTED] = [f"Nothing was read: {words.plain(error)}."]
    else:
        st.session_state[IMPORTED] = facts.imported(len({one.unit for one in read.entries.values()}), faults)


def edit(name: str) -> None:
    """Another name for a list, or an end to it."""
    st.text_input("Its name", name, max_chars=LONGEST_NAME, key=f"rename_{name}")
    with st.container(horizontal=True):
        st.button("Rename", on_click=renamed, args=(name,), key="notebook_rename")
        st.button(
            "Delete the list", icon=":material/delete:", on_click=dropped, args=(name,), key="notebook_drop",
            help="Its units stay starred, with their names and notes.",
        )  # fmt: skip


def renamed(name: str) -> None:
    """Rename a list, and lead to it."""
    other = st.session_state[f"rename_{name}"]

    def act() -> None:
        address.go(list=notebook.book(store.location).rename_list(name, other))

    notebook.change(act)


def dropped(name: str) -> None:
    """Delete a list, and lead to all that is starred."""

    def act() -> None:
        notebook.book(store.location).drop_list(name)
        st.query_params.pop("list", None)

    notebook.change(act)


def table(name: str) -> None:
    """The units of a list."""
    entries = kept.of(name)
    shown = facts.rows(entries, widths)
    st.dataframe(
        shown, hide_index=True, height=min(38 + 35 * len(shown), 560), alt=f"Units of {name}",
        column_order=["neuron", "place", "model", "name", "note", "lists", "starred_at"],
        column_config={
            "neuron": st.column_config.LinkColumn("", display_text="Open", width=60),
            "place": "Unit", "model": "Model", "name": "Name",
            "note": st.column_config.TextColumn("Note", width="large"),
            "lists": st.column_config.ListColumn("Lists"),
            "starred_at": st.column_config.DatetimeColumn("Starred", format="YYYY-MM-DD HH:mm"),
        },
    )  # fmt: skip
    if gone := facts.gone_sentence(shown):
        st.caption(gone)
    with st.container(horizontal=True):
        for model in facts.models([entry for entry in entries if entry.unit.model in widths]):
            st.page_link(
                "views/gallery/gallery.py", icon=":material/gallery_thumbnail:",
                label=f"Hear those of {words.plain(model)}", query_params={"model": model, "list": name},
            )  # fmt: skip


where()
if told := st.session_state.get(IMPORTED):
    show = st.warning if len(told) > 1 or told[0].startswith("Nothing") else st.success
    show("\n".join(f"- {fault}" for fault in told[1:]) or told[0], title=told[0] if told[1:] else None)
chosen = shown_list()
menus(chosen)
if kept.entries:
    st.caption(f"**{counted(len(kept.of(chosen)), 'unit')}**, by model, layer and number.")
    table(chosen)
else:
    st.info("Nothing is starred yet. Star a neuron on its page, or import a CSV.")
    st.page_link("views/gallery/gallery.py", label="Neurons to choose from", icon=":material/gallery_thumbnail:")
address.write({"list": None if chosen == STARRED else chosen})
