"""Sparse autoencoders of a run: those of the user's files, those that it trains, each layer's on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from core.datasets.scan import Scan
from core.encoders.base import Encoder
from core.errors import InputError
from core.files import is_plain_file, write_whole
from core.progress.progress import Progress
from core.recording.passes import Passes
from core.run.config import AnalysisConfig
from core.units.encoder import UnitEncoder
from core.units.files import path_of, sae_encoder
from core.units.kinds import SAE
from core.units.sae import SparseCode
from core.units.sae_files import read_sae
from core.units.sae_train import Recipe, State, begin, finished, quality, scale_of, train
from core.units.sample import Draw, drawn_clips, sample
from core.units.twins import Twins, match
from core.untrusted_text import user_path

MOST_BYTES = 2**30
"""Of the tokens that are held to train on, over all layers that are sampled together."""
MOST_CLIPS = 4_096
"""Of each dataset that is trained on."""
HELD_OUT = 0.1
"""Share of the drawn clips on whose tokens an autoencoder is judged."""

TRAINED = "trained"
"""Origin of an autoencoder that is of no file."""
Told = dict[str, dict[str, Any]]


def autoencoders(
    encoder: Encoder, scans: Sequence[Scan], files: Path, config: AnalysisConfig, progress: Progress
) -> tuple[UnitEncoder, Told, dict[int, Twins]]:
    """The features of all layers that the user named, what is to be told of each, and how they match another training.

    Raises
    ------
    InputError
        If no layer is named, one twice, or a file cannot be taken.
    """
    given = dict(_layer_and_path(text, encoder) for text in config.sae)
    trained = _layers(config.train_sae, encoder)
    if len(given) < len(config.sae) or set(given) & set(trained):
        raise InputError("--sae and --train-sae name a layer twice; expected one autoencoder a layer")
    if not given and not trained:
        raise InputError("--units sae needs --sae LAYER=PATH, or --train-sae with the layers to train, such as all")
    codes = {layer: read_sae(path, encoder, layer) for layer, path in given.items()}
    told: Told = {str(layer): {"origin": path.name} for layer, path in given.items()}
    held, judged = _tokens(encoder, scans, config, progress, bool(trained))
    twins: dict[int, Twins] = {}
    for layer in trained:
        recipe = _recipe(config)
        codes[layer] = _trained(encoder, layer, held[layer], recipe, files, progress)
        told[str(layer)] = {"origin": TRAINED, **asdict(recipe)}
        if config.sae_seeds > 1:
            next_recipe = replace(recipe, seed=recipe.seed + 1)
            again = _trained(encoder, layer, held[layer], next_recipe, files, progress)
            twins[layer] = match(codes[layer].written, again.written, has_sign=True, seed=config.seed + layer)
    for layer, code in sorted(codes.items()):
        of_layer = quality(code.to(encoder.device), judged[layer], encoder.device)
        told[str(layer)] |= {**asdict(of_layer), "architecture": code.design.architecture}
        progress.print(
            f"  sparse autoencoder of layer {layer}: {of_layer.explained_variance:.1%} of the variance on held-out "
            f"tokens by {of_layer.n_active:.1f} of {code.written.shape[1]:,} features, "
            f"{of_layer.dead_share:.1%} of which never fire"
        )
    return sae_encoder(encoder, codes), told, twins


def refuse_others(config: AnalysisConfig, encoder: Encoder, kept: Mapping[str, Any], path: Path) -> None:
    """Of autoencoders that are there already others cannot be asked for: the store knows features by their numbers.

    Raises
    ------
    InputError
        If layers, files or a training are named that are not those of ``kept``, what was told of them.
    """
    of_layers: Told = kept["layers"]
    asked = {layer: path.name for layer, path in (_layer_and_path(text, encoder) for text in config.sae)}
    asked |= dict.fromkeys(_layers(config.train_sae, encoder), TRAINED)
    there = {int(layer): str(told["origin"]) for layer, told in of_layers.items()}
    recipe = asdict(_recipe(config))
    others = any({name: told[name] for name in recipe} != recipe for told in of_layers.values() if "n_steps" in told)
    is_other = bool(asked) and (asked != there or (bool(config.train_sae) and others))
    if not is_other and not (config.sae_seeds > 1 and config.train_sae and not kept["twins"]):
        return
    told_there = ", ".join(f"{layer} ({origin})" for layer, origin in sorted(there.items()))
    first = next((told for told in of_layers.values() if "n_steps" in told), None)
    how = f", --expansion {first['expansion']} --k {first['k']} --sae-steps {first['n_steps']}" if first else ""
    raise InputError(
        f"{encoder.name} has other autoencoders already: layers {told_there}{how}, "
        f"{'two trainings' if kept['twins'] else 'one training'} each; leave --sae and --train-sae out to study those, "
        f"or name this one anew (--model NAME={encoder.name}) for others ({path} holds them)"
    )


def _recipe(config: AnalysisConfig) -> Recipe:
    return Recipe(config.expansion, config.sae_k, config.sae_steps, config.seed)


def _layer_and_path(text: str, encoder: Encoder) -> tuple[int, Path]:
    layer, separator, path = text.partition("=")
    if not (separator and path.strip() and layer.strip().isdecimal() and int(layer) < encoder.n_layers):
        raise InputError(
            f"--sae {text}: expected LAYER=PATH, a layer from 0 to {encoder.n_layers - 1} of {encoder.name}"
        )
    return int(layer), user_path(path)


def _layers(text: str, encoder: Encoder) -> list[int]:
    if text == "all":
        return list(range(encoder.n_layers))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) < encoder.n_layers for part in parts):
        raise InputError(f"--train-sae {text}: expected all, or layers from 0 to {encoder.n_layers - 1}, such as 3,5")
    return sorted({int(part) for part in parts})


def _tokens(
    encoder: Encoder, scans: Sequence[Scan], config: AnalysisConfig, progress: Progress, to_train: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Tokens to train on, where any are wanted, and tokens to judge by, of other clips, layer by layer."""
    every = [(scan, drawn_clips(scan, config.selection_splits(), config.seed, MOST_CLIPS)) for scan in scans]
    of_training = [(scan, clips[_is_held(clips)]) for scan, clips in every] if to_train else []
    of_judging = [(scan, clips[~_is_held(clips)]) for scan, clips in every] if to_train else every
    if not any(len(clips) for _, clips in of_judging):
        raise InputError(
            "--train-sae: one clip a dataset leaves none to judge an autoencoder by; expected two at least"
        )
    width = max(projection.out_features for projection in encoder.projections)
    n_tokens = MOST_BYTES // (4 * width * encoder.n_layers)
    precision = "float32" if config.precision == "auto" else config.precision
    passes = Passes(padding=config.padding, precision=precision, workers=config.workers)
    n_clips = sum(len(clips) for _, clips in every)
    n_held = sum(len(clips) for _, clips in of_training)
    with progress.at(model=encoder.name), progress.stage("tokens of autoencoders", n_clips, "clips") as update:
        held = sample(encoder, of_training, passes, Draw(config.seed, n_tokens), update).stream if to_train else []
        judged = sample(encoder, of_judging, passes, Draw(config.seed, n_tokens), lambda done: update(n_held + done))
    return held, judged.stream


def _is_held(clips: np.ndarray) -> np.ndarray:
    """Which clips are trained on: all but every tenth, one at least."""
    return np.arange(len(clips)) % round(1 / HELD_OUT) != 0 if len(clips) > 1 else np.ones(len(clips), dtype=bool)


def _trained(
    encoder: Encoder, layer: int, tokens: Tensor, recipe: Recipe, files: Path, progress: Progress
) -> SparseCode:
    """Train a layer's, going on from where a stopped run left it."""
    scale = scale_of(tokens)
    scaled = tokens / scale
    path = path_of(files, encoder, SAE).with_name(f"sae-{layer}-{recipe.seed}.part.safetensors")
    facts = {"encoder": encoder.weights_key, "layer": layer, "tokens": len(tokens), **asdict(recipe)}
    state = _read_state(path, facts) or begin(scaled, recipe)
    label = f"train the autoencoder of layer {layer}, seed {recipe.seed}"
    with progress.at(model=encoder.name), progress.stage(label, recipe.n_steps, "steps") as update:
        for reached in train(scaled, recipe, state, update, encoder.device):
            _write_state(path, reached, facts)
    path.unlink(missing_ok=True)
    return finished(state, recipe, scale)


def _write_state(path: Path, state: State, facts: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {**state.weights, **state.moments, "unfired": state.unfired}
    told = json.dumps({**facts, "step": state.step, "errors": state.errors})
    write_whole(path, save({name: one.contiguous() for name, one in tensors.items()}, {"training": told}))


def _read_state(path: Path, facts: dict[str, Any]) -> State | None:
    """Where a training stood; None where there is none, or another one."""
    if not is_plain_file(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, KeyError):
        return None
    if {name: told.get(name) for name in facts} != facts:
        return None
    moments = {name: one for name, one in tensors.items() if name.endswith((".m", ".v"))}
    weights = {name: one for name, one in tensors.items() if name.startswith(("W_", "b_")) and name not in moments}
    return State(weights, moments, tensors["unfired"], told["step"], told["errors"])
