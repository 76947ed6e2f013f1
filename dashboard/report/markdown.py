"""The sections as Markdown, as a paper's appendix would print them, without the figures; loads no charts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dashboard.report.parts import NOTHING, Figure, Section, Table, cell
from dashboard.shared.text.words import as_code, is_like_a_link

MOST_ROWS = 1000
"""Of a table; how many more there are is told."""
_MARKS = re.compile(r"([\\`*_<>|\[\]~$]|&(?=#?\w+;))")


def markdown(parts: Sequence[Section], title: str) -> str:
    """Write sections; names from the store show as they are."""
    blocks = [f"# {_escaped(title)}"]
    for number, part in enumerate(parts, 1):
        blocks.append(f"## {number}. {part.title}")
        blocks += [one if isinstance(one, str) else _table(one) for one in part.parts if not isinstance(one, Figure)]
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in "\n\n".join(blocks)) + "\n"


def _table(table: Table) -> str:
    rows = table.rows.head(MOST_ROWS)[list(table.columns)]
    if rows.empty:
        return f"{_escaped(table.caption)}\n\n{NOTHING}"
    lines = [_escaped(table.caption), "", _row(table.columns.values()), "|" + " --- |" * len(table.columns)]
    lines += [_row(map(cell, row)) for row in rows.itertuples(index=False)]
    more = table.cut(MOST_ROWS)
    return "\n".join([*lines, "", more] if more else lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(value: str) -> str:
    return " ".join(
        as_code(word).replace("|", r"\|") if is_like_a_link(word) else _MARKS.sub(r"\\\1", word)
        for word in value.split()
    )
