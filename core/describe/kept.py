"""Descriptors of drawn moments of a dataset's clips, beside the store: measured once, whatever model is described."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np

from core.describe.acoustics import Floats
from core.describe.descriptors import NAMES
from core.files import is_file_as_written, naming, replace_file
from core.results import FloatArray

MEASURE = 2
"""Goes up with every change of what `core.describe.acoustics.measure` gives."""
_SAVE_LOCK = Lock()
"""Models that run side by side describe the same clips."""


class Kept:
    """Descriptors that are known of clips of one dataset at one sampling rate.

    Parameters
    ----------
    path : Path
        Of the file, which is there once something was saved. One that is damaged, or of other descriptors, is as none.
    voice : bool
        Whether descriptors of voices are among them (`core.describe.voice`); a file of its own for each.
    """

    def __init__(self, path: Path, voice: bool = False) -> None:
        self.path, self.voice = path, voice
        self._known: dict[int, list[tuple[FloatArray, Floats]]] = {}
        self._is_new = False
        with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            if is_file_as_written(path):
                self._read()

    def _read(self) -> None:
        with np.load(self.path, allow_pickle=False) as file:
            if (*file["names"].tolist(), int(file["measure"])) != (*NAMES, MEASURE):
                return
            clips, sizes, spans, sound = (file[name] for name in ("clip", "size", "spans", "sound"))
        ends = np.cumsum(sizes)[:-1]
        for clip, of_clip, heard in zip(clips.tolist(), np.split(spans, ends), np.split(sound, ends), strict=True):
            self._known.setdefault(clip, []).append((of_clip, heard))

    def get(self, clip: int, spans: FloatArray) -> Floats | None:
        """Descriptors of these stretches of a clip, shape (n, n_descriptors); None where they are not known.

        Parameters
        ----------
        clip : int
            Position in the dataset.
        spans : ndarray, shape (n, 2)
            Seconds; known are stretches that were measured together.
        """
        return next((heard for known, heard in self._known.get(clip, ()) if np.array_equal(known, spans)), None)

    def put(self, clip: int, spans: FloatArray, sound: Floats) -> None:
        """Keep what was measured."""
        if self.get(clip, spans) is None:
            self._known.setdefault(clip, []).append((spans, sound))
            self._is_new = True

    def save(self) -> None:
        """Write the file anew, if there is anything new; whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        if not self._is_new:
            return
        rows = [(clip, *one) for clip, of_clip in sorted(self._known.items()) for one in of_clip]
        clips, spans, sound = zip(*rows, strict=True)
        content = io.BytesIO()
        np.savez(
            content, names=np.array(NAMES), measure=MEASURE, clip=np.array(clips), size=np.array([*map(len, spans)]),
            spans=np.concatenate(spans), sound=np.concatenate(sound),
        )  # fmt: skip
        with _SAVE_LOCK, naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_bytes(content.getbuffer())
            replace_file(part, self.path)
        self._is_new = False
