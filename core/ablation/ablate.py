"""Change a class's neurons, and see what the linear head loses, beside as many random neurons.

Frozen features, frozen head, one thing changed (paper, section on ablation); and heads that are fitted again to the
changed network, which tell what it still holds. `core.ablation.targets` says which neurons,
`core.ablation.operations` what is done to them, `core.ablation.controls` what they are held against,
`core.ablation.refitted` which heads are fitted again, `core.ablation.conditions` runs it, `core.ablation.outcomes` and
`core.ablation.effects` tell what was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.ablation.answers import Answers
from core.ablation.conditions import Asked, Embeddings, Inquiry, Question, ask_all
from core.ablation.controls import Cells, draw_controls, grow_controls
from core.ablation.effects import Controls, Resamples, best_classes, compare, correct_for_many, flips, hits
from core.ablation.operations import Operation
from core.ablation.outcomes import Beside, Clips, Outcomes
from core.ablation.refitted import N_CONTROLS, NAMES, Refitting
from core.ablation.targets import Target
from core.datasets.task import Task
from core.encoders.base import Encoder
from core.encoders.hooks import Change
from core.evidence.intervals import sampling_units
from core.probes.fit import Part, Probe
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from core.results import Ablation, FloatArray, IntArray, Mask

__all__ = ["Known", "Part", "Plan", "Setting", "Sweep", "Target", "run_together"]


MOST_TOGETHER = 4 * 2**30
"""Bytes of answers and refitted heads of sweeps that run together; one that takes more runs alone."""


@dataclass(frozen=True)
class Setting:
    """What is done to each target, and what it is held against.

    Attributes
    ----------
    operation : Operation
    n_controls, n_activity_controls : int
        Random sets for each group of targets, matched in layer, and in activity too.
    control_layers : str
        ``task``: targets of one selection and size share their controls, which have that size and
        the targets' mean layer profile; ``target``: each target has its own, of exactly its layers.
    seed : int
    passes : Passes
    """

    operation: Operation = field(default_factory=Operation)
    n_controls: int = 20
    n_activity_controls: int = 0
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
    refitting : Refitting or None
        On what heads are fitted again to the changed network; None = on nothing.
    removed : callable or None
        From changes to the norm that each removes (`core.ablation.removed`); None = it is not told.
    """

    rate: FloatArray | None = None
    means: FloatArray | None = None
    refits: Sequence[Sequence[LinearHead]] = ()
    groups: IntArray | None = None
    refitting: Refitting | None = None
    removed: Callable[[Sequence[Change]], FloatArray] | None = None


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
        return f"no linear probe: {probe.result.skipped}"
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
        return f"the linear probe is at chance ({test['accuracy']:.2f} against {chance:.2f}), nothing to lose"
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
            if targets[0].norm:
                size = partial(removed_by, setting.operation, layer_widths, known)
                families, family_of = grow_controls(targets, cells, n_draws, size, setting.seed)
            else:
                families, family_of = draw_controls(targets, cells, n_draws, own, setting.seed)
            where.append([slice(len(sets) + n_draws * i, len(sets) + n_draws * (i + 1)) for i in family_of])
            sets += [control for drawn in families for control in drawn]
        return cls(sets, *where)

    def every_control(self, target: int, most: int | None = None) -> IntArray:
        """Which of the sets are a target's controls, of both families; at most so many of each."""
        families = (self.controls[target], self.activity_controls[target])
        return np.concatenate([np.arange(len(self.sets))[family][:most] for family in families])

    @property
    def refitted(self) -> list[int]:
        """The sets for which heads are fitted again: the targets' and some of their controls."""
        targets = range(len(self.controls))
        controls = {int(i) for target in targets for i in self.every_control(target, N_CONTROLS)}
        return [*targets, *sorted(controls)]


def removed_by(operation: Operation, layer_widths: Sequence[int], known: Known, sets: Sequence[IntArray]) -> FloatArray:
    """The norm that an operation on each of some sets of neurons removes."""
    assert known.removed is not None, "a choice by norm needs what measures it"
    return known.removed([operation.change(neurons, layer_widths, known.means) for neurons in sets])


def run_together(
    sweeps: Sequence[Sweep],
    folders: Sequence[Path | None],
    progress: Callable[[int], None] | None = None,
    ask: Callable[..., None] = ask_all,
) -> list[Callable[[], list[Ablation]]]:
    """Sweeps of one task in one: the sound of its clips is read, prepared and passed unchanged once for all.

    Parameters
    ----------
    sweeps : sequence of Sweep
        Of the same encoder, clips and passes; either all fit heads again, or none.
    folders, progress, ask
        As `Sweep.run`, a folder for each.

    Returns
    -------
    list of callable
        For each sweep, what tells what its targets lost; held until then are the answers alone.
    """
    encoder, scan, asked = sweeps[0].encoder, sweeps[0].task.scan, list[Question]()

    def report() -> None:
        if progress is not None:
            progress(sum(each.inquiry.answers.n_done for each in asked))

    def fill(questions: Sequence[Question]) -> None:
        asked.extend(questions)
        if questions:
            ask(encoder, scan, questions, report)

    pairs = list(zip(sweeps, folders, strict=True))
    of_train = [sweep.of_train(folder) for sweep, folder in pairs]
    fill([question for of_sweep in of_train for question in of_sweep])
    of_test = [sweep.of_test(folder, train) for (sweep, folder), train in zip(pairs, of_train, strict=True)]
    fill(of_test)
    return [partial(s.tell, question.inquiry.answers) for s, question in zip(sweeps, of_test, strict=True)]


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
        refitting = self.known.refitting
        n_refitted = len(refitting.every) * len(self.plan.refitted) if refitting else 0
        return len(self.clips) * len(self.plan.sets) + n_refitted

    @property
    def n_bytes(self) -> int:
        """Of its answers, and of the heads that are fitted again."""
        refitting, n_conditions = self.known.refitting, len(self.plan.sets) + 1
        n_heads = 1 + self.n_resampled + len(NAMES) * (refitting is not None)
        of_test = 4 * n_conditions * len(self.clips) * n_heads * len(self.task.class_names)
        if refitting is None:
            return of_test
        of_train = 4 * n_conditions * len(refitting.every) * self.encoder.n_features
        return of_test + of_train + 8 * sum(p.head.weight.size for p in self.parts) * (len(self.plan.refitted) + 1)

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
        (told,) = run_together([self], [folder], progress, ask)
        return told()

    @cached_property
    def changes(self) -> list[Change]:
        """What each of the sets of neurons undergoes."""
        widths, means = self.encoder.layer_widths, self.known.means
        return [self.setting.operation.change(neurons, widths, means) for neurons in self.plan.sets]

    def of_train(self, folder: Path | None) -> list[Question]:
        """Embeddings of train clips under the conditions for which heads are fitted again; none where none are."""
        refitting, n_features = self.known.refitting, self.parts[0].head.weight.shape[1]
        if refitting is None:
            return []
        answers = Answers.open(
            folder and folder / "train", 1, len(self.changes), len(refitting.every), n_features
        )  # fmt: skip
        asked = [Asked(refitting.every, [Embeddings()])]
        return [Question(asked, Inquiry(self.changes, self.plan.refitted, answers, self.setting.passes))]

    def of_test(self, folder: Path | None, of_train: Sequence[Question]) -> Question:
        """Logits of test clips under all conditions; the answers of `of_train` are complete."""
        refitted: list[dict[int, list[LinearHead]]] = [{} for _ in self.parts]
        if (refitting := self.known.refitting) is not None:
            refitted = self._refit(refitting, of_train[0].inquiry.answers)
        n_heads = 1 + self.n_resampled + len(NAMES) * (refitting is not None)
        n_classes = len(self.task.class_names)
        answers = Answers.open(folder, n_heads, len(self.changes), len(self.clips), n_classes)
        inquiry = Inquiry(self.changes, range(len(self.changes)), answers, self.setting.passes)
        return Question([self._asked(i, refitted[i]) for i in range(len(self.parts))], inquiry)

    def tell(self, answers: Answers) -> list[Ablation]:
        """What each target lost, from complete answers of `of_test`."""
        return self._ablations(answers.values)

    @property
    def n_resampled(self) -> int:
        """Heads of each part that were fitted again on resampled clips of the network as it is."""
        return len(self.known.refits[0]) if self.known.refits else 0

    def _refit(self, refitting: Refitting, of_train: Answers) -> list[dict[int, list[LinearHead]]]:
        """For each part, and each condition with nothing changed at the end: heads fitted again to it."""
        unablated = len(self.plan.sets)
        conditions, embeddings = [*self.plan.refitted, unablated], of_train.values[0]
        return [
            {c: refitting.heads(i, part.head, np.asarray(embeddings[c])) for c in conditions}
            for i, part in enumerate(self.parts)
        ]

    def _asked(self, i: int, refitted: dict[int, list[LinearHead]]) -> Asked:
        resampled = self.known.refits[i] if self.known.refits else ()
        return Asked(self.parts[i].clips, [self.parts[i].head, *resampled], refitted)

    @cached_property
    def _members(self) -> Mask:
        """Which classes each clip that is run has."""
        return self.task.members[self.clips]

    @cached_property
    def _groups(self) -> IntArray | None:
        """Group of each clip that is run, where known."""
        return None if self.known.groups is None else self.known.groups[self.clips]

    @cached_property
    def _resamples(self) -> Resamples:
        return Resamples.of(self._members, self._groups, self.setting.seed)

    def _ablations(self, logits: NDArray[np.float32]) -> list[Ablation]:
        """What the answers, (n_heads, n_conditions + 1, n_clips, n_classes), tell of each target."""
        told = Outcomes.of(logits, self.n_resampled, self._beside, self._asked_about)
        n_best = int(self._members.sum(axis=1).max())
        best = np.stack([[best_classes(each, n_best) for each in head] for head in logits[: 1 + self.n_resampled]])
        return correct_for_many([self._ablation(i, best, told) for i in range(len(self.targets))])

    @cached_property
    def _beside(self) -> Beside:
        n_targets = len(self.targets)
        return Beside(range(n_targets), [self.plan.every_control(i) for i in range(n_targets)])

    @cached_property
    def _removed(self) -> FloatArray:
        """The norm that each of the sets removes; NaN where that is not measured."""
        return np.full(len(self.changes), np.nan) if self.known.removed is None else self.known.removed(self.changes)

    def _removed_by_controls(self, target: int) -> float:
        """Mean of what a target's controls remove; NaN without any."""
        controls = self.plan.every_control(target)
        return float(self._removed[controls].mean()) if len(controls) else float("nan")

    @cached_property
    def _asked_about(self) -> Clips:
        several = self.task.attribute in self.task.dataset.multilabel
        return Clips(self._members, sampling_units(self._groups, len(self.clips)), several, self.setting.seed)

    def _ablation(self, i: int, best: IntArray, told: Outcomes) -> Ablation:
        """One target's; ``best`` are the frozen heads' classes, (n_heads, n_conditions + 1, n_clips, n_best)."""
        members, names, target = self._members, self.task.class_names, self.targets[i]
        operation, before, after = self.setting.operation, best[:, -1], best[:, i]
        families = (self.plan.controls, self.plan.activity_controls)
        controls = Controls(*(hits(best[0, family[i]], members) for family in families))
        effects, control_deltas = compare(
            hits(before, members), hits(after, members), controls, members, names, self._resamples
        )
        return Ablation(
            self.task.name, target.selection, target.name, operation.gain, target.neurons, effects, control_deltas,
            operation.name, flips(before[0], after[0], self.clips, members, names),
            told.rows(i), told.of_controls(i), told.clips(i, self.clips, self._class_of(target)),
            float(self._removed[i]), self._removed_by_controls(i),
        )  # fmt: skip

    def _class_of(self, target: Target) -> int | None:
        """The class whose neurons these are; None where the target is none of the task's classes."""
        names = self.task.class_names
        return names.index(target.name) if target.name in names else None
