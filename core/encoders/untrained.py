"""The untrained twin of any encoder: the same architecture and input side, newly drawn weights.

Random networks are selective, too: what training has to do with a finding shows only beside the
same network before it (Saxe et al. 2011; Adebayo et al. 2018, *Sanity Checks for Saliency Maps*).

What is drawn, whatever the network was built with: weights of linear layers and embeddings, class
tokens and learned positions from a normal of standard deviation 0.02 cut off at two of them (BERT,
ViT; wav2vec 2.0 without the cut), convolutions by He et al. (2015), biases 0, norms and single
factors 1; other modules by their own ``reset_parameters``. Buffers (mel filters, running statistics)
and fixed sine-cosine positions, also where they are stored as weights, stay as they are.
"""

from __future__ import annotations

import copy
import hashlib

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from core.encoders import nano
from core.encoders.base import Encoder
from core.errors import InputError

STD = 0.02
_FACTORS = ("const", "scale", "gamma")
"""Ends of the names of parameters that multiply."""

_KEPT: dict[str, dict[int, Tensor] | None] = {"_bias": None, "_biases": {}}
"""What WavLM encoders keep from batch to batch follows from their weights: nothing of it is left to the twin."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_DRAWN_HERE = (nn.Linear, nn.Embedding, *_CONVOLUTIONS)


def untrained(encoder: Encoder, seed: int = 0) -> Encoder:
    """The twin of an encoder, on its device; of the embedded models it is ``nano-untrained``.

    Parameters
    ----------
    encoder : Encoder
        Stays as it is.
    seed : int
        The same seed gives the same weights, on any device.

    Returns
    -------
    Encoder
        Named ``<name>-untrained``. Its ``weights_key`` hashes the seed and the encoder's own, which also
        tells the buffers and settings that the two have in common.

    Raises
    ------
    InputError
        If the encoder holds what cannot be copied or drawn.
    """
    if isinstance(encoder, nano.NanoEncoder):
        return nano.untrained_like(encoder, seed, str(encoder.device))
    try:
        twin = copy.deepcopy(encoder)
        twin.module.cpu()
        redraw(twin.module, seed)
    except Exception as error:  # an encoder of the user's own may hold anything
        message = " ".join(str(error).split())
        raise InputError(f"{encoder.name} has no untrained twin: {type(error).__name__}: {message}") from error
    twin.module.to(encoder.device)
    for name in _KEPT.keys() & vars(twin).keys():
        setattr(twin, name, copy.copy(_KEPT[name]))
    twin.name = f"{encoder.name}-untrained"
    twin.weights_key = hashlib.sha256(f"untrained {seed} {encoder.weights_key}".encode()).hexdigest()
    twin.description = f"untrained, random weights of seed {seed}: {encoder.description}".removesuffix(": ")
    twin.licence = ""
    return twin


@torch.no_grad()
def redraw(network: nn.Module, seed: int) -> None:
    """Draw every parameter of a network on the CPU anew, in place; the global generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs, too
        for module in network.modules():
            if not isinstance(module, ParametrizationList):
                _redraw_own(module)


def _redraw_own(module: nn.Module) -> None:
    """The parameters that a module holds itself; of a parametrised one (weight norm) the whole it stands for."""
    names = [name for name, _ in module.named_parameters(recurse=False)]
    if is_parametrized(module):
        names += list(module.parametrizations)  # type: ignore[arg-type]
    if names and hasattr(module, "reset_parameters") and not isinstance(module, _DRAWN_HERE) and not _is_norm(module):
        module.reset_parameters()  # type: ignore[operator]
        return
    for name in names:
        old = getattr(module, name)
        if _is_sine_cosine(old):
            continue
        new = _drawn(module, name, torch.empty(old.shape))
        if is_parametrized(module, name):
            setattr(module, name, new.to(old.dtype))
        else:
            old.copy_(new)


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__


def _drawn(module: nn.Module, name: str, empty: Tensor) -> Tensor:
    """A new value for a module's parameter, written into ``empty``."""
    if name.endswith("bias"):
        return empty.zero_()
    if _is_norm(module) or name.endswith(_FACTORS):
        return empty.fill_(1.0)
    if isinstance(module, _CONVOLUTIONS) and empty.ndim > 2:
        return nn.init.kaiming_normal_(empty)
    return nn.init.trunc_normal_(empty, std=STD, a=-2 * STD, b=2 * STD)


def _is_sine_cosine(parameter: Tensor) -> bool:
    """Whether a table's rows all are sines and cosines: half their number is their sum of squares (a class token's 0).

    No trained or drawn table comes near, so it needs no list of models that fix their positions.
    """
    if parameter.ndim < 2:
        return False
    rows = parameter.detach().float().flatten(0, -2)
    squares = rows.square().sum(1)
    squares = squares[squares > 0]
    half = torch.full_like(squares, rows.shape[1] / 2)
    return len(squares) > 1 and float(rows.abs().max()) < 1.01 and torch.allclose(squares, half, rtol=0.01)
