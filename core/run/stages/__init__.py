"""The stages of the study, in their order; with them all that computes is loaded."""

from core.run.stages.ablate import Ablate
from core.run.stages.attribute import Attribute
from core.run.stages.base import carry_out
from core.run.stages.compare import Compare
from core.run.stages.describe import Describe, Referee
from core.run.stages.erase import Erase
from core.run.stages.extract import TopClips, record_activations
from core.run.stages.found_units import Found
from core.run.stages.layers import ProbeLayers
from core.run.stages.match import Match, match_models
from core.run.stages.place import Place
from core.run.stages.propose import Propose
from core.run.stages.reconstruct import Reconstruct
from core.run.stages.score import Head, Score
from core.run.stages.segments import Segments
from core.run.stages.share import Share
from core.run.stages.stimuli import Answer, Stimulate
from core.run.stages.task import TaskStudy
from core.run.stages.trace import Trace

__all__ = [
    "Ablate", "Answer", "Attribute", "Compare", "Describe", "Erase", "Found", "Head", "Match", "Place", "ProbeLayers",
    "Propose", "Reconstruct", "Referee", "Score", "Segments", "Share", "Stimulate", "TaskStudy", "TopClips", "Trace",
    "carry_out", "match_models", "record_activations",
]  # fmt: skip
