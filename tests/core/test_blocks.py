"""Matrices larger than memory: what is read in small blocks gives the numbers that a matrix in memory gives."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.arrays import blocks
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.evidence import permutation, stability, units
from core.probes import fit
from core.recording import top_clips
from core.recording.activations import Activations
from core.results import TaskScores
from core.run.config import AnalysisConfig
from core.run.stages.score import score as score_task
from core.scoring.counts import count
from tests.support.planted import scan_without_files

N_CLIPS, N_NEURONS = 160, 37
SHUFFLES = 12


def study(folder: Path, by: str = "split", several: bool = False) -> tuple[Scan, Activations]:
    """Notes that some neurons answer to; mapped matrices; voices of several notes, folds, or clips of several notes."""
    rng = np.random.default_rng(5)
    note = np.arange(N_CLIPS) % 4
    splits = [f"fold {i}" for i in 1 + rng.integers(0, 3, N_CLIPS)]
    if by != "fold":
        splits = rng.choice(["train", "train", "valid", "test"], N_CLIPS).tolist()
    labels = [{"pitch": f"{60 + n},{60 + n // 2}" if several else str(60 + n)} for n in note]
    if by == "voice":
        labels = [{**of, "voice": f"v{v}"} for of, v in zip(labels, rng.integers(0, 9, N_CLIPS), strict=True)]
    scan = scan_without_files(
        list(zip(splits, labels, strict=True)), ("pitch", "voice") if by == "voice" else ("pitch",)
    )
    loud = {"level_db": rng.normal(size=N_CLIPS) + note, "seconds": rng.random(N_CLIPS)}
    dataset = replace(scan.dataset, multilabel=("pitch",) if several else ())
    if by == "split":
        dataset = replace(dataset, drawn=("pitch", 0)).drawn_again()
    scan = replace(scan, dataset=dataset, files=scan.files.assign(**loud))
    tokens = rng.integers(3, 30, N_CLIPS).astype(np.int32)
    rate = rng.beta(0.4, 2, N_NEURONS) * np.where(note[:, None] == np.arange(N_NEURONS) % 9, 4, 1)
    positive = rng.binomial(tokens[:, None], rate.clip(0, 0.95)).astype(np.uint8)
    positive[:, 5] = 0  # one that never fires, one that fires in a single clip, one that a clip dominates
    positive[:, 6] = np.arange(N_CLIPS) == 3
    positive[:, 7] = np.where(np.arange(N_CLIPS) == 9, tokens, positive[:, 7] > 9)
    total = (positive * rng.gamma(2, 1, positive.shape) - 0.1 * tokens[:, None]).astype(np.float32)
    total[:, 8] = np.round(total[:, 8] / 20)  # ties
    mapped = []
    for name, values in (("positive", positive), ("total", total)):
        np.save(folder / f"{name}.npy", values)
        mapped.append(np.load(folder / f"{name}.npy", mmap_mode="r"))
    embeddings = total[:, :6].copy()
    return scan, Activations(folder, *mapped, tokens, embeddings, np.ones(N_CLIPS, np.uint8))


def force_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a million clips would have it: three neurons a block, tiles of few clips, panels of five, nothing held."""
    monkeypatch.setattr(blocks, "NUMBERS", 3 * N_CLIPS)
    monkeypatch.setattr(blocks, "PANEL_BYTES", 5 * N_CLIPS)
    monkeypatch.setattr(top_clips, "NUMBERS", 20 * N_NEURONS)
    monkeypatch.setattr(top_clips, "_FIRST_TILE", 10)
    monkeypatch.setattr(units, "HELD_BYTES", 0)


def scored(scan: Scan, activations: Activations, event: str) -> TaskScores:
    config = AnalysisConfig(shuffles=SHUFFLES, event=event)
    counts = count(Task(scan, "pitch"), activations, event, config.selection_splits())
    assert (counts.clips.units.held is None) == (units.HELD_BYTES == 0)
    heads = fit.fit_task(Task(scan, "pitch"), activations.embeddings)
    return score_task(config, Task(replace(scan), "pitch"), activations, counts, heads, lambda done: None)


def assert_same(found: object, expected: object, name: str = "") -> None:
    if isinstance(expected, pd.DataFrame):
        assert isinstance(found, pd.DataFrame)
        # What several clips' floats are added up for by BLAS may differ in the last bit with the block's width.
        exact = name not in ("selector_score", "neuron_confound", "selector_pair", "pairs")
        pd.testing.assert_frame_equal(found, expected, check_exact=exact, **({} if exact else {"rtol": 1e-11}))
    elif isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key], key)
    elif isinstance(expected, tuple) and expected and hasattr(expected[0], "__dataclass_fields__"):
        for a, b in zip(found, expected, strict=True):  # type: ignore[call-overload]
            assert_fields_same(a, b)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=name)


def assert_fields_same(found: object, expected: object) -> None:
    for of in fields(expected):  # type: ignore[arg-type]
        assert_same(getattr(found, of.name), getattr(expected, of.name), of.name)


@pytest.mark.parametrize(
    ("by", "event", "several"),
    [("split", "positive", False), ("voice", "positive", False), ("fold", "high", False), ("split", "positive", True)],
)
def test_scores_do_not_depend_on_how_much_is_read_at_once(
    by: str, event: str, several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, activations = study(tmp_path, by, several)
    expected = scored(scan, activations, event)
    assert len(expected.selections[2].pairs) and expected.curve["null_coverage_mean"].notna().any()
    assert len(expected.tables["neuron_preference"]) and len(expected.tables["pitch_tuning"])
    force_small_blocks(monkeypatch)
    assert_fields_same(scored(scan, activations, event), expected)


def test_clips_do_not_depend_on_how_much_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, activations = study(tmp_path)
    expected = top_clips.top_clips(scan, activations), top_clips.choose("made", activations)
    means = activations.total / activations.tokens[:, None]
    best = np.argsort(-means, axis=0, kind="stable")[: top_clips.N_TOP_CLIPS]
    assert np.array_equal(expected[0].clip_index, best.T)
    assert np.array_equal(expected[1].clips[:, : top_clips.N_TOP_CLIPS], best.T)
    force_small_blocks(monkeypatch)
    assert_fields_same(top_clips.top_clips(scan, activations), expected[0])
    found = top_clips.choose("made", activations)
    assert np.array_equal(found.clips, expected[1].clips)
    assert np.array_equal(found.quantiles, expected[1].quantiles)


def test_sums_by_class_are_exact_where_float32_would_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tokens = np.full(300, 60_000)
    positive = rng.integers(0, 60_000, (300, 11)).astype(np.uint16)
    members = rng.random((300, 4)) < 0.7
    expected = members.T.astype(np.int64) @ positive.astype(np.int64)
    assert expected.max() > 2**22
    sums = blocks.add_up(positive, 60_000, 4, members.__getitem__)
    assert np.array_equal(sums, expected)
    monkeypatch.setattr(blocks, "NUMBERS", 77)
    assert np.array_equal(blocks.add_up(positive, 60_000, 4, members.__getitem__), expected)
    big = positive.astype(np.uint32) * 1000
    assert np.array_equal(blocks.add_up(big, 6e7, 4, members.__getitem__), expected * 1000)
    monkeypatch.setattr(units, "HELD_BYTES", 0)
    counts = permutation.ClipCounts.of(positive, tokens)
    assert np.array_equal(counts.by_class(members)[0], expected)
    assert np.array_equal(counts.by_class(members)[1], members.T.astype(np.int64) @ tokens)


def test_rows_are_read_as_indexing_a_copy_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(120, dtype=np.uint8).reshape(12, 10)
    chosen = np.array([0, 2, 3, 4, 7, 11])
    for panel in (1, 6 * 4, 2**20):
        monkeypatch.setattr(blocks, "PANEL_BYTES", panel)
        for clips in (None, chosen, values[:, 0] % 3 == 0, np.arange(3, 9), np.zeros(0, dtype=np.int64)):
            rows, copy = blocks.Rows(values, clips), values if clips is None else values[clips]
            assert rows.shape == copy.shape and len(rows) == len(copy)
            for neurons in (slice(0, 3), slice(2, 5), slice(5, 10), slice(None), np.array([1, 8]), np.array([9, 0])):
                assert np.array_equal(rows[:, neurons], copy[:, neurons])
            assert np.array_equal(rows[1:4, :], copy[1:4])
            assert np.array_equal(blocks.Rows(rows, np.arange(len(rows))[::2])[:, 2:4], copy[::2, 2:4])


def test_pieces_cover_all_and_leave_none_alone() -> None:
    for n, at_once in ((0, 4), (1, 4), (4, 4), (5, 4), (9, 4), (10, 4), (1025, 512)):
        pieces = list(blocks.slices(n, at_once))
        assert [i for piece in pieces for i in range(piece.start, piece.stop)] == list(range(n))
        assert at_once == blocks.MOST_NEURONS or n == 1 or all(piece.stop - piece.start > 1 for piece in pieces)


def test_halves_of_chosen_rows_are_those_of_a_copy() -> None:
    rng = np.random.default_rng(1)
    positive = rng.binomial(20, 0.2, (90, 30)).astype(np.uint8)
    members = (np.arange(90) % 3)[:, None] == np.arange(3)
    settings = AnalysisConfig().selections()
    chosen = np.flatnonzero(rng.random(90) < 0.8)
    tokens = np.full(len(chosen), 20)
    found = stability.split_half(blocks.Rows(positive, chosen), tokens, members[chosen], settings, n_halves=2)
    expected = stability.split_half(positive[chosen], tokens, members[chosen], settings, n_halves=2)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
