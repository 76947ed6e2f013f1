"""What was found, as a sentence: by templates, exact and dull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.describe.descriptors import DESCRIPTORS, PLACE
from core.describe.terms import Term

_SHARES = (
    (0.95, "all"), (0.875, "nine tenths"), (0.7, "three quarters"), (0.58, "two thirds"), (0.42, "half"),
    (0.29, "a third"), (0.18, "a quarter"), (0.08, "a tenth"),
)  # fmt: skip
MOST_CLASSES = 2


@dataclass(frozen=True)
class Facts:
    """What a sentence tells of a unit, beside its terms.

    Attributes
    ----------
    correlation, shifted : float
        On held-out clips.
    strongest : sequence of str
        Classes of the highest mean activation; none where classes explain nothing.
    ancestor : str
        What those classes have in common, or empty.
    level_share : float
        What level alone explains over what is explained.
    """

    correlation: float
    shifted: float
    strongest: Sequence[str] = ()
    ancestor: str = ""
    level_share: float = 0.0


def sentence(terms: Sequence[Term], facts: Facts) -> str:
    """One line.

    Examples
    --------
    >>> sentence([Term("descriptor", "flatness", "high")], Facts(0.714, 0.03, ("coughing",), level_share=0.3))
    'fires on noise (r = 0.71, shifted 0.03), strongest in coughing; level alone explains a third'
    """
    named = [term.name for term in terms if term.kind == "class"]
    heard = [_in_words(term) for term in terms if term.kind != "class"]
    heard += [f"clips of {listed(named)}"] if named else []
    text = f"fires on {listed(heard)} (r = {facts.correlation:.2f}, shifted {facts.shifted:.2f})"
    if set(facts.strongest) - set(named) or facts.ancestor:
        text += f", strongest in {listed(facts.strongest)}" + (f" ({facts.ancestor})" if facts.ancestor else "")
    is_level = [term.name for term in terms] == ["level"]
    share = next((words for least, words in _SHARES if facts.level_share >= least), "")
    return text + (f"; level alone explains {share}" if share and not is_level else "")


def _in_words(term: Term) -> str:
    descriptor = DESCRIPTORS[PLACE[term.name]]
    if term.how[0] in "<>":
        return f"{term.name} {'over' if term.how[0] == '>' else 'under'} {term.how[1:]} {descriptor.unit}"
    words = descriptor.low if term.how.endswith("low") else descriptor.high
    if term.name.startswith("band "):  # which are told of a sound, not by themselves
        words = f"sound {words}"
    end = "lowest" if term.how.endswith("low") else "highest"
    return f"{words} ({end} fifth of {term.name})" if term.how.startswith("very") else words


def listed(parts: Sequence[str]) -> str:
    """With commas and ``and``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def ancestor(names: Sequence[str], above: Sequence[Mapping[str, str]]) -> str:
    """The nearest common ancestor of classes; empty for one class, or where there is none.

    Parameters
    ----------
    above : sequence of mapping
        Trees of classes, the finest first: class to what it belongs to.
    """
    for parents in above:
        found = {parents.get(name, "") for name in names}
        if len(names) > 1 and len(found) == 1 and "" not in found:
            return found.pop()
    return ""


def trees(labels: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, str]]]:
    """For each attribute those coarser ones that its classes lie within, the finest first: class to parent.

    Parameters
    ----------
    labels : mapping of str to sequence of str
        By attribute each clip's value, empty without.
    """
    found: dict[str, list[tuple[int, dict[str, str]]]] = {name: [] for name in labels}
    for fine, of_fine in labels.items():
        for coarse, of_coarse in labels.items():
            pairs = {(a, b) for a, b in zip(of_fine, of_coarse, strict=True) if a}
            parents = dict(pairs)
            n_parents = len(set(parents.values()))
            is_within = len(pairs) == len(parents) and "" not in parents.values()
            if fine != coarse and is_within and 1 < n_parents < len(parents):
                found[fine].append((-n_parents, parents))
    return {name: [parents for _, parents in sorted(of, key=lambda one: one[0])] for name, of in found.items()}


def strongest(means: Mapping[str, float], overall: float, spread: float) -> list[str]:
    """Up to `MOST_CLASSES` classes whose mean activation lies half a standard deviation of moments over that of all."""
    ranked = sorted((name for name in means if np.isfinite(means[name])), key=lambda name: -means[name])
    return [name for name in ranked[:MOST_CLASSES] if means[name] > overall + 0.5 * spread]
