"""Heads on every layer: what is pooled, where a class becomes readable, and how sure that is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from core.datasets import audio
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.datasets.task import Task
from core.encoders import Encoder, load_encoder
from core.encoders.base import mean_over_clips
from core.evidence.shares import share_interval
from core.probes import fit
from core.probes.layers import tell
from core.probes.measures import average_precisions, weighted_precisions
from core.probes.weighted import Layers, Summed, fit_sum
from core.recording import activations
from core.recording.activations import Activations, open_activations, reopen
from core.recording.extract import extract
from core.recording.passes import Passes
from core.results import LayerProbes, wilson
from core.run.stages.layers import LayersJob
from tests.core.test_hooks import LONG, SHORT, hand_made
from tests.core.test_jobs import team
from tests.support.planted import scan_without_files
from tests.support.small_study import RATE, clips_passed, make_dataset, query, results, run, small_network, sound

WIDTH, N_LAYERS, FIRST = 6, 4, 2
"""Of the toy network's stream, and the first number (0 = before the first block) that tells the class."""
SCORE = ("--stages", "extract,score", "--tasks", "pets-kind")


# What is pooled.


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_pooled_outputs_are_those_worked_by_hand(chunk: int) -> None:
    # LONG enters as (1, 2), (-1, 3), (0.5, 0), leaves block 0 as (6, 2), (5, 6), (1, 0) and block 1 as (15, 2),
    # (17, 6), (3, 0); SHORT is (4, -5), (8, -5), (12, -5). A token that is padding alone enters no mean.
    encoder, found = hand_made(chunk), []
    batch = encoder.prepare([LONG, SHORT])
    with torch.inference_mode():
        encoder.forward(batch, lambda layer, hidden: found.append((layer, encoder.pooled(layer, hidden, batch))))
    assert [layer for layer, _ in found] == [-1, 0, 1]
    expected = [[[0.5 / 3, 5 / 3], [4, -5]], [[4, 8 / 3], [8, -5]], [[35 / 3, 8 / 3], [12, -5]]]
    for (_, pooled), by_hand in zip(found, expected, strict=True):
        np.testing.assert_allclose(pooled, by_hand, rtol=1e-6)
    assert encoder.stream_widths == (2, 2, 2)


def test_class_tokens_and_merged_tokens_are_pooled_as_they_should(tmp_path: Path) -> None:
    tiny_hf = pytest.importorskip("tests.support.tiny_hf")
    models = tiny_hf.build(tmp_path, ("clap", "ast"))
    sounds = [tiny_hf.noise(9_600), tiny_hf.noise(4_000)]
    clap = load_encoder(models["clap"])
    assert len(set(clap.stream_widths)) > 1, "Swin widens where it merges"
    batch = clap.prepare(sounds)
    with torch.inference_mode():
        last: list[torch.Tensor] = []
        clap.forward(batch, lambda layer, hidden: last.append(clap.pooled(layer, hidden, batch)))
    assert [one.shape for one in last] == [(2, width) for width in clap.stream_widths]
    ast = load_encoder(models["ast"])
    batch = ast.prepare(sounds)
    hidden = torch.zeros(*batch.present.shape, 3)
    hidden[:, :2] = 100.0  # the class token and its like, which stand for no sound
    np.testing.assert_array_equal(ast.pooled(0, hidden, batch), np.zeros((2, 3)))


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl", small_network()[1])


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = make_dataset(tmp_path_factory.mktemp("data") / "pets", n_clips=12)
    soundfile.write(folder / "001.wav", sound("low", 2.5, 1), RATE)  # longer than a chunk
    return scan(read(folder), folder.parent / "scan.csv")


@pytest.fixture
def recorded(nano: Encoder, pets: Scan, tmp_path: Path) -> Activations:
    matrices = open_activations(nano, pets, tmp_path, "exclude", "float32", with_layers=True)
    extract([(nano, matrices)], pets, Passes(5))
    return matrices


def test_the_pass_that_counts_pools_every_layer(nano: Encoder, pets: Scan, recorded: Activations) -> None:
    assert recorded.layers is not None and recorded.layers.shape == (12, 3 * 48)
    for row in (1, 5):
        waveform = audio.load(pets.dataset.root / pets.dataset.clips[row].path, RATE)
        batch = nano.prepare([waveform])
        expected = []
        with torch.inference_mode():
            hidden = nano.begin(batch)
            for layer in range(nano.n_layers + 1):
                summed = (hidden * batch.present[:, :, None]).sum(1)
                expected.append(mean_over_clips(summed, batch.present.sum(1), batch)[0])
                hidden = nano.block(layer, hidden, batch) if layer < nano.n_layers else hidden
        np.testing.assert_allclose(recorded.layers[row], torch.cat(expected), atol=1e-4)
    again = reopen(recorded.folder)
    assert again.layers is not None and again.matrices == (*activations.MATRICES, "layers")
    np.testing.assert_array_equal(again.layers, recorded.layers)


def test_clips_recorded_without_are_recorded_again_and_come_out_the_same(
    nano: Encoder, pets: Scan, recorded: Activations, tmp_path: Path
) -> None:
    where = nano, pets, tmp_path / "other", "exclude", "float32"
    without = open_activations(*where)  # type: ignore[arg-type]
    extract([(nano, without)], pets, Passes(5))
    assert without.layers is None
    for name in activations.MATRICES:
        np.testing.assert_array_equal(getattr(without, name), getattr(recorded, name))
    sums = without.sums.copy()
    again = open_activations(*where, with_layers=True)  # type: ignore[arg-type]
    assert not again.done.any()
    extract([(nano, again)], pets, Passes(5))
    np.testing.assert_array_equal(again.sums, recorded.sums)
    np.testing.assert_array_equal(again.sums[:, :4], sums)
    kept = open_activations(*where)  # type: ignore[arg-type]
    assert kept.complete and kept.layers is not None, "what is there stays"


# Where a class becomes readable.


def made(splits: list[str], several: bool = False) -> tuple[Task, Layers]:
    """A network in whose stream the class stands from one layer on, in two of six coordinates."""
    labels = np.arange(len(splits)) % 2
    second = np.arange(len(splits)) % 5 == 0
    values = ["ab"[one] + ",c" * bool(several and also) for one, also in zip(labels, second, strict=True)]
    clips = [(split, {"kind": value}) for split, value in zip(splits, values, strict=True)]
    found = scan_without_files(clips, ("kind",))
    if several:
        found = replace(found, dataset=replace(found.dataset, multilabel=("kind",)))
    stream = np.random.default_rng(0).normal(size=(N_LAYERS, len(splits), WIDTH))
    stream[FIRST:, :, 0] += 40.0 * labels
    stream[FIRST:, :, 1] += 40.0 * second
    scales = np.array([1.0, 1000.0, 0.01, 5.0])[:, None, None]  # of which no head and no weight may hang
    return Task(found, "kind"), Layers(np.hstack(stream * scales).astype(np.float32), (WIDTH,) * N_LAYERS)


def told(task: Task, layers: Layers) -> tuple[LayerProbes, Summed]:
    probes = [fit.fit_task(task, layers.of(number)) for number in range(len(layers.widths))]
    summed = fit_sum(task, layers, "cpu", 2, 0)
    return tell(task, probes, summed, 0), summed


def by_layer(found: LayerProbes, split: str = "test", name: str | None = None) -> pd.DataFrame:
    rows = found.scores[found.scores["split"] == split]
    rows = rows[rows["class_name"].isna() if name is None else rows["class_name"] == name]
    return rows.set_index("layer")


@pytest.mark.parametrize("in_folds", [False, True])
def test_accuracy_is_chance_before_and_one_from_the_layer_on_that_tells_the_class(in_folds: bool) -> None:
    splits = [f"fold {i // 2 % 4 + 1}" if in_folds else ("train", "valid", "test")[i // 2 % 3] for i in range(360)]
    found, summed = told(*made(splits))
    rows = by_layer(found)
    assert rows["accuracy"].loc[[1.0, 2.0]].tolist() == [1.0, 1.0]
    assert (rows["accuracy"].loc[[-1.0, 0.0]] - 0.5).abs().max() < 0.13
    assert (rows["ci_low"].loc[[-1.0, 0.0]] < 0.5).all() and (rows["ci_high"].loc[[-1.0, 0.0]] > 0.5).all()
    n = 360 if in_folds else 120
    assert (rows["ci_low"].loc[1.0], rows["ci_high"].loc[1.0]) == pytest.approx(wilson(1.0, float(n)))
    assert ((rows["chance"] - 0.5).abs() < 0.01).all()
    assert rows["shuffled_high"].between(0.5, 0.72).all()
    for name in "ab":
        of_class = by_layer(found, name=name)
        assert (of_class["n_clips"] == n / 2).all() and of_class["accuracy"].loc[1.0] == 1.0
        assert of_class["shuffled_high"].isna().all()
    assert found.summary["best_layer"] == 1, "of layers that are as good the first"
    assert found.summary["chosen_on"] == ("the next fold" if in_folds else "valid")
    assert (found.summary["best_accuracy"], found.summary["best_difference"]) == (1.0, 0.0)
    # The weighted sum finds the layers, however large their numbers are.
    assert rows["accuracy"].loc[np.nan] == found.summary["weighted_accuracy"] == 1.0
    weights = found.weights.set_index("layer")
    assert weights["weight"].sum() == pytest.approx(1.0)
    assert weights["weight"].loc[[1, 2]].min() > 1.3 * weights["weight"].loc[[-1, 0]].max()
    assert (weights["weight_low"] <= weights["weight"]).all() and (weights["weight"] <= weights["weight_high"]).all()
    assert summed.weights.shape == (4 if in_folds else 1, N_LAYERS) and len(summed.refitted) == (8 if in_folds else 2)


def test_of_clips_with_several_labels_average_precision_is_told() -> None:
    splits = [("train", "valid", "test")[i // 6 % 3] for i in range(360)]
    found, _ = told(*made(splits, several=True))
    rows = by_layer(found)
    assert set(found.scores["metric"]) == {"average precision"}
    assert rows["accuracy"].loc[2.0] == pytest.approx(1.0) and rows["accuracy"].loc[-1.0] < 0.65
    assert rows["ci_low"].loc[-1.0] < rows["accuracy"].loc[-1.0] < rows["ci_high"].loc[-1.0] < 0.75
    assert by_layer(found, name="c")["ci_low"].notna().all()
    assert (rows["shuffled_high"] < 0.75).all()
    assert found.summary["best_layer"] == 1


def test_the_best_layer_is_chosen_on_valid_clips_and_told_on_test_clips() -> None:
    splits = [("train", "valid", "test")[i // 2 % 3] for i in range(360)]
    task, layers = made(splits)
    pooled = layers.pooled.copy()
    of_test = task.splits == "test"
    # Layer 2 is right on all test clips, layer 1 on valid clips alone: so that one is told, with what it is worth.
    pooled[np.ix_(task.splits == "valid", np.arange(3 * WIDTH, 4 * WIDTH))] = 0.0
    pooled[np.ix_(of_test, np.arange(2 * WIDTH, 3 * WIDTH))] = 0.0
    found, _ = told(task, replace(layers, pooled=pooled))
    assert found.summary["best_layer"] == 1
    assert found.summary["best_accuracy"] == pytest.approx(0.5)
    assert found.summary["best_difference"] == pytest.approx(-0.5)
    low, high = (found.summary[f"best_difference_{end}"] for end in ("low", "high"))
    assert isinstance(low, float) and isinstance(high, float) and -0.65 < low < -0.5 < high < -0.35


def test_without_valid_clips_no_layer_is_best_and_layers_of_other_widths_have_no_sum() -> None:
    splits = [("train", "test")[i // 2 % 2] for i in range(80)]
    task, layers = made(splits)
    uneven = Layers(layers.pooled, (4, 8, 6, 6))
    probes = [fit.fit_task(task, uneven.of(number)) for number in range(4)]
    found = tell(task, probes, None, 0)
    assert found.summary["best_layer"] is None and np.isnan(found.summary["best_accuracy"])  # type: ignore[arg-type]
    assert found.weights.empty and by_layer(found).index.tolist() == [-1.0, 0.0, 1.0, 2.0]
    single = Task(scan_without_files([("train", {"kind": "a"})] * 3, ("kind",)), "kind")
    skipped = tell(single, [fit.fit_task(single, np.zeros((3, 2), np.float32))], None, 0)
    assert "a linear probe needs at least 2" in skipped.skipped and skipped.scores.empty


@pytest.mark.parametrize("world", [2, 3])
def test_layers_in_shares(nano: Encoder, pets: Scan, recorded: Activations, world: int) -> None:
    job = LayersJob(nano.name, "pets", "kind", recorded.folder, nano.stream_widths, 2, 0)
    (alone,) = team(1, nano, pets).do(job)
    ranks, seen = team(world, nano, pets), []
    shares = ranks.do(job, lambda: seen.append(ranks.count()))
    assert seen[-1] == len(alone) == len(job.pieces) == 4
    for i, one in enumerate(alone):
        other = shares[i % world][i // world]
        of_layer = [each.probe if isinstance(each, Summed) else each for each in (one, other)]
        assert of_layer[0].result.rows.equals(of_layer[1].result.rows)


# How sure that is.


def test_a_share_of_clips_of_few_voices_is_less_sure() -> None:
    values = np.repeat([True, True, True, False], 10)
    assert share_interval(values, np.arange(40)) == pytest.approx(wilson(0.75, 40.0))
    low, high = share_interval(values, np.repeat(np.arange(20), 2))
    assert low < wilson(0.75, 21.0)[0] and high > wilson(0.75, 21.0)[1], "20 voices of two clips that are the same"
    assert share_interval(np.ones(40, dtype=bool), np.repeat(np.arange(4), 10)) == pytest.approx(wilson(1.0, 4.0))
    assert share_interval(values, np.zeros(40, dtype=int)) == pytest.approx(wilson(0.75, 1.0))


def test_weighted_average_precision_is_that_of_repeated_clips() -> None:
    rng = np.random.default_rng(1)
    scores: NDArray[np.float64] = rng.integers(0, 6, size=(30, 3)).astype(float)  # with ties
    members = rng.random((30, 3)) < 0.3
    times = rng.integers(0, 4, size=30)
    found = weighted_precisions(scores, members, np.stack([np.ones(30), times.astype(float)]))
    np.testing.assert_allclose(found[0], average_precisions(scores, members))
    repeated = np.repeat(np.arange(30), times)
    np.testing.assert_allclose(found[1], average_precisions(scores[repeated], members[repeated]))


# The command.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("study") / "pets")


def test_the_command_stores_layers_and_says_when_it_records_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    assert run("--data-dir", folder, "--db", db, *SCORE) == 0
    before, told_before = results(db), capsys.readouterr().out
    assert query(db, "SELECT * FROM layer_probes") == [] and "probe layers" not in told_before
    layers = ("--data-dir", folder, "--db", db, "--tasks", "pets-kind", "--probe-layers")
    assert run(*layers, "--stages", "score") == 2
    assert "recorded by nano-ssl without the outputs of its layers; add extract" in capsys.readouterr().err
    with clips_passed(monkeypatch) as passes:
        assert run(*layers, "--stages", "extract,score") == 0
    assert passes == [8, 8, 8]
    assert "without the outputs of its layers: it is recorded again (--probe-layers)" in capsys.readouterr().out
    after = results(db)
    views = ("layer_probes", "layer_probe_classes", "layer_weights", "layer_summaries")
    new = {view: after.pop(view) for view in views}
    assert after == {view: rows for view, rows in before.items() if view not in views}, "the rest stays as it was"
    assert {row[:4] for rows in new.values() for row in rows} == {("nano-ssl", "pets", "pets-kind", "mlp")}
    assert query(db, "SELECT layer FROM layer_probes WHERE split = 'test' ORDER BY layer") == [(-1,), (0,), (1,)]
    assert query(db, "SELECT COUNT(*), SUM(weight) FROM layer_weights") == [(3, pytest.approx(1.0))]
    stages = query(db, "SELECT COUNT(*) FROM stage")
    for again in (layers, layers[:-1]):  # with and without, what is there is not done again
        with clips_passed(monkeypatch) as passes:
            assert run(*again, "--stages", "extract,score") == 0
        assert passes == [] and query(db, "SELECT COUNT(*) FROM stage") == stages


def test_layers_are_those_of_the_network_whatever_its_units_are(folder: Path, tmp_path: Path) -> None:
    db = tmp_path / "atlas.db"
    assert run("--data-dir", folder, "--db", db, *SCORE, "--units", "residual,random", "--probe-layers") == 0
    assert query(db, "SELECT DISTINCT model, unit_kind FROM layer_probes") == [("nano-ssl", "residual")]
