"""What the selection presets mean, and the words that every page and report explains alike."""

from __future__ import annotations

MEANING = {
    "calibrated": (
        "A rule of evidence: the neuron's rate in the class exceeds what a shuffled-label null "
        "gives (q < 0.05), is at least twice the mean of the other classes, and at least 2 %."
    ),
    "aape": (
        "The paper's quota: the lowest-entropy neurons (1 or 2 %) that exceed a bar taken over all "
        "neurons. Read its counts beside the shuffled-label null."
    ),
    "lape": ("The quota of LAPE's published code: always 1 % of the neurons, on a shuffled-label null as well."),
}

TERMS = {
    "class-specific": "A neuron that one preset assigns to at least one class of the task.",
    "coverage": "Share of a task's classes that have at least one class-specific neuron.",
    "entropy": (
        "How evenly the neuron's activation probability spreads over the classes, in nats: "
        "0 = it answers to one class only; ln(number of classes) = to all alike."
    ),
    "null": (
        "Shuffled-label null: the same selection after the labels were shuffled over the clips, "
        "many times. Bars span its 2.5th to 97.5th percentile."
    ),
    "lift": "Activation probability in the class over the mean of the other classes.",
    "probability": "Share of a class's tokens (time-frequency patches) with activation above 0.",
    "p": "Probability of so high a rate if the labels meant nothing (label permutation).",
    "q": "p after Benjamini-Hochberg correction over all (class, neuron) pairs of the task.",
    "replicated": ("Whether the rate is at least twice the other classes' mean on held-out test clips too."),
}
