"""Whether units are described in words, and how to get there."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import command, data
from dashboard.shared.text import words
from db.reads import descriptions

_ICON = ":material/edit_off:"


def over(store: data.Store, model: str) -> list[str]:
    """Datasets over which units of a model are described."""
    return [str(name) for name in dict.fromkeys(data.read(store, descriptions.described, model)["dataset"])]


def tell_how(store: data.Store, model: str, dataset: str | None) -> None:
    """Say that no unit is described over a dataset, or over any, with the command that describes all."""
    others = over(store, model)
    known = f", but over {words.listed(others)}" if others else ""
    where = f" over {words.plain(dataset)}{known}" if dataset else ""
    st.markdown(
        f"No unit of {words.plain(model)} is described{where}. This command describes all, on clips that are recorded "
        "already:"
    )
    command.show(command.of_recorded(model, "--describe"))


def offer(store: data.Store, model: str, dataset: str | None) -> None:
    """Do as `tell_how` behind a button."""
    with st.popover("Not described yet", icon=_ICON, help="How units are described in words."):
        tell_how(store, model, dataset)
