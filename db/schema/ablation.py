"""Tables of ablations: which neurons, what it did to each class, taken apart, and to each clip."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, OfModelTask, in_units, owner


class Ablation(OfModelTask, Base):
    """One set of neurons changed in one way.

    ``operation`` is ``scale`` (by ``gain``), ``mean`` (set to their mean activation) or ``keep`` (all
    other neurons of their layers set to theirs); ``gain`` is NULL unless they are scaled. ``removed`` is the norm that
    the set removes (`core.ablation.removed`), ``control_removed`` the mean of its controls'.
    """

    __tablename__ = "ablation"
    __table_args__ = (UniqueConstraint("model_id", "task_id", "selection", "operation", "gain", "target"),)

    selection: Mapped[str]
    target: Mapped[str]
    operation: Mapped[str] = mapped_column(server_default="scale")
    gain: Mapped[float | None]
    n_neurons: Mapped[int]
    removed: Mapped[float | None]
    control_removed: Mapped[float | None]


class AblationNeuron(Base):
    """A neuron of an ablated set."""

    __tablename__ = "ablation_neuron"
    __table_args__ = (
        Index("ix_ablation_neuron_neuron", "neuron_id"),
        {"sqlite_with_rowid": False},
    )

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)


class AblationEffect(Base):
    """What an ablation did to the accuracy on one class or (NULL) on all test clips."""

    __tablename__ = "ablation_effect"
    __table_args__ = {"sqlite_with_rowid": False}

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    class_id: Mapped[int | None] = mapped_column(owner("task_class.id"), index=True)
    n_clips: Mapped[int]
    accuracy_unablated: Mapped[float | None]
    accuracy_ablated: Mapped[float | None]
    delta: Mapped[float | None]
    ci_low: Mapped[float | None]
    ci_high: Mapped[float | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    control_delta_mean: Mapped[float | None]
    control_delta_low: Mapped[float | None]
    control_delta_high: Mapped[float | None]
    n_controls: Mapped[int]
    control_p_value: Mapped[float | None]
    beyond_control: Mapped[float | None]
    beyond_control_low: Mapped[float | None]
    beyond_control_high: Mapped[float | None]
    activity_control_delta_mean: Mapped[float | None]
    activity_control_delta_low: Mapped[float | None]
    activity_control_delta_high: Mapped[float | None]
    n_activity_controls: Mapped[int | None]
    group_ci_low: Mapped[float | None]
    group_ci_high: Mapped[float | None]
    n_heads: Mapped[int | None]
    delta_heads_low: Mapped[float | None]
    delta_heads_high: Mapped[float | None]


class AblationOutcome(Base):
    """An ablation's effect on one class (or all clips) taken apart: one of `core.ablation.outcomes`.

    ``position`` is that of the effect it belongs to. ``unablated`` is the number with nothing changed, ``change`` what
    became of it; ``beyond_control`` is the change less the controls' mean, of which p and q are. ``outside_controls``
    is 1 where the change lies outside of every control's.
    """

    __tablename__ = "ablation_outcome"
    __table_args__ = {"sqlite_with_rowid": False}

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    unablated: Mapped[float | None]
    change: Mapped[float | None]
    change_low: Mapped[float | None]
    change_high: Mapped[float | None]
    control_mean: Mapped[float | None]
    control_low: Mapped[float | None]
    control_high: Mapped[float | None]
    beyond_control: Mapped[float | None]
    beyond_low: Mapped[float | None]
    beyond_high: Mapped[float | None]
    p_value: Mapped[float | None]
    q_value: Mapped[float | None]
    heads_low: Mapped[float | None]
    heads_high: Mapped[float | None]
    n_controls: Mapped[int]
    n_units: Mapped[int]
    n_heads: Mapped[int]
    outside_controls: Mapped[int | None]


class AblationControl(Base):
    """What one random control did; ``position`` is that of the effect it belongs to.

    ``delta`` of the accuracy, the others as the outcomes of those names.
    """

    __tablename__ = "ablation_control"
    __table_args__ = {"sqlite_with_rowid": False}

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    draw: Mapped[int] = mapped_column(primary_key=True)
    delta: Mapped[float | None]
    total: Mapped[float | None]
    shift: Mapped[float | None]
    selective: Mapped[float | None]
    discrimination: Mapped[float | None]


class AblationClip(Base):
    """A test clip's own change: of the log probability of its class, and of the logit of the target's class.

    Beside the mean under the target's controls. ``log_prob`` is with nothing changed.
    """

    __tablename__ = "ablation_clip"
    __table_args__ = {"sqlite_with_rowid": False}

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    clip_id: Mapped[int] = mapped_column(primary_key=True)
    log_prob: Mapped[int | None] = in_units(10_000)
    delta_log_prob: Mapped[int | None] = in_units(10_000)
    control_delta_log_prob: Mapped[int | None] = in_units(10_000)
    delta_logit: Mapped[int | None] = in_units(10_000)
    control_delta_logit: Mapped[int | None] = in_units(10_000)


class AblationFlip(Base):
    """A clip of which an ablation changed the predicted class; both are class ids."""

    __tablename__ = "ablation_flip"
    __table_args__ = {"sqlite_with_rowid": False}

    ablation_id: Mapped[int] = mapped_column(owner("ablation.id"), primary_key=True)
    clip_id: Mapped[int] = mapped_column(primary_key=True)
    predicted_before: Mapped[int]
    predicted_after: Mapped[int]


class ErasureCurve(OfModelTask, Base):
    """What is left of each class of a task with more and more neurons out."""

    __tablename__ = "erasure_curve"
    __table_args__ = (UniqueConstraint("model_id", "task_id"),)


class ErasurePoint(Base):
    """A class without the first neurons of an order (``ranked_by``); ``outcome`` is total or discrimination."""

    __tablename__ = "erasure_point"
    __table_args__ = {"sqlite_with_rowid": False}

    erasure_curve_id: Mapped[int] = mapped_column(owner("erasure_curve.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    ranked_by: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    n_neurons: Mapped[int] = mapped_column(primary_key=True)
    unablated: Mapped[float | None]
    change: Mapped[float | None]
    change_low: Mapped[float | None]
    change_high: Mapped[float | None]
    control_mean: Mapped[float | None]
    control_low: Mapped[float | None]
    control_high: Mapped[float | None]
    n_controls: Mapped[int]


class ErasureArea(Base):
    """The mean of a curve beyond random orders, over its sizes, and the smallest sets that halve a class."""

    __tablename__ = "erasure_area"
    __table_args__ = {"sqlite_with_rowid": False}

    erasure_curve_id: Mapped[int] = mapped_column(owner("erasure_curve.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True)
    ranked_by: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    beyond_control: Mapped[float | None]
    beyond_low: Mapped[float | None]
    beyond_high: Mapped[float | None]
    p_value: Mapped[float | None]
    outside_controls: Mapped[int | None]
    halved_at: Mapped[int | None]
    random_halved_at: Mapped[int | None]
