"""Tables of scores, probes and shared neurons."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, OfModelTask, owner, stage_mark


class ModelTask(OfModelTask, Base):
    """The scores of one model on one task; ``n_clips`` are the selection clips.

    ``shuffled`` says what labels were dealt over for p-values and nulls.
    """

    __tablename__ = "model_task"
    __table_args__ = (UniqueConstraint("model_id", "task_id"),)

    n_clips: Mapped[int]
    n_classes: Mapped[int]
    warnings_json: Mapped[str]
    shuffled: Mapped[str] = mapped_column(server_default="clips")


class ClassTotal(Base):
    """Selection clips and their tokens of one class, as one model hears them."""

    __tablename__ = "class_total"
    __table_args__ = {"sqlite_with_rowid": False}

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(owner("task_class.id"), primary_key=True, index=True)
    n_clips: Mapped[int]
    token_count: Mapped[int] = mapped_column(BigInteger)


class ActivationProbability(Base):
    """Tokens of a class at which a neuron shows the event; by far the largest table."""

    __tablename__ = "activation_probability"
    __table_args__ = {"sqlite_with_rowid": False}

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    positive_count: Mapped[int] = mapped_column(BigInteger)


class NeuronEntropy(Base):
    """How selective a neuron is in a task, before any preset chooses.

    ``entropy``, ``entropy_rank`` (1 = lowest) and ``top_class_id`` are NULL for a neuron that
    never fires. ``p_value`` is how often shuffled labels give an entropy as low.
    """

    __tablename__ = "neuron_entropy"
    __table_args__ = {"sqlite_with_rowid": False}

    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    entropy: Mapped[float | None]
    entropy_rank: Mapped[int | None]
    max_probability: Mapped[float]
    top_class_id: Mapped[int | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]


class Selection(Base):
    """What one preset chose in one task, summed up, beside the same on shuffled labels."""

    __tablename__ = "selection"
    __table_args__ = (UniqueConstraint("model_task_id", "preset"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_task_id: Mapped[int] = mapped_column(owner("model_task.id"))
    preset: Mapped[str]
    settings_json: Mapped[str]
    n_classes_covered: Mapped[int]
    n_class_specific: Mapped[int]
    n_pairs: Mapped[int]
    replicated_share: Mapped[float | None]
    replicated_share_all_pairs: Mapped[float | None]
    n_shuffles: Mapped[int]
    null_coverage_mean: Mapped[float | None]
    null_coverage_low: Mapped[float | None]
    null_coverage_high: Mapped[float | None]
    null_n_class_specific_mean: Mapped[float | None]
    null_n_pairs_mean: Mapped[float | None]
    null_n_class_specific_low: Mapped[float | None]
    null_n_class_specific_high: Mapped[float | None]
    null_n_pairs_low: Mapped[float | None]
    null_n_pairs_high: Mapped[float | None]


class SelectionLayer(Base):
    """What a preset chose in one layer, beside the same on shuffled labels."""

    __tablename__ = "selection_layer"
    __table_args__ = {"sqlite_with_rowid": False}

    selection_id: Mapped[int] = mapped_column(owner("selection.id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_class_specific: Mapped[int]
    n_classes_covered: Mapped[int]
    replicated_share: Mapped[float | None]
    replicated_share_all_pairs: Mapped[float | None]
    null_n_class_specific_mean: Mapped[float | None]
    null_n_class_specific_low: Mapped[float | None]
    null_n_class_specific_high: Mapped[float | None]
    null_n_classes_covered_mean: Mapped[float | None]
    null_n_classes_covered_low: Mapped[float | None]
    null_n_classes_covered_high: Mapped[float | None]


class ClassSpecificNeuron(Base):
    """A neuron that a preset chose for a class.

    ``share_of_draws`` is how often another draw of the same clips chooses it again, ``explained_by``
    the confound without which its evidence is gone (empty: none).
    """

    __tablename__ = "class_specific_neuron"
    __table_args__ = (
        Index("ix_class_specific_neuron_class", "selection_id", "class_id"),
        {"sqlite_with_rowid": False},
    )

    selection_id: Mapped[int] = mapped_column(owner("selection.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    lift: Mapped[float | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    replicated: Mapped[int | None]
    lift_low: Mapped[float | None]
    lift_high: Mapped[float | None]
    share_of_draws: Mapped[float | None]
    n_folds_held: Mapped[int | None]
    n_folds: Mapped[int | None]
    p_value_cleaned: Mapped[float | None]
    explained_by: Mapped[str | None]


class Probe(OfModelTask, Base):
    """The linear head of one model on one task; ``skipped`` is the reason where there is none."""

    __tablename__ = "probe"
    __table_args__ = (UniqueConstraint("model_id", "task_id"),)

    settings_json: Mapped[str]
    skipped: Mapped[str]


class ProbeScore(Base):
    """How a probe did on a split, for one class or (NULL) for all.

    ``accuracy`` holds what ``metric`` says: accuracy, or average precision where clips have several labels.
    """

    __tablename__ = "probe_score"
    __table_args__ = {"sqlite_with_rowid": False}

    probe_id: Mapped[int] = mapped_column(owner("probe.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[str]
    class_id: Mapped[int | None] = mapped_column(owner("task_class.id"), index=True)
    n_clips: Mapped[int]
    accuracy: Mapped[float | None]
    chance: Mapped[float | None]
    metric: Mapped[str] = mapped_column(server_default="accuracy")


class Sharing(Base):
    """Shared neurons of one model by one preset, over all its tasks."""

    __tablename__ = "sharing"
    __table_args__ = (UniqueConstraint("model_id", "preset"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(owner("model.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)
    preset: Mapped[str]


class SharedNeuron(Base):
    """Neurons specific for both of two classes, against what chance gives.

    ``nested`` is 1 where every clip of one class has the other too.
    """

    __tablename__ = "shared_neuron"
    __table_args__ = {"sqlite_with_rowid": False}

    sharing_id: Mapped[int] = mapped_column(owner("sharing.id"), primary_key=True)
    class_a_id: Mapped[int] = mapped_column(owner("task_class.id"), primary_key=True, index=True)
    class_b_id: Mapped[int] = mapped_column(owner("task_class.id"), primary_key=True, index=True)
    n_a: Mapped[int]
    n_b: Mapped[int]
    n_shared: Mapped[int]
    expected: Mapped[float | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    nested: Mapped[int] = mapped_column(server_default="0")
    odds_ratio: Mapped[float | None]
    odds_low: Mapped[float | None]
    odds_high: Mapped[float | None]
