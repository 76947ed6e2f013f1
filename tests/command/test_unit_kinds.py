"""Several kinds of unit in one run: beside each other in the store, found once, neurons as they would be alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.connection.open import open_store
from db.reads.study import models, store_facts
from db.schema.views.units import ABOUT_UNITS, UNIT_VIEWS
from tests.support.small_study import clips_passed, make_dataset, query, results, run

KINDS = "mlp,residual-low,pca,head,sae"
TRAINED = ("--train-sae", "1", "--expansion", "2", "--k", "8", "--sae-steps", "5", "--sae-seeds", "2")
ABLATED = ("--ablate", "mad:0.05,mad:n=4,mad:norm=0.1")
TASK = ("--tasks", "pets-kind", "--shuffles", "10")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def several(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("several") / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *TASK, *ABLATED, "--units", KINDS, *TRAINED) == 0
    return db


def test_every_kind_has_scores_a_null_and_effects(several: Path) -> None:
    kinds = {kind for (kind,) in query(several, "SELECT DISTINCT unit_kind FROM unit_coverage")}
    assert kinds == set(KINDS.split(","))
    assert query(several, "SELECT DISTINCT model FROM unit_coverage") == query(
        several, "SELECT DISTINCT model FROM units"
    )
    bare = "SELECT COUNT(*) FROM unit_coverage WHERE null_coverage_high IS NULL OR n_shuffles <> 10"
    assert query(several, bare) == [(0,)]
    ways = query(several, "SELECT DISTINCT unit_kind, operation FROM unit_ablation_effects ORDER BY 1")
    assert dict(ways) == {"head": "mean", "mlp": "scale", "pca": "mean", "residual-low": "mean", "sae": "scale"}


def test_views_of_neurons_show_neurons_as_a_run_of_them_alone(several: Path, pets: Path, tmp_path: Path) -> None:
    alone = tmp_path / "atlas.db"
    assert run("--data-dir", pets, "--db", alone, *TASK, *ABLATED) == 0
    of_units = {*UNIT_VIEWS, *ABOUT_UNITS, "units"}
    ours, theirs = results(several), results(alone)
    for view in ours.keys() - of_units:
        assert ours[view] == theirs[view], view
    engine = open_store(several, read_only=True)
    assert len(models(engine)) == 1
    facts, n_neurons = store_facts(engine), query(several, "SELECT COUNT(*) FROM units WHERE unit_kind = 'mlp'")[0][0]
    assert (facts["n_models"], facts["n_neurons"]) == (1, n_neurons)


def test_the_same_command_again_passes_nothing_and_a_new_kind_passes_once(
    several: Path, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = results(several)
    with clips_passed(monkeypatch) as passed:
        assert run("--data-dir", pets, "--db", several, *TASK, *ABLATED, "--units", KINDS, *TRAINED) == 0
    assert not passed
    assert results(several) == before
    assert run("--data-dir", pets, "--db", several, *TASK, "--units", "random", "--stages", "extract,score") == 0
    (n_random,) = query(several, "SELECT COUNT(*) FROM units WHERE unit_kind = 'random'")[0]
    assert n_random == query(several, "SELECT COUNT(*) FROM units WHERE unit_kind = 'pca'")[0][0]


def test_kinds_can_be_set_side_by_side_by_number_and_by_norm(several: Path) -> None:
    of_number = "SELECT DISTINCT unit_kind, n_neurons FROM unit_ablation_effects WHERE selection = 'mad n=4' ORDER BY 1"
    assert query(several, of_number) == [(kind, 4) for kind in sorted(KINDS.split(","))]
    of_norm = "SELECT unit_kind, removed, control_removed, n_neurons FROM unit_ablation_effects"
    rows = query(several, f"{of_norm} WHERE selection = 'mad norm=0.1'")
    assert {kind for kind, *_ in rows} >= {"mlp", "pca", "sae"}
    for kind, removed, control_removed, n in rows:
        assert removed >= 0.1, kind
        # Of one unit more than it takes; a control may hold all of its layers' units and still not reach it.
        assert n == 1 or control_removed == pytest.approx(0.1, rel=0.6), kind


def test_what_was_found_is_judged_and_matched_with_another_seed(several: Path) -> None:
    (code,) = query(several, "SELECT layer, n_features, origin, architecture, k, n_steps FROM autoencoders")
    assert code == (1, 96, "trained", "topk", 8, 5)
    judged = query(several, "SELECT explained_variance, n_active, n_tokens FROM autoencoders")[0]
    assert judged[0] < 1 and judged[1] == pytest.approx(8, abs=0.5) and judged[2] > 5
    (lost,) = query(several, "SELECT layer, change_reconstructed, change_mean, accuracy FROM reconstructions")
    assert lost[0] == 1 and lost[2] < 0 and lost[3] > 0.5
    found = query(several, "SELECT unit_kind, COUNT(*), MAX(cosine) FROM unit_stability GROUP BY unit_kind ORDER BY 1")
    found = [row for row in found if row[0] != "random"]  # another test's
    assert [(kind, n) for kind, n, _ in found] == [("pca", 96), ("sae", 96)]
    assert all(0.3 < cosine <= 1 for *_, cosine in found)


def test_layers_add_up_to_the_whole(several: Path) -> None:
    by_layer = query(several, "SELECT unit_kind, preset, SUM(n_class_specific), SUM(null_n_class_specific_mean) "
                     "FROM unit_coverage_by_layer GROUP BY unit_kind, preset ORDER BY 1, 2")  # fmt: skip
    whole = query(several, "SELECT unit_kind, preset, n_class_specific, null_n_class_specific_mean FROM unit_coverage "
                  "ORDER BY 1, 2")  # fmt: skip
    assert [row[:3] for row in by_layer] == [row[:3] for row in whole]
    assert [row[3] for row in by_layer] == pytest.approx([row[3] for row in whole])


@pytest.mark.parametrize(
    ("others", "is_other"),
    [((), False), (("--train-sae", "0"), True), ((*TRAINED[:-2], "--k", "4"), True), (TRAINED, False)],
)
def test_others_than_the_autoencoders_that_are_there_are_refused_in_one_line(
    others: tuple[str, ...], is_other: bool, several: Path, pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--units", "sae", "--stages", "extract,score", *others)
    assert run("--data-dir", pets, "--db", several, *TASK, *asked) == (2 if is_other else 0)
    told = " ".join(capsys.readouterr().err.split())
    what = (
        "nano-ssl has other autoencoders already: layers 1 (trained), --expansion 2 --k 8 --sae-steps 5, two trainings"
    )
    assert (what in told) == is_other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--units", "neurons"), "--units neurons: neurons is no kind; expected mlp,residual"),
        (("--units", "sae"), "--units sae needs --sae LAYER=PATH, or --train-sae"),
        (("--units", "sae", "--train-sae", "1,99"), "--train-sae 1,99: expected all, or layers from 0 to"),
        (("--units", "sae", "--sae", "here"), "--sae here: expected LAYER=PATH, a layer from 0 to"),
        (("--units", "sae", "--sae", "1=gone"), "--sae 1=gone: no sae_weights.safetensors beside a cfg.json"),
        (("--units", "sae", "--sae", "1=gone", "--sae", "1=gone"), "name a layer twice"),
    ],
)
def test_what_is_asked_in_vain_is_told_in_one_line(
    arguments: tuple[str, ...], said: str, pets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data-dir", pets, "--db", tmp_path / "atlas.db", *TASK, *arguments) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert said in told and "Traceback" not in told
