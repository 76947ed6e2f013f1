"""Made sounds."""

from alembic import op
from sqlalchemy import BigInteger, Column, Double, ForeignKey, Integer, UniqueConstraint

from db.schema.study import TEXT

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "stimulus_set",
        Column("id", Integer, primary_key=True),
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), nullable=False),
        *_marks(),
        Column("name", TEXT, nullable=False),
        *_counts("n_stimuli", "n_repetitions", "n_varying", "n_permutations"),
        Column("seed", BigInteger, nullable=False),
        Column("seconds_each", Double(), nullable=False),
        UniqueConstraint("model_id", "name"),
    )
    _of_set(
        "stimulus_factor", ("factor",),
        *(Column(name, TEXT, nullable=False) for name in ("name", "unit_of_values")),
        *_counts("is_ordered", "n_levels"),
    )  # fmt: skip
    _of_set(
        "stimulus_level", ("factor", "level"), Column("label", TEXT, nullable=False),
        Column("level_value", Double(), nullable=False),
    )  # fmt: skip
    _of_set(
        "stimulus_layer", ("factor", "layer"), *_counts("n_varying", "n_found", "n_leading"),
        *(Column(name, Double()) for name in ("null_mean", "null_high")),
    )  # fmt: skip
    _of_set(
        "unit_factor", ("neuron_id", "factor"), *_shares("alone", "joint", "shapley", "null_mean", "null_high"),
        *(Column(name, Double()) for name in ("p_value", "q_value")), *_counts("best_level"), *_shares("trend"),
        *_counts("is_leading"), *_shares("kept"),
    )  # fmt: skip
    _of_set(
        "unit_tuning", ("neuron_id", "factor", "level"), *_shares("rate", "rate_low", "rate_high"),
        Column("mean_activation", Double(), nullable=False),
    )  # fmt: skip
    _of_set(
        "unit_invariance_of", ("neuron_id", "factor", "other"),
        *_shares("kept", "correlation", "null_kept", "null_correlation_high"),
    )  # fmt: skip
    _answers()


def _answers() -> None:
    op.create_table(
        "confound_answers_of",
        Column("model_id", Integer, ForeignKey("model.id", ondelete="CASCADE"), primary_key=True),
        *_marks(),
    )
    of_model = ForeignKey("confound_answers_of.model_id", ondelete="CASCADE")
    op.create_table(
        "confound_answer",
        Column("model_id", Integer, of_model, primary_key=True, autoincrement=False),
        Column("place", Integer, primary_key=True, autoincrement=False),
        Column("task_id", Integer, ForeignKey("task.id", ondelete="CASCADE"), nullable=False, index=True),
        *(
            Column(name, TEXT, nullable=False)
            for name in ("preset", "class_name", "question", "stimulus_set", "answer")
        ),
        *_counts("n_units", "n_answer"),
        *(Column(name, Double(), nullable=False) for name in ("share", "share_low", "share_high")),
        *_counts("n_all", "n_all_answer"),
        *(Column(name, Double(), nullable=False) for name in ("share_all", "p_value", "q_value")),
        sqlite_with_rowid=False,
    )


def _of_set(table: str, keys: tuple[str, ...], *columns: Column) -> None:
    """A table whose rows belong to a set; ``keys`` tell them apart."""
    owner = ForeignKey("stimulus_set.id", ondelete="CASCADE")
    op.create_table(
        table,
        Column("stimulus_set_id", Integer, owner, primary_key=True, autoincrement=False),
        *(Column(name, Integer, primary_key=True, autoincrement=False) for name in keys),
        *columns,
        sqlite_with_rowid=False,
    )


def _marks() -> tuple[Column, Column]:
    return (
        Column("run_id", Integer, ForeignKey("run.id"), nullable=False),
        Column("stage_id", Integer, ForeignKey("stage.id", ondelete="SET NULL"), index=True),
    )


def _counts(*names: str) -> list[Column]:
    return [Column(name, Integer, nullable=False) for name in names]


def _shares(*names: str) -> list[Column]:
    return [Column(name, Integer) for name in names]
