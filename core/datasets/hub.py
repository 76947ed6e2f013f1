"""Datasets of the Hugging Face hub by their id: fetched into the hub's own cache, and read there like any folder.

``hf:OWNER/NAME``, with ``/FOLDER`` for one configuration of several, with ``@REVISION``. Where the files are of a kind
that is not read (archives, scripts), the Parquet files are taken that the hub made of them.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from core.datasets.files import EXTENSIONS
from core.errors import InputError
from core.files import free_space, size

PREFIX = "hf:"
AS_PARQUET = "refs/convert/parquet"
"""The revision that the hub makes of a dataset."""
_ID = re.compile(r"hf:([\w-][\w.-]*/[\w-][\w.-]*)((?:/[\w.-]+)*)(?:@([\w./-]+))?")
_ENDINGS = (*EXTENSIONS, ".parquet", ".csv", ".tsv", ".jsonl", ".json", ".txt")
_PATTERNS = [pattern for ending in sorted(_ENDINGS) for pattern in (f"*{ending}", f"*{ending.upper()}")]


def is_id(given: str) -> bool:
    """Whether a ``--data-dir`` asks for a dataset of the hub."""
    return given.startswith(PREFIX) and not os.path.isdir(given)


def fetched(given: str, revision: str = "") -> Path:
    """The folder of a hub's dataset, fetched where it is not in the cache yet.

    Parameters
    ----------
    given : str
        As `is_id` knows it.
    revision : str
        In place of the one that is given.

    Raises
    ------
    InputError
        If it is no id, the hub's library is not installed, the hub does not give it, or the disk is too small.
    """
    found = _ID.fullmatch(given)
    if not found or ".." in given:
        raise InputError(
            f"--data-dir {given} is not known; expected hf:OWNER/NAME, hf:OWNER/NAME/FOLDER, @REVISION behind"
        )
    which, folder, asked = found[1], found[2].strip("/"), revision or found[3]
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(f"--data-dir {given} needs the hub's library: pip install 'audio-neuron-atlas[hf]'") from error

    files = [f"{folder}/{pattern}" for pattern in _PATTERNS] if folder else _PATTERNS
    snapshot = partial(snapshot_download, which, repo_type="dataset", revision=asked or None, allow_patterns=files)
    try:
        _check_disk(given, snapshot(dry_run=True))
        return Path(str(snapshot())) / folder
    except InputError:
        raise
    except Exception as online:  # the hub's client raises errors of the HTTP library it happens to use
        with suppress(OSError, ValueError):
            return Path(str(snapshot(local_files_only=True))) / folder
        command = f"hf download --repo-type dataset {which}" + (f" --revision {asked}" if asked else "")
        raise InputError(
            f"--data-dir {given} is not in the local Hugging Face cache, and the hub did not give it "
            f"({type(online).__name__}); where there is a network: {command}, or give the folder of a copy"
        ) from online


def _check_disk(given: str, files: Any) -> None:
    from huggingface_hub import constants

    needed = sum(file.file_size for file in files if file.will_download)
    free, place = free_space(Path(constants.HF_HUB_CACHE))
    if needed > free:
        raise InputError(
            f"--data-dir {given}: {size(needed)} are to be fetched, {size(free)} are free in {place}; "
            "free some, or set HF_HOME to a folder on a larger disk"
        )
