"""Encoders whose way to the first block is run at each clip's own length.

Convolutions that fill up with zeros, and norms over the whole length (``feat_extract_norm`` group, Moonshine's, the
position embedding of Data2VecAudio), make another clip of a padded one. So everything before the blocks is run on
rows of equal length together, and padding begins at the first block, where it is masked.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoders.base import Batch, Padding, mean_over_clips
from core.encoders.frames import cut_frames, pad
from core.encoders.hf.base import HuggingFaceEncoder
from core.results import TokenGrid

CHUNK_SECONDS = 30
VALUES_AT_ONCE = 2_000_000
"""Samples of one length, through the convolutions together: the first makes some 100 values of each sample."""


@dataclass(frozen=True)
class OwnLengthBatch(Batch):
    """Rows of unequal lengths.

    Attributes
    ----------
    groups : tuple of (length, rows)
        Rows whose inputs are equally long, ``rows`` a Tensor of int64.
    all_present : bool
        No row has fewer tokens than another, so that attention needs no mask.
    """

    groups: tuple[tuple[int, Tensor], ...] = ()
    all_present: bool = False


class OwnLengthEncoder(HuggingFaceEncoder):
    """A network whose rows are embedded at their own lengths; the embedding is the mean over a clip's tokens."""

    def _rows(self, inputs: Tensor, lengths: Sequence[int], tokens: Sequence[int], clip: Sequence[int]) -> Any:
        """A batch of rows, all of whose tokens count.

        Parameters
        ----------
        inputs : Tensor, shape (n_rows, longest, ...)
        lengths, tokens, clip : sequence of int
            Of each row: its own length, its tokens, its clip (ascending, every clip has a row).
        """
        groups = {n: [i for i, m in enumerate(lengths) if m == n] for n in sorted(set(lengths))}
        n_tokens = torch.tensor(tokens)
        present = (torch.arange(int(n_tokens.max())) < n_tokens[:, None]).to(self.device)
        return OwnLengthBatch(
            inputs=inputs.to(self.device),
            clip=torch.tensor(clip, device=self.device),
            n_clips=clip[-1] + 1,
            present=present,
            counted=present,
            groups=tuple((n, torch.tensor(rows, device=self.device)) for n, rows in groups.items()),
            all_present=len(set(tokens)) == 1,
        )

    def begin(self, batch: Batch) -> Tensor:
        assert isinstance(batch, OwnLengthBatch)
        hidden: Tensor | None = None
        for length, rows in batch.groups:
            for some in rows.split(max(1, VALUES_AT_ONCE // batch.inputs[0, :length].numel())):
                embedded = self._embed_equal_lengths(batch.inputs[some, :length])
                if hidden is None:
                    hidden = embedded.new_zeros(*batch.present.shape, embedded.shape[2])
                hidden[some, : embedded.shape[1]] = embedded
        assert hidden is not None
        return hidden

    @abstractmethod
    def _embed_equal_lengths(self, inputs: Tensor) -> Tensor:
        """Inputs (n_rows, length, ...) -> tokens with their positions, (n_rows, n_tokens, width)."""

    def _mean(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Mean over each clip's tokens, shape (n_clips, width)."""
        return mean_over_clips((hidden.float() * batch.present[:, :, None]).sum(1), batch.present.sum(1), batch)


class WaveformEncoder(OwnLengthEncoder):
    """Convolutions on the waveform, on chunks of up to 30 s.

    A token is made of ``window`` samples each ``hop``, all of them of the clip, so that ``exclude`` and ``include``
    count the same. A clip too short for one token is filled with zeros up to it and keeps its one token. Neighbouring
    chunks overlap by what a token is longer than the hop, so a long clip has as many tokens as in one piece. The clip
    is normalised as a whole where the model's settings ask for it.
    """

    def _set_windows(self, extractor: Any, convolutions: Sequence[tuple[int, int]], squeeze: int = 1) -> None:
        """Rate, normalisation, window and hop.

        Parameters
        ----------
        extractor : object
            The model's feature settings.
        convolutions : sequence of (kernel, stride)
        squeeze : int
            Frames of the convolutions that become one token.
        """
        self.sample_rate = int(extractor.sampling_rate)
        self.do_normalize = bool(extractor.do_normalize)
        self.hop, self.window = 1, 1  # samples from token to token, and that one is made of
        for kernel, stride in convolutions:
            self.window += (kernel - 1) * self.hop
            self.hop *= stride
        self.window += (squeeze - 1) * self.hop
        self.hop *= squeeze
        self.tokens_per_chunk = (CHUNK_SECONDS * self.sample_rate - self.window) // self.hop + 1

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        normal = [self._normalise(waveform) for waveform in waveforms]
        pieces, tokens, clip = cut_frames(normal, self.window, self.hop, self.tokens_per_chunk)
        lengths = [max(len(piece), self.window) for piece in pieces]
        return self._rows(pad(pieces, max(lengths)), lengths, tokens, clip)

    def _normalise(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self.do_normalize:
            return waveform
        return ((waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)).astype(np.float32)

    def token_grid(self, layer: int) -> TokenGrid:
        column, chunk = self.hop / self.sample_rate, self.tokens_per_chunk
        return TokenGrid((0.0, self.sample_rate / 2), column, self.window / self.sample_rate, chunk * column, chunk)


def attended(batch: Batch) -> Tensor | None:
    """Keys to attend to, shape (n_rows, 1, 1, n_tokens); None where all are."""
    assert isinstance(batch, OwnLengthBatch)
    return None if batch.all_present else batch.present[:, None, None, :]
