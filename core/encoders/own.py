"""An encoder of the user's own: a Python module or file with ``load(weights, device)``; see docs/encoders.md."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from core.encoders.base import Encoder
from core.encoders.hooks import record
from core.errors import InputError
from core.untrusted_text import user_path

DOCS = "see docs/encoders.md"
_ATTRIBUTES = {"sample_rate": int, "layer_widths": tuple, "n_features": int, "module": nn.Module, "weights_key": str}


def load(which: str, weights: Path | None = None, device: str = "cpu") -> Encoder:
    """Import a module, call its ``load(weights, device)`` and look at what that gives.

    Parameters
    ----------
    which : str
        A module in the current folder or among the installed packages, or the path of a .py file.
    weights : path, optional
        Handed on.
    device : str
        Handed on.

    Raises
    ------
    InputError
        If the module, its function or the function's result is not as it should be; tells what and where.
    """
    if weights is not None and not os.path.exists(weights):
        raise InputError(f"no weights at {weights}; expected what the load function of {which} reads")
    is_file = which.endswith(".py")
    folder = user_path(which).resolve().parent if is_file else Path.cwd()
    with _importable(folder):  # during load too: it may import what lies beside it
        module = _import_file(user_path(which)) if is_file else _import_module(which)
        function = getattr(module, "load", None)
        if not callable(function):
            raise InputError(f"{which} has no function load; expected load(weights, device), {DOCS}")
        try:
            encoder = function(weights, device)
        except (Exception, SystemExit) as error:
            raise _as_input_error(f"the load function of {which}", error) from error
    if not isinstance(encoder, Encoder):
        raise InputError(
            f"the load function of {which} returned {type(encoder).__name__}; "
            f"expected an Encoder of core.encoders.base, {DOCS}"
        )
    encoder.name = getattr(encoder, "name", "") or f"python:{Path(which).stem if is_file else which}"
    _check_attributes(which, encoder)
    encoder.module.eval()
    _check_pass(which, encoder)
    return encoder


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules in a folder be imported, before all others, as ``python -m`` does."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()  # a file written a moment ago counts too
    try:
        yield
    finally:
        sys.path[:] = before


def _import_module(name: str) -> ModuleType:
    missing = f"no module '{name}' in {Path.cwd()} or among the installed packages; a file's path must end with .py"
    if not all(part.isidentifier() for part in name.split(".")):
        raise InputError(missing)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise InputError(missing) from error
        raise _as_input_error(f"importing {name}", error) from error


def _import_file(path: Path) -> ModuleType:
    if not os.path.isfile(path):
        raise InputError(f"no file {path}; expected a Python file with load(weights, device), {DOCS}")
    # A name that no other module has; known to sys.modules, as dataclasses in the file need it.
    name = f"own_encoder_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # true of every .py file
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _as_input_error(f"importing {path}", error) from error
    return module


def _as_input_error(what: str, error: BaseException) -> InputError:
    """One line with type, message and the place nearest to the error."""
    if isinstance(error, InputError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    ours = Path(__file__).resolve().parents[1]
    places = [f for f in frames if not f.filename.startswith("<") and not Path(f.filename).is_relative_to(ours)]
    place = f" ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else ""
    message = " ".join(str(error).split())
    return InputError(f"{what} raised {type(error).__name__}{': ' if message else ''}{message}{place}")


def _check_attributes(which: str, encoder: Encoder) -> None:
    kind = type(encoder).__name__
    for name, expected in _ATTRIBUTES.items():
        value = getattr(encoder, name, None)
        if not isinstance(value, expected) or not (isinstance(value, nn.Module) or value):
            state = f"is {value!r}" if hasattr(encoder, name) else "is not set"
            raise InputError(f"{which}: {kind}.{name} {state}; expected {expected.__name__}, not 0 or empty")
    if encoder.sample_rate < 0 or encoder.n_features < 0:
        raise InputError(f"{which}: sample_rate {encoder.sample_rate} and n_features {encoder.n_features} must be > 0")
    try:
        widths = tuple(projection.in_features for projection in encoder.projections)
    except Exception as error:
        raise _as_input_error(f"{which}: {kind}.projections", error) from error
    if widths != encoder.layer_widths:
        raise InputError(
            f"{which}: layer_widths is {encoder.layer_widths}, but the in_features of its projections are {widths}; "
            "expected the same"
        )
    inside = set(encoder.module.modules())
    outside = [layer for layer, projection in enumerate(encoder.projections) if projection not in inside]
    if outside:
        raise InputError(f"{which}: the projection of layer {outside[0]} is not part of {kind}.module")


def _check_pass(which: str, encoder: Encoder) -> None:
    """One short pass: what is wrong with its methods is told now and not in the middle of a run."""
    noise = np.random.default_rng(0).normal(0, 0.1, encoder.sample_rate).astype(np.float32)
    order: list[int] = []
    hooks = [
        projection.register_forward_pre_hook(lambda *_, layer=layer: order.append(layer))
        for layer, projection in enumerate(encoder.projections)
    ]
    try:
        batch = encoder.prepare([noise, noise[: len(noise) // 3]])
        with torch.inference_mode():
            with record(encoder, batch) as counts:
                embeddings = encoder.forward(batch)
            in_one_pass = order.copy()
            again = encoder.forward(batch)
    except Exception as error:
        raise _as_input_error(f"{which}: a pass over two clips of noise", error) from error
    finally:
        for hook in hooks:
            hook.remove()
    if in_one_pass != list(range(encoder.n_layers)):
        raise InputError(
            f"{which}: a pass runs its projections in the order {in_one_pass}; expected each once, first to last"
        )
    if embeddings.shape != (2, encoder.n_features) or not bool(torch.isfinite(embeddings).all()):
        raise InputError(
            f"{which}: the embeddings of two clips have shape {tuple(embeddings.shape)}; "
            f"expected finite numbers, (2, {encoder.n_features})"
        )
    if not torch.allclose(embeddings, again, atol=1e-4, rtol=1e-3):
        raise InputError(f"{which}: two passes over the same batch give different embeddings; expected nothing random")
    if not bool((counts.tokens > 0).all()):
        raise InputError(f"{which}: a clip of 0.33 s has no counted token; expected one at least, {DOCS}")
