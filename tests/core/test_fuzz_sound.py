"""Damaged sound files, few of those of ``benchmarks/fuzz.py``: read or refused, in seconds, in little memory."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import fuzz_outcome, fuzz_targets, mutants_sound
from tests.support.fuzz_outcome import Try

QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
MOST_GROWN = 1 << 29
"""Bytes that a few hundred files of kilobytes may take together."""


@pytest.fixture(scope="module", params=list(mutants_sound.FORMATS))
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Try:
    return fuzz_targets.sound(request.param)(tmp_path_factory.mktemp("sound"), 1)


@QUICK
@given(number=st.integers(0, 2**40))
def test_a_damaged_file_is_read_or_refused_in_one_line(number: int, read: Try) -> None:
    started = time.process_time()
    assert read(number)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("kind", mutants_sound.FORMATS)
def test_whole_files_of_every_kind_are_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants_sound, "make", lambda kind, *_: ("nothing", mutants_sound.whole(kind)))
    assert fuzz_targets.sound(kind)(tmp_path, 0)(0) == fuzz_outcome.TAKEN


def test_the_same_number_makes_the_same_file_and_every_damage_occurs() -> None:
    made = [mutants_sound.make("flac", 0, number) for number in range(200)]
    assert made == [mutants_sound.make("flac", 0, number) for number in range(200)]
    assert {damage for damage, _ in made} == set(mutants_sound.DAMAGES)
    assert len({content for _, content in made}) > 150


def test_pages_get_the_sums_that_they_had() -> None:
    for kind in ("ogg", "opus"):
        assert mutants_sound.with_page_sums(mutants_sound.whole(kind)) == mutants_sound.whole(kind)


@QUICK
@given(number=st.integers(0, 2**40))
def test_a_damaged_clip_is_drawn_or_refused(number: int, drawn: Try) -> None:
    assert drawn(number)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Try:
    return fuzz_targets.player(tmp_path_factory.mktemp("player"), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="counts in kibibytes")
def test_all_of_them_take_little_memory(tmp_path: Path) -> None:
    once = fuzz_targets.sound("flac")(tmp_path, 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(60):
        once(number)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_GROWN


def test_damaged_uploads_are_heard_or_refused(tmp_path: Path) -> None:
    once = fuzz_targets.upload(tmp_path, 0)
    assert all(once(number) for number in range(8))
