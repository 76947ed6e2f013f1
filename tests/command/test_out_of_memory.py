"""A device without memory for a batch gets smaller ones, at every stage that runs the model; nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.encoders.nano import NanoEncoder
from core.run.stages import ablate, attribute, extract
from tests.support.small_study import make_dataset, query, run

TASK = ("--tasks", "pets-kind", "--gains", "0,mean")
MOST = {"extract": 3, "attribute": 1, "ablate": 5}
"""Rows that go into memory at once, by stage."""


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def whole(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run with memory enough."""
    db = tmp_path_factory.mktemp("whole") / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *TASK) == 0
    return db


@contextmanager
def little_memory(patch: pytest.MonkeyPatch, stages: dict[str, int]) -> Iterator[Counter[str]]:
    """Blocks that are given more rows than fit raise as CUDA does; yields how often, by stage."""
    block, within, raised = NanoEncoder.block, [""], Counter[str]()

    def limited(self: NanoEncoder, layer: int, hidden: torch.Tensor, batch: Any) -> torch.Tensor:
        if len(hidden) > stages.get(within[0], 10**9) and layer == 1:  # in the middle of the pass
            raised[within[0]] += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return block(self, layer, hidden, batch)

    def within_stage(stage: str, owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def told(*given: Any, **named: Any) -> Any:
            within[0] = stage
            try:
                return inner(*given, **named)
            finally:
                within[0] = ""

        patch.setattr(owner, name, told)

    patch.setattr(NanoEncoder, "block", limited)
    within_stage("extract", extract, "extract")
    within_stage("attribute", attribute.Attribute, "run")
    within_stage("ablate", ablate.Ablate, "run")
    yield raised


def matrix(db: Path, name: str) -> Any:
    (found,) = (db.with_suffix(".files") / "activations").rglob(f"{name}.npy")
    return np.load(found)


ANSWERS = """
SELECT task, selection, operation, gain, affected_class, target, n_clips, delta, ci_low, ci_high, control_delta_mean
FROM ablation_effects ORDER BY 1, 2, 3, 4, 5, 6
"""
ATTRIBUTED = "SELECT attribution FROM neuron_attribution ORDER BY task, class_name, layer, neuron"
CHECKED = "SELECT measured FROM attribution_checks ORDER BY task, class_name, layer, neuron"


@pytest.mark.parametrize("stage", MOST)
def test_batches_are_halved_until_they_fit(
    pets: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    stage: str,
) -> None:  # fmt: skip
    db = tmp_path / "atlas.db"
    with monkeypatch.context() as patch, little_memory(patch, {stage: MOST[stage]}) as raised:
        assert run("--data-dir", pets, "--db", db, *TASK) == 0
    assert raised[stage] > 0
    assert set(raised) == {stage}
    assert capsys.readouterr().err == ""
    assert query(db, ANSWERS) == query(whole, ANSWERS)
    assert matrix(db, "tokens").tolist() == matrix(whole, "tokens").tolist()
    np.testing.assert_allclose(matrix(db, "total"), matrix(whole, "total"), atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(matrix(db, "embeddings"), matrix(whole, "embeddings"), atol=1e-4)
    moved = np.abs(matrix(db, "positive").astype(int) - matrix(whole, "positive"))
    assert moved.max() <= 1
    assert (moved > 0).mean() < 2e-3  # other batches, other rounding
    if stage != "extract":
        assert not moved.any()
    for numbers in (ATTRIBUTED, CHECKED):
        values = np.array(query(db, numbers))
        np.testing.assert_allclose(values, np.array(query(whole, numbers)), atol=2e-4)
        assert len(values)


def test_one_clip_that_does_not_fit_is_named_and_what_is_done_is_kept(
    pets: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "atlas.db"
    with monkeypatch.context() as patch, little_memory(patch, {"ablate": 0}):
        assert run("--data-dir", pets, "--db", db, *TASK) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "nano-ssl on cpu has no memory to ablate one clip of" in told
    assert query(db, "SELECT COUNT(*) FROM attribution") == [(1,)]
    assert run("--data-dir", pets, "--db", db, *TASK) == 0
    assert query(db, ANSWERS) == query(whole, ANSWERS)
