"""Encoders of ``torchaudio.pipelines``: wav2vec 2.0, XLS-R, HuBERT and WavLM bundles.

Waveform -> (scaled to mean 0, variance 1, where the bundle asks for it) -> convolutions -> frames,
one each 20 ms, each over a window of 25 ms -> transformer blocks. A frame is a token.

Long clips are cut into chunks of 30 s of frames; a chunk overlaps the next by what its last window
needs, so a clip has as many frames as in one piece: ``(n_samples - 400) // 320 + 1``. Samples after
the last whole window are not looked at, as in torchaudio; a clip shorter than one window is filled
with zeros to one frame. No other frame ever holds padding, so ``--padding`` changes nothing here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrize import remove_parametrizations
from torchaudio.pipelines import Wav2Vec2Bundle

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.structure import mlp_projections
from core.encoders.weights_file import check_claims, content
from core.errors import InputError
from core.files import is_plain_file
from core.results import TokenGrid

CHUNK_SECONDS = 30
SAMPLES_PER_CONVOLUTION = 1 << 20
"""The convolutions take this many samples at once: some 1.3 GB of memory, whatever the batch."""
_FACTORIES = {"Wav2Vec2": torchaudio.models.wav2vec2_model, "WavLM": torchaudio.models.wavlm_model}
_added: dict[str, Wav2Vec2Bundle] = {}


@dataclass(frozen=True)
class FrameBatch(Batch):
    """A batch of waveforms.

    Attributes
    ----------
    groups : tuple of (Tensor of int64, int)
        Rows of equal length and that length in samples. The first convolution of the base models
        normalises over time, so a row's frames depend on its exact length.
    ragged : bool
        Whether some row has fewer frames than another.
    """

    groups: tuple[tuple[Tensor, int], ...]
    ragged: bool


class BundleEncoder(Encoder):
    """A `torchaudio.models.Wav2Vec2Model`, cut at its blocks.

    The embedding is the mean over a clip's frames of the network's output.
    """

    def __init__(self, name: str, network: Any, bundle: Wav2Vec2Bundle, weights_key: str, device: str = "cpu") -> None:
        params = bundle._params
        self.name = name
        self.network = network
        self.weights_key = weights_key
        self.description, self.licence = _about(bundle)
        self.sample_rate = int(bundle.sample_rate)
        self.n_features = params["encoder_embed_dim"]
        self.normalize = bundle._normalize_waveform
        self.window, self.stride = _window_and_stride([layer[1:] for layer in params["extractor_conv_layer_config"]])
        self.frames_per_chunk = CHUNK_SECONDS * self.sample_rate // self.stride
        self.module = network.eval().requires_grad_(False).to(device)
        self.transformer = network.encoder.transformer
        self.blocks = self.transformer.layers
        self.ends_with_mlp = bool(self.blocks[0].layer_norm_first)
        self._projections = mlp_projections(list(self.blocks), self.n_features, params["encoder_num_layers"])
        self.layer_widths = tuple(projection.in_features for projection in self._projections)
        self.is_wavlm = bundle._model_type == "WavLM"
        self._bias: Tensor | None = None

    @property
    def projections(self) -> list[nn.Linear]:
        return self._projections

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> FrameBatch:
        chunks: list[Tensor] = []
        clip: list[int] = []
        for i, waveform in enumerate(waveforms):
            mine = self._chunks(torch.from_numpy(np.ascontiguousarray(waveform)))
            chunks += mine
            clip += [i] * len(mine)
        n_samples = [chunk.shape[0] for chunk in chunks]
        inputs = torch.zeros(len(chunks), max(n_samples))
        for row, chunk in zip(inputs, chunks, strict=True):
            row[: chunk.shape[0]] = chunk
        n_frames = torch.tensor([self._frames(n) for n in n_samples])
        present = (torch.arange(int(n_frames.max())) < n_frames[:, None]).to(self.device)
        return FrameBatch(
            inputs=inputs.to(self.device),
            clip=torch.tensor(clip, device=self.device),
            n_clips=len(waveforms),
            present=present,
            counted=present,  # either way: the one frame that can hold padding is its clip's only one
            groups=tuple((torch.tensor(rows, device=self.device), n) for rows, n in _equal_rows(n_samples)),
            ragged=int(n_frames.min()) < int(n_frames.max()),
        )

    def _chunks(self, waveform: Tensor) -> list[Tensor]:
        if self.normalize:  # over the whole clip: its chunks keep their levels to each other
            waveform = F.layer_norm(waveform, waveform.shape)
        waveform = F.pad(waveform, (0, max(0, self.window - waveform.shape[0])))
        step = self.frames_per_chunk * self.stride
        starts = range(0, self._frames(waveform.shape[0]) * self.stride, step)
        return [waveform[start : start + step + self.window - self.stride] for start in starts]

    def _frames(self, n_samples: int) -> int:
        return (n_samples - self.window) // self.stride + 1

    def token_grid(self, layer: int) -> TokenGrid:
        column = self.stride / self.sample_rate
        chunk = self.frames_per_chunk
        return TokenGrid((0.0, self.sample_rate / 2), column, self.window / self.sample_rate, chunk * column, chunk)

    def begin(self, batch: Batch) -> Tensor:
        x = self.network.encoder.feature_projection(self._convolve(cast(FrameBatch, batch)))
        if cast(FrameBatch, batch).ragged:  # the positions are a convolution too: it reads its neighbours
            x = x.masked_fill(~batch.present[:, :, None], 0)
        x = x + self.transformer.pos_conv_embed(x)
        return self.transformer.layer_norm(x) if self.transformer.layer_norm_first else x

    def _convolve(self, batch: FrameBatch) -> Tensor:
        """Frames of every row from its exact length, shape (n_rows, n_tokens, channels); zeros after its last."""
        if len(batch.groups) == 1:
            return self.network.feature_extractor(batch.inputs, None)[0]
        frames: Tensor | None = None
        for rows, n_samples in batch.groups:
            part = self.network.feature_extractor(batch.inputs[rows, :n_samples], None)[0]
            if frames is None:
                frames = part.new_zeros(*batch.present.shape, part.shape[2])
            frames[rows, : part.shape[1]] = part
        return cast(Tensor, frames)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        ragged = cast(FrameBatch, batch).ragged
        if self.is_wavlm:
            bias = self._position_bias(hidden.shape[1])
            # Of the bias's type, not bool: torchaudio adds the two.
            left_out = torch.zeros_like(batch.present, dtype=bias.dtype) if ragged else None
            if left_out is not None:
                left_out.masked_fill_(~batch.present, -torch.inf)
            return self.blocks[layer](hidden, position_bias=bias, key_padding_mask=left_out)[0]
        attended = batch.present[:, None, None, :].expand(-1, 1, hidden.shape[1], -1) if ragged else None
        return self.blocks[layer](hidden, attention_mask=attended)[0]

    def _position_bias(self, n_tokens: int) -> Tensor:
        """WavLM's relative positions, shape (1, n_heads, n_tokens, n_tokens).

        torchaudio makes them in the first block and hands them on; here they are kept for as long
        as batches have the same number of tokens, so that any block can run alone.
        """
        if self._bias is None or self._bias.shape[2] != n_tokens:
            self._bias = self.blocks[0].attention.compute_bias(n_tokens, n_tokens)[None]
        return self._bias

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        if not self.transformer.layer_norm_first:
            hidden = self.transformer.layer_norm(hidden)
        summed = (hidden.float() * batch.present[:, :, None]).sum(1)
        return mean_over_clips(summed, batch.present.sum(1), batch)


def _window_and_stride(convolutions: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Samples under one frame, and from one to the next, of convolutions (kernel, stride)."""
    window = stride = 1
    for kernel, step in convolutions:
        window += (kernel - 1) * stride
        stride *= step
    return window, stride


def _equal_rows(n_samples: Sequence[int]) -> list[tuple[list[int], int]]:
    """Rows by their length, in pieces of at most `SAMPLES_PER_CONVOLUTION`."""
    rows: dict[int, list[int]] = {}
    for row, n in enumerate(n_samples):
        rows.setdefault(n, []).append(row)
    most = {n: max(1, SAMPLES_PER_CONVOLUTION // n) for n in rows}
    return [(indices[i : i + most[n]], n) for n, indices in rows.items() for i in range(0, len(indices), most[n])]


def bundles() -> dict[str, Wav2Vec2Bundle]:
    """The bundles of the installed torchaudio, speech recognisers too, and those of `add_bundle`."""
    known = {name: value for name, value in vars(torchaudio.pipelines).items() if isinstance(value, Wav2Vec2Bundle)}
    return known | _added


def add_bundle(name: str, bundle: Wav2Vec2Bundle) -> None:
    """Make a bundle of your own known as ``torchaudio:<name>``, for instance another size."""
    _added[name] = bundle


def load(which: str, weights: Path | None = None, device: str = "cpu") -> BundleEncoder:
    """Load a bundle's network. Of a speech recogniser the head that spells letters is left out.

    Parameters
    ----------
    which : str
        A bundle's name in `torchaudio.pipelines`.
    weights : path, optional
        Its file (.pth, .pt or .safetensors) or the folder that holds it. By default the file in torch
        hub's cache, fetched from torchaudio's site if it is not there.
    device : str

    Raises
    ------
    InputError
        If there is no such bundle, its file is neither here nor within reach, or the file holds another
        network or more than weights.
    """
    known = bundles()
    if which not in known:
        near = get_close_matches(which.upper(), known, n=1, cutoff=0.5)
        hint = f"did you mean torchaudio:{near[0]}?" if near else f"known are {', '.join(known)}"
        raise InputError(f"torchaudio has no bundle '{which}'; {hint}")
    bundle = known[which]
    path = _weights_file(which, bundle, weights)
    network = _read_network(path, which, bundle)
    with path.open("rb") as file:
        weights_key = hashlib.file_digest(file, "sha256").hexdigest()
    return BundleEncoder(f"torchaudio:{which}", network, bundle, weights_key, device)


def _url(bundle: Wav2Vec2Bundle) -> str:
    path = bundle._path
    return path if "://" in path else f"https://download.pytorch.org/torchaudio/models/{path}"


def _weights_file(which: str, bundle: Wav2Vec2Bundle, weights: Path | None) -> Path:
    url = _url(bundle)
    file_name = url.rpartition("/")[2]
    if weights is not None:
        path = weights / file_name if os.path.isdir(weights) else weights
        if not is_plain_file(path):
            raise InputError(f"no weights at {path}; expected {which}'s file, {url}")
        # Networks of the same shape take each other's weights: then only the file's name can tell.
        of = [name for name, other in bundles().items() if _url(other).rpartition("/")[2] == path.name]
        if of and which not in of:
            raise InputError(f"{path} is the file of {of[0]}, not of {which}; use --model torchaudio:{of[0]}")
        return path
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cached))
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise InputError(
                f"{url} could not be fetched ({reason}); fetch it where there is a network and give it with "
                f"--weights FILE, or put it at {cached}"
            ) from error
    return cached


def _read_network(path: Path, which: str, bundle: Wav2Vec2Bundle) -> Any:
    """The bundle's network with a file's weights, in float32."""
    state = _read_state(path, which)
    with torch.device("meta"):  # no memory and no random numbers for what the file replaces
        network = _FACTORIES[bundle._model_type](**{**bundle._params, "aux_num_out": None})
    expected = f"expected {which}'s file, {_url(bundle)}"
    try:
        missing, extra = network.load_state_dict(state, strict=False, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{path} does not fit {which} ({reason}); {expected}") from error
    if missing or extra:
        reason = ", ".join(
            f"{len(keys)} tensors {what}, for instance {keys[0]:.100}"
            for keys, what in ((missing, "missing"), (extra, "not known"))
            if keys
        )
        raise InputError(f"{path} does not fit {which} ({reason}); {expected}")
    # The weight of this convolution is stored as direction and length: put them together once, not in each pass.
    remove_parametrizations(network.encoder.transformer.pos_conv_embed.conv, "weight")
    return network


def _read_state(path: Path, which: str) -> dict[str, Tensor]:
    """Tensors by name, without a recogniser's head (``aux``)."""
    try:
        state = content(path)
    except Exception as error:  # a broken file can fail anywhere in the readers
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{path} is not a file of weights and nothing else ({reason}); nothing in it was run; "
            f"expected the file of {which}, .pth, .pt or .safetensors"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) and not v.is_complex() for v in state.values()):
        raise InputError(f"{path} does not hold tensors by name; expected the file of {which} as torchaudio has it")
    check_claims(state.values(), path, str(path))
    return {key: value.float() for key, value in state.items() if not str(key).startswith("aux.")}


def _about(bundle: Wav2Vec2Bundle) -> tuple[str, str]:
    """Description and licence, one line each, as torchaudio's documentation of the bundle tells them."""
    text = re.sub(r"\s*:cite:`[^`]*`|\*", "", vars(bundle).get("__doc__") or "")
    description = " ".join(text.strip().partition("\n\n")[0].split()).replace("( ", "(")
    licence = re.search(r"under\s+\[?`?([\w.\- ]+?)\s+(?:License|and\s+redistributed)", text)
    return description, licence[1] if licence else ""
