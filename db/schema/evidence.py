"""Tables that tell what a number is worth: curves, other selectors, stability, confounds, attribution.

Every table belongs to one model on one task and begins with the key of its owner; `db.writes.frames`
writes them from DataFrames of the same column names. The largest tables hold whole ten-thousandths
or millionths (`in_units`): half the size, and no one reads the fifth digit of an AUROC.
"""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, OfModelTask, in_units, owner, stage_mark

WITHOUT_ROWID = {"sqlite_with_rowid": False}


class SelectionCurve(Base):
    """What a preset would choose at another entropy rate and bar, beside the same on shuffled labels."""

    __tablename__ = "selection_curve"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    preset: Mapped[str] = mapped_column(primary_key=True)
    entropy_rate: Mapped[float] = mapped_column(primary_key=True)
    probability_bar: Mapped[float] = mapped_column(primary_key=True)
    n_classes_covered: Mapped[int]
    coverage: Mapped[float]
    n_class_specific: Mapped[int]
    null_coverage_mean: Mapped[float | None]
    null_coverage_low: Mapped[float | None]
    null_coverage_high: Mapped[float | None]
    null_n_class_specific_mean: Mapped[float | None]
    null_n_class_specific_low: Mapped[float | None]
    null_n_class_specific_high: Mapped[float | None]
    n_shuffles: Mapped[int]


class SelectorScore(Base):
    """How specific a neuron is for a class by the field's other selectors; NULL where it never fires."""

    __tablename__ = "selector_score"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    mad: Mapped[int | None] = in_units(1_000_000)
    cas: Mapped[int | None] = in_units(10_000)
    auroc: Mapped[int | None] = in_units(10_000)
    d_prime: Mapped[int | None] = in_units(10_000)
    selectivity_index: Mapped[int | None] = in_units(10_000)


class SelectorPair(Base):
    """How far two selectors agree in a task."""

    __tablename__ = "selector_pair"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    selector_a: Mapped[str] = mapped_column(primary_key=True)
    selector_b: Mapped[str] = mapped_column(primary_key=True)
    spearman: Mapped[float | None]
    overlap: Mapped[float | None]
    expected_overlap: Mapped[float | None]
    n_classes: Mapped[int]


class Stability(Base):
    """How far a preset chooses the same pairs on two halves of the clips, and when our split is drawn anew."""

    __tablename__ = "stability"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    preset: Mapped[str] = mapped_column(primary_key=True)
    n_halves: Mapped[int]
    whole_groups: Mapped[int]
    n_pairs_mean: Mapped[float | None]
    jaccard_mean: Mapped[float | None]
    jaccard_low: Mapped[float | None]
    jaccard_high: Mapped[float | None]
    jaccard_expected: Mapped[float | None]
    entropy_spearman: Mapped[float | None]
    n_draws: Mapped[int | None]
    share_of_draws: Mapped[float | None]
    share_expected: Mapped[float | None]


class ConfoundProbe(Base):
    """How well level, duration, silence or spectrum alone tell a task, beside the model; groups apart and mixed.

    ``mark`` is ``as good as the model``, ``over chance`` or empty.
    """

    __tablename__ = "confound_probe"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    feature: Mapped[str] = mapped_column(primary_key=True)
    group_name: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str | None]
    accuracy: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    chance: Mapped[float | None]
    n_clips: Mapped[int]
    mark: Mapped[str]
    reason: Mapped[str]


class NeuronConfound(Base):
    """Rank correlation of a neuron's activation rate with what a clip is apart from its class."""

    __tablename__ = "neuron_confound"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    rho_level: Mapped[int | None] = in_units(10_000)
    rho_duration: Mapped[int | None] = in_units(10_000)
    rho_silence: Mapped[int | None] = in_units(10_000)


class PitchTuning(Base):
    """Which pitch a neuron prefers, how sharply, and whether its octaves go with it."""

    __tablename__ = "pitch_tuning"
    __table_args__ = WITHOUT_ROWID

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    peak_rate: Mapped[float]
    floor_rate: Mapped[float]
    preferred_pitch: Mapped[int]
    preferred_low: Mapped[float | None]
    preferred_high: Mapped[float | None]
    center: Mapped[float | None]
    center_low: Mapped[float | None]
    center_high: Mapped[float | None]
    bandwidth_semitones: Mapped[float | None]
    bandwidth_low: Mapped[float | None]
    bandwidth_high: Mapped[float | None]
    octave_equivalence_index: Mapped[float | None]
    oei_low: Mapped[float | None]
    oei_high: Mapped[float | None]


class NeuronPreference(Base):
    """Log odds that a neuron fires in a class against the others."""

    __tablename__ = "neuron_preference"
    __table_args__ = (
        # A class's strongest neurons, and its counts, without reading all of its task.
        Index("ix_neuron_preference_class", "model_task_id", "class_id", "log_odds", "ci_low", "ci_high"),
        WITHOUT_ROWID,
    )

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    log_odds: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]


class Attribution(OfModelTask, Base):
    """Every neuron's attribution in a task, and how far real ablations of single neurons bear it out.

    ``margin_total`` to ``selective_selective``: rank correlation of an attribution with what was really lost.
    """

    __tablename__ = "attribution"
    __table_args__ = (UniqueConstraint("model_id", "task_id"),)

    n_clips: Mapped[int]
    n_checked: Mapped[int]
    n_clips_checked: Mapped[int]
    spearman_all: Mapped[float | None]
    spearman_random: Mapped[float | None]
    spearman_highest: Mapped[float | None]
    margin_total: Mapped[float | None]
    margin_selective: Mapped[float | None]
    selective_total: Mapped[float | None]
    selective_selective: Mapped[float | None]


class NeuronAttribution(Base):
    """Margin that a class is estimated to lose without the neuron: gradient times activation."""

    __tablename__ = "neuron_attribution_value"
    __table_args__ = (
        # The neurons that cost a class most; half the rows, those that cost it nothing, are left out.
        Index(
            "ix_neuron_attribution_value_class", "attribution_id", "class_id", "attribution",
            sqlite_where=text("attribution > 0"), postgresql_where=text("attribution > 0"),
        ),
        WITHOUT_ROWID,
    )  # fmt: skip

    attribution_id: Mapped[int] = mapped_column(owner("attribution.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    attribution: Mapped[int | None] = in_units(1_000_000)
    standard_error: Mapped[int | None] = in_units(1_000_000)
    n_clips: Mapped[int]
    selective: Mapped[int | None] = in_units(1_000_000)


class LayerAttribution(Base):
    """The sum of a layer's neurons' attributions for a class, with its standard error over clips."""

    __tablename__ = "layer_attribution_value"
    __table_args__ = WITHOUT_ROWID

    attribution_id: Mapped[int] = mapped_column(owner("attribution.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    attribution: Mapped[float | None]
    standard_error: Mapped[float | None]
    n_clips: Mapped[int]


class AttributionCheck(Base):
    """Margin that a class really lost with one neuron taken out, beside its attribution."""

    __tablename__ = "attribution_check_value"
    __table_args__ = WITHOUT_ROWID

    attribution_id: Mapped[int] = mapped_column(owner("attribution.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    attribution: Mapped[float | None]
    measured: Mapped[float | None]
    in_highest: Mapped[int]
    selective: Mapped[float | None]
    measured_total: Mapped[float | None]
    measured_selective: Mapped[float | None]


class Specificity(Base):
    """How much more classes lose by their own neurons than others do, for one way to choose and change them."""

    __tablename__ = "specificity"
    __table_args__ = (UniqueConstraint("model_id", "task_id", "selection", "operation", "gain"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    task_id: Mapped[int] = mapped_column(owner("task.id"), index=True)
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    selection: Mapped[str]
    operation: Mapped[str]
    gain: Mapped[float | None]
    n_classes: Mapped[int]
    n_neurons: Mapped[float | None]
    self_effect: Mapped[float | None]
    cross_effect: Mapped[float | None]
    specificity: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]


TABLES: dict[str, type[Base]] = {
    table.__tablename__: table
    for table in (
        SelectionCurve,
        SelectorScore,
        SelectorPair,
        Stability,
        ConfoundProbe,
        NeuronConfound,
        PitchTuning,
        NeuronPreference,
    )
}
"""What `core.results.TaskScores.tables` may hold, by name."""
