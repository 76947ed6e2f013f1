"""SQL: ask the store anything; a statement from the address runs at once, in the sandbox."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import address, data, draw, page, sections, share
from dashboard.shared import store as stores
from dashboard.shared.text import words
from dashboard.shared.text.numbers import counted
from dashboard.views.sql import charts, completion, facts
from dashboard.views.sql.facts import KINDS, NO_COLOUR
from db.connection.open import StoreError
from db.reads.view_meanings import VIEW_MEANINGS, columns, columns_of_all
from db.sandbox.ask import ROW_LIMIT, SECONDS, Answer, RefusedSQL, run_sql

DRAWN = ("kind", "x", "y", "colour")
EDITOR = "sql_editor"
LAST = "sql_last"


@st.cache_data(max_entries=4, show_spinner="Asking the store …")
def ask(location: str, stamp: tuple[int | str, ...], statement: str) -> Answer | str:
    """Return the answer, or why there is none (kept too: a slow statement is not run at every click)."""
    del stamp
    try:
        return run_sql(location, statement)
    except RefusedSQL as error:
        return str(error)


def turn_to(statement: str) -> None:
    """Make this the page's statement, in the address where it fits."""
    st.session_state[LAST] = statement
    for name in (*DRAWN, "sql"):
        st.query_params.pop(name, None)
    if facts.fits_address(statement):
        st.query_params["sql"] = statement


def from_editor() -> None:
    turn_to(st.session_state[EDITOR] or "")


def from_examples() -> None:
    name = st.session_state["sql_example"]
    if name is not None:
        turn_to(facts.NAMED[name][1].strip())


def column_config(rows: pd.DataFrame, asked_for: str) -> dict[str, Any]:
    """Explain each column that a view explains, and link neurons to their page."""
    config: dict[str, Any] = {
        name: st.column_config.Column(name, help=facts.meaning_of(name, asked_for) or None) for name in rows.columns
    }
    config.setdefault("open", st.column_config.LinkColumn("", display_text="Open", help="The neuron's own page."))
    return config


def draw_answer(rows: pd.DataFrame) -> dict[str, str]:
    """Draw the answer as the address says, else as guessed; returns what the address must say."""
    first = facts.guess(rows)
    if first is None:
        st.caption("There is nothing to draw: the answer has no rows, or no column of numbers.")
        return {}
    names = facts.drawable(rows)
    head = sections.heading("Chart")
    kind = address.optional("kind", KINDS) or first.kind
    x = address.optional("x", names) or first.x
    y = address.optional("y", names) or first.y
    colour = address.optional("colour", [NO_COLOUR, *names]) or first.colour or NO_COLOUR
    with st.container(horizontal=True):
        address.select("Drawn as", "kind", KINDS, kind, width=150)
        address.select("Across (x)", "x", names, x, width=220)
        address.select("Up (y)", "y", names, y, width=220)
        label = "Colour (the cells' number)" if kind == "heatmap" else "Colour"
        address.select(label, "colour", [NO_COLOUR, *names], colour, width=220)
    draw.chart(
        charts.answer_chart, rows, kind, x, y, "" if colour == NO_COLOUR else colour,
        alt=f"The answer drawn as {kind}: {charts.title(y)} over {charts.title(x)}", name="answer_chart", head=head,
    )  # fmt: skip
    for line in facts.remarks(rows, kind, x, y, colour):
        st.caption(line)
    return {name: st.query_params[name] for name in DRAWN if name in st.query_params}


store = stores.require()
asked = st.query_params.get("sql")
statement = asked if asked is not None else st.session_state.get(LAST, facts.DEFAULT)
st.session_state[LAST] = statement

page.head(
    "SQL",
    "sql",
    "Every number of the atlas stands in one of the views below, and any question can be put to them. Start from an "
    f"example and change it. Statements only read, for at most {SECONDS:g} seconds and {ROW_LIMIT:,} rows.",
)
st.selectbox(
    f"Example questions ({len(facts.examples())})",
    facts.examples(),
    format_func=facts.title,
    key=address.show("sql_example", facts.example_of(statement)),
    placeholder="Choose a question",
    on_change=from_examples,
)

pair = st.grid(2, min_column_width=380, gap="medium")
with pair.container():
    # The one style of this page: a statement is read by its columns, and names are completed where they are typed.
    st.html(
        f"<style>.st-key-{EDITOR} textarea {{font-family: monospace; font-size: 0.875rem; white-space: pre;}}</style>"
    )
    st.text_area(
        "Statement", key=address.show(EDITOR, statement), height=330, on_change=from_editor,
        help="One SELECT (or WITH, EXPLAIN). Ctrl+Enter runs it, on a Mac Cmd+Enter. Names of views and columns are "
        "completed as you type: arrows and Enter or Tab choose, Esc closes, Ctrl+Space opens.",
    )  # fmt: skip
    columns_of = data.read(store, columns_of_all)
    completion.attach(EDITOR, columns_of)
    hint = facts.preset_hint(statement, columns_of)
    if hint:
        st.caption(f":material/info: {hint}")
    again = st.button("Run", icon=":material/play_arrow:", help="Ctrl+Enter in the editor, too")
    if not facts.fits_address(statement):
        st.caption("This statement is too long for a link; keep its text.")
with pair.container():
    views = list(VIEW_MEANINGS)
    view = address.optional("view", views) or next(iter(facts.views_of(statement)), views[0])
    address.select(f"Views ({len(views)})", "view", views, view)
    with st.container(height=330, border=True):
        # Within: what scrolls is reached by the keys where it holds something to be reached.
        first_rows = f"SELECT *\nFROM {view}\nLIMIT 100"
        st.button("Look at this view", icon=":material/table_rows:", on_click=turn_to, args=(first_rows,))
        st.markdown(VIEW_MEANINGS[view][0])
        meanings = data.read(store, columns, view)
        st.markdown("\n".join(f"- `{name}` {text}" for name, text in meanings.itertuples(index=False)))

if again:
    ask.clear(store.location, store.stamp, statement)
try:
    answer = ask(store.location, store.stamp, statement)
except StoreError as error:
    answer = stores.told(error)

state: dict[str, Any] = {
    "sql": statement if facts.fits_address(statement) else None,
    "view": st.query_params.get("view"),
}
if isinstance(answer, str):
    st.error(words.plain(answer), title="No answer")
else:
    rows = answer.frame
    head = sections.heading("Answer")
    shape = f"{counted(len(rows), 'row')}, {counted(len(rows.columns), 'column')}"
    st.caption(f"{shape}, in {facts.duration(answer.seconds)}.")
    if answer.cut:
        st.warning(
            f"The answer was cut at {answer.cut}; what lies beyond is neither shown nor taken away. "
            "Ask for less, or count in SQL (GROUP BY)."
        )
    st.dataframe(
        facts.with_links(rows),
        hide_index=True,
        height="content" if len(rows) < 9 else 320,
        column_config=column_config(rows, statement),
        placeholder="NULL",
        alt="What the statement found",
    )
    share.take_away("answer", rows, head)
    state |= draw_answer(rows)

address.write(state)
