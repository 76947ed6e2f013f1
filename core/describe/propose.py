"""Phrases that a model of sounds and language proposes for units, refereed as all descriptions are.

Of each unit the phrase whose likeness to selection clips goes most along with the unit's mean activation in them; how
well it does is told on held-out clips, beside phrases that were proposed for other units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.datasets.groups import telling_attributes
from core.datasets.scan import Scan
from core.datasets.task import Task
from core.describe.acoustics import Floats
from core.describe.deals import N_DEALS, deals
from core.describe.describe import Drawn
from core.describe.descriptors import DESCRIPTORS
from core.describe.referee import N_DEALT, Beside, blocks, referee, together
from core.describe.scores import standard
from core.errors import InputError
from core.results import IntArray
from core.untrusted_text import harmless, user_path

MOST_PHRASES, LONGEST_PHRASE = 20_000, 200


def read_phrases(path: str) -> list[str]:
    """Phrases of a text file, one a line, each once.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or holds more than `MOST_PHRASES` or one of more than `LONGEST_PHRASE` letters.
    """
    told, most = f"--phrases {path}", MOST_PHRASES * (LONGEST_PHRASE + 2)
    try:
        with Path(user_path(path)).open(encoding="utf-8-sig") as file:
            text = file.read(most + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{told}: {reason}; expected a text file in UTF-8, a phrase a line") from error
    phrases = list(dict.fromkeys(harmless(line.strip()) for line in text.splitlines() if line.strip()))
    if len(phrases) < 2 or len(phrases) > MOST_PHRASES or len(text) > most:
        raise InputError(f"{told}: {len(phrases):,} phrases; expected 2 to {MOST_PHRASES:,}, one a line")
    if longest := max((one for one in phrases if len(one) > LONGEST_PHRASE), key=len, default=""):
        raise InputError(f"{told}: a phrase of {len(longest):,} letters; expected at most {LONGEST_PHRASE}")
    return phrases


def phrases_of(scan: Scan) -> list[str]:
    """What a dataset's classes and our descriptors are called, where no other phrases are given."""
    classes = [name for attribute in telling_attributes(scan) for name in Task(scan, attribute).class_names]
    sounds = [words for one in DESCRIPTORS for words in (one.high, one.low)]
    return list(dict.fromkeys([f"the sound of {name}" for name in classes] + sounds))


def majority(scan: Scan, drawn: Drawn) -> Floats:
    """1 in held-out clips of the first attribute's most frequent class, shape (n_held_out, 1), or (n_held_out, 0)."""
    first = next(iter(telling_attributes(scan)), None)
    if first is None:
        return np.zeros((len(drawn.clips) - drawn.n_chosen, 0), np.float32)
    of_clips = Task(scan, first).members[drawn.clips]
    most = int(of_clips[: drawn.n_chosen].sum(axis=0).argmax())
    return of_clips[drawn.n_chosen :, [most]].astype(np.float32)


def propose(means: Floats, likeness: Floats, drawn: Drawn, phrases: Sequence[str], guess: Floats) -> pd.DataFrame:
    """Choose a phrase for each unit, and score it on the clips that did not choose.

    Parameters
    ----------
    means : ndarray of float32, shape (n_clips, n_units)
        Mean activations in the drawn clips.
    likeness : ndarray of float32, shape (n_clips, n_phrases)
        Of each phrase to each clip.
    drawn : Drawn
    phrases : sequence of str
    guess : ndarray of float32, shape (n_clips - n_chosen, 0 or 1)
        Prediction of one who has heard nothing (`majority`).

    Returns
    -------
    DataFrame
        As ``described`` of `core.results.Descriptions`, without ``author``; units that do not vary have no row.
    """
    n_chosen = drawn.n_chosen
    best = _best(means[:n_chosen], likeness[:n_chosen])
    units = np.flatnonzero((np.ptp(means[:n_chosen], axis=0) > 0) & (np.ptp(means[n_chosen:], axis=0) > 0))
    held_out, y, words = likeness[n_chosen:], means[n_chosen:], np.array(phrases, dtype=np.str_)
    dealt = np.random.default_rng(len(phrases)).permutation(np.unique(best[units]))[:N_DEALT]
    clip, parts = np.arange(len(y)), []
    dealt_clips = deals(clip, drawn.group[n_chosen:], N_DEALS, len(phrases))
    beside = Beside(held_out[:, dealt], words[dealt], guess, dealt_clips)
    for some in blocks(units.tolist()):
        of = best[some]
        parts.append(referee(some, words[of].tolist(), held_out[:, of], y[:, some], clip, beside))
    found = together(parts)
    return found.assign(description=found["predicts"])


def _best(means: Floats, likeness: Floats) -> IntArray:
    """Of each unit the phrase of the highest correlation, shape (n_units,)."""
    of_phrases = standard(likeness).T
    blocks = (means[:, i : i + 1024] for i in range(0, means.shape[1], 1024))
    return np.concatenate([(of_phrases @ standard(block)).argmax(axis=0) for block in blocks]).astype(np.int64)
