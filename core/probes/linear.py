"""Linear heads: scaler and one linear layer, the regularisation chosen on valid clips.

Where there are fewer train clips than features, the fit runs in the space that the clips span: with
an L2 penalty the weights lie in it anyway.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.arrays.threads import Shared, one_thread
from core.probes.large import Regressions
from core.results import FloatArray, IntArray, Mask

STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""Inverse regularisation C tried on the valid split, strongest regularisation first."""
_WORTH_THREADS = 2**24
"""Features of all train clips from which threads gain more than they cost."""
_LARGE = 2**26
"""Clips times features times classes from which `core.probes.large` fits heads: below, scikit-learn is as fast."""

Fit = Callable[[float], tuple[FloatArray, FloatArray, IntArray]]
"""Weight, bias and the class of each row, for an inverse regularisation."""


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

    def logits(self, embeddings: NDArray[np.floating]) -> FloatArray:
        """(n_clips, n_known); embeddings (n_clips, n_features)."""
        logits: FloatArray = ((embeddings - self.mean) / self.scale) @ self.weight.T + self.bias
        return logits

    def predict(self, embeddings: NDArray[np.floating]) -> IntArray:
        """Class index of each clip; embeddings (n_clips, n_features)."""
        return self.class_index[self.logits(embeddings).argmax(axis=1)]

    def answers(self, embeddings: NDArray[np.floating], n_classes: int) -> NDArray[np.float32]:
        """Logits of all classes of the task, (n_clips, n_classes); NaN where the head does not know one."""
        answers = np.full((len(embeddings), n_classes), np.nan, dtype=np.float32)
        answers[:, self.class_index] = self.logits(embeddings)
        return answers


class Learner(Protocol):
    """Fits a linear layer to the train clips it was made with, time and again.

    Attributes
    ----------
    known : ndarray of int
        Classes that are learned.
    """

    known: IntArray

    @property
    def targets(self) -> Mask | IntArray:
        """What each output learns, as `core.probes.large.Regressions` takes it."""
        ...

    def fit(self, scaled: FloatArray, strength: float) -> tuple[FloatArray, FloatArray, IntArray]:
        """Weight (n_known, n_features), bias (n_known,) and the class of each row."""
        ...


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # many classes of few clips: the run tells of them itself
        yield


_quietly = Shared(_no_warnings)


class Softmax:
    """One class a clip; scikit-learn's multinomial logistic regression."""

    def __init__(self, labels: IntArray) -> None:
        self._labels = labels
        self.known = np.unique(labels)
        # Each fit begins where the stronger regularised one ended: the same optimum in fewer steps.
        self._model = LogisticRegression(max_iter=200, tol=1e-3, warm_start=True)

    @property
    def targets(self) -> Mask | IntArray:
        """As `Learner`; of two classes one output tells the second."""
        if len(self.known) == 2:
            return (self._labels == self.known[1])[:, None]
        return np.searchsorted(self.known, self._labels)

    def fit(self, scaled: FloatArray, strength: float) -> tuple[FloatArray, FloatArray, IntArray]:
        """As `Learner`; one row stands for two classes, its sign tells which."""
        with _quietly():
            self._model.set_params(C=strength).fit(scaled, self._labels)
        return self._model.coef_, self._model.intercept_, np.asarray(self._model.classes_)


class OneVsRest:
    """Several classes a clip: a logistic regression each, all minimised together.

    The sum of their losses has its minimum where each has its own; one matrix product for all classes
    is many times faster than a fit for each.

    Parameters
    ----------
    members : ndarray of bool, shape (n_train_clips, n_classes)
        A class that no clip has, or every one, is not learned.
    """

    def __init__(self, members: Mask) -> None:
        self.known = np.flatnonzero(members.any(axis=0) & ~members.all(axis=0))
        self._members = members
        self._start: FloatArray | None = None

    @property
    def targets(self) -> Mask | IntArray:
        """As `Learner`."""
        return self._members[:, self.known]

    def fit(self, scaled: FloatArray, strength: float) -> tuple[FloatArray, FloatArray, IntArray]:
        """As `Learner`."""
        signs = np.where(self.targets, 1.0, -1.0)
        n_clips, n_features = scaled.shape
        penalty = 1 / (strength * n_clips)
        shape = (len(self.known), n_features + 1)

        def loss(flat: FloatArray) -> tuple[float, FloatArray]:
            weight, bias = flat.reshape(shape)[:, :-1], flat.reshape(shape)[:, -1]
            margin = (scaled @ weight.T + bias) * signs
            value = np.logaddexp(0, -margin).sum() / n_clips + 0.5 * penalty * np.sum(weight**2)
            slope = -signs * expit(-margin) / n_clips
            gradient = np.column_stack([slope.T @ scaled + penalty * weight, slope.sum(axis=0)])
            return float(value), gradient.ravel()

        start = np.zeros(shape) if self._start is None else self._start
        options = {"maxiter": 200, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps}
        solution = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        self._start = solution.x.reshape(shape)
        return self._start[:, :-1], self._start[:, -1], self.known


def choose(
    embeddings: NDArray[np.float32],
    learner: Learner,
    quality: Callable[[LinearHead], float] | None,
    strengths: Sequence[float] = STRENGTHS,
    device: str = "cpu",
) -> tuple[LinearHead, float]:
    """The head of the regularisation that is best on valid clips, and that regularisation.

    Parameters
    ----------
    embeddings : ndarray, shape (n_train_clips, n_features)
    learner : Learner
    quality : callable or None
        How well a head does on valid clips; ties go to the stronger regularisation. None takes the
        middle one.
    strengths : sequence of float
        From the stronger regularisation to the weaker.
    device : str
        Where heads of many clips or classes are fitted (`is_large`).
    """
    large = is_large(embeddings.shape, len(learner.known))
    scaled = embeddings.astype(np.float32 if large else np.float64)  # the only copy, as clips may be many
    scaler = StandardScaler(copy=False).fit(scaled)
    scaled = scaler.transform(scaled)
    with one_thread(scaled.size < _WORTH_THREADS):
        basis = _basis(scaled)
        if basis is not None:
            scaled = scaled @ basis.T
        fit = _fit_large(scaled, learner, device) if large else partial(learner.fit, scaled)
        middle = len(strengths) // 2
        tried = strengths if quality else strengths[middle : middle + 1]
        return _best((_head(scaler, *fit(strength), basis) for strength in tried), quality, tried)


def is_large(shape: tuple[int, ...], n_outputs: int) -> bool:
    """Whether heads are fitted by `core.probes.large`; embeddings have ``shape`` (n_train_clips, n_features)."""
    n_clips, n_features = shape
    return n_clips * min(n_clips, n_features) * n_outputs >= _LARGE


def _fit_large(scaled: NDArray[np.floating], learner: Learner, device: str) -> Fit:
    regressions = Regressions(np.ascontiguousarray(scaled, dtype=np.float32), learner.targets, device)
    return lambda strength: (*regressions.fit(strength), learner.known)


def _best(
    heads: Iterator[LinearHead], quality: Callable[[LinearHead], float] | None, strengths: Sequence[float]
) -> tuple[LinearHead, float]:
    best: tuple[float, LinearHead, float] | None = None
    for head, strength in zip(heads, strengths, strict=True):
        score = quality(head) if quality else 0.0
        if best is None or score > best[0]:
            best = (score, head, strength)
    assert best is not None
    return best[1], best[2]


def _basis(scaled: NDArray[np.floating]) -> FloatArray | None:
    """Orthonormal rows that span the clips, (n_clips, n_features); None where there are as many clips as features."""
    if len(scaled) >= scaled.shape[1]:
        return None
    basis: FloatArray = np.linalg.qr(scaled.T.astype(np.float64))[0].T
    return basis


def _head(
    scaler: StandardScaler, weight: FloatArray, bias: FloatArray, known: IntArray, basis: FloatArray | None
) -> LinearHead:
    if basis is not None:
        weight = weight @ basis
    if len(weight) < len(known):
        weight, bias = np.vstack([-weight, weight]), np.concatenate([-bias, bias])
    return LinearHead(scaler.mean_, scaler.scale_, weight, bias, known)
