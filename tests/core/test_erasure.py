"""Erasure curves: on the planted network, whose tones hang on three neurons each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.ablation import erasure
from core.ablation.erasure import Erasure, first_of, sizes
from core.ablation.outcomes import Clips
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.probes.fit import Part
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from core.results import FloatArray
from tests.support.planted import planted_encoder, planted_neurons, scan_tones

LOUDEST = LinearHead(np.zeros(5), np.ones(5), np.diag([9.0, 9, 9, 9, 0]), np.array([0, 0, 0, 0, 0.1]), np.arange(5))
"""The class is the loudest tone; none where all are silent."""


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan_tones(tmp_path_factory.mktemp("erasure"))


def planted_scores(n_neurons: int, n_classes: int) -> FloatArray:
    """The tone's own neurons first, then by index."""
    scores = np.tile(-np.arange(n_neurons, dtype=float), (n_classes, 1))
    for c, neurons in enumerate(planted_neurons().values()):
        scores[c, neurons] = [3, 2, 1]
    return scores


def curves(
    tones: Scan, folder: Path | None = None, progress: Callable[[int], None] | None = None
) -> tuple[Erasure, pd.DataFrame, pd.DataFrame]:
    task, encoder = Task(tones, "tone"), planted_encoder()
    part = Part(np.flatnonzero(task.in_splits("test")), LOUDEST)
    clips = Clips(task.members[part.clips], np.arange(len(part.clips)), False, 0)
    first = planted_scores(encoder.n_neurons, 5)
    orders = {"best": first, "worst": -first}
    made = Erasure(encoder, tones, [part], clips, orders, Passes(batch_size=16, rows_per_pass=64))
    return made, *made.run(progress, folder)


def test_sizes_double_up_to_a_quarter_and_orders_leave_out_what_has_no_score() -> None:
    assert sizes(4_608) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert sizes(3) == [1] and sizes(16) == [1, 2, 4]
    assert first_of(np.array([1.0, np.nan, 3, 3, -np.inf]), 4).tolist() == [2, 3, 0]


def test_the_right_order_falls_at_once_and_the_wrong_one_not_at_all(tones: Scan) -> None:
    told: list[int] = []
    made, points, areas = curves(tones, progress=told.append)
    assert told == sorted(told) and told[-1] == made.n_passes
    a = points[(points["class_index"] == 0) & (points["outcome"] == "total")]
    best, worst = (a[a["order"] == order].set_index("n_neurons")["change"] for order in ("best", "worst"))
    assert best.index.tolist() == [1, 2, 4, 8]
    assert best[1] < -0.01 and best[2] < 2 * best[1] and best[4] < best[2], "each of the three adds"
    # The fourth on is of others; and the last of all are tones' neurons only at the end.
    assert worst.abs().max() < 0.05 * abs(best[4])
    of_a = areas[(areas["class_index"] == 0) & (areas["outcome"] == "total")].set_index("order")
    assert of_a.loc["best", "change"] == pytest.approx(best.mean(), abs=1e-9)
    assert of_a.loc["best", "beyond_high"] < 0 and of_a.loc["best", "outside_controls"] == 1
    assert of_a.loc["best", "halved_at"] == best.index[(best <= -np.log(2)).to_numpy()][0]
    assert np.isnan(of_a.loc["worst", "halved_at"])
    assert (points["n_controls"] == erasure.N_RANDOM).all()
    auroc = areas[(areas["class_index"] == 0) & (areas["outcome"] == "discrimination")].set_index("order")
    assert auroc.loc["best", "change"] < -0.1 and abs(auroc.loc["worst", "change"]) < 0.01


def test_curves_are_the_same_again_and_go_on_from_what_is_there(tones: Scan, tmp_path: Path) -> None:
    _, points, areas = curves(tones, tmp_path)
    passes: list[int] = []
    _, again, areas_again = curves(tones, tmp_path, passes.append)
    assert passes == [], "all was there"
    pd.testing.assert_frame_equal(again, points)
    pd.testing.assert_frame_equal(areas_again, areas)


def test_folds_are_asked_each_by_its_own_head(tones: Scan) -> None:
    made, points, areas = curves(tones)
    (part,) = made.parts
    halves = [replace(part, clips=clips) for clips in np.array_split(part.clips, 2)]
    both = replace(made, parts=halves)
    assert both.n_passes == made.n_passes
    same_points, same_areas = both.run()
    pd.testing.assert_frame_equal(same_points, points, atol=1e-5)
    pd.testing.assert_frame_equal(same_areas, areas, atol=1e-5)
    deaf = LinearHead(np.zeros(5), np.ones(5), np.zeros((5, 5)), np.zeros(5), np.arange(5))
    half_deaf, _ = replace(made, parts=[halves[0], replace(halves[1], head=deaf)]).run()
    own = half_deaf["outcome"] == "total"
    assert half_deaf.loc[own, "change"].abs().sum() < 0.9 * points.loc[own, "change"].abs().sum()
