"""Change a class's neurons, and see what the linear head loses, beside as many random neurons.

The head is never refitted to a changed network: frozen features, frozen head, one thing changed (paper,
section on ablation). `core.ablation.targets` says which neurons, `core.ablation.operations` what is done to them,
`core.ablation.controls` what they are held against, `core.ablation.conditions` runs it,
`core.ablation.effects` tells what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Inquiry, ask_all
from core.ablation.controls import Cells, draw_controls
from core.ablation.effects import Controls, Resamples, compare, correct_for_many, flips, hits
from core.ablation.operations import Operation
from core.ablation.targets import Target, choose_targets
from core.datasets.task import Task
from core.encoders.base import Encoder
from core.probes.fit import Part, Probe
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from core.results import Ablation, FloatArray, IntArray, Mask

__all__ = ["Known", "Part", "Plan", "Setting", "Sweep", "Target", "choose_targets"]


ALPHA = 0.05
"""Below it an effect's q stands."""


@dataclass(frozen=True)
class Setting:
    """What is done to each target, and what it is held against.

    Attributes
    ----------
    operation : Operation
    n_controls, n_activity_controls : int
        Random sets for each group of targets, matched in layer, and in activity too.
    fewer_controls : int
        So many of each family where no effect stands (q < 0.05) that more could be held against; 0 = always all.
    control_layers : str
        ``task``: targets of one selection and size share their controls, which have that size and
        the targets' mean layer profile; ``target``: each target has its own, of exactly its layers.
    seed : int
    passes : Passes
    """

    operation: Operation = field(default_factory=Operation)
    n_controls: int = 20
    n_activity_controls: int = 0
    fewer_controls: int = 0
    control_layers: str = "task"
    seed: int = 0
    passes: Passes = field(default_factory=Passes)


@dataclass(frozen=True)
class Known:
    """What is known of neurons and clips besides.

    Attributes
    ----------
    rate : ndarray, shape (n_neurons,), or None
        Pooled activation probability over the selection clips; for controls matched in activity.
    means : ndarray, shape (n_neurons,), or None
        Mean activations over the selection clips (`core.ablation.operations.per_token`); for ``mean`` and ``keep``.
    refits : sequence of sequences of LinearHead
        For each part further heads (`core.probes.refits`), as many a part; empty = none.
    groups : ndarray of int, shape (n_clips of the dataset,), or None
        Group of each clip (speaker, source), -1 where it is not known.
    """

    rate: FloatArray | None = None
    means: FloatArray | None = None
    refits: Sequence[Sequence[LinearHead]] = ()
    groups: IntArray | None = None


def classes_with_clips(task: Task, least: int) -> set[str]:
    """Classes that have at least so many test clips (and at least one)."""
    members, names = task.members, task.class_names
    sizes = members[task.tested].sum(axis=0)
    return {name for name, n in zip(names, sizes, strict=True) if n >= max(least, 1)}


def too_few_clips(task: Task, chosen: Sequence[str], least: int) -> str:
    """What is left out of the ablation for want of test clips, in words; empty if nothing is."""
    enough = classes_with_clips(task, least)
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


@dataclass(frozen=True)
class Plan:
    """Sets of neurons to run: each target's, then the controls'.

    Attributes
    ----------
    sets : list of ndarray of int
        Flat indices.
    controls, activity_controls : list of slice
        For each target, where its controls are among the sets.
    """

    sets: list[IntArray]
    controls: list[slice]
    activity_controls: list[slice]

    @classmethod
    def of(cls, targets: Sequence[Target], layer_widths: Sequence[int], setting: Setting, known: Known) -> Plan:
        """Targets and the controls drawn for them."""
        sets = [target.neurons for target in targets]
        where: list[list[slice]] = []
        for n_draws, by_activity in ((setting.n_controls, False), (setting.n_activity_controls, True)):
            if not n_draws:
                where.append([slice(0, 0)] * len(targets))
                continue
            if by_activity:
                assert known.rate is not None, "controls matched in activity need the neurons' rates"
                cells = Cells.activity(layer_widths, known.rate)
            else:
                cells = Cells.layers(layer_widths)
            own = setting.control_layers == "target"
            families, family_of = draw_controls(targets, cells, n_draws, own, setting.seed)
            where.append([slice(len(sets) + n_draws * i, len(sets) + n_draws * (i + 1)) for i in family_of])
            sets += [control for drawn in families for control in drawn]
        return cls(sets, *where)

    @property
    def conditions(self) -> list[int]:
        """Which of the sets to run."""
        of_controls = {i for part in (*self.controls, *self.activity_controls) for i in range(part.start, part.stop)}
        return [*range(len(self.controls)), *sorted(of_controls)]

    def with_fewer(self, n: int) -> Plan:
        """With at most the first n controls of each family."""

        def cut(parts: list[slice]) -> list[slice]:
            return [slice(part.start, min(part.stop, part.start + n)) for part in parts]

        return Plan(self.sets, cut(self.controls), cut(self.activity_controls))


@dataclass(frozen=True)
class Sweep:
    """Change each target's neurons and its controls', and compare the heads' answers clip by clip.

    Attributes
    ----------
    encoder : Encoder
    task : Task
    parts : sequence of Part
        Heads, each with the clips that it is tested on; one, or one a fold.
    targets : sequence of Target
    setting : Setting
    known : Known
    """

    encoder: Encoder
    task: Task
    parts: Sequence[Part]
    targets: Sequence[Target]
    setting: Setting
    known: Known = field(default_factory=Known)

    @cached_property
    def plan(self) -> Plan:
        """All sets of neurons to run."""
        return Plan.of(self.targets, self.encoder.layer_widths, self.setting, self.known)

    @cached_property
    def clips(self) -> IntArray:
        """Positions in the dataset of the clips that are run."""
        return np.concatenate([part.clips for part in self.parts])

    @property
    def n_passes(self) -> int:
        """Forward passes, clips times conditions."""
        return len(self.clips) * len(self.plan.sets)

    def run(
        self,
        progress: Callable[[int], None] | None = None,
        folder: Path | None = None,
        ask: Callable[..., None] = ask_all,
    ) -> list[Ablation]:
        """What each target lost.

        Parameters
        ----------
        progress : callable, optional
            Called with the number of forward passes done.
        folder : Path, optional
            Where answers lie until the caller removes it; an ablation that finds them there goes on from them. It
            must be a folder of its own for whatever the result depends on.
        ask : callable, optional
            In place of `core.ablation.conditions.ask_all`, as which it is called.

        Returns
        -------
        list of Ablation, one a target
        """
        setting, known, layer_widths = self.setting, self.known, self.encoder.layer_widths
        changes = [setting.operation.change(s, layer_widths, known.means) for s in self.plan.sets]
        n_best, n_heads = int(self._members.sum(axis=1).max()), 1 + len(known.refits[0] if known.refits else ())
        answers = Answers.open(folder, n_heads, len(changes), len(self.clips), n_best)
        asked = [
            Asked(part.clips, [part.head, *(known.refits[i] if known.refits else ())])
            for i, part in enumerate(self.parts)
        ]

        def run(plan: Plan) -> list[Ablation]:
            report = None if progress is None else lambda: progress(answers.n_done)
            inquiry = Inquiry(changes, plan.conditions, answers, setting.passes)
            ask(self.encoder, self.task.scan, asked, inquiry, report)
            return self._effects(plan, answers)

        if 0 < setting.fewer_controls < max(setting.n_controls, setting.n_activity_controls):
            ablations = run(self.plan.with_fewer(setting.fewer_controls))
            if not any((ablation.effects["q_value"] < ALPHA).any() for ablation in ablations):
                return ablations
        return run(self.plan)

    @cached_property
    def _members(self) -> Mask:
        """Which classes each clip that is run has."""
        return self.task.members[self.clips]

    @cached_property
    def _resamples(self) -> Resamples:
        groups = self.known.groups
        return Resamples.of(self._members, None if groups is None else groups[self.clips], self.setting.seed)

    def _effects(self, plan: Plan, answers: Answers) -> list[Ablation]:
        """What the answers tell of each target."""
        members, class_names, operation = self._members, self.task.class_names, self.setting.operation
        before = hits(answers.values[:, -1], members)
        results = []
        for i, target in enumerate(self.targets):
            after, first_head = hits(answers.values[:, i], members), answers.values[0]
            controls = Controls(
                hits(first_head[plan.controls[i]], members), hits(first_head[plan.activity_controls[i]], members)
            )
            effects, control_deltas = compare(before, after, controls, members, class_names, self._resamples)
            flipped = flips(first_head[-1], first_head[i], self.clips, members, class_names)
            results.append(
                Ablation(
                    self.task.name, target.selection, target.name, operation.gain, target.neurons, effects,
                    control_deltas, operation.name, flipped,
                )
            )  # fmt: skip
        return correct_for_many(results)
