"""Words as pages write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:@&])")
_LINK = re.compile(r"//|\bwww\b|\S@\S|\b(?:mailto|xmpp|javascript|data):", re.IGNORECASE)
"""What Markdown's readers make a link of without being asked, escaped or not; in a span of code they do not."""


def plain(name: object) -> str:
    """Return a name from the store so that Markdown shows it as it is: class and file names may hold anything."""
    return " ".join(as_code(word) if is_like_a_link(word) else _MARKS.sub(r"\\\1", word) for word in str(name).split())


def is_like_a_link(word: str) -> bool:
    """Whether a word without spaces might become a link."""
    return _LINK.search(word) is not None


def as_code(word: str) -> str:
    """Return a word without spaces as a span of code."""
    fence = "`" * (max(map(len, re.findall("`+", word)), default=0) + 1)
    pad = " " if word.startswith("`") or word.endswith("`") else ""
    return f"{fence}{pad}{word}{pad}{fence}"


def listed(names: Sequence[object], most: int = 4) -> str:
    """Return names as an enumeration that ends in a number where they are many."""
    shown = ", ".join(plain(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def confound(stored: object) -> str:
    """Name what explains a pair of neuron and class away, of which the store says ``together`` where it takes all.

    Examples
    --------
    >>> confound("level"), confound("together")
    ('level', 'level, duration and silence together')
    """
    return "level, duration and silence together" if stored == "together" else plain(stored)


def within(task: str, dataset: str) -> str:
    """Return a task's name where its dataset's stands beside it already.

    Examples
    --------
    >>> within("demo-notes-octave", "demo-notes"), within("esc50", "esc50")
    ('octave', 'esc50')
    """
    return task.removeprefix(f"{dataset}-") or task


def class_in_words(attribute: str, name: str) -> str:
    """Name a class so that it says what it is: a number alone does not.

    Examples
    --------
    >>> class_in_words("event", "rain"), class_in_words("octave", "4"), class_in_words("pitch_class", "C")
    ('rain', 'octave 4', 'pitch class C')
    """
    telling = len(name) > 2 and not name.replace(".", "").isdigit()
    return name if telling else f"{attribute.replace('_', ' ')} {name}"
