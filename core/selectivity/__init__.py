"""How selective each neuron is for each class; `class_specific_neurons` is the part that scripts call."""

from core.selectivity.presets import class_specific_neurons

__all__ = ["class_specific_neurons"]
