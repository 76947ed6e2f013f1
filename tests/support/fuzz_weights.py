"""Weights and model folders that nobody vouches for: torn, mistyped, absurd, and with code in them."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.fuzz_outcome import RATE, TAKEN, Try, refused
from tests.support.mutants_text import CELLS, damaged_json


class Trap:
    """Leaves a mark if anyone unpickles it."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def checkpoint(folder: Path, seed: int) -> Try:
    """Weights of every family that a file gives: torn, mistyped, absurd, and with code in them."""
    import torch
    from safetensors.torch import load, save

    from core.datasets import InputError
    from core.encoders import load_encoder
    from core.encoders.nano import WEIGHTS
    from core.encoders.torchaudio_bundle import add_bundle
    from core.untrusted_text import one_line
    from tests.support import official, tiny_m2d, tiny_torchaudio

    kind = next(iter(tiny_torchaudio.KINDS))
    add_bundle(kind, tiny_torchaudio.bundle(kind))
    states = {"m2d": tiny_m2d.random_state(), f"torchaudio:{kind}": tiny_torchaudio.network(kind).state_dict()}
    settings = {}
    for family in official.FAMILIES:
        layout = next(iter(official.layouts(family).values()))
        states[family], settings[family] = layout.state, layout.settings
    nano = (WEIGHTS / "nano-ssl.safetensors").read_bytes()
    mark = folder / "ran"
    traps = [Trap(os.mkdir, str(mark)), Trap(os.system, f"mkdir {mark}"), Trap(eval,
    f"__import__('os').mkdir({str(mark)!r})"),
             Trap(exec, f"open({str(mark)!r}, 'w')")]  # fmt: skip

    def torch_file(state: Any, rng: np.random.Generator) -> bytes:
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=bool(rng.random() < 0.7))
        return buffer.getvalue()

    def changed(state: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        found: dict[str, Any] = dict(state)
        for key in rng.choice(list(found), size=int(rng.integers(1, 4)), replace=False):
            tensor = torch.as_tensor(found[key])
            how = int(rng.integers(12))
            made = [torch.full_like(tensor, torch.nan), torch.full_like(tensor, torch.inf), tensor[:-1],
            tensor.flatten(),
                    tensor.int(), tensor.to(torch.complex64), torch.zeros(1).expand(*tensor.shape, 50_000),
                    torch.zeros(0), [1, 2], None, traps[int(rng.integers(len(traps)))], None][how]  # fmt: skip
            if how == 11:
                found[f"more.{key}"] = found.pop(key)
            else:
                found[key] = made
        return found

    def with_settings(state: Mapping[str, Any], name: str, rng: np.random.Generator) -> Mapping[str, Any]:
        if not settings.get(name):
            return state
        found = dict(settings[name])
        if rng.random() < 0.5:
            values = [0, -1, 1, 7, 10**9, 10**400, True, "x", None, 1.5, float("inf"), [1], traps[0]]
            found[str(rng.choice(list(found)))] = values[int(rng.integers(len(values)))]
        return {"cfg": found, "model": state}

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        name = str(rng.choice(["nano-ssl", *states]))
        path = folder / "m2d_vit_base-80x208p16x16-tiny.pth"
        if name == "nano-ssl":
            path = folder / "x.safetensors"
            content = _damaged_safetensors(nano, rng)
        else:
            state = changed(states[name], rng) if rng.random() < 0.6 else states[name]
            try:
                content = torch_file(with_settings(state, name, rng), rng)
            except Exception:  # what cannot be written is another's fault
                content = pickle.dumps({"model": traps[0]})
            how = rng.random()
            tensors = [t for t in state.values() if isinstance(t, torch.Tensor)]
            if how < 0.2 and len(tensors) == len(state) and sum(t.numel() for t in tensors) < 1e7:
                path = path.with_suffix(".safetensors")
                content = _damaged_safetensors(save({k: t.contiguous() for k, t in state.items()}), rng)
            elif how < 0.3 and name == "m2d":
                path = path.with_suffix(".zip")
                content = _zipped(content, rng)
            elif how < 0.4:
                content = pickle.dumps(traps[int(rng.integers(len(traps)))], protocol=int(rng.integers(6)))
            elif how < 0.8:
                content = _torn(content, rng)
        path.write_bytes(content)
        try:
            encoder = load_encoder(name, path)
        except InputError as error:
            return refused(one_line(str(error)))
        finally:
            path.unlink()
            assert not mark.exists(), "code of a checkpoint was run"
        assert encoder.embed([np.zeros(RATE // 4, np.float32)]).shape == (1, encoder.n_features)
        return TAKEN

    assert load(nano)
    return once


def _torn(content: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    if rng.random() < 0.4:
        return bytes(damaged[: int(rng.integers(len(damaged)))])
    within = len(damaged) if rng.random() < 0.5 else min(3_000, len(damaged))
    for place in rng.integers(within, size=int(rng.integers(1, 40))):
        damaged[-place if rng.random() < 0.3 else place] = int(rng.integers(256))
    return bytes(damaged)


def _damaged_safetensors(content: bytes, rng: np.random.Generator) -> bytes:
    """Torn, or with another header: shapes, types, places and the model's own configuration."""
    if rng.random() < 0.3:
        return _torn(content, rng)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if rng.random() < 0.5 and "config" in header.get("__metadata__", {}):
        header["__metadata__"]["config"] = damaged_json(header["__metadata__"]["config"].encode(), rng).decode(
            "utf-8", "replace"
        )
        changed = json.dumps(header).encode()
    else:
        changed = damaged_json(json.dumps(header).encode(), rng)
    told = len(changed) if rng.random() < 0.9 else int(rng.choice([0, 1, 2**31, 2**40, 2**63]))
    return told.to_bytes(8, "little") + changed + content[8 + size :]


def _zipped(content: bytes, rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    name = str(
        rng.choice(["x/a.pth", "../a.pth", "/a.pth", "a.safetensors", "a.txt", "\x1b[31m.pth", "a" * 300 + ".pth"])
    )
    bomb = rng.random() < 0.3
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if bomb else zipfile.ZIP_STORED) as archive:
        archive.writestr(name, bytes(60_000_000) if bomb else content)
    return buffer.getvalue() if rng.random() < 0.5 else _torn(buffer.getvalue(), rng)


def model_folder(folder: Path, seed: int) -> Try:
    """A Hugging Face folder: configuration, feature settings, index and weights."""
    from core.datasets import InputError
    from core.encoders import load_encoder
    from core.untrusted_text import one_line
    from tests.support import tiny_hf

    names = ("whisper", "wav2vec2", "wavlm", "data2vec", "ast", "clap")
    made = {label: tiny_hf.folder(name) for label, name in tiny_hf.build(folder / "whole").items() if label in names}

    def once(number: int) -> str:
        rng = np.random.default_rng([seed, number])
        copy = folder / "model"
        shutil.copytree(made[names[number % len(names)]], copy)
        try:
            file = copy / str(
                rng.choice(["config.json", "config.json", "preprocessor_config.json", "model.safetensors"])
            )
            damage = _damaged_safetensors if file.suffix == ".safetensors" else damaged_json
            file.write_bytes(damage(file.read_bytes(), rng))
            if rng.random() < 0.1:
                (copy / "README.md").write_bytes(CELLS[int(rng.integers(len(CELLS)))] * 50)
            if rng.random() < 0.1:
                (copy / "model.safetensors").rename(copy / "model-1.safetensors")
                index = json.dumps({"weight_map": {"a": "model-1.safetensors"}}).encode()
                (copy / "model.safetensors.index.json").write_bytes(damaged_json(index, rng))
            load_encoder(f"hf:{copy}")
        except InputError as error:
            return refused(one_line(str(error)))
        finally:
            shutil.rmtree(copy)
        return TAKEN

    return once
