"""The picture of all neurons: places, colours, blocks."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dashboard.shared.charts import groups
from dashboard.shared.theme import NULL_COLOUR
from dashboard.views.heatmap import picture as pictures

CLASSES = ("a", "b")


def neurons(width: int = 6, n_layers: int = 2) -> pd.DataFrame:
    """Layers of alternating a and b, the later the less selective; the last of a layer never fires."""
    rows = []
    for layer in range(n_layers):
        for neuron in range(width):
            silent = neuron == width - 1
            rows.append({
                "layer": layer, "neuron": neuron, "top_class": None if silent else CLASSES[neuron % 2],
                "entropy": np.nan if silent else neuron / width * np.log(2),
                "entropy_q_value": 0.9 if silent else 0.001,
            })  # fmt: skip
    return pd.DataFrame(rows)


def pixels(picture: pictures.Picture) -> np.ndarray:
    """One pixel a neuron: red, green, blue, opacity."""
    image = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGBA"))
    return image[:: pictures.ZOOM, :: pictures.ZOOM]


def test_neurons_go_by_class_then_selectivity_and_the_silent_come_last() -> None:
    placed = pictures.arrange(neurons(), CLASSES)
    first = placed[placed["layer"] == 0]
    assert first["neuron"].tolist() == [0, 2, 4, 1, 3, 5]
    assert first["class_index"].tolist() == [0, 0, 0, 1, 1, -1]
    assert first["selectivity"].tolist() == pytest.approx([1, 4 / 6, 2 / 6, 5 / 6, 3 / 6, 0])
    assert placed["given"].tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    other = pictures.arrange(neurons(), CLASSES[::-1])
    assert other[other["layer"] == 0]["neuron"].tolist() == [1, 3, 0, 2, 4, 5]


@pytest.mark.parametrize("width", [1, 7, 768, 3072])
def test_every_neuron_has_a_place_of_its_own(width: int) -> None:
    placed = pictures.arrange(neurons(width, 3), CLASSES)
    assert not placed.duplicated(["stripe", "row", "column"]).any()
    assert placed["row"].max() < pictures.stripe_rows(width)
    assert placed["column"].max() == -(-width // pictures.stripe_rows(width)) - 1


def test_each_neuron_is_drawn_in_its_class_colour_fainter_if_less_selective() -> None:
    placed = pictures.arrange(neurons(), CLASSES)
    picture = pictures.draw(placed, ("#FF0000", "#0000FF"), CLASSES)
    row = pixels(picture)[pictures.GAP // 2]  # stripes of 6 are one row high
    assert [tuple(pixel[:3]) for pixel in row[:5]] == [(255, 0, 0)] * 3 + [(0, 0, 255)] * 2
    assert row[0, 3] > row[1, 3] > row[2, 3] > 0
    assert row[5, 3] == 0
    assert pixels(picture).shape[:2] == (picture.height, picture.n_columns)


def test_what_is_not_below_chance_is_grey_unless_no_q_was_computed() -> None:
    given = neurons()
    given.loc[0, "entropy_q_value"] = 0.05
    grey = tuple(int(NULL_COLOUR[i : i + 2], 16) for i in (1, 3, 5))
    drawn = pictures.draw(pictures.arrange(given, CLASSES), ("#FF0000", "#0000FF"), CLASSES)
    assert tuple(pixels(drawn)[pictures.GAP // 2, 0, :3]) == grey
    unknown = pictures.arrange(given.assign(entropy_q_value=np.nan), CLASSES)
    drawn = pictures.draw(unknown, ("#FF0000", "#0000FF"), CLASSES)
    assert tuple(pixels(drawn)[pictures.GAP // 2, 0, :3]) == (255, 0, 0)
    assert unknown["selective"].sum() == 10


def test_a_smaller_q_is_drawn_more_strongly() -> None:
    given = neurons()
    given["entropy_q_value"] = [1e-9, 1e-2, 1e-6, 1e-2, 1e-3, 1] * 2
    drawn = pixels(pictures.draw(pictures.arrange(given, CLASSES), None, CLASSES))[pictures.GAP // 2]
    assert drawn[0, 3] > drawn[1, 3] > drawn[2, 3]
    assert len({tuple(pixel[:3]) for pixel in drawn[:5]}) == 1


def test_the_palette_holds_every_shade_of_many_classes() -> None:
    rng = np.random.default_rng(0)
    classes = tuple(f"class {i}" for i in range(40))
    given = pd.DataFrame({
        "layer": np.repeat(np.arange(4), 3072), "neuron": np.tile(np.arange(3072), 4),
        "top_class": rng.choice([*classes, None], 4 * 3072), "entropy": rng.uniform(0, np.log(40), 4 * 3072),
        "entropy_q_value": rng.choice([1e-9, 0.9], 4 * 3072),
    })  # fmt: skip
    placed = pictures.arrange(given, classes)
    colours = groups.category_colours(len(classes))
    drawn = pixels(pictures.draw(placed, colours, classes))
    y = placed["stripe"] * (placed["row"].max() + 1 + pictures.GAP) + pictures.GAP // 2 + placed["row"]
    assert np.array_equal(drawn[y, placed["column"]], pictures._colours(placed, colours))
    assert 150 < len(np.unique(drawn.reshape(-1, 4), axis=0)) <= 256


def test_blocks_hold_every_neuron_once_and_tell_their_classes() -> None:
    given = neurons(3072, 2)
    picture = pictures.draw(pictures.arrange(given, CLASSES), ("#FF0000", "#0000FF"), CLASSES)
    blocks = picture.blocks
    assert len(blocks) <= 2 * pictures.MOST_BLOCKS
    assert blocks["n_neurons"].sum() == len(given)
    inside = np.concatenate([picture.rows_of(block) for block in blocks["block"]])
    assert sorted(inside) == list(range(len(given)))
    first = given.iloc[picture.rows_of("1-0")]
    assert set(first["layer"]) == {1}
    assert set(first["top_class"]) == {"a"}
    assert blocks.set_index("block").loc["1-0", "classes"] == "a"
    assert blocks.iloc[-1]["classes"] == "b, nothing (never fire)"
    assert blocks["n_selective"].sum() == len(given) - 2


def test_colours_tell_neighbours_apart_however_many() -> None:
    colours = groups.category_colours(23)
    assert len(colours) == 23
    assert all(a != b for a, b in pairwise(colours))
    assert len(set(colours[:10])) == 10
