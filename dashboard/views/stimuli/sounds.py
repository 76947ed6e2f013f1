"""Made sounds to hear: made anew where they are played, from the set's name, the levels and the seed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import streamlit as st

MOST_KEPT = 128


class NotMade(Exception):
    """A made sound cannot be played; its text says why."""


@st.cache_data(max_entries=MOST_KEPT, show_spinner=False)
def wav(stimulus_set: str, levels: tuple[int, ...], repetition: int, seed: int, labels: Sequence[str]) -> bytes:
    """A made sound as a WAV file.

    Parameters
    ----------
    stimulus_set : str
    levels : tuple of int
        Place of each factor's level.
    repetition, seed : int
    labels : sequence of str
        Of these levels, as the store has them: another version of a set is not played in its name.

    Raises
    ------
    NotMade
    """
    import soundfile

    from core.stimuli.sets import SETS

    made = SETS.get(stimulus_set)
    shape = made.design.shape if made else ()
    places = (*levels, repetition)
    if made is None or len(places) != len(shape) or any(not 0 <= at < n for at, n in zip(places, shape, strict=True)):
        raise NotMade("This version of the atlas does not know these sounds.")
    known = [factor.levels[at] for factor, at in zip(made.design.factors, levels, strict=True)]
    if known != list(labels):
        raise NotMade("The set was changed since: its sounds are others now. Run the command again to ask with them.")
    if made.lacks:
        raise NotMade(f"These sounds cannot be made here: {made.lacks}.")
    index = int(np.ravel_multi_index(places, shape))
    file = io.BytesIO()
    soundfile.write(file, made.sound(index, seed), 16_000, format="WAV", subtype="PCM_16")
    return file.getvalue()
