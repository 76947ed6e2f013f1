"""Audio models of a type that nothing here was written for: their blocks are found by structure.

transformers builds the network from its configuration alone, with its own classes; no code of a folder is run. Its
own forward pass is stopped at the first block, where hidden state and arguments (masks, positions) are taken; the
blocks are then called one by one with them. Rows are embedded at their own lengths; where these differ, the arguments
are those of a padded batch with its mask. What does not hold for such a cut is refused, by passes over noise.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten
from transformers.feature_extraction_utils import FeatureExtractionMixin
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.feature_extraction_auto import feature_extractor_class_from_name
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from core.encoders.base import Batch, Padding
from core.encoders.frames import cut
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.own_length import CHUNK_SECONDS, OwnLengthBatch, OwnLengthEncoder
from core.encoders.structure import mlp_projections
from core.errors import InputError
from core.results import TokenGrid
from core.untrusted_text import quoted

INPUTS = ("input_values", "input_features")
MASKS = ("attention_mask", "padding_mask", "input_features_mask")
FEWEST_BLOCKS = 2
CLOSE = 2e-3
"""Largest difference between two ways to the same numbers, in their standard deviations."""


@dataclass(frozen=True)
class FoundBatch(OwnLengthBatch):
    """A batch that knows what its blocks are called with.

    Attributes
    ----------
    called_with : list
        Arguments of a block and which of them have a row each; filled when the batch is embedded.
    rows : Tensor of int64, shape (n_rows,), or None
        Which rows of that batch these are; None = all, in order.
    """

    called_with: list[Any] = field(default_factory=list)
    rows: Tensor | None = None

    def repeat(self, n: int) -> Batch:
        return replace(cast(FoundBatch, super().repeat(n)), rows=self._rows().repeat(n))

    def take(self, clips: Tensor) -> tuple[Batch, Tensor]:
        batch, rows = super().take(clips)
        return replace(cast(FoundBatch, batch), rows=self._rows()[rows]), rows

    def _rows(self) -> Tensor:
        return torch.arange(len(self.clip), device=self.clip.device) if self.rows is None else self.rows


class NoSound(InputError):
    """A model that takes something else: no other type is near to it."""


class _Reached(Exception):
    """The first block, in a forward pass that need not go on."""


class FoundEncoder(OwnLengthEncoder):
    """A network cut at the blocks that were found in it; the embedding is the mean over a clip's last hidden state.

    ``exclude`` and ``include`` count all of a clip's tokens. Chunks of up to 30 s, each made into inputs on its own.
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        self.path, blocks, width = _blocks(checkpoint.which, network)
        super().__init__(checkpoint, network, blocks, width, len(blocks), f"{checkpoint.model_type}, by structure")
        self.network, self.extractor = network, extractor
        self.sample_rate = int(extractor.sampling_rate)
        self.input_name = network.main_input_name
        self.mask_name = next((n for n in MASKS if n in inspect.signature(network.forward).parameters), None)
        self.after: Callable[[Tensor], Tensor] = nn.Identity()
        self.per_row: dict[bool, list[bool]] = {}
        self._learn(checkpoint.which)

    def _learn(self, which: str) -> None:
        """What only passes tell; raises `InputError` where the network cannot be cut at its blocks."""
        self.time_axis = self._time_axis(which)
        self.hop, self.lead = self._tokens_of_samples(which)
        self.chunk = CHUNK_SECONDS * self.sample_rate // self.hop * self.hop
        self.n_features, self.after = self._what_follows(which)
        second = _noise(self.sample_rate)
        for lengths in ((1.0, 1.0, 1.0), (1.0, 0.6, 0.6)):
            clips = [second[: round(length * self.sample_rate)] for length in lengths]
            two, three = (self._arguments(self.prepare(some)) for some in (clips[:2], clips))
            self.per_row[lengths[1] < 1] = _have_a_row_each(two, three)
        _check(which, self)

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> FoundBatch:
        pieces, clip = cut(waveforms, self.chunk)
        rows = [self._input(piece) for piece in pieces]
        lengths = [len(row) for row in rows]
        inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        batch = self._rows(inputs, lengths, [self._n_tokens(len(piece)) for piece in pieces], clip)
        return FoundBatch(**vars(batch))

    def _input(self, piece: NDArray[np.float32]) -> Tensor:
        """What the extractor makes of a piece, time first; too short a one is filled up with zeros to one token."""
        filled = np.pad(piece, (0, max(0, self.shortest - len(piece))))
        made = self.extractor(filled, sampling_rate=self.sample_rate, return_tensors="pt")
        if self.input_name not in made:
            raise InputError(
                f"preprocessor_config.json makes {' and '.join(made)}, the network takes {self.input_name}; take both "
                "files from the same model"
            )
        # Some extractors divide by the deviation of a band, which silence does not have.
        return made[self.input_name][0].float().nan_to_num(0.0, 0.0, 0.0).movedim(self.time_axis, 0)

    def _n_tokens(self, n_samples: int) -> int:
        return max(1, (max(n_samples, self.shortest) + self.lead) // self.hop)

    def _call(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        """The network's own forward pass over rows (n_rows, length, ...)."""
        more = {} if mask is None or self.mask_name is None else {self.mask_name: mask}
        return self.network(**{self.input_name: inputs.movedim(1, 1 + self.time_axis)}, **more)

    def _to_first_block(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Hidden state before the first block, and its other arguments."""
        seen: list[Any] = []

        def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            seen.append((args, kwargs))
            raise _Reached

        hook = self.blocks[0].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self._call(inputs, mask)
        except _Reached:
            pass
        finally:
            hook.remove()
        return _apart(*seen[0])

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        return self._to_first_block(inputs)[0]

    def _arguments(self, batch: FoundBatch) -> Any:
        """What a block of a batch is called with beside its hidden state."""
        if batch.all_present and len(batch.groups) == 1:
            return self._to_first_block(batch.inputs)[1]
        lengths = torch.zeros(len(batch.clip), dtype=torch.int64, device=self.device)
        for length, rows in batch.groups:
            lengths[rows] = length
        mask = torch.arange(batch.inputs.shape[1], device=self.device) < lengths[:, None]
        return self._to_first_block(batch.inputs, mask.long())[1]

    def begin(self, batch: Batch) -> Tensor:
        assert isinstance(batch, FoundBatch)
        hidden = super().begin(batch)
        leaves, shape = tree_flatten(self._arguments(batch))
        ragged = not (batch.all_present and len(batch.groups) == 1)
        batch.called_with[:] = [leaves, shape, self.per_row[ragged]]
        return hidden

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        assert isinstance(batch, FoundBatch)
        leaves, shape, per_row = batch.called_with
        if batch.rows is not None:
            leaves = [leaf[batch.rows] if own else leaf for leaf, own in zip(leaves, per_row, strict=True)]
        args, kwargs = tree_unflatten(leaves, shape)
        out = self.blocks[layer](hidden, *args, **kwargs)
        return out[0] if isinstance(out, tuple) else out

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self._mean(self.after(hidden), batch)

    def token_grid(self, layer: int) -> TokenGrid:
        column = self.hop / self.sample_rate
        return TokenGrid(
            (0.0, self.sample_rate / 2), column, column, self.chunk / self.sample_rate, self.chunk // self.hop
        )

    # What is learnt from passes over noise.

    def _time_axis(self, which: str) -> int:
        """The axis of a clip's inputs that grows with its length."""
        self.shortest, self.time_axis = 1, 0
        second = _noise(self.sample_rate)
        shapes = [self._input(piece).shape for piece in (second[: len(second) // 2], second)]
        grown = [axis for axis, (a, b) in enumerate(zip(*shapes, strict=True)) if a < b]
        if len(grown) != 1:
            raise InputError(
                f"{which}: {type(self.extractor).__name__} makes {tuple(shapes[1])} of any clip, so which "
                "of its tokens are the clip's is not known"
            )
        return grown[0]

    def _tokens_of_samples(self, which: str) -> tuple[int, int]:
        """Hop and lead: ``(n + lead) // hop`` tokens of ``n`` samples, whatever framed them (`numpy` floor)."""

        def tokens(n: int) -> int:
            return self._to_first_block(self._input(_noise(n))[None].to(self.device))[0].shape[1]

        def next_step(n: int) -> int:
            """Fewest samples that make more tokens than ``n`` do."""
            low, high, before = n, 2 * n, tokens(n)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if tokens(middle) > before else (middle, high)
            return high

        first = next_step(self.sample_rate // 2)
        hop = next_step(first) - first
        lead = tokens(first) * hop - first
        self.shortest = max(1, hop - lead)
        longer = [self.shortest, self.sample_rate, 5 * self.sample_rate + 7]
        if hop < 1 or any(tokens(n) != (n + lead) // hop for n in longer):
            raise InputError(f"{which}: its tokens do not follow each other in equal steps of time")
        return hop, lead

    def _what_follows(self, which: str) -> tuple[int, Callable[[Tensor], Tensor]]:
        """Width of the last hidden state, and the module that makes it of the last block's output."""
        calls: list[tuple[nn.Module, Any, Any]] = []
        blocks: list[tuple[Any, Any]] = []
        with ExitStack() as hooks:
            for module in self.network.modules():
                hooks.callback(module.register_forward_hook(lambda *call: calls.append(call)).remove)
            for block in self.blocks:
                seen = block.register_forward_pre_hook(lambda _, *given: blocks.append(given), with_kwargs=True)
                hooks.callback(seen.remove)
            out = self._call(self._input(_noise(self.sample_rate))[None].to(self.device))
        last = getattr(out, "last_hidden_state", None)
        if len(blocks) != len(self.blocks) or not isinstance(last, Tensor):
            raise InputError(
                f"{which}: a pass runs {len(blocks)} of its {len(self.blocks)} blocks ({self.path}) and gives "
                f"{'a' if isinstance(last, Tensor) else 'no'} last hidden state; expected each once and one"
            )
        if not all(_alike(_apart(*given)[1], _apart(*blocks[0])[1]) for given in blocks):
            raise InputError(f"{which}: its blocks ({self.path}) are called with different things, so none runs alone")
        of_last = next(output for module, _, output in reversed(calls) if module is self.blocks[-1])
        of_last = of_last[0] if isinstance(of_last, tuple) else of_last
        if of_last.shape == last.shape and torch.equal(of_last, last):
            return last.shape[2], nn.Identity()
        for module, given, output in calls:
            of_it = bool(given) and given[0] is of_last and isinstance(output, Tensor)
            if of_it and output.shape == last.shape and last.shape[1] == of_last.shape[1] and torch.equal(output, last):
                return last.shape[2], module
        raise InputError(f"{which}: more than a norm follows its last block ({self.path}), which cannot be cut off")


def load(checkpoint: Checkpoint, device: str) -> FoundEncoder:
    """Build a network of a type that is not known here and find its blocks.

    Raises
    ------
    InputError
        If transformers does not have the type, it takes no sound, or it cannot be cut at its blocks.
    """
    which, kind = checkpoint.which, checkpoint.model_type
    config_class = CONFIG_MAPPING[kind] if kind in CONFIG_MAPPING else None  # noqa: SIM401 (its get() loads none)
    classes: Any = MODEL_MAPPING.get(config_class, None) if config_class is not None else None
    model_class = classes[0] if isinstance(classes, tuple) else classes
    if config_class is None or model_class is None:
        raise InputError(f"{which} is of type '{kind}', which transformers has no network of its own for")
    if model_class.main_input_name not in INPUTS:
        raise NoSound(f"{which} is of type '{kind}', which takes {model_class.main_input_name} and no sound alone")
    extractor = _extractor(checkpoint)
    config = network_config(checkpoint, config_class)
    network = load_network(checkpoint, model_class, config)
    if getattr(config, "is_encoder_decoder", False):
        network = network.get_encoder()
    try:
        with torch.inference_mode():
            return FoundEncoder(checkpoint, network.to(device), extractor)
    except InputError:
        raise
    except Exception as error:  # of any kind: a network that wants more than sound, an extractor of something else
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{which}: a pass over noise raised {type(error).__name__}: {why}") from error


def question(encoder: FoundEncoder, which: str) -> str:
    """What was found, and how to say that it is right."""
    widths = sorted(set(encoder.layer_widths))
    rate = encoder.sample_rate / encoder.hop
    return (
        f"{which} is of a type that is not known here; by its structure it has {encoder.n_layers} blocks ("
        f"{encoder.path}) of {' and '.join(f'{w:,}' for w in widths)} neurons, {rate:.4g} tokens a second, inputs "
        f"({encoder.input_name}) by {type(encoder.extractor).__name__} at {encoder.sample_rate:,} Hz, and embeddings "
        f"of {encoder.n_features:,} (mean of its last hidden state); if that is so: --model hf:{quoted(which)} "
        "--confirm-structure"
    )


def _extractor(checkpoint: Checkpoint) -> Any:
    """The folder's own feature extractor, of a class that transformers has."""
    name = (checkpoint.settings or {}).get("feature_extractor_type")
    extractor_class = feature_extractor_class_from_name(name) if isinstance(name, str) else None
    if not (isinstance(extractor_class, type) and issubclass(extractor_class, FeatureExtractionMixin)):
        raise InputError(
            f"{checkpoint.which} is of type '{checkpoint.model_type}', and its preprocessor_config.json names no "
            "feature extractor of transformers: how its inputs are made is not known"
        )
    return feature_settings(checkpoint, extractor_class)


def _blocks(which: str, network: nn.Module) -> tuple[str, list[nn.Module], int]:
    """The longest list of modules of one class that hold one MLP each: its path, the modules, their width."""
    found: list[tuple[int, str, list[nn.Module], int]] = []
    longest, problem = 0, "it has no list of modules that could be blocks"
    for path, module in network.named_modules():
        members = list(module) if isinstance(module, nn.ModuleList | nn.Sequential) else []
        if len(members) < FEWEST_BLOCKS or len({type(member) for member in members}) > 1:
            continue
        linears = Counter(m.in_features for m in members[0].modules() if isinstance(m, nn.Linear))
        if not linears:
            continue
        width = linears.most_common(1)[0][0]
        try:
            mlp_projections(members, width, len(members))
        except InputError as error:
            if len(members) > longest:
                longest, problem = len(members), f"{path}: {error}"
            continue
        found.append((len(members), path, members, width))
    if not found:
        raise InputError(f"{which}: no blocks with one MLP each were found; {problem}")
    _, path, members, width = max(found, key=lambda one: one[0])
    return path, members, width


def _apart(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Any]:
    """Hidden state and all else that a block was called with."""
    if args:
        return args[0], (args[1:], kwargs)
    return kwargs["hidden_states"], ((), {name: value for name, value in kwargs.items() if name != "hidden_states"})


def _alike(one: Any, other: Any) -> bool:
    (mine, shape), (theirs, their_shape) = tree_flatten(one), tree_flatten(other)
    return shape == their_shape and all(
        (isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and torch.equal(a, b))
        or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and (a is b or a == b))
        for a, b in zip(mine, theirs, strict=True)
    )


def _have_a_row_each(two: Any, three: Any) -> list[bool]:
    """Which leaves have as many rows as the batch, of two batches that differ in that alone."""
    pairs = zip(tree_flatten(two)[0], tree_flatten(three)[0], strict=True)
    return [isinstance(a, Tensor) and a.ndim > 0 and (len(a), len(b)) == (2, 3) for a, b in pairs]


def _check(which: str, encoder: FoundEncoder) -> None:
    """Blocks one by one against the network's own pass, and a batch of unequal lengths against one by one."""
    sounds = [_noise(round(seconds * encoder.sample_rate)) for seconds in (1.0, 0.43)]
    together, alone = encoder.embed(sounds), np.concatenate([encoder.embed([sound]) for sound in sounds])
    own = encoder._call(encoder._input(sounds[0])[None].to(encoder.device)).last_hidden_state
    whole = own[0].float().mean(0).cpu().numpy()
    for found, expected, what in (
        (alone[0], whole, "its blocks one by one give another result than its own pass"),
        (together, alone, "two clips of unequal lengths in a batch give another result than one by one"),
    ):
        if not np.allclose(found, expected, atol=CLOSE * float(expected.std())):
            raise InputError(f"{which}: {what} ({encoder.path})")


def _noise(n_samples: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
