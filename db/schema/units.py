"""Tables of units other than neurons: autoencoders, what heads lose by them, and what another seed finds."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from db.schema.study import Base, OfModelTask, in_units, owner, stage_mark


class UnitsFound(Base):
    """That a model's units were found, and by which stage that was kept."""

    __tablename__ = "units_found"

    model_id: Mapped[int] = mapped_column(owner("model.id"), primary_key=True)
    stage_id: Mapped[int | None] = mapped_column(stage_mark(), index=True)


class Autoencoder(Base):
    """The sparse autoencoder of a layer's output; ``origin`` is ``trained``, or the file that it was read from."""

    __tablename__ = "autoencoder"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("units_found.model_id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_features: Mapped[int]
    origin: Mapped[str]
    architecture: Mapped[str]
    k: Mapped[int | None]
    n_steps: Mapped[int | None]
    seed: Mapped[int | None]
    explained_variance: Mapped[float | None]
    n_active: Mapped[float | None]
    dead_share: Mapped[float | None]
    n_tokens: Mapped[int | None]


class UnitTwin(Base):
    """A unit's best partner among those of another seed; ``null_cosine_high`` of as many random directions."""

    __tablename__ = "unit_twin"
    __table_args__ = {"sqlite_with_rowid": False}

    model_id: Mapped[int] = mapped_column(owner("units_found.model_id"), primary_key=True)
    neuron_id: Mapped[int] = mapped_column(primary_key=True)
    cosine: Mapped[int | None] = in_units(10_000)
    is_mutual: Mapped[int]
    null_cosine_high: Mapped[int | None] = in_units(10_000)


class Reconstruction(OfModelTask, Base):
    """What a task's head loses where autoencoders' reconstructions take the place of blocks' outputs."""

    __tablename__ = "reconstruction"


class ReconstructedLayer(Base):
    """One layer replaced; changes are of the own class's log probability, in nats."""

    __tablename__ = "reconstructed_layer"
    __table_args__ = {"sqlite_with_rowid": False}

    reconstruction_id: Mapped[int] = mapped_column(owner("reconstruction.id"), primary_key=True)
    layer: Mapped[int] = mapped_column(primary_key=True)
    n_clips: Mapped[int]
    accuracy: Mapped[float | None]
    accuracy_reconstructed: Mapped[float | None]
    accuracy_mean: Mapped[float | None]
    log_prob: Mapped[float | None]
    change_reconstructed: Mapped[float | None]
    change_reconstructed_low: Mapped[float | None]
    change_reconstructed_high: Mapped[float | None]
    change_mean: Mapped[float | None]
    change_mean_low: Mapped[float | None]
    change_mean_high: Mapped[float | None]
    recovered: Mapped[float | None]
    recovered_low: Mapped[float | None]
    recovered_high: Mapped[float | None]
