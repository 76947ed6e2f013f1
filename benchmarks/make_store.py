"""Make up a store of one full study: M2D's 36,864 neurons, 12 tasks, 338 classes, 12.5 million probabilities.

All units are described over each dataset, and on a map; beside the store lies a notebook of two lists.

    python benchmarks/make_store.py full.db [--share 0.1]

The numbers are drawn, not measured: the store has the size and the shape of a real one, for
``benchmarks/dashboard.py``. ``--share`` makes a smaller one of as many tasks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.ablation.specificity import specificity
from core.describe.descriptors import NAMES, words
from core.describe.sentence import Facts, sentence
from core.describe.terms import Term
from core.evidence.curves import COLUMNS as CURVE
from core.results import (
    Ablation,
    Attributions,
    ClipRecord,
    ClipTraces,
    DatasetRecord,
    Descriptions,
    LayerProbes,
    ModelRecord,
    NeuronPattern,
    NullSummary,
    ProbeResult,
    Selection,
    Sharing,
    Specificity,
    TaskScores,
    TokenGrid,
    TopClips,
    UnitMap,
)
from core.scoring.sharing import share_all
from db.connection.open import open_store
from db.notebook.book import open_book
from db.notebook.records import MOST_UNITS, Entry, Unit
from db.reads import study
from db.reads.pipeline import specific_sets
from db.writes.store import Store
from tests.support.records import ablations_of

N_LAYERS, WIDTH = 12, 3072
TASKS: dict[str, tuple[int, int, dict[str, int]]] = {
    "esc50": (2000, 31, {"category": 50}),
    "gise51": (2500, 31, {"event": 51}),
    "us8k": (2000, 25, {"class": 10}),
    "voxforge": (1500, 31, {"language": 6}),
    "vc1": (1500, 38, {"gender": 2}),
    "cremad": (1500, 16, {"emotion": 6}),
    "gtzan": (930, 190, {"genre": 10}),
    "nsynth": (3000, 25, {"family": 11, "pitch": 88, "octave": 8}),
    "surge": (3000, 25, {"pitch": 88, "octave": 8}),
}
"""Clips, token columns of a clip, attributes with their number of classes."""
AGREEMENT = ("margin_total", "margin_selective", "selective_total", "selective_selective")
OUTCOMES = ("total", "shift", "selective", "discrimination", "readable_offsets", "readable_refit")
OF_SEVERAL = ("nsynth", "surge", "vc1")
"""Datasets whose tasks bear their attribute's name too, as the real ones'."""
N_CONTROLS, N_TARGETS, N_TOP, N_CONTRAST = 20, 20, 8, 3
LEVELS = tuple(np.r_[np.arange(0, 1, 0.05), 0.99, 1.0].round(2).tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="share of each layer's neurons (1)")
    parser.add_argument("--models", type=int, default=1, help="models of that size (1)")
    arguments = parser.parse_args()
    started = time.monotonic()
    width = max(8, round(WIDTH * arguments.share))
    store = Store(open_store(arguments.db))
    rng = np.random.default_rng(0)
    datasets = {name: dataset(name, rng) for name in TASKS}
    for record in datasets.values():
        store.register_dataset(record)
    for number in range(arguments.models):
        name = f"m2d-made-up{f'-{number}' if number else ''}"
        write_model(store, name, width, datasets, rng)
        write_model(store, f"{name}/residual", max(8, width // 4), {"esc50": datasets["esc50"]}, rng, of=name)
    entries = {
        i: Entry(Unit("m2d-made-up", i % N_LAYERS, i // N_LAYERS), f"unit {i}", lists=("odd" if i % 2 else "even",))
        for i in range(min(MOST_UNITS, N_LAYERS * width))
    }  # fmt: skip
    open_book(arguments.db).take_in(entries)
    size = arguments.db.stat().st_size / 1e6
    print(f"{arguments.db}: {size:,.0f} MB in {time.monotonic() - started:,.0f} s")


def dataset(name: str, rng: np.random.Generator) -> DatasetRecord:
    n_clips, n_columns, attributes = TASKS[name]
    labels = {a: [f"{a} {i}" if a != "pitch" else str(21 + i) for i in rng.permutation(np.arange(n_clips) % k)]
              for a, k in attributes.items()}  # fmt: skip
    clips = tuple(
        ClipRecord(f"{name}/{i:05d}.wav", ("train", "train", "train", "valid", "test")[i % 5], n_columns * 0.16,
                   {a: values[i] for a, values in labels.items()})
        for i in range(n_clips)
    )  # fmt: skip
    return DatasetRecord(name, f"made-up/{name}", f"made-up-{name}", tuple(attributes), clips, (), "official",
                         f"made-up {name}", "benchmarks/make_store.py", "CC0-1.0")  # fmt: skip


def write_model(
    store: Store, name: str, width: int, datasets: dict[str, DatasetRecord], rng: np.random.Generator, of: str = ""
) -> None:
    """Write a model, or of an encoder ``of`` its units of another kind."""
    n_neurons = N_LAYERS * width
    edges = (50.0, 654.0, 1281.0, 2344.0, 4290.0, 8000.0)
    grid = TokenGrid(edges, 0.16, 0.16, 6.08, 38)
    model_id = store.register_model(
        ModelRecord(name, f"made-up-{name}", (width,) * N_LAYERS, 16000, 85_000_000, "made up", "CC0-1.0",
                    grids=(grid,) * N_LAYERS, unit_kind="residual" if of else "mlp", encoder=of)
    )  # fmt: skip
    run_id = store.start_run(name, {"made up": True}, 0, "0", {"numpy": np.__version__}, "cpu")
    for record in datasets.values():
        key = f"{name}/{record.name}"
        top = ranked(record.name, n_neurons, len(record.clips), N_TOP, rng)
        store.write_top_clips(run_id, f"{key}/top", model_id, top)
        if record.name == "esc50":  # the others' would be as long to read, and make 1.5 GB
            store.write_traces(run_id, f"{key}/traces", model_id, traces(record, top, n_neurons, rng))
        store.write_descriptions(run_id, f"{key}/words", model_id, descriptions(record, n_neurons, rng))
        for attribute in record.attributes:
            scores = task_scores(record, attribute, n_neurons, rng)
            store.write_scores(run_id, f"{key}/{attribute}/score", model_id, scores)
            store.write_probe(run_id, f"{key}/{attribute}/probe", model_id, probe(scores, rng))
            store.write_layer_probes(run_id, f"{key}/{attribute}/layers", model_id, layer_probes(scores, rng))
            store.write_attributions(run_id, f"{key}/{attribute}/attribution", model_id, attributions(scores, rng))
            for selection, gain in (("top 1%", 0.0), ("top 1%", 2.0), ("mad 1%", 0.0)):
                found = list(ablations(scores, selection, gain, n_neurons, rng))
                store.write_ablations(
                    run_id, f"{key}/{attribute}/{selection}/{gain}", model_id, ablations_of(scores.task, found)
                )
            print(f"  {name} {scores.task}", flush=True)
    shared = share_all(specific_sets(store.engine, name), n_neurons)
    store.write_shared(run_id, f"{name}/share", model_id, Sharing(shared))
    effects = study.ablation_effects(store.engine, name)
    store.write_specificity(run_id, f"{name}/specificity", model_id, Specificity(specificity(effects, 0)))
    store.write_map(run_id, f"{name}/map", model_id, unit_map(n_neurons, rng))
    store.finish_run(run_id, "done", {"extract": 1.0, "score": 1.0, "ablate": 1.0})


def ranked(name: str, n_neurons: int, n_clips: int, n: int, rng: np.random.Generator) -> TopClips:
    first = rng.integers(n_clips, size=(n_neurons, 1))
    clips = (first + np.arange(n) * (n_clips // n)) % n_clips
    rate = -np.sort(-rng.beta(2, 3, (n_neurons, n)), axis=1)
    return TopClips(name, clips, rate, rate * 2)


def traces(record: DatasetRecord, top: TopClips, n_neurons: int, rng: np.random.Generator) -> ClipTraces:
    contrast = {k: ranked(record.name, n_neurons, len(record.clips), N_CONTRAST, rng) for k in ("middle", "silent")}
    every = np.concatenate([top.clip_index, *(part.clip_index for part in contrast.values())], axis=1)
    shapes = (5, TASKS[record.name][1])
    drawn = [(rng.gamma(0.4, 40, shapes)).clip(0, 255).astype(np.uint8) for _ in range(64)]
    patterns = (
        (neuron, [NeuronPattern(clip, 2.0, drawn[(neuron + rank) % 64]) for rank, clip in enumerate(clips)])
        for neuron, clips in enumerate(every.tolist())
    )
    values = np.sort(rng.gamma(1, 0.1, (n_neurons, len(LEVELS))), axis=1).astype(np.float32)
    return ClipTraces(record.name, contrast, patterns, LEVELS, values)


def task_scores(record: DatasetRecord, attribute: str, n_neurons: int, rng: np.random.Generator) -> TaskScores:
    names = tuple(sorted({str(c.labels[attribute]) for c in record.clips}, key=lambda n: int(n.split()[-1])))
    n_classes, n_columns = len(names), TASKS[record.name][1]
    clips = np.bincount([names.index(str(c.labels[attribute])) for c in record.clips if c.split != "test"])
    tokens = clips * n_columns * 5
    rate = rng.beta(1, 12, n_neurons) * rng.uniform(0.7, 1.3, (n_classes, n_neurons))
    chosen = rng.random(n_neurons) < 0.05
    rate[rng.integers(n_classes, size=chosen.sum()), np.flatnonzero(chosen)] *= 6
    counts = rng.binomial(tokens[:, None], rate.clip(0, 0.95))
    probability = counts / tokens[:, None]
    share = probability / np.maximum(probability.sum(axis=0), 1e-12)
    entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(axis=0)
    p = rng.random(n_neurons)
    task = f"{record.name}-{attribute}" if record.name in OF_SEVERAL else record.name
    return TaskScores(
        record.name, attribute, task, names, clips, counts, tokens, entropy,
        tuple(selection(preset, probability, entropy, rng) for preset in ("aape", "lape", "calibrated")),
        ("duration, level and silence alone tell the class: made up",), int(clips.sum()), "clips", p, p,
        curve(n_classes, rng), tables(names, attribute, n_neurons, n_classes, rng),
    )  # fmt: skip


def selection(preset: str, probability: np.ndarray, entropy: np.ndarray, rng: np.random.Generator) -> Selection:
    lift = probability * (len(probability) - 1) / np.maximum(probability.sum(axis=0) - probability, 1e-9)
    mask = (lift > 3) & (probability > 0.02)
    if preset != "calibrated":
        mask &= entropy < np.quantile(entropy, 0.01)
    class_index, neuron = np.nonzero(mask)
    n = len(neuron)
    pairs = pd.DataFrame({
        "class_index": class_index, "neuron_index": neuron, "activation_probability": probability[mask],
        "entropy": entropy[neuron], "lift": lift[mask], "p_value": 10 ** -rng.uniform(3, 9, n),
        "q_value": 10 ** -rng.uniform(1.4, 6, n), "replicated": (rng.random(n) < 0.8).astype(float),
        "lift_low": lift[mask] * 0.8, "lift_high": lift[mask] * 1.2,
        "explained_by": np.where(rng.random(n) < 0.1, "level", ""),
    })  # fmt: skip
    covered = len(np.unique(class_index)) / len(probability)
    null = NullSummary(200, covered * 0.1, 0.0, covered * 0.3, 12.0, 15.0, 5.0, 20.0, 6.0, 30.0)
    return Selection(preset, {"entropy_rate": 0.01, "probability_bar": 0.95, "lift": 2.0}, pairs, null, 0.2)


def curve(n_classes: int, rng: np.random.Generator) -> pd.DataFrame:
    points = pd.MultiIndex.from_product(
        [["aape", "lape"], [0.0025, 0.005, 0.01, 0.02, 0.05, 0.1], [0.8, 0.9, 0.95, 0.97, 0.99]],
        names=["preset", "entropy_rate", "probability_bar"],
    ).to_frame(index=False)
    coverage = rng.random(len(points))
    return points.assign(
        **dict.fromkeys([name for name in CURVE if name not in points], 0.0),
    ).assign(coverage=coverage, n_classes_covered=(coverage * n_classes).astype(int), n_class_specific=300,
             null_coverage_high=0.2, null_n_class_specific_high=20.0, n_shuffles=50)  # fmt: skip


def unit_map(n_neurons: int, rng: np.random.Generator) -> UnitMap:
    """Units in 60 heaps."""
    places = rng.random((60, 2))[rng.integers(60, size=n_neurons)] + rng.normal(0, 0.03, (n_neurons, 2))
    places -= places.min(axis=0)
    places /= places.max()
    facts = {"method": "made up", "method_version": 1, "seed": 0, "datasets": ", ".join(TASKS), "n_clips": 2000,
             "trustworthiness": 0.9, "trustworthiness_chance": 0.5, "n_neighbours": 10, "n_checked": 2000}  # fmt: skip
    return UnitMap(pd.DataFrame({"neuron_index": np.arange(n_neurons), "x": places[:, 0], "y": places[:, 1]}), facts)


def grid_of(n_neurons: int, n_classes: int) -> pd.DataFrame:
    return pd.DataFrame({
        "neuron_index": np.repeat(np.arange(n_neurons), n_classes),
        "class_index": np.tile(np.arange(n_classes), n_neurons),
    })  # fmt: skip


def tables(
    names: tuple[str, ...], attribute: str, n_neurons: int, n_classes: int, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    grid = grid_of(n_neurons, n_classes)
    scores = {name: rng.normal(size=len(grid)) for name in ("mad", "cas", "auroc", "d_prime", "selectivity_index")}
    rho = {f"rho_{name}": rng.uniform(-0.3, 0.3, n_neurons) for name in ("level", "duration", "silence")}
    some = rng.choice(n_neurons, n_neurons // 20, replace=False)
    odds = pd.DataFrame(
        {"neuron_index": np.repeat(some, n_classes), "class_index": np.tile(np.arange(n_classes), len(some))}
    )
    value = rng.normal(size=len(odds))
    made = {
        "selector_score": grid.assign(**scores),
        "neuron_confound": pd.DataFrame({"neuron_index": np.arange(n_neurons), **rho}),
        "neuron_preference": odds.assign(log_odds=value, ci_low=value - 0.4, ci_high=value + 0.4),
        "stability": pd.DataFrame([
            {"preset": p, "n_halves": 5, "whole_groups": 0, "n_pairs_mean": 900.0, "jaccard_mean": 0.4,
             "jaccard_low": 0.38, "jaccard_high": 0.43, "jaccard_expected": 0.01, "entropy_spearman": 0.8,
             "n_draws": None, "share_of_draws": np.nan, "share_expected": np.nan}
            for p in ("aape", "lape", "calibrated")]),
        "confound_probe": pd.DataFrame([
            {"feature": f, "group_name": "", "metric": "accuracy", "accuracy": a, "ci_low": a - 0.05,
             "ci_high": a + 0.05, "chance": 1 / n_classes, "n_clips": 400, "mark": "", "reason": ""}
            for f, a in (("model", 0.9), ("level", 0.1), ("spectrum", 0.5))]),
    }  # fmt: skip
    if attribute == "pitch":
        pitch = rng.integers(21, 109, len(some))
        numbers = {name: rng.random(len(some)) for name in ("peak_rate", "floor_rate", "octave_equivalence_index")}
        near = {
            f"{name}_{end}": pitch + step
            for name in ("preferred", "center")
            for end, step in (("low", -1.0), ("high", 1.0))
        }
        made["pitch_tuning"] = pd.DataFrame({
            "neuron_index": some, **numbers, "preferred_pitch": pitch, "center": pitch.astype(float), **near,
            "bandwidth_semitones": 4.0, "bandwidth_low": 3.0, "bandwidth_high": 6.0, "oei_low": -0.1, "oei_high": 0.6,
        })  # fmt: skip
    return made


def probe(scores: TaskScores, rng: np.random.Generator) -> ProbeResult:
    chance = 1 / len(scores.class_names)
    rows = [("test", None, 400, 0.9, chance, "accuracy")]
    rows += [("test", name, 8, float(rng.uniform(0.7, 1)), chance, "accuracy") for name in scores.class_names]
    columns = ["split", "class_name", "n_clips", "accuracy", "chance", "metric"]
    return ProbeResult(scores.task, pd.DataFrame(rows, columns=columns), {"C": 0.01})


def layer_probes(scores: TaskScores, rng: np.random.Generator) -> LayerProbes:
    """Heads that read better and better."""
    chance, rows = 1 / len(scores.class_names), []
    sizes: list[tuple[str | None, int]] = [(None, 400), *((name, 8) for name in scores.class_names)]
    for layer in range(-1, N_LAYERS):
        r = chance + (0.9 - chance) * (layer + 1) / N_LAYERS
        for name, n in sizes:
            at = float(np.clip(r + rng.normal(0, 0.02), 0, 1))
            shuffled = chance * 1.6 if name is None else np.nan
            rows.append((layer, "test", name, n, at, at - 0.05, at + 0.05, chance, "accuracy", shuffled))
    weights = np.full(N_LAYERS + 1, 1 / (N_LAYERS + 1))
    ends = ("accuracy", "low", "high", "difference", "difference_low", "difference_high")
    told = {f"{of}_{end}": 0.9 if i < 3 else 0.01 for of in ("best", "weighted") for i, end in enumerate(ends)}
    summary = {"best_layer": N_LAYERS - 2, "chosen_on": "valid", "shuffled": "clips", **told}
    columns = ["layer", "split", "class_name", "n_clips", "accuracy", "ci_low", "ci_high", "chance", "metric",
               "shuffled_high"]  # fmt: skip
    of_layers = pd.DataFrame(
        {"layer": range(-1, N_LAYERS), "weight": weights, "weight_low": 0.8 * weights, "weight_high": 1.2 * weights}
    )
    return LayerProbes(scores.task, pd.DataFrame(rows, columns=columns), of_layers, summary)


def descriptions(record: DatasetRecord, n_neurons: int, rng: np.random.Generator) -> Descriptions:
    """Of nine in ten units, one to three terms each."""
    attribute = record.attributes[0]
    classes = sorted({str(clip.labels[attribute]) for clip in record.clips})
    known = [Term("descriptor", name, how) for name in NAMES for how in ("high", "very high", "low")]
    known += [Term("class", name) for name in classes]
    units = np.flatnonzero(rng.random(n_neurons) < 0.9)
    r, high = rng.uniform(0.05, 0.8, len(units)), rng.uniform(0.1, 0.5, len(units))
    said, predicts = [], []
    n_terms, near = rng.integers(1, 4, len(units)), rng.integers(len(classes), size=len(units))
    for one, n, of_class in zip(r, n_terms, near, strict=True):
        terms = [known[i] for i in rng.choice(len(known), n, replace=False)]
        predicts.append("; ".join(map(str, terms)))
        said.append(sentence(terms, Facts(float(one), 0.05, (classes[of_class],), level_share=float(one) / 2)))
    described = pd.DataFrame({
        "neuron_index": units, "description": said, "author": "atlas", "predicts": predicts, "correlation": r,
        "average_precision": r, "f1": r, "iou": r / 2, "shifted_high": 0.05, "null_correlation_high": high,
        "beats_null": (r > high).astype(int),
    })  # fmt: skip
    shares = rng.uniform(-0.02, 0.4, (2, n_neurons))
    explained = pd.DataFrame({
        "neuron_index": np.arange(n_neurons), "n_terms": np.isin(np.arange(n_neurons), units).astype(int),
        "by_classes": shares[0], "by_descriptors": shares[1], "by_both": shares.max(axis=0), "by_level": 0.01,
        "validated": shares.max(axis=0), "validated_high": 0.01,
    })  # fmt: skip
    facts = {"n_clips": 400, "n_held_out": 400, "n_dealt": 200, "n_shifts": 39, "words_json": json.dumps(words())}
    return Descriptions(record.name, "atlas", described, explained, facts)


def attributions(scores: TaskScores, rng: np.random.Generator) -> Attributions:
    n_classes, n_neurons = scores.positive_counts.shape
    grid = grid_of(n_neurons, n_classes)
    drawn = rng.normal(0, 0.01, (2, len(grid)))
    neurons = grid.assign(attribution=drawn[0], standard_error=0.003, n_clips=5, selective=drawn[1])
    checks = grid.sample(250, random_state=0).assign(in_highest=0)
    checks["attribution"] = rng.normal(0, 0.01, 250)
    checks["measured"] = checks["attribution"] + rng.normal(0, 0.003, 250)
    checks = checks.assign(selective=0.0, measured_total=checks["measured"], measured_selective=0.0)
    told = {"n_clips": 250, "n_checked": 250, "n_clips_checked": 2, "spearman_all": 0.9, "spearman_random": 0.9,
            "spearman_highest": 0.8, **dict.fromkeys(AGREEMENT, 0.5)}  # fmt: skip
    return Attributions(scores.task, scores.class_names, neurons, checks, told)


def ablations(
    scores: TaskScores, selection: str, gain: float, n_neurons: int, rng: np.random.Generator
) -> Iterator[Ablation]:
    for target in scores.class_names[:N_TARGETS]:
        rows, controls = [], rng.normal(0, 0.01, (N_CONTROLS, len(scores.class_names) + 1))
        for name in (None, *scores.class_names):
            delta = float(rng.normal(-0.1 if name == target else 0, 0.03))
            rows.append({
                "class_name": name, "n_clips": 400 if name is None else 8, "accuracy_unablated": 0.9,
                "accuracy_ablated": 0.9 + delta, "delta": delta, "ci_low": delta - 0.05, "ci_high": delta + 0.05,
                "p_value": float(rng.random()), "q_value": float(rng.random()), "control_delta_mean": 0.0,
                "control_delta_low": -0.02, "control_delta_high": 0.02, "n_controls": N_CONTROLS,
                "control_p_value": 0.05, "beyond_control": delta, "beyond_control_low": delta - 0.05,
                "beyond_control_high": delta + 0.05,
                "activity_control_delta_mean": np.nan, "activity_control_delta_low": np.nan,
                "activity_control_delta_high": np.nan, "n_activity_controls": 0, "group_ci_low": np.nan,
                "group_ci_high": np.nan, "n_heads": 3, "delta_heads_low": delta, "delta_heads_high": delta,
            })  # fmt: skip
        neurons = np.sort(rng.choice(n_neurons, n_neurons // 100, replace=False))
        apart = taken_apart(len(rows), 1 + scores.class_names.index(target), rng)
        yield Ablation(
            scores.task, selection, target, gain, neurons, pd.DataFrame(rows), controls, outcomes=apart,
            of_controls=controls_apart(len(rows), rng),
        )  # fmt: skip


def taken_apart(n_rows: int, own: int, rng: np.random.Generator) -> pd.DataFrame:
    """Every outcome of every row; the class's own falls."""
    grid = pd.MultiIndex.from_product([range(n_rows), OUTCOMES], names=["position", "outcome"]).to_frame(index=False)
    change = rng.normal(0, 0.1, len(grid)) - (grid["position"] == own)
    return grid.assign(
        unablated=0.9, change=change, change_low=change - 0.2, change_high=change + 0.2, control_mean=0.0,
        control_low=-0.1, control_high=0.1, beyond_control=change, beyond_low=change - 0.2, beyond_high=change + 0.2,
        p_value=rng.random(len(grid)), q_value=rng.random(len(grid)), heads_low=change, heads_high=change,
        n_controls=N_CONTROLS, n_units=8, n_heads=3, outside_controls=(change < -0.2).astype(int),
    )  # fmt: skip


def controls_apart(n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """What each random set did to each row."""
    draws = pd.MultiIndex.from_product([range(n_rows), range(N_CONTROLS)], names=["position", "draw"])
    frame = draws.to_frame(index=False)
    return frame.assign(**{name: rng.normal(0, 0.05, len(frame)) for name in OUTCOMES[:4]})


if __name__ == "__main__":
    main()
