"""espeak-ng through ctypes: text to a waveform, the same for the same arguments."""

from __future__ import annotations

import _ctypes
import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.datasets.demo.synthesis.corpus import MissingDemoPackage

RATE = 22_050

_RETRIEVAL = 1 << 1  # AUDIO_OUTPUT_RETRIEVAL is 1, AUDIO_OUTPUT_SYNCHRONOUS is 2
_WORDS_PER_MINUTE = 1
_PITCH = 3
_UTF8 = 1
_PHONEME_EVENTS, _IN_IPA = 1 << 0, 1 << 1
_LAST_EVENT, _PHONEME = 0, 7


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h: the name of a phoneme is UTF-8, ended by a zero unless it takes all 8 bytes."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("name", ctypes.c_char * 8),
    ]  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))

_pieces: list[NDArray[np.int16]] = []
_phones: list[tuple[int, str]] = []
_wanted = 0
_library: Any = None


def _collect(samples: Any, n: int, events: Any) -> int:
    place = 0
    while events and events[place].type != _LAST_EVENT:
        if events[place].type == _PHONEME:
            _phones.append((events[place].sample, events[place].name.decode(errors="replace")))
        place += 1
    if samples and n > 0:
        _pieces.append(np.ctypeslib.as_array(samples, (n,)).copy())
    # 1 ends the synthesis.
    return int(_wanted > 0 and sum(piece.size for piece in _pieces) >= _wanted)


_callback = _CALLBACK(_collect)


Phones = list[tuple[int, str]]
"""The sample at which each begins, and its name in the IPA; a pause has none."""


def speak(text: str, voice: str, rate: int, pitch: int, n_samples: int = 0) -> NDArray[np.float64]:
    """`said`, the waveform alone."""
    return said(text, voice, rate, pitch, n_samples)[0]


def said(text: str, voice: str, rate: int, pitch: int, n_samples: int = 0) -> tuple[NDArray[np.float64], Phones]:
    """Speak a text.

    Parameters
    ----------
    text : str
    voice : str
        Voice file and variant, such as ``gmw/en+f3``. The file rather than the bare language,
        which would scan all voices each time.
    rate : int
        Words a minute, 80 to 450.
    pitch : int
        0 to 99; 50 is the variant's own.
    n_samples : int
        Stop soon after so many samples; 0 for the whole text.

    Returns
    -------
    waveform : ndarray of float64, shape (n,)
        In -1..1 at 22,050 Hz.
    phones : list of (int, str)
        Also those of which the waveform has no sample any more.

    Raises
    ------
    MissingDemoPackage
        If espeakng-loader is not installed.
    RuntimeError
        If the voice does not exist or nothing was spoken.
    """
    global _wanted
    library = _fresh_library()
    _pieces.clear()
    _phones.clear()
    _wanted = n_samples
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(_WORDS_PER_MINUTE, rate, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
    if not _pieces:
        raise RuntimeError(f"espeak-ng spoke nothing for {text!r}")
    return np.concatenate(_pieces) / 32768.0, list(_phones)


def _fresh_library() -> Any:
    """The library as just loaded.

    The pitch flutter runs on from one utterance to the next in a static variable that no call
    resets, so that a clip would depend on the clips before it. Loading the library anew costs
    about 1 ms.
    """
    global _library
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingDemoPackage("espeakng-loader") from error
    if _library is not None:
        _library.espeak_Terminate()
        handle, _library = _library._handle, None
        unload = getattr(_ctypes, "dlclose", None) or getattr(_ctypes, "FreeLibrary", None)
        if unload is not None:
            unload(handle)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    data = espeakng_loader.get_data_path().encode()
    if library.espeak_Initialize(_RETRIEVAL, 0, data, _PHONEME_EVENTS | _IN_IPA) < 0:
        raise RuntimeError("espeak-ng could not read its data folder")
    # The noise of breathy voices is otherwise seeded with the time of day.
    library.espeak_ng_SetRandSeed(1)
    library.espeak_SetSynthCallback(_callback)
    _library = library
    return library
