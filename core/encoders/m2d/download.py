"""The published M2D checkpoints: what they are, where they lie, and fetching one by name.

Names, release tags and descriptions are those of the README of the repository nttcslab/m2d. The files
come under NTT's licence, which forbids passing them on: they are fetched from there by the user, who is
shown the licence first, and never by anyone else.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from core.errors import InputError
from core.files import is_zip

RELEASES = "https://github.com/nttcslab/m2d/releases/download"
PAPER = "m2d_vit_base-80x608p16x16-221006-mr7"

LICENCE = (
    "NTT software licence for evaluation (github.com/nttcslab/m2d): internal, non-commercial testing and evaluation "
    "only; not to be passed on or modified"
)
_NOTICE = """\
M2D's weights come under NTT's "software licence agreement for evaluation":
  - for internal, non-commercial testing and evaluation only;
  - no passing on to third parties, no modification, no reverse engineering, not transferable.
Read it in full at https://github.com/nttcslab/m2d before you go on."""


@dataclass(frozen=True)
class Release:
    """A published checkpoint: tag of the release, and a line on what it is."""

    tag: str
    what: str


PUBLISHED = {
    PAPER: Release("v0.1.0", "M2D, mask ratio 0.7, AudioSet, self-supervised: the paper's model"),
    f"{PAPER}_enconly": Release("v0.1.0", "the paper's model, encoder only: self-supervised"),
    "m2d_vit_base-80x608p16x16-221006-mr6": Release("v0.1.0", "M2D, mask ratio 0.6, AudioSet, self-supervised"),
    "m2d_vit_base-80x608p16x16-220930-mr7_enconly": Release("v0.1.0", "M2D, an earlier run, self-supervised"),
    "m2d_vit_base-80x200p16x4-230529": Release("v0.1.0", "M2D with 40 ms frames, self-supervised"),
    "m2d_as_vit_base-80x608p16x16-240213": Release("v0.1.0", "M2D-AS: self-supervised plus AudioSet labels"),
    "m2d_clap_vit_base-80x608p16x16-240128": Release("v0.1.0", "M2D-CLAP: self-supervised plus captions"),
    "m2d_as_vit_base-80x608p16x16p32k-240413_enconly": Release("v0.1.0", "M2D-AS at 32 kHz"),
    "m2d_s_vit_base-80x608p80x2-230220": Release("v0.2.0", "M2D-S: LibriSpeech, self-supervised"),
    "m2d_s_vit_base-80x512p80x2-230301": Release("v0.2.0", "M2D-S: LibriSpeech, self-supervised"),
    "m2d_s_vit_base-80x400p80x2-230201": Release("v0.2.0", "M2D-S: LibriSpeech, self-supervised"),
    "m2d_vit_base-80x1001p16x16-221006-mr7_as_46ab246d": Release(
        "v0.3.0", "the paper's model fine-tuned on AudioSet-2M (mAP 0.479): its supervised contrast"
    ),
    "m2d_as_vit_base-80x1001p16x16-240213_AS-FT_enconly": Release("v0.3.0", "M2D-AS fine-tuned on AudioSet, mAP 0.485"),
    "m2d_clap_vit_base-80x1001p16x16-240128_AS-FT_enconly": Release(
        "v0.3.0", "M2D-CLAP fine-tuned on AudioSet, mAP 0.485"
    ),
    "m2d_as_vit_base-80x1001p16x16p32k-240413_AS-FT_enconly": Release(
        "v0.3.0", "M2D-AS at 32 kHz fine-tuned on AudioSet, mAP 0.480"
    ),
    "m2d_clap_vit_base-80x1001p16x16p16kpBpTI-2025": Release("v0.5.0", "M2D-CLAP 2025: plus captions"),
}


def url(name: str) -> str:
    """Where the archive of a published checkpoint lies."""
    return f"{RELEASES}/{PUBLISHED[name].tag}/{name}.zip"


def cache_folder() -> Path:
    """Where fetched archives are kept; one that was put here by hand is found too."""
    from core.datasets.files import cache_folder as ours

    return ours() / "m2d"


def find(weights: Path) -> Path:
    """A path as it is; a published name as its archive (or folder) in the cache, fetched if it is not there.

    Raises
    ------
    InputError
        If there is neither such a file nor such a name, or it cannot be fetched; says what to fetch by hand.
    """
    if os.path.exists(weights):  # Path.exists would raise where a folder may not be read
        return weights
    name = str(weights).removesuffix(".zip")
    if name not in PUBLISHED:
        near = get_close_matches(weights.name, PUBLISHED, n=1, cutoff=0.7)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else "expected a checkpoint file, its folder, the release .zip or a published name"
        )
        raise InputError(f"no weights at {weights}; {hint}")
    for kept in (cache_folder() / name, cache_folder() / f"{name}.zip"):
        if kept.exists():
            return kept
    return fetch(name)


def fetch(name: str) -> Path:
    """Ask, showing the licence, then fetch a published archive into the cache.

    Raises
    ------
    InputError
        If nobody can be asked, the answer is no, or the download fails.
    """
    by_hand = f"fetch {url(name)} by hand and give the file with --weights"
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError(
            f"{name} is not in {cache_folder()}, and its licence must be accepted at a terminal; {by_hand}"
        )
    try:
        import pooch
    except ImportError as error:
        raise InputError(f"fetching {name} needs pooch (pip install pooch); or {by_hand}") from error
    print(_NOTICE, file=sys.stderr)
    if not _agreed(f"Accept this licence and fetch {url(name)} (0.3 to 1.6 GB) into {cache_folder()}? [y/N] "):
        raise InputError(f"the licence of {name} was not accepted; nothing was fetched")
    try:
        # The releases publish no hash to check against; what was fetched is known by its sha256 from here on.
        path = Path(pooch.retrieve(url(name), known_hash=None, fname=f"{name}.zip", path=cache_folder()))
    except (OSError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise InputError(f"{name} could not be fetched ({first}); {by_hand}") from error
    if not is_zip(path):
        path.unlink()
        raise InputError(f"what came from {url(name)} is not a whole .zip; try again, or {by_hand}")
    return path


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
