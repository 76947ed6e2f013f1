"""wav2vec 2.0 Conformer and Wav2Vec2-BERT: blocks of an MLP, attention, a convolution and another MLP.

A block has two MLPs, half of each is added (Gulati et al. 2020). Both are recorded: layer ``2 b`` is the first MLP
of block ``b``, layer ``2 b + 1`` all that follows it in the block.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import (
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerModel,
    Wav2Vec2FeatureExtractor,
)

from core.encoders.base import Batch, Encoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.hf.filter_bank import FilterBankEncoder
from core.encoders.hf.own_length import OwnLengthEncoder, WaveformEncoder, attended
from core.errors import InputError


class ConformerEncoder(OwnLengthEncoder):
    """What both share; ``network.encoder`` holds the blocks and their positions."""

    network: Any

    @staticmethod
    def _mlps(network: Any) -> list[nn.Module]:
        """The two MLPs of each block, in order."""
        return [mlp for block in network.encoder.layers for mlp in (block.ffn1, block.ffn2)]

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        block = self.network.encoder.layers[layer // 2]
        if layer % 2 == 0:
            return hidden + 0.5 * block.ffn1(block.ffn1_layer_norm(hidden))
        mixed, _ = block.self_attn(
            block.self_attn_layer_norm(hidden),
            attention_mask=attended(batch),
            relative_position_embeddings=self._positions(hidden),
        )
        hidden = hidden + mixed
        hidden = hidden + self._convolve(block.conv_module, hidden, batch)
        return block.final_layer_norm(hidden + 0.5 * block.ffn2(block.ffn2_layer_norm(hidden)))

    def _positions(self, hidden: Tensor) -> Tensor | None:
        embed = self.network.encoder.embed_positions
        if embed is None:
            return None
        embed.cached_sequence_length = None  # rotary ones kept from a pass without gradients fit none with them
        return embed(hidden)

    def _convolve(self, module: Any, hidden: Tensor, batch: Batch) -> Tensor:
        """The convolution of a block; what fills a row reaches none of its tokens."""
        return module(hidden, attention_mask=None if attended(batch) is None else batch.present)


class Wav2Vec2ConformerEncoder(ConformerEncoder, WaveformEncoder):
    """wav2vec 2.0 with Conformer blocks; token and embedding are wav2vec 2.0's."""

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        n_layers = 2 * config.num_hidden_layers
        family = "wav2vec 2.0 Conformer, two layers a block"
        super().__init__(checkpoint, network, self._mlps(network), config.hidden_size, n_layers, family)
        self._set_windows(extractor, list(zip(config.conv_kernel, config.conv_stride, strict=True)))
        self.network = network
        self.n_features = int(config.hidden_size)

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        return self.network.feature_projection(self.network.feature_extractor(inputs).transpose(1, 2))[0]

    def _convolve(self, module: Any, hidden: Tensor, batch: Batch) -> Tensor:
        # The module's own steps; in between, zeros where a batch fills up, as its convolution has them at the ends.
        hidden = module.layer_norm(hidden)
        if attended(batch) is not None:
            hidden = hidden.masked_fill(~batch.present[:, :, None], 0.0)
        hidden = module.depthwise_conv(module.glu(module.pointwise_conv1(hidden.transpose(1, 2))))
        return module.pointwise_conv2(module.activation(module.batch_norm(hidden))).transpose(1, 2)

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return self._mean(self.network.encoder.layer_norm(hidden), batch)


class Wav2Vec2BertEncoder(ConformerEncoder, FilterBankEncoder):
    """Wav2Vec2-BERT: two frames of the filter bank are a token of 20 ms. The embedding is the tokens' mean."""

    whole_tokens = True

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        config = network.config
        n_layers = 2 * config.num_hidden_layers
        family = "Wav2Vec2-BERT, two layers a block"
        super().__init__(checkpoint, network, self._mlps(network), config.hidden_size, n_layers, family)
        self._set_filter_bank(extractor, int(extractor.stride))
        self.network = network
        self.n_features = int(config.hidden_size)

    def _normalise(self, level: Tensor) -> Tensor:
        return (level - level.mean(0)) / (level.var(0) + 1e-7).sqrt()

    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        return self.network.feature_projection(inputs.unflatten(1, (-1, self.frames_per_token)).flatten(2))[0]

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        ffn = self.network.intermediate_ffn
        return self._mean(hidden if ffn is None else hidden + 0.5 * ffn(hidden), batch)


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """A model of either family without its head; an adapter behind the last block is left out.

    Raises
    ------
    InputError
        If tensors are missing or the configuration does not fit.
    """
    if checkpoint.model_type == "wav2vec2-conformer":
        config = network_config(checkpoint, Wav2Vec2ConformerConfig)
        config.add_adapter = False
        network = load_network(checkpoint, Wav2Vec2ConformerModel, config).to(device)
        return Wav2Vec2ConformerEncoder(checkpoint, network, feature_settings(checkpoint, Wav2Vec2FeatureExtractor))
    config = network_config(checkpoint, Wav2Vec2BertConfig)
    config.add_adapter = False
    network = load_network(checkpoint, Wav2Vec2BertModel, config).to(device)
    extractor = feature_settings(checkpoint, SeamlessM4TFeatureExtractor)
    made = extractor.num_mel_bins * extractor.stride
    if made != config.feature_projection_input_dim or extractor.sampling_rate != 16_000:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {made} values a token at {extractor.sampling_rate}, "
            f"the network takes {config.feature_projection_input_dim} at 16000 Hz; take both files from the same model"
        )
    return Wav2Vec2BertEncoder(checkpoint, network, extractor)
