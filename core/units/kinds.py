"""The kinds of unit: what each is, and when one counts as active."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import InputError

MLP, SAE = "mlp", "sae"
LOW = "-low"
PERCENT = 95.0
"""Percentile of a unit's own values above which it is active, where 0 is no natural limit."""


@dataclass(frozen=True)
class Kind:
    """A kind of unit.

    Attributes
    ----------
    name : str
        As ``--units`` takes it.
    meaning : str
        What one unit is, in a line.
    is_positive : bool
        Whether a unit is active above 0; else above the `PERCENT`-th percentile of its own values over tokens that
        are drawn from selection clips (`core.units.sample`).
    has_low : bool
        Whether its values have two signs, so that there is a second kind of the name with `LOW`: the same units with
        their sign turned, active where the first are below their percentile ``100 - PERCENT``.
    is_found : bool
        Whether another seed gives other units; those of the others are the network's own.
    """

    name: str
    meaning: str
    is_positive: bool = False
    has_low: bool = False
    is_found: bool = False

    @property
    def rule(self) -> str:
        """When a unit is active."""
        return "above 0" if self.is_positive else f"above the {PERCENT:.0f}th percentile of its own values"


_FIRST = (
    Kind(MLP, "a neuron: what enters a block's MLP output projection", is_positive=True),
    Kind("residual", "a coordinate of a block's output", has_low=True),
    Kind("random", "a direction of a random rotation of a block's output", has_low=True, is_found=True),
    Kind("pca", "a principal direction of a block's output", has_low=True, is_found=True),
    Kind("head", "the length of what an attention head gives to its projection"),
    Kind(SAE, "a feature of a sparse autoencoder of a block's output", is_positive=True, is_found=True),
)
KINDS = {kind.name: kind for kind in _FIRST} | {
    kind.name + LOW: Kind(kind.name + LOW, f"{kind.meaning}, its sign turned", is_found=kind.is_found)
    for kind in _FIRST
    if kind.has_low
}
"""By name, in the order they are told."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """Names of kinds from a list with commas, each once, in the order of `KINDS`.

    Raises
    ------
    InputError
        If one is unknown, or none is named.
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in KINDS]
    if unknown or not asked:
        raise InputError(
            f"--units {text}: {unknown[0] if unknown else 'nothing'} is no kind; expected {','.join(KINDS)}"
        )
    return tuple(name for name in KINDS if name in asked)


def unit_model(encoder: str, kind: str) -> str:
    """What a model with these units is called in the store: the encoder's own name for its neurons."""
    return encoder if kind == MLP else f"{encoder}/{kind}"
