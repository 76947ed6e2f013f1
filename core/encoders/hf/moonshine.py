"""Moonshine's encoder: three convolutions on the waveform -> tokens of 24 ms -> pre-norm blocks, rotary positions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import MoonshineConfig, Wav2Vec2FeatureExtractor
from transformers.models.moonshine.modeling_moonshine import MoonshineEncoder as MoonshineNetwork

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.own_length import WaveformEncoder, attended
from core.encoders.hf.whisper import encoder_key


class MoonshineEncoder(WaveformEncoder):
    """Moonshine's encoder; a token is 895 samples each 384. The embedding is the mean after the last norm."""

    ends_with_mlp = True

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        blocks = list(network.layers)
        n_layers = int(config.encoder_num_hidden_layers)
        super().__init__(checkpoint, network, blocks, config.hidden_size, n_layers, "Moonshine encoder")
        convolutions = (network.conv1, network.conv2, network.conv3)
        self._set_windows(extractor, [(conv.kernel_size[0], conv.stride[0]) for conv in convolutions])
        self.network = network
        self.n_features = int(config.hidden_size)

    @property
    def attention_outputs(self) -> list[nn.Linear]:
        return [block.self_attn.o_proj for block in self.network.layers]

    @property
    def n_heads(self) -> int:
        return int(self.network.config.encoder_num_attention_heads)

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        hidden = self.network.groupnorm(torch.tanh(self.network.conv1(inputs[:, None])))
        return F.gelu(self.network.conv3(F.gelu(self.network.conv2(hidden)))).transpose(1, 2)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
        rotations = self.network.rotary_emb(hidden, position_ids=positions)
        return self.blocks[layer](hidden, attention_mask=attended(batch), position_embeddings=rotations)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self._mean(self.network.layer_norm(hidden), batch)


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """The encoder of a Moonshine model; the decoder is dropped.

    Raises
    ------
    InputError
        If tensors of the encoder are missing or the configuration does not fit.
    """
    network = load_network(checkpoint, MoonshineNetwork, network_config(checkpoint, MoonshineConfig), encoder_key)
    extractor = feature_settings(checkpoint, Wav2Vec2FeatureExtractor, do_normalize=False)
    return MoonshineEncoder(checkpoint, network.to(device), extractor)
