"""BEATs: attention with a gated bias by relative position, norms behind the sums, scaled as DeepNorm.

Written from the paper and the published configuration; none of the authors' code is part of this project.
Source: Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers" (ICML 2023), microsoft/unilm/beats; the gate
is WavLM's (Chen et al. 2022, section 3.1), but of the projected query; DeepNorm: Wang et al. 2022.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.encoders.base import Batch
from core.encoders.nano import Mlp
from core.encoders.vit.beats_checkpoint import GATE, Config, read
from core.encoders.vit.encoder import PatchEncoder, PatchNetwork, attended, describe, patches
from core.encoders.vit.filter_bank import CHUNK_FRAMES, N_MELS, KaldiFrontEnd

NORM = (15.41663, 6.55582)
"""Mean and standard deviation of the levels, as the authors' code has them."""


class GatedAttention(nn.Module):
    """Self-attention with a bias on its logits, which a gate of each query scales."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.n_heads = config.encoder_embed_dim, config.encoder_attention_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.gate = nn.Linear(width // self.n_heads, GATE) if config.gru_rel_pos else None
        if config.gru_rel_pos:
            self.gate_scale = nn.Parameter(torch.ones(1, self.n_heads, 1, 1))

    def forward(self, x: Tensor, bias: Tensor | None, attended: Tensor | None) -> Tensor:
        """``x`` (rows, tokens, width); ``bias`` (heads, tokens, tokens); ``attended`` (rows, 1, 1, tokens)."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        if bias is not None and self.gate is not None:
            update, reset = self.gate(q).unflatten(3, (2, -1)).sum(4).sigmoid().split(1, 3)
            bias = (update * (reset * self.gate_scale - 1.0) + 2.0) * bias
        if bias is not None and attended is not None:
            bias = bias.masked_fill(~attended, -torch.inf)
        mask = attended if bias is None else bias.to(q.dtype)
        return self.proj(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


class BeatsBlock(nn.Module):
    """Transformer block, its norms before or behind."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.alpha, self.norm_first = config.alpha, config.layer_norm_first
        self.attn = GatedAttention(config)
        self.norm1 = nn.LayerNorm(width)
        self.mlp = Mlp(width, config.encoder_ffn_embed_dim)  # exact GELU
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, bias: Tensor | None, attended: Tensor | None) -> Tensor:
        if self.norm_first:
            x = x + self.attn(self.norm1(x), bias, attended)
            return x + self.mlp(self.norm2(x))
        x = self.norm1(self.alpha * x + self.attn(x, bias, attended))
        return self.norm2(self.alpha * x + self.mlp(x))


class BeatsNetwork(PatchNetwork):
    """Patches -> norm -> wider -> positions by convolution -> blocks."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, width, side = config, config.encoder_embed_dim, config.input_patch_size
        self.patch, self.n_bands = (side, side), N_MELS // side
        # A convolution whose stride is its kernel; as a product it keeps float32 on GPUs, too.
        self.patch_embed = nn.Linear(side * side, config.embed_dim, bias=config.conv_bias)
        self.patch_norm = nn.LayerNorm(config.embed_dim)
        wider = config.embed_dim != width
        self.wider: nn.Module = nn.Linear(config.embed_dim, width) if wider else nn.Identity()
        self.positions = nn.Conv1d(
            width, width, config.conv_pos, padding=config.conv_pos // 2, groups=config.conv_pos_groups
        )
        self.norm = nn.LayerNorm(width)  # before the blocks, or behind them where they have theirs first
        relative = config.relative_position_embedding
        self.relative = nn.Embedding(config.num_buckets, config.encoder_attention_heads) if relative else None
        self.blocks = nn.ModuleList(BeatsBlock(config) for _ in range(config.encoder_layers))

    def tokens(self, features: Tensor, present: Tensor) -> Tensor:
        x = self.wider(self.patch_norm(self.patch_embed(patches(features, self.patch))))
        x = x * present[:, :, None]  # a convolution sees beyond a row's tokens what it sees beyond its end
        x = x + F.gelu(self.positions(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        return x if self.config.layer_norm_first else self.norm(x)

    def normed(self, hidden: Tensor) -> Tensor:
        return self.norm(hidden) if self.config.layer_norm_first else hidden

    def bias(self, n_tokens: int) -> Tensor | None:
        """Of each key on each query by how far it lies, shape (n_heads, n_tokens, n_tokens)."""
        if self.relative is None:
            return None
        place = torch.arange(n_tokens, device="cpu")  # so that no rounding of a GPU's logarithm shows
        bucket = buckets(place[None, :] - place[:, None], self.config)
        return self.relative(bucket.to(self.relative.weight.device)).permute(2, 0, 1)


def buckets(distance: Tensor, config: Config) -> Tensor:
    """Bucket of each signed distance in tokens: one each near by, by logarithm farther off (T5, 2020, section 2.1)."""
    of_side = config.num_buckets // 2
    exact = of_side // 2
    far = distance.abs().clamp(min=1).float()
    by_log = exact + (torch.log(far / exact) / math.log(config.max_distance / exact) * (of_side - exact)).long()
    near = torch.where(distance.abs() < exact, distance.abs(), by_log.clamp(max=of_side - 1))
    return near + of_side * (distance > 0)


class BeatsFrontEnd(KaldiFrontEnd):
    """Samples as 16-bit integers, whole patches alone."""

    gain = 2.0**15
    only_whole = True


class BeatsEncoder(PatchEncoder):
    """BEATs on chunks of up to 64 columns of 16 frames.

    As in the authors' code, frames behind the last whole patch are left out, so that ``exclude`` and ``include``
    count the same; a clip shorter than a patch is filled with silence to one. The embedding is the mean over tokens.
    """

    network: BeatsNetwork
    licence = "MIT (microsoft/unilm)"

    def __init__(self, network: BeatsNetwork, front_end: KaldiFrontEnd, checkpoint: str, sha256: str) -> None:
        super().__init__(network, front_end, checkpoint, sha256)
        self.ends_with_mlp = network.config.layer_norm_first
        self._biases: dict[int, Tensor | None] = {}

    def position_bias(self, n_tokens: int) -> Tensor | None:
        """That of the last length is kept."""
        if n_tokens not in self._biases:
            self._biases = {n_tokens: self.network.bias(n_tokens)}
        return self._biases[n_tokens]

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        return self.network.blocks[layer](hidden, self.position_bias(hidden.shape[1]), attended(batch))


def load(weights: Path | None, device: str = "cpu") -> BeatsEncoder:
    """Load BEATs from a file; raises as `core.encoders.vit.beats_checkpoint.read`."""
    checkpoint = read(weights)
    with torch.device("meta"):  # nothing is allocated or drawn that the checkpoint replaces
        network = BeatsNetwork(checkpoint.config)
    network.load_state_dict(checkpoint.state, assign=True)
    side = checkpoint.config.input_patch_size
    front_end = BeatsFrontEnd("povey", NORM, side, CHUNK_FRAMES // side, device)
    encoder = BeatsEncoder(network.to(device), front_end, checkpoint.name, checkpoint.sha256)
    encoder.description = describe(encoder, "BEATs", checkpoint.notes)
    return encoder
