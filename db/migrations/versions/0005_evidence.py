"""What a number is worth: nulls of the entropy, curves, selectors, stability, confounds, attribution."""

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ADDED: dict[str, tuple[sa.Column, ...]] = {
    "model_task": (sa.Column("shuffled", sa.String(), nullable=False, server_default="clips"),),
    "neuron_entropy": (sa.Column("p_value", sa.Double()), sa.Column("q_value", sa.Double())),
    "selection": tuple(
        sa.Column(f"null_{of}_{end}", sa.Double()) for of in ("n_class_specific", "n_pairs") for end in ("low", "high")
    ),
    "class_specific_neuron": (
        *(sa.Column(name, sa.Double()) for name in ("lift_low", "lift_high", "share_of_draws")),
        sa.Column("n_folds_held", sa.Integer()),
        sa.Column("n_folds", sa.Integer()),
        sa.Column("p_value_cleaned", sa.Double()),
        sa.Column("explained_by", sa.String()),
    ),
    "ablation_effect": (
        *(sa.Column(name, sa.Double()) for name in ("control_p_value", "beyond_control")),
        *(sa.Column(f"beyond_control_{end}", sa.Double()) for end in ("low", "high")),
        *(sa.Column(f"activity_control_delta_{end}", sa.Double()) for end in ("mean", "low", "high")),
        sa.Column("n_activity_controls", sa.Integer()),
        *(sa.Column(f"group_ci_{end}", sa.Double()) for end in ("low", "high")),
        sa.Column("n_heads", sa.Integer()),
        *(sa.Column(f"delta_heads_{end}", sa.Double()) for end in ("low", "high")),
    ),
    "shared_neuron": tuple(sa.Column(name, sa.Double()) for name in ("odds_ratio", "odds_low", "odds_high")),
}

_KEY = sa.Integer, sa.Double, sa.String
"""Shorter names for the columns of the tables below."""


def _of_task(name: str, key: Mapping[str, type], values: Mapping[str, tuple[type, bool]]) -> None:
    """A table that belongs to a model's task."""
    _owned(name, "model_task", key, values)


def _owned(name: str, by: str, key: Mapping[str, type], values: Mapping[str, tuple[type, bool]]) -> None:
    """A table without row numbers; of each value its type and whether it may be NULL."""
    op.create_table(
        name,
        sa.Column(f"{by}_id", sa.Integer(), nullable=False),
        *(sa.Column(column, of(), nullable=False) for column, of in key.items()),
        *(sa.Column(column, of(), nullable=optional) for column, (of, optional) in values.items()),
        sa.ForeignKeyConstraint([f"{by}_id"], [f"{by}.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(f"{by}_id", *key),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    """Add the columns and tables; an ablation may be another than a scaling."""
    whole, number, text = _KEY
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column.copy())
    _make_ablations(("operation", "gain"), gain_optional=True)
    null = {
        f"null_{of}_{end}": (number, True) for of in ("coverage", "n_class_specific") for end in ("mean", "low", "high")
    }
    _of_task(
        "selection_curve",
        {"preset": text, "entropy_rate": number, "probability_bar": number},
        {"n_classes_covered": (whole, False), "coverage": (number, False), "n_class_specific": (whole, False), **null,
         "n_shuffles": (whole, False)},
    )  # fmt: skip
    pair = {"neuron_id": whole, "class_id": whole}
    scores = ("mad", "cas", "auroc", "d_prime", "selectivity_index")
    _of_task("selector_score", pair, dict.fromkeys(scores, (whole, True)))
    _of_task(
        "selector_pair",
        {"selector_a": text, "selector_b": text},
        {"spearman": (number, True), "overlap": (number, True), "expected_overlap": (number, True),
         "n_classes": (whole, False)},
    )  # fmt: skip
    _of_task(
        "stability",
        {"preset": text},
        {"n_halves": (whole, False), "whole_groups": (whole, False), "n_pairs_mean": (number, True),
         **{f"jaccard_{of}": (number, True) for of in ("mean", "low", "high", "expected")},
         "entropy_spearman": (number, True), "n_draws": (whole, True), "share_of_draws": (number, True),
         "share_expected": (number, True)},
    )  # fmt: skip
    _of_task(
        "confound_probe",
        {"feature": text, "group_name": text},
        {"metric": (text, True), **dict.fromkeys(("accuracy", "ci_low", "ci_high", "chance"), (number, True)),
         "n_clips": (whole, False), "mark": (text, False), "reason": (text, False)},
    )  # fmt: skip
    _of_task(
        "neuron_confound",
        {"neuron_id": whole},
        {f"rho_{of}": (whole, True) for of in ("level", "duration", "silence")},
    )
    tuned = ("preferred_low", "preferred_high", "center", "center_low", "center_high", "bandwidth_semitones",
             "bandwidth_low", "bandwidth_high", "octave_equivalence_index", "oei_low", "oei_high")  # fmt: skip
    _of_task(
        "pitch_tuning",
        {"neuron_id": whole},
        {"peak_rate": (number, False), "floor_rate": (number, False), "preferred_pitch": (whole, False),
         **dict.fromkeys(tuned, (number, True))},
    )  # fmt: skip
    _of_task("neuron_preference", pair, dict.fromkeys(("log_odds", "ci_low", "ci_high"), (number, True)))
    _make_attributions(pair)


def _make_attributions(pair: Mapping[str, type]) -> None:
    whole, number, _ = _KEY
    op.create_table(
        "attribution",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=name == "stage_id") for name in
          ("model_id", "task_id", "run_id", "stage_id")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("n_clips", "n_checked", "n_clips_checked")),
        *(sa.Column(f"spearman_{of}", sa.Double()) for of in ("all", "random", "highest")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id"),
    )  # fmt: skip
    for name in ("stage_id", "task_id"):
        op.create_index(f"ix_attribution_{name}", "attribution", [name])
    op.create_table(
        "specificity",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=name == "stage_id") for name in ("model_id", "task_id", "stage_id")),
        sa.Column("selection", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("gain", sa.Double()),
        sa.Column("n_classes", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double()) for name in
          ("n_neurons", "self_effect", "cross_effect", "specificity", "ci_low", "ci_high")),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id", "selection", "operation", "gain"),
    )  # fmt: skip
    for name in ("stage_id", "task_id"):
        op.create_index(f"ix_specificity_{name}", "specificity", [name])
    _owned(
        "neuron_attribution_value", "attribution", pair,
        {"attribution": (whole, True), "standard_error": (whole, True), "n_clips": (whole, False)},
    )  # fmt: skip
    _owned(
        "attribution_check_value", "attribution", pair,
        {"attribution": (number, True), "measured": (number, True), "in_highest": (whole, False)},
    )  # fmt: skip


def _make_ablations(how: tuple[str, ...], gain_optional: bool) -> None:
    """Another key for ``ablation``; SQLite, which cannot change a constraint, gets it anew with its rows."""
    if op.get_bind().dialect.name != "sqlite":
        if "operation" in how:
            op.drop_constraint("ablation_model_id_task_id_selection_gain_target_key", "ablation", type_="unique")
            op.add_column("ablation", sa.Column("operation", sa.String(), nullable=False, server_default="scale"))
        else:
            op.drop_column("ablation", "operation")  # its constraint goes with it
        op.alter_column("ablation", "gain", nullable=gain_optional)
        op.create_unique_constraint(None, "ablation", ["model_id", "task_id", "selection", *how, "target"])
        return
    operation = [sa.Column("operation", sa.String(), nullable=False, server_default="scale")] * ("operation" in how)
    op.create_table(
        "ablation_new",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=name == "stage_id") for name in
          ("model_id", "task_id", "run_id", "stage_id")),
        sa.Column("selection", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        *operation,
        sa.Column("gain", sa.Double(), nullable=gain_optional),
        sa.Column("n_neurons", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("model_id", "task_id", "selection", *how, "target"),
    )  # fmt: skip
    columns = "id, model_id, task_id, run_id, stage_id, selection, target, gain, n_neurons"
    op.execute(f"INSERT INTO ablation_new ({columns}) SELECT {columns} FROM ablation WHERE gain IS NOT NULL")
    op.drop_table("ablation")
    op.rename_table("ablation_new", "ablation")
    for name in ("stage_id", "task_id"):
        op.create_index(f"ix_ablation_{name}", "ablation", [name])


def downgrade() -> None:
    """Take it back; ablations that are no scaling are lost."""
    for name in (
        "specificity", "attribution_check_value", "neuron_attribution_value", "attribution",
        "neuron_preference", "pitch_tuning",
        "neuron_confound", "confound_probe", "stability", "selector_pair", "selector_score", "selection_curve",
    ):  # fmt: skip
        op.drop_table(name)
    op.execute("DELETE FROM ablation WHERE operation <> 'scale'")
    _make_ablations(("gain",), gain_optional=False)
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
