"""Damaged tables, lists, weights, command lines and SQL, few of those of ``benchmarks/fuzz.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_fuzz_sound import QUICK
from tests.support import fuzz_outcome, fuzz_targets, fuzz_weights
from tests.support.fuzz_outcome import Try
from tests.support.fuzz_targets import TARGETS

KINDS = ("manifests", "metadata of datasets", "labels in time", "checkpoints", "command lines")


@pytest.fixture(scope="module", params=KINDS)
def handed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Try]:
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATLAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield TARGETS[request.param](tmp_path_factory.mktemp("work"), 3)
    os.chdir(before)


@QUICK
@given(number=st.integers(0, 2**40))
def test_damaged_input_is_taken_or_refused_in_one_line(number: int, handed: Try) -> None:
    assert handed(number)


def test_damaged_model_folders_load_or_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("transformers", minversion="5")
    once = fuzz_weights.model_folder(tmp_path, 0)
    assert all(once(number) for number in range(12))


def test_any_statement_is_answered_or_refused_and_changes_nothing(tmp_path: Path) -> None:
    once = fuzz_targets.statement(tmp_path, 0)
    assert all(once(number) for number in range(15))


def test_a_fault_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets themselves: an exception that is none of ours, and a refusal of two lines, do not pass."""
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    once = TARGETS["manifests"](tmp_path, 0)
    with pytest.raises(fuzz_outcome.NotOneLine):
        fuzz_outcome.refused("one\ntwo")
    monkeypatch.setattr("core.datasets.tables._wrong", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        for number in range(20):
            once(number)
