"""A killed ablation goes on where it stood: nothing is repeated, and the same bytes come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from core.ablation import ablate
from core.ablation.ablate import Known, Setting
from core.ablation.answers import Answers
from core.ablation.operations import Operation
from core.ablation.refitted import Refitting
from core.ablation.targets import Target
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.encoders.base import Batch, Padding
from core.probes.fit import Part
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from tests.support.planted import ToyEncoder, planted_encoder, scan_tones

RNG = np.random.default_rng(3)
HEADS = [LinearHead(np.zeros(5), np.ones(5), RNG.normal(size=(5, 5)), np.zeros(5), np.arange(5)) for _ in range(4)]
TARGETS = [Target("top 5%", name, np.array(neurons)) for name, neurons in (("a", [0, 20, 40]), ("b", [1, 21, 55]))]
N_CONDITIONS = 2 + 6


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("resume"))


class Counted:
    """An encoder whose passes to the end are counted, clips times conditions."""

    def __init__(self) -> None:
        self.encoder: ToyEncoder = planted_encoder()
        self.n_clips: list[int] = []
        finish = self.encoder.finish

        def counted(hidden: Tensor, batch: Batch) -> Tensor:
            self.n_clips.append(batch.n_clips)
            return finish(hidden, batch)

        self.encoder.finish = counted  # type: ignore[method-assign]


def run(encoder: ToyEncoder, scan: Scan, folder: Path | None, stop_after: int | None = None) -> list[ablate.Ablation]:
    """An ablation of 26 clips in two parts, batches of 5, killed after some passes."""
    told = []

    def progress(n: int) -> None:
        told.append(n)
        if len(told) == stop_after:
            raise KeyboardInterrupt

    task = Task(scan, "tone")
    clips = np.flatnonzero(task.in_splits("test"))
    parts = [Part(clips[:12], HEADS[0]), Part(clips[12:26], HEADS[1])]
    known = Known(refits=[HEADS[2:3], HEADS[3:4]])
    setting = Setting(n_controls=6, passes=Passes(batch_size=5, rows_per_pass=20))
    return ablate.Sweep(encoder, task, parts, TARGETS, setting, known).run(progress, folder)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("stop_after", [1, 2, 4, 9])
def test_killed_ablation_goes_on_and_gives_the_same_bytes(tones: Scan, tmp_path: Path, stop_after: int) -> None:
    whole = Counted()
    expected = run(whole.encoder, tones, tmp_path / "whole")
    assert sum(whole.n_clips) == 26 * (N_CONDITIONS + 1)

    killed = Counted()
    with pytest.raises(KeyboardInterrupt):
        run(killed.encoder, tones, tmp_path / "killed", stop_after)
    n_before = len(killed.n_clips)
    told_before = Answers.open(tmp_path / "killed", 2, N_CONDITIONS, 26, 5).n_done
    found = run(killed.encoder, tones, tmp_path / "killed")
    assert 0 < n_before < len(killed.n_clips)
    assert sum(killed.n_clips) == sum(whole.n_clips), "no pass to the end is made twice"
    assert told_before < 26 * N_CONDITIONS
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")
    for one, other in zip(found, expected, strict=True):
        assert one.effects.equals(other.effects)
        np.testing.assert_array_equal(one.control_deltas, other.control_deltas)


def test_what_is_done_needs_no_pass_and_no_audio(tones: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(planted_encoder(), tones, tmp_path / "answers")
    again = Counted()
    monkeypatch.setattr(again.encoder, "prepare", None)
    run(again.encoder, tones, tmp_path / "answers")
    assert again.n_clips == []


@pytest.mark.parametrize("stop_after", [None, 2, 9, 15])
def test_sweeps_in_one_give_the_bytes_of_each_alone(
    tones: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int | None
) -> None:
    task = Task(tones, "tone")
    test, train = (np.flatnonzero(task.in_splits(split)) for split in ("test", "train"))
    parts = [Part(test[:12], HEADS[0]), Part(test[12:26], HEADS[1])]
    known = Known(refitting=Refitting([train[:10], train[5:15]], [0.01, 0.01], task.members, False))
    settings = [Setting(Operation.of(gain), 6, passes=Passes(batch_size=5, rows_per_pass=20)) for gain in (0.0, 0.5)]
    encoder, prepared, told = planted_encoder(), list[int](), list[int]()

    def sweeps() -> list[ablate.Sweep]:
        targets = [TARGETS, TARGETS[:1]]
        return [ablate.Sweep(encoder, task, parts, *each, known) for each in zip(targets, settings, strict=True)]

    def progress(n: int) -> None:
        told.append(n)
        if len(told) == stop_after:
            raise KeyboardInterrupt

    alone = [sweep.run(None, tmp_path / f"alone {i}") for i, sweep in enumerate(sweeps())]
    prepare = encoder.prepare

    def counted(waveforms: list[NDArray], padding: Padding) -> Batch:
        prepared.append(len(waveforms))
        return prepare(waveforms, padding)

    monkeypatch.setattr(encoder, "prepare", counted)
    folders = [tmp_path / "one", tmp_path / "other"]
    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            ablate.run_together(sweeps(), folders, progress)
    together = ablate.run_together(sweeps(), folders, progress)
    if not stop_after:
        assert sum(prepared) == len(set(train[:15])) + 26, "each clip once for both"
        assert told[-1] == sum(sweep.n_passes for sweep in sweeps())
    for i, (folder, tell) in enumerate(zip(folders, together, strict=True)):
        assert bytes_of(folder / "train") == bytes_of(tmp_path / f"alone {i}" / "train")
        assert bytes_of(folder) == bytes_of(tmp_path / f"alone {i}")
        for one, other in zip(tell(), alone[i], strict=True):
            assert one.effects.equals(other.effects)
            assert one.outcomes.equals(other.outcomes)


def test_folder_makes_no_difference(tones: Scan, tmp_path: Path) -> None:
    on_disk, in_memory = (run(planted_encoder(), tones, folder) for folder in (tmp_path / "answers", None))
    for one, other in zip(on_disk, in_memory, strict=True):
        assert one.effects.equals(other.effects)


def test_progress_goes_on_from_what_was_done(tones: Scan, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(planted_encoder(), tones, tmp_path / "answers", 3)
    told: list[int] = []
    task, setting = Task(tones, "tone"), Setting(n_controls=6, passes=Passes(batch_size=5))
    parts, known = [Part(np.flatnonzero(task.in_splits("test"))[:26], HEADS[0])], Known(refits=[HEADS[1:2]])
    ablate.Sweep(planted_encoder(), task, parts, TARGETS, setting, known).run(told.append, tmp_path / "answers")
    assert told == sorted(told)
    assert told[0] > 5
    assert told[-1] == 26 * N_CONDITIONS


def test_answers_of_another_shape_or_damaged_count_as_none(tmp_path: Path) -> None:
    def fill(answers: Answers) -> NDArray:
        answers.write([0, 2], np.array([1]), np.full((1, 2, 1, 1), 7))
        return np.asarray(answers.done)

    assert fill(Answers.open(tmp_path, 1, 2, 3, 1)).tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert Answers.open(tmp_path, 1, 2, 3, 1).n_done == 1
    assert Answers.open(tmp_path, 2, 2, 3, 1).n_done == 0
    (tmp_path / "answers.npy").write_bytes(b"")
    assert not Answers.open(tmp_path, 1, 2, 3, 1).done.any()


def test_parts_are_views() -> None:
    answers = Answers.open(None, 1, 2, 4, 1)
    answers.of(slice(1, 3)).write([1], np.array([0, 1]), np.array([[[[5], [6]]]]))
    assert answers.values[0, 1, :, 0].tolist() == [0, 5, 6, 0]
    assert answers.missing([0, 1], np.array([1, 2])) == [0]
