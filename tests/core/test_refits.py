"""Heads refitted on resampled train clips: what is drawn, and that they are heads of the same task."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.scan import Scan
from core.datasets.task import Task
from core.probes import fit
from core.probes.linear import LinearHead
from core.probes.refits import draw, fit_samples, refit_heads
from tests.support.planted import scan_without_files


def made(n: int = 120, folds: bool = False) -> tuple[Scan, NDArray[np.float32]]:
    """Three classes, somewhat apart in the first three of eight dimensions."""
    splits = [f"fold {i % 4 + 1}" if folds else ("train", "train", "valid", "test")[i // 3 % 4] for i in range(n)]
    scan = scan_without_files([(split, {"kind": "abc"[i % 3]}) for i, split in enumerate(splits)], ("kind",))
    labels = Task(scan, "kind").labels
    noise = np.random.default_rng(0).normal(size=(n, 8))
    return scan, (noise + 3 * np.eye(8)[labels]).astype(np.float32)


def refitted(
    probe: fit.Probe, task: Task, embeddings: NDArray[np.float32], n: int, seed: int = 0, groups: Any = None
) -> list[list[LinearHead]]:
    return refit_heads(probe, task, n, seed, groups, partial(fit_samples, task, embeddings))


@pytest.mark.parametrize("folds", [False, True])
def test_each_part_has_heads_that_know_the_task_and_differ(folds: bool) -> None:
    scan, embeddings = made(folds=folds)
    fitted = fit.fit_task(Task(scan, "kind"), embeddings)
    heads = refitted(fitted, Task(scan, "kind"), embeddings, 3, seed=0)
    assert [len(h) for h in heads] == [3] * (4 if folds else 1)
    labels = Task(scan, "kind").labels
    for part, own in zip(fitted.parts, heads, strict=True):
        for head in own:
            assert head.class_index.tolist() == [0, 1, 2]
            assert (head.predict(embeddings[part.clips]) == labels[part.clips]).mean() > 0.8
            assert not np.allclose(head.weight, part.head.weight)
    assert len({head.weight.tobytes() for part in heads for head in part}) == 3 * len(heads)
    again = refitted(fitted, Task(scan, "kind"), embeddings, 3, seed=0)
    assert [h.weight.tobytes() for p in again for h in p] == [h.weight.tobytes() for p in heads for h in p]
    assert (
        refitted(fitted, Task(scan, "kind"), embeddings, 3, seed=1)[0][0].weight.tobytes()
        != heads[0][0].weight.tobytes()
    )


def test_heads_see_train_clips_alone() -> None:
    scan, embeddings = made()
    task = Task(scan, "kind")
    fitted = fit.fit_task(task, embeddings)
    heads = refitted(fitted, task, embeddings, 2, seed=0)
    changed = embeddings.copy()
    changed[~task.in_splits("train")] = 1e6
    for one, other in zip(heads[0], refitted(fitted, task, changed, 2, seed=0)[0], strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
    changed[task.in_splits("train")] += 1.0
    assert refitted(fitted, task, changed, 2, seed=0)[0][0].mean.tobytes() != heads[0][0].mean.tobytes()


def test_whole_groups_are_drawn_within_each_class() -> None:
    rng = np.random.default_rng(0)
    units = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, -9])
    strata = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
    for _ in range(50):
        times = np.bincount(draw(rng, units, strata), minlength=10)
        assert all(len(set(times[units == unit])) == 1 for unit in np.unique(units))
        of_units = [times[units == unit][0] for unit in (0, 1, 2, 3, 4, -9)]
        assert sum(of_units[:3]) == 3 and sum(of_units[3:]) == 3
    seen = {tuple(np.bincount(draw(rng, units, strata), minlength=10)) for _ in range(50)}
    assert len(seen) > 10


def test_groups_make_other_heads_and_none_is_lost() -> None:
    scan, embeddings = made()
    fitted = fit.fit_task(Task(scan, "kind"), embeddings)
    groups = np.where(np.arange(120) < 60, np.arange(120) % 3, -1)  # one group a class, and clips without
    heads = refitted(fitted, Task(scan, "kind"), embeddings, 2, 0, groups)
    assert all(head.class_index.tolist() == [0, 1, 2] for head in heads[0])
    plain = refitted(fitted, Task(scan, "kind"), embeddings, 2, 0)
    assert heads[0][0].mean.tobytes() != plain[0][0].mean.tobytes()


def test_a_probe_without_head_has_none() -> None:
    scan, embeddings = made()
    fitted = fit.Probe((), fit.fit_task(Task(scan, "kind"), embeddings).result)
    assert refitted(fitted, Task(scan, "kind"), embeddings, 2, 0) == []
