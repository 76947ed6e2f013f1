"""Ablations with their effects taken apart, out of planted logits: some classes lose, some only shift, some neither."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from core.ablation.outcomes import Beside, Clips, Outcomes
from core.results import Ablation, FloatArray, IntArray
from db.connection.open import open_store
from db.reads.frames import frame
from db.writes.store import Store
from tests.support.records import ablations_of
from tests.support.synthetic_store import CLIPS_PER_DATASET, DATASETS

N_CONTROLS = 20


EVENTS = DATASETS["rooms"]["event"]
SHIFT, SELECTIVE = -np.array([1.0] * 6 + [0.0] * 2), -np.array([0.8] * 4 + [0.0] * 4)
"""Of 8 classes, 4 lose something of their own, 2 more only shift, 2 do neither."""


def write_apart(path: Path) -> Path:
    """Add to a copy of the made-up study two doses, taken apart, of one model and task."""
    engine = open_store(path)
    run = int(frame(engine, "SELECT MAX(id) AS id FROM run WHERE model_name = 'nano-ssl'")["id"].iloc[0])
    model = int(frame(engine, "SELECT id FROM model WHERE name = 'nano-ssl'")["id"].iloc[0])
    classes = np.arange(CLIPS_PER_DATASET) % len(EVENTS)
    for selection, dose, n_neurons in (("mad 1%", 1.0, 4), ("mad 5%", 2.0, 19)):
        made = taken_apart("rooms-event", selection, EVENTS, classes, dose * SHIFT, dose * SELECTIVE, n_neurons)
        Store(engine).write_ablations(run, selection, model, ablations_of("rooms-event", made))
    engine.dispose()
    return path


# More than six: what is planted, and where.
def taken_apart(
    task: str,
    selection: str,
    names: Sequence[str],
    classes: IntArray,
    shift: FloatArray,
    selective: FloatArray,
    n_neurons: int = 4,
    n_controls: int = N_CONTROLS,
) -> list[Ablation]:
    """One ablation a class, of clips whose logits change by what is planted.

    Parameters
    ----------
    task, selection : str
    names : sequence of str
    classes : ndarray of int, shape (n_clips,)
        Class of each clip; all clips of the dataset are asked, in their order.
    shift : ndarray, shape (n_classes,)
        Change of a class's logit on all clips by its own neurons.
    selective : ndarray, shape (n_classes,)
        Change on its own clips, besides. New offsets take the shift away, a whole new head both.
    n_neurons, n_controls : int
    """
    rng = np.random.default_rng(5)
    n_classes, n_clips = len(names), len(classes)
    members = classes[:, None] == np.arange(n_classes)
    base = rng.normal(0, 1, (n_clips, n_classes)) + 4 * members
    logits = np.repeat(base[None], n_classes + n_controls + 1, axis=0)
    logits[n_classes:-1] += rng.normal(0, 0.02, (n_controls, n_clips, n_classes))
    heads = np.repeat(logits[None], 3, axis=0)
    for c in range(n_classes):
        heads[0, c, :, c] += shift[c] + selective[c] * members[:, c]
        heads[1, c, :, c] += selective[c] * members[:, c]
    beside = Beside(range(n_classes), [np.arange(n_classes, n_classes + n_controls)] * n_classes)
    found = Outcomes.of(heads.astype(np.float32), 0, beside, Clips(members, np.arange(n_clips), False, 0))
    ablations = []
    for c, name in enumerate(names):
        effects = _effects(names, members, logits[-1], heads[0, c], n_controls)
        ablations.append(
            Ablation(
                task, selection, name, 0.0, np.arange(c, c + n_neurons), effects,
                np.zeros((n_controls, len(effects))), outcomes=_with_q(found.rows(c)),
                of_controls=found.of_controls(c), clips=found.clips(c, np.arange(n_clips), c),
            )
        )  # fmt: skip
    return ablations


def _with_q(rows: pd.DataFrame) -> pd.DataFrame:
    """Corrected outcome by outcome over the classes."""
    q = pd.Series(np.nan, index=rows.index)
    known = rows["p_value"].notna()
    for _, of in rows[known].groupby("outcome"):
        q[of.index] = false_discovery_control(of["p_value"])
    return rows.assign(q_value=q)


def _effects(
    names: Sequence[str], members: np.ndarray, before: FloatArray, after: FloatArray, n_controls: int
) -> pd.DataFrame:
    """Accuracy on all clips, then class by class; nothing stands."""
    right = [members[np.arange(len(members)), logits.argmax(axis=1)] for logits in (before, after)]
    rows = []
    for position, name in enumerate([None, *names]):
        own = members.any(axis=1) if position == 0 else members[:, position - 1]
        unablated, ablated = (float(r[own].mean()) for r in right)
        delta = ablated - unablated
        rows.append(
            {"class_name": name, "n_clips": int(own.sum()), "accuracy_unablated": unablated,
             "accuracy_ablated": ablated, "delta": delta, "ci_low": delta - 0.1, "ci_high": delta + 0.1,
             "p_value": 1.0, "q_value": 1.0, "control_delta_mean": 0.0 if n_controls else np.nan,
             "control_delta_low": 0.0 if n_controls else np.nan, "control_delta_high": 0.0 if n_controls else np.nan,
             "n_controls": n_controls}
        )  # fmt: skip
    return pd.DataFrame(rows).assign(**dict.fromkeys(_NOT_KNOWN, np.nan))


_NOT_KNOWN = (
    "control_p_value", "beyond_control", "beyond_control_low", "beyond_control_high", "activity_control_delta_mean",
    "activity_control_delta_low", "activity_control_delta_high", "n_activity_controls", "group_ci_low",
    "group_ci_high", "n_heads", "delta_heads_low", "delta_heads_high",
)  # fmt: skip
