"""The options of the command line, and what they become."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple, NoReturn

from core.ablation.operations import WORDS
from core.errors import InputError
from core.run.config import ABLATE, ABLATE_UNITS, CONTROLS, ENTROPY_RATE, STAGES, AnalysisConfig
from core.selectivity.presets import PRESETS
from core.selectivity.selectors import SELECTORS
from core.stimuli.names import NAMES, parse_stimuli
from core.units.kinds import KINDS, parse_kinds


class Command(NamedTuple):
    """What the command line asks for.

    Attributes
    ----------
    config : AnalysisConfig
    show_list : bool
    report, log_json, manifest : str
        Where ``--report``, ``--log-json`` and ``--write-manifest`` go; empty where they were not given.
    """

    config: AnalysisConfig
    show_list: bool = False
    report: str = ""
    log_json: str = ""
    manifest: str = ""


def parse(argv: Sequence[str] | None) -> Command:
    """Read the command line."""
    given = vars(_parser().parse_args(argv))
    show_list, report, log_json = given.pop("list"), given.pop("report"), given.pop("log_json")
    manifest = given.pop("write_manifest")
    paths = (
        ("report", report, "report.html"),
        ("log-json", log_json, "run.jsonl"),
        ("write-manifest", manifest, "manifest.csv"),
    )
    for option, path, example in paths:
        if path is not None and not path.strip():
            raise InputError(f"--{option} is empty; expected a file such as {example}")
    known = {f.name for f in fields(AnalysisConfig)}
    assert set(given) <= known
    if given["units"] is not None:
        given["units"] = parse_kinds(given["units"])
    if given["stimuli"] is not None:
        given["stimuli"] = parse_stimuli(given["stimuli"])
    if given["sae"]:
        given["sae"] = tuple(given["sae"])
    if given["models"]:
        given["models"] = tuple(dict.fromkeys(given["models"]))
    config = AnalysisConfig(**{k: v for k, v in given.items() if v is not None})
    return Command(config, show_list, report or "", log_json or "", manifest or "")


def _commas(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None


def _gains(text: str) -> tuple[float | str, ...]:
    return tuple(part if part in WORDS else _gain(part) for part in _commas(text))


def _gain(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number, {' or '.join(WORDS)}") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def _auto(text: str) -> int:
    return 0 if text == "auto" else _whole(text)


def _controls(text: str) -> int | None:
    return None if text == "auto" else _whole(text)


def _on(text: str) -> bool | None:
    if text not in ("on", "off", "auto"):
        raise argparse.ArgumentTypeError(f"expected on, off or auto, got {text}")
    return {"on": True, "off": False}.get(text)


def _clips(text: str) -> int | None:
    return None if text == "auto" else 0 if text == "all" else _whole(text)


class _Parser(argparse.ArgumentParser):
    """Wrong usage in one line, as all other input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; --help shows all options")


def _parser() -> argparse.ArgumentParser:
    d = AnalysisConfig()
    p = _Parser(
        prog="run_analysis.py",
        description="Record the MLP neurons of audio transformers, score how selective they are, ablate them, "
        "and keep everything in a store that can be asked in SQL.",
        epilog="Exit codes: 0 all done; 1 some tasks failed, the others are stored; 2 wrong usage or input; "
        "130 stopped by the user.",
    )
    what = p.add_argument_group("what")
    what.add_argument(
        "--tasks", metavar="all|NAME,NAME", help="tasks to run; all = every task whose data is found (all)"
    )
    what.add_argument(
        "--model",
        dest="models",
        action="append",
        metavar="[NAME=]MODEL",
        help="encoder, which may be given a name of your own; repeatable (nano-ssl and nano-sl)",
    )
    what.add_argument(
        "--untrained",
        action="store_true",
        default=None,
        help="add each model's untrained twin: the same architecture with newly drawn weights",
    )
    what.add_argument(
        "--units",
        metavar="K,K",
        help=f"kinds of unit that are recorded, scored and ablated, of {','.join(KINDS)} (mlp: neurons)",
    )
    what.add_argument(
        "--sae",
        action="append",
        metavar="LAYER=PATH",
        help="sparse autoencoder of a block's output, for --units sae: a folder of SAELens, or a .safetensors file; "
        "repeatable",
    )
    what.add_argument(
        "--train-sae", metavar="N,N|all", help="train the autoencoders of these layers here, from 0, for --units sae"
    )
    what.add_argument(
        "--expansion", type=_whole, metavar="N", help=f"their features a dimension of the stream ({d.expansion})"
    )
    what.add_argument("--k", dest="sae_k", type=_whole, metavar="N", help=f"features of a token they keep ({d.sae_k})")
    what.add_argument(
        "--sae-steps", type=_whole, metavar="N", help=f"steps of 1,024 tokens they are trained for ({d.sae_steps:,})"
    )
    what.add_argument(
        "--sae-seeds",
        type=_whole,
        metavar="N",
        help=f"trainings of each, 1 or 2: of two, the share of features that is found again is told ({d.sae_seeds})",
    )
    what.add_argument("--weights", metavar="PATH", help="checkpoint of the model, where it needs one")
    what.add_argument(
        "--weights-config",
        metavar="LAYOUT",
        help="M2D: input, patch and rate in place of those in the checkpoint's name, for instance 80x608p16x16p16k",
    )
    what.add_argument(
        "--confirm-structure",
        action="store_true",
        help="use a Hugging Face model of a type that is not known here as its structure was found to be",
    )
    what.add_argument(
        "--data-dir",
        dest="data_dirs",
        action="append",
        metavar="[NAME=]DIR",
        help="folder that holds datasets, or is one and may be named, or hf:OWNER/NAME; repeatable (the embedded demo)",
    )
    what.add_argument(
        "--classes-are-folders",
        action="store_true",
        default=None,
        help="take folders for classes though they are named like folds, parts or numbered buckets",
    )
    what.add_argument(
        "--no-follow-links",
        dest="follow_links",
        action="store_false",
        default=None,
        help="for archives of strangers: read nothing that a link leads to outside of the folders named",
    )
    what.add_argument(
        "--evar-dir", metavar="DIR", help="your own copy of EVAR (eval-audio-repr): its splits are used (none)"
    )
    what.add_argument(
        "--remap",
        type=_commas,
        metavar="A=B,C=D",
        help="corrections of published labels, for instance Norway=France in VoxCeleb1 (none)",
    )
    what.add_argument(
        "--length", help="native, or unit: clips cropped or filled with zeros to EVAR's length of the dataset (native)"
    )
    what.add_argument(
        "--strict",
        action="store_true",
        default=None,
        help="stop before computing where a dataset is not whole or not as published",
    )
    what.add_argument(
        "--limit", type=_whole, metavar="N", help="at most N clips a dataset, drawn evenly over classes (all)"
    )
    what.add_argument(
        "--replace",
        action="store_true",
        default=None,
        help="delete what the store holds of a dataset that has changed, or of another one of the same name",
    )
    what.add_argument("--list", action="store_true", help="show models, datasets and tasks that are found, and stop")
    what.add_argument(
        "--write-manifest",
        metavar="PATH",
        help="write the one dataset of --data-dir as a manifest.csv, to be mended or added to, and stop",
    )
    what.add_argument(
        "--probe-layers",
        action="store_true",
        default=None,
        help="linear heads on every layer's output, too, and on a weighted sum of all; clips recorded without it are "
        "recorded again",
    )
    what.add_argument(
        "--describe",
        action="store_true",
        default=None,
        help="tell every unit in words, by classes and by what its clips sound like, and score that on held-out clips",
    )
    what.add_argument(
        "--voice",
        action="store_true",
        default=None,
        help="--describe with formants, jitter and shimmer by Praat among what is heard (needs the extra voice)",
    )
    what.add_argument(
        "--import-descriptions",
        metavar="CSV",
        help="score others' descriptions in the same way: columns model, layer, unit, description, or more",
    )
    what.add_argument(
        "--propose",
        metavar="clap:FOLDER",
        help="a CLAP model, by its folder or hub id, that proposes a phrase for each unit; scored in the same way",
    )
    what.add_argument(
        "--phrases",
        metavar="PATH",
        help="text file with the phrases that it chooses from, one a line (names of classes and of what is heard)",
    )
    what.add_argument(
        "--map",
        dest="map_units",
        action="store_true",
        default=None,
        help="a map of all units of each model, those that respond alike near one another: half a minute for "
        "4,600 units, five minutes for 37,000",
    )
    what.add_argument(
        "--stimuli",
        metavar="all|S,S",
        help=f"made sounds through each model, with everything but named factors held, of {','.join(NAMES)}: which "
        "factor each unit answers to, beside permuted labels",
    )
    what.add_argument("--stages", type=_commas, metavar="S,S", help=f"of {','.join(STAGES)} (all)")
    what.add_argument(
        "--report",
        metavar="PATH",
        help="write what the store (--db) holds as one HTML file, tables and figures, and stop: no study is run",
    )
    where = p.add_argument_group("where and how")
    where.add_argument("--db", metavar="PATH|URL", help=f"the store ({d.db})")
    where.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps (auto)")
    where.add_argument("--batch-size", type=_auto, metavar="N|auto", help="clips in one forward pass (auto)")
    where.add_argument("--precision", help="float32, bfloat16 or auto (auto = float32)")
    where.add_argument("--workers", type=_whole, metavar="N", help=f"threads that read audio ({d.workers})")
    where.add_argument(
        "--log-json",
        nargs="?",
        const="-",
        metavar="PATH|-",
        help="append what happens to a file as JSON lines, one event a line; - (or nothing) = standard output, and "
        "text for people then goes to stderr",
    )
    how = p.add_argument_group("selection")
    how.add_argument(
        "--preset",
        dest="presets",
        type=_commas,
        metavar="P,P",
        help=f"of {','.join(PRESETS)} (all, stored side by side)",
    )
    how.add_argument(
        "--entropy-rate",
        type=_number,
        metavar="R",
        help=f"share of neurons kept by entropy ({ENTROPY_RATE}, or the dataset's own)",
    )
    how.add_argument(
        "--probability-bar",
        type=_number,
        metavar="Q",
        help=f"quantile of all probabilities a class must exceed ({d.probability_bar})",
    )
    how.add_argument("--bar-scope", help=f"task or class ({d.bar_scope})")
    how.add_argument("--activity", metavar="RULE", help=f"quantile:R or any-above:Q ({d.activity})")
    how.add_argument("--event", help=f"positive or high ({d.event})")
    how.add_argument("--select-on", help=f"train (train and valid clips) or all ({d.select_on})")
    how.add_argument("--padding", help=f"exclude or include tokens that hold padding ({d.padding})")
    how.add_argument(
        "--match",
        type=_commas,
        metavar="M,M",
        help="models whose units are matched by their responses: run (every two of this run, kind by kind), store "
        "(those with all that the store holds, too), none, or names (auto: run, but no large ones on a CPU)",
    )
    ablation = p.add_argument_group("null and ablation")
    ablation.add_argument("--shuffles", type=_whole, metavar="N", help=f"label shuffles of the null ({d.shuffles})")
    ablation.add_argument(
        "--controls",
        type=_controls,
        metavar="N|auto",
        help=f"random sets of each family beside each ablated set (auto: {CONTROLS})",
    )
    ablation.add_argument(
        "--control-layers",
        help="task: controls are shared by a task's targets of one size and have their mean layer profile; "
        f"target: each target its own, in exactly its layers ({d.control_layers})",
    )
    ablation.add_argument(
        "--control-families",
        type=_commas,
        metavar="F,F",
        help="layer: as many neurons of the same layers; activity: that fire as often, too "
        "(auto: activity on a CPU, else both)",
    )
    ablation.add_argument(
        "--gains",
        type=_gains,
        metavar="G,G",
        help="what is done to the neurons: factors; mean = set to their mean; keep = all others of their layers "
        "set to theirs (0; for units that have both signs, mean)",
    )
    ablation.add_argument(
        "--ablate",
        type=_commas,
        metavar="A,A",
        help="SCORE:SHARE (highest score for the class), top:SHARE (strongest evidence), pairs:SHARE (of classes), "
        "each with n=COUNT or norm=NORM (of the stream) in place of a share, file:PATH (columns name, layer, neuron), "
        f"or a preset's own sets; selectivity scores are {', '.join(SELECTORS)} ({','.join(ABLATE)}; with other units "
        f"than neurons {','.join(ABLATE_UNITS)})",
    )
    ablation.add_argument(
        "--max-pairs", type=_whole, metavar="N", help=f"pairs of classes that pairs:SHARE takes ({d.max_pairs})"
    )
    ablation.add_argument(
        "--probe-seeds",
        type=_whole,
        metavar="N",
        help=f"probes refitted on resampled train clips, asked beside the main one ({d.probe_seeds})",
    )
    ablation.add_argument(
        "--shuffle-labels",
        action="store_true",
        default=None,
        help="permute the labels over the clips first: whatever is found then is chance",
    )
    ablation.add_argument(
        "--ablate-clips",
        type=_clips,
        metavar="N|all|auto",
        help="test clips of a task that are ablated, drawn evenly over classes, at least --min-test-clips a class "
        "(auto: 60 on a CPU, else all)",
    )
    ablation.add_argument(
        "--refit-clips",
        type=_controls,
        metavar="N|auto",
        help="train clips on which probes are refitted to the changed network, at least 5 a class; 0: not at all "
        "(auto: 60 on a CPU, else 1000)",
    )
    ablation.add_argument(
        "--erasure-curves",
        dest="erasure",
        type=_on,
        metavar="on|off|auto",
        help="take out 1, 2, 4, ... of each class's neurons in several orders (auto: off on a CPU)",
    )
    ablation.add_argument(
        "--min-test-clips",
        type=_whole,
        metavar="N",
        help=f"ablate only classes with so many test clips ({d.min_test_clips})",
    )
    ablation.add_argument("--seed", type=_whole, metavar="N", help=f"of every random draw ({d.seed})")
    return p
