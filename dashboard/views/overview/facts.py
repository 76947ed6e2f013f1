"""What the overview tells besides numbers: warnings by kind, what is missing, where the paper's figures are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dashboard.shared.text import kinds
from dashboard.shared.text.words import listed, plain

PLACES = (
    ("coverage", "stacked_bar_chart", "Is anything there?", "Classes with neurons of their own, beside chance."),
    ("heatmap", "grid_on", "Where?", "The layers they lie in; click a cell for its neurons."),
    ("neuron", "hearing", "What does one hear?", "Its classes and its clips, to listen to."),
    ("sharing", "hub", "Who shares it?", "Classes that use the same neurons."),
    ("ablation", "content_cut", "Does it matter?", "What is lost without them, beside random ones."),
    ("compare", "compare_arrows", "Which model?", "Two models side by side."),
)
"""Pages in a newcomer's order: page, icon, question, answer."""


@dataclass(frozen=True)
class Figure:
    """A result of the paper, and the page that shows the same of this store.

    ``state`` is the page's address; ``missing`` says what the store lacks for it (empty: nothing).
    """

    title: str
    page: str
    shows: str
    state: dict[str, str] = field(default_factory=dict)
    missing: str = ""


def selective(own: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """Of each task and model the selective effect that is told first, mean over classes; see `kinds.over_classes`.

    With its ``dataset``, out of ``tasks``.
    """
    means = kinds.over_classes(kinds.told(own), ["model", "task", "selection"])
    means = means[means["outcome"] == "selective"].drop(columns="outcome").sort_values("task", kind="stable")
    return means.assign(dataset=means["task"].map(tasks.drop_duplicates("task").set_index("task")["dataset"]))


def figures(models: Sequence[str], tasks: pd.DataFrame, preset: str, ablated: pd.DataFrame) -> list[Figure]:
    """Where each of the paper's results is, in its order.

    Parameters
    ----------
    models : sequence of str
    tasks : DataFrame
        ``task``, ``dataset``, ``attribute`` of the tasks that have scores.
    preset : str
    ablated : DataFrame
        ``model``, ``task`` of what was ablated.
    """
    of = {"model": models[0], "preset": preset}
    first = str(tasks["task"].iloc[0])
    pair = {**of, "other": models[1]} if len(models) > 1 else of
    one_model = "" if len(models) > 1 else "one model only; a second makes the comparison"
    entries = [
        Figure("Coverage by task, self-supervised against supervised", "compare", "Compare", pair, one_model),
        Figure("Class-specific neurons by layer", "heatmap", "Heatmap", {**of, "task": first}),
    ]
    across = {
        "Neurons shared between datasets by octave": ("octave",),
        "Neurons shared between datasets by gender": ("gender",),
        "Neurons shared between datasets by sound event": ("event", "category", "class", "label"),
    }
    for title, attributes in across.items():
        names = list(tasks[tasks["attribute"].isin(attributes)].drop_duplicates("dataset")["task"])
        state = {**of, "task": names[0], "with": names[1]} if len(names) > 1 else of
        lack = "" if len(names) > 1 else f"needs two datasets that tell the {attributes[0]}"
        entries.append(Figure(title, "sharing", "Sharing", state, lack))
    within = {"genres of music": ("genre",), "emotions of speech": ("emotion",), "languages": ("language",)}
    for title, attributes in within.items():
        names = list(tasks[tasks["attribute"].isin(attributes)]["task"])
        state = {**of, "task": names[0]} if names else of
        lack = "" if names else f"needs a dataset that tells the {attributes[0]}"
        entries.append(Figure(f"Neurons shared between {title}", "sharing", "Sharing", state, lack))
    first_ablated = {**of, "model": ablated["model"].iloc[0], "task": ablated["task"].iloc[0]} if len(ablated) else of
    lack = "" if len(ablated) else "nothing was ablated in this store"
    entries.append(Figure("Accuracy without a class's neurons", "ablation", "Ablation", first_ablated, lack))
    return entries


@dataclass(frozen=True)
class Kind:
    """A kind of warning: how to know it, what to call it, what it means for the reader."""

    pattern: str
    title: str
    meaning: str
    grave: bool = False
    is_mild: bool = False

    @property
    def explains(self) -> bool:
        """Whether it names something else that may explain a result."""
        return self.grave or self.is_mild


KINDS = (
    Kind(
        r"^each .* (passes for one for|cannot be told apart)|^what is shuffled is clips.*cannot be told",
        "The class and its source cannot be told apart",
        "Every speaker, instrument or source has one class only, and the same ones are in selection and test clips: a "
        "neuron that knows the source passes for one that knows the class.",
        grave=True,
    ),
    Kind(
        r"as well as the model",
        "Something simpler tells the class as well as the model",
        "Level, duration or the mean spectrum alone reach the model's accuracy: what was found may be no more.",
        grave=True,
    ),
    Kind(
        r"^duration, level and silence alone",
        "Loudness and length alone tell the class",
        "Neurons that follow loudness or padding will look selective.",
        grave=True,
    ),
    Kind(
        r"^the (head|probe) knows",
        "The probe leans on knowing the voice, instrument or source",
        "It does better where train and test share them than where they do not: part of the accuracy is owed to that.",
        grave=True,
    ),
    Kind(
        r"^what is shuffled",
        "Too few voices, instruments or sources for small p",
        "Labels were permuted over whole groups, and there are few: nothing found is too little evidence, not evidence "
        "of nothing.",
        grave=True,
    ),
    Kind(
        r"hold on test clips no more often",
        "The chosen pairs are replicated no more often than all pairs",
        "On test clips they hold as seldom as any: what was found may be the speaker or source, not the class.",
        grave=True,
    ),
    Kind(r"^fewer than", "Small classes", "Fewer than ten selection clips: counts for these classes move by chance."),
    Kind(
        r"no evidence left beside",
        "Pairs that level, duration or silence explain",
        "For some chosen neurons nothing is left once these are taken out; their pages name which.",
    ),
    Kind("", "Other", "Told by the run in its own words."),
    Kind(
        r"^mean spectrum alone",
        "The mean spectrum tells part of it",
        "It is over chance, though below the model. In a task of pitch or timbre that is no fault: it says how much "
        "needs no network.",
        is_mild=True,
    ),
    Kind(
        r"^no selection clip", "Classes left out", "They have no clip to select on, so no number here speaks of them."
    ),
    Kind(r"^ablated", "Not all classes were ablated", "Classes of few test clips were left out of the ablation."),
)
"""The most serious first."""


def warning_kinds(warnings: pd.DataFrame) -> pd.DataFrame:
    """Group warnings by what they mean, the most serious kind first.

    Parameters
    ----------
    warnings : DataFrame
        ``model``, ``task``, ``warning``.

    Returns
    -------
    DataFrame
        ``title``, ``meaning``, ``grave`` (bool), ``tasks`` (list of str), ``n_warnings``; one row a kind.
    """
    place = [_kind(str(text)) for text in warnings["warning"]]
    rows = []
    for index, of_kind in warnings.groupby(np.asarray(place, dtype=int)):
        kind = KINDS[int(str(index))]
        tasks = list(dict.fromkeys(of_kind["task"].astype(str)))
        rows.append((kind.title, kind.meaning, kind.grave, tasks, len(of_kind)))
    return pd.DataFrame(rows, columns=["title", "meaning", "grave", "tasks", "n_warnings"])


def _kind(text: str) -> int:
    """Place in `KINDS` of the first kind whose words the text has; that of the others where none fits."""
    matches = [i for i, kind in enumerate(KINDS) if kind.pattern and re.search(kind.pattern, text)]
    return matches[0] if matches else next(i for i, kind in enumerate(KINDS) if not kind.pattern)


def effects_caption(n_stand: int, n_models: int) -> str:
    """Say that not every model has a significant effect, and what is shown of those that have none."""
    chance = "the largest of many is shown, which is expected to be large by chance."
    if n_stand:
        have = "has" if n_stand == 1 else "have"
        return f"{n_stand} of {n_models} models {have} a significant effect; of the others {chance}"
    return f"{'The model has no' if n_models == 1 else 'No model has a'} significant effect: {chance}"


def gravest(warnings: Sequence[str]) -> tuple[str, bool] | None:
    """Return the most serious of some warnings that may explain a result, and whether it is grave; None without any."""
    placed = sorted((_kind(text), text) for text in warnings)
    told = next(((KINDS[kind], text) for kind, text in placed if KINDS[kind].explains), None)
    return None if told is None else (told[1].rstrip("."), told[0].grave)


def missing_kinds(missing: pd.DataFrame) -> list[str]:
    """Tell in a line for each thing that was not measured how many tasks lack it, and which.

    Parameters
    ----------
    missing : DataFrame
        Of `not_measured`.
    """
    lines = []
    for what, rows in missing.groupby("missing", sort=False):
        n_models = rows["model"].nunique()
        of = f" of {plain(rows['model'].iloc[0])}" if n_models == 1 else f" of {n_models} models"
        tasks = list(dict.fromkeys(rows["task"]))
        lines.append(
            f"**No {what}** for {len(tasks)} {'task' if len(tasks) == 1 else 'tasks'}{of}: {listed(tasks, 6)}."
        )
    return lines
