"""Several kinds of unit in one run: beside each other in the store, found once, neurons as they would be alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.connection.open import open_store
from db.reads.study import models, store_facts
from tests.support.small_study import clips_passed, make_dataset, query, results, run

KINDS = "mlp,residual-low,pca,head,sae"
TRAINED = ("--train-sae", "1", "--expansion", "2", "--k", "8", "--sae-steps", "5")
TASK = ("--tasks", "pets-kind", "--shuffles", "10")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "pets")


@pytest.fixture(scope="module")
def several(pets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("several") / "atlas.db"
    assert run("--data-dir", pets, "--db", db, *TASK, "--units", KINDS, *TRAINED) == 0
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
    assert run("--data-dir", pets, "--db", alone, *TASK) == 0
    of_units = {"units", "unit_selectivity", "class_specific_units", "unit_coverage", "unit_ablation_effects"}
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
        assert run("--data-dir", pets, "--db", several, *TASK, "--units", KINDS, *TRAINED) == 0
    assert not passed
    assert results(several) == before
    assert run("--data-dir", pets, "--db", several, *TASK, "--units", "random", "--stages", "extract,score") == 0
    (n_random,) = query(several, "SELECT COUNT(*) FROM units WHERE unit_kind = 'random'")[0]
    assert n_random == query(several, "SELECT COUNT(*) FROM units WHERE unit_kind = 'pca'")[0][0]


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
