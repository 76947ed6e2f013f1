"""Shares of one job, done one after the other in this process, make the whole, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, Question, ask_all
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.datasets.task import Task
from core.distributed.ranks import Job, Ranks
from core.encoders import Encoder, load_encoder
from core.encoders.hooks import Change
from core.errors import InputError
from core.probes import fit, refits
from core.probes.linear import LinearHead
from core.recording import activations, extract, patterns, top_clips, traces
from core.recording.passes import Passes
from core.run import load
from core.run.config import AnalysisConfig
from core.run.stages.ask import Asker
from core.run.stages.extract import _refuse_unsafe, extract_on_ranks
from core.run.stages.fitter import Fitter
from core.run.stages.trace import FindJob, find_on_ranks
from tests.support.planted import planted_encoder, scan_tones, scan_without_files
from tests.support.small_study import make_dataset, small_network

RNG = np.random.default_rng(7)
HEADS = [LinearHead(np.zeros(5), np.ones(5), RNG.normal(size=(5, 5)), np.zeros(5), np.arange(5)) for _ in range(2)]
CHANGES = [Change(np.array(neurons)) for neurons in ([0, 20], [25], [3], [41, 42], [1, 50], [59], [30], [7])]


class Turns(Ranks):
    """Rank 0, in whose process the others have their turns."""

    def do(self, job: Job, watch: Callable[[], None] | None = None) -> list[Any]:
        found = []
        for rank in range(self.world):
            turn = Ranks(rank, self.world, rank, self.world)
            turn.held, turn.count = self.held, self.count  # type: ignore[method-assign]
            found.append(job.run(turn, watch or (lambda: None)))
        return found


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl", small_network()[1])


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = tmp_path_factory.mktemp("pets")
    return scan(read(make_dataset(folder / "pets", 16)), folder / "scan.csv")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("tones"))


def team(world: int, encoder: Encoder, scan: Scan) -> Ranks:
    ranks = Turns(0, world, 0, world)
    ranks.held["encoder", encoder.name] = encoder
    load.hold(ranks, scan)
    return ranks


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_extraction_and_traces_in_shares(nano: Encoder, pets: Scan, tmp_path: Path, world: int) -> None:
    alone = activations.open_activations(nano, pets, tmp_path / "alone", "exclude", "float32")
    extract.extract([(nano, alone)], pets, Passes(3))
    expected = traces.trace(nano, pets, alone, Passes(3))
    shared = activations.open_activations(nano, pets, tmp_path / "shared", "exclude", "float32")
    ranks, told = team(world, nano, pets), list[int]()
    extract_on_ranks(ranks, [(nano, shared)], pets, Passes(3, workers=1), told.append)
    assert told[0] == 0
    assert told[-1] == 16
    assert told == sorted(told)
    chosen = top_clips.choose("pets", shared)
    files = sorted(shared.folder.glob("patterns-*.part"))
    assert len(files) == min(world, 6)  # batches
    assert not len(patterns.Found.look(nano, chosen.clips, shared).missing()[0])
    files[0].unlink()  # of a machine that is gone
    missing, again = patterns.Found.look(nano, chosen.clips, shared).missing(), list[int]()
    batches = traces.batches_with(missing[0], 16, 3)
    job = FindJob(nano.name, "pets", shared.folder, missing, batches, Passes(3, workers=1))
    find_on_ranks(job, ranks, again.append)
    assert again[-1] == sum(map(len, batches)) < 16 or world == 1
    found = traces.traces_of("pets", chosen, patterns.Found.look(nano, chosen.clips, shared))
    for (one, ours), (other, theirs) in zip(found.patterns, expected.patterns, strict=True):
        assert one == other
        assert [(p.clip_index, p.peak) for p in ours] == [(p.clip_index, p.peak) for p in theirs]
        assert all(np.array_equal(a.strength, b.strength) for a, b in zip(ours, theirs, strict=True))
    for folder in (shared.folder, alone.folder):
        patterns.forget_patterns(folder)
    assert bytes_of(shared.folder) == bytes_of(alone.folder)


@pytest.mark.parametrize("batch_size", [2, 20], ids=["batches", "conditions"])
@pytest.mark.parametrize("world", [1, 2, 5])
def test_answers_in_shares(tones: Scan, tmp_path: Path, world: int, batch_size: int) -> None:
    encoder = planted_encoder()
    clips = np.flatnonzero(Task(tones, "tone").in_splits("test"))[:33]
    parts, passes = [Asked(clips[:21], HEADS[:1]), Asked(clips[21:], HEADS[1:])], Passes(batch_size, 2 * batch_size)

    def opened(name: str) -> Answers:
        return Answers.open(tmp_path / name, 1, len(CHANGES), len(clips), 5)

    ask_all(encoder, tones, [Question(parts, Inquiry(CHANGES, range(8), opened("alone"), passes))])
    asked: list[tuple[int, int]] = []
    write = Answers.write

    def once(self: Answers, conditions: Any, place: Any, values: Any) -> None:
        assert not self.done[np.ix_(conditions, place)].any(), "no pass is made twice"
        asked.append((len(conditions), len(place)))
        write(self, conditions, place, values)

    shared = opened("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answers, "write", once)
        ask = Asker(team(world, encoder, tones))
        ask(encoder, tones, [Question(parts[:1], Inquiry(CHANGES, range(8), shared, passes))])
        assert shared.n_done == 8 * 21
        ask(encoder, tones, [Question(parts, Inquiry(CHANGES, range(8), shared, passes))])
    assert sum(a * b for a, b in asked) == 9 * len(clips)
    assert bytes_of(tmp_path / "shared") == bytes_of(tmp_path / "alone")


def test_every_rank_has_conditions_where_batches_are_few(tones: Scan, tmp_path: Path) -> None:
    clips = np.flatnonzero(Task(tones, "tone").in_splits("test"))[:6]
    for rank in range(3):
        answers = Answers.open(tmp_path / str(rank), 1, len(CHANGES), len(clips), 5)
        inquiry = Inquiry(CHANGES, range(8), answers, Passes(6, 6))
        ask_all(
            planted_encoder(), tones, [Question([Asked(clips, HEADS[:1])], inquiry)], ranks=Ranks(rank, 3, rank, 3)
        )  # fmt: skip
        assert answers.done.sum() == 3 * len(clips)


def test_a_batch_with_a_row_missing_is_passed_whole(nano: Encoder, pets: Scan, tmp_path: Path) -> None:
    matrices = activations.open_activations(nano, pets, tmp_path, "exclude", "float32")
    matrices.done[[4, 5, 6, 7, 9]] = 1
    assert [rows.tolist() for rows in extract.missing_batches(matrices, 4)] == [
        [0, 1, 2, 3], [8, 9, 10, 11], [12, 13, 14, 15],
    ]  # fmt: skip
    matrices.done[:] = 1
    assert extract.missing_batches(matrices, 4) == []


def test_batch_size_is_the_least(nano: Encoder) -> None:
    class Small(Turns):
        def least(self, number: int, device: torch.device) -> int:
            return min(number, 5)

    ranks = Small()
    ranks.held["encoder", nano.name] = nano
    assert load.batch_size(ranks, nano, 8, 1.0) == 8
    ranks.do = lambda job, watch=None: [job.run(ranks, lambda: None)]  # type: ignore[method-assign]
    assert load.batch_size(ranks, nano, 8, 1.0) == 5


def test_ranks_must_have_the_same_weights() -> None:
    class Another(Ranks):
        def do(self, job: Job, watch: Callable[[], None] | None = None) -> list[Any]:
            ours = job.run(self, lambda: None)
            return [ours, ours, {**ours, "machine": "node7", "weights of nano-ssl": "stale"}]

    with pytest.raises(InputError, match=r"rank 2 on node7 has other weights of nano-ssl \(stale\) than rank 0"):
        load.load(Another(), AnalysisConfig(models=("nano-ssl",), device="cpu"))


def test_each_rank_has_its_own_cuda_device(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert load.device_for("auto", Ranks()) == "cuda"
    assert [load.device_for("auto", Ranks(2 + i, 4, i, 2)) for i in range(2)] == ["cuda:0", "cuda:1"]
    assert chosen == [0, 1]
    assert load.device_for("cpu", Ranks(2, 4, 2, 4)) == "cpu"
    with pytest.raises(InputError, match="--device cuda:1 is one device, torchrun started 2 ranks"):
        load.device_for("cuda:1", Ranks(0, 2, 0, 2))
    with pytest.raises(InputError, match=r"3 ranks on .* sees 2 CUDA device.*--nproc-per-node 2"):
        load.device_for("cuda", Ranks(0, 3, 0, 3))


def test_file_systems_that_lose_rows_are_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nhome:/x {tmp_path}/home nfs4 rw 0 0\nfs {tmp_path}/home/scratch lustre rw 0 0\n"
    )
    for place in ("", "home/scratch/a"):
        _refuse_unsafe(tmp_path / place, mounts)
    with pytest.raises(InputError, match="is on nfs4, where rows that several machines write to one file get lost"):
        _refuse_unsafe(tmp_path / "home/atlas.files", mounts)


def test_a_folder_that_another_machine_does_not_see_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not see .*positive\.npy, .* expected a folder that all machines share"):
        activations.reopen(tmp_path)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_heads_in_shares(nano: Encoder, tmp_path: Path, world: int) -> None:
    clips = [(f"fold {i % 3 + 1}", {"kind": "ab"[i % 2]}) for i in range(24)]
    scan = scan_without_files(clips, ("kind",))
    task, matrices = Task(scan, "kind"), activations.open_activations(nano, scan, tmp_path, "exclude", "float32")
    matrices.embeddings[:] = np.random.default_rng(0).normal(size=matrices.embeddings.shape)
    matrices.embeddings[:, 0] += task.labels
    fitter = Fitter(team(world, nano, scan), nano, task, matrices)
    alone, shared = (
        fit.fit_task(task, matrices.embeddings),
        fit.fit_task(task, matrices.embeddings, fitter=fitter.rounds),
    )
    assert len(shared.parts) == 3 and shared.result.settings == alone.result.settings
    assert shared.result.rows.equals(alone.result.rows)
    ours = refits.refit_heads(shared, task, 2, 0, None, fitter.samples)
    theirs = refits.refit_heads(alone, task, 2, 0, None, partial(refits.fit_samples, task, matrices.embeddings))
    assert [len(of_part) for of_part in ours] == [2, 2, 2]
    for part, same in zip(ours, theirs, strict=True):
        for one, other in zip(part, same, strict=True):
            np.testing.assert_array_equal(one.weight, other.weight)
