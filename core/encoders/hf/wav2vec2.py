"""wav2vec 2.0, HuBERT, WavLM and Data2VecAudio: convolutions on the waveform, then a transformer.

Some of them normalise over the whole length in their first convolution (``feat_extract_norm`` group),
some in their position embedding (Data2VecAudio): there a padded clip is not the clip. So everything
before the blocks is run at each clip's own length, and padding begins at the first block, where it is
masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.frames import cut_frames, pad
from core.encoders.hf.base import HuggingFaceEncoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.results import TokenGrid

CHUNK_SECONDS = 30
SAMPLES_AT_ONCE = 2_000_000
"""Of one length, through the convolutions together: the first makes some 100 values of each sample."""

FAMILIES: dict[str, tuple[str, type, type]] = {
    "wav2vec2": ("wav2vec 2.0", Wav2Vec2Config, Wav2Vec2Model),
    "hubert": ("HuBERT", HubertConfig, HubertModel),
    "wavlm": ("WavLM", WavLMConfig, WavLMModel),
    "data2vec-audio": ("Data2VecAudio", Data2VecAudioConfig, Data2VecAudioModel),
}


@dataclass(frozen=True)
class WaveformBatch(Batch):
    """Waveforms of unequal lengths.

    Attributes
    ----------
    groups : tuple of (n_samples, rows)
        Rows that are equally long, ``rows`` a Tensor of int64.
    all_present : bool
        No row has fewer tokens than another, so that attention needs no mask.
    """

    groups: tuple[tuple[int, Tensor], ...] = ()
    all_present: bool = False


class WaveformEncoder(HuggingFaceEncoder):
    """wav2vec 2.0 and its kin on chunks of up to 30 s.

    A token is one frame of the convolutions: 400 samples each 320 in the published models, all of them
    of the clip, so that ``exclude`` and ``include`` count the same. A clip too short for one frame is
    filled with zeros up to it and keeps its one token. Neighbouring chunks overlap by what a frame is
    longer than the stride, so a long clip has as many tokens as in one piece. The clip is normalised
    as a whole where the model's settings ask for it.
    The embedding is the mean over the clip's tokens of the last hidden state.
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any, family: str) -> None:
        config = network.config
        layers = list(network.encoder.layers)
        super().__init__(checkpoint, network, layers, config.hidden_size, config.num_hidden_layers, family)
        self.network = network
        self.sample_rate = int(extractor.sampling_rate)
        self.n_features = int(config.hidden_size)
        self.do_normalize = bool(extractor.do_normalize)
        self.norm_last = bool(getattr(config, "do_stable_layer_norm", False))
        has_adapters = getattr(config, "adapter_attn_dim", None) is not None  # behind the MLP
        self.ends_with_mlp = self.norm_last and not has_adapters
        self.hop, self.window = 1, 1  # samples from token to token, and that one is made of
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            self.window += (kernel - 1) * self.hop
            self.hop *= stride
        self.tokens_per_chunk = (CHUNK_SECONDS * self.sample_rate - self.window) // self.hop + 1

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        normal = [self._normalise(waveform) for waveform in waveforms]
        pieces, tokens, clip = cut_frames(normal, self.window, self.hop, self.tokens_per_chunk)
        lengths = [max(len(piece), self.window) for piece in pieces]
        groups = {n: [i for i, m in enumerate(lengths) if m == n] for n in sorted(set(lengths))}
        n_tokens = torch.tensor(tokens)
        present = (torch.arange(int(n_tokens.max())) < n_tokens[:, None]).to(self.device)
        return WaveformBatch(
            inputs=pad(pieces, max(lengths)).to(self.device),
            clip=torch.tensor(clip, device=self.device),
            n_clips=len(waveforms),
            present=present,
            counted=present,
            groups=tuple((n, torch.tensor(rows, device=self.device)) for n, rows in groups.items()),
            all_present=len(set(tokens)) == 1,
        )

    def _normalise(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.do_normalize:
            return waveform
        return ((waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)).astype(np.float32)

    def token_grid(self, layer: int) -> TokenGrid:
        column, chunk = self.hop / self.sample_rate, self.tokens_per_chunk
        return TokenGrid((0.0, self.sample_rate / 2), column, self.window / self.sample_rate, chunk * column, chunk)

    def begin(self, batch: Batch) -> Tensor:
        assert isinstance(batch, WaveformBatch)
        hidden: Tensor | None = None
        for n_samples, rows in batch.groups:
            for some in rows.split(max(1, SAMPLES_AT_ONCE // n_samples)):
                embedded = self._embed_equal_lengths(batch.inputs[some, :n_samples])
                if hidden is None:
                    hidden = embedded.new_zeros(*batch.present.shape, embedded.shape[2])
                hidden[some, : embedded.shape[1]] = embedded
        assert hidden is not None
        return hidden

    def _embed_equal_lengths(self, waveforms: Tensor) -> Tensor:
        """(n_rows, n_samples) -> tokens with their positions, (n_rows, n_tokens, width)."""
        features = self.network.feature_extractor(waveforms).transpose(1, 2)
        projected = self.network.feature_projection(features)
        hidden = projected[0] if isinstance(projected, tuple) else projected
        hidden = hidden + self.network.encoder.pos_conv_embed(hidden)
        return hidden if self.norm_last else self.network.encoder.layer_norm(hidden)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.encoder.layers[layer](hidden, attention_mask=_attended(batch))

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        if self.norm_last:
            hidden = self.network.encoder.layer_norm(hidden)
        hidden = hidden.float()
        return mean_over_clips((hidden * batch.present[:, :, None]).sum(1), batch.present.sum(1), batch)


class WavLMEncoder(WaveformEncoder):
    """WavLM: attention with a gated bias by relative position, whose table only layer 0 holds.

    Each block computes its attention here, with that table at hand, so that it can run alone; with
    the fused kernel this is also faster than the module's own, which returns all weights.
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any, family: str) -> None:
        super().__init__(checkpoint, network, extractor, family)
        self._biases: dict[int, Tensor] = {}

    def position_bias(self, n_tokens: int) -> Tensor:
        """Shape (n_heads, n_tokens, n_tokens); that of the last length is kept."""
        if n_tokens not in self._biases:
            self._biases = {n_tokens: self.network.encoder.layers[0].attention.compute_bias(n_tokens, n_tokens)}
        return self._biases[n_tokens]

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        block = self.network.encoder.layers[layer]
        if self.norm_last:
            hidden = hidden + self._attend(block.attention, block.layer_norm(hidden), batch)
            return hidden + block.feed_forward(block.final_layer_norm(hidden))
        hidden = block.layer_norm(hidden + self._attend(block.attention, hidden, batch))
        return block.final_layer_norm(hidden + block.feed_forward(hidden))

    def _attend(self, attention: Any, hidden: Tensor, batch: Batch) -> Tensor:
        def heads(x: Tensor) -> Tensor:
            return x.unflatten(2, (attention.num_heads, -1)).transpose(1, 2)  # (rows, heads, tokens, head width)

        gates = attention.gru_rel_pos_linear(heads(hidden)).unflatten(3, (2, 4)).sum(4).sigmoid()
        gate = gates[..., :1] * (gates[..., 1:] * attention.gru_rel_pos_const - 1.0) + 2.0
        bias = gate * self.position_bias(hidden.shape[1])  # (rows, heads, tokens, tokens)
        attended = _attended(batch)
        if attended is not None:
            bias = bias.masked_fill(~attended, -torch.inf)
        q, k, v = (heads(project(hidden)) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def _attended(batch: Batch) -> Tensor | None:
    """Keys to attend to, shape (n_rows, 1, 1, n_tokens); None where all are."""
    assert isinstance(batch, WaveformBatch)
    return None if batch.all_present else batch.present[:, None, None, :]


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """A model of this family without its head; an adapter behind the last block is left out.

    Raises
    ------
    InputError
        If tensors are missing or the configuration does not fit.
    """
    family, config_class, model_class = FAMILIES[checkpoint.model_type]
    config = network_config(checkpoint, config_class)
    config.add_adapter = False
    network = load_network(checkpoint, model_class, config)
    extractor = feature_settings(checkpoint, Wav2Vec2FeatureExtractor)
    encoder = WavLMEncoder if checkpoint.model_type == "wavlm" else WaveformEncoder
    return encoder(checkpoint, network.to(device), extractor, family)
