"""How alike a CLAP model finds sounds and phrases (Wu et al. 2023, arXiv:2211.06687), from a folder or the hub's cache.

Both of its towers are transformers' own; weights come from safetensors alone, and no code of a repository is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from core.describe.acoustics import Floats
from core.errors import InputError
from core.files import is_plain_file
from core.recording.waveforms import Waveforms

_PHRASES_AT_ONCE = 64


@dataclass(frozen=True)
class Clap:
    """The two towers.

    Attributes
    ----------
    name : str
        Last part of the folder or hub id.
    weights_key : str
        sha256 of the weights.
    network, extractor, tokenizer
        Of transformers.
    """

    name: str
    weights_key: str
    network: Any
    extractor: Any
    tokenizer: Any

    @property
    def sample_rate(self) -> int:
        """Hz of the sound that it takes."""
        return int(self.extractor.sampling_rate)

    @property
    def width(self) -> int:
        """Numbers that stand for a sound or a phrase."""
        return int(self.network.config.projection_dim)

    @torch.inference_mode()
    def sounds(self, waveforms: Waveforms) -> Floats:
        """Of each sound's beginning, as long as the model takes, shape (n, width), each of length 1."""
        most = self.extractor.nb_max_samples
        made = self.extractor([one[:most] for one in waveforms], sampling_rate=self.sample_rate, return_tensors="pt")
        device = self.network.device
        asked = {name: made[name].to(device) for name in ("input_features", "is_longer")}
        found = self.network.get_audio_features(**asked).pooler_output
        return np.asarray(found.float().cpu().numpy(), dtype=np.float32)

    @torch.inference_mode()
    def phrases(self, texts: Sequence[str]) -> Floats:
        """Of each phrase, shape (n, width), each of length 1."""
        found = []
        for start in range(0, len(texts), _PHRASES_AT_ONCE):
            some = list(texts[start : start + _PHRASES_AT_ONCE])
            longest = self.network.config.text_config.max_position_embeddings - 2  # positions begin after the padding's
            made = self.tokenizer(some, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            asked = {name: made[name].to(self.network.device) for name in ("input_ids", "attention_mask")}
            found.append(self.network.get_text_features(**asked).pooler_output.float().cpu().numpy())
        return np.concatenate(found).astype(np.float32)


@lru_cache(maxsize=1)
def load(which: str, device: str) -> Clap:
    """Load a CLAP model, once for all datasets and models of a run.

    Parameters
    ----------
    which : str
        A folder as transformers saves it, or a hub id.
    device : str

    Raises
    ------
    InputError
        If transformers is missing, it is no CLAP model with both towers and a tokenizer, or its files do not fit.
    """
    try:
        from transformers import AutoTokenizer, ClapConfig, ClapFeatureExtractor, ClapModel

        from core.encoders.hf.checkpoint import feature_settings, load_network, network_config, open_checkpoint
    except ImportError as error:
        raise InputError(
            f"--propose clap:{which} needs transformers ({error}): pip install 'audio-neuron-atlas[hf]'"
        ) from error

    checkpoint = open_checkpoint(which)
    if checkpoint.model_type != "clap":
        raise InputError(
            f"--propose clap:{which}: a model of type '{checkpoint.model_type}'; expected a whole CLAP model "
            "(type 'clap'), which takes sounds and phrases"
        )
    if not is_plain_file(checkpoint.folder / "tokenizer.json"):  # transformers would make up an empty one
        raise InputError(
            f"--propose clap:{which}: {checkpoint.folder} holds no tokenizer.json; take the whole model again"
        )
    network = load_network(checkpoint, ClapModel, network_config(checkpoint, ClapConfig)).eval().to(device)
    extractor = feature_settings(checkpoint, ClapFeatureExtractor)
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
        loaded = Clap(checkpoint.name, checkpoint.weights_key, network, extractor, tokenizer)
        loaded.phrases(["a sound"])
        loaded.sounds([np.zeros(loaded.sample_rate, np.float32)])
    except Exception as error:  # whatever files that do not fit each other lead to
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"--propose clap:{which}: its files do not fit: {why}; take the whole model again") from error
    return loaded
