"""wav2vec 2.0, HuBERT, WavLM, Data2VecAudio, UniSpeech, UniSpeech-SAT and MERT: convolutions, then a transformer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    UniSpeechConfig,
    UniSpeechModel,
    UniSpeechSatConfig,
    UniSpeechSatModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.own_length import WaveformEncoder, attended
from core.errors import InputError

FAMILIES: dict[str, tuple[str, type, type]] = {
    "wav2vec2": ("wav2vec 2.0", Wav2Vec2Config, Wav2Vec2Model),
    "hubert": ("HuBERT", HubertConfig, HubertModel),
    "wavlm": ("WavLM", WavLMConfig, WavLMModel),
    "data2vec-audio": ("Data2VecAudio", Data2VecAudioConfig, Data2VecAudioModel),
    "unispeech": ("UniSpeech", UniSpeechConfig, UniSpeechModel),
    "unispeech-sat": ("UniSpeech-SAT", UniSpeechSatConfig, UniSpeechSatModel),
    "mert_model": ("MERT", HubertConfig, HubertModel),
}


class Wav2Vec2Encoder(WaveformEncoder):
    """wav2vec 2.0 and its kin; a token is 400 samples each 320 in the published models.

    The embedding is the mean over the clip's tokens of the last hidden state.
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any, family: str) -> None:
        config = network.config
        layers = list(network.encoder.layers)
        super().__init__(checkpoint, network, layers, config.hidden_size, config.num_hidden_layers, family)
        self._set_windows(extractor, list(zip(config.conv_kernel, config.conv_stride, strict=True)))
        self.network = network
        self.n_features = int(config.hidden_size)
        self.norm_last = bool(getattr(config, "do_stable_layer_norm", False))
        has_adapters = getattr(config, "adapter_attn_dim", None) is not None  # behind the MLP
        self.ends_with_mlp = self.norm_last and not has_adapters

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        features = self.network.feature_extractor(inputs).transpose(1, 2)
        projected = self.network.feature_projection(features)
        hidden = projected[0] if isinstance(projected, tuple) else projected
        hidden = hidden + self.network.encoder.pos_conv_embed(hidden)
        return hidden if self.norm_last else self.network.encoder.layer_norm(hidden)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.encoder.layers[layer](hidden, attention_mask=attended(batch))

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self._mean(self.network.encoder.layer_norm(hidden) if self.norm_last else hidden, batch)


class WavLMEncoder(Wav2Vec2Encoder):
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
        keys = attended(batch)
        if keys is not None:
            bias = bias.masked_fill(~keys, -torch.inf)
        q, k, v = (heads(project(hidden)) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """A model of this family without its head; an adapter behind the last block is left out.

    Raises
    ------
    InputError
        If tensors are missing or the configuration does not fit.
    """
    family, config_class, model_class = FAMILIES[checkpoint.model_type]
    defaults: dict[str, Any] = {}
    if checkpoint.model_type == "mert_model":
        checkpoint = _as_hubert(checkpoint)
        defaults = {"sampling_rate": checkpoint.config.get("sample_rate", 24_000)}
    config = network_config(checkpoint, config_class)
    config.add_adapter = False
    network = load_network(checkpoint, model_class, config)
    extractor = feature_settings(checkpoint, Wav2Vec2FeatureExtractor, **defaults)
    encoder = WavLMEncoder if checkpoint.model_type == "wavlm" else Wav2Vec2Encoder
    return encoder(checkpoint, network.to(device), extractor, family)


def _as_hubert(checkpoint: Checkpoint) -> Checkpoint:
    """MERT as the HuBERT that its published models are (repository yizhilll/MERT); its own code is not run.

    ``attention_relax`` only scales and moves what enters a softmax against overflow in half precision: nothing here.
    """
    for setting, what in (("feature_extractor_cqt", "a CQT beside its convolutions"), ("deepnorm", "DeepNorm")):
        if checkpoint.config.get(setting):
            raise InputError(
                f"{checkpoint.which}: a MERT with {what} ({setting}), as none is published, is not read here"
            )
    return replace(checkpoint, config={**checkpoint.config, "model_type": "hubert"})
