"""A model's folder, as Hugging Face lays it out: configuration, feature settings, safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from core.encoders.weights_file import Source, tensors_of
from core.errors import InputError
from core.files import is_plain_file, refuse_no_file
from core.untrusted_text import one_line, quoted, user_path

FETCHED = ["*.json", "README.md", "model.safetensors", "model-*-of-*.safetensors"]
"""What is taken of a hub repository; never code."""
PICKLE = "pytorch_model.bin"
PICKLED = ("mert_model",)
"""Types published as a pickle alone, whose classes transformers does not have: of those its tensors are read."""

LONGEST_JSON, LONGEST_FRONT = 20_000_000, 10_000
"""Characters of a settings file (an index of shards is the longest), and of a card's front matter."""
MOST_LAYERS, LARGEST_NUMBER, MOST_IN_LIST = 500, 5_000_000, 2_000
WINDOWS = ("n_fft", "fft_window_size", "feature_size", "num_mel_bins", "window_size", "spec_size")
LARGEST_WINDOW = 16_384
"""What filters are as large as, squared."""
REMADE = ("masked_spec_embed", "relative_position_index", "num_batches_tracked", "position_ids")
"""Ends of tensors that a checkpoint may lack: unused outside training, or known from the configuration."""


@dataclass(frozen=True)
class Checkpoint:
    """What a model's folder holds; nothing of the network is loaded yet.

    Attributes
    ----------
    which : str
        The folder or hub id as the user gave it.
    folder : Path
    config : dict
        ``config.json``.
    settings : dict or None
        Of the feature extractor; None where the folder tells none.
    weights : tuple of Path
        The safetensors files, in order, or the one pickle of a type that comes as such (`PICKLED`).
    """

    which: str
    folder: Path
    config: dict[str, Any]
    settings: dict[str, Any] | None
    weights: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Last part of the folder or hub id."""
        return user_path(self.which).resolve().name if os.path.isdir(self.which) else Path(self.which).name

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type"))

    @property
    def weights_key(self) -> str:
        """sha256 over the content of the files of weights, in order."""
        digest = hashlib.sha256()
        for path in self.weights:
            with path.open("rb") as file:
                while piece := file.read(1 << 22):
                    digest.update(piece)
        return digest.hexdigest()

    @property
    def licence(self) -> str:
        """``license`` of the model card's front matter."""
        try:
            refuse_no_file(self.folder / "README.md")
            with (self.folder / "README.md").open(encoding="utf-8", errors="replace") as card:
                text = card.read(LONGEST_FRONT)
        except OSError:
            text = ""
        front = text[3:].partition("\n---")[0] if text.startswith("---") else ""
        lines = (line.partition("license:") for line in front.splitlines())
        values = (value.strip() for before, separator, value in lines if separator and not before)
        licence = next((value for value in values if value and not value.startswith("#")), "")
        return one_line(licence.strip("'\"")[:100]) or "see the model's card"


def open_checkpoint(which: str) -> Checkpoint:
    """Find a model's folder and read what it tells about itself.

    Raises
    ------
    InputError
        If there is no such folder and the hub gives none, or it lacks a configuration or safetensors.
    """
    folder = user_path(which)
    if not os.path.isdir(folder):  # Path.is_dir fails where a name is too long
        folder = _from_hub(which)
    config = _read_json(folder / "config.json")
    if config is None:
        raise InputError(f"{folder} holds no config.json; give the folder of a Hugging Face model")
    if "quantization_config" in config:
        raise InputError(f"{which} holds quantised weights; take the original model in float32, float16 or bfloat16")
    settings = _read_json(folder / "preprocessor_config.json")
    if settings is None:
        settings = (_read_json(folder / "processor_config.json") or {}).get("feature_extractor")
    return Checkpoint(which, folder, config, settings, _weight_files(folder, config))


def _read_json(path: Path) -> dict[str, Any] | None:
    if not is_plain_file(path):
        return None
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST_JSON + 1)
        if len(text) > LONGEST_JSON:
            raise ValueError(f"it has more than {LONGEST_JSON:,} characters")
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); take the model's own file again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; take the model's own file again")
    return content


def _weight_files(folder: Path, config: dict[str, Any]) -> tuple[Path, ...]:
    whole = folder / "model.safetensors"
    if is_plain_file(whole):
        return (whole,)
    if config.get("model_type") in PICKLED and is_plain_file(folder / PICKLE):
        return (folder / PICKLE,)
    index = _read_json(folder / "model.safetensors.index.json")
    if index is not None:
        shards = index.get("weight_map")
        names = sorted({str(name) for name in shards.values()}) if isinstance(shards, dict) else []
        # A name with a path in it would read outside the folder.
        files = tuple(folder / name for name in names if Path(name).name == name and "\0" not in name)
        lacking = [path.name for path in files if not is_plain_file(path)]
        if not files or len(files) < len(names) or lacking:
            some = ", ".join(one_line(name)[:200] for name in (lacking or names)[:3])
            raise InputError(f"{folder}: model.safetensors.index.json names {some or 'none'}, not there; fetch them")
        return files
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    why = f"only {', '.join(pickled)}, a pickle, which is not read" if pickled else "no weights"
    raise InputError(
        f"{folder} holds no model.safetensors ({why}); "
        "save the model with transformers' save_pretrained and give that folder"
    )


def _from_hub(which: str) -> Path:
    """Folder of a hub model in the local cache, fetched where it is not there yet."""
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", which) or os.path.exists(which):
        raise InputError(f"no folder at {which}; expected a Hugging Face model's folder (with config.json) or a hub id")
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(which, allow_patterns=FETCHED, local_files_only=True))
        config = _read_json(folder / "config.json")
        if config is not None and _weight_files(folder, config):
            return folder
    except (OSError, ValueError, InputError):
        pass  # not in the cache, or not whole
    try:
        folder = Path(snapshot_download(which, allow_patterns=FETCHED))
        config = _read_json(folder / "config.json") or {}
        if config.get("model_type") in PICKLED and not (folder / "model.safetensors").is_file():
            snapshot_download(which, allow_patterns=[PICKLE])
        return folder
    except Exception as error:  # The hub's client raises errors of the HTTP library it happens to use.
        raise InputError(
            f"{which} is neither a folder nor in the local Hugging Face cache, and the hub did not give it "
            f"({type(error).__name__}); where there is a network: hf download {quoted(which)}, "
            "or give the folder of a copy: hf:<folder>"
        ) from error


def network_config(checkpoint: Checkpoint, config_class: type[PreTrainedConfig]) -> Any:
    """The configuration as transformers reads it.

    Raises
    ------
    InputError
        If a value is not what the family's configuration takes.
    """
    _check_numbers(checkpoint.config, f"{checkpoint.folder / 'config.json'}")
    try:
        return config_class.from_dict(checkpoint.config)
    except Exception as error:  # transformers checks by raising errors of several kinds
        raise InputError(f"{checkpoint.folder / 'config.json'} does not fit: {_one_line(error)}") from error


def feature_settings(checkpoint: Checkpoint, extractor_class: type, **defaults: Any) -> Any:
    """The model's feature extractor with its own settings; the class's where the folder tells none.

    Raises
    ------
    InputError
        If the settings do not fit the extractor.
    """
    settings: Any = checkpoint.settings if checkpoint.settings is not None else defaults
    if not isinstance(settings, dict):
        raise InputError(f"{checkpoint.folder}: the feature settings are no JSON object; take the model's own file")
    _check_numbers(settings, f"{checkpoint.folder}: the feature settings")
    try:
        return extractor_class(**{k: v for k, v in settings.items() if k not in ("auto_map", "processor_class")})
    except Exception as error:  # whatever a wrong type leads to inside the class
        raise InputError(f"{checkpoint.folder}: the feature settings do not fit: {_one_line(error)}") from error


def load_network(
    checkpoint: Checkpoint,
    model_class: type[PreTrainedModel],
    config: Any,
    rename: Callable[[str], str | None] = lambda key: key,
) -> Any:
    """A transformers network in float32 with the checkpoint's weights.

    Old spellings of keys and the prefix of a model with a head are understood by transformers; tensors
    that the network does not have (heads, decoders) are dropped.

    Parameters
    ----------
    rename : callable
        Key in the file -> key in the network, None to leave a tensor out.

    Raises
    ------
    InputError
        If a tensor of the network is missing, names the first few, or one does not fit.
    """
    state = _read_state(checkpoint, rename)
    there = sum(tensor.numel() for tensor in state.values())
    # The configuration's own may name code that transformers would fetch from the hub.
    config._attn_implementation = "sdpa" if model_class._supports_sdpa else "eager"
    try:
        with _quiet(), torch.device("meta"):
            asked = model_class(config).num_parameters()
        if asked > 2 * there + (1 << 20):  # what a file lacks would be drawn anew, whatever memory that takes
            raise ValueError(f"a network of {asked:,} weights, and the files hold {there:,}")
        with _quiet():
            loaded: Any = model_class.from_pretrained(  # with the loading report: a pair
                None,
                config=config,
                state_dict=state,
                dtype=torch.float32,
                attn_implementation=config._attn_implementation,
                output_loading_info=True,
            )
    except Exception as error:  # RuntimeError of a wrong shape, ValueError of a wrong configuration, and others
        raise InputError(f"{checkpoint.which}: the weights do not fit config.json: {_one_line(error)}") from error
    network, report = loaded
    missing = sorted(key for key in report["missing_keys"] if not key.endswith(REMADE))
    misfits = [str(key) for key in report["mismatched_keys"]] + [str(message) for message in report["error_msgs"]]
    if missing or misfits:
        some = ", ".join((missing or misfits)[:4])
        raise InputError(
            f"{checkpoint.which} lacks {len(missing or misfits)} of the encoder's tensors or they do not fit: {some}"
            f"{', ...' if len(missing or misfits) > 4 else ''}; take the whole model again"
        )
    return network


def _check_numbers(settings: Any, where: str) -> None:
    """Refuse numbers beyond those of any network: millions of layers would be built before one is missed."""
    for key, value in settings.items():
        if isinstance(value, dict):
            _check_numbers(value, where)
            continue
        values = value if isinstance(value, list) else [value]
        layers = key.endswith(("layers", "depths"))
        most = MOST_LAYERS if layers else LARGEST_WINDOW if key in WINDOWS else LARGEST_NUMBER
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if any(not abs(v) <= most for v in numbers) or len(values) > MOST_IN_LIST:
            raise InputError(f"{where}: {one_line(str(key))[:60]} is larger than any network has it; take the own file")


def _read_state(checkpoint: Checkpoint, rename: Callable[[str], str | None]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for path in checkpoint.weights:
        if path.name == PICKLE:
            tensors = tensors_of(Source(path, (), str(path)), f"the weights of {checkpoint.name}")
            renamed = ((rename(key), tensor) for key, tensor in tensors.items())
            state |= {key: t.float() if t.is_floating_point() else t for key, t in renamed if key is not None}
            continue
        try:
            with safe_open(path, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118
                    new = rename(key)
                    if new is not None:
                        tensor = file.get_tensor(key)
                        state[new] = tensor.float() if tensor.is_floating_point() else tensor
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is not a readable safetensors file ({error}); fetch it again") from error
    return state


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no report of dropped heads: what matters is raised."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
