"""Find a network's neurons by its structure, never by what its modules happen to be called."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from core.errors import InputError


def mlp_projections(blocks: Sequence[nn.Module], widths: int | Sequence[int], n_layers: int) -> list[nn.Linear]:
    """The MLP output projection of each transformer block, in order.

    In a block of width w it is the one linear layer h -> w (h other than w) for which the block also
    holds the way there, w -> h, or w -> 2h where gate and value come from one layer. Of several it is the one
    that is wider than w: adapters are narrower.

    Parameters
    ----------
    blocks : sequence of modules
        The transformer blocks, first to last.
    widths : int or sequence of int
        Width of the residual stream, one for all blocks or one for each.
    n_layers : int
        How many blocks the model's configuration tells of.

    Raises
    ------
    InputError
        If there are more or fewer blocks, or a block does not hold exactly one such layer; lists what it holds.
    """
    if len(blocks) != n_layers:
        raise InputError(f"the model has {len(blocks)} transformer blocks; its configuration says {n_layers}")
    each = [widths] * n_layers if isinstance(widths, int) else widths
    return [_projection(block, width, i) for i, (block, width) in enumerate(zip(blocks, each, strict=True))]


def _projection(block: nn.Module, width: int, number: int) -> nn.Linear:
    linears = {name: m for name, m in block.named_modules() if isinstance(m, nn.Linear)}
    outputs = {m.out_features for m in linears.values() if m.in_features == width}
    projections = [
        m
        for m in linears.values()
        if m.out_features == width != m.in_features and {m.in_features, 2 * m.in_features} & outputs
    ]
    if len(projections) > 1:
        projections = [m for m in projections if m.in_features > width] or projections
    if len(projections) != 1:
        held = ", ".join(f"{name} {m.in_features}->{m.out_features}" for name, m in linears.items())
        raise InputError(
            f"block {number} holds {len(projections)} MLP output projections to width {width}, expected 1; "
            f"its linear layers: {held or 'none'}"
        )
    return projections[0]


_HEAD_COUNTS = ("n_heads", "num_heads", "num_attention_heads")
_OUTPUTS = ("proj", "out_proj", "o_proj", "dense", "out")


def attention_outputs(network: nn.Module, projections: Sequence[nn.Linear]) -> tuple[list[nn.Linear], int]:
    """The attention output projection of each block, in order, and the number of heads of a block.

    Which of a block's layers w -> w it is no shape tells; so here names count, those that transformers go by.

    Parameters
    ----------
    network : Module
    projections : sequence of Linear
        The MLP output projection of each block, from `mlp_projections`.

    Raises
    ------
    InputError
        If a block does not hold exactly one, or blocks differ in their number of heads.
    """
    name_of = {module: name for name, module in network.named_modules()}
    found = [_attention_output(network, name_of[projection], projection) for projection in projections]
    counts = {n_heads for _, n_heads in found}
    if len(counts) > 1:
        raise InputError(f"blocks have {', '.join(map(str, sorted(counts)))} attention heads; expected as many in each")
    return [output for output, _ in found], counts.pop()


def _attention_output(network: nn.Module, name: str, projection: nn.Linear) -> tuple[nn.Linear, int]:
    """Of the smallest module around an MLP output projection that holds any."""
    width, parts = projection.out_features, name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        block = network.get_submodule(".".join(parts[:end]))
        outputs = [
            module
            for path, module in block.named_modules()
            if isinstance(module, nn.Linear) and module.in_features == module.out_features == width
            and "att" in path and path.rpartition(".")[2] in _OUTPUTS
        ]  # fmt: skip
        if outputs:
            counts = {getattr(m, count) for m in block.modules() for count in _HEAD_COUNTS if hasattr(m, count)}
            if len(outputs) == 1 == len(counts):
                return outputs[0], int(counts.pop())
            break
    raise InputError(
        f"{name}: no attention output projection {width} -> {width} with a known number of heads beside it; "
        "leave head out of --units"
    )
