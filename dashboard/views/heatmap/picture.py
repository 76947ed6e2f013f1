"""All neurons of a model as one small image: a stripe a layer, a pixel a neuron; NumPy and Pillow only.

Whatever the size of the model, the browser gets one PNG and a few hundred blocks to point at.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dashboard.shared.theme import MODEL_COLOURS, NULL_COLOUR

Q_LIMIT = 0.05
ZOOM = 4  # image pixels a neuron: browsers that smooth then blur no more than the edges
GREY = "not below chance"
"""What a grey neuron's entropy is."""
GAP = 2  # empty rows between layers
MOST_BLOCKS = 48  # a layer
SMALLEST_Q = 1e-300
FULL = 0.95  # quantile of the neurons that stand from which on a colour is full
FAINTEST = 0.28  # opacity of the least selective neuron
OPACITIES = 20  # with the ten colours and grey, fewer shades than a palette holds


@dataclass(frozen=True)
class Picture:
    """A picture of all neurons.

    Attributes
    ----------
    png : bytes
    layers : tuple of int
    n_columns, layer_height : int
        Size of a layer's stripe in neurons, its gap included.
    blocks : DataFrame
        ``block`` (``layer-number``), ``layer``, ``x``, ``x2``, ``y``, ``y2``, ``n_neurons``, ``classes``,
        ``n_selective``, in the order drawn.
    drawn : ndarray of int
        Rows of the neurons, as they were given, in the order drawn: a block's follow those of the block before.
    """

    png: bytes
    layers: tuple[int, ...]
    n_columns: int
    layer_height: int
    blocks: pd.DataFrame
    drawn: NDArray[np.int64]

    def rows_of(self, block: str) -> NDArray[np.int64]:
        """Rows of a block's neurons, as they were given."""
        ends = self.blocks["n_neurons"].cumsum().to_numpy()
        place = list(self.blocks["block"]).index(block)
        return self.drawn[ends[place] - int(self.blocks["n_neurons"].iloc[place]) : ends[place]]

    @property
    def height(self) -> int:
        """Of all stripes, in neurons."""
        return self.layer_height * len(self.layers)

    @property
    def url(self) -> str:
        """The image itself, as an address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def picture(neurons: pd.DataFrame, classes: tuple[str, ...], colour_of_class: tuple[str, ...] | None) -> Picture:
    """Return the picture of a model's neurons in a task; see `arrange` and `draw`."""
    return draw(arrange(neurons, classes), colour_of_class, classes)


def arrange(neurons: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Give every neuron its place in its layer's stripe.

    Within a layer neurons go by the class they answer to most, then from the most selective to the least; neurons
    that never fire come last. Places run down, then right, so that a class is a vertical slab.

    Parameters
    ----------
    neurons : DataFrame
        ``layer``, ``neuron``, ``top_class``, ``entropy``, ``entropy_q_value``.
    classes : sequence of str
        In the order to be drawn.

    Returns
    -------
    DataFrame
        In the order drawn, with ``given`` (its row in ``neurons``), ``class_index`` (-1: never fires), ``selectivity``
        (1 - entropy / ln of the number of classes), ``selective`` (q below 0.05; all that fire where no q was
        computed), ``row`` (of the layer), ``column``, ``stripe`` (place of the layer).
    """
    index = {name: place for place, name in enumerate(classes)}
    codes = pd.Categorical(neurons["top_class"])
    of_code = np.array([*(index.get(str(name), -1) for name in codes.categories), -1], dtype=np.int64)
    class_index = of_code[codes.codes]
    entropy = neurons["entropy"].to_numpy(float)
    selectivity = np.clip(1 - np.nan_to_num(entropy, nan=np.inf) / np.log(max(len(classes), 2)), 0, 1)
    selectivity[class_index < 0] = 0
    q = neurons["entropy_q_value"].to_numpy(float)
    selective = (q < Q_LIMIT) | np.isnan(q).all()
    layer = neurons["layer"].to_numpy(np.int64)
    last = np.where(class_index < 0, len(classes), class_index)
    order = np.lexsort((neurons["neuron"].to_numpy(), -selectivity, last, layer))
    layers, widths = np.unique(layer, return_counts=True)
    n_rows = stripe_rows(int(widths.max(initial=1)))
    place = np.concatenate([np.arange(width) for width in widths]) if len(widths) else np.empty(0, dtype=np.int64)
    return neurons.iloc[order].assign(
        given=order,
        class_index=class_index[order],
        selectivity=selectivity[order],
        selective=(selective & (class_index >= 0))[order],
        row=place % n_rows,
        column=place // n_rows,
        stripe=np.repeat(np.arange(len(layers)), widths),
    )


def stripe_rows(width: int) -> int:
    """Rows of a layer of ``width`` neurons: stripes about twelve times as long as high."""
    return max(1, round((width / 12) ** 0.5))


def draw(placed: pd.DataFrame, colour_of_class: Sequence[str] | None, classes: Sequence[str]) -> Picture:
    """Draw what `arrange` placed.

    Parameters
    ----------
    placed : DataFrame
    colour_of_class : sequence of str or None
        A colour for each class, fainter the less selective the neuron; neurons whose entropy shuffled labels reach
        too (q from 0.05) are grey. None: one colour, stronger the smaller q.
    classes : sequence of str
        Names, in the order of ``class_index``.
    """
    layers = tuple(int(layer) for layer in placed["layer"].drop_duplicates())
    n_rows = int(placed["row"].max()) + 1 if len(placed) else 1
    n_columns = int(placed["column"].max()) + 1 if len(placed) else 1
    layer_height = n_rows + GAP
    shades, shade_of_neuron = _shades(_colours(placed, colour_of_class))
    canvas = np.zeros((layer_height * len(layers), n_columns), dtype=np.uint8)
    y = placed["stripe"].to_numpy() * layer_height + GAP // 2 + placed["row"].to_numpy()
    canvas[y, placed["column"].to_numpy()] = shade_of_neuron
    png = _png(np.repeat(np.repeat(canvas, ZOOM, axis=0), ZOOM, axis=1), shades)
    blocks = _blocks(placed, classes, n_columns, layer_height)
    return Picture(png, layers, n_columns, layer_height, blocks, placed["given"].to_numpy())


def _shades(colours: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the different colours, the first of them transparent, and each neuron's place among them."""
    unique, places = np.unique(colours.view(np.uint32).ravel(), return_inverse=True)
    shades = np.concatenate([np.zeros((1, 4), dtype=np.uint8), unique.view(np.uint8).reshape(-1, 4)])
    return shades, (places + 1).astype(np.uint8)


def _png(pixels: NDArray[np.uint8], shades: NDArray[np.uint8]) -> bytes:
    """An image with a palette: written in a third of the time, at half the size."""
    image = Image.fromarray(pixels, "P")
    image.putpalette(shades[:, :3].tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=shades[:, 3].tobytes(), compress_level=1)  # faster than 4, little larger
    return buffer.getvalue()


def _colours(placed: pd.DataFrame, colour_of_class: Sequence[str] | None) -> NDArray[np.uint8]:
    """Red, green, blue and opacity of each neuron; what never fires is not drawn."""
    fires = placed["class_index"].to_numpy() >= 0
    stands = placed["selective"].to_numpy()
    if colour_of_class is None:
        q = placed["entropy_q_value"].to_numpy(float)
        strength = -np.log10(np.clip(np.nan_to_num(q, nan=1.0), SMALLEST_Q, 1))
        colours = np.tile(_rgb(MODEL_COLOURS[0]), (len(placed), 1))
    else:
        palette = np.array([_rgb(colour) for colour in colour_of_class] or [_rgb(NULL_COLOUR)])
        colours = palette[np.maximum(placed["class_index"].to_numpy(), 0)]
        strength = placed["selectivity"].to_numpy()
    full = float(np.quantile(strength[stands], FULL)) if stands.any() else 1.0
    evidence = np.clip(strength / max(full, 1e-9), 0, 1)
    alpha = np.where(stands, FAINTEST + (1 - FAINTEST) * evidence, 0.3) * fires
    drawn = np.where(stands[:, None], colours, _rgb(NULL_COLOUR))
    drawn[~fires] = 0  # one shade, whatever the colour that is not seen
    opacity = np.round(np.round(OPACITIES * alpha) * (255 / OPACITIES))
    return np.ascontiguousarray(np.concatenate([drawn, opacity[:, None]], axis=1).astype(np.uint8))


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.float64)


def _columns_a_block(n_columns: int) -> int:
    return -(-n_columns // MOST_BLOCKS)


def _blocks(placed: pd.DataFrame, classes: Sequence[str], n_columns: int, layer_height: int) -> pd.DataFrame:
    """Runs of columns to point at, and what lies in each."""
    per_block = _columns_a_block(n_columns)
    number = (placed["column"] // per_block).to_numpy()
    n_blocks = int(number.max()) + 1 if len(placed) else 0
    key = placed["stripe"].to_numpy() * n_blocks + number
    class_index = placed["class_index"].to_numpy()
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    n_neurons = np.diff(starts, append=len(placed))
    n_selective = np.add.reduceat(placed["selective"].to_numpy(dtype=np.int64), starts) if len(starts) else starts
    # Neurons go by class: where the class or the block changes, a name is to be told.
    changes = np.flatnonzero((np.diff(key, prepend=-1) != 0) | (np.diff(class_index, prepend=-2) != 0))
    names: dict[int, list[str]] = {}
    for place, index in zip(key[changes].tolist(), class_index[changes].tolist(), strict=True):
        names.setdefault(place, []).append(classes[index] if index >= 0 else "nothing (never fire)")
    layer, first = placed["layer"].to_numpy()[starts], number[starts] * per_block
    y = placed["stripe"].to_numpy()[starts] * layer_height
    return pd.DataFrame(
        {
            "block": [f"{a}-{b}" for a, b in zip(layer.tolist(), number[starts].tolist(), strict=True)],
            "layer": layer,
            "x": first,
            "x2": np.minimum(first + per_block, n_columns),
            "y": y,
            "y2": y + layer_height,
            "n_neurons": n_neurons,
            "classes": [_listed(names[place]) for place in key[starts].tolist()],
            "n_selective": n_selective,
        }
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
