"""SEW and SEW-D: wav2vec 2.0 on a squeezed sequence, SEW-D with DeBERTa's attention."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import SEWConfig, SEWDConfig, SEWDModel, SEWModel, Wav2Vec2FeatureExtractor

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.own_length import WaveformEncoder, attended
from core.errors import InputError


class SEWEncoder(WaveformEncoder):
    """SEW: ``squeeze_factor`` frames of the convolutions (2 of 20 ms in the published models) are one token.

    Behind the blocks the model makes frames of the tokens again; the embedding is the mean over those. Frames that
    fill no token, at a clip's end, are none (the model appends zeros for them).
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any, family: str) -> None:
        config = network.config
        blocks = list(self._blocks_of(network))
        super().__init__(checkpoint, network, blocks, config.hidden_size, config.num_hidden_layers, family)
        self.squeeze = int(config.squeeze_factor)
        convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._set_windows(extractor, convolutions, self.squeeze)
        self.network = network
        self.n_features = int(config.hidden_size)

    def _blocks_of(self, network: Any) -> Any:
        return network.encoder.layers

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        frames = self.network.layer_norm(self.network.feature_extractor(inputs).transpose(1, 2))
        if self.network.project_features:
            frames = self.network.feature_projection(frames)
        frames = frames.transpose(1, 2)
        pooled, positions = self.network.encoder.pool(frames), self.network.encoder.pos_conv_embed(frames)
        return self._before_blocks((pooled + positions[..., : pooled.shape[2]]).transpose(1, 2))

    def _before_blocks(self, hidden: Tensor) -> Tensor:
        return self.network.encoder.layer_norm(hidden)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.blocks[layer](hidden, attention_mask=attended(batch))

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        frames = self.network.encoder.upsample(hidden)
        return self._mean(frames.float().unflatten(1, (-1, self.squeeze)).mean(2), batch)


class SEWDEncoder(SEWEncoder):
    """SEW-D: attention disentangled into content and relative position, whose table all blocks share."""

    def _blocks_of(self, network: Any) -> Any:
        return network.encoder.encoder.layer

    def _before_blocks(self, hidden: Tensor) -> Tensor:
        return hidden

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        shared = self.network.encoder.encoder
        return self.blocks[layer](
            hidden,
            batch.present[:, None, None, :],
            relative_pos=shared.get_rel_pos(hidden),
            rel_embeddings=shared.get_rel_embedding(),
        )


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """A SEW or SEW-D model without its head.

    Raises
    ------
    InputError
        If tensors are missing or the configuration does not fit.
    """
    disentangled = checkpoint.model_type == "sew-d"
    config = network_config(checkpoint, SEWDConfig if disentangled else SEWConfig)
    if getattr(config, "conv_kernel_size", 0):
        raise InputError(f"{checkpoint.which}: a convolution behind block 0 (conv_kernel_size) is not read here")
    network = load_network(checkpoint, SEWDModel if disentangled else SEWModel, config).to(device)
    extractor = feature_settings(checkpoint, Wav2Vec2FeatureExtractor)
    if disentangled:
        return SEWDEncoder(checkpoint, network, extractor, "SEW-D")
    return SEWEncoder(checkpoint, network, extractor, "SEW")
