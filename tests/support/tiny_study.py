"""One record of every kind, small enough to work the numbers by hand.

Three neurons in two layers (2 + 1), three clips, classes cat and dog. Of cat's 20 tokens neuron
(0, 0) fires at 10, of dog's 10 at none; neuron (0, 1) never fires; neuron (1, 0) fires at 0.2 of
both.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlalchemy import Engine, text

from core.results import (
    Ablation,
    Attributions,
    ClipRecord,
    ClipTraces,
    ConfoundAnswers,
    DatasetRecord,
    Descriptions,
    ErasureCurves,
    FoundUnits,
    LayerProbes,
    ModelRecord,
    NeuronPattern,
    NullSummary,
    ProbeResult,
    Problem,
    Reconstructions,
    RunStep,
    SegmentLabels,
    SegmentScores,
    Selection,
    SharedNeurons,
    Sharing,
    Specificity,
    StimulusStudy,
    TaskScores,
    TokenGrid,
    TopClips,
    UnitMap,
)
from db.writes.store import Store
from tests.support.records import ablations_of

NAN = float("nan")

MODEL_ID = 1
"""The model's number in a store that holds this study alone."""

GRIDS = (TokenGrid((50.0, 1000.0, 8000.0), 0.25, 0.5, 1.25, 4), TokenGrid((0.0, 8000.0)))
"""Of layer 0 overlapping columns in chunks that are longer than four of them; of layer 1 nothing is known."""

MODEL = ModelRecord("tiny", "weights-1", (2, 1), 16000, 99, "A tiny encoder", "MIT", GRIDS)

DATASET = DatasetRecord(
    name="pets",
    root="/audio/pets",
    content_key="content-1",
    attributes=("animal", "place"),
    clips=(
        ClipRecord("train/a.wav", "train", 1.5, {"animal": "cat", "place": "home"}, sha256="0a"),
        ClipRecord("train/b.wav", "train", 2.0, {"animal": "dog"}, sha256="0b"),
        ClipRecord("test/c.wav", "test", 0.5, {"animal": "cat", "place": ""}, sha256="0c"),
    ),
    problems=(Problem("train/broken.wav", "cannot be decoded"),),
    split_origin="official",
)

_PAIR_COLUMNS = [
    "class_index",
    "neuron_index",
    "activation_probability",
    "entropy",
    "lift",
    "p_value",
    "q_value",
    "replicated",
]

CALIBRATED = Selection(
    "calibrated",
    {"lift": 2.0},
    pd.DataFrame(
        [(0, 0, 0.5, 0.0, 9.0, 0.001, 0.01, 1.0), (1, 2, 0.2, math.log(2), 1.0, 0.02, 0.04, 0.0)],
        columns=_PAIR_COLUMNS,
    ),
    NullSummary(200, 0.25, 0.0, 0.5, 0.75, 1.5),
    0.2,
    pd.DataFrame(
        {
            "layer": [0, 1],
            "n_class_specific": [1, 1],
            "n_classes_covered": [1, 1],
            "replicated_share": [1.0, 0.0],
            "replicated_share_all_pairs": [0.25, NAN],
            "null_n_class_specific_mean": [0.5, 0.25],
            "null_n_class_specific_low": [0.0, 0.0],
            "null_n_class_specific_high": [2.0, 1.0],
            "null_n_classes_covered_mean": [0.25, 0.125],
            "null_n_classes_covered_low": [0.0, 0.0],
            "null_n_classes_covered_high": [1.0, 1.0],
        }
    ),
)  # fmt: skip
AAPE = Selection(
    "aape",
    {"entropy_rate": np.float64(0.01)},
    pd.DataFrame([(0, 0, 0.5, 0.0, 9.0, NAN, NAN, NAN)], columns=_PAIR_COLUMNS),
    None,
    NAN,
)
LAPE = Selection("lape", {}, pd.DataFrame([], columns=_PAIR_COLUMNS), None, NAN)

SCORES = TaskScores(
    dataset="pets",
    attribute="animal",
    task="pets-animal",
    class_names=("cat", "dog"),
    n_clips_per_class=np.array([2, 1]),
    positive_counts=np.array([[10, 0, 4], [0, 0, 2]]),
    token_counts=np.array([20, 10]),
    entropy=np.array([0.0, NAN, math.log(2)]),
    selections=(CALIBRATED, AAPE, LAPE),
    warnings=("class dog has a single clip",),
    shuffled="clips within place",
    entropy_p_value=np.array([0.01, NAN, 0.5]),
    entropy_q_value=np.array([0.02, NAN, 0.5]),
    curve=pd.DataFrame(
        {
            "preset": ["aape"],
            "entropy_rate": [0.01],
            "probability_bar": [0.95],
            "n_classes_covered": [1],
            "coverage": [0.5],
            "n_class_specific": [1],
            "null_coverage_mean": [0.25],
            "null_coverage_low": [0.0],
            "null_coverage_high": [0.5],
            "null_n_class_specific_mean": [0.5],
            "null_n_class_specific_low": [0.0],
            "null_n_class_specific_high": [1.0],
            "n_shuffles": [200],
        }
    ),
    tables={
        "selector_score": pd.DataFrame(
            {
                "class_index": [1, 0],
                "neuron_index": [2, 0],
                "mad": [0.125, -2.5],
                "cas": [-0.5, 0.25],
                "auroc": [0.75, NAN],
                "d_prime": [1.5, np.inf],
                "selectivity_index": [1.0, -1.0],
            }
        ),
        "selector_pair": pd.DataFrame(
            [("auroc", "mad", 0.5, 1.0, 0.25, 2)],
            columns=["selector_a", "selector_b", "spearman", "overlap", "expected_overlap", "n_classes"],
        ),
        "stability": pd.DataFrame(
            {
                "preset": ["lape"],
                "n_halves": [10],
                "whole_groups": [1],
                "n_pairs_mean": [7.5],
                "jaccard_mean": [0.5],
                "jaccard_low": [0.25],
                "jaccard_high": [0.75],
                "jaccard_expected": [0.125],
                "entropy_spearman": [NAN],
                "n_draws": [5],
                "share_of_draws": [0.5],
                "share_expected": [0.0],
            }
        ),
        "confound_probe": pd.DataFrame(
            [
                ("level", "", "accuracy", 0.75, 0.5, 1.0, 0.5, 4, "over chance", ""),
                ("model, groups mixed", "place", None, *[NAN] * 4, 0, "", "one group"),
            ],
            columns=[
                "feature",
                "group_name",
                "metric",
                "accuracy",
                "ci_low",
                "ci_high",
                "chance",
                "n_clips",
                "mark",
                "reason",
            ],
        ),
        "neuron_confound": pd.DataFrame(
            {"neuron_index": [1], "rho_level": [-0.5], "rho_duration": [NAN], "rho_silence": [0.0]}
        ),
        "pitch_tuning": pd.DataFrame(
            [(0, 0.5, 0.125, 60, 58.0, 62.5, 61.0, 60.0, 62.0, 3.5, NAN, NAN, 0.25, 0.0, 0.5)],
            columns=[
                "neuron_index",
                "peak_rate",
                "floor_rate",
                "preferred_pitch",
                "preferred_low",
                "preferred_high",
                "center",
                "center_low",
                "center_high",
                "bandwidth_semitones",
                "bandwidth_low",
                "bandwidth_high",
                "octave_equivalence_index",
                "oei_low",
                "oei_high",
            ],
        ),
        "neuron_preference": pd.DataFrame(
            {"class_index": [0], "neuron_index": [2], "log_odds": [-0.5], "ci_low": [-1.0], "ci_high": [0.0]}
        ),
    },
)

ATTRIBUTIONS = Attributions(
    "pets-animal",
    ("cat", "dog"),
    pd.DataFrame(
        {
            "class_index": [1], "neuron_index": [2], "attribution": [0.5], "standard_error": [0.25], "n_clips": [3],
            "selective": [0.125],
        }
    ),
    pd.DataFrame(
        {
            "class_index": [1], "neuron_index": [2], "attribution": [0.5], "measured": [0.75], "in_highest": [True],
            "selective": [0.125], "measured_total": [0.625], "measured_selective": [0.25],
        }
    ),
    {
        "n_clips": 3, "n_checked": np.int64(1), "n_clips_checked": 2, "spearman_all": 1.0,
        "spearman_random": NAN, "spearman_highest": np.float64(0.5), "margin_total": 0.5, "margin_selective": 0.25,
        "selective_total": NAN, "selective_selective": 0.75,
    },
    pd.DataFrame(
        {"class_index": [1, 1], "layer": [0, 1], "attribution": [0.25, 0.5], "standard_error": [NAN, 0.25],
         "n_clips": [3, 3]}
    ),
)  # fmt: skip

TOP_CLIPS = TopClips(
    "pets",
    clip_index=np.array([[2, 0], [-1, -1], [1, -1]]),
    activation_rate=np.array([[0.75, 0.5], [NAN, NAN], [0.25, NAN]]),
    mean_activation=np.array([[1.5, 1.0], [NAN, NAN], [0.125, NAN]]),
)


def pattern(clip: int, peak: float, *bands: list[int]) -> NeuronPattern:
    return NeuronPattern(clip, peak, np.array(bands, dtype=np.uint8))


TRACES = ClipTraces(
    "pets",
    {
        "middle": TopClips("pets", np.array([[-1], [0], [-1]]), np.full((3, 1), 0.5), np.full((3, 1), 0.25)),
        "silent": TopClips("pets", np.array([[1], [1], [0]]), np.zeros((3, 1)), np.full((3, 1), -0.125)),
    },
    [
        (0, [
            pattern(2, 4.0, [0, 255], [128, 0]),
            pattern(0, 2.0, [255, 0, 0, 0, 10, 20], [0, 0, 0, 0, 0, 1]),
            pattern(1, 0.0, [0], [0]),
        ]),
        (1, [pattern(0, 1.0, [255], [0]), pattern(1, 0.5, [0], [255])]),
        (2, [pattern(1, 8.0, [255, 51, 0, 0]), pattern(0, 0.0, [0, 0, 0])]),
    ],
    (0.0, 0.5, 1.0),
    np.array([[0, 1, 2], [0, 0, 0], [-1, 0.5, 8]], dtype=np.float32),
)  # fmt: skip

PROBE = ProbeResult(
    "pets-animal",
    pd.DataFrame(
        [("test", None, 4, 0.75, 0.5), ("test", "cat", 2, 1.0, 0.5), ("valid", "dog", 2, 0.5, 0.5)],
        columns=["split", "class_name", "n_clips", "accuracy", "chance"],
    ).assign(metric="accuracy"),
    {"learning_rate": 0.01},
)

LAYER_PROBES = LayerProbes(
    "pets-animal",
    pd.DataFrame(
        [
            (-1, "train", None, 2, 1.0, NAN, NAN, 0.5, "accuracy", NAN),
            (-1, "test", None, 4, 0.5, 0.125, 0.875, 0.5, "accuracy", 0.75),
            (-1, "test", "cat", 2, 0.5, 0.0625, 0.9375, 0.5, "accuracy", NAN),
            (0, "test", None, 4, 1.0, 0.5, 1.0, 0.5, "accuracy", 0.625),
            (1, "test", None, 4, 0.75, 0.25, 1.0, 0.5, "accuracy", 0.75),
            (NAN, "test", None, 4, 0.875, 0.375, 1.0, 0.5, "accuracy", 0.5),
        ],
        columns=["layer", "split", "class_name", "n_clips", "accuracy", "ci_low", "ci_high", "chance", "metric",
                 "shuffled_high"],
    ),
    pd.DataFrame({"layer": [-1, 0, 1], "weight": [0.25, 0.5, 0.25], "weight_low": 0.125, "weight_high": [0.5] * 3}),
    {
        "best_layer": 0, "chosen_on": "valid", "shuffled": "clips", "best_accuracy": 1.0, "best_low": 0.5,
        "best_high": 1.0, "best_difference": 0.25, "best_difference_low": 0.0, "best_difference_high": np.float64(0.5),
        "weighted_accuracy": 0.875, "weighted_low": 0.375, "weighted_high": 1.0, "weighted_difference": -0.125,
        "weighted_difference_low": NAN, "weighted_difference_high": NAN,
    },
    {"C": {"0": 0.01}},
)  # fmt: skip

ABLATION = Ablation(
    task="pets-animal",
    selection="top 1%",
    target="cat",
    gain=0.0,
    neuron_index=np.array([2, 0]),
    effects=pd.DataFrame(
        {
            "class_name": [None, "cat"],
            "n_clips": [4, 2],
            "accuracy_unablated": [0.75, 1.0],
            "accuracy_ablated": [0.5, 0.5],
            "delta": [-0.25, -0.5],
            "ci_low": [-0.5, -1.0],
            "ci_high": [0.0, NAN],
            "p_value": [0.5, 0.25],
            "q_value": [0.5, 0.5],
            "control_delta_mean": [0.0, 0.125],
            "control_delta_low": [-0.25, 0.0],
            "control_delta_high": [0.25, 0.25],
            "n_controls": [2, 2],
            "control_p_value": [1.0, 1 / 3],
            "beyond_control": [-0.25, -0.625],
            "beyond_control_low": [-0.5, -1.0],
            "beyond_control_high": [0.25, 0.0],
            "activity_control_delta_mean": [-0.125, NAN],
            "activity_control_delta_low": [-0.25, NAN],
            "activity_control_delta_high": [0.0, NAN],
            "n_activity_controls": [2, 0],
            "group_ci_low": [NAN, -0.75],
            "group_ci_high": [NAN, -0.25],
            "n_heads": [6, 6],
            "delta_heads_low": [-0.5, -0.5],
            "delta_heads_high": [0.0, -0.25],
        }
    ),
    control_deltas=np.array([[-0.25, 0.0], [0.25, 0.25]]),
    flips=pd.DataFrame({"clip_index": [2], "predicted_before": ["cat"], "predicted_after": ["dog"]}),
    outcomes=pd.DataFrame(
        [
            (0, "total", -0.5, -0.25, -0.5, 0.0, -0.125, -0.25, 0.0, -0.125, -0.5, 0.25,
             0.5, 0.5, -0.5, -0.25, 2, 4, 3, 0),
            (1, "total", -0.25, -1.0, -1.5, -0.5, 0.0, -0.25, 0.25, -1.0, -1.5, -0.5,
             0.25, 0.25, -1.0, -1.0, 2, 2, 1, 1),
            (1, "selective", 2.0, -0.5, NAN, NAN, 0.125, 0.0, 0.25, -0.625, NAN, NAN,
             0.5, 0.03125, -0.5, -0.5, 2, 4, 1, 1),
        ],
        columns=[
            "position", "outcome", "unablated", "change", "change_low", "change_high", "control_mean", "control_low",
            "control_high", "beyond_control", "beyond_low", "beyond_high", "p_value", "q_value", "heads_low",
            "heads_high", "n_controls", "n_units", "n_heads", "outside_controls",
        ],
    ),
    of_controls=pd.DataFrame(
        {
            "position": [1, 1], "draw": [0, 1], "total": [-0.25, 0.25], "shift": [NAN, NAN], "selective": [0.0, 0.25],
            "discrimination": [NAN, NAN],
        }
    ),
    clips=pd.DataFrame(
        {
            "clip_index": [2, 0], "log_prob": [-0.25, -1.0], "delta_log_prob": [-1.0, 0.5],
            "control_delta_log_prob": [0.0, NAN], "delta_logit": [-0.5, 0.25], "control_delta_logit": [0.125, 0.0],
        }
    ),
    removed=0.5,
    control_removed=0.25,
)  # fmt: skip

_OF_DOG = {"class_index": [1, 1], "order": ["mad", "mad"], "outcome": ["total", "discrimination"]}
ERASURE = ErasureCurves(
    "pets-animal",
    ("cat", "dog"),
    pd.DataFrame(
        {
            **_OF_DOG, "n_neurons": [1, 1], "unablated": [-0.25, 1.0], "change": [-1.0, -0.5],
            "change_low": [-1.5, NAN], "change_high": [-0.5, NAN], "control_mean": [0.125, 0.0],
            "control_low": [0.0, 0.0], "control_high": [0.25, 0.0], "n_controls": [10, 10],
        }
    ),
    pd.DataFrame(
        {
            **_OF_DOG, "beyond_control": [-1.125, -0.5], "beyond_low": [-1.5, NAN], "beyond_high": [-0.5, NAN],
            "p_value": [0.25, 1.0], "outside_controls": [1, 0], "halved_at": [1, NAN], "random_halved_at": [NAN, NAN],
        }
    ),
)  # fmt: skip

SHARED = SharedNeurons(
    "calibrated",
    pd.DataFrame(
        {
            "task_a": ["pets-animal"],
            "class_a": ["cat"],
            "task_b": ["pets-animal"],
            "class_b": ["dog"],
            "n_a": [1],
            "n_b": [1],
            "n_shared": [0],
            "expected": [1 / 3],
            "p_value": [1.0],
            "q_value": [NAN],
            "nested": [1],
            "odds_ratio": [0.5],
            "odds_low": [0.25],
            "odds_high": [NAN],
        }
    ),
)


SPECIFICITY = pd.DataFrame(
    [("tiny", "pets", "pets-animal", "top 1%", "mean", None, -0.5, 0.0, 0.5, NAN, NAN, 2, 2.0)],
    columns=[
        *("model", "dataset", "task", "selection", "operation", "gain", "self_effect", "cross_effect"),
        *("specificity", "ci_low", "ci_high", "n_classes", "n_neurons"),
    ],
)


FOUND = FoundUnits(
    pd.DataFrame(
        {
            "layer": [1], "n_features": [1], "origin": ["trained"], "architecture": ["topk"], "k": [1], "n_steps": [20],
            "seed": [3], "explained_variance": [0.75], "n_active": [0.5], "dead_share": [NAN], "n_tokens": [40],
        }
    ),
    pd.DataFrame(
        {
            "neuron_index": [0, 1, 2], "cosine": [0.75, 0.5, NAN], "is_mutual": [1, 1, 0],
            "null_cosine_high": [0.25, 0.25, NAN],
        }
    ),
)  # fmt: skip

_CHANGES = {
    "change_reconstructed": -0.25, "change_reconstructed_low": -0.5, "change_reconstructed_high": 0.0,
    "change_mean": -1.0, "change_mean_low": -1.5, "change_mean_high": -0.5,
    "recovered": 0.75, "recovered_low": 0.5, "recovered_high": NAN,
}  # fmt: skip
RECONSTRUCTIONS = Reconstructions(
    "pets-animal",
    pd.DataFrame(
        [{"layer": 1, "n_clips": 4, "accuracy": 0.75, "accuracy_reconstructed": 0.5, "accuracy_mean": 0.25,
          "log_prob": -0.5, **_CHANGES}]
    ),
)  # fmt: skip


DESCRIPTIONS = Descriptions(
    "pets",
    "atlas",
    pd.DataFrame(
        {
            "neuron_index": [0], "description": ["fires on noise (r = 0.50, shifted 0.12)"], "author": ["atlas"],
            "predicts": ["descriptor:flatness high"], "correlation": [0.5], "average_precision": [0.25], "f1": [0.375],
            "iou": [0.125], "shifted_high": [0.125], "null_correlation_high": [0.25], "beats_null": [1],
        }
    ),
    pd.DataFrame(
        {
            "neuron_index": [0, 2], "n_terms": [1, 0], "by_classes": [0.0, -0.25], "by_descriptors": [0.25, NAN],
            "by_both": [0.25, NAN], "by_level": [0.125, 0.0], "validated": [0.25, NAN], "validated_high": [0.0, 0.125],
        }
    ),
    {
        "n_clips": 20, "n_held_out": 20, "n_dealt": 1, "n_shifts": 39,
        "words_json": '{"flatness high": ["noise", "hiss"], "f0 high": ["high pitch", "high-pitched"]}',
    },
)  # fmt: skip

UNIT_MAP = UnitMap(
    pd.DataFrame({"neuron_index": [0, 2], "x": [0.25, 1.0], "y": [0.0, 0.5]}),
    {
        "method": "t-SNE", "method_version": 1, "seed": 3, "datasets": "pets", "n_clips": 3, "trustworthiness": 0.75,
        "trustworthiness_chance": 0.5, "n_neighbours": 1, "n_checked": 2,
    },
)  # fmt: skip


STIMULI = StimulusStudy(
    "tones",
    {
        "n_stimuli": 8, "n_repetitions": 2, "n_varying": 2, "seed": 3, "n_permutations": 200, "seconds_each": 2.08,
    },
    pd.DataFrame({
        "factor": [0, 1], "name": ["F0", "timbre"], "unit_of_values": ["MIDI note", ""], "is_ordered": [1, 0],
        "n_levels": [2, 2],
    }),
    pd.DataFrame({
        "factor": [0, 0, 1, 1], "level": [0, 1, 0, 1], "label": ["C3, 131 Hz", "E3, 165 Hz", "pure", "dark"],
        "level_value": [48.0, 52.0, 0.0, 1.0],
    }),
    pd.DataFrame({
        "neuron_index": [0, 0, 2, 2], "factor": [0, 1, 0, 1], "alone": [0.75, -0.0625, 0.125, NAN],
        "joint": [0.25, 0, 0, 0], "shapley": [0.875, 0.0625, 0.125, 0.0], "null_mean": [0.0, 0.0, 0.0, NAN],
        "null_high": [0.0625, 0.125, 0.25, NAN],
        "p_value": [0.0001, 0.5, 0.25, NAN], "q_value": [0.0002, 0.5, 0.5, NAN], "best_level": [1, 0, 0, 1],
        "trend": [1.0, NAN, -1.0, NAN], "is_leading": [1, 0, 0, 0],
        "kept": [1.0, NAN, NAN, NAN],
    }),
    pd.DataFrame({
        "neuron_index": [0, 0], "factor": [0, 0], "level": [0, 1], "rate": [0.25, 0.75], "rate_low": [0.125, 0.5],
        "rate_high": [0.375, 1.0], "mean_activation": [-0.5, 1.5],
    }),
    pd.DataFrame({
        "neuron_index": [0], "factor": [0], "other": [1], "kept": [1.0], "correlation": [0.5], "null_kept": [0.5],
        "null_correlation_high": [0.875],
    }),
    pd.DataFrame({
        "factor": [0, 0, 1], "layer": [0, 1, 0], "n_varying": [1, 1, 1], "n_found": [1, 0, 0], "n_leading": [1, 0, 0],
        "null_mean": [0.25, 0.0, NAN], "null_high": [1.0, 0.0, NAN],
    }),
)  # fmt: skip

CONFOUND_ANSWERS = ConfoundAnswers(
    pd.DataFrame({
        "question": ["note"], "task": ["pets-animal"], "preset": ["calibrated"], "class_name": ["cat"],
        "stimulus_set": ["tones"], "answer": ["keeps its note"], "n_units": [1], "n_answer": [1], "share": [1.0],
        "share_low": [0.25], "share_high": [1.0], "n_all": [2], "n_all_answer": [1], "share_all": [0.5],
        "p_value": [0.5], "q_value": [0.5],
    })
)  # fmt: skip
SEGMENTS = SegmentScores(
    SegmentLabels(
        "pets", "call", "pets-call", "segments-1", ("meow", "bark"),
        pd.DataFrame(
            [(0, 0, 0, 0.25, 0.5), (0, 1, 1, 0.5, 1.25), (1, 0, 1, 0.0, 0.5)],
            columns=["clip_index", "number", "class_index", "onset_seconds", "offset_seconds"],
        ),
    ),
    pd.DataFrame(
        [(0, 1, 0, 1, 0, 0.25, 4, 1), (1, 2, 0, 2, 0, 0.625, 20, 0)],
        columns=["class_index", "n_clips", "n_test_clips", "n_segments", "n_too_short", "seconds", "token_count",
                 "n_class_specific"],
    ),
    pd.DataFrame(
        [
            (0, 0, 4, 4, np.inf, 0.001, 0.006, NAN, 1, 0.25), (0, 1, 0, 4, NAN, 1.0, 1.0, NAN, 0, NAN),
            (0, 2, 1, 4, 1.25, 0.5, 1.0, 0.0, 0, NAN), (1, 0, 0, 20, 0.0, 1.0, 1.0, NAN, 0, NAN),
            (1, 1, 0, 20, NAN, 1.0, 1.0, NAN, 0, NAN), (1, 2, 4, 20, 0.8, 0.75, 1.0, 1.0, 0, NAN),
        ],
        columns=["class_index", "neuron_index", "positive_count", "token_count", "lift", "p_value", "q_value",
                 "replicated", "is_class_specific", "exchanged_p"],
    ),
    pd.DataFrame(
        {"neuron_index": [0, 1, 2], "entropy": [0.0, NAN, 0.5], "top_class_index": [0.0, NAN, 0.0]}
    ),
    pd.DataFrame(
        [(0, 0, -1, -0.25, 0.0, 0.25, 0.0, 0.5, 4), (0, 0, 0, 0.0, 1.0, 0.25, 0.0, 0.5, 4)],
        columns=["class_index", "neuron_index", "lag_columns", "lag_seconds", "activation_probability", "null_mean",
                 "null_low", "null_high", "token_count"],
    ),
    pd.DataFrame(
        [(0, 0, 1, 0.0, 1.0, True, -0.125, -0.25, 0.0, 0.75, 0.25, 0.0)],
        columns=["class_index", "neuron_index", "n_onsets", "peak_seconds", "peak_probability", "is_beyond",
                 "latency_seconds", "latency_low", "latency_high", "onset_index", "sustain_index", "offset_index"],
    ),
    {
        "n_clips": 2, "n_test_clips": 0, "n_within": 1, "n_classes": 2, "n_classes_covered": 1, "n_class_specific": 1,
        "n_pairs": 1, "null_coverage_mean": 0.25, "null_coverage_low": 0.0, "null_coverage_high": 0.5,
        "null_n_class_specific_mean": 0.5, "null_n_class_specific_low": 0.0, "null_n_class_specific_high": 1.0,
        "n_shuffles": 40, "shuffled": "labels shifted in time within each clip", "replicated_share": NAN,
        "replicated_share_all_pairs": 0.5, "exchanged_share": 0.0, "column_seconds": 0.25,
        "median_seconds": 0.5, "is_coarse": 0,
    },
    ("1 of 3 segments is short",),
)  # fmt: skip


STEPS = (RunStep("pets", None, "extract", "done"), RunStep("pets", "pets-animal", "score", "done"))


def write_study(engine: Engine, model: str = "tiny", kind: str = "mlp") -> int:
    """Write every record once, under stage keys that begin with the model's name; return its id.

    Units of another kind are those of ``tiny``.
    """
    store = Store(engine)
    store.register_dataset(DATASET)
    model_id = store.register_model(
        replace(MODEL, name=model, unit_kind=kind, encoder=model if kind == "mlp" else "tiny")
    )
    run_id = store.start_run(model, {"seed": 3}, 3, "0.1.0", {"numpy": "2"}, "cpu")
    store.plan_steps(run_id, STEPS)
    store.write_scores(run_id, f"{model}/score", model_id, SCORES)
    store.write_top_clips(run_id, f"{model}/top_clips", model_id, TOP_CLIPS)
    store.write_traces(run_id, f"{model}/traces", model_id, TRACES)
    store.write_probe(run_id, f"{model}/probe", model_id, PROBE)
    store.write_layer_probes(run_id, f"{model}/layer_probes", model_id, LAYER_PROBES)
    store.write_attributions(run_id, f"{model}/attribution", model_id, ATTRIBUTIONS)
    store.write_ablations(run_id, f"{model}/ablate", model_id, ablations_of("pets-animal", [ABLATION]))
    store.write_erasure(run_id, f"{model}/erasure", model_id, ERASURE)
    store.write_specificity(run_id, f"{model}/specificity", model_id, Specificity(SPECIFICITY))
    store.write_shared(run_id, f"{model}/share", model_id, Sharing([SHARED]))
    store.write_found_units(run_id, f"{model}/units", model_id, FOUND)
    store.write_reconstructions(run_id, f"{model}/reconstruction", model_id, RECONSTRUCTIONS)
    store.write_descriptions(run_id, f"{model}/descriptions", model_id, DESCRIPTIONS)
    store.write_map(run_id, f"{model}/map", model_id, UNIT_MAP)
    store.write_stimuli(run_id, f"{model}/stimuli", model_id, STIMULI)
    store.write_confound_answers(run_id, f"{model}/confound answers", model_id, CONFOUND_ANSWERS)
    store.write_segments(run_id, f"{model}/segments", model_id, SEGMENTS)
    store.finish_run(run_id, "done", {"extract": 1.0, "score": 2.0, "ablate": 3.0, "other": 4.0})
    return model_id


def rows(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    """Return what a query finds, as plain tuples."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]
