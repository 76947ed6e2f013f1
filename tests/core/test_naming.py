"""What datasets and models are called, and how those of one name are told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.datasets import find
from core.datasets.naming import asked_for, telling_name
from core.encoders import load_encoder, named
from core.errors import InputError
from core.run.load import _tell_apart
from tests.support.small_study import make_dataset

Make = Callable[[str], Path]


@pytest.fixture
def folders(tmp_path: Path) -> Make:
    """Make a small dataset at a place below."""
    return lambda place: make_dataset(tmp_path / place, 6)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/x/pets", "pets"),
        ("/x/BirdSet/audio", "BirdSet"),
        ("/x/BirdSet/data/WAV", "BirdSet"),
        ("/x/urban/22050hz/train", "urban"),
        ("/x/datasets--ashraq--esc50/snapshots/0123abcd99", "esc50"),
        ("/x/facade", "facade"),
        ("/data/audio", "audio"),
        ("/x/drums-2/v3", "drums-2"),
    ],
)
def test_a_dataset_has_the_name_of_the_nearest_telling_folder(place: str, name: str) -> None:
    assert telling_name(Path(place)) == name


def test_a_link_has_its_own_name(folders: Make, tmp_path: Path) -> None:
    (tmp_path / "birds").symlink_to(folders("store/0123456789abcdef"))
    (dataset,) = find([tmp_path / "birds"])
    assert (dataset.name, dataset.root) == ("birds", tmp_path / "store/0123456789abcdef")


def test_folders_of_one_leaf_are_two_datasets(folders: Make) -> None:
    birds, bats = find([folders("BirdSet/audio").parent, folders("BatSet/audio").parent])
    assert (birds.name, bats.name) == ("BirdSet", "BatSet")
    assert set(bats.tasks()) == {"BatSet-kind", "BatSet-hand"}


def test_datasets_of_one_name_are_called_by_the_folders_above_too(folders: Make, tmp_path: Path) -> None:
    datasets = find([folders("a/x/pets"), folders("b/x/pets"), folders("birds")])
    assert [dataset.name for dataset in datasets] == ["a-x-pets", "b-x-pets", "birds"]
    assert set(datasets[0].tasks()) == {"a-x-pets-kind", "a-x-pets-hand"}
    assert "another folder is named pets, so this one" in datasets[0].notes[0]
    assert datasets[2].notes == ()
    with pytest.raises(InputError, match="two datasets are named pets: .*; name one of them, --data-dir NAME=DIR"):
        find([tmp_path / "a/x/pets", tmp_path / "a/x/pets"])


def test_the_users_name_goes_first_and_the_stores_next(folders: Make, tmp_path: Path) -> None:
    pets, birds = folders("pets"), folders("birds")
    (mine,) = find([f"my pets={pets}"])
    assert mine.name == "my pets" and set(mine.tasks()) == {"my pets-kind", "my pets-hand"}
    stored = {str(pets): "audio", str(birds): "birds"}
    assert [dataset.name for dataset in find([pets, birds], stored=stored)] == ["audio", "birds"]
    assert find([f"mine={pets}"], stored=stored)[0].name == "mine"
    other, first = find([folders("b/pets"), pets], stored={str(pets): "pets"})
    assert (other.name, first.name) == ("b-pets", "pets"), "the one that is stored keeps its name"
    with pytest.raises(InputError, match=r"names one dataset, 3 lie there: .*pets.*; give each its own"):
        find([f"mine={tmp_path}"])


def test_a_folder_with_an_equals_sign_is_a_folder(folders: Make) -> None:
    odd = folders("a=b")
    assert asked_for(str(odd)) == ("", odd)
    assert asked_for(f"x={odd}") == ("x", odd)
    assert asked_for("/no/such=one") == ("", Path("/no/such=one"))
    for wrong in ("=/x", "a,b=/x", "x= "):
        with pytest.raises(InputError, match="expected DIR or NAME=DIR"):
            asked_for(wrong)


def encoders(*weights_of: tuple[str, str]) -> list[Any]:
    return [SimpleNamespace(name=name, weights_key=weights) for name, weights in weights_of]


def test_models_of_one_name_are_called_by_the_folders_above_too() -> None:
    pair = encoders(("hf:checkpoint-500", "1"), ("hf:checkpoint-500", "2"), ("nano-ssl", "3"))
    _tell_apart(["hf:runs/a/out/checkpoint-500", "hf:runs/b/out/checkpoint-500", "nano-ssl"], pair)
    assert [each.name for each in pair] == ["hf:a-out-checkpoint-500", "hf:b-out-checkpoint-500", "nano-ssl"]


def test_the_same_weights_twice_are_refused() -> None:
    with pytest.raises(InputError, match=r"--model hf:a/x and hf:\./a/x have the same weights; leave one out"):
        _tell_apart(["hf:a/x", "hf:./a/x"], encoders(("hf:x", "1"), ("hf:x", "1")))


def test_models_that_no_folder_tells_apart_are_refused() -> None:
    with pytest.raises(InputError, match=r"both named mine; name one, --model NAME=python:b\.py"):
        _tell_apart(["python:a.py", "python:b.py"], encoders(("mine", "1"), ("mine", "2")))


def test_a_model_may_have_a_name_of_the_users() -> None:
    assert load_encoder("my own=nano-untrained").name == "my own"
    assert named("nano-ssl") == ("", "nano-ssl")
    assert named("hf:/data/a=b/x") == ("", "hf:/data/a=b/x")
    for wrong in ("nano-ssl=nano-sl", "a,b=nano-sl", "=nano-sl"):
        with pytest.raises(InputError):
            load_encoder(wrong)
