"""Names by which a run knows folders again: a null's name is not that of the folder."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, create_engine, insert

from db.reads.pipeline import dataset_folders
from db.schema.metadata import METADATA
from db.schema.study import Dataset

REST = dict.fromkeys(("content_key", "split_origin", "description", "source", "licence"), "")


@pytest.fixture
def engine() -> Engine:
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    return engine


@pytest.mark.parametrize(
    ("stored", "known"),
    [
        (["pets", "shuffled-pets"], "pets"),
        (["shuffled-pets", "pets"], "pets"),
        (["shuffled-pets"], "pets"),
        (["cats"], "cats"),
        (["shuffled-cats", "cats"], "cats"),
    ],
)
def test_a_folder_keeps_its_own_name_after_labels_were_shuffled(engine: Engine, stored: list[str], known: str) -> None:
    with engine.begin() as connection:
        for name in stored:
            connection.execute(insert(Dataset).values(name=name, root="/sounds/pets", **REST))
    assert dataset_folders(engine) == {"/sounds/pets": known}


def test_a_folder_that_is_called_so_keeps_its_name(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Dataset).values(name="shuffled-cards", root="/sounds/shuffled-cards", **REST))
    assert dataset_folders(engine) == {"/sounds/shuffled-cards": "shuffled-cards"}
