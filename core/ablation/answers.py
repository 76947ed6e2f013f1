"""What heads answered under each condition, beside the store, so that a killed ablation goes on where it stood.

``answers.npy``  float32, logits, (n_heads, n_conditions + 1, n_clips, n_classes); NaN for a class a head does not know
``sums.npy``     uint32, checksums of a condition's answers for a clip, (n_conditions + 1, n_clips)
``done.npy``     uint8, 1 where a condition's answers for a clip are complete, (n_conditions + 1, n_clips)

The last condition is the network with nothing changed. A flag is set only after its answers were written. Answers
that are not what was written (a damaged disk, a power cut) are asked for again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from core.recording.activations import is_whole, open_map

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answers:
    """Answers and what is done of them; shapes as above, and the folder where they lie, if in one."""

    values: NDArray[np.float32]
    sums: NDArray[np.uint32]
    done: NDArray[np.uint8]
    folder: Path | None = None

    @classmethod
    def open(cls, folder: Path | None, n_heads: int, n_conditions: int, n_clips: int, n_classes: int) -> Answers:
        """Those of a folder, made where they are not there yet or not whole; in memory without one.

        Raises
        ------
        OSError
            If there is no room or no permission.
        """
        shapes = (n_heads, n_conditions + 1, n_clips, n_classes), (n_conditions + 1, n_clips)
        if folder is None:
            of_clips = np.zeros(shapes[1], dtype=np.uint32), np.zeros(shapes[1], dtype=np.uint8)
            return cls(np.zeros(shapes[0], dtype=np.float32), *of_clips)
        folder.mkdir(parents=True, exist_ok=True)
        values, checksums, done = (folder / f"{name}.npy" for name in ("answers", "sums", "done"))
        if not (is_whole(values, shapes[0], np.float32) and is_whole(checksums, shapes[1], np.uint32)):
            done.unlink(missing_ok=True)
        opened = cls(
            open_map(values, shapes[0], np.float32), open_map(checksums, shapes[1], np.uint32),
            open_map(done, shapes[1], np.uint8), folder,
        )  # fmt: skip
        n_bad = opened._leave_what_differs()
        if n_bad:
            _log.warning("%s: %d answers are not as they were written; they are asked for again", values, n_bad)
        return opened

    def _leave_what_differs(self) -> int:
        """Take the flags of answers that do not have their checksum; returns of how many."""
        n_bad = 0
        for i in range(len(self.done)):
            bad = (self.done[i] != 0) & (_checksums(self.values[:, i]) != self.sums[i])
            self.done[i, bad] = 0
            n_bad += int(bad.sum())
        return n_bad

    @classmethod
    def reopen(cls, folder: Path) -> Answers:
        """Those that another process has made.

        Raises
        ------
        OSError
            If they are not there.
        """
        values, checksums, done = (
            open_memmap(folder / f"{name}.npy", mode="r+") for name in ("answers", "sums", "done")
        )
        return cls(values, checksums, done, folder)

    def as_now(self) -> Answers:
        """These, with the flags as they are now, whatever is written later."""
        return replace(self, done=np.array(self.done))

    @property
    def n_done(self) -> int:
        """Pairs of a condition that changes something and a clip."""
        return int(self.done[:-1].sum())

    def of(self, clips: slice) -> Answers:
        """Those of some clips, as views."""
        return Answers(self.values[:, :, clips], self.sums[:, clips], self.done[:, clips])

    def missing(self, conditions: Sequence[int], clips: NDArray[np.int64]) -> list[int]:
        """Which of some conditions lack an answer for one of some clips, in their order."""
        return [i for i in conditions if not self.done[i, clips].all()]

    def write(self, conditions: Sequence[int], clips: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Store answers, (n_heads, len(conditions), len(clips), n_classes), and then their flags."""
        where = np.ix_(np.array(conditions), clips)
        for of_head, answers in zip(self.values, values, strict=True):
            of_head[where] = answers
        self.sums[where] = _checksums(values)
        self.done[where] = 1


def _checksums(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """A number for the answers of each clip, that any one of them alone changes: (n_heads, ..., n_classes) to (...).

    Each place has an odd weight, modulo 2**32, so no single answer can change without changing the sum; and no
    answers at all (zeros) have a sum too, that is not zero.
    """
    weights = np.random.default_rng(0).integers(0, 2**31, (values.shape[0], values.shape[-1]), dtype=np.uint32) * 2 + 1
    shifted = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32) + np.uint32(1)
    return np.einsum("h...b,hb->...", shifted, weights.astype(np.uint32))
