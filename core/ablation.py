"""Take neurons out, and see what the linear head loses, beside as many random neurons.

The head is never refitted: frozen features, frozen head, one thing changed (paper, section on
ablation). Each condition (a set of neurons, a gain) runs from the first layer it changes; what lies
before is computed once a batch, and in pre-norm blocks that first layer too (`_after_first`).
`core.effects` tells what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.activations import autocast, read_ahead
from core.effects import compare, correct_for_many, hits
from core.encoders.base import Batch, Encoder, Padding
from core.heads import LinearHead
from core.hooks import Neuron, keep, layer_starts, scale_conditions, to_neurons
from core.probe import Part, Probe
from core.results import Ablation, FloatArray, IntArray
from core.scan import Scan
from core.selectivity import Mask


@dataclass(frozen=True)
class Target:
    """Neurons to scale: how they were chosen, for which class, which (flat indices)."""

    selection: str
    name: str
    neurons: IntArray


@dataclass(frozen=True)
class Setting:
    """How the ablation runs.

    Attributes
    ----------
    gain : float
    n_controls : int
        Random sets for each group of targets.
    control_layers : str
        ``task``: targets of one selection and size share their controls, which have that size and
        the targets' mean layer profile; ``target``: each target has its own, of exactly its layers.
    seed : int
    batch_size : int
        Clips read and prepared together.
    rows_per_pass : int
        Chunks of audio times conditions in one forward pass.
    padding, precision : str
        As in extraction.
    workers : int
    """

    gain: float = 0.0
    n_controls: int = 20
    control_layers: str = "task"
    seed: int = 0
    batch_size: int = 32
    rows_per_pass: int = 64
    padding: Padding = "exclude"
    precision: str = "float32"
    workers: int = 2


def top_by_evidence(z: FloatArray, p: FloatArray, share: float) -> list[IntArray]:
    """For each class the share of all neurons with the strongest evidence for it.

    Parameters
    ----------
    z, p : ndarray, shape (n_classes, n_neurons)
        From `core.null.evidence`; lowest p first, highest z among equals, then flat index.
    share : float
        Of all neurons, at least one.
    """
    k = max(1, round(share * p.shape[1]))
    return [np.sort(np.lexsort((-z[c], p[c]))[:k]) for c in range(len(p))]


def choose_targets(
    selection: str, share: float | None, names: Sequence[str], z: FloatArray, p: FloatArray, mask: Mask | None
) -> list[Target]:
    """The neurons to scale for each class; classes that have none are left out.

    Parameters
    ----------
    selection : str
        Name for the store.
    share : float or None
        Ladder step: the share of all neurons with the strongest evidence; None = a preset's own
        sets, given by ``mask``.
    z, p : ndarray, shape (n_classes, n_neurons)
    mask : ndarray of bool, shape (n_classes, n_neurons), or None
    """
    if share is not None:
        sets = top_by_evidence(z, p, share)
    else:
        assert mask is not None
        sets = [np.flatnonzero(row) for row in mask]
    return [Target(selection, name, s) for name, s in zip(names, sets, strict=True) if len(s)]


def classes_with_clips(scan: Scan, attribute: str, least: int) -> set[str]:
    """Classes that have at least so many test clips (and at least one)."""
    members, names = scan.members(attribute)
    sizes = members[scan.tested(attribute)].sum(axis=0)
    return {name for name, n in zip(names, sizes, strict=True) if n >= max(least, 1)}


def too_few_clips(scan: Scan, attribute: str, chosen: Sequence[str], least: int) -> str:
    """What is left out of the ablation for want of test clips, in words; empty if nothing is."""
    enough = classes_with_clips(scan, attribute, least)
    without = [name for name in chosen if name not in enough]
    if not without:
        return ""
    which = "no class" if len(without) == len(chosen) else f"not {', '.join(without[:8])}"
    which += f" and {len(without) - 8} more" if 8 < len(without) < len(chosen) else ""
    return f"ablated: {which} (fewer than {least} test clips); --min-test-clips 1 runs them too"


def draw_parts(parts: Sequence[Part], members: Mask, n: int, least: int, seed: int) -> list[Part]:
    """Each part with some of its clips, so that there are about ``n`` and ``least`` a class together.

    Parameters
    ----------
    members : ndarray of bool, shape (n_clips, n_classes)
        Of the whole dataset.
    n, least, seed
        As `draw_clips`.
    """
    share, least = -(-n // len(parts)), -(-least // len(parts))
    return [replace(p, clips=draw_clips(p.clips, members[p.clips], share, least, seed)) for p in parts]


def draw_clips(clips: IntArray, members: Mask, n: int, least: int, seed: int) -> IntArray:
    """Draw ``n`` of some test clips evenly over classes, at least ``least`` a class where it has them.

    Parameters
    ----------
    clips : ndarray of int, shape (n_clips,)
        Positions in the dataset.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each has; a clip of several classes may be drawn for any of them.
    n : int
        0 = all.

    Returns
    -------
    ndarray of int
        Sorted positions.
    """
    if n == 0 or len(clips) <= n:
        return clips
    classes = np.flatnonzero(members.any(axis=0))
    share = max(least, -(-n // len(classes)))
    rng = np.random.default_rng([seed, len(clips), n])
    drawn = [rng.permutation(clips[members[:, c]])[:share] for c in classes]
    return np.unique(np.concatenate(drawn))


def why_not(probe: Probe, targets: Sequence[Target]) -> str:
    """Why a task is not ablated; empty if it can be."""
    if not probe.parts:
        return f"no linear head: {probe.result.skipped}"
    if not targets:
        return "no class has both neurons and enough test clips"
    rows = probe.result.rows
    test = rows[(rows["split"] == "test") & rows["class_name"].isna()].iloc[0]
    if test["metric"] == "accuracy":
        chance = test["chance"]
        bar = chance + 2 * np.sqrt(chance * (1 - chance) / test["n_clips"])
    else:
        chance = bar = probe.result.settings["highest_of_shuffled"]
    if test["accuracy"] <= bar:
        return f"the linear head is at chance ({test['accuracy']:.2f} against {chance:.2f}), nothing to lose"
    return ""


def n_conditions(targets: Sequence[Target], layer_widths: Sequence[int], setting: Setting) -> int:
    """Sets of neurons to run: targets and all their controls."""
    families, _ = draw_controls(targets, layer_widths, setting)
    return len(targets) + sum(map(len, families))


def draw_controls(
    targets: Sequence[Target], layer_widths: Sequence[int], setting: Setting
) -> tuple[list[list[IntArray]], list[int]]:
    """Random sets of the same size in the same layers.

    Returns
    -------
    families : list of lists of flat indices
        ``n_controls`` sets a family.
    family_of : list of int
        For each target, its family.
    """
    starts = layer_starts(layer_widths)
    profiles = [np.histogram(t.neurons, bins=starts)[0] for t in targets]
    keys: list[tuple[object, ...]] = []
    for target, profile in zip(targets, profiles, strict=True):
        shared = setting.control_layers == "task"
        keys.append((target.selection, profile.sum()) if shared else tuple(profile))
    families: list[list[IntArray]] = []
    distinct = list(dict.fromkeys(keys))
    for number, key in enumerate(distinct):
        members = [p for p, k in zip(profiles, keys, strict=True) if k == key]
        profile = round_to_sum(np.mean(members, axis=0))
        rng = np.random.default_rng([setting.seed, number, int(profile.sum())])
        families.append([_draw(rng, profile, layer_widths, starts) for _ in range(setting.n_controls)])
    return families, [distinct.index(key) for key in keys]


def _draw(rng: np.random.Generator, profile: IntArray, layer_widths: Sequence[int], starts: IntArray) -> IntArray:
    parts = [
        starts[layer] + np.sort(rng.choice(width, size=n, replace=False))
        for layer, (n, width) in enumerate(zip(profile, layer_widths, strict=True))
    ]
    return np.concatenate(parts)


def round_to_sum(shares: FloatArray) -> IntArray:
    """Largest-remainder rounding that keeps the (whole) sum."""
    floor = np.floor(shares).astype(np.int64)
    short = round(float(shares.sum())) - int(floor.sum())
    floor[np.argsort(floor - shares, kind="stable")[:short]] += 1
    return floor


def ablate(
    encoder: Encoder,
    scan: Scan,
    parts: Sequence[Part],
    members: Mask,
    class_names: Sequence[str],
    task: str,
    targets: Sequence[Target],
    setting: Setting,
    progress: Callable[[int], None] | None = None,
) -> list[Ablation]:
    """Scale each target's neurons and its controls, and compare the heads' answers clip by clip.

    Parameters
    ----------
    parts : sequence of Part
        Heads, each with the clips that it is tested on; one, or one a fold.
    members : ndarray of bool, shape (n_clips, n_classes)
        Which classes each clip of the dataset has.
    targets : sequence of Target
    progress : callable, optional
        Called with the number of forward passes (clips times conditions) done.

    Returns
    -------
    list of Ablation, one a target
    """
    families, family_of = draw_controls(targets, encoder.layer_widths, setting)
    conditions = [t.neurons for t in targets] + [control for drawn in families for control in drawn]
    of_clips = members[np.concatenate([part.clips for part in parts])]
    n_best = int(of_clips.sum(axis=1).max())
    found, done = [], 0
    for part in parts:
        told = _after(progress, done)
        found.append(predictions(encoder, scan, part.clips, conditions, part.head, setting, told, n_best))
        done += len(part.clips) * len(conditions)
    answers, unablated = (np.concatenate(each, axis=-2) for each in zip(*found, strict=True))
    before, family = hits(unablated, of_clips), -1
    results = []
    for i, target in enumerate(targets):
        if family_of[i] != family:
            family = family_of[i]
            first = len(targets) + family * setting.n_controls
            controls = hits(answers[first : first + setting.n_controls], of_clips)
        effects, control_deltas = compare(before, hits(answers[i], of_clips), controls, of_clips, class_names)
        results.append(
            Ablation(task, target.selection, target.name, setting.gain, target.neurons, effects, control_deltas)
        )
    return correct_for_many(results)


def _after(progress: Callable[[int], None] | None, done: int) -> Callable[[int], None] | None:
    """``progress`` of a part, counted on from ``done``."""
    return None if progress is None else lambda n: progress(done + n)


@torch.inference_mode()
def predictions(
    encoder: Encoder,
    scan: Scan,
    clips: IntArray,
    conditions: Sequence[IntArray],
    head: LinearHead,
    setting: Setting,
    progress: Callable[[int], None] | None = None,
    n_best: int = 1,
) -> tuple[IntArray, IntArray]:
    """The head's best classes under every condition, and without any.

    Returns
    -------
    answers : ndarray of int, shape (n_conditions, n_clips, n_best)
        Class index, best first.
    unablated : ndarray of int, shape (n_clips, n_best)
    """
    neurons = [to_neurons(flat, encoder.layer_widths) for flat in conditions]
    first_layer = [min((layer for layer, _ in n), default=encoder.n_layers) for n in neurons]
    order = sorted(range(len(conditions)), key=lambda i: first_layer[i])
    answers = np.empty((len(conditions), len(clips), n_best), dtype=np.int64)
    unablated = np.empty((len(clips), n_best), dtype=np.int64)
    places = [slice(i, i + setting.batch_size) for i in range(0, len(clips), setting.batch_size)]
    waveforms = read_ahead(scan, [clips[p] for p in places], encoder.sample_rate, setting.workers)
    done = 0
    for place, sounds in zip(places, waveforms, strict=True):
        batch = encoder.prepare(sounds, setting.padding)
        with autocast(encoder, setting.precision):
            whole = _whole_pass(encoder, batch, set(first_layer))
            unablated[place] = head.top(_array(encoder.finish(whole.hidden[-1], batch)), n_best)
            n_copies = max(1, setting.rows_per_pass // batch.clip.shape[0])
            for start in range(0, len(order), n_copies):
                group = order[start : start + n_copies]
                embeddings = _run(encoder, whole, [neurons[i] for i in group], first_layer[group[0]], setting.gain)
                answers[group, place] = head.top(embeddings, n_best).reshape(len(group), -1, n_best)
                done += len(group) * len(sounds)
                if progress:
                    progress(done)
    return answers, unablated


@dataclass(frozen=True)
class _Pass:
    """A forward pass with nothing changed.

    Attributes
    ----------
    hidden : list of Tensor
        The residual stream before each block, and after the last.
    activations : dict of Tensor
        What entered the MLP output projection of the layers that a condition changes first; empty
        where a block does not end with its MLP.
    """

    batch: Batch
    hidden: list[torch.Tensor]
    activations: dict[int, torch.Tensor]


def _whole_pass(encoder: Encoder, batch: Batch, first_layers: set[int]) -> _Pass:
    kept_layers = {layer for layer in first_layers if layer < encoder.n_layers} if encoder.ends_with_mlp else set()
    hidden = [encoder.begin(batch)]
    with keep(encoder, kept_layers) as activations:
        for layer in range(encoder.n_layers):
            hidden.append(encoder.block(layer, hidden[-1], batch))
    return _Pass(batch, hidden, activations)


def _run(
    encoder: Encoder, whole: _Pass, conditions: Sequence[Sequence[Neuron]], first_layer: int, gain: float
) -> NDArray[np.float32]:
    """Embeddings under some conditions at once, from the first layer that any of them changes."""
    copies = whole.batch.repeat(len(conditions))
    if first_layer in whole.activations:
        state = _after_first(encoder, whole, conditions, first_layer, gain)
        first_layer += 1
    else:
        state = torch.cat([whole.hidden[first_layer]] * len(conditions))
    with scale_conditions(encoder, conditions, gain):
        for layer in range(first_layer, encoder.n_layers):
            state = encoder.block(layer, state, copies)
        return _array(encoder.finish(state, copies))


def _after_first(
    encoder: Encoder, whole: _Pass, conditions: Sequence[Sequence[Neuron]], layer: int, gain: float
) -> torch.Tensor:
    """The residual stream after the first changed block, without running it again.

    All that comes before the MLP output projection is as it was, so the stream differs only by what
    the scaled neurons write to it.
    """
    weight, activation = encoder.projections[layer].weight, whole.activations[layer]
    states = []
    for condition in conditions:
        neurons = torch.tensor([i for at, i in condition if at == layer], dtype=torch.int64, device=weight.device)
        written = activation[..., neurons] @ weight[:, neurons].T.to(activation.dtype)
        states.append(whole.hidden[layer + 1] + (gain - 1.0) * written)
    return torch.cat(states)


def _array(embeddings: torch.Tensor) -> NDArray[np.float32]:
    return embeddings.float().cpu().numpy()
