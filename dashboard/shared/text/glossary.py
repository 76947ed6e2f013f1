"""The words of this project, each with one meaning: behind every page's ``?``, in the report, in docs/glossary.md."""

from __future__ import annotations

TERMS = {
    "aape": (
        "The paper's selection rule, a quota: the 1 or 2 % of neurons of lowest entropy whose probability "
        "exceeds a threshold taken over all neurons."
    ),
    "ablation": (
        "Changing some neurons (times a gain, to their mean, or keeping them alone) and asking the same probe again."
    ),
    "activation": "What leaves a neuron's activation function at one token.",
    "activation probability": (
        "Share of a class's tokens (patches of time and frequency) at which the neuron's activation is above 0."
    ),
    "attribution": (
        "Gradient times activation of the probe's margin: to first order, what the margin loses without the "
        "neuron, in logits."
    ),
    "beyond control": "What an ablation changes, less the mean change under its random sets.",
    "calibrated": (
        "Permutation test, FDR 5 %, lift ≥ 2 (ours; the paper's is AAPE): q < 0.05 on permuted labels, at least "
        "twice the mean of the other classes, and at least 2 %."
    ),
    "chance": "What a probe or a selection gives where labels say nothing: the permutation null.",
    "class-specific": "A neuron that a selection rule assigns to at least one class of the task.",
    "clip": "One sound file of a dataset, or the cut of it that is a row of the manifest.",
    "confound": (
        "Something else that differs between classes (level, duration, silence, speaker, recording) and may "
        "be what a neuron answers to."
    ),
    "control": (
        "As many other neurons, drawn at random in the same layers (or layers and activity), changed in the same way."
    ),
    "coverage": "Share of a task's classes that have at least one class-specific neuron.",
    "detection limit": (
        "The smallest effect that could be significant on the clips there are; what lies below it was not measured, "
        "not shown to be absent."
    ),
    "discrimination": (
        "Change of the AUROC of a class's logit, class against rest: what no threshold and no offset can hide."
    ),
    "effect": (
        "What an ablation does to a class, beside its controls: taken apart into total, shift, selective and "
        "discrimination; in accuracy it is significant with q < 0.05, an interval that excludes 0, and beyond the "
        "controls."
    ),
    "entropy": (
        "How evenly a neuron's activation probability spreads over the classes, in nats: 0 = one class only, "
        "ln(number of classes) = all alike."
    ),
    "explained share": (
        "Share of the variance of a unit's answers to made sounds that a factor explains: by itself, and half of what "
        "it explains only together with one other factor (its Shapley value). 0 in the mean where there is nothing."
    ),
    "feature": "A unit of a sparse autoencoder of a block's output; active above 0.",
    "found again": (
        "A direction or feature whose best partner among those of another seed has it for its best, too, with a cosine "
        "of 0.7 or more."
    ),
    "gain": "Factor on the activations of the neurons that are ablated; 0 silences them, 1 leaves them.",
    "kept": (
        "Share of the levels of another factor at which a unit's best level stays where it is at all the others "
        "together (or next to it, where a factor has five levels and more)."
    ),
    "lape": (
        "The selection rule of LAPE's published code, a quota: always 1 % of the neurons, on permuted labels as well."
    ),
    "latency": (
        "Lag from an onset at which a unit's rate reaches half of its peak over the mean of shifted activity; "
        "told where the peak leaves the band of that. No finer than a column of the model, by which its interval is "
        "widened on either side."
    ),
    "layer": "A block of the encoder, counted from 0.",
    "lift": "Activation probability in the class over the mean of the other classes.",
    "made sound": (
        "Sound made by rule in which named factors are varied, every level as often with every other, and all else is "
        "held; also called a stimulus."
    ),
    "neuron": ("One unit of what enters a block's MLP output projection, addressed by layer and index, both from 0."),
    "norm removed": (
        "What an ablation alters in the output of each block, everything before the block as it was, in standard "
        "deviations of that output, over all layers together."
    ),
    "null": (
        "The same selection after the labels were permuted, many times, within what may be exchanged; bars "
        "span its 2.5th to 97.5th percentile."
    ),
    "onset index": (
        "Share of the onset of segments in what a unit's rate is above that outside them; with the sustain and "
        "offset index it adds up to 1. Not told where no segment has such a part."
    ),
    "p": "Probability of so high a rate, or so large an effect, if the labels meant nothing.",
    "partner": (
        "The unit of another model whose responses over the same clips are most alike, if that is mutual and more than "
        "dealt clips give (q < 0.05 of both); also called its twin."
    ),
    "probe": "A linear classifier on frozen embeddings: fitted on train, regularised on valid, told on test.",
    "q": "p after Benjamini-Hochberg correction over all that was asked together.",
    "readable": (
        "What a probe still reads under an ablation once its offsets, or the whole probe, are refitted on ablated "
        "train clips."
    ),
    "replicated": "Whether the rate is at least twice the other classes' mean on held-out test clips too.",
    "segment": (
        "A stretch of a clip with a label, an onset and an offset: a phone, a note, an event; each attribute of "
        "segments is a task in time."
    ),
    "selection rule": (
        "What calls neurons class-specific: calibrated, aape or lape (`preset` in SQL and on the command line); or the "
        "highest of a selectivity score."
    ),
    "selective": (
        "Change of a class's logit on its own clips, less the shift: what is lost of this class alone, in logits."
    ),
    "selectivity score": (
        "A number by which neurons are ranked for a class: mean activation, margin to the runner-up, AUROC, d′, "
        "selectivity index, ln K − entropy (`selector` in SQL and on the command line)."
    ),
    "shift": "Change of a class's logit on all clips that are not of the class, in logits; new offsets undo it.",
    "shifted labels": (
        "The null in time: each clip's labels moved circularly by a random number of columns, so that lengths, "
        "order and autocorrelation stay."
    ),
    "significant": (
        "Of an effect: q < 0.05 and beyond all random controls; of accuracy also an interval that excludes 0; of an "
        "ablation without further word, that its selective part is."
    ),
    "split": "Train, valid or test; of folds the last is test and the others are train.",
    "task": "A dataset read through one of its attributes; its classes are the attribute's values.",
    "token": "A patch of time and frequency, the unit in which the encoder computes.",
    "total": "Change of the log probability of a class on its own clips by the frozen probe, in nats.",
    "unablated": "Under no change, gain 1.",
    "unit": (
        "Whatever gives one number a token at a named place: a neuron, or, by its kind, a coordinate, a random or "
        "principal direction, an attention head, a feature."
    ),
}
