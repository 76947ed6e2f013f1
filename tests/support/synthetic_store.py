"""A small, seeded, made-up study in a real store, written through ``Store``: for tests and for
working on the dashboard.

As a script: ``python -m tests.support.synthetic_store atlas.db [AUDIO_FOLDER]``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.results import (
    Ablation,
    ClipRecord,
    ClipTraces,
    DatasetRecord,
    Matching,
    ModelRecord,
    NeuronPattern,
    NullSummary,
    Partners,
    ProbeResult,
    Problem,
    Selection,
    SharedNeurons,
    Sharing,
    TaskScores,
    TokenGrid,
    TopClips,
)
from db.connection.open import open_store
from db.writes.store import Store
from tests.support.records import ablations_of

LAYER_WIDTHS = (64,) * 6
N_NEURONS = sum(LAYER_WIDTHS)
TOKENS_PER_CLIP = 50
SAMPLE_RATE = 16000
DATASETS: dict[str, dict[str, tuple[str, ...]]] = {
    "notes": {
        "pitch": ("A3", "B3", "C4", "D4", "E4", "F4", "G4", "A4"),
        "family": ("bass", "brass", "flute", "guitar", "organ"),
    },
    "rooms": {
        "event": ("bell", "cough", "dog", "door", "rain", "siren", "train", "wind"),
        "place": ("indoors", "outdoors"),
    },
    "voices": {
        "emotion": ("anger", "disgust", "fear", "happiness", "neutral", "sadness"),
        "gender": ("female", "male"),
    },
}
CLIPS_PER_DATASET = 96
GRID = TokenGrid((50.0, 654.26, 1281.11, 2344.34, 4289.97, 8000.0), 0.16, 0.16, 2.08, 13)
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


def build_store(
    path: str | Path,
    models: Sequence[str] = ("nano-ssl", "nano-sl"),
    seed: int = 0,
    audio_root: str | Path | None = None,
) -> Path:
    """Fill a store with a made-up study and return its path.

    Parameters
    ----------
    path : str or Path
        An SQLite file; made if missing, otherwise added to.
    models : sequence of str
        Names of the encoders; each of 6 layers of 64 neurons.
    seed : int
        The same seed gives the same results.
    audio_root : str or Path, optional
        Where to write a FLAC tone for every clip, so that clips can be played.
    """
    rng = np.random.default_rng(seed)
    engine = open_store(path)
    store = Store(engine)
    datasets = {name: _dataset(name, rng, audio_root) for name in DATASETS}
    for record in datasets.values():
        store.register_dataset(record)
    for number, name in enumerate(models):
        run_id = _write_model(store, name, strength=4.0 - 1.5 * (number % 3), datasets=datasets, rng=rng)
    if len(models) > 1:
        _write_matching(store, run_id, (models[0], models[1]), datasets)
    engine.dispose()
    return Path(path)


def _write_matching(store: Store, run_id: int, models: tuple[str, str], datasets: dict[str, DatasetRecord]) -> None:
    """Draw partners: every fourth neuron of the first has one, the next in number of the second."""
    rng = np.random.default_rng(7)
    neurons = np.arange(N_NEURONS)
    model_id = store.register_model(_model(models[0]))
    facts = {
        "n_clips": 80, "n_held_out": 16, "n_sampling_units": 80, "dealt": "clips", "n_deals": 24,
        "taken_out": "event, place",
    }  # fmt: skip
    for dataset in datasets:
        is_partner, is_beyond = neurons % 4 == 0, neurons % 8 == 0
        r = np.where(is_partner, rng.uniform(0.6, 0.9, N_NEURONS), rng.uniform(0.2, 0.5, N_NEURONS))
        units = pd.DataFrame(
            {
                "correlation": r, "second": r - 0.1, "mutual": is_partner, "is_partner": is_partner,
                "is_beyond": is_beyond, "p_value": np.where(is_partner, 1e-4, 0.5),
                "q_value": np.where(is_partner, 4e-4, 0.6), "null_high": 0.35, "held_out": r - 0.05,
                "held_out_low": r - 0.15, "held_out_high": r + 0.05, "within": r - 0.3, "within_low": r - 0.5,
                "within_high": r - 0.1, "within_p": 0.01, "within_q": np.where(is_beyond, 0.02, 0.2),
            }
        )  # fmt: skip
        there = units.assign(neuron_index=neurons, partner_index=np.roll(neurons, -1))
        back = units.assign(neuron_index=np.roll(neurons, -1), partner_index=neurons)
        record = Matching(dataset, models, (Partners(there, 0.01, 0.02), Partners(back, 0.01, 0.02)), facts)
        store.write_matching(run_id, f"{dataset}/match", model_id, record)


def _dataset(name: str, rng: np.random.Generator, audio_root: str | Path | None) -> DatasetRecord:
    """Make a dataset whose splits are 4 : 1 : 1; one clip in 12 lacks the second label."""
    root = Path(audio_root if audio_root is not None else "synthetic-audio") / name
    first, second = DATASETS[name]
    clips = []
    for index in range(CLIPS_PER_DATASET):
        labels = {first: DATASETS[name][first][index % len(DATASETS[name][first])]}
        if index % 12 != 11:
            labels[second] = str(rng.choice(DATASETS[name][second]))
        split = ("train", "train", "train", "train", "valid", "test")[index // 8 % 6]
        duration = float(np.round(rng.uniform(0.6, 1.2), 2))
        clips.append(ClipRecord(f"{split}/{name}-{index:03d}.flac", split, duration, labels))
        if audio_root is not None:
            _write_tone(root / clips[-1].path, duration, 220.0 * 2 ** (index % 24 / 12))
    return DatasetRecord(
        name=name,
        root=str(root.absolute()),
        content_key=f"synthetic-{name}",
        attributes=(first, second),
        clips=tuple(clips),
        problems=(Problem("train/broken.flac", "cannot be decoded"),) if name == "rooms" else (),
        split_origin="ours" if name == "rooms" else "official",
        description=f"Made-up {name}",
        source="tests/support/synthetic_store.py",
        licence="CC0-1.0",
    )


def _write_tone(path: Path, seconds: float, frequency: float) -> None:
    """Write a decaying tone."""
    import soundfile  # type: ignore[import-untyped]

    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = 0.3 * np.sin(2 * np.pi * frequency * time) * np.exp(-2 * time)
    soundfile.write(path, wave.astype(np.float32), SAMPLE_RATE)


def _model(name: str) -> ModelRecord:
    """A made-up encoder."""
    return ModelRecord(
        name=name,
        weights_key=f"synthetic-{name}",
        layer_widths=LAYER_WIDTHS,
        sample_rate=SAMPLE_RATE,
        n_parameters=1_234_567,
        description=f"Made-up encoder {name}",
        licence="Apache-2.0",
        grids=(GRID,) * len(LAYER_WIDTHS),
    )


def _write_model(
    store: Store,
    name: str,
    strength: float,
    datasets: dict[str, DatasetRecord],
    rng: np.random.Generator,
) -> int:
    """Write one model's results, and return its run; ``strength`` says how selective its neurons are."""
    model_id = store.register_model(_model(name))
    config = {"preset": ["aape", "lape", "calibrated"], "shuffles": 200}
    run_id = store.start_run(name, config, 0, "0.0.0", {"numpy": np.__version__}, "cpu")
    chosen: dict[str, list[tuple[str, str, set[int]]]] = {}
    for dataset in datasets.values():
        key = f"{name}/{dataset.name}"
        top = _top_clips(dataset, rng)
        store.write_top_clips(run_id, f"{key}/top_clips", model_id, top)
        store.write_traces(run_id, f"{key}/traces", model_id, _traces(dataset, top))
        for attribute in dataset.attributes:
            scores = _scores(dataset, attribute, strength, rng)
            task = scores.task
            store.write_scores(run_id, f"{key}/{task}/score", model_id, scores)
            store.write_probe(run_id, f"{key}/{task}/probe", model_id, _probe(scores, rng))
            if task != "rooms-place":  # as where a split lacks what a probe needs
                ablations = _ablations(scores, rng)
                store.write_ablations(run_id, f"{key}/{task}/ablate", model_id, ablations_of(task, ablations))
            for selection in scores.selections:
                chosen.setdefault(selection.preset, []).extend(_by_class(scores, selection))
    shared = [SharedNeurons(preset, _shared(sets)) for preset, sets in chosen.items()]
    store.write_shared(run_id, f"{name}/share", model_id, Sharing(shared))
    store.finish_run(run_id, "done", {"extract": 12.5, "score": 3.25, "ablate": 7.0})
    return run_id


def _scores(dataset: DatasetRecord, attribute: str, strength: float, rng: np.random.Generator) -> TaskScores:
    """Draw counts: most neurons answer to all classes alike, some to one or two, a few never."""
    names = DATASETS[dataset.name][attribute]
    labels = [c.labels.get(attribute) for c in dataset.clips if c.split != "test"]
    n_clips = np.array([labels.count(name) for name in names], dtype=np.int64)
    tokens = n_clips * TOKENS_PER_CLIP
    rate = rng.beta(1.2, 8, N_NEURONS)[None, :] * rng.uniform(0.8, 1.25, (len(names), N_NEURONS))
    selective = rng.random(N_NEURONS) < np.repeat(np.linspace(0.1, 0.4, 6), LAYER_WIDTHS)
    favourite = rng.integers(0, max(1, len(names) - 1), N_NEURONS)  # the last class has none
    rate[favourite[selective], np.flatnonzero(selective)] *= strength
    rate[:, rng.choice(N_NEURONS, 5, replace=False)] = 0
    counts = rng.binomial(tokens[:, None], np.clip(rate, 0, 0.95)).astype(np.int64)
    probability = counts / np.maximum(tokens, 1)[:, None]
    total = probability.sum(axis=0)
    share = probability / np.where(total > 0, total, 1)
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)), axis=0)
    entropy[total == 0] = np.nan
    selections = tuple(_selection(preset, probability, entropy, rng) for preset in ("aape", "lape", "calibrated"))
    warnings = ("place and event are confounded: Cramer's V 0.62",)
    return TaskScores(
        dataset=dataset.name,
        attribute=attribute,
        task=f"{dataset.name}-{attribute}",
        class_names=names,
        n_clips_per_class=n_clips,
        positive_counts=counts,
        token_counts=tokens,
        entropy=entropy,
        selections=selections,
        warnings=warnings if attribute == "place" else (),
    )


def _selection(preset: str, probability: np.ndarray, entropy: np.ndarray, rng: np.random.Generator) -> Selection:
    """Choose roughly as the preset would."""
    n_classes = len(probability)
    mean_of_others = (probability.sum(axis=0) - probability) / max(1, n_classes - 1)
    lift = probability / np.maximum(mean_of_others, 1e-6)
    if preset == "calibrated":
        passes = (lift >= 2) & (probability >= 0.02)
    else:
        quota = np.nan_to_num(entropy, nan=np.inf).argsort()[: 12 if preset == "aape" else 4]
        passes = np.zeros(probability.shape, dtype=bool)
        passes[:, quota] = True
        passes &= probability > np.quantile(probability, 0.75 if preset == "aape" else 0.8)
    classes, neurons = np.nonzero(passes)
    shuffled = preset == "calibrated"
    pairs = pd.DataFrame(
        {
            "class_index": classes,
            "neuron_index": neurons,
            "activation_probability": probability[passes],
            "entropy": entropy[neurons],
            "lift": lift[passes],
            "p_value": 10.0 ** -rng.uniform(3, 9, len(classes)) if shuffled else np.nan,
            "q_value": 10.0 ** -rng.uniform(1.4, 6, len(classes)) if shuffled else np.nan,
            "replicated": (rng.random(len(classes)) < 0.7).astype(float),
        }
    )
    coverage = len(np.unique(classes)) / n_classes
    null = NullSummary(200, coverage * 0.3, 0.0, coverage * 0.6, len(pairs) * 0.1, len(pairs) * 0.12)
    settings = {"entropy_rate": 0.01, "bar_scope": "task", "lift": 2.0}
    return Selection(preset, settings, pairs, null, replicated_share_all_pairs=0.22)


def _top_clips(dataset: DatasetRecord, rng: np.random.Generator, n_ranks: int = 6) -> TopClips:
    """Rank random clips for each neuron; two neurons have none."""
    order = rng.random((N_NEURONS, len(dataset.clips))).argsort(axis=1)[:, :n_ranks]
    order[:2] = -1
    rate = -np.sort(-rng.beta(2, 3, (N_NEURONS, n_ranks)), axis=1)
    return TopClips(dataset.name, order.astype(np.int64), rate, rate * 1.7)


def _traces(dataset: DatasetRecord, top: TopClips, n_ranks: int = 3) -> ClipTraces:
    """Contrast clips after the top ones; patterns that rise over a clip, in one band more than in the others."""
    after = (top.clip_index[:, -1:] + np.arange(1, 2 * n_ranks + 1)) % len(dataset.clips)
    rate = np.repeat([[0.2, 0.19, 0.18, 0.0, 0.001, 0.002]], N_NEURONS, axis=0)
    parts = {"middle": slice(0, n_ranks), "silent": slice(n_ranks, None)}
    contrast = {kind: TopClips(dataset.name, after[:, of], rate[:, of], rate[:, of]) for kind, of in parts.items()}
    every = np.concatenate([top.clip_index, after], axis=1)
    n_columns = [int(np.ceil(clip.duration_seconds / 0.16)) for clip in dataset.clips]

    def pattern(neuron: int, rank: int, clip: int) -> NeuronPattern:
        rising = np.linspace(20, 255 - 15 * rank, n_columns[clip])
        band = 1.0 / (1 + np.abs(np.arange(GRID.n_bands) - neuron % GRID.n_bands))
        return NeuronPattern(clip, 3.0 / (1 + rank), np.outer(band, rising).astype(np.uint8))

    patterns = (
        (neuron, [pattern(neuron, rank, clip) for rank, clip in enumerate(clips) if clip >= 0])
        for neuron, clips in enumerate(every.tolist())
    )
    quantiles = np.linspace(0, 1, N_NEURONS, dtype=np.float32)[:, None] + np.array(LEVELS, dtype=np.float32)
    return ClipTraces(dataset.name, contrast, patterns, LEVELS, quantiles)


def _flips(scores: TaskScores, target: str) -> pd.DataFrame:
    """Two clips that the ablation moved from the target to the next class."""
    names = list(scores.class_names)
    other = names[(names.index(target) + 1) % len(names)]
    return pd.DataFrame({"clip_index": [40, 41], "predicted_before": target, "predicted_after": other})


def _probe(scores: TaskScores, rng: np.random.Generator) -> ProbeResult:
    """Draw accuracies above chance; one task is skipped."""
    columns = ["split", "class_name", "n_clips", "accuracy", "chance", "metric"]
    if scores.task == "rooms-place":
        empty = pd.DataFrame({name: [] for name in columns})
        return ProbeResult(scores.task, empty, skipped="class indoors has no valid clip")
    chance = 1 / len(scores.class_names)
    rows: list[tuple[str, str | None, int, float, float, str]] = []
    for split, n_clips in (("valid", 2), ("test", 2)):
        accuracy = np.clip(rng.normal(0.7, 0.15, len(scores.class_names)), 0, 1)
        total = n_clips * len(accuracy)
        rows.append((split, None, total, float(accuracy.mean()), chance, "accuracy"))
        names = zip(scores.class_names, accuracy, strict=True)
        rows += [(split, name, n_clips, float(value), chance, "accuracy") for name, value in names]
    settings = {"learning_rate": 0.003, "epochs": 40}
    return ProbeResult(scores.task, pd.DataFrame(rows, columns=columns), settings)


def _ablations(scores: TaskScores, rng: np.random.Generator, n_controls: int = 5) -> list[Ablation]:
    """Ablate, for each class, two rungs of a ladder and what ``aape`` chose."""
    lift = scores.positive_counts / np.maximum(scores.positive_counts.mean(axis=0), 1)
    ablations = []
    for index, target in enumerate(scores.class_names):
        for selection, gain in (("top 1%", 0.0), ("top 5%", 0.0), ("aape", 0.0), ("top 1%", 2.0)):
            if selection == "aape":
                pairs = scores.selections[0].pairs
                neurons = pairs.loc[pairs["class_index"] == index, "neuron_index"].to_numpy()
            else:
                neurons = np.argsort(-lift[index])[: 4 if selection == "top 1%" else 19]
            if len(neurons) == 0:
                continue
            controls = rng.normal(0, 0.01, (n_controls, len(scores.class_names) + 1))
            effects = _effects(scores.class_names, index, len(neurons), gain, controls, rng)
            ablation = Ablation(scores.task, selection, target, gain, neurons, effects, controls)
            ablations.append(replace(ablation, flips=_flips(scores, target)))
    return ablations


def _effects(
    names: Sequence[str],
    target: int,
    n_neurons: int,
    gain: float,
    controls: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw what an ablation does: most to its target class, a little to the others."""
    rows = []
    for position, name in enumerate([None, *names]):
        size = 0.01 * n_neurons * (1 - gain) if position - 1 == target else 0.01
        delta = float(-size + rng.normal(0, 0.01))
        control = controls[:, position]
        before = float(rng.uniform(0.6, 0.9))
        p_value = float(rng.uniform(0, 1))
        rows.append(
            {
                "class_name": name,
                "n_clips": 16 if name is None else 2,
                "accuracy_unablated": before,
                "accuracy_ablated": before + delta,
                "delta": delta,
                "ci_low": delta - 0.05,
                "ci_high": delta + 0.05,
                "p_value": p_value,
                "q_value": min(1.0, 2 * p_value),
                "control_delta_mean": float(control.mean()),
                "control_delta_low": float(control.min()),
                "control_delta_high": float(control.max()),
                "n_controls": len(control),
                "control_p_value": 1 / (1 + len(control)),
                "beyond_control": delta - float(control.mean()),
                "beyond_control_low": delta - 0.05,
                "beyond_control_high": delta + 0.05,
                "activity_control_delta_mean": float(control.mean()),
                "activity_control_delta_low": float(control.min()),
                "activity_control_delta_high": float(control.max()),
                "n_activity_controls": len(control),
                "group_ci_low": np.nan,
                "group_ci_high": np.nan,
                "n_heads": 6,
                "delta_heads_low": delta - 0.01,
                "delta_heads_high": delta + 0.01,
            }
        )
    return pd.DataFrame(rows)


def _by_class(scores: TaskScores, selection: Selection) -> list[tuple[str, str, set[int]]]:
    """Return (task, class, neurons) of a selection."""
    pairs = selection.pairs
    return [
        (scores.task, name, set(pairs.loc[pairs["class_index"] == index, "neuron_index"]))
        for index, name in enumerate(scores.class_names)
    ]


def _shared(sets: list[tuple[str, str, set[int]]]) -> pd.DataFrame:
    """Count shared neurons of every two classes."""
    rows = []
    for index, (task_a, class_a, a) in enumerate(sets):
        for task_b, class_b, b in sets[index + 1 :]:
            expected = len(a) * len(b) / N_NEURONS
            n_shared = len(a & b)
            p_value = float(min(1.0, np.exp(expected - n_shared)))
            rows.append(
                {
                    "task_a": task_a,
                    "class_a": class_a,
                    "task_b": task_b,
                    "class_b": class_b,
                    "n_a": len(a),
                    "n_b": len(b),
                    "n_shared": n_shared,
                    "expected": expected,
                    "p_value": p_value,
                    "q_value": min(1.0, 3 * p_value),
                    "nested": 0,
                    "odds_ratio": (n_shared + 0.5) / (expected + 0.5),
                    "odds_low": 0.5,
                    "odds_high": 9.5,
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    build_store(sys.argv[1], audio_root=sys.argv[2] if len(sys.argv) > 2 else None)
