"""CLAP's audio tower, HTSAT: a Swin transformer on a mel spectrogram folded into a square.

The spectrogram of a chunk is stretched to ``spec_size**2 / n_mels`` frames and cut in time into
segments that are laid under each other, so a row of patches is a segment and a band, a column a time
within the segment. After each stage 2x2 tokens become one, of twice the width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import ClapAudioConfig, ClapAudioModel, ClapConfig, ClapFeatureExtractor

from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.encoders.frames import cut, sound_and_counted
from core.encoders.hf.base import HuggingFaceEncoder
from core.encoders.hf.checkpoint import Checkpoint, feature_settings, load_network, network_config
from core.encoders.mel import band_edges
from core.errors import InputError
from core.results import TokenGrid


class ClapEncoder(HuggingFaceEncoder):
    """HTSAT on chunks of the extractor's length (10 s), so that no clip is ever "longer" than it takes.

    A patch of the first stage spans its share of the chunk's time (39 ms of 10 s). A short clip is
    repeated up to the chunk's length, as the model's extractor does; only the patches of the first copy
    are ``present``, wholly in it ``counted`` with ``exclude``. A token of a later stage counts as often
    as it stands for counted patches of the first, so that all layers count equally many. The
    embedding is the model's own pooling, the mean of all tokens after the last norm, repeats
    included; chunks of a long clip weigh by their present patches.
    """

    def __init__(self, checkpoint: Checkpoint, network: Any, extractor: Any) -> None:
        self.tower = network.audio_encoder
        config = self.tower.config
        stages = list(self.tower.layers)
        blocks = [block for stage in stages for block in stage.blocks]
        widths = [stage.dim for stage in stages for _ in stage.blocks]
        super().__init__(checkpoint, network, blocks, widths, sum(config.depths), "CLAP audio tower (HTSAT)")
        self.extractor = extractor
        self.sample_rate = int(extractor.sampling_rate)
        self.n_features = int(self.tower.num_features)
        self.stage_of = [i for i, stage in enumerate(stages) for _ in stage.blocks]
        self.grids = [tuple(grid) for grid in self.tower.input_resolutions]
        filters = extractor.mel_filters if extractor.truncation == "fusion" else extractor.mel_filters_slaney
        # In double precision, as the extractor: in quiet bands single precision is off by tenths of a dB.
        self.precision = torch.float32 if self.device.type == "mps" else torch.float64
        self.mel_filters = torch.from_numpy(filters).to(self.precision).T.contiguous().to(self.device)
        self.window = torch.hann_window(extractor.fft_window_size, dtype=self.precision, device=self.device)

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        chunk = int(self.extractor.nb_max_samples)
        pieces, clip = cut(waveforms, chunk)
        n_rows, n_columns = self.grids[0]
        n_times = self.tower.freq_ratio * n_columns  # patches along the chunk's time
        # Integer times: in units of 1 / n_times of a sample.
        start = torch.arange(n_times) * chunk
        lengths = torch.tensor([len(piece) * n_times for piece in pieces])
        clip_of_row = torch.tensor(clip)
        masks = sound_and_counted(lengths, start, start + chunk, clip_of_row, len(waveforms), padding)
        bands = n_rows // self.tower.freq_ratio
        present, counted = (
            mask.unflatten(1, (-1, 1, n_columns)).expand(-1, -1, bands, -1).flatten(1) for mask in masks
        )
        return self._batch(self.log_mel(pieces), clip_of_row, len(waveforms), present, counted)

    def log_mel(self, pieces: Sequence[NDArray[np.float32]]) -> Tensor:
        """Features as `transformers.ClapFeatureExtractor` gives, dB, shape (n_rows, 1, n_frames, n_mels)."""
        filled = torch.from_numpy(np.stack([self._fill(piece) for piece in pieces])).to(self.device)
        n_fft, hop = int(self.extractor.fft_window_size), int(self.extractor.hop_length)
        # Row by row: a chunk in double precision takes 8 MB and a batch is anything.
        mels = []
        for waveform in filled:
            stft = torch.stft(waveform.to(self.precision), n_fft, hop, window=self.window, return_complex=True)
            mels.append(10.0 * (self.mel_filters @ stft.abs().square()).clamp(min=1e-10).log10())
        return torch.stack(mels).float().transpose(1, 2)[:, None]

    def _fill(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        chunk = int(self.extractor.nb_max_samples)
        whole = chunk // len(piece)
        if self.extractor.padding == "repeat":
            return np.tile(piece, whole + 1)[:chunk]
        copies = np.tile(piece, whole if self.extractor.padding == "repeatpad" else 1)
        return np.pad(copies, (0, chunk - len(copies)))

    def begin(self, batch: Batch) -> Tensor:
        normed = self.tower.batch_norm(batch.inputs.transpose(1, 3)).transpose(1, 3)
        # Fusion (the second argument) is for clips longer than a chunk: there are none.
        none = torch.empty(0, dtype=torch.int64, device=normed.device)
        return self.tower.patch_embed(self.tower.reshape_mel2img(normed), none)

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        number = self.stage_of[layer]
        hidden = self.blocks[layer](hidden, self.grids[number])[0]
        stage = self.tower.layers[number]
        is_last = layer + 1 == self.n_layers or self.stage_of[layer + 1] > number
        if is_last and stage.downsample is not None:
            hidden = stage.downsample(hidden, self.grids[number])
        return hidden

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        pooled = self.tower.norm(hidden).float().mean(1)
        weight = batch.present.sum(1)
        return mean_over_clips(pooled * weight[:, None], weight, batch)

    def token_grid(self, layer: int) -> TokenGrid:
        (n_rows, n_columns), segments = self.grids[self.stage_of[layer]], self.tower.freq_ratio
        if n_rows % segments:  # tokens merged beyond a segment are no patches of time and frequency
            return super().token_grid(layer)
        extractor, chunk = self.extractor, self.extractor.nb_max_samples / self.sample_rate
        n_bands, n_columns, n_mels = n_rows // segments, n_columns * segments, int(extractor.feature_size)
        edges = band_edges(
            [band * n_mels / n_bands for band in range(n_bands + 1)], n_mels, float(extractor.frequency_min),
            float(extractor.frequency_max), "htk" if extractor.truncation == "fusion" else "slaney",
        )  # fmt: skip
        return TokenGrid(edges, chunk / n_columns, chunk / n_columns, chunk, n_columns)

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        (n_rows, n_columns), segments = self.grids[self.stage_of[layer]], self.tower.freq_ratio
        if n_rows % segments:
            return super().token_places(layer, n_tokens)
        in_image = np.arange(n_tokens).reshape(segments, n_rows // segments, n_columns)
        return in_image.transpose(1, 0, 2).reshape(in_image.shape[1], -1)

    def counted(self, layer: int, batch: Batch) -> Tensor:
        if self.stage_of[layer] == 0:
            return batch.counted
        often = batch.counted.int().unflatten(1, self.grids[0])
        for _ in range(self.stage_of[layer]):
            often = often.unflatten(2, (-1, 2)).sum(3).unflatten(1, (-1, 2)).sum(2)
        return often.flatten(1).int()


def load(checkpoint: Checkpoint, device: str) -> Encoder:
    """The audio tower of a CLAP model; text tower and projections are dropped.

    Raises
    ------
    InputError
        If tensors are missing or the features do not fit the network.
    """
    if checkpoint.model_type == "clap":
        config = network_config(checkpoint, ClapConfig).audio_config
    else:
        config = network_config(checkpoint, ClapAudioConfig)
    network = load_network(checkpoint, ClapAudioModel, config, _audio_key)
    fused = {"truncation": "fusion" if config.enable_fusion else "rand_trunc"}
    extractor = feature_settings(checkpoint, ClapFeatureExtractor, feature_size=config.num_mel_bins, **fused)
    encoder = ClapEncoder(checkpoint, network.to(device), extractor)
    _check(checkpoint, encoder)
    return encoder


def _check(checkpoint: Checkpoint, encoder: ClapEncoder) -> None:
    n_mels, wanted = int(encoder.extractor.feature_size), int(encoder.tower.config.num_mel_bins)
    n_frames = encoder.extractor.nb_max_samples // encoder.extractor.hop_length + 1
    most = encoder.tower.spec_size * encoder.tower.freq_ratio
    if n_mels != wanted or n_frames > most:
        raise InputError(
            f"{checkpoint.which}: preprocessor_config.json makes {n_frames} frames of {n_mels} mel bands, the network "
            f"takes up to {most} of {wanted}; take both files from the same model"
        )
    merged = 2 ** (len(encoder.grids) - 1)
    if any(size % merged for size in encoder.grids[0]):
        raise InputError(
            f"{checkpoint.which}: {encoder.grids[0]} patches cannot be merged 2x2 in {len(encoder.grids)} stages; "
            f"expected multiples of {merged}"
        )


def _audio_key(key: str) -> str | None:
    key = key.removeprefix("clap.").removeprefix("audio_model.")
    return key if key.startswith("audio_encoder.") else None
