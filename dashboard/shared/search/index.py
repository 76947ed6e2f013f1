"""What the search finds: names of a store, and neurons by their address; pure but for `read`.

Whoever misspells a name finds it too, if nothing begins as he wrote it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from dashboard.shared.text.pitch import note_name
from db.notebook import records as notebook
from db.reads import search as queries

LONGEST = 80
"""Characters of a question; the rest is not read."""
MOST = {"Neurons": 6, "Notebook": 5, "Classes": 8, "Tasks": 5, "Datasets": 4, "Models": 4}
"""How many of each kind are listed; kinds of the same worth stand in this order."""
OF_NOTE = 200
"""Characters of a note that are searched."""
_ALIKE = 0.7
"""Share of letters, in order, that a misspelt word has in common with the right one (`difflib`)."""
_NEURON = re.compile(
    r"\s*(?:l|layer)?\s*(\d{1,4})\s*(?:[·•∙./:,\-]|n(?:euron)?|\s)\s*(?:n|neuron)?\s*(\d{1,7})(?:\s+(\S.*))?\s*"
)
_EXACT, _BEGINS, _WORD_BEGINS, _INSIDE, _WORDS = 100.0, 90.0, 80.0, 70.0, 60.0
_OF_CONTEXT = 0.6
_BY_BEGINNING = 0.9


@dataclass(frozen=True)
class Entry:
    """One thing that can be found.

    Attributes
    ----------
    kind : str
        A key of `MOST`.
    name, where : str
        What it is called, and in what it lies; shown as they are, never as markup.
    page : str
        Of `dashboard.navigation`.
    state : mapping of str to str
        What that page's address says.
    models : tuple of str
        Those that it is known of; the address names one of them.
    """

    kind: str
    name: str
    where: str
    page: str
    state: Mapping[str, str]
    models: tuple[str, ...] = ()

    def address(self, model: str | None) -> dict[str, str]:
        """What its page's address says, for ``model`` where it is known of it."""
        if not self.models:
            return dict(self.state)
        return {"model": model if model in self.models else self.models[0], **self.state}


@dataclass(frozen=True)
class Index:
    """Everything of a store that has a name, and how many neurons each layer has.

    Attributes
    ----------
    entries : tuple of Entry
    widths : mapping of str to tuple of int
        Neurons of each layer, by model.
    """

    entries: tuple[Entry, ...]
    widths: Mapping[str, tuple[int, ...]]
    names: tuple[str, ...] = field(init=False)
    words: tuple[tuple[str, ...], ...] = field(init=False)
    contexts: tuple[tuple[str, ...], ...] = field(init=False)
    vocabulary: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(folded(entry.name) for entry in self.entries)
        words = tuple(tuple(_words(name)) for name in names)
        contexts = tuple(tuple(_words(folded(f"{entry.where} {' '.join(entry.models)}"))) for entry in self.entries)
        vocabulary = tuple(sorted({word for some in (*words, *contexts) for word in some}))
        for name, value in {"names": names, "words": words, "contexts": contexts, "vocabulary": vocabulary}.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Group:
    """What was found of one kind, the best first, and how many more there are."""

    kind: str
    entries: tuple[Entry, ...]
    n_more: int


def read(engine: Engine, own: tuple[notebook.Entry, ...] = ()) -> Index:
    """Make the index of a store and of the entries of its notebook."""
    classes = queries.scored_classes(engine)
    widths: dict[str, list[int]] = {}
    for model, width in queries.layer_widths(engine)[["model", "width"]].itertuples(index=False):
        widths.setdefault(str(model), []).append(int(width))
    models: dict[tuple[str, str, str], list[str]] = {}
    for model, dataset, task, class_name in classes.itertuples(index=False):
        models.setdefault((str(dataset), str(task), str(class_name)), []).append(str(model))
    of_notes = set(queries.tasks_of_notes(engine)["task"])
    entries = [
        Entry("Classes", _called(name, task in of_notes), task, "classes", {"task": task, "class": name}, tuple(of))
        for (_, task, name), of in models.items()
    ]
    tasks: dict[tuple[str, str], list[str]] = {}
    for (dataset, task, _), of in models.items():
        tasks.setdefault((dataset, task), of)
    n_classes = Counter(task for _, task, _ in models)
    for (dataset, task), of in tasks.items():
        where = f"{n_classes[task]} classes of {dataset}"
        entries.append(Entry("Tasks", task, where, "heatmap", {"dataset": dataset, "task": task}, tuple(of)))
    for dataset in dict.fromkeys(of for of, _ in tasks):
        where = ", ".join(task for of, task in tasks if of == dataset)
        entries.append(Entry("Datasets", dataset, where, "coverage", {"dataset": dataset}))
    entries += [
        Entry("Models", model, f"{sum(of):,} neurons in {len(of)} layers", "heatmap", {"model": model})
        for model, of in widths.items()
    ]
    entries += [_own(entry) for entry in own]
    return Index(tuple(entries), {model: tuple(of) for model, of in widths.items()})


def _own(entry: notebook.Entry) -> Entry:
    """A unit of the notebook, found by its name and by the words of its note."""
    unit = entry.unit
    state = {"model": unit.model, "layer": str(unit.layer), "neuron": str(unit.unit)}
    told = " · ".join(filter(None, (entry.name, " ".join(entry.note[:OF_NOTE].split()))))
    return Entry("Notebook", told, f"{unit.name} of {unit.model}", "neuron", state)


def _called(class_name: str, is_note: bool) -> str:
    """A class as it is listed: a note by its number and its name."""
    return f"{class_name} ({note_name(int(class_name))})" if is_note and class_name.isdecimal() else class_name


def find(index: Index, asked: str, model: str | None = None) -> list[Group]:
    """Return what a question finds, kind by kind, the best kind first.

    Parameters
    ----------
    index : Index
    asked : str
        A name or its beginning, several words of a name and of what it lies in, or a neuron: ``L4·699``, ``4/699``.
    model : str, optional
        The model at hand, whose neurons come first.
    """
    wanted = folded(asked[:LONGEST])
    if not wanted:
        return []
    groups = []
    if neurons := _neurons(index, wanted, model):
        groups.append((_EXACT + 1, _group("Neurons", neurons)))
    scores = _scores(index, wanted)
    for kind in MOST:
        places = [place for place, score in enumerate(scores) if score and index.entries[place].kind == kind]
        places.sort(key=lambda place: (-scores[place], len(index.names[place])))
        if places:
            groups.append((scores[places[0]], _group(kind, [index.entries[place] for place in places])))
    return [group for _, group in sorted(groups, key=lambda scored: -scored[0])]


def folded(text: str) -> str:
    """A text without capitals, accents and needless spaces, sharps as they are typed.

    Examples
    --------
    >>> folded("  Café  NOIR "), folded("C♯4")
    ('cafe noir', 'c#4')
    """
    parts = unicodedata.normalize("NFKD", text.casefold().replace("♯", "#"))
    return " ".join("".join(letter for letter in parts if not unicodedata.combining(letter)).split())


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _group(kind: str, entries: Sequence[Entry]) -> Group:
    return Group(kind, tuple(entries[: MOST[kind]]), max(len(entries) - MOST[kind], 0))


def _neurons(index: Index, wanted: str, model: str | None) -> list[Entry]:
    """The neurons that an address may mean: of the model it names, else of all that have it."""
    parts = _NEURON.fullmatch(wanted)
    if parts is None:
        return []
    layer, neuron, named = int(parts[1]), int(parts[2]), parts[3]
    return [
        Entry("Neurons", f"L{layer}·{neuron}", of, "neuron", {"model": of, "layer": str(layer), "neuron": str(neuron)})
        for of in sorted(index.widths, key=lambda name: name != model)
        if layer < len(index.widths[of]) and neuron < index.widths[of][layer]
        and (named is None or named in folded(of))
    ]  # fmt: skip


def _scores(index: Index, wanted: str) -> list[float]:
    """How well each entry answers; 0 where it does not."""
    asked = list(dict.fromkeys(_words(wanted)))
    like = [{word: _literal(one, word) for word in index.vocabulary} for one in asked]
    for one, of_words in zip(asked, like, strict=True):
        if len(one) > 2 and max(of_words.values(), default=0) < _BY_BEGINNING:
            of_words.update(_misspelt(one, index.vocabulary))
    return [
        _whole(wanted, name) or _by_words(like, words, context)
        for name, words, context in zip(index.names, index.words, index.contexts, strict=True)
    ]


def _literal(asked: str, word: str) -> float:
    if asked == word:
        return 1.0
    if word.startswith(asked):
        return _BY_BEGINNING
    return 0.7 if len(asked) > 2 and asked in word else 0.0


def _misspelt(asked: str, vocabulary: Iterable[str]) -> dict[str, float]:
    alike = [word for word in vocabulary if abs(len(word) - len(asked)) < 3 and not word.isdecimal()]
    cutoff = _ALIKE if len(asked) > 3 else 0.65  # of three letters two
    found = difflib.get_close_matches(asked, alike, n=8, cutoff=cutoff)
    return {word: 0.8 * difflib.SequenceMatcher(None, asked, word).ratio() for word in found}


def _whole(wanted: str, name: str) -> float:
    """The question as it was written, within the name."""
    place = name.find(wanted)
    if place < 0:
        return 0.0
    if place == 0:
        return _EXACT if name == wanted else _BEGINS
    return _INSIDE if name[place - 1].isalnum() else _WORD_BEGINS


def _by_words(like: Sequence[Mapping[str, float]], words: Sequence[str], context: Sequence[str]) -> float:
    """Every word of the question in the name or in what it lies in, one of them in the name."""
    in_name = [max((of[word] for word in words), default=0.0) for of in like]
    if not any(in_name):
        return 0.0
    best = [
        max(own, _OF_CONTEXT * max((of[word] for word in context), default=0.0))
        for own, of in zip(in_name, like, strict=True)
    ]
    return _WORDS * sum(best) / len(best) if all(best) else 0.0
