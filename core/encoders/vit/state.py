"""A network's tensors out of a file of weights: all there, of shapes that fit, and nothing that is left unsaid."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.encoders.vit.blocks import HEAD_WIDTH
from core.encoders.weights_file import Source, dictionary_of, opened, printable, tensors_in
from core.errors import InputError

MOST_WEIGHTS = 2 << 30
WRAPPERS = ("", "module.", "model.", "encoder.")
"""What the names of a ViT's tensors begin with where another module held it."""
DEPTHS = {384: 12, 768: 12, 1024: 24}
"""Blocks of the small, the base and the large network: a file that lost its last block is not a smaller network."""

_GENERAL = re.compile(r"(model|pytorch_model|checkpoint([-_].*)?)", re.IGNORECASE)
"""Files whose folder tells more than their own name does."""


@dataclass(frozen=True)
class WeightsFile:
    """What a file holds: tensors by name, what lies beside them (nothing is sure of that), and its sha256."""

    source: Source
    tensors: dict[str, Tensor]
    beside: Mapping[Any, Any]
    sha256: str

    @property
    def name(self) -> str:
        """The file's, or its folder's where the file's tells nothing (``model.safetensors``)."""
        *folders, stem = self.source.names
        return folders[0] if folders and _GENERAL.fullmatch(stem) else stem


@contextmanager
def reading(weights: Path | None, family: str, kind: str) -> Iterator[WeightsFile]:
    """A file of weights, its folder or an archive of it, open as long as its tensors are taken out.

    Parameters
    ----------
    weights : path, optional
    family : str
        As ``--model`` has it.
    kind : str
        What is expected, for messages: ``an M2D checkpoint``.

    Raises
    ------
    InputError
        If none is given, there is no such file or more than one, or it cannot be read.
    """
    if weights is None:
        raise InputError(
            f"{family} needs its weights: --model {family}:FILE, or --model {family} --weights FILE "
            "(a file or its folder); where to fetch them is in docs/encoders.md"
        )
    try:
        with opened(weights) as source, source.file.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            held = dictionary_of(source, kind)
            yield WeightsFile(source, tensors_in(held, source), held, sha256)
    except OSError as error:
        raise InputError(f"{weights} cannot be read: {error.strerror or error}") from error


def check_fit(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], shown: str, network: str) -> None:
    """Whether all of a network's tensors are there and of their shapes.

    Parameters
    ----------
    network : str
        Its name, with its article.

    Raises
    ------
    InputError
        Names the first that is not, or that there would be more than 2^31 of them.
    """
    missing = [name for name in shapes if name not in tensors]
    if missing:
        raise InputError(
            f"{shown} lacks {len(missing)} of the {len(shapes)} tensors of {network}: {', '.join(missing[:3])}"
            f"{', …' if len(missing) > 3 else ''}; expected a whole checkpoint of {network}"
        )
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape or not tensors[name].is_floating_point():
            is_now = f"{str(tensors[name].dtype).removeprefix('torch.')} {tuple(tensors[name].shape)}"
            raise InputError(f"{shown}: {name} is {is_now}; the other tensors ask for float {shape}")
    if sum(tensors[name].numel() for name in shapes) > MOST_WEIGHTS:
        raise InputError(f"{shown}: the network is too large")


def check_width(width: int, shown: str) -> None:
    """Whether heads of 64 divide a width; raises `InputError`."""
    if width % HEAD_WIDTH:
        raise InputError(f"{shown}: width {width} is not a multiple of {HEAD_WIDTH} (one head)")


def check_extras(names: Sequence[str], inner: tuple[str, ...], shown: str, network: str) -> list[str]:
    """What a file holds beside the network: a note, or none.

    Parameters
    ----------
    names : sequence of str
        Tensors that nothing is known of.
    inner : tuple of str
        Beginnings of names inside the network.

    Raises
    ------
    InputError
        If one is inside, for instance a layer scale: without it every number would be wrong.
    """
    strange = [name for name in names if name.startswith(inner)]
    if strange:
        raise InputError(f"{shown} holds {printable(strange[0])}, which {network} does not have; it is another network")
    return [f"{len(names)} unknown tensors left out ({', '.join(map(printable, names[:3]))})"] if names else []


def in_float32(tensors: Mapping[str, Tensor], shown: str) -> dict[str, Tensor]:
    """Copies that no file stands behind; raises `InputError` where a number is not finite."""
    own = {key: t.to(torch.float32, copy=True, memory_format=torch.contiguous_format) for key, t in tensors.items()}
    for key, t in own.items():
        if not bool(torch.isfinite(t).all()):
            raise InputError(f"{shown}: {key} holds values that are not finite; fetch the file again")
    return own


@dataclass(frozen=True)
class Naming:
    """How a family of ViTs names its tensors.

    Attributes
    ----------
    network : str
        What it is, with its article.
    own : mapping of str to str
        Our names of parts and theirs, where they differ.
    beside : tuple of str
        What the names of tensors begin with that belong to the training or to a head.
    inner : tuple of str
        What names begin with inside the network.
    """

    network: str
    own: Mapping[str, str]
    beside: tuple[str, ...]
    inner: tuple[str, ...]


def taken(
    inside: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], naming: Naming, shown: str
) -> tuple[dict[str, Tensor], list[str]]:
    """A ViT's tensors in float32 by our names, and notes on what is left out.

    Parameters
    ----------
    inside : mapping of str to Tensor
        By their names, without prefix.
    shapes : mapping
        Of each tensor that the network has, by their names; those of blocks among them.

    Raises
    ------
    InputError
        As `check_fit`, `check_width`, `check_extras` and `in_float32`.
    """
    check_fit(inside, shapes, shown, naming.network)
    check_width(shapes["blocks.0.norm1.weight"][0], shown)
    extra = [name for name in inside if name not in shapes and not name.startswith(naming.beside)]
    notes = head_note(inside, "head.weight") + check_extras(extra, naming.inner, shown, naming.network)
    theirs = {f"{part}{end}": f"{own}{end}" for own, part in naming.own.items() for end in ("", ".weight", ".bias")}
    state = in_float32({name: inside[name] for name in shapes}, shown)
    return {theirs.get(name, name): tensor for name, tensor in state.items()}, notes


def within(file: WeightsFile, prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in file.tensors.items() if name.startswith(prefix)}


def n_blocks(names: Sequence[str], width: int) -> int:
    """Blocks that a file should hold: those that it names, and those that a network of this width has."""
    return max(len({m[1] for name in names if (m := re.match(r"blocks\.(\d{1,4})\.", name))}), DEPTHS.get(width, 1))


def size(tensor: Tensor | None, n_dims: int, dim: int) -> int:
    """Length of a tensor along a dimension; 0 where it is not there or has not so many dimensions."""
    return tensor.shape[dim] if tensor is not None and tensor.ndim == n_dims else 0


def head_note(tensors: Mapping[str, Tensor], name: str) -> list[str]:
    """A note on a classifier that is left out, if there is one of this name."""
    classes = size(tensors.get(name), 2, 0)
    return [f"its head of {classes} classes left out"] if classes else []
