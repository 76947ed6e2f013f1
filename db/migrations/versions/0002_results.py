"""Tables of the results: scores, rankings, probes, ablations, sharing."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "model_dataset",
    "sharing",
    "ablation",
    "model_task",
    "probe",
    "top_clip",
    "ablation_control",
    "ablation_effect",
    "ablation_neuron",
    "activation_probability",
    "class_total",
    "neuron_entropy",
    "probe_score",
    "selection",
    "shared_neuron",
    "class_specific_neuron",
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_dataset",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "dataset_id"),
    )
    op.create_index("ix_model_dataset_dataset_id", "model_dataset", ["dataset_id"], unique=False)
    op.create_index("ix_model_dataset_stage_id", "model_dataset", ["stage_id"], unique=False)
    op.create_table(
        "sharing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=True),
        sa.Column("preset", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "preset"),
    )
    op.create_index("ix_sharing_stage_id", "sharing", ["stage_id"], unique=False)
    op.create_table(
        "ablation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=True),
        sa.Column("selection", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("gain", sa.Double(), nullable=False),
        sa.Column("n_neurons", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id", "selection", "gain", "target"),
    )
    op.create_index("ix_ablation_stage_id", "ablation", ["stage_id"], unique=False)
    op.create_index("ix_ablation_task_id", "ablation", ["task_id"], unique=False)
    op.create_table(
        "model_task",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=True),
        sa.Column("n_clips", sa.Integer(), nullable=False),
        sa.Column("n_classes", sa.Integer(), nullable=False),
        sa.Column("warnings_json", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id"),
    )
    op.create_index("ix_model_task_stage_id", "model_task", ["stage_id"], unique=False)
    op.create_index("ix_model_task_task_id", "model_task", ["task_id"], unique=False)
    op.create_table(
        "probe",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=True),
        sa.Column("settings_json", sa.String(), nullable=False),
        sa.Column("skipped", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id"),
    )
    op.create_index("ix_probe_stage_id", "probe", ["stage_id"], unique=False)
    op.create_index("ix_probe_task_id", "probe", ["task_id"], unique=False)
    op.create_table(
        "top_clip",
        sa.Column("model_dataset_id", sa.Integer(), nullable=False),
        sa.Column("neuron_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("activation_rate", sa.Double(), nullable=True),
        sa.Column("mean_activation", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["model_dataset_id"], ["model_dataset.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_dataset_id", "neuron_id", "rank"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ablation_control",
        sa.Column("ablation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("delta", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["ablation_id"], ["ablation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ablation_id", "position", "draw"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ablation_effect",
        sa.Column("ablation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("n_clips", sa.Integer(), nullable=False),
        sa.Column("accuracy_unablated", sa.Double(), nullable=True),
        sa.Column("accuracy_ablated", sa.Double(), nullable=True),
        sa.Column("delta", sa.Double(), nullable=True),
        sa.Column("ci_low", sa.Double(), nullable=True),
        sa.Column("ci_high", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("q_value", sa.Double(), nullable=True),
        sa.Column("control_delta_mean", sa.Double(), nullable=True),
        sa.Column("control_delta_low", sa.Double(), nullable=True),
        sa.Column("control_delta_high", sa.Double(), nullable=True),
        sa.Column("n_controls", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ablation_id"], ["ablation.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["class_id"], ["task_class.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ablation_id", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ablation_effect_class_id", "ablation_effect", ["class_id"], unique=False)
    op.create_table(
        "ablation_neuron",
        sa.Column("ablation_id", sa.Integer(), nullable=False),
        sa.Column("neuron_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ablation_id"], ["ablation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ablation_id", "neuron_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ablation_neuron_neuron", "ablation_neuron", ["neuron_id"], unique=False)
    op.create_table(
        "activation_probability",
        sa.Column("model_task_id", sa.Integer(), nullable=False),
        sa.Column("neuron_id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("positive_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_task_id"], ["model_task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_task_id", "neuron_id", "class_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "class_total",
        sa.Column("model_task_id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("n_clips", sa.Integer(), nullable=False),
        sa.Column("token_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["class_id"], ["task_class.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_task_id"], ["model_task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_task_id", "class_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_class_total_class_id", "class_total", ["class_id"], unique=False)
    op.create_table(
        "neuron_entropy",
        sa.Column("model_task_id", sa.Integer(), nullable=False),
        sa.Column("neuron_id", sa.Integer(), nullable=False),
        sa.Column("entropy", sa.Double(), nullable=True),
        sa.Column("entropy_rank", sa.Integer(), nullable=True),
        sa.Column("max_probability", sa.Double(), nullable=False),
        sa.Column("top_class_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["model_task_id"], ["model_task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("model_task_id", "neuron_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "probe_score",
        sa.Column("probe_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("n_clips", sa.Integer(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("chance", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["class_id"], ["task_class.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["probe_id"], ["probe.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("probe_id", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_probe_score_class_id", "probe_score", ["class_id"], unique=False)
    op.create_table(
        "selection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model_task_id", sa.Integer(), nullable=False),
        sa.Column("preset", sa.String(), nullable=False),
        sa.Column("settings_json", sa.String(), nullable=False),
        sa.Column("n_classes_covered", sa.Integer(), nullable=False),
        sa.Column("n_class_specific", sa.Integer(), nullable=False),
        sa.Column("n_pairs", sa.Integer(), nullable=False),
        sa.Column("replicated_share", sa.Double(), nullable=True),
        sa.Column("replicated_share_all_pairs", sa.Double(), nullable=True),
        sa.Column("n_shuffles", sa.Integer(), nullable=False),
        sa.Column("null_coverage_mean", sa.Double(), nullable=True),
        sa.Column("null_coverage_low", sa.Double(), nullable=True),
        sa.Column("null_coverage_high", sa.Double(), nullable=True),
        sa.Column("null_n_class_specific_mean", sa.Double(), nullable=True),
        sa.Column("null_n_pairs_mean", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["model_task_id"], ["model_task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_task_id", "preset"),
    )
    op.create_table(
        "shared_neuron",
        sa.Column("sharing_id", sa.Integer(), nullable=False),
        sa.Column("class_a_id", sa.Integer(), nullable=False),
        sa.Column("class_b_id", sa.Integer(), nullable=False),
        sa.Column("n_a", sa.Integer(), nullable=False),
        sa.Column("n_b", sa.Integer(), nullable=False),
        sa.Column("n_shared", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("q_value", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["class_a_id"], ["task_class.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["class_b_id"], ["task_class.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sharing_id"], ["sharing.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sharing_id", "class_a_id", "class_b_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shared_neuron_class_a_id", "shared_neuron", ["class_a_id"], unique=False)
    op.create_index("ix_shared_neuron_class_b_id", "shared_neuron", ["class_b_id"], unique=False)
    op.create_table(
        "class_specific_neuron",
        sa.Column("selection_id", sa.Integer(), nullable=False),
        sa.Column("neuron_id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("lift", sa.Double(), nullable=True),
        sa.Column("p_value", sa.Double(), nullable=True),
        sa.Column("q_value", sa.Double(), nullable=True),
        sa.Column("replicated", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["selection_id"], ["selection.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("selection_id", "neuron_id", "class_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_class_specific_neuron_class",
        "class_specific_neuron",
        ["selection_id", "class_id"],
        unique=False,
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in reversed(_TABLES):
        op.drop_table(name)
