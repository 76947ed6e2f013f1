"""Hugging Face encoders: ``hf:<folder>`` or ``hf:<hub id>``. The family is read from the configuration.

Networks are transformers' own modules, called block by block; weights come from safetensors alone and
no code of a repository is ever run. What is a token, a neuron and an embedding in each family is in
``docs/huggingface.md``.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.encoders.base import Encoder
from core.errors import InputError

FAMILIES = {
    "whisper": "whisper",
    "wav2vec2": "wav2vec2",
    "hubert": "wav2vec2",
    "wavlm": "wav2vec2",
    "data2vec-audio": "wav2vec2",
    "unispeech": "wav2vec2",
    "unispeech-sat": "wav2vec2",
    "mert_model": "wav2vec2",
    "sew": "sew",
    "sew-d": "sew",
    "wav2vec2-conformer": "conformer",
    "wav2vec2-bert": "conformer",
    "moonshine": "moonshine",
    "speech_to_text": "speech_to_text",
    "qwen2_audio": "whisper",
    "qwen2_audio_encoder": "whisper",
    "voxtral": "whisper",
    "voxtral_encoder": "whisper",
    "audio-spectrogram-transformer": "spectrogram_transformer",
    "clap": "clap",
    "clap_audio_model": "clap",
}
"""``model_type`` of the configuration -> the file here that reads it."""

WITHOUT_BLOCKS = {
    "encodec": "it has an LSTM between its convolutions: no MLP, so no neurons",
    "dac": "it has convolutions alone: no MLP, so no neurons",
    "dasheng": "it is read from the same folder as --model dasheng:<folder>",
}
"""Types that are asked for and are none of these."""

RATES = (1_000, 384_000)
"""Hz that a model's settings may tell."""


def load(which: str, weights: Path | None = None, device: str = "cpu", confirmed: bool = False) -> Encoder:
    """Load the audio encoder of a Hugging Face model.

    Parameters
    ----------
    which : str
        A folder, from which alone is read, or a hub id, looked for in the local cache first.
    weights : path
        Not used: the folder is the name.
    device : str
        A torch device.
    confirmed : bool
        Whether a model of no known family is taken as its structure was found to be.

    Raises
    ------
    InputError
        If transformers is missing, the model is not there, without safetensors, does not hold all of its encoder's
        weights, or is of no known family: tells what was found in it, or why that will not do.
    """
    if weights is not None:
        raise InputError(f"hf: models take no --weights ({weights}); give the folder in the name: hf:<folder>")
    try:
        from core.encoders.hf.checkpoint import open_checkpoint
    except ImportError as error:
        raise InputError(
            f"hf:{which} needs transformers, which is not installed or too old ({error}): "
            "pip install 'audio-neuron-atlas[hf]'"
        ) from error

    checkpoint = open_checkpoint(which)
    family = FAMILIES.get(checkpoint.model_type)
    try:
        if family is None:
            encoder = _by_structure(checkpoint, device)
        else:
            encoder = import_module(f"core.encoders.hf.{family}").load(checkpoint, device)
        if not RATES[0] <= encoder.sample_rate <= RATES[1]:
            raise ValueError(f"a rate of {encoder.sample_rate} Hz")
        batch = encoder.prepare([np.zeros(encoder.sample_rate, np.float32)])
        if not bool(torch.isfinite(batch.inputs).all()) or not bool(batch.counted.any()):
            raise ValueError("a second of silence makes no input")
        with torch.inference_mode():
            encoder.block(0, encoder.begin(batch), batch)  # where much of what does not fit first shows
    except InputError:
        raise
    except Exception as error:  # settings that fit each other in type only fail anywhere
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{which}: its configuration does not fit: {why}; take the model's own files") from error
    if family is None and not confirmed:
        from core.encoders.hf.by_structure import question

        raise InputError(question(encoder, which))
    return encoder


def _by_structure(checkpoint: Any, device: str) -> Any:
    """An encoder of a type that is not known here; why it cannot be one ends with the nearest that is."""
    from core.encoders.hf import by_structure

    kind = checkpoint.model_type
    if kind in WITHOUT_BLOCKS:
        raise InputError(f"{checkpoint.which} is of type '{kind}': {WITHOUT_BLOCKS[kind]}, see docs/encoders.md")
    try:
        return by_structure.load(checkpoint, device)
    except InputError as error:
        near = get_close_matches(kind, FAMILIES, n=1) if not isinstance(error, by_structure.NoSound) else []
        known = f"the nearest that is read here is {near[0]}" if near else f"read here are {', '.join(FAMILIES)}"
        raise InputError(f"{error}; {known}, see docs/encoders.md") from error
