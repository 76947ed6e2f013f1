"""Speech2Text's encoder: filter bank -> two gated convolutions -> tokens of 40 ms -> pre-norm blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Speech2TextConfig, Speech2TextFeatureExtractor
from transformers.models.speech_to_text.modeling_speech_to_text import Speech2TextEncoder as Speech2TextNetwork

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.filter_bank import FilterBankEncoder
from core.encoders.hf.own_length import attended
from core.encoders.hf.whisper import encoder_key
from core.errors import InputError

FLATTEST = 1e-5
"""Below this deviation a band is constant: the model's own normalisation would divide by it."""


class Speech2TextEncoder(FilterBankEncoder):
    """Speech2Text's encoder; four frames of 10 ms are a token. The embedding is the mean after the last norm."""

    ends_with_mlp = True

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        blocks = list(network.layers)
        family = "Speech2Text encoder"
        super().__init__(checkpoint, network, blocks, config.d_model, config.encoder_layers, family)
        self._set_filter_bank(extractor, 2**config.num_conv_layers)
        self.network = network
        self.n_features = int(config.d_model)

    def _normalise(self, level: Tensor) -> Tensor:
        if self.extractor.do_ceptral_normalize and self.extractor.normalize_means:
            level = level - level.mean(0)
        if self.extractor.do_ceptral_normalize and self.extractor.normalize_vars:
            level = level / level.std(0, correction=0).clamp(min=FLATTEST)
        return level

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        hidden = self.network.embed_scale * self.network.conv(inputs)
        return hidden + self.network.embed_positions(torch.zeros_like(hidden[..., 0], dtype=torch.int64))

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        keys = attended(batch)
        if keys is not None:  # this network adds its mask
            keys = torch.zeros_like(keys, dtype=hidden.dtype).masked_fill(~keys, -torch.inf)
        return self.blocks[layer](hidden, keys)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self._mean(self.network.layer_norm(hidden), batch)


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """The encoder of a Speech2Text model; the decoder is dropped.

    Raises
    ------
    InputError
        If tensors of the encoder are missing or the features do not fit it.
    """
    config = network_config(checkpoint, Speech2TextConfig)
    network = load_network(checkpoint, Speech2TextNetwork, config, encoder_key)
    n_mels = config.input_feat_per_channel * config.input_channels
    extractor = feature_settings(checkpoint, Speech2TextFeatureExtractor, num_mel_bins=n_mels)
    if extractor.num_mel_bins != n_mels:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {extractor.num_mel_bins} mel bands, "
            f"the network takes {n_mels}; take both files from the same model"
        )
    return Speech2TextEncoder(checkpoint, network.to(device), extractor)
