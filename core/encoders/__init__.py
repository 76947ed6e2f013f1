"""Encoders by name. ``load_encoder`` is the one door; PyTorch is loaded behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.untrusted_text import user_path

if TYPE_CHECKING:
    from core.encoders.base import Batch, Encoder

__all__ = ["BY_CHECKPOINT", "Batch", "Encoder", "known_encoders", "load_encoder"]

BY_CHECKPOINT: Mapping[str, str] = {
    "m2d": "core.encoders.m2d.encoder",
    "beats": "core.encoders.vit.beats",
    "eat": "core.encoders.vit.eat",
    "audiomae": "core.encoders.vit.audiomae",
    "atst": "core.encoders.vit.atst",
}
"""Families whose checkpoint is a file, in the name (``m2d:FILE``) or by ``--weights``; where their ``load`` is."""


def __getattr__(name: str) -> Any:
    """The classes that scripts name from here."""
    if name not in ("Batch", "Encoder"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from core.encoders import base

    return getattr(base, name)


def known_encoders() -> dict[str, str]:
    """Encoder names, as ``--model`` takes them, and a line on each."""
    return {
        "nano-ssl": "embedded: small ViT, self-supervised on generated sound",
        "nano-sl": "embedded: the same architecture, supervised on the same sound",
        "nano-untrained": "embedded: the same architecture with random weights, to compare with",
        "m2d": "M2D (ViT-B), the paper's model, and its kin; needs --weights",
        "m2d:<checkpoint>": "the same, file or published name in place of --weights; several in one run",
        "beats:<checkpoint>": "BEATs, iterations 1 to 3+, self-supervised or fine-tuned; or beats with --weights",
        "eat:<checkpoint or folder>": "EAT, base or large, self-supervised or fine-tuned, of fairseq or Hugging Face",
        "audiomae:<checkpoint>": "AudioMAE, self-supervised or fine-tuned, of its authors or timm",
        "atst:<checkpoint>": "ATST-Frame, small or base, as trained or fine-tuned",
        "hf:<folder or id>": "Hugging Face: Whisper, wav2vec 2.0, HuBERT, WavLM, Data2VecAudio, AST, CLAP",
        "torchaudio:<bundle>": "torchaudio's self-supervised bundles, for instance torchaudio:HUBERT_BASE",
        "python:<module>": "your own: a Python module with load(weights, device), see docs/encoders.md",
    }


_NAME = re.compile(r"[^\s=:/\\,][^=:/\\,]*")


def named(asked: str) -> tuple[str, str]:
    """Name of the user's and encoder of ``NAME=MODEL``; the name is empty where only an encoder is given.

    Examples
    --------
    >>> named("mine=hf:runs/checkpoint-500"), named("python:a=b.py")
    (('mine', 'hf:runs/checkpoint-500'), ('', 'python:a=b.py'))
    """
    name, separator, encoder = asked.partition("=")
    is_name = separator and name.strip() and ":" not in name and "/" not in name
    return (name.strip(), encoder) if is_name else ("", asked)


def load_encoder(
    name: str, weights: str | Path | None = None, device: str = "cpu", layout: str | None = None
) -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    name : str
        One of `known_encoders`, or ``NAME=`` and one, to be called so.
    weights : path, optional
        A checkpoint, for encoders that need one, or in place of the embedded weights.
    device : str
        A torch device.
    layout : str, optional
        For M2D, input, patch and rate (``80x608p16x16p16k``) in place of those in the checkpoint's name.

    Raises
    ------
    InputError
        If the name is unknown (names the nearest) or the weights do not fit.
    """
    import torch

    from core.encoders import nano

    own_name, kind = named(name)
    embedded = (*nano.NAMES, "nano-untrained")
    if own_name and (not _NAME.fullmatch(own_name) or not own_name.isprintable() or own_name in embedded):
        raise InputError(
            f"--model {name}: '{own_name}' cannot be a name; expected one without / \\ : , and not of ours"
        )
    encoder = _load(kind, weights, device, layout)
    if own_name:
        encoder.name = own_name
    for part, tensor in encoder.module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name}: {part} of its weights holds values that are not finite; fetch the weights again")
    return encoder


def _load(name: str, weights: str | Path | None, device: str, layout: str | None) -> Encoder:
    from core.encoders import nano

    if layout and name.partition(":")[0] != "m2d":
        raise InputError(f"--weights-config is for m2d checkpoints; {name} takes none")
    path = Path(weights) if weights else None
    if name == "nano-untrained":
        return nano.untrained(device=device)
    if name in nano.NAMES:
        try:
            return nano.load(name, path, device)
        except ValueError as error:
            raise InputError(str(error)) from error
    # The others import packages that not everyone needs: only where they are asked for.
    family, _, which = name.partition(":")
    if family in BY_CHECKPOINT:
        if which and path:
            raise InputError(f"{name} names its checkpoint already; leave out --weights {path}")
        options = {"config": layout} if layout else {}
        encoder = import_module(BY_CHECKPOINT[family]).load(user_path(which) if which else path, device, **options)
        encoder.name = f"{family}:{encoder.checkpoint}" if which else family
        return encoder
    if family == "hf" and which:
        from core.encoders import hf

        return hf.load(which, path, device)
    if family == "torchaudio" and which:
        from core.encoders import torchaudio_bundle

        return torchaudio_bundle.load(which, path, device)
    if family == "python" and which:
        from core.encoders import own

        return own.load(which, path, device)
    near = _nearest(name)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(known_encoders())}"
    raise InputError(f"unknown model '{name}'; {hint} (--list shows all, docs/encoders.md what each is)")


def _nearest(name: str) -> str:
    """The known name that a line of its own, or else its letters, bring near; empty where none is."""
    known, family = known_encoders(), name.partition(":")[0].lower()
    by_line = [each for each, line in known.items() if "<" in each and family in re.findall(r"[\w-]+", line.lower())]
    return next(iter(by_line or get_close_matches(name.lower(), known, n=1, cutoff=0.4)), "")
