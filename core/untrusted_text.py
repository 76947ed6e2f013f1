"""Text that others wrote (names of files, classes, columns) before it reaches a terminal, a shell, a store, a path."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of characters, separators of lines and paragraphs."""
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Turn the direction of writing, so that a line reads otherwise than it is."""


_SCHEME = re.compile(r"\s*(?:postgres(?:ql)?|mysql|mariadb|sqlite)(?:\+\w+)?(?::|;|//)", re.IGNORECASE)
_KEYWORDS = re.compile(r"\b(?:dbname|password)\s*=", re.IGNORECASE)
_SIGNS = "=+\\-@\t\uff1d\uff0b\uff0d\uff20"  # wide ones too
_FORMULA = re.compile(f'(\\A(?=[{_SIGNS}\n])|[;\t\n]"*(?=[{_SIGNS}]))')
"""Where a spreadsheet's formula begins: also behind what parts cells where commas do not (half of Europe: ``;``)."""
_QUOTED_FORMULA = re.compile(f"(\\A|[;\t\n]\"*)'(?=[{_SIGNS}\n])")
_LONGEST_NAME, _KEPT_OF_NAME = 100, 40
"""Bytes of a name that becomes part of a path (most systems take 255), characters that a longer one keeps."""


def harmless(text: str, kept: str = "\n\t") -> str:
    """Text in which what a terminal would obey, and what is no character, is written out (``\\x1b``).

    Parameters
    ----------
    text : str
    kept : str
        Control characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if _is_harmful(c) and c not in kept else c for c in text)


def one_line(text: str) -> str:
    """The same in one line: ends of lines become spaces."""
    return harmless(" ".join(text.splitlines()), kept="\t")


def as_file_name(name: str) -> str:
    """A name as part of a path: itself where every system takes it, else shortened, with a hash that keeps it apart."""
    plain = re.sub(r"[^\w .,+=@()\[\]-]", "_", name)
    if plain == name and len(name.encode()) <= _LONGEST_NAME and name.strip(". ") == name:
        return name
    return f"{plain.strip('. ')[:_KEPT_OF_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def as_command(program: str, options: Mapping[str, object | None]) -> str:
    """A command to paste into a shell: whatever the options' values hold, they stay values.

    Parameters
    ----------
    program : str
        With what is always the same, as it is.
    options : mapping
        Value of each option; None for one that takes none.

    Examples
    --------
    >>> as_command("python run_analysis.py", {"--model": "hf:x; touch y #", "--untrained": None})
    "python run_analysis.py --model 'hf:x; touch y #' --untrained"
    """
    words = [program]
    for name, value in options.items():
        joint = "=" if str(value).startswith("-") else " "  # else it would be an option of its own
        words.append(name if value is None else f"{name}{joint}{quoted(str(value))}")
    return " ".join(words)


def quoted(word: str) -> str:
    """A word as a shell reads it; what a terminal would obey while it is pasted is written out (``$'\\x03'``)."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(c if c.isprintable() else _in_shell(c) for c in escaped) + "'"


def as_csv(rows: pd.DataFrame) -> str:
    """Rows as CSV in which no text is a formula to a spreadsheet (an apostrophe goes before it)."""

    def harmless_cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        value = value.replace("\r\n", "\n").replace("\r", "\n")  # pandas quotes no \r, at which a new row would begin
        return _FORMULA.sub(r"\1'", value)

    safe = rows.rename(columns=harmless_cell)
    for column in safe.select_dtypes(exclude="number").columns:
        safe[column] = safe[column].map(harmless_cell)
    return str(safe.to_csv(index=False))


def from_csv_cell(cell: str) -> str:
    """Return a cell of `as_csv` as it was: without the apostrophes that keep a spreadsheet from reckoning."""
    return _QUOTED_FORMULA.sub(r"\1", cell)


def is_storable(text: str) -> bool:
    """Whether a database takes the text: no name that is no UTF-8, no NUL."""
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def user_path(given: str | Path) -> Path:
    """A path with ``~`` written out; as it is where there is no such user."""
    return Path(os.path.expanduser(given))


def is_meant_as_url(location: str) -> bool:
    """Whether the text is no URL, but meant as one of a server: ``postgresql:/...``, or ``host=... password=...``."""
    return "://" not in location and bool(_SCHEME.match(location) or _KEYWORDS.search(location))


def without_password(location: str) -> str:
    """A store's place as messages, pages and the store itself may show it: without a secret of its URL.

    Works by the text alone, so that a URL which no library can read is covered too; in doubt it hides more. What is
    no URL (a file's path), nor meant as one, stays as it is.
    """
    if is_meant_as_url(location):
        hidden = re.sub(r"(password\s*=\s*)('[^']*'|[^\s&]*)", r"\1***", location, flags=re.IGNORECASE)
        return re.sub(rf"({_SCHEME.pattern}/*[^:@/]*):.*@", r"\1:***@", hidden, flags=re.DOTALL | re.IGNORECASE)
    if "://" not in location:
        return location
    hidden = re.sub(r"([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", r"\1***", location, flags=re.IGNORECASE)
    # Behind three slashes SQLite has a path, but a server's URL may be mistyped.
    slashes = "://(?!/)" if location.lstrip().lower().startswith("sqlite") else ":///*"
    return re.sub(rf"({slashes}[^:]*):.*@", r"\1:***@", hidden, flags=re.DOTALL)


def _is_harmful(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN or character in _TURNS


def _in_shell(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
