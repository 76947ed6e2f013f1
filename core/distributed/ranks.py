"""What one of several processes needs to know to do its share, and to hand out the others'.

See `core.distributed.team`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import local
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import device as Device

T = TypeVar("T")


class Job(Protocol):
    """What every rank does on its share; must pickle, and names what all ranks hold (`Ranks.held`)."""

    def run(self, ranks: Ranks, on_step: Callable[[], None]) -> Any:
        """Do this rank's share, calling ``on_step`` after each step; on others than rank 0 the result must pickle."""


class Ranks:
    """One process that does everything; `Team` is one of several.

    Attributes
    ----------
    rank, world : int
        Of this process, from 0, and how many there are.
    local_rank, local_world : int
        The same on this machine.
    held : dict
        What jobs left for later ones: things that every rank has, by kind and name.
    """

    def __init__(self, rank: int = 0, world: int = 1, local_rank: int = 0, local_world: int = 1) -> None:
        self.rank, self.world, self.local_rank, self.local_world = rank, world, local_rank, local_world
        self.held: dict[tuple[str, str], Any] = {}
        self._here = local()  # jobs of several models may run at once, each in a thread

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def several_machines(self) -> bool:
        return self.world > self.local_world

    def owns(self, number: int) -> bool:
        """Whether the piece of work of this number is this rank's."""
        return number % self.world == self.rank

    def mine(self, pieces: Sequence[T]) -> Sequence[T]:
        """This rank's share of what all ranks see in the same order."""
        return pieces[self.rank :: self.world]

    def do(self, job: Job, watch: Callable[[], None] | None = None) -> list[Any]:
        """Let every rank do its share of a job.

        Parameters
        ----------
        watch : callable, optional
            Called now and then on rank 0, to show how far all are.

        Returns
        -------
        list
            What each rank's share gave.

        Raises
        ------
        Exception
            What went wrong, on whichever rank; the others then leave the rest of theirs.
        LostRank
            If a rank is gone.
        """
        self._here.count = 0
        return [job.run(self, watch or _nothing)]

    def count(self, n: int = 0) -> int:
        """Add to what all ranks have done of this job; returns it."""
        self._here.count = getattr(self._here, "count", 0) + n
        return int(self._here.count)

    def least(self, number: int, device: Device) -> int:
        """The least of all ranks' numbers; every rank must ask."""
        return number


def _nothing() -> None:
    pass


ALONE = Ranks()
