"""The page's state lives in its address: read it, check it, write it.

The address is the only truth. A widget shows what the address says and, when moved, writes there
first; so a link, a reload and the browser's back button all lead to the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dashboard.shared.text import words

OPENS = {"classes": "Class", "neuron": "Neuron", "heatmap": "Heatmap", "coverage": "Coverage"}
"""Pages that links of components lead to, and what they are called."""
# What the next page takes over when its own address does not say.
_REMEMBERED = "remembered"
NAMES: Mapping[str, str] = {
    "area": "area of the map", "at": "choice of levels", "attributed": "class", "beside": "choice of effects",
    "block": "block of neurons", "by": "kind of resemblance",
    "cards": "number of cards", "effect": "estimated effect", "entropy": "range of entropy",
    "explained": "kind of explanation", "factor": "factor", "find": "words", "hear": "kind of clips",
    "other_layer": "second layer", "other_model": "second model", "other_neuron": "second neuron",
    "class": "class", "clip": "clip", "clips": "choice of clips", "colour": "colour", "dataset": "dataset",
    "first": "first neuron", "first_run": "first run", "gain": "operation", "groups": "grouping", "kind": "chart",
    "layer": "layer", "layer_task": "task", "list": "list",
    "measure": "measure", "model": "model", "neuron": "neuron", "note": "note",
    "order": "order", "other": "second model", "outcome": "measure", "over": "choice of tasks", "part": "part",
    "pitch_other": "second task", "pitch_task": "task", "preset": "selection rule", "row": "class of the row",
    "column": "class of the column", "second_run": "second run", "selection": "choice of neurons", "show": "count",
    "sound": "ready sound", "sort": "order of classes", "source": "source",
    "speech_class": "class", "speech_other": "second task", "speech_task": "task",
    "sql": "statement", "stimuli": "set of made sounds", "target": "target", "task": "task", "time_class": "class",
    "time_task": "task", "view": "view", "with": "second task", "x": "column across", "y": "column up",
}  # fmt: skip
"""What an address may say, and how readers call it."""
_OF_SIDEBAR = ("model", "dataset", "task", "preset")  # remembered from page to page
OF_PAGES: Mapping[str, Sequence[str]] = {
    "overview": ("layer_task",),
    "listen": ("source", "clip", "sound", "layer", "neuron"),
    "heatmap": ("layer", "class", "show", "groups", "colour", "block"),
    "map": ("colour", "layer", "neuron", "area"),
    "layers": ("class",),
    "coverage": ("measure",),
    "sharing": ("with", "row", "column", "neuron"),
    "compare": ("other", "over", "sort", "first_run", "second_run"),
    "units": (),
    "classes": ("class", "by", "cards"),
    "gallery": ("class", "layer", "show", "order", "effect", "entropy", "list", "find", "explained"),
    "neuron": ("class", "layer", "neuron", "sort", "part", "clips", "hear", "other_model"),
    "pair": ("layer", "neuron", "other_model", "other_layer", "other_neuron", "measure", "clips"),
    "pitch": ("pitch_task", "pitch_other", "note", "order", "first"),
    "stimuli": ("stimuli", "factor", "at"),
    "time": ("time_task", "time_class", "layer", "neuron"),
    "speech": ("speech_task", "speech_class", "speech_other", "sort", "by"),
    "ablation": ("selection", "gain", "outcome", "target", "beside", "clips", "attributed"),
    "sql": ("sql", "view", "kind", "x", "y", "colour"),
    "notebook": ("list",),
}
"""What each page's own part of an address may say."""
_STREAMLITS = ("embed", "embed_options")
_BY_DEFAULT = "by_default"
"""What a page chose by itself and wrote to its address; the next may choose better."""


def choice(name: str, options: Sequence[str], default: str) -> str:
    """Return the address's value of ``name``, or else the last one chosen, or else ``default``.

    An unknown value in the address is told in one line and replaced by ``default``.
    """
    remembered = st.session_state.setdefault(_REMEMBERED, {})
    by_default = st.session_state.setdefault(_BY_DEFAULT, {})
    asked = st.query_params.get(name)
    if asked is None and remembered.get(name) not in options:
        by_default[name] = default
        return default
    if asked is None:
        value = remembered[name]
    elif asked in options:
        value = asked
        if by_default.get(name) == asked:
            return value
    else:
        value = default
        st.warning(
            f"The address asks for the {_called(name)} “{words.plain(asked)}”, which is not here; showing "
            f"“{words.plain(value)}”."
        )
    remembered[name] = value
    by_default.pop(name, None)
    return value


def optional(name: str, options: Sequence[str]) -> str | None:
    """Do as `choice`, where nothing chosen is an answer too; not carried from page to page."""
    asked = st.query_params.get(name)
    if asked is None or asked in options:
        return asked
    st.warning(f"The address asks for the {_called(name)} “{words.plain(asked)}”, which is not here; it was left out.")
    return None


def number(name: str, default: int, low: int, high: int) -> int:
    """Return the whole number ``name`` in [low, high]; told and replaced if it is not one."""
    return _number(name, default, range(low, high + 1), f"it goes from {low} to {high}")


def number_of(name: str, default: int, numbers: Sequence[int]) -> int:
    """Return the whole number ``name``, one of ``numbers``; told and replaced by one of them if it is not."""
    numbers = sorted(int(one) for one in numbers)
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return number(name, default, numbers[0], numbers[-1])
    usual = default if default in numbers else numbers[0]
    return _number(name, usual, numbers, f"there are {words.listed([str(one) for one in numbers], 12)}")


def _number(name: str, default: int, numbers: Sequence[int], known: str) -> int:
    asked = st.query_params.get(name)
    if asked is None:
        return default
    if asked.isdecimal() and len(asked) < 16 and int(asked) in numbers:
        return int(asked)
    st.warning(f"The address asks for the {_called(name)} “{words.plain(asked)}”, but {known}; showing {default}.")
    return default


def _called(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def tell_unknown(page: str) -> None:
    """Tell what the address says that ``page`` does not know."""
    known = (*OF_PAGES.get(page, NAMES), *_OF_SIDEBAR, *_STREAMLITS)
    unknown = [name for name in st.query_params if name not in known]
    if unknown:
        told = words.listed([f"“{name}”" for name in unknown])
        st.warning(f"The address says {told}, of which this page knows nothing; it was left out.")


def write(state: Mapping[str, object | None]) -> None:
    """Make the address say ``state`` (None leaves a name out), so that a reload brings it back."""
    wanted = {name: str(value) for name, value in state.items() if value is not None}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def show(key: str, value: object) -> str:
    """Let the widget ``key`` show ``value``; to be called just before the widget."""
    st.session_state[key] = value
    return key


def on_change(name: str, key: str, clears: Sequence[str] = ()) -> Callable[[], None]:
    """Make a widget callback that writes its value to the address and drops ``clears`` from it."""

    def to_address() -> None:
        value = st.session_state[key]
        kept = {other: said for other, said in st.query_params.items() if other not in (name, *clears)}
        # At once: every change of the address is a step of the browser's back button.
        st.query_params.from_dict(kept if value is None else {**kept, name: str(value)})

    return to_address


def go(**state: object) -> None:
    """Change these names in the address."""
    st.query_params.update({name: str(value) for name, value in state.items()})


def select(
    label: str,
    name: str,
    options: Sequence[str],
    value: str,
    *,
    clears: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Show a select box that shows ``value`` and writes to the address."""
    key = show(f"select_{name}", value)
    st.selectbox(label, options, key=key, on_change=on_change(name, key, clears), **settings)


def relative(page: str, **state: object) -> str:
    """Make a link to a page of the atlas, relative to where it is served."""
    return f"{page}?{urlencode(state)}"


def turn_to(page: str, state: Mapping[str, object]) -> None:
    """Open a page of the atlas in this visit; what a browser names and is no page of the atlas is not opened."""
    if page in OPENS:
        st.switch_page(f"views/{page}/{page}.py", query_params={str(name): str(value) for name, value in state.items()})


def last(name: str) -> str | None:
    """Return what the address says of ``name``, or else what was chosen last."""
    asked: str | None = st.query_params.get(name)
    return asked or st.session_state.get(_REMEMBERED, {}).get(name)
