"""Records as stages give them, made short."""

from __future__ import annotations

from collections.abc import Sequence

from core.results import Ablation, Ablations


def ablations_of(
    task: str, ablations: Sequence[Ablation], of: tuple[str, str, float | None] | None = None
) -> Ablations:
    """Some ablations of one selection; ``of`` names it where there are none."""
    selection, operation, gain = of or (ablations[0].selection, ablations[0].operation, ablations[0].gain)
    return Ablations(task, selection, operation, gain, ablations)
