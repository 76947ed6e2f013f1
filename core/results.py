"""Torch-free records that cross from ``core`` to ``db``: what was looked at, and what was found.

Conventions: a model's neurons are numbered by *flat index*, layer after layer (``layer_widths``
says where each layer begins); ``layer`` and ``neuron`` within a layer count from 0. Entropies are in
nats, accuracies and probabilities are shares in [0, 1], times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Shares = TypeVar("Shares", float, "pd.Series")

SHUFFLED = "shuffled-"
"""Before the name of a dataset whose labels were dealt anew."""


def _no_rows() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


@dataclass(frozen=True)
class TokenGrid:
    """Which patches of time and frequency the tokens of a layer are.

    Bands lie between ascending ``band_edges_hz``. Columns follow each other in ``column_seconds`` (None: they are
    equal parts of a clip's length) and last ``span_seconds``, longer where they overlap. Where inputs are cut,
    a chunk begins each ``chunk_seconds`` and has ``chunk_columns``.
    """

    band_edges_hz: tuple[float, ...]
    column_seconds: float | None = None
    span_seconds: float | None = None
    chunk_seconds: float | None = None
    chunk_columns: int | None = None

    @property
    def n_bands(self) -> int:
        return len(self.band_edges_hz) - 1


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
    grids : tuple of TokenGrid
        Of each layer; empty where not known.
    unit_kind : str
        What its neurons are, ``mlp`` for neurons proper (`core.units.kinds`).
    encoder : str
        The model of which these are the units; its own name for neurons proper.
    """

    name: str
    weights_key: str
    layer_widths: tuple[int, ...]
    sample_rate: int
    n_parameters: int = 0
    description: str = ""
    licence: str = ""
    grids: tuple[TokenGrid, ...] = ()
    unit_kind: str = "mlp"
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One clip: path relative to its dataset's root (posix), split, seconds, labels.

    A label is a tuple of values where a clip may have several. ``splits`` holds the clip's split for the
    attributes that have one of their own. ``sha256`` is the file's, in hexadecimal, by which a page knows it again.
    """

    path: str
    split: str
    duration_seconds: float
    labels: Mapping[str, str | tuple[str, ...]]
    splits: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Problem:
    """A file that was left out, and why; or one that stays and lacks something (``left_out`` false)."""

    path: str
    reason: str
    left_out: bool = True


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset as the store knows it.

    Attributes
    ----------
    name : str
    root : str
        Absolute folder.
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
class RunStep:
    """A step of a run.

    Attributes
    ----------
    dataset : str
    task : str or None
        None where the dataset is recorded, for all its tasks.
    part : str
        ``extract``, ``score`` or ``ablate``.
    status : str
        ``to come``, ``running``, ``done``, ``failed``, ``stopped`` or ``left out``.
    """

    dataset: str
    task: str | None
    part: str
    status: str = "to come"


@dataclass(frozen=True)
class NullSummary:
    """The same selection on shuffled labels.

    ``low`` and ``high`` are the 2.5th and 97.5th percentile over shuffles. ``shuffled`` says what the
    labels were dealt over: ``clips``, ``clips within voice``, ``whole voices``, ...
    """

    n_shuffles: int
    coverage_mean: float
    coverage_low: float
    coverage_high: float
    n_class_specific_mean: float
    n_pairs_mean: float
    n_class_specific_low: float = np.nan
    n_class_specific_high: float = np.nan
    n_pairs_low: float = np.nan
    n_pairs_high: float = np.nan
    shuffled: str = "clips"


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
    layers : DataFrame
        One row a layer: ``layer``, ``n_class_specific``, ``n_classes_covered``, ``replicated_share``,
        ``replicated_share_all_pairs`` (both NaN without test clips), and of the first two ``null_..._mean``, ``_low``
        and ``_high`` over shuffles (NaN without any).
    """

    preset: str
    settings: Mapping[str, object]
    pairs: pd.DataFrame
    null: NullSummary | None
    replicated_share_all_pairs: float
    layers: pd.DataFrame = field(default_factory=_no_rows)


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
    shuffled : str
        What labels were dealt over, for p-values and nulls: ``clips``, ``clips within voice``, ...
    entropy_p_value, entropy_q_value : ndarray of float, shape (n_neurons,), or None
        How often shuffled labels give an entropy as low, and its false discovery rate over the neurons;
        NaN for a neuron that never fires, and without shuffles.
    curve : DataFrame
        A row for each point of ``aape`` and ``lape``: ``preset``, ``entropy_rate``, ``probability_bar``,
        ``n_classes_covered``, ``coverage``, ``n_class_specific``; and over shuffles
        ``null_coverage_mean``, ``null_coverage_low``, ``null_coverage_high``,
        ``null_n_class_specific_mean``, ``null_n_class_specific_low``, ``null_n_class_specific_high``
        (NaN without shuffles), ``n_shuffles``.
    tables : mapping of str to DataFrame
        What else is known of the task, for the store's tables of these names (`core.scoring.context`); neurons as
        ``neuron_index`` (flat), classes as ``class_index``.
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
    shuffled: str = "clips"
    entropy_p_value: FloatArray | None = None
    entropy_q_value: FloatArray | None = None
    curve: pd.DataFrame = field(default_factory=_no_rows)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


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
class NeuronPattern:
    """A neuron over one clip, by its position in ``DatasetRecord.clips``.

    ``peak`` is the highest activation, 0 where it never fires; ``strength``, uint8 of shape (n_bands, n_columns)
    and the lowest band first, is in 255ths of it, 0 where an activation is negative or not counted.
    """

    clip_index: int
    peak: float
    strength: NDArray[np.uint8]


@dataclass(frozen=True)
class ClipTraces:
    """What every neuron does over a dataset's clips: some to hear beside the top ones, and where in them it fires.

    Attributes
    ----------
    contrast : mapping of str to TopClips
        ``middle`` (nearest to the neuron's median first) and ``silent`` (lowest mean activation first).
    patterns : iterable of (int, list of NeuronPattern)
        Once, for each neuron by flat index: its top clips, then its middle and its silent ones.
    levels, quantiles : tuple of float, ndarray of float32, shape (n_neurons, n_levels)
        Shares, ascending; at each the quantile of a neuron's mean activation over the clips.
    """

    dataset: str
    contrast: Mapping[str, TopClips]
    patterns: Iterable[tuple[int, list[NeuronPattern]]]
    levels: tuple[float, ...]
    quantiles: NDArray[np.float32]


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
class LayerProbes:
    """Linear heads on the pooled output of every layer of a network, and on a weighted sum of them.

    Attributes
    ----------
    task : str
    scores : DataFrame
        As the rows of `ProbeResult`, for each ``layer`` (-1 = before the first block, NaN = the weighted sum);
        ``ci_low``, ``ci_high`` (95 %, over sampling units; NaN on train), ``shuffled_high`` (all classes on test: the
        highest on shuffled labels).
    weights : DataFrame
        Of the weighted sum, which add up to 1: ``layer``, ``weight``, ``weight_low``, ``weight_high`` (least and
        greatest, those of resampled train clips among them). Empty where layers differ in width.
    summary : mapping
        ``best_layer`` (on what ``chosen_on`` says; None where there is nothing to choose on), ``shuffled`` (what was
        dealt); on test clips ``best_accuracy``, ``best_low``, ``best_high``, ``best_difference`` (from the last layer)
        with ``_low`` and ``_high``, and the same of ``weighted``, whose difference is from the best.
    settings : mapping
    skipped : str
        The reason where no head could be trained, else empty.
    """

    task: str
    scores: pd.DataFrame = field(default_factory=_no_rows)
    weights: pd.DataFrame = field(default_factory=_no_rows)
    summary: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    skipped: str = ""


def wilson(share: Shares, n: Shares) -> tuple[Shares, Shares]:
    """95 % interval of a share of ``n`` such as an accuracy, of one or of a column of them (Wilson 1927).

    Examples
    --------
    >>> low, high = wilson(81 / 263, 263)  # Newcombe (1998), table I
    >>> f"{low:.4f} to {high:.4f}"
    '0.2553 to 0.3662'
    """
    z2 = 1.959964**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - half, centre + half


@dataclass(frozen=True)
class Ablation:
    """One set of neurons changed in one way, and what the linear head lost.

    Attributes
    ----------
    task, selection, target : str
        ``selection`` says how neurons were chosen (``aape``, ``top 1%``, ``mad 1%``, ``pairs 1%``,
        ``file NAME``, ...), ``target`` for whom (a class, ``A + B``, a name in the file).
    gain : float or None
        None where the neurons were not scaled.
    neuron_index : ndarray of int
        Flat indices of the set.
    effects : DataFrame
        One row an affected class (``class_name`` None = all test clips; right if the best-ranked class is one
        of the clip's, a class's own row if it is among as many best as the clip has labels). Differences
        are shares of clips, with minus without the ablation; NaN = not known.

        ``n_clips``, ``accuracy_unablated``, ``accuracy_ablated``, ``delta``; ``ci_low``, ``ci_high``
        (Bonett-Price, 95 %); ``p_value`` (exact McNemar), ``q_value`` (Benjamini-Hochberg over targets and
        classes); ``group_ci_low``, ``group_ci_high`` (bootstrap over groups of clips, where known);
        ``control_delta_mean``, ``control_delta_low``, ``control_delta_high``, ``n_controls`` (random sets
        of the same layers: mean, 2.5th and 97.5th percentile, how many);
        ``beyond_control`` (``delta`` less ``control_delta_mean``), ``beyond_control_low``,
        ``beyond_control_high`` (bootstrap over clips, or groups), ``control_p_value`` (of target
        against controls, two-sided, at least 1 / (``n_controls`` + 1)); ``activity_control_delta_mean``,
        ``activity_control_delta_low``, ``activity_control_delta_high``, ``n_activity_controls`` (sets
        matched in activity too); ``n_heads``, ``delta_heads_low``, ``delta_heads_high`` (heads
        refitted on resampled train clips, the main one among them: least and greatest ``delta``).
    control_deltas : ndarray of float, shape (n_controls, n_rows)
        Delta of each control matched in layer, columns as the rows of ``effects``.
    operation : str
        ``scale`` (by ``gain``), ``mean`` (set to the mean activation) or ``keep`` (all other neurons of
        the set's layers set to theirs).
    flips : DataFrame
        Clips whose prediction the set itself changed: ``clip_index`` (position in ``DatasetRecord.clips``),
        ``predicted_before``, ``predicted_after`` (class names). Empty where clips have several labels.
    outcomes : DataFrame
        The effect taken apart (`core.ablation.outcomes`): ``position`` (row of ``effects``), ``outcome``, its number
        with nothing changed, the change, the same of the controls, what goes beyond them, with interval, p and q.
    of_controls : DataFrame
        ``position``, ``draw``, and a column for each outcome of the frozen head: its change under each random set.
    clips : DataFrame
        Every clip's own change: `core.ablation.outcomes.Outcomes.clips`.
    removed, control_removed : float
        Norm that the set removes, and mean of what its controls do (`core.ablation.removed`); NaN where not measured.
    """

    task: str
    selection: str
    target: str
    gain: float | None
    neuron_index: IntArray
    effects: pd.DataFrame
    control_deltas: FloatArray
    operation: str = "scale"
    flips: pd.DataFrame = field(default_factory=_no_rows)
    outcomes: pd.DataFrame = field(default_factory=_no_rows)
    of_controls: pd.DataFrame = field(default_factory=_no_rows)
    clips: pd.DataFrame = field(default_factory=_no_rows)
    removed: float = np.nan
    control_removed: float = np.nan


@dataclass(frozen=True)
class Attributions:
    """Every neuron's attribution in a task, beside real ablations of single neurons.

    Attributes
    ----------
    task : str
    class_names : tuple of str
    neurons : DataFrame
        ``class_index``, ``neuron_index`` (flat), ``attribution`` (margin that the class is estimated to
        lose without the neuron, logits), ``standard_error`` (over clips), ``n_clips``.
    checks : DataFrame
        ``class_index``, ``neuron_index``, ``attribution``, ``measured`` (margin really lost), ``in_highest``.
    summary : mapping
        ``n_clips``, ``n_checked``, ``n_clips_checked``, ``spearman_all``, ``spearman_random``,
        ``spearman_highest`` (rank correlation of measured and attributed).
    layers : DataFrame
        As ``neurons`` with ``layer`` in place of the neuron: the sum over a layer's neurons.
    """

    task: str
    class_names: tuple[str, ...]
    neurons: pd.DataFrame
    checks: pd.DataFrame
    summary: Mapping[str, float]
    layers: pd.DataFrame = field(default_factory=_no_rows)


@dataclass(frozen=True)
class SharedNeurons:
    """Neurons that are specific for both of two classes, for all pairs within a model and preset.

    ``pairs`` has the columns ``task_a``, ``class_a``, ``task_b``, ``class_b``, ``n_a``, ``n_b``,
    ``n_shared``, ``expected`` (hypergeometric mean), ``p_value`` (at least ``n_shared`` by chance),
    ``q_value``, ``nested`` (1 where every clip of one class has the other too), ``odds_ratio``, ``odds_low``,
    ``odds_high`` (95 % interval; NaN where a class has no neuron). Each unordered pair once.
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


@dataclass(frozen=True)
class Ablations:
    """All ablations of one task by one selection, operation and gain; none where nothing could be ablated."""

    task: str
    selection: str
    operation: str
    gain: float | None
    ablations: Sequence[Ablation]


@dataclass(frozen=True)
class ErasureCurves:
    """What is left of each class with more and more neurons out; rows of `core.ablation.erasure.Erasure.run`."""

    task: str
    class_names: Sequence[str]
    points: pd.DataFrame
    areas: pd.DataFrame


@dataclass(frozen=True)
class Sharing:
    """The neurons that classes share, over all tasks of a model, preset by preset."""

    presets: Sequence[SharedNeurons]


@dataclass(frozen=True)
class Specificity:
    """Self less cross effect of every selection of a model; rows of `core.ablation.specificity.specificity`."""

    rows: pd.DataFrame


@dataclass(frozen=True)
class Partners:
    """Of each unit of one model the unit of another that responds most alike.

    Attributes
    ----------
    units : DataFrame
        A row for each unit that varies over the clips: ``neuron_index`` and ``partner_index`` (flat, each in its
        model), ``correlation`` (Pearson, of clip means, on the clips that chose the partner), ``second`` (with the
        next best), ``mutual`` (whether it is its partner's partner), ``p_value``, ``q_value``, ``null_high`` (97.5th
        percentile of its best correlation on dealt clips); ``held_out``, ``held_out_low``, ``held_out_high`` (the
        pair's correlation on other clips, 95 %); ``within``, ``within_low``, ``within_high``, ``within_p``,
        ``within_q`` (the same with what labels explain taken out of both); ``is_partner`` (mutual, and q < 0.05 of
        both units), ``is_beyond`` (and ``within_q`` < 0.05 of both).
    null_share, null_share_high : float
        Share of units for which ``is_partner`` would hold on dealt clips, mean and 97.5th percentile over deals.
    """

    units: pd.DataFrame
    null_share: float
    null_share_high: float


@dataclass(frozen=True)
class Matching:
    """Partners of the units of two models over the same clips.

    Attributes
    ----------
    dataset : str
    models : tuple of str
        Names of the two.
    partners : tuple of Partners
        Of the first's units in the second, of the second's in the first.
    facts : mapping
        ``n_clips`` (that chose), ``n_held_out``, ``n_sampling_units`` (independent ones among those that chose),
        ``dealt`` (what was dealt anew, in words), ``n_deals``, ``taken_out`` (attributes, with commas).
    """

    dataset: str
    models: tuple[str, str]
    partners: tuple[Partners, Partners]
    facts: Mapping[str, object]


@dataclass(frozen=True)
class UnitMap:
    """Units of a model in a plane, near one another where they respond alike to the same clips.

    Attributes
    ----------
    places : DataFrame
        A row for each unit that varies over the clips: ``neuron_index`` (flat), ``x``, ``y``, in [0, 1].
    facts : mapping
        ``method``, ``version``, ``seed``, ``datasets`` (with commas), ``n_clips``; ``trustworthiness`` (share of the
        ``n_neighbours`` nearest in the plane that are so by response, ranks counted, among ``n_checked`` units) and
        ``trustworthiness_chance`` (the same with places dealt anew).
    """

    places: pd.DataFrame
    facts: Mapping[str, object]


@dataclass(frozen=True)
class FoundUnits:
    """What is known of units that were found.

    Attributes
    ----------
    autoencoders : DataFrame
        One row a layer that has one: ``layer``, ``n_features``, ``origin`` (``trained``, or the file's name),
        ``architecture``; ``k``, ``n_steps``, ``seed`` (None where it was read); ``explained_variance``, ``n_active``,
        ``dead_share`` on ``n_tokens`` held-out tokens (`core.units.sae_train.Quality`).
    twins : DataFrame
        One row a unit that was looked for with another seed (`core.units.twins.Twins`): ``neuron_index``, ``cosine``,
        ``is_mutual``, ``null_cosine_high``; empty where none was.
    """

    autoencoders: pd.DataFrame
    twins: pd.DataFrame


@dataclass(frozen=True)
class Reconstructions:
    """What a task's head loses by autoencoders; rows of `core.ablation.reconstruction.losses`."""

    task: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Descriptions:
    """Descriptions of a model's units by what a dataset's clips show, and how well they predict.

    Attributes
    ----------
    dataset : str
    source : str
        ``atlas``, or the name of the file that they came in.
    described : DataFrame
        One row a description: ``neuron_index``, ``description``, ``author``, ``predicts`` (its terms); on held-out
        clips ``correlation``, ``average_precision``, ``f1``, ``iou`` (of top clips), ``shifted_high`` (97.5th
        percentile of the correlation over shifts onto other clips), ``null_correlation_high`` (of dealt descriptions
        of other units, or of the majority class where that is higher), ``beats_null``.
    explained : DataFrame
        One row a unit that varies, empty where none was explained: ``neuron_index``, ``n_terms``, shares of the
        variance on held-out clips ``by_classes``, ``by_descriptors``, ``by_both``, ``by_level``; ``validated``
        (cross-validated, on selection clips) and ``validated_high`` (the most on shifted activations).
    facts : mapping
        ``n_clips``, ``n_held_out`` (clips), ``n_dealt`` (descriptions of the null), ``n_shifts``; ``words_json`` (by
        ``NAME high`` or ``NAME low`` of each descriptor, what people say of it).
    """

    dataset: str
    source: str
    described: pd.DataFrame
    explained: pd.DataFrame
    facts: Mapping[str, object]


@dataclass(frozen=True)
class StimulusStudy:
    """What a model's units answer to one set of made sounds; factors and levels by their places, from 0.

    Attributes
    ----------
    stimulus_set : str
    facts : mapping
        ``n_stimuli``, ``n_repetitions``, ``n_varying`` (units), ``seed``, ``n_permutations``, ``seconds_each``.
    factors : DataFrame
        ``factor``, ``name``, ``unit_of_values`` (empty: no order), ``is_ordered``, ``n_levels``.
    levels : DataFrame
        ``factor``, ``level``, ``label``, ``level_value``.
    units : DataFrame
        One row a unit that varies and factor: ``neuron_index``, ``factor``; shares of its variance ``alone``,
        ``joint``, ``shapley`` (`core.stimuli.shares.Shares`), ``null_mean`` and ``null_high`` of the last;
        ``p_value``, ``q_value``; ``best_level``; ``trend`` (NaN without order); ``is_leading`` (explains most of all
        factors, and q < 0.05); ``kept`` (`core.stimuli.tuning.Invariance`, the least over other factors; NaN where q is
        not < 0.05).
    points : DataFrame
        Tuning of units with q < 0.05, of each factor those that it explains most: ``neuron_index``, ``factor``,
        ``level``, ``rate``, ``rate_low``, ``rate_high``, ``mean_activation``.
    pairs : DataFrame
        Of the same units, whether tuning over ``factor`` is the same at each level of ``other``: ``neuron_index``,
        ``kept``, ``correlation``, ``null_kept``, ``null_correlation_high`` (`core.stimuli.tuning.Invariance`).
    layers : DataFrame
        `core.stimuli.study.by_layer`.
    """

    stimulus_set: str
    facts: Mapping[str, object]
    factors: pd.DataFrame
    levels: pd.DataFrame
    units: pd.DataFrame
    points: pd.DataFrame
    pairs: pd.DataFrame
    layers: pd.DataFrame


@dataclass(frozen=True)
class ConfoundAnswers:
    """What made sounds say of a model's class-specific units; rows of `core.stimuli.answers.answers`."""

    rows: pd.DataFrame


@dataclass(frozen=True)
class SegmentLabels:
    """Segments of one attribute of a dataset.

    Attributes
    ----------
    dataset, attribute, task : str
    key : str
        sha256 over the segments: results of others are not of these.
    class_names : tuple of str
    segments : DataFrame
        ``clip_index`` (position in ``DatasetRecord.clips``), ``number`` (from 0 in each clip), ``class_index``,
        ``onset_seconds``, ``offset_seconds``; clip after clip, in order of onset.
    """

    dataset: str
    attribute: str
    task: str
    key: str
    class_names: tuple[str, ...]
    segments: pd.DataFrame


@dataclass(frozen=True)
class SegmentScores:
    """What the units of one model do in the segments of one attribute, and around their onsets (`core.timing`).

    Attributes
    ----------
    labels : SegmentLabels
    classes : DataFrame
        One row a class: ``class_index``, ``n_clips``, ``n_test_clips``, ``n_segments`` (of selection clips),
        ``n_too_short`` (of all segments: those that no column belongs to), ``seconds`` (median length), ``token_count``
        (in the layer of the finest columns; 0 = nothing is known of the class), ``n_class_specific``.
    scores : DataFrame
        One row a class with tokens and unit: ``class_index``, ``neuron_index`` (flat), ``positive_count``,
        ``token_count``, ``lift``, ``p_value``, ``q_value``, ``replicated`` (1, 0, NaN), ``is_class_specific``,
        ``exchanged_p`` (of pairs found, with whole tracks exchanged: `core.timing.exchanged`).
    units : DataFrame
        One row a unit: ``neuron_index``, ``entropy`` (AAPE, nats), ``top_class_index``; NaN where it never fires.
    curves, shapes : DataFrame
        As `core.timing.curves.Curves` has them.
    facts : mapping
        ``n_clips``, ``n_test_clips``, ``n_classes`` (with tokens), ``n_classes_covered``, ``n_class_specific``,
        ``n_pairs``, ``null_coverage_mean``, ``null_coverage_low``, ``null_coverage_high``, the same of
        ``null_n_class_specific``, ``n_shuffles``, ``replicated_share``, ``replicated_share_all_pairs``,
        ``exchanged_share`` (of pairs found with an ``exchanged_p``, those below 0.05),
        ``column_seconds`` (of the finest layer), ``median_seconds`` (of a segment), ``is_coarse`` (columns are longer),
        ``n_within`` (clips whose labels are shifted between the first and the last of them), ``shuffled`` (in words).
    warnings : tuple of str
    """

    labels: SegmentLabels
    classes: pd.DataFrame
    scores: pd.DataFrame
    units: pd.DataFrame
    curves: pd.DataFrame
    shapes: pd.DataFrame
    facts: Mapping[str, object]
    warnings: tuple[str, ...] = ()


Record = (
    TopClips | ClipTraces | TaskScores | ProbeResult | LayerProbes | Attributions | Ablations | ErasureCurves
    | Sharing | Specificity | FoundUnits | Reconstructions | Matching | Descriptions | UnitMap
    | StimulusStudy | ConfoundAnswers | SegmentScores
)  # fmt: skip
"""What a stage gives to the store."""
