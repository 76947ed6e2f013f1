"""What the disk gives back otherwise than it was written is found, told of, and made anew."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core import files
from core.ablation.answers import Answers
from core.recording import activations, checksums
from tests.support.small_study import NEURONS, clips_passed, make_dataset, query, results, run

SCORE = ("--stages", "extract,score", "--tasks", "pets-kind")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def whole(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    assert run("--data-dir", pets, "--db", folder / "atlas.db", *SCORE) == 0
    return folder


@pytest.fixture
def study(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to harm."""
    return Path(shutil.copytree(whole, tmp_path / "study")) / "atlas.db"


def matrix(db: Path, name: str) -> Path:
    (found,) = (db.with_suffix(".files") / "activations").rglob(f"{name}.npy")
    return found


def flip(path: Path, byte: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def stored(db: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in matrix(db, "done").parent.iterdir()}


def marks(db: Path) -> list[Any]:
    return sorted(query(db, "SELECT key, id FROM stage"))


@pytest.fixture(scope="module")
def twice(pets: Path, whole: Path) -> None:
    """The same command on what nothing happened to changes nothing."""
    before, was = marks(whole / "atlas.db"), stored(whole / "atlas.db")
    assert run("--data-dir", pets, "--db", whole / "atlas.db", *SCORE) == 0
    assert (marks(whole / "atlas.db"), stored(whole / "atlas.db")) == (before, was)


@pytest.mark.usefixtures("twice")
@pytest.mark.parametrize(("name", "place"), zip(activations.MATRICES, (0.0, 1.0, 0.4, 0.7), strict=True))
def test_flipped_bit_is_told_of_and_only_its_batch_computed_again(
    pets: Path,
    whole: Path,
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    place: float,
) -> None:
    damaged = matrix(study, name)
    size = damaged.stat().st_size
    flip(damaged, 128 + round(place * (size - 129)), bit=int(7 * place))
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    told = capsys.readouterr().out.splitlines()
    assert passes == [8]
    row = round(place * 23)
    (line,) = [line for line in told if "as they were written" in line]
    assert line.startswith(f"  {damaged}: 1 of 24 rows are not as they were written (row ")
    assert abs(int(line.split("(row ")[1].split(")")[0]) - row) <= 1
    assert stored(study) == stored(whole / "atlas.db")
    assert marks(study) == marks(whole / "atlas.db")  # what followed from the rows still does
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert passes == []


def test_matrix_that_is_cut_off_is_made_anew(pets: Path, whole: Path, study: Path) -> None:
    for name in (*activations.MATRICES, "done"):
        content = matrix(study, name).read_bytes()
        matrix(study, name).write_bytes(content[: len(content) // 2])
        assert run("--data-dir", pets, "--db", study, *SCORE) == 0
        assert stored(study) == stored(whole / "atlas.db")
    assert marks(study) == marks(whole / "atlas.db")


def test_rows_that_never_reached_the_disk_are_found(
    pets: Path, whole: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power cut may leave them: flags and checksums written, pages of numbers not, or the other way round."""
    for name, rows in (("total", slice(3, 5)), ("sums", slice(20, 24)), ("tokens", slice(9, 10))):
        matrix_of = np.lib.format.open_memmap(matrix(study, name), mode="r+")
        matrix_of[rows] = 0
        matrix_of.flush()
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert passes == [8, 8, 8]
    assert stored(study) == stored(whole / "atlas.db")
    assert results(study) == results(whole / "atlas.db")


def test_rows_in_each_others_place_are_found(pets: Path, whole: Path, study: Path) -> None:
    positive = np.lib.format.open_memmap(matrix(study, "positive"), mode="r+")
    positive[[2, 7]] = positive[[7, 2]]
    positive.flush()
    assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert stored(study) == stored(whole / "atlas.db")


def test_what_followed_from_other_rows_is_worked_out_again(pets: Path, whole: Path, study: Path) -> None:
    """Rows that come out otherwise (another machine's last bits) take the marks of their results with them."""
    wrong = np.lib.format.open_memmap(matrix(study, "total"), mode="r+")
    wrong[5] += 1.0
    wrong.flush()
    of_sums = np.lib.format.open_memmap(matrix(study, "sums"), mode="r+")
    of_sums[5, 1] = checksums.of_rows(np.array([5]), wrong[5:6])[0]  # as if they had been computed so
    of_sums.flush()
    flip(matrix(study, "total"), 128 + 4 * NEURONS * 5)
    assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert stored(study) == stored(whole / "atlas.db")
    assert {key for key, _ in marks(study)} == {key for key, _ in marks(whole / "atlas.db")}
    again = query(study, "SELECT name FROM stage WHERE run_id = (SELECT MAX(id) FROM run)")
    assert sorted(name for (name,) in again) == ["probe", "score", "top_clips", "traces"]
    assert results(study) == results(whole / "atlas.db")


def test_matrices_of_an_older_version_get_checksums(pets: Path, whole: Path, study: Path) -> None:
    matrix(study, "sums").unlink()
    assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert stored(study) == stored(whole / "atlas.db")


def test_damage_in_what_is_half_done(
    pets: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.encoders.nano import NanoEncoder

    forward, left = NanoEncoder.forward, [2]

    def failing(self: NanoEncoder, batch: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return forward(self, batch)

    db = tmp_path / "atlas.db"
    with monkeypatch.context() as patch:
        patch.setattr(NanoEncoder, "forward", failing)
        assert run("--data-dir", pets, "--db", db, *SCORE) == 130
    flip(matrix(db, "positive"), 128 + NEURONS)
    capsys.readouterr()
    with clips_passed(monkeypatch) as passes:
        assert run("--data-dir", pets, "--db", db, *SCORE) == 0
    assert passes == [8, 8]  # the damaged batch, the one that was left; of the second the patterns stay, too
    assert "1 of 24 rows are not as they were written (row 1)" in capsys.readouterr().out
    assert stored(db) == stored(whole / "atlas.db")


def test_damaged_scan_is_made_anew(pets: Path, whole: Path, study: Path, caplog: pytest.LogCaptureFixture) -> None:
    (cache,) = (study.with_suffix(".files") / "scans").glob("*.csv")
    was = cache.read_bytes()
    flip(cache, was.index(b",", len(was) // 2) + 1)
    with caplog.at_level(logging.WARNING):
        assert run("--data-dir", pets, "--db", study, *SCORE) == 0
    assert f"{cache} is not as it was written; all files are looked at again" in caplog.text
    assert cache.read_bytes() == was
    assert marks(study) == marks(whole / "atlas.db")


def test_file_and_checksum_are_replaced_so_that_a_stop_between_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, part = tmp_path / "a.csv", tmp_path / "a.part"
    for content in ("first", "second"):
        part.write_text(content)
        files.replace_file(part, path)
        assert files.is_file_as_written(path)
    part.write_text("third")
    replace = checksums.os.replace
    with monkeypatch.context() as patch:
        patch.setattr(
            checksums.os, "replace", lambda a, b: replace(a, b) if b != path else exec("raise KeyboardInterrupt")
        )
        with pytest.raises(KeyboardInterrupt):
            files.replace_file(part, path)
    assert path.read_text() == "second"
    assert files.is_file_as_written(path)
    path.write_text("Second")
    assert not files.is_file_as_written(path)


def test_any_changed_answer_is_asked_for_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(1)
    shape = (2, 3, 4, 2)  # heads, conditions, clips, classes
    given: NDArray[np.float32] = rng.normal(size=shape).astype(np.float32)
    for trial in range(40):
        folder = tmp_path / str(trial)
        Answers.open(folder, 2, 2, 4, 2).write([0, 1, 2], np.arange(4), given)
        assert Answers.open(folder, 2, 2, 4, 2).done.all()
        place = tuple(int(rng.integers(n)) for n in shape)
        values = np.lib.format.open_memmap(folder / "answers.npy", mode="r+")
        values.view(np.int32)[place] ^= np.int32(1 << int(rng.integers(31)))
        values.flush()
        with caplog.at_level(logging.WARNING):
            done = Answers.open(folder, 2, 2, 4, 2).done
        assert np.argwhere(done == 0).tolist() == [[place[1], place[2]]]
        assert "answers.npy: 1 answers are not as they were written; they are asked for again" in caplog.text


def test_answers_that_never_reached_the_disk_are_asked_for_again(tmp_path: Path) -> None:
    Answers.open(tmp_path, 1, 1, 3, 1).write([0, 1], np.arange(3), np.zeros((1, 2, 3, 1), dtype=np.float32))
    assert Answers.open(tmp_path, 1, 1, 3, 1).done.all()
    of_sums = np.lib.format.open_memmap(tmp_path / "sums.npy", mode="r+")
    of_sums[0, 1] = 0  # and the answers are zeros, as on a disk that never got them
    of_sums.flush()
    assert np.argwhere(Answers.open(tmp_path, 1, 1, 3, 1).done == 0).tolist() == [[0, 1]]
