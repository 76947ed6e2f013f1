"""Linear head on frozen clip embeddings.

Scaler and softmax regression are fitted on train, the regularisation is chosen on valid, accuracy is
told on test (EVAR's protocol, with scikit-learn's solver in place of Adam and early stopping). Where
there are fewer train clips than features, the fit runs in the space that the clips span: with an L2
penalty the weights lie in it anyway.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.results import FloatArray, IntArray, ProbeResult

STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""Inverse regularisation C tried on the valid split, strongest regularisation first."""


@dataclass(frozen=True)
class LinearHead:
    """Scaler and linear layer.

    Attributes
    ----------
    mean, scale : ndarray, shape (n_features,)
    weight : ndarray, shape (n_known, n_features)
    bias : ndarray, shape (n_known,)
    class_index : ndarray of int, shape (n_known,)
        The task's class that each output stands for.
    """

    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    bias: FloatArray
    class_index: IntArray

    def predict(self, embeddings: NDArray[np.floating]) -> IntArray:
        """Class index of each clip; embeddings (n_clips, n_features)."""
        logits = ((embeddings - self.mean) / self.scale) @ self.weight.T + self.bias
        return self.class_index[logits.argmax(axis=1)]


@dataclass(frozen=True)
class Probe:
    """A fitted head and how it did; ``head`` is None where none could be trained."""

    head: LinearHead | None
    result: ProbeResult


def fit(
    task: str,
    embeddings: NDArray[np.float32],
    labels: IntArray,
    splits: NDArray[np.str_],
    class_names: list[str],
) -> Probe:
    """Train and tell.

    Parameters
    ----------
    task : str
    embeddings : ndarray, shape (n_clips, n_features)
    labels : ndarray of int, shape (n_clips,)
        -1 = no label.
    splits : ndarray of str, shape (n_clips,)
    class_names : list of str

    Returns
    -------
    Probe
        With the reason in ``result.skipped`` where a split lacks what is needed.
    """
    labelled = labels >= 0
    train, valid, test = ((splits == s) & labelled for s in ("train", "valid", "test"))
    skipped = _why_not(labels[train], labels[test])
    if skipped:
        return Probe(None, ProbeResult(task, _rows([]), {}, skipped))
    head, settings = _choose(embeddings, labels, train, valid)
    majority = np.bincount(labels[train]).argmax()
    rows = []
    for split, members in (("train", train), ("valid", valid), ("test", test)):
        if members.any():
            correct = head.predict(embeddings[members]) == labels[members]
            rows += _tell(split, correct, labels[members], class_names, int(majority))
    return Probe(head, ProbeResult(task, _rows(rows), settings))


def _why_not(train: IntArray, test: IntArray) -> str:
    n_known = len(np.unique(train))
    if n_known < 2:
        return f"the train split has clips of {n_known} class(es); a linear head needs at least 2"
    if not np.isin(test, train).any():
        return "the test split has no clip of a class that is in train (for instance because it is kept disjoint)"
    return ""


def _choose(
    embeddings: NDArray[np.float32], labels: IntArray, train: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> tuple[LinearHead, dict[str, object]]:
    scaler = StandardScaler().fit(embeddings[train].astype(np.float64))
    scaled = scaler.transform(embeddings[train].astype(np.float64))
    basis = _basis(scaled)
    if basis is not None:
        scaled = scaled @ basis.T
    has_valid = bool(np.isin(labels[valid], labels[train]).any())
    best: tuple[float, LinearHead, float] | None = None
    # Each fit begins where the stronger regularised one ended: the same optimum in fewer steps.
    model = LogisticRegression(max_iter=200, tol=1e-3, warm_start=True)
    for strength in STRENGTHS if has_valid else STRENGTHS[2:3]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=strength).fit(scaled, labels[train])
        head = _head(scaler, model, basis)
        score = float(np.mean(head.predict(embeddings[valid]) == labels[valid])) if has_valid else 0.0
        # Ties go to the stronger regularisation, which comes first.
        if best is None or score > best[0]:
            best = (score, head, strength)
    assert best is not None
    chosen_on = "valid" if has_valid else "nothing (no valid clip of a known class): middle value"
    return best[1], {"C": best[2], "tried": list(STRENGTHS), "chosen_on": chosen_on}


def _basis(scaled: FloatArray) -> FloatArray | None:
    """Orthonormal rows that span the clips, (n_clips, n_features); None where there are as many clips as features."""
    if len(scaled) >= scaled.shape[1]:
        return None
    basis: FloatArray = np.linalg.qr(scaled.T)[0].T
    return basis


def _head(scaler: StandardScaler, model: LogisticRegression, basis: FloatArray | None) -> LinearHead:
    weight, bias = model.coef_, model.intercept_
    if basis is not None:
        weight = weight @ basis
    if len(model.classes_) == 2:
        # scikit-learn keeps one row for two classes: its sign tells which.
        weight, bias = np.vstack([-weight, weight]), np.concatenate([-bias, bias])
    return LinearHead(scaler.mean_, scaler.scale_, weight, bias, np.asarray(model.classes_))


def _tell(
    split: str, correct: NDArray[np.bool_], labels: IntArray, class_names: list[str], majority: int
) -> list[dict[str, object]]:
    """One row for all clips (chance = always the commonest train class) and one a class (1 / K)."""
    rows: list[dict[str, object]] = [
        {"split": split, "class_name": None, "n_clips": len(labels), "accuracy": float(correct.mean()),
         "chance": float(np.mean(labels == majority))}
    ]  # fmt: skip
    for index, name in enumerate(class_names):
        members = labels == index
        if members.any():
            rows.append(
                {"split": split, "class_name": name, "n_clips": int(members.sum()),
                 "accuracy": float(correct[members].mean()), "chance": 1 / len(class_names)}
            )  # fmt: skip
    return rows


def _rows(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["split", "class_name", "n_clips", "accuracy", "chance"])


def describe(result: ProbeResult) -> str:
    """One line on how the head did on test clips, or why there is none."""
    if result.skipped:
        return f"none, {result.skipped}"
    rows = result.rows
    test = rows[(rows["split"] == "test") & rows["class_name"].isna()].iloc[0]
    return f"accuracy {test['accuracy']:.2f} on {test['n_clips']} test clips (chance {test['chance']:.2f})"
