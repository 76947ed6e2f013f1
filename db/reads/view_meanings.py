"""What every public view holds, and every column of it; the one place where they are explained.

The SQL page shows it, and a test holds it complete. What the numbers can and cannot tell is in
``docs/statistics.md``.
"""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Engine

from db.reads.frames import frame

_ALL = {
    "model": "Name of the encoder.",
    "dataset": "Name of the dataset.",
    "task": "Dataset and attribute, as DATASET-ATTRIBUTE (or the dataset alone where it has one).",
    "preset": "Rule that chose the neurons: calibrated, aape or lape.",
    "class_name": "Class of the task; in probe_accuracy NULL stands for all classes.",
    "layer": "Block of the encoder, from 0.",
    "neuron": "Hidden unit of the block's MLP, from 0 in each layer.",
    "unit_kind": "mlp (neurons), residual, random, pca, each also with -low, head or sae.",
    "unit": "Unit of that kind, from 0 in each layer.",
    "activation_probability": "Share of the class's tokens at which the neuron is above 0.",
    "entropy": "How evenly those probabilities spread over the classes, in nats: 0 = one class only.",
    "p_value": "p of so large a value by chance.",
    "q_value": "p after Benjamini-Hochberg correction.",
    "n_clips": "Clips that were counted.",
    "n_classes": "Classes of the task.",
    "n_classes_covered": "Classes that have at least one class-specific neuron.",
    "coverage": "Share of the classes that have at least one class-specific neuron.",
    "n_class_specific": "Neurons that are specific for at least one class.",
    "null_coverage_mean": "Mean coverage of the same rule on shuffled labels.",
    "null_coverage_low": "2.5th percentile of coverage on shuffled labels.",
    "null_coverage_high": "97.5th percentile of coverage on shuffled labels.",
    "null_n_class_specific_mean": "Mean number of class-specific neurons on shuffled labels.",
    "null_n_class_specific_low": "2.5th percentile of their number on shuffled labels.",
    "null_n_class_specific_high": "97.5th percentile of their number on shuffled labels.",
    "n_shuffles": "How often the labels were shuffled; 0 = not at all.",
    "accuracy": "Accuracy, or what metric names.",
    "chance": "What guessing would give.",
    "metric": "accuracy, or average precision where clips have several labels.",
    "ci_low": "Lower end of the 95 % interval.",
    "ci_high": "Upper end of the 95 % interval.",
    "operation": "scale (by gain), mean (set to their mean) or keep (all others of their layers set to theirs).",
    "gain": "Factor on the neurons' output; 0 = silenced.",
    "n_neurons": "Neurons that were changed.",
    "selection": "How the neurons were chosen, for instance top 1%.",
    "attribution": "Activation times gradient of the margin: what the linear probe would lose without this neuron.",
    "clip_id": "The clip's number in the store.",
    "partner_model": "Name of the other encoder.",
    "partner_kind": "Its units' kind, as unit_kind.",
    "share": "n_partners over all units that were matched, or over those of the class.",
    "n_partners": "Units that have a partner: each the other's most alike, both with q < 0.05.",
    "n_beyond": "Units with a partner that are alike beyond the labels, too.",
    "null_share": "Share of units that have a partner by the same rule on dealt clips, mean over deals.",
    "null_share_high": "97.5th percentile of it.",
    "path": "File, below the dataset's folder.",
}
"""Columns that mean the same wherever they stand."""

_LAYER = "Block of the encoder, from 0; -1 is what enters the first."
_OVER_UNITS = "Lower end of the 95 % interval over sampling units; NULL on train."
_UPPER = "Upper end of it."

VIEW_MEANINGS: dict[str, tuple[str, dict[str, str]]] = {
    "runs": (
        "One row for each run of a model: its settings, versions, device and times.",
        {
            "run_id": "Number of the run.",
            "started_at": "When it began.",
            "finished_at": "When it ended; NULL while it runs, or where it was killed.",
            "status": "running, done, failed or stopped.",
            "config_json": "Every setting, as JSON.",
            "code_version": "Version of this program.",
            "device": "Where the model ran.",
            "seconds_extract": "Time spent recording the neurons.",
            "seconds_score": "Time spent scoring them.",
            "seconds_ablate": "Time spent ablating them.",
            "seed": "Seed of every random draw.",
            "versions_json": "Versions of Python and the libraries, as JSON.",
            "notes_json": "What the run left out, and why, as JSON.",
        },
    ),
    "run_steps": (
        "One row for each step of a run, in order: recording of a dataset, scoring of a task, its ablation.",
        {
            "run_id": "Number of the run.",
            "position": "Place in the order of steps, from 0.",
            "task": "NULL where a dataset is recorded, for all its tasks.",
            "part": "extract, score or ablate, as --stages calls it.",
            "status": "to come, running, done, failed or stopped.",
            "started_at": "When it began (UTC); NULL where its results were there already, or it is to come.",
            "finished_at": "When it ended (UTC).",
            "stage": "What the step was last seen doing.",
            "n_done": "How much of that is done.",
            "n_total": "Of how much.",
            "unit": "Of what: clips, passes, steps.",
            "stage_seconds_left": "How long that takes yet, at the rate of the last minute.",
            "told_at": "When that was so (UTC); renewed every ten seconds while the step is at work.",
        },
    ),
    "clip_labels": (
        "One row for each clip and attribute, and for each value where a clip has several.",
        {
            "split": "train, valid or test; the attribute's own split where it has one.",
            "duration_seconds": "Length of the clip.",
            "attribute": "What is labelled, for instance gender.",
            "value": "The label.",
        },
    ),
    "activation_probabilities": (
        "How often each neuron fires on each class: one row for each model, task, class and neuron. Ask for one task.",
        {
            "positive_count": "Tokens of the class at which the neuron is above 0.",
            "token_count": "Tokens of the class.",
        },
    ),
    "neuron_selectivity": (
        "How selective each neuron is in each task: entropy with its p and q, and whether a preset chose it.",
        {
            "max_probability": "Its largest activation probability over the classes.",
            "top_class": "The class of that probability; NULL where the neuron never fires.",
            "is_class_specific": "1 where the preset chose it for any class.",
            "entropy_rank": "Rank of its entropy in the task, 1 = the lowest.",
            "entropy_p_value": "How often shuffled labels give this neuron an entropy as low.",
            "entropy_q_value": "The same after Benjamini-Hochberg correction over the neurons.",
        },
    ),
    "class_specific_neurons": (
        "The neurons that a preset assigned to a class, with the evidence for each.",
        {
            "lift": "Activation probability in the class over the mean of the other classes.",
            "p_value": "p of so high a rate in the class if the labels meant nothing.",
            "q_value": "p corrected over all (class, neuron) pairs of the task.",
            "replicated": "1 where the rate is at least twice the others' on test clips too, 0 where not.",
            "lift_low": "Lower end of the lift's 95 % interval.",
            "lift_high": "Upper end of the lift's 95 % interval.",
            "share_of_draws": "Share of other draws of the split that choose the pair again.",
            "n_folds_held": "Folds in which it replicates.",
            "n_folds": "Folds of the dataset.",
            "p_value_cleaned": "p after level, duration and silence are taken out.",
            "explained_by": "What takes the evidence away: level, duration, silence all together; empty for nothing.",
        },
    ),
    "task_coverage": (
        "How much of each task is covered by class-specific neurons, beside the same rule on shuffled labels.",
        {
            "n_pairs": "Chosen (class, neuron) pairs.",
            "replicated_share": "Share of the chosen pairs that hold on test clips.",
            "replicated_share_all_pairs": "The same share of all pairs: what choosing nothing gives.",
            "null_n_pairs_mean": "Mean number of pairs on shuffled labels.",
            "null_n_pairs_low": "2.5th percentile of that number.",
            "null_n_pairs_high": "97.5th percentile of that number.",
            "settings_json": "Every threshold in force, as JSON.",
            "shuffled": "What was shuffled: clips, clips within a group such as voice, or whole groups.",
        },
    ),
    "probe_accuracy": (
        "How well a linear probe tells the classes from the model's frozen features.",
        {"split": "Clips it was asked on: train, valid or test."},
    ),
    "ablation_effects": (
        "What taking out the neurons of one class does to each class, beside random sets of the same size.",
        {
            "target": "The class whose neurons were changed.",
            "affected_class": "The class whose test clips were asked; NULL = all classes.",
            "removed": "Norm that the set removes, in standard deviations of the blocks' outputs.",
            "control_removed": "Mean of what its random sets remove.",
            "accuracy_unablated": "Accuracy before.",
            "accuracy_ablated": "Accuracy after.",
            "delta": "Accuracy after minus before.",
            "p_value": "Exact McNemar test of the clips that changed.",
            "q_value": "p corrected over target x affected class.",
            "control_delta_mean": "Mean change by random sets of the same size and layers.",
            "control_delta_low": "Least change by those sets.",
            "control_delta_high": "Greatest change by those sets.",
            "n_controls": "How many random sets.",
            "ablation_id": "Number of the ablation.",
            "control_p_value": "Share of random sets that do as much.",
            "beyond_control": "Change minus the random sets' mean.",
            "beyond_control_low": "Lower end of its interval.",
            "beyond_control_high": "Upper end of its interval.",
            "activity_control_delta_mean": "Mean change by random sets that fire as often, too.",
            "activity_control_delta_low": "Least change by those.",
            "activity_control_delta_high": "Greatest change by those.",
            "n_activity_controls": "How many of those.",
            "group_ci_low": "Lower end of the interval over whole voices or sources.",
            "group_ci_high": "Upper end of the interval over whole voices or sources.",
            "n_heads": "Linear heads that were asked.",
            "delta_heads_low": "Least change over the heads.",
            "delta_heads_high": "Greatest change over the heads.",
            "delta_log_prob": "Total: change of the log probability of the class on its clips, frozen probe, in nats.",
            "delta_log_prob_low": "Lower end of its 95 % interval.",
            "delta_log_prob_high": "Upper end of its 95 % interval.",
            "control_log_prob_mean": "The same under the random sets, mean.",
            "control_log_prob_low": "The same under the random sets, 2.5th percentile.",
            "control_log_prob_high": "The same under the random sets, 97.5th percentile.",
            "log_prob_p_value": "Sign-flip test over units that it goes beyond the random sets' mean.",
            "log_prob_q_value": "That p corrected over target x affected class.",
            "shift": "Change of the class's logit on all clips that are not of the class.",
            "shift_low": "Lower end of its 95 % interval.",
            "shift_high": "Upper end of its 95 % interval.",
            "selective": "Change of the class's logit on its own clips, less the shift.",
            "selective_low": "Lower end of its 95 % interval.",
            "selective_high": "Upper end of its 95 % interval.",
            "control_selective_mean": "The same under the random sets, mean.",
            "control_selective_low": "The same under the random sets, 2.5th percentile.",
            "control_selective_high": "The same under the random sets, 97.5th percentile.",
            "selective_p_value": "Sign-flip test over units that it goes beyond the random sets' mean.",
            "selective_q_value": "That p corrected over target x affected class.",
            "holds": "1 where selective_q_value < 0.05 and the selective part lies outside all random sets, else 0.",
            "delta_auroc": "Discrimination: change of the AUROC of the class's logit, class against rest.",
            "delta_auroc_low": "Lower end of its 95 % interval.",
            "delta_auroc_high": "Upper end of its 95 % interval.",
            "readable_offsets": "Accuracy under the ablation once the probe's offsets are refitted.",
            "readable_refit": "Accuracy under the ablation once the whole probe is refitted.",
            "n_units": "Clips, or groups of clips, over which the selective part was tested.",
        },
    ),
    "ablation_outcomes": (
        "An ablation's effect taken apart: one row for each target, affected class and outcome.",
        {
            "target": "The class whose neurons were changed.",
            "affected_class": "The class whose number is told; NULL = all test clips together.",
            "outcome": "total, shift, selective, discrimination; readable_offsets, readable_refit (accuracy of heads "
            "refitted), and the same with _log_prob.",
            "n_units": "Clips, or groups of clips (voices, recordings), over which it was tested.",
            "unablated": "The outcome's number with nothing changed.",
            "change": "What the ablation makes of it: ablated minus unablated.",
            "change_low": "Lower end of the change's 95 % interval (bootstrap over units).",
            "change_high": "Upper end of the change's 95 % interval.",
            "control_mean": "Mean change under random sets of the same size and layers.",
            "control_low": "2.5th percentile of the changes under random sets.",
            "control_high": "97.5th percentile of the changes under random sets.",
            "n_controls": "How many random sets; fewer where heads are refitted.",
            "outside_controls": "1 where the change lies outside of every random set's, else 0.",
            "beyond_control": "Change minus the random sets' mean.",
            "beyond_low": "Lower end of its 95 % interval.",
            "beyond_high": "Upper end of its 95 % interval.",
            "p_value": "Sign-flip test over units that nothing goes beyond control.",
            "q_value": "p corrected over target x affected class, outcome by outcome.",
            "n_heads": "Linear heads that were asked.",
            "heads_low": "Least change over the heads.",
            "heads_high": "Greatest change over the heads.",
        },
    ),
    "ablation_clips": (
        "What an ablation does to every single test clip, beside the mean of its random sets.",
        {
            "target": "The class whose neurons were changed.",
            "true_class": "The clip's label.",
            "log_prob": "Log probability of the clip's own class with nothing changed, in nats.",
            "delta_log_prob": "Its change by the ablation.",
            "control_delta_log_prob": "Its mean change under the random sets.",
            "delta_logit": "Change of the logit of the target's class.",
            "control_delta_logit": "The same, mean under the random sets.",
        },
    ),
    "ablation_flips": (
        "The test clips that the linear probe calls by another class once the neurons are changed.",
        {
            "target": "The class whose neurons were changed.",
            "true_class": "The clip's label.",
            "predicted_before": "What the probe called it before.",
            "predicted_after": "What it calls it now.",
        },
    ),
    "ablation_specificity": (
        "What classes lose by their own neurons, and what by the others': one row for each way to choose neurons.",
        {
            "self_effect": "Mean change of a class by its own neurons.",
            "cross_effect": "Mean change of the other classes by them.",
            "specificity": "Loss of the own class beyond that of the others.",
        },
    ),
    "shared_neurons": (
        "How many neurons two classes share, beside what chance gives.",
        {
            "task_a": "Task of the first class.",
            "class_a": "The first class.",
            "task_b": "Task of the second class.",
            "class_b": "The second class.",
            "n_a": "Neurons of the first class.",
            "n_b": "Neurons of the second class.",
            "n_shared": "Neurons of both.",
            "expected": "What sets of these sizes share by chance.",
            "nested": "1 where every clip of one class has the other: then sharing is no finding.",
            "odds_ratio": "How much likelier a neuron of one class is one of the other.",
            "odds_low": "Lower end of the odds ratio's interval.",
            "odds_high": "Upper end of the odds ratio's interval.",
        },
    ),
    "top_clips": (
        "The clips that move each neuron most, over the whole dataset.",
        {
            "rank": "1 = the clip with the highest mean activation.",
            "activation_rate": "Share of the clip's tokens at which the neuron is above 0.",
            "mean_activation": "Its mean activation over the clip.",
        },
    ),
    "neuron_clips": (
        "The clips that move each neuron most, middling and not at all.",
        {
            "kind": "top, middle (nearest the neuron's median) or silent.",
            "rank": "1 = the first of its kind.",
            "activation_rate": "Share of the clip's tokens at which the neuron is above 0.",
            "mean_activation": "Its mean activation over the clip.",
        },
    ),
    "coverage_curves": (
        "Coverage at other thresholds than the paper's, beside its null.",
        {
            "entropy_rate": "Share of neurons that the entropy keeps.",
            "probability_bar": "Quantile of all probabilities that a class must exceed.",
        },
    ),
    "selector_scores": (
        "The field's other selectivity scores of each neuron for each class; higher = more specific, none is evidence.",
        {
            "mad": "Mean activation in the class minus that in all other clips.",
            "cas": "Activation probability minus the highest of another class.",
            "auroc": "Chance that a clip of the class moves it more than another clip.",
            "d_prime": "Difference of the means over their common spread.",
            "selectivity_index": "Difference of the rates over their sum.",
        },
    ),
    "selector_agreement": (
        "How far two selectivity scores agree.",
        {
            "selector_a": "The first score.",
            "selector_b": "The second score.",
            "spearman": "Rank correlation over neurons, mean over classes.",
            "overlap": "Overlap of each class's top 1 %.",
            "expected_overlap": "The overlap that chance gives.",
        },
    ),
    "selection_stability": (
        "What halves of the clips, and other draws of the split, choose again.",
        {
            "n_halves": "How often the clips were halved.",
            "whole_groups": "1 where whole voices or sources went to one half.",
            "n_pairs_mean": "Pairs that a half chose, mean.",
            "jaccard_mean": "Overlap of what two halves chose, mean.",
            "jaccard_low": "The least over the halvings.",
            "jaccard_high": "The greatest over the halvings.",
            "jaccard_expected": "The overlap of sets of that size by chance.",
            "entropy_spearman": "Rank correlation of the entropies of two halves.",
            "n_draws": "Other draws of the split.",
            "share_of_draws": "Share of draws that choose a pair again, mean over the pairs.",
            "share_expected": "That share by chance.",
        },
    ),
    "confound_probes": (
        "How well level, duration, silence or the spectrum alone tell the classes; voices apart and mixed.",
        {
            "feature": "What the probe was given.",
            "group_name": "The group that was held apart, for instance voice.",
            "mark": "What follows, for instance as good as the model.",
            "reason": "Why it was not measured.",
        },
    ),
    "neuron_confounds": (
        "Rank correlation of each neuron's rate with what is no class.",
        {
            "rho_level": "With the clip's level.",
            "rho_duration": "With its duration.",
            "rho_silence": "With its share of silence.",
        },
    ),
    "neuron_tuning": (
        "Tuning of the class-specific neurons of pitch tasks, with intervals.",
        {
            "peak_rate": "Activation probability at the preferred pitch.",
            "floor_rate": "The least activation probability over the pitches.",
            "preferred_pitch": "MIDI note with the highest rate.",
            "preferred_low": "Lower end of its interval.",
            "preferred_high": "Upper end of its interval.",
            "center": "Mean pitch, weighted by the rate.",
            "center_low": "Lower end of its interval.",
            "center_high": "Upper end of its interval.",
            "bandwidth_semitones": "Width of the tuning curve at half height, in semitones.",
            "bandwidth_low": "Lower end of its interval.",
            "bandwidth_high": "Upper end of its interval.",
            "octave_equivalence_index": "1 = answers to octaves and not between, 0 = none, -1 = only between.",
            "oei_low": "Lower end of its interval.",
            "oei_high": "Upper end of its interval.",
        },
    ),
    "neuron_preferences": (
        "How much likelier each class-specific neuron fires in each class.",
        {"log_odds": "Log odds (natural) that a token fires in the class, against the other classes."},
    ),
    "neuron_attribution": (
        "What the linear probe would lose without each single neuron, and how far real ablations bear it out.",
        {
            "standard_error": "Standard error over the class's test clips.",
            "spearman_all": "Rank correlation with real ablations, over all neurons that were taken out.",
            "spearman_random": "The same over the random ones.",
            "spearman_highest": "The same over the strongest ones.",
            "n_checked": "Neurons that were really taken out.",
            "selective": "The same of the class's logit, own clips less others: the selective part.",
            "margin_total": "Rank correlation of the attribution with the loss of log p.",
            "margin_selective": "Rank correlation of the attribution with the selective loss.",
            "selective_total": "Rank correlation of the selective attribution with the loss of log p.",
            "selective_selective": "Rank correlation of the selective attribution with the selective loss.",
        },
    ),
    "attribution_checks": (
        "The neurons that were really taken out one by one: attribution beside what was measured.",
        {
            "measured": "What the probe's margin really lost.",
            "in_highest": "1 where it is one of the strongest, 0 where it was drawn at random.",
            "selective": "Attribution of the class's logit, own clips less others.",
            "measured_total": "What log p of the class really lost.",
            "measured_selective": "What the class's logit lost on its own clips, less what it lost on others.",
        },
    ),
    "erasure_curves": (
        "What is left of a class with the first 1, 2, 4, ... neurons of an order out, beside random orders.",
        {
            "order": "By what neurons are ranked: mad, attribution or evidence. A word of SQL: write it in quotes.",
            "n_neurons": "So many are out.",
            "delta_log_prob": "Change of log p(own class), in nats.",
            "delta_log_prob_low": "Lower end of its 95 % interval.",
            "delta_log_prob_high": "Upper end of it.",
            "control_log_prob_mean": "The same with as many random neurons out, mean.",
            "control_log_prob_low": "2.5th percentile of the random orders.",
            "control_log_prob_high": "97.5th percentile of them.",
            "delta_auroc": "Change of the AUROC of the class's logit.",
            "delta_auroc_low": "Lower end of its 95 % interval.",
            "delta_auroc_high": "Upper end of it.",
            "control_auroc_mean": "The same with as many random neurons out, mean.",
            "control_auroc_low": "2.5th percentile of the random orders.",
            "control_auroc_high": "97.5th percentile of them.",
            "n_controls": "Random orders.",
        },
    ),
    "erasure_areas": (
        "One row for each erasure curve: its area beyond random orders, and the smallest sets that halve a class.",
        {
            "order": "By what neurons are ranked. A word of SQL: write it in quotes.",
            "outcome": "total (nats) or discrimination (AUROC).",
            "area": "Mean over the sizes of what goes beyond random orders; negative = steeper than at random.",
            "area_low": "Lower end of its 95 % interval.",
            "area_high": "Upper end of it.",
            "outside_controls": "1 where it lies outside of every random order's.",
            "halved_at": "The smallest set that halves p of the class, or what its AUROC is over 0.5.",
            "random_halved_at": "The smallest random set that does.",
        },
    ),
    "layer_attribution": (
        "How much of each class's margin is attributed to the neurons of each layer, together.",
        {
            "attribution": "Sum over the layer's neurons of activation times gradient of the margin, in logits.",
            "standard_error": "Of that mean over clips; NULL of a single clip.",
            "n_clips": "Clips of the class.",
        },
    ),
    "layer_probes": (
        "What a linear head reads from each layer's pooled output, by split; with --probe-layers.",
        {
            "layer": _LAYER,
            "split": "train, valid or test, or a fold; test is told of all.",
            "ci_low": _OVER_UNITS,
            "ci_high": _UPPER,
            "shuffled_high": "On test clips, the highest of 20 deals of the labels; NULL elsewhere.",
        },
    ),
    "layer_probe_classes": (
        "The same class by class: recall, or average precision.",
        {
            "layer": _LAYER,
            "split": "train, valid or test, or a fold; test is told of all.",
            "n_clips": "Clips of the class.",
            "accuracy": "Share of the class's clips that are called by it, or what metric names.",
            "ci_low": _OVER_UNITS,
            "ci_high": _UPPER,
        },
    ),
    "layer_weights": (
        "What each layer counts for in the weighted sum of all (SUPERB): shares that add up to 1.",
        {
            "layer": _LAYER,
            "weight": "Share of the layer; with folds the mean over them.",
            "weight_low": "Least, over folds and resampled train clips.",
            "weight_high": "Greatest, over folds and resampled train clips.",
        },
    ),
    "layer_summaries": (
        "One row for each network and task: the best layer and the weighted sum, on test clips.",
        {
            "chosen_on": "What regularisations and the best layer were chosen on.",
            "best_layer": "Highest on those clips (of ties the first), NULL without any; with folds the one most have.",
            "best_accuracy": "What it reads on test clips (with folds each fold's own best layer).",
            "best_low": "Lower end of its 95 % interval.",
            "best_high": "Upper end of it.",
            "best_difference": "Best layer less last layer, on the same test clips.",
            "best_difference_low": "Lower end of its 95 % interval (bootstrap over sampling units).",
            "best_difference_high": "Upper end of it.",
            "weighted_accuracy": "A head on the weighted sum of all layers; NULL where layers differ in width.",
            "weighted_low": "Lower end of its 95 % interval.",
            "weighted_high": "Upper end of it.",
            "weighted_difference": "Weighted sum less best layer, on the same test clips.",
            "weighted_difference_low": "Lower end of its 95 % interval (bootstrap over sampling units).",
            "weighted_difference_high": "Upper end of it.",
            "shuffled": "What labels were dealt over: clips, clips within a voice, whole voices.",
        },
    ),
    "units": (
        "Every unit of every kind that was studied; the views of neurons show mlp alone.",
        {"model_name": "What the page and --model call the encoder seen through this kind of unit."},
    ),
    "unit_coverage_by_layer": (
        "Class-specific units of any kind in each layer, beside the same rule on shuffled labels.",
        {
            "n_units": "Units of the layer.",
            "n_class_specific": "Units of the layer that are specific for any class.",
            "n_classes_covered": "Classes that have such a unit in the layer.",
            "null_n_classes_covered_mean": "Mean of the same on shuffled labels.",
            "null_n_classes_covered_low": "2.5th percentile of it.",
            "null_n_classes_covered_high": "97.5th percentile of it.",
            "replicated_share": "Share of the layer's chosen pairs that hold on test clips.",
            "replicated_share_all_pairs": "The same share of all the layer's pairs: what choosing nothing gives.",
        },
    ),
    "autoencoders": (
        "The sparse autoencoders whose features were studied, judged on tokens they were not trained on.",
        {
            "n_features": "Features of the autoencoder.",
            "origin": "trained = here; else the file it was read from.",
            "architecture": "standard, topk, jumprelu or gated.",
            "k": "Features of a token that are kept, where it was trained here.",
            "n_steps": "Steps it was trained for, where it was trained here.",
            "seed": "Seed of that training.",
            "explained_variance": "1 - squared error / variance around the mean token.",
            "n_active": "Mean number of features that fire in a token.",
            "dead_share": "Share of features that fire in none of the tokens.",
            "n_tokens": "Tokens it was judged on.",
        },
    ),
    "reconstructions": (
        "What a task's linear head loses where a block's output is replaced by its reconstruction, or by its mean.",
        {
            "accuracy": "Accuracy with nothing replaced.",
            "accuracy_reconstructed": "Accuracy with the reconstruction in place of the layer's output.",
            "accuracy_mean": "Accuracy with the layer's mean output in every token: the floor.",
            "log_prob": "Mean log probability of the clip's own class with nothing replaced, nats.",
            "change_reconstructed": "Change of it with the reconstruction, nats.",
            "change_reconstructed_low": "Lower end of its 95 % interval.",
            "change_reconstructed_high": "Upper end of it.",
            "change_mean": "Change of it with the mean output, nats.",
            "change_mean_low": "Lower end of its 95 % interval.",
            "change_mean_high": "Upper end of it.",
            "recovered": "1 - one change over the other: what of the floor's loss the reconstruction spares.",
            "recovered_low": "Lower end of its 95 % interval.",
            "recovered_high": "Upper end of it.",
        },
    ),
    "unit_stability": (
        "Units that were looked for with another seed: the best partner each has there.",
        {
            "cosine": "Of what both write to the stream; of directions without a sign its size.",
            "is_mutual": "1 where the unit is its partner's best, too.",
            "null_cosine_high": "95th percentile of the best cosine with as many random directions.",
            "found_again": "1 where partners are each other's best and the cosine is 0.7 or more.",
        },
    ),
}
VIEW_MEANINGS |= {
    "unit_partners": (
        "One row for each unit, other model and dataset: the unit there that responds most alike.",
        {
            "partner_layer": "Layer of the most alike unit.",
            "partner_unit": "The most alike unit, from 0 in its layer.",
            "is_partner": "1 where it counts as a partner: mutual, and q < 0.05 of both.",
            "is_beyond": "1 where such partners are alike beyond the labels, too: within_q < 0.05 of both.",
            "mutual": "1 where each is the other's most alike.",
            "correlation": "Pearson's r of clip means over the clips that chose the partner.",
            "second": "The same with the next best unit of that model.",
            "null_high": "97.5th percentile of the unit's best correlation with any unit there on dealt clips.",
            "p_value": "p of so high a best correlation on dealt clips.",
            "q_value": "p after Benjamini-Hochberg correction over the units.",
            "held_out": "The pair's correlation on test clips, which did not choose it.",
            "held_out_low": "Lower end of its 95 % interval.",
            "held_out_high": "Upper end of it.",
            "within": "The same with what labels explain taken out of both.",
            "within_low": "Lower end of its 95 % interval.",
            "within_high": "Upper end of it.",
            "within_p": "One-sided p that it is 0.",
            "within_q": "That p after Benjamini-Hochberg correction over the units.",
        },
    ),
    "matched_models": (
        "One row for each model, other model and dataset: how many units have a partner, beside dealt clips.",
        {
            "n_matched": "Units that vary over the clips.",
            "share_beyond": "n_beyond over n_matched.",
            "n_clips": "Clips that chose partners.",
            "n_held_out": "Clips that told how alike they are.",
            "n_sampling_units": "Independent ones among those that chose: clips, or groups of clips.",
            "dealt": "What was dealt anew: clips, or whole groups of clips.",
            "n_deals": "How often.",
            "taken_out": "Attributes whose classes' means were taken out for within.",
        },
    ),
    "unit_descriptions": (
        "One row for each description of a unit, ours or another's, and how well it predicts the unit on held-out "
        "clips; one for each dataset.",
        {
            "description": "What is said to make the unit fire.",
            "author": "atlas (found here), or whoever gave it.",
            "correlation": "Of prediction and activation over held-out tokens (Pearson).",
            "average_precision": "Of the prediction, for the 5 % of tokens in which the unit is highest.",
            "f1": "Overlap of the highest 5 % by prediction and by activation.",
            "iou": "Intersection over union of the top 10 % of clips by prediction and by activation.",
            "null_correlation_high": "97.5th percentile of the correlation of other units' descriptions, dealt to this "
            "one; or that of the majority class, if higher.",
            "beats_null": "1 where correlation is above null_correlation_high.",
            "created_at": "When it was scored, UTC.",
        },
    ),
    "unit_explanations": (
        "One row for each unit that varies: share of its variance that classes and descriptors explain.",
        {
            "n_terms": "Terms of its description, 0 to 3; 0: no more is explained than on shifted activations.",
            "by_classes": "Share explained on held-out clips by classes alone; below 0: worse than the mean.",
            "by_descriptors": "By acoustic descriptors alone.",
            "by_both": "By both.",
            "by_level": "By level alone.",
            "validated": "By both, on selection clips, cross-validated by groups.",
            "validated_high": "The most that is explained in the same way on circularly shifted activations.",
            "n_clips": "Selection clips that were heard.",
            "n_held_out": "Held-out clips.",
            "n_shifts": "How many shifts.",
        },
    ),
    "partner_shares": (
        "One row for each class, preset and other model: how many of the class's units have a partner there.",
        {
            "n_units": "Units that the preset assigned to the class.",
            "share_of_all": "The same share over all units of the model.",
            "share_beyond": "n_beyond over n_units.",
            "share_beyond_of_all": "The same share over all units of the model.",
        },
    ),
    "unit_map": (
        "One row for each unit that has a place on its model's map: near one another where they respond alike.",
        {
            "map_x": "Place across, in [0, 1]; far apart says little.",
            "map_y": "Place up, in the same scale.",
        },
    ),
    "unit_maps": (
        "One row for each model that has a map of its units: how it was made, and how far it is to be trusted.",
        {
            "method": "How places were found.",
            "method_version": "Of the method here.",
            "seed": "Seed of every random draw.",
            "datasets": "Whose clips it is of, with commas.",
            "n_clips": "Clips that responses were compared over.",
            "n_units": "Units of the model.",
            "n_placed": "Those that vary over the clips and so have a place.",
            "trustworthiness": "How far neighbours on the map are so by response: 1 = all (Venna & Kaski 2001).",
            "trustworthiness_chance": "The same with places dealt anew over units.",
            "n_neighbours": "Neighbours of each unit that were looked at.",
            "n_checked": "Units among which they were looked for.",
        },
    ),
    "unit_selectivity": (
        "How selective each unit of any kind is in each task; as neuron_selectivity.",
        VIEW_MEANINGS["neuron_selectivity"][1],
    ),
    "class_specific_units": (
        "The units of any kind that a preset assigned to a class; as class_specific_neurons.",
        VIEW_MEANINGS["class_specific_neurons"][1],
    ),
    "unit_coverage": (
        "How much of each task is covered by class-specific units of each kind; as task_coverage.",
        VIEW_MEANINGS["task_coverage"][1],
    ),
    "unit_ablation_effects": (
        "What each set of units of any kind does to each class when it is changed; as ablation_effects.",
        VIEW_MEANINGS["ablation_effects"][1],
    ),
}
"""View to (sentence, what its own columns mean)."""


def meaning(view: str, column: str) -> str:
    """Return what a column of a view means, or of any ("" as view); "" where that is not told."""
    _, own = VIEW_MEANINGS.get(view, ("", {}))
    return own.get(column) or _ALL.get(column, "")


def columns_of_all(engine: Engine) -> dict[str, list[str]]:
    """Return the columns of each of `VIEW_MEANINGS`, in the view's order."""
    return {view: list(frame(engine, f"SELECT * FROM {view} LIMIT 0").columns) for view in VIEW_MEANINGS}


def columns(engine: Engine, view: str) -> pd.DataFrame:
    """Return ``column`` and ``meaning`` of a view, in the view's order.

    Parameters
    ----------
    engine : Engine
    view : str
        One of `VIEW_MEANINGS`.
    """
    names = list(frame(engine, f"SELECT * FROM {view} LIMIT 0").columns)
    return pd.DataFrame({"column": names, "meaning": [meaning(view, name) for name in names]})
