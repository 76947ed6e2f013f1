"""Torch-free records that cross from ``core`` to ``db``: what was looked at, and what was found.

Conventions: a model's neurons are numbered by *flat index*, layer after layer (``layer_widths``
says where each layer begins); ``layer`` and ``neuron`` within a layer count from 0. Entropies are in
nats, accuracies and probabilities are shares in [0, 1], times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ModelRecord:
    """An encoder as the store knows it.

    Attributes
    ----------
    name : str
        As given to ``--model``.
    weights_key : str
        sha256 of the weights; two models of one name and different weights are two models.
    layer_widths : tuple of int
        Neurons of each layer, in order.
    sample_rate : int
        Hz.
    n_parameters : int
    description, licence : str
        One line each, shown to the user.
    """

    name: str
    weights_key: str
    layer_widths: tuple[int, ...]
    sample_rate: int
    n_parameters: int = 0
    description: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ClipRecord:
    """One clip: path relative to its dataset's root (posix), split, seconds, labels.

    A label is a tuple of values where a clip may have several.
    """

    path: str
    split: str
    duration_seconds: float
    labels: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Problem:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as the store knows it.

    Attributes
    ----------
    name : str
    root : str
        Absolute folder; audio is only ever played from below it.
    content_key : str
        sha256 over the clips' paths, contents, splits and labels.
    attributes : tuple of str
    clips : tuple of ClipRecord
    problems : tuple of Problem
    split_origin : str
        ``official``, ``manifest`` or ``ours`` (seeded).
    description, source, licence : str
    """

    name: str
    root: str
    content_key: str
    attributes: tuple[str, ...]
    clips: tuple[ClipRecord, ...]
    problems: tuple[Problem, ...] = ()
    split_origin: str = "manifest"
    description: str = ""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True)
class NullSummary:
    """The same selection on shuffled labels.

    ``coverage_low`` and ``coverage_high`` are the 2.5th and 97.5th percentile over shuffles,
    the counts are means over shuffles.
    """

    n_shuffles: int
    coverage_mean: float
    coverage_low: float
    coverage_high: float
    n_class_specific_mean: float
    n_pairs_mean: float


@dataclass(frozen=True)
class Selection:
    """Class-specific neurons of one task by one preset.

    Attributes
    ----------
    preset : str
        ``aape``, ``lape`` or ``calibrated``.
    settings : mapping
        Every threshold that was in force (JSON values).
    pairs : DataFrame
        One row a (class, neuron): ``class_index``, ``neuron_index`` (flat),
        ``activation_probability``, ``entropy``, ``lift`` (probability over the mean of the other
        classes'), ``p_value``, ``q_value`` (NaN where no shuffles ran), ``replicated`` (1, 0 or NaN).
    null : NullSummary or None
    replicated_share_all_pairs : float
        Of *all* (class, neuron) pairs, the share that meets the replication criterion on test clips
        by itself; NaN without test clips.
    """

    preset: str
    settings: Mapping[str, object]
    pairs: pd.DataFrame
    null: NullSummary | None
    replicated_share_all_pairs: float


@dataclass(frozen=True)
class TaskScores:
    """Counts and selections of one model on one task (a dataset read through one attribute).

    Attributes
    ----------
    dataset, attribute, task : str
    class_names : tuple of str
        In the order of the rows below.
    n_clips_per_class : ndarray of int, shape (n_classes,)
        Selection clips.
    positive_counts : ndarray of int, shape (n_classes, n_neurons)
        Tokens with the event, over the selection clips.
    token_counts : ndarray of int, shape (n_classes,)
    entropy : ndarray of float, shape (n_neurons,)
        AAPE in nats; NaN for a neuron that never fires.
    selections : tuple of Selection
    warnings : tuple of str
        Confounds and small classes, in words.
    n_clips : int or None
        Selection clips of all classes, where it is not the sum of theirs: a clip may have several labels.
    """

    dataset: str
    attribute: str
    task: str
    class_names: tuple[str, ...]
    n_clips_per_class: IntArray
    positive_counts: IntArray
    token_counts: IntArray
    entropy: FloatArray
    selections: tuple[Selection, ...]
    warnings: tuple[str, ...] = ()
    n_clips: int | None = None


@dataclass(frozen=True)
class TopClips:
    """The clips each neuron answers to most, over a whole dataset.

    Attributes
    ----------
    dataset : str
    clip_index : ndarray of int, shape (n_neurons, n_ranks)
        Position in ``DatasetRecord.clips``; best first; -1 where there is none.
    activation_rate, mean_activation : ndarray of float, shape (n_neurons, n_ranks)
        Share of the clip's tokens with activation > 0, and mean activation over them all.
    """

    dataset: str
    clip_index: IntArray
    activation_rate: FloatArray
    mean_activation: FloatArray


@dataclass(frozen=True)
class ProbeResult:
    """How the linear head did: one row a class, and one for all (``class_name`` None).

    ``rows`` has the columns ``split``, ``class_name``, ``n_clips``, ``accuracy``, ``chance``, ``metric``:
    ``accuracy``, or ``average precision`` where a clip may have several labels (all: its mean over the
    classes). With folds, ``split`` is each fold and, over all of them, ``test``. ``settings`` holds what was
    chosen on the valid split. ``skipped`` is the reason where no probe could be trained, else empty.
    """

    task: str
    rows: pd.DataFrame
    settings: Mapping[str, object] = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True)
class Ablation:
    """One set of neurons scaled by one gain, and what the linear head lost.

    Attributes
    ----------
    task, selection, target : str
        ``selection`` says how neurons were chosen (``aape``, ``top 1%``, ...), ``target`` for whom.
    gain : float
    neuron_index : ndarray of int
        Flat indices of the scaled neurons.
    effects : DataFrame
        One row an affected class (``class_name`` None = all test clips; right if the best-ranked class is one
        of the clip's, a class's own row if it is among as many best as the clip has labels): ``n_clips``,
        ``accuracy_unablated``, ``accuracy_ablated``, ``delta``, ``ci_low``, ``ci_high``,
        ``p_value``, ``q_value``, ``control_delta_mean``, ``control_delta_low``,
        ``control_delta_high``, ``n_controls``.
    control_deltas : ndarray of float, shape (n_controls, n_rows)
        Each control's delta, columns as the rows of ``effects``.
    """

    task: str
    selection: str
    target: str
    gain: float
    neuron_index: IntArray
    effects: pd.DataFrame
    control_deltas: FloatArray


@dataclass(frozen=True)
class SharedNeurons:
    """Neurons that are specific for both of two classes, for all pairs within a model and preset.

    ``pairs`` has the columns ``task_a``, ``class_a``, ``task_b``, ``class_b``, ``n_a``, ``n_b``,
    ``n_shared``, ``expected`` (hypergeometric mean), ``p_value`` (at least ``n_shared`` by chance),
    ``q_value``, ``nested`` (1 where every clip of one class has the other too). Each unordered pair once.
    """

    preset: str
    pairs: pd.DataFrame


@dataclass(frozen=True)
class SpecificSet:
    """Class-specific neurons of one task and preset, as the store holds them.

    ``pairs`` are (position in ``class_names``, flat neuron index), sorted. ``nested`` are positions of two
    classes of which one holds every clip of the other, the lower first, sorted.
    """

    preset: str
    task: str
    class_names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    nested: tuple[tuple[int, int], ...] = ()
