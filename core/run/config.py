"""The settings of a run: one frozen record, checked once, saved with the run."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.ablation.controls import FAMILIES
from core.ablation.operations import WORDS, Operation
from core.ablation.targets import MAX_PAIRS, Choice
from core.describe import voice
from core.describe.given import read as read_descriptions
from core.errors import InputError
from core.selectivity.presets import PRESETS, SelectionSettings, parse_activity
from core.stimuli.names import NAMES
from core.units.kinds import KINDS, MLP
from core.untrusted_text import user_path, without_password

if TYPE_CHECKING:
    import torch

Padding = Literal["exclude", "include"]
STAGES = ("extract", "score", "ablate")
CONTROLS = 20
ABLATE = ("mad:0.002", "mad:0.01", "mad:0.05", "aape")
"""What is ablated: a ladder by the selector with the strongest effects, and the paper's own sets."""
ABLATE_UNITS = ("mad:0.01", "mad:n=32", "mad:norm=0.2")
"""In their place where other units than neurons are studied: an equal share, number and norm, to compare kinds by."""
MATCH = ("auto", "run", "store", "none")
MOST, MOST_WORKERS = 10**9, 1_000
"""Of any number of things that is asked for, and of threads."""
ENTROPY_RATE = 0.01
"""Share of neurons that entropy keeps, where neither the user nor the dataset has its own."""


@dataclass(frozen=True)
class AnalysisConfig:
    """What was asked for. Defaults are the study's.

    Attributes
    ----------
    tasks : str
        ``all`` or task names with commas.
    models : tuple of str
    untrained : bool
        Add each model's untrained twin.
    units : tuple of str
        Kinds of unit (`core.units.kinds`), each a model of its own in the store.
    sae : tuple of str
        Sparse autoencoders of the user's own, each ``LAYER=PATH``.
    train_sae : str
        Layers whose autoencoders are trained here, ``3,5`` or ``all``; empty = none.
    expansion, sae_k, sae_steps : int
        Features a dimension of the stream, features of a token that are kept, and steps of that training.
    sae_seeds : int
        Trainings of each, 1 or 2; features of two are matched.
    weights : str
        Checkpoint for the (single) model, or empty.
    weights_config : str
        M2D: layout in place of the one in the checkpoint's name, or empty.
    confirm_structure : bool
        Take a Hugging Face model of an unknown type as its structure was found to be.
    data_dirs : tuple of str
        Folders that hold datasets; none = the embedded demo.
    evar_dir : str
        The user's own EVAR folder, whose splits are then used, or empty.
    remap : tuple of str
        Corrections of published labels, each ``WRONG=RIGHT``.
    length : str
        ``native``, or ``unit``: clips cropped or filled to the length that EVAR gives the dataset.
    strict : bool
        Stop where a dataset is not as published or not whole, before anything is computed.
    db : str
        Store: path or URL.
    probe_layers : bool
        Linear heads on the pooled output of every layer, too.
    describe : bool
        Tell every unit in words, and score that.
    voice : bool
        With what Praat tells of voices among the descriptors (`core.describe.voice`).
    import_descriptions : str
        CSV of others' descriptions that are scored beside, or empty.
    propose : str
        ``clap:FOLDER``, a model that proposes phrases for units, or empty.
    phrases : str
        Text file of the phrases that it chooses from, or empty: the classes' and descriptors' names.
    map_units : bool
        Place each model's units on a map, by how alike they respond.
    stimuli : tuple of str
        Sets of made sounds (`core.stimuli.names.NAMES`) that units are asked with; none by default.
    stages : tuple of str
        Of ``extract``, ``score``, ``ablate``.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    batch_size : int
        Clips in one forward pass; 0 = by device.
    precision : str
        ``float32`` (``auto`` means it) or ``bfloat16``.
    workers : int
        Threads that read audio; the machine's cores, at most 8.
    presets : tuple of str
    entropy_rate : float or None
        Share of neurons that entropy keeps; None = the dataset's own, or `ENTROPY_RATE`.
    probability_bar : float
    bar_scope : str
    activity : str
    event : str
        ``positive`` (a token with activation > 0) or ``high`` (a clip whose mean activation lies one
        standard deviation over the neuron's mean).
    select_on : str
        ``train`` (train and valid clips) or ``all``.
    padding : str
        ``exclude`` or ``include`` tokens that hold padding.
    shuffle_labels : bool
        Deal the labels anew before anything: whatever is found then is chance.
    shuffles : int
        Label shuffles of the null.
    controls : int or None
        Random sets of each family beside each ablated set. None = `CONTROLS`.
    control_layers : str
        ``task`` (shared by targets of one size) or ``target`` (each its own layers).
    control_families : tuple of str or None
        Of ``layer`` (matched in layer) and ``activity`` (in layer, and in activity within it); None = by device: the
        latter alone on a CPU, both elsewhere.
    gains : tuple of float or str, or None
        Factors, ``mean`` (set to the mean) or ``keep`` (all others of the layers set to their mean). None = by kind of
        unit: 0 where that is what a silent one has, the mean elsewhere.
    ablate : tuple of str
        ``SELECTOR:SHARE`` (highest score), ``top:SHARE`` (strongest evidence), ``pairs:SHARE``, ``file:PATH`` or a
        preset's own sets.
    match : tuple of str
        Whose units are matched: ``run`` (every two models of the run with units of one kind), ``auto`` (the same, but
        on a CPU no large ones), ``store`` (those with the models that the store holds, too), ``none``, or names of
        models, each with each.
    max_pairs : int
        At most so many pairs of classes.
    probe_seeds : int
        Heads refitted on resampled train clips, asked beside the main one.
    min_test_clips : int
        Classes with fewer test clips are not ablated: one clip would be 10 points and more.
    ablate_clips : int or None
        At most so many test clips of a task are ablated, drawn evenly over classes; 0 = all, None = by
        device: 60 on a CPU (or `min_test_clips` a class, if that is more), all elsewhere.
    refit_clips : int or None
        Train clips of each head on which it is fitted again to the changed network; 0 = not at all, None = by device:
        60 on a CPU (or 5 a class), 1,000 elsewhere.
    erasure : bool or None
        Erasure curves; None = by device: not on a CPU, where they cost more than all else.
    limit : int
        At most so many clips a dataset; 0 = all.
    classes_are_folders : bool
        Folders that are named like folds or parts of a download are classes.
    follow_links : bool
        Links may lead out of the folders that are named.
    replace : bool
        Delete the store's results of datasets that have changed, or of others of the same names.
    seed : int
    """

    tasks: str = "all"
    models: tuple[str, ...] = ("nano-ssl", "nano-sl")
    untrained: bool = False
    units: tuple[str, ...] = (MLP,)
    sae: tuple[str, ...] = ()
    train_sae: str = ""
    expansion: int = 8
    sae_k: int = 32
    sae_steps: int = 2_000
    sae_seeds: int = 1
    weights: str = ""
    weights_config: str = ""
    confirm_structure: bool = False
    data_dirs: tuple[str, ...] = ()
    evar_dir: str = ""
    remap: tuple[str, ...] = ()
    length: str = "native"
    strict: bool = False
    db: str = "atlas.db"
    probe_layers: bool = False
    describe: bool = False
    voice: bool = False
    import_descriptions: str = ""
    propose: str = ""
    phrases: str = ""
    map_units: bool = False
    stimuli: tuple[str, ...] = ()
    stages: tuple[str, ...] = STAGES
    device: str = "auto"
    batch_size: int = 0
    precision: str = "auto"
    workers: int = min(8, os.cpu_count() or 2)
    presets: tuple[str, ...] = PRESETS
    entropy_rate: float | None = None
    probability_bar: float = 0.95
    bar_scope: str = "task"
    activity: str = "quantile:0.05"
    event: str = "positive"
    select_on: str = "train"
    padding: Padding = "exclude"
    shuffle_labels: bool = False
    shuffles: int = 200
    controls: int | None = None
    control_layers: str = "task"
    control_families: tuple[str, ...] | None = None
    gains: tuple[float | str, ...] | None = None
    ablate: tuple[str, ...] = ABLATE
    max_pairs: int = MAX_PAIRS
    probe_seeds: int = 3
    min_test_clips: int = 10
    ablate_clips: int | None = None
    refit_clips: int | None = None
    erasure: bool | None = None
    limit: int = 0
    replace: bool = False
    classes_are_folders: bool = False
    follow_links: bool = True
    match: tuple[str, ...] = ("auto",)
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("--stages", self.stages, STAGES)
        _one_of("--preset", self.presets, PRESETS)
        _one_of("--precision", (self.precision,), ("auto", "float32", "bfloat16"))
        _one_of("--bar-scope", (self.bar_scope,), ("task", "class"))
        _one_of("--event", (self.event,), ("positive", "high"))
        _one_of("--select-on", (self.select_on,), ("train", "all"))
        _one_of("--padding", (self.padding,), ("exclude", "include"))
        _one_of("--length", (self.length,), ("native", "unit"))
        if self.stimuli:
            _one_of("--stimuli", self.stimuli, tuple(NAMES))
        if not self.match or (len(self.match) == 1 and self.match[0] not in MATCH):
            given = self.match[0] if self.match else "empty"
            raise InputError(f"--match is {given}; expected {', '.join(MATCH)}, or two names of models and more")
        for correction in self.remap:
            if not all(part.strip() for part in correction.partition("=")[::2]):
                raise InputError(f"--remap {correction} is not known; expected WRONG=RIGHT, for instance Norway=France")
        if self.evar_dir and not os.path.isdir(user_path(self.evar_dir)):
            raise InputError(f"--evar-dir {self.evar_dir}: no such folder; give the folder of eval-audio-repr")
        _one_of("--control-layers", (self.control_layers,), ("task", "target"))
        if self.control_families is not None:
            _one_of("--control-families", self.control_families, FAMILIES)
        for option, places in (("--db", (self.db,)), ("--data-dir", self.data_dirs)):
            if not all(place.strip() for place in places):
                raise InputError(f"{option} is empty; expected a path")
        if self.import_descriptions:
            read_descriptions(self.import_descriptions)  # told of before anything is computed
            object.__setattr__(self, "describe", True)
        if self.voice:
            voice.check()
            object.__setattr__(self, "describe", True)
        if self.phrases and not self.propose:
            raise InputError(f"--phrases {self.phrases}: nobody chooses from them; name a model, --propose clap:FOLDER")
        if self.propose and not self.clap.strip():
            raise InputError(f"--propose {self.propose} is not known; expected clap:FOLDER")
        self._check_numbers()
        self._check_ablation()
        if self.weights and len(self.models) != 1:
            raise InputError("--weights needs exactly one --model to go with it")

    @property
    def clap(self) -> str:
        """Folder or hub id of the model that proposes phrases; empty where none does."""
        return self.propose.removeprefix("clap:") if self.propose.startswith("clap:") else ""

    def _check_numbers(self) -> None:
        for name in (
            "batch_size",
            "shuffles",
            "controls",
            "max_pairs",
            "probe_seeds",
            "min_test_clips",
            "ablate_clips",
            "refit_clips",
            "limit",
            "seed",
            "expansion",
            "sae_k",
            "sae_steps",
        ):
            value, option = getattr(self, name) or 0, f"--{name.replace('_', '-')}"
            if value < 0:
                raise InputError(f"{option} is {value}; expected 0 or more")
            if value > MOST and name != "seed":
                raise InputError(f"{option} is {value}; expected at most {MOST:,}")
        if self.sae_seeds not in (1, 2):
            raise InputError(f"--sae-seeds is {self.sae_seeds}; expected 1 or 2")
        if self.workers < 1:
            raise InputError(f"--workers is {self.workers}; expected 1 or more")
        if self.workers > MOST_WORKERS:
            raise InputError(f"--workers is {self.workers}; expected at most {MOST_WORKERS:,}")
        if self.seed >= 2**63:
            raise InputError(f"--seed is {self.seed}; expected less than 2**63")
        for name in ("entropy_rate", "probability_bar"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise InputError(f"--{name.replace('_', '-')} is {getattr(self, name)}; expected a share in (0, 1]")
        try:
            parse_activity(self.activity)
        except ValueError as error:
            raise InputError(f"--activity: {error}") from error

    def _check_ablation(self) -> None:
        try:
            if not self.operations():
                raise ValueError("nothing")
        except ValueError as error:
            given = ",".join(map(str, self.gains or ())) or "empty"
            raise InputError(f"--gains is {given}; expected numbers such as 0,0.5, or {' or '.join(WORDS)}") from error
        if not self.ablate:
            raise InputError("--ablate is empty; expected SELECTOR:SHARE (for instance mad:0.01) or a preset")
        choices = self.choices()
        for choice in choices:
            if choice.kind == "preset" and choice.name not in self.presets:
                raise InputError(f"--ablate {choice} needs that preset's neurons; add {choice} to --preset")
            _ = choice.key  # a file that cannot be read is told of before anything is computed
        for choice in set(choices):
            if [str(other) for other in set(choices)].count(str(choice)) > 1:
                raise InputError(
                    f"--ablate has two that the store would call '{choice}'; give the files different names"
                )

    def selections(self, entropy_rate: float | None = None) -> list[SelectionSettings]:
        """Settings of each preset; ``entropy_rate`` is a dataset's own, in force where the user gave none."""
        return [
            SelectionSettings(
                preset=preset,  # type: ignore[arg-type]
                entropy_rate=self.entropy_rate or entropy_rate or ENTROPY_RATE,
                probability_bar=self.probability_bar,
                bar_scope=self.bar_scope,  # type: ignore[arg-type]
                activity=self.activity,
            )
            for preset in self.presets
        ]

    def choices(self) -> list[Choice]:
        """How neurons are chosen; of the default, presets that were not asked for are left out."""
        if self.ablate != ABLATE:
            return [Choice.of(text) for text in self.ablate]
        usual = ABLATE if self.units == (MLP,) else ABLATE_UNITS
        return [Choice.of(text) for text in usual if text not in PRESETS or text in self.presets]

    def operations(self, unit_kind: str = MLP) -> list[Operation]:
        """What is done to the units of each target."""
        if self.gains is None:
            return [usual_operation(unit_kind)]
        return [Operation.of(gain) for gain in self.gains]

    def probes_layers(self, unit_kind: str) -> bool:
        """Whether a network seen through this kind of unit has heads on its layers: it has them once."""
        return self.probe_layers and unit_kind == self.units[0]

    def n_controls(self, families: tuple[str, ...]) -> tuple[int, int]:
        """Random sets matched in layer, and in activity too."""
        n = CONTROLS if self.controls is None else self.controls
        return n * ("layer" in families), n * ("activity" in families)

    def selection_splits(self) -> tuple[str, ...]:
        """Splits whose clips choose and rank neurons."""
        return ("train", "valid", "test") if self.select_on == "all" else ("train", "valid")

    @property
    def shown_db(self) -> str:
        """The store, without a URL's password."""
        return without_password(self.db)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, for the store."""
        rate = self.entropy_rate or f"{ENTROPY_RATE}, or the dataset's own"
        return {**asdict(self), "db": self.shown_db, "entropy_rate": rate}


def _one_of(option: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    for value in values:
        if value not in known:
            raise InputError(f"{option} '{value}' is not known; expected {', '.join(known)}")
    if not values:
        raise InputError(f"{option} is empty; expected {', '.join(known)}")


def usual_operation(unit_kind: str) -> Operation:
    """What is done to units where nothing is asked for: 0 is no natural value of one that has both signs."""
    return Operation.of(0.0 if KINDS[unit_kind].is_positive else "mean")


def ablate_clips_for(device: torch.device, wanted: int | None) -> int:
    """Test clips of a task that are ablated, 0 = all: on a CPU, ablation is what takes the time."""
    if wanted is not None:
        return wanted
    return 60 if device.type == "cpu" else 0


def refit_clips_for(device: torch.device, wanted: int | None) -> int:
    """Train clips of each head on which it is fitted again to the changed network."""
    if wanted is not None:
        return wanted
    return 60 if device.type == "cpu" else 1_000


def erasure_for(device: torch.device, wanted: bool | None) -> bool:
    """Whether erasure curves are made."""
    return device.type != "cpu" if wanted is None else wanted


def control_families_for(device: torch.device, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """Families of controls: on a CPU those matched in layer and activity alone, unless the user says otherwise."""
    if wanted is not None:
        return wanted
    return ("activity",) if device.type == "cpu" else ("layer", "activity")
