"""Descriptors are kept beside the store, and measured anew where the file is not what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.describe import kept
from core.describe.descriptors import NAMES
from core.describe.kept import Kept

SPANS = np.array([[0.0, 0.16], [0.16, 0.32]])
SOUND = np.arange(2 * len(NAMES), dtype=np.float32).reshape(2, -1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file with one clip heard on two grids, and another."""
    known = Kept(tmp_path / "descriptors" / "of.npz")
    known.put(7, SPANS, SOUND)
    known.put(7, SPANS[:1] + 0.01, SOUND[1:])
    known.put(2, SPANS[:1], SOUND[:1])
    known.save()
    return known.path


def test_what_was_measured_is_known_again_stretch_for_stretch(path: Path) -> None:
    known = Kept(path)
    assert np.array_equal(known.get(7, SPANS), SOUND)  # type: ignore[arg-type]
    assert np.array_equal(known.get(7, SPANS[:1] + 0.01), SOUND[1:])  # type: ignore[arg-type]
    assert np.array_equal(known.get(2, SPANS[:1]), SOUND[:1])  # type: ignore[arg-type]
    assert known.get(7, SPANS[:1]) is None and known.get(2, SPANS) is None and known.get(3, SPANS) is None


def test_nothing_new_writes_nothing(path: Path) -> None:
    known, before = Kept(path), path.stat().st_mtime_ns
    known.put(7, SPANS, SOUND)
    known.save()
    assert path.stat().st_mtime_ns == before


def test_a_damaged_file_or_one_of_other_descriptors_is_as_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(path.read_bytes())
    monkeypatch.setattr(kept, "MEASURE", kept.MEASURE + 1)
    assert Kept(path).get(7, SPANS) is None
    monkeypatch.undo()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    damaged = Kept(path)
    assert damaged.get(7, SPANS) is None
    damaged.put(7, SPANS, SOUND)
    damaged.save()
    assert np.array_equal(Kept(path).get(7, SPANS), SOUND)  # type: ignore[arg-type]
