"""The page's state lives in its address: read it, check it, write it, link to it.

The address is the only truth. A widget shows what the address says and, when moved, writes there
first; so a link, a reload and the browser's back button all lead to the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from dashboard.shared.text import words

# What the next page takes over when its own address does not say.
_REMEMBERED = "remembered"
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
            f"The address asks for {name} “{words.plain(asked)}”, which is not here; showing “{words.plain(value)}”."
        )
    remembered[name] = value
    by_default.pop(name, None)
    return value


def optional(name: str, options: Sequence[str]) -> str | None:
    """Do as `choice`, where nothing chosen is an answer too; not carried from page to page."""
    asked = st.query_params.get(name)
    if asked is None or asked in options:
        return asked
    st.warning(f"The address asks for {name} “{words.plain(asked)}”, which is not here; it was left out.")
    return None


def number(name: str, default: int, low: int, high: int) -> int:
    """Return the whole number ``name`` in [low, high]; told and replaced if it is not one."""
    asked = st.query_params.get(name)
    if asked is None:
        return default
    if asked.isdecimal() and len(asked) < 16 and low <= int(asked) <= high:
        return int(asked)
    st.warning(
        f"The address asks for {name} “{words.plain(asked)}”, but it goes from {low} to {high}; showing {default}."
    )
    return default


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


def permalink(page: str, state: Mapping[str, object | None]) -> str:
    """Make the full address that reopens ``page`` in ``state``."""
    query = urlencode({name: value for name, value in state.items() if value is not None})
    url = st.context.url
    if not url:
        return f"{page}?{query}"
    parts = urlsplit(url)
    return parts._replace(query=query, fragment="").geturl()
