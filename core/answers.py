"""What heads answered under each condition, beside the store, so that a killed ablation goes on where it stood.

``answers.npy``  int32, class indices, best first, (n_heads, n_conditions + 1, n_clips, n_best)
``done.npy``     uint8, 1 where a condition's answers for a clip are complete, (n_conditions + 1, n_clips)

The last condition is the network with nothing changed. A flag is set only after its answers were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from core.activations import is_whole, open_map


@dataclass(frozen=True)
class Answers:
    """Answers and what is done of them; shapes as above, and the folder where they lie, if in one."""

    values: NDArray[np.int32]
    done: NDArray[np.uint8]
    folder: Path | None = None

    @classmethod
    def open(cls, folder: Path | None, n_heads: int, n_conditions: int, n_clips: int, n_best: int) -> Answers:
        """Those of a folder, made where they are not there yet or not whole; in memory without one.

        Raises
        ------
        OSError
            If there is no room or no permission.
        """
        shapes = (n_heads, n_conditions + 1, n_clips, n_best), (n_conditions + 1, n_clips)
        if folder is None:
            return cls(np.zeros(shapes[0], dtype=np.int32), np.zeros(shapes[1], dtype=np.uint8))
        folder.mkdir(parents=True, exist_ok=True)
        values, done = folder / "answers.npy", folder / "done.npy"
        if not is_whole(values, shapes[0], np.int32):
            done.unlink(missing_ok=True)
        return cls(open_map(values, shapes[0], np.int32), open_map(done, shapes[1], np.uint8), folder)

    @classmethod
    def reopen(cls, folder: Path) -> Answers:
        """Those that another process has made.

        Raises
        ------
        OSError
            If they are not there.
        """
        values, done = (open_memmap(folder / name, mode="r+") for name in ("answers.npy", "done.npy"))
        return cls(values, done, folder)

    def as_now(self) -> Answers:
        """These, with the flags as they are now, whatever is written later."""
        return replace(self, done=np.array(self.done))

    @property
    def n_done(self) -> int:
        """Pairs of a condition that changes something and a clip."""
        return int(self.done[:-1].sum())

    def of(self, clips: slice) -> Answers:
        """Those of some clips, as views."""
        return Answers(self.values[:, :, clips], self.done[:, clips])

    def missing(self, conditions: Sequence[int], clips: NDArray[np.int64]) -> list[int]:
        """Which of some conditions lack an answer for one of some clips, in their order."""
        return [i for i in conditions if not self.done[i, clips].all()]

    def write(self, conditions: Sequence[int], clips: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Store answers, (n_heads, len(conditions), len(clips), n_best), and then their flags."""
        where = np.ix_(np.array(conditions), clips)
        for of_head, told in zip(self.values, values, strict=True):
            of_head[where] = told
        self.done[where] = 1
