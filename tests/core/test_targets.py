"""Which neurons are ablated: ladders, pairs and files, and what is said of those that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given as tried
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.ablation.targets import (
    Choice,
    Material,
    by_evidence,
    by_score,
    choose,
    pairs_of,
    read_targets,
    shortest,
)
from core.ablation.targets import Target as T
from core.errors import InputError
from core.run.config import AnalysisConfig, control_families_for

WIDTHS = (5, 7, 4)
NOTHING = np.zeros((3, 16))


def material(**given: object) -> Material:
    return Material(**{"names": ["a", "b", "c"], "z": NOTHING, "p": NOTHING, "layer_widths": WIDTHS, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "choice", "name"),
    [
        ("lape", Choice("preset", "lape"), "lape"),
        ("top:0.01", Choice("top", "top", 0.01), "top 1%"),
        ("lape:0.001", Choice("selector", "lape", 0.001), "lape 0.1%"),
        ("d_prime:0.05", Choice("selector", "d_prime", 0.05), "d_prime 5%"),
        ("pairs:0.005", Choice("pairs", "pairs", 0.005), "pairs 0.5%"),
        ("file:/some/where/mine.csv", Choice("file", "/some/where/mine.csv"), "file mine.csv"),
    ],
)
def test_choices_are_read_and_named(text: str, choice: Choice, name: str) -> None:
    assert Choice.of(text) == choice
    assert str(choice) == name


@pytest.mark.parametrize("text", ["", "top", "top:0", "top:1.5", "top:nan", "file:", "calibrated:0.1", "mean:0.1"])
def test_choices_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not known; expected top:SHARE"):
        Choice.of(text)


def test_default_is_a_ladder_by_mad_and_the_papers_own_sets_where_they_are_asked_for() -> None:
    ladder = ["mad 0.2%", "mad 1%", "mad 5%"]
    assert [str(choice) for choice in AnalysisConfig().choices()] == [*ladder, "aape"]
    assert [str(choice) for choice in AnalysisConfig(presets=("calibrated",)).choices()] == ladder
    of_kinds = [str(choice) for choice in AnalysisConfig(units=("mlp", "pca")).choices()]
    assert of_kinds == ["mad 1%", "mad n=32", "mad norm=0.2"]
    with pytest.raises(InputError, match="--ablate aape needs that preset's neurons; add aape to --preset"):
        AnalysisConfig(presets=("calibrated",), ablate=("aape",))


def test_random_sets_are_matched_in_activity_too_on_every_device() -> None:
    config = AnalysisConfig()
    assert config.n_controls(control_families_for(torch.device("cpu"), None)) == (0, 20)
    assert config.n_controls(control_families_for(torch.device("cuda"), None)) == (20, 20)
    assert config.n_controls(control_families_for(torch.device("cpu"), ("layer",))) == (20, 0)


def test_ladder_takes_the_strongest_evidence_by_p_then_z_then_index() -> None:
    p = np.array([[0.5, 0.0, 0.0, 0.1, 0.0, 1.0]])
    z = np.array([[1.0, 5.0, 9.0, 2.0, 5.0, -1.0]])
    assert by_evidence(z, p)[0].tolist() == [2, 1, 4, 3, 0, 5]
    given = Material(["a"], z, p, (6,))
    taken = [choose(Choice.of(f"top:{amount}"), given, {"a"})[0] for amount in (0.001, 0.5, "n=4")]
    assert [targets[0].neurons.tolist() for targets in taken] == [[2], [1, 2, 4], [1, 2, 3, 4]]
    assert [targets[0].selection for targets in taken] == ["top 0.1%", "top 50%", "top n=4"]
    assert choose(Choice.of("top:n=7"), given, {"a"}) == ([], "no top n=7: there are 6 units")


def test_ladder_by_score_takes_the_highest_known_ones() -> None:
    scores = np.array([[0.1, np.nan, 3.0, 3.0, -2.0, np.inf], [np.nan, np.nan, np.nan, -np.inf, 0.0, np.nan]])
    assert [s.tolist() for s in by_score(scores)] == [[5, 2, 3, 0, 4], [4]], "ties go to the lower index"


def test_by_norm_the_first_neurons_are_taken_that_remove_it_together() -> None:
    scores = np.tile(np.arange(16.0), (3, 1))
    scores[1] *= -1
    weight = np.r_[np.full(8, 0.1), np.full(8, 0.4)]

    def size(sets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        return np.array([weight[neurons].sum() for neurons in sets])

    given = replace(material(scores={"mad": scores}), size=size)
    found, told = choose(Choice.of("mad:norm=0.75"), given, {"a", "b"})
    assert [(t.name, t.norm, t.neurons.tolist()) for t in found] == [
        ("a", 0.75, [14, 15]), ("b", 0.75, list(range(8))),
    ]  # fmt: skip
    assert told == ""
    found, told = choose(Choice.of("mad:norm=5"), given, {"a", "b"})
    assert found == []
    assert told == "no mad norm=5 of a, b: all units together remove less"


@tried(st.lists(st.floats(0.01, 1), min_size=1, max_size=30), st.floats(0.01, 12))
def test_the_shortest_start_of_an_order_is_what_trying_every_length_finds(weights: list[float], norm: float) -> None:
    order = np.random.default_rng(len(weights)).permutation(len(weights))
    sums = np.cumsum(np.array(weights)[order])
    (found,) = shortest([order], norm, lambda sets: np.array([sums[len(s) - 1] for s in sets]))
    n = int(np.argmax(sums >= norm)) + 1 if sums[-1] >= norm else 0
    assert found.tolist() == sorted(order[:n].tolist())


@pytest.mark.parametrize(
    "text", ["mad:n=0", "mad:n=1.5", "mad:norm=0", "mad:norm=nan", "mad:norm=inf", "mad:k=3", "mad:2"]
)
def test_other_amounts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="n=COUNT or norm=NORM in place of a SHARE"):
        Choice.of(text)


def test_selector_ladder_reads_its_own_scores() -> None:
    scores = np.zeros((3, 16))
    scores[[0, 1, 2], [4, 9, 15]] = 1.0
    found, told = choose(Choice.of("mad:0.06"), material(scores={"mad": scores, "cas": -scores}), {"a", "c"})
    assert [(t.selection, t.name, t.neurons.tolist()) for t in found] == [("mad 6%", "a", [4]), ("mad 6%", "c", [15])]
    assert told == ""


def test_targets_of_a_preset_are_its_own_sets_and_empty_ones_are_left_out() -> None:
    mask = np.array([[True, False, True], [False] * 3, [False, True, False]])
    nothing = np.zeros((3, 3))
    given = Material(["a", "b", "c"], nothing, nothing, (3,), mask)
    found, _ = choose(Choice.of("lape"), given, {"a", "b", "c"})
    assert [(t.selection, t.name, t.neurons.tolist()) for t in found] == [("lape", "a", [0, 2]), ("lape", "c", [1])]
    ladder, _ = choose(Choice.of("top:0.34"), given, {"a", "b", "c"})
    assert [t.name for t in ladder] == ["a", "b", "c"]


def test_pairs_are_the_neurons_of_either_class() -> None:
    p = np.ones((3, 16))
    p[0, [1, 2]] = p[1, [2, 3]] = p[2, [8, 9]] = 0.0
    found, told = choose(Choice.of("pairs:0.125"), material(p=p), {"a", "b", "c"})
    assert [(t.name, t.neurons.tolist()) for t in found] == [
        ("a + b", [1, 2, 3]), ("a + c", [1, 2, 8, 9]), ("b + c", [2, 3, 8, 9]),
    ]  # fmt: skip
    assert told == ""
    assert [t.name for t in choose(Choice.of("pairs:0.125"), material(p=p), {"b", "c"})[0]] == ["b + c"]


def test_of_too_many_pairs_those_that_share_most_are_taken_and_the_rest_is_told() -> None:
    targets = [T("pairs 1%", name, np.array(s)) for name, s in (("a", [1, 2]), ("b", [3, 4]), ("c", [2, 3]))]
    found, told = pairs_of(targets, 2)
    assert [t.name for t in found] == ["a + c", "b + c"]
    assert told == "of 3 pairs of classes the 2 that share most neurons are ablated; --max-pairs 3 takes all"
    assert pairs_of(targets[:1], 5) == ([], "")
    assert pairs_of(targets, 0)[0] == []


def test_permuted_classes_have_the_same_sets() -> None:
    rng = np.random.default_rng(0)
    z, p, order = rng.normal(size=(3, 16)), rng.random((3, 16)), [2, 0, 1]
    names = ["a", "b", "c"]
    for text in ("top:0.2", "cas:0.2"):
        sets = []
        for o in ([0, 1, 2], order):
            given = material(names=[names[i] for i in o], z=z[o], p=p[o], scores={"cas": z[o]})
            sets.append({t.name: t.neurons.tolist() for t in choose(Choice.of(text), given, names)[0]})
        assert sets[0] == sets[1]


def test_file_holds_one_target_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes("\ufeffneuron,name,layer,why\r\n3,x,0,\r\n0,y,2,\r\n6,x,1,\r\n3,x,0,again\r\n".encode())
    assert {k: v.tolist() for k, v in read_targets(path, WIDTHS).items()} == {"x": [3, 11], "y": [12]}
    found, _ = choose(Choice.of(f"file:{path}"), material(), {"a"})
    assert [(t.selection, t.name) for t in found] == [("file mine.csv", "x"), ("file mine.csv", "y")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,layer\na,0\n", "has no column neuron; expected name,layer,neuron"),
        ("", "has no column name"),
        ("name,layer,neuron\n", "holds no neuron"),
        ("name,layer,neuron\na,0,1\na,0,5\n", "line 3: 'a,0,5' names no neuron; layers have 5, 7, 4 neurons"),
        ("name,layer,neuron\na,3,0\n", "line 2: 'a,3,0' names no neuron"),
        ("name,layer,neuron\na,-1,0\n", "line 2: 'a,-1,0' names no neuron"),
        ("name,layer,neuron\na,zero,0\n", "line 2: 'a,zero,0' names no neuron"),
        ("name,layer,neuron\n ,0,0\n", "line 2: ' ,0,0' names no neuron"),
        ("name,layer,neuron\na,0\n", "line 2: 'a,0,None' names no neuron"),
        ('name,layer,neuron\n"a"b,0,1\n', "line 2: "),
    ],
)
def test_bad_file_is_told_in_one_line(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        read_targets(path, WIDTHS)
    assert told in str(error.value)
    assert str(error.value).startswith(f"--ablate file:{path}")
    assert "\n" not in str(error.value)


def test_file_that_cannot_be_read_is_told_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read \(No such file"):
        AnalysisConfig(ablate=(f"file:{tmp_path}/none.csv",))
    (tmp_path / "latin.csv").write_bytes(b"name,layer,neuron\n\xe9,0,0\n")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_targets(tmp_path / "latin.csv", WIDTHS)


def test_changed_file_is_another_choice_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.csv").write_text("name,layer,neuron\na,0,0\n")
    one, two = (Choice.of(f"file:{tmp_path}/{folder}/mine.csv") for folder in ("one", "two"))
    assert one.key == two.key, "a file is what it holds"
    (tmp_path / "two" / "mine.csv").write_text("name,layer,neuron\na,0,1\n")
    assert one.key != two.key
    with pytest.raises(InputError, match="two that the store would call 'file mine.csv'"):
        AnalysisConfig(ablate=(f"file:{tmp_path}/one/mine.csv", f"file:{tmp_path}/two/mine.csv"))
