"""Where a sound comes from: the microphone, a file, or the clips of the datasets."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import BinaryIO

import streamlit as st

from dashboard.shared import address, data, sidebar
from dashboard.shared.player import clip
from dashboard.shared.text import words
from dashboard.views.listen import model, uploads
from db.reads import clips, listen

SOURCES = {"ready": "Ready sounds", "record": "Record", "upload": "Upload", "store": "From the datasets"}
READY = {
    "chirp": "Chirp, 80 Hz to 7 kHz", "scale": "C major scale", "bell": "Bell, A4", "bursts": "Noise bursts",
    "vowels": "Vowels a e i o u", "rain": "Rain", "siren": "Siren", "dog": "Dog",
}  # fmt: skip
"""Sounds of `core.datasets.demo.ready`, and how they are offered."""
KINDS = ["wav", "flac", "ogg", "oga", "mp3", "aif", "aiff", "au"]
RECORDED_RATE = 48_000
MOST_FOUND = 200
CLEARS = ("layer", "neuron")
"""What the address says of another sound's neurons."""


@dataclass(frozen=True)
class Given:
    """What was chosen.

    Attributes
    ----------
    source : str
        One of `SOURCES`.
    clip_id : int or None
        Of a stored clip.
    name : str
        As the file or the store has it: untrusted.
    sound : Sound, str or None
        A text says why there is none; None: nothing was chosen yet.
    ready : str or None
        Name of a ready sound.
    """

    source: str
    clip_id: int | None
    name: str
    sound: uploads.Sound | str | None
    ready: str | None = None


def choose(scope: sidebar.Scope) -> Given:
    """Show the sources; return what was given."""
    default = "store" if "clip" in st.query_params else "ready"
    source = address.choice("source", list(SOURCES), default)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = address.show("select_source", source)
        st.segmented_control(
            "Sound", list(SOURCES), format_func=SOURCES.__getitem__, key=key, required=True,
            on_change=address.on_change("source", key, ("clip", "sound", *CLEARS)),
        )  # fmt: skip
        st.button(
            "Surprise me", icon=":material/casino:", on_click=_surprise, args=(scope,), help="Any clip of the datasets."
        )
    if source == "ready":
        return _ready()
    return _stored(scope) if source == "store" else _own(source)


def _ready() -> Given:
    chosen = address.optional("sound", list(READY))
    key = address.show("select_sound", chosen)
    st.pills(
        "Ready sounds", list(READY), format_func=READY.__getitem__, key=key, label_visibility="collapsed",
        on_change=address.on_change("sound", key, CLEARS),
    )  # fmt: skip
    st.caption("Made here by rule, the same each time; none is a clip of the datasets.")
    return Given("ready", None, chosen or "", _made(chosen) if chosen else None, chosen)


@st.cache_resource(max_entries=len(READY), show_spinner=False)
def _made(name: str) -> uploads.Sound:
    return uploads.made(*model.ready(name))


def _own(source: str) -> Given:
    if source == "record":
        given = st.audio_input("Record a sound", sample_rate=RECORDED_RATE, key="recorded", on_change=_forget)
    else:
        most = uploads.MAX_BYTES // 1_000_000
        given = st.file_uploader("Upload a sound", KINDS, key="uploaded", on_change=_forget, max_upload_size=most)
    st.caption(
        f"The first {uploads.MAX_SECONDS} seconds are used. The sound goes to the machine that serves this page and no "
        "further, and is forgotten when you leave."
    )
    if given is None:
        return Given(source, None, "", None)
    content = given.getvalue()
    name = given.name if source == "upload" else "Your recording"
    return Given(source, None, name, _decoded(hashlib.sha256(content).hexdigest(), given.name, content))


def _stored(scope: sidebar.Scope) -> Given:
    asked = st.query_params.get("clip", "")
    wanted = (int(asked),) if asked.isdecimal() and len(asked) < 16 else ()
    record = next(iter(data.read(scope.store, clips.clips, wanted).to_dict("records")), None) if wanted else None
    if asked and record is None:
        st.warning(f"The address asks for clip “{words.plain(asked)}”, which is not here.")
    chosen = int(asked) if record is not None else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        typed = st.text_input("Find by label or file name", placeholder="rain", key="find_clip", width=220)
        matches = data.read(scope.store, listen.find_clips, scope.dataset, typed, MOST_FOUND)
        names = {
            int(i): f"{d}: {p}" for i, d, p in zip(matches["clip_id"], matches["dataset"], matches["path"], strict=True)
        }
        if chosen is not None and record is not None:
            names.setdefault(chosen, f"{record['dataset']}: {record['path']}")
        key = address.show("select_clip", chosen)
        st.selectbox(
            f"Clip (the first {MOST_FOUND} found)" if len(matches) == MOST_FOUND else f"Clip ({len(matches)} found)",
            list(names), format_func=names.__getitem__, key=key, placeholder="Choose a clip",
            on_change=address.on_change("clip", key, CLEARS),
        )  # fmt: skip
    if record is None:
        return Given("store", None, "", None)
    stored, labels = clip.Stored.of(record), str(record["labels"])
    name = f"{stored.path}, {labels}" if labels else stored.path
    try:
        sound = _decoded_clip(stored, stored.find().stat().st_mtime_ns)
    except clip.NotPlayed as error:
        sound = f"The file {stored.path} {error}."
    except OSError as error:
        sound = f"The file cannot be read ({error.strerror})."
    return Given("store", chosen, name, sound)


@st.cache_data(scope="session", max_entries=1, show_spinner=False)
def _decoded_clip(stored: clip.Stored, changed: int) -> uploads.Sound | str:
    """The sound of a dataset's clip, or why there is none; ``changed`` is the file's mtime."""
    del changed
    file = stored.find()
    with file.open("rb") as content:
        stored.check(content)
        return _decoded_or_why(content, file.name)


@st.cache_data(scope="session", max_entries=1, show_spinner=False)
def _decoded(key: str, name: str, _content: bytes) -> uploads.Sound | str:
    """The sound of a file's content, or why there is none; ``key`` tells one from the other."""
    del key
    return _decoded_or_why(_content, name)


def _decoded_or_why(source: bytes | BinaryIO, name: str) -> uploads.Sound | str:
    try:
        return uploads.decode(source, name)
    except uploads.BadSound as error:
        return str(error)


def _forget() -> None:
    for name in CLEARS:
        st.query_params.pop(name, None)


def _surprise(scope: sidebar.Scope) -> None:
    counts = data.read(scope.store, listen.n_clips, scope.dataset)
    n = random.randrange(int(counts["n_clips"].sum()))
    for dataset, n_clips in zip(counts["dataset"], counts["n_clips"], strict=True):
        if n < n_clips:
            _forget()
            address.go(source="store", clip=data.read(scope.store, listen.nth_clip, dataset, n))
            return
        n -= int(n_clips)
