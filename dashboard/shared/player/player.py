"""Player: clips with their log-mel picture, a playhead and an activation laid over both."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import streamlit as st
from numpy.typing import NDArray
from streamlit import runtime

from dashboard.shared.player import clip

BUDGET_SECONDS = 0.06
"""How long one run may decode and draw; the tracks left over are made when they are chosen."""
MARKS_HZ = (0, 500, 1000, 2000, 4000, 8000, 16000, 32000)
_HERE = Path(__file__).parent
_HTML = """
<section class="player" aria-label="Player"><div class="frame">
  <div class="main">
    <div class="heading"><strong class="title"></strong> <span class="caption"></span></div>
    <div class="stage">
      <div class="hertz" aria-hidden="true"></div>
      <div class="picture" role="slider" tabindex="0" aria-valuemin="0">
        <img alt="" draggable="false" hidden>
        <canvas aria-hidden="true"></canvas>
        <div class="playhead" hidden></div>
        <div class="readout" aria-hidden="true" hidden></div>
        <p class="notice" role="status"></p>
      </div>
      <div class="time" aria-hidden="true"></div>
    </div>
    <div class="labels" role="img" hidden></div>
    <div class="lanes"></div>
    <div class="controls">
      <button type="button" class="previous" aria-label="Previous clip" title="Previous (p)"></button>
      <button type="button" class="play" aria-label="Play" title="Play or pause (space)"></button>
      <button type="button" class="next" aria-label="Next clip" title="Next (n)"></button>
      <span class="clock"></span>
      <span class="activation">
        <button type="button" class="switch" role="switch" aria-checked="true" title="Show or hide (o)">
          <span class="knob" aria-hidden="true"></span><span class="label"></span>
        </button>
        <span class="scale" aria-hidden="true"><span>0</span><span class="bar"></span><span class="peak"></span></span>
      </span>
    </div>
  </div>
  <div class="side"><div class="list" role="listbox" tabindex="0" aria-label="Clips"></div></div>
  <audio preload="auto"></audio>
</div></section>
"""


def script(file: Path) -> str:
    """A component's part in the browser, after what all that play sound there share: it can import no file."""
    return "\n".join(part.read_text(encoding="utf-8") for part in (_HERE / "common.js", file))


_component = st.components.v2.component(
    "atlas_player",
    html=_HTML,
    css=(_HERE / "player.css").read_text(encoding="utf-8"),
    js=script(_HERE / "player.js"),
)


@dataclass(frozen=True)
class Overlay:
    """An activation over time and frequency, laid over the picture.

    Attributes
    ----------
    strength : ndarray of uint8, shape (n_bands, n_columns)
        Low band first; 255 is ``peak``.
    column_seconds : float
    band_edges_hz : tuple of float
        ``n_bands + 1``, low first.
    label : str
        Whose activation: "neuron 17, layer 3".
    peak : float
        The activation at 255.
    start_seconds : float
        Where the first column begins.
    """

    strength: NDArray[np.uint8]
    column_seconds: float
    band_edges_hz: tuple[float, ...]
    label: str
    peak: float
    start_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.strength.ndim != 2 or len(self.band_edges_hz) != len(self.strength) + 1:
            raise ValueError("an overlay is bands by columns, with one more edge than bands")


@dataclass(frozen=True)
class Lane:
    """A strip below the picture: one neuron's activation over time, the highest of its bands.

    Attributes
    ----------
    label : str
    colour : str
        Of ours, as CSS has it.
    overlay : Overlay, optional
        None where it is not stored for the clip, which is told.
    """

    label: str
    colour: str
    overlay: Overlay | None = None


@dataclass(frozen=True)
class Label:
    """A stretch of a clip with a name, below the picture; ``is_own`` makes it stand out."""

    text: str
    start_seconds: float
    end_seconds: float
    is_own: bool = False


@dataclass(frozen=True)
class Track:
    """One clip of a player.

    Attributes
    ----------
    title, caption : str
        Shown as they are, never as Markdown.
    stored : clip.Stored, optional
        The file of a dataset's clip: see `stored_track`.
    wav : bytes, optional
        The sound itself, where it is no file.
    overlay : Overlay, optional
    lanes : tuple of Lane
    labels : tuple of Label
        In order of their start; those that overlap lie below each other.
    problem : str
        Why it cannot be played; then it is listed, greyed, with this reason.
    """

    title: str
    caption: str = ""
    stored: clip.Stored | None = None
    wav: bytes | None = None
    overlay: Overlay | None = None
    problem: str = ""
    lanes: tuple[Lane, ...] = ()
    labels: tuple[Label, ...] = ()


def stored_track(row: Mapping[Hashable, Any], title: str, caption: str = "", overlay: Overlay | None = None) -> Track:
    """Make a track of a dataset's clip; its problem is told where the file cannot be had.

    Parameters
    ----------
    row : mapping
        ``root``, ``path`` and ``file_sha256`` as the store has them.
    title, caption : str
    overlay : Overlay, optional
    """
    stored = clip.Stored.of(row)
    try:
        file = stored.find()
        with clip.named(file, file.name) as link:
            soundfile.info(str(link))
    except clip.NotPlayed as error:
        return Track(title, caption, problem=f"{stored.path} {error}.")
    except clip.UNREADABLE:
        return Track(title, caption, problem=f"{stored.path} cannot be read as sound.")
    return Track(title, caption, stored, overlay=overlay)


def player(tracks: Sequence[Track], *, key: str, selected: int = 0, play: int = 0, label: str = "Player") -> None:
    """Show tracks to be heard and seen.

    Parameters
    ----------
    tracks : sequence of Track
    key : str
        Unique on the page. Across reruns, a track that plays goes on while it is among ``tracks``.
    selected : int
        Which to show first. A change selects anew; otherwise the listener's own choice stands.
    play : int
        When it was asked for that the sound begins by itself (any clock, later is larger); 0: it does not.
    label : str
        What screen readers call it; of two on a page, each its own.
    """
    if tracks:
        _mount(tuple(tracks), key, min(max(selected, 0), len(tracks) - 1), play, label)


@st.fragment
def _mount(tracks: tuple[Track, ...], key: str, selected: int, play: int, label: str) -> None:
    memory = f"{key}_asked"

    def remember() -> None:
        asked = st.session_state[key].wanted
        if asked in identities:
            st.session_state[memory] = asked

    identities = identify(tracks)
    asked = st.session_state.get(memory)
    first = identities.index(asked) if asked in identities else selected
    made = render_some(tracks, (selected, first, *range(first, len(tracks)), *range(first)))
    listed = [
        describe(track, identity, made.get(place), f"{key}-{place}")
        for place, (track, identity) in enumerate(zip(tracks, identities, strict=True))
    ]
    told = {"tracks": listed, "selected": selected, "play": play, "label": label}
    _component(key=key, data=told, on_wanted_change=remember)


def identify(tracks: Sequence[Track]) -> list[str]:
    """Name every track by its sound, without telling the browser where that lies."""
    seen: Counter[str] = Counter()
    names = []
    for track in tracks:
        source = track.wav if track.wav is not None else str(track.stored or track.title).encode()
        name = hashlib.sha256(source).hexdigest()[:16]
        seen[name] += 1
        names.append(f"{name}-{seen[name]}")
    return names


def render_some(tracks: Sequence[Track], order: Sequence[int]) -> dict[int, clip.Rendered | str]:
    """Decode and draw tracks in ``order`` until the time is up, the first always, a failure as its reason."""
    made: dict[int, clip.Rendered | str] = {}
    first = set(order[:2])
    end = time.monotonic() + BUDGET_SECONDS
    for place in order:
        track = tracks[place]
        if place in made or track.problem:
            continue
        if place not in first and time.monotonic() > end:
            break
        try:
            if track.wav is not None:
                made[place] = clip.render_bytes(track.wav)
            elif track.stored is not None:
                made[place] = clip.render(track.stored)
            else:
                made[place] = "There is no sound."
        except clip.NotPlayed as error:
            made[place] = f"It {error}."
        except clip.UNREADABLE:
            made[place] = "It cannot be read as sound."
    return made


def describe(track: Track, identity: str, made: clip.Rendered | str | None, place: str) -> dict[str, Any]:
    """Write what the browser is told of one track.

    Parameters
    ----------
    track : Track
    identity : str
        Of `identify`.
    made : clip.Rendered or str or None
        Its sound and picture, the reason why there is none, or None if it is not made yet.
    place : str
        Of the player on the page and of the track in it; unique.
    """
    payload: dict[str, Any] = {"id": identity, "title": track.title, "caption": track.caption, "problem": track.problem}
    if isinstance(made, str):
        payload["problem"] = made
    elif made is not None:
        payload |= {
            "sound": serve(made.wav, "audio/wav", f"{place}-sound"),
            "picture": serve(made.picture, "image/png", f"{place}-picture"),
            "seconds": made.shown_seconds,
            "cut": f"first {clip.MAX_SECONDS} of {made.seconds:.0f} s" if made.shortened else "",
            "top_hz": made.top_hz,
            "rows": clip.N_MELS,
            "marks": marks(made.top_hz),
            "overlay": None if track.overlay is None else laid(track.overlay, made.top_hz),
            "lanes": [_lane(lane, made.top_hz) for lane in track.lanes],
            "labels": placed(track.labels),
        }
    return payload


def marks(top_hz: float) -> list[dict[str, Any]]:
    """Place the frequency axis's marks, in kHz, from 0 at the picture's lower edge to 1 at its upper."""
    inside = [hertz for hertz in MARKS_HZ if hertz <= top_hz]
    heights = clip.heights(np.array(inside, dtype=float), top_hz)
    texts = [f"{hertz / 1000:g}" for hertz in inside]
    texts[-1] += " kHz"
    return [{"text": text, "at": float(at)} for text, at in zip(texts, heights, strict=True)]


def laid(overlay: Overlay, top_hz: float) -> dict[str, Any]:
    """Place an overlay on a picture that reaches up to ``top_hz``.

    A single band covers the whole height: its unit hears all frequencies at once.
    """
    edges = [0.0, 1.0]
    if len(overlay.strength) > 1:
        edges = clip.heights(np.array(overlay.band_edges_hz, dtype=float), top_hz).tolist()
    return {
        "strength": base64.b64encode(overlay.strength.astype(np.uint8).tobytes()).decode(),
        "columns": overlay.strength.shape[1],
        "edges": edges,
        "start": overlay.start_seconds,
        "step": overlay.column_seconds,
        "label": overlay.label,
        "peak": overlay.peak,
    }


def _lane(lane: Lane, top_hz: float) -> dict[str, Any]:
    overlay = lane.overlay
    if overlay is None:
        return {"label": lane.label, "colour": lane.colour, "overlay": None}
    over_time = replace(overlay, strength=overlay.strength.max(axis=0, keepdims=True), band_edges_hz=(0.0, top_hz))
    return {"label": lane.label, "colour": lane.colour, "overlay": laid(over_time, top_hz)}


def placed(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Give each label the first row in which it overlaps none before it.

    Examples
    --------
    >>> [one["row"] for one in placed([Label("a", 0, 2), Label("b", 1, 3), Label("c", 2, 4)])]
    [0, 1, 0]
    """
    ends: list[float] = []
    told = []
    for label in labels:
        row = next((i for i, end in enumerate(ends) if end <= label.start_seconds + 1e-9), len(ends))
        ends[row : row + 1] = [label.end_seconds]
        told.append({
            "text": label.text, "start": label.start_seconds, "end": label.end_seconds, "row": row, "own": label.is_own,
        })  # fmt: skip
    return told


def serve(content: bytes, mimetype: str, place: str) -> str:
    """Lend bytes an address below the server's own, while the page that asked stands.

    As ``st.audio`` and ``st.image`` do. This is not in Streamlit's public interface, so it is used here only.
    """
    address = runtime.get_instance().media_file_mgr.add(content, mimetype, place)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{address}" if base else address
