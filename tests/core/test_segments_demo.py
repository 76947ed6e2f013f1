"""The demo's segments: where its generators put them is where the sound is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.datasets.base import Segment
from core.datasets.demo import corpora as demo
from core.datasets.demo.synthesis import espeak, speech
from core.datasets.demo.synthesis.clip import N_SAMPLES, SAMPLE_RATE, ClipSpec, Waveform, place, placed
from core.datasets.demo.synthesis.corpus import Corpus, write
from core.datasets.demo.synthesis.events import EVENTS
from core.datasets.demo.synthesis.synth import SYNTH
from core.datasets.segments.phonology import phone

BOTH = pytest.mark.parametrize("corpus", [speech.SPEECH, speech.DIGITS], ids=lambda c: c.name)


@pytest.fixture
def synthesiser() -> None:
    pytest.importorskip("espeakng_loader", reason="demo package espeakng-loader is not installed")


def samples(at: float) -> int:
    """A time that is one of a sample."""
    assert round(at * SAMPLE_RATE) == pytest.approx(at * SAMPLE_RATE, abs=1e-6)
    return round(at * SAMPLE_RATE)


def power(sound: NDArray[np.floating], start: int, stop: int) -> float:
    return float(np.mean(np.square(sound[max(0, start) : stop], dtype=np.float64)))


def test_what_is_placed_is_known_to_the_sample() -> None:
    sound = np.random.default_rng(1).standard_normal(N_SAMPLES)
    event = placed(sound, np.random.default_rng(2))
    np.testing.assert_array_equal(event.clip, place(sound, np.random.default_rng(2)))
    begin, end = event.start, event.start + event.n_active
    # Apart from the fades the sound is there and nowhere else.
    assert power(event.clip, begin - 400, begin) < 1e-5 < power(event.clip, begin + 320, begin + 720)
    assert power(event.clip, end, end + 400) < 1e-5 < power(event.clip, end - 720, end - 320)
    assert event.segment("a", "x", 100, 200) == Segment("a", "x", (begin + 100) / 16_000, (begin + 200) / 16_000)
    assert event.segment("a", "x", -50, 1e9) == Segment("a", "x", begin / 16_000, end / 16_000)
    assert event.segment("a", "x", event.n_active, 1e9) is None
    onset, sustain, release = event.note_parts()
    assert (onset.label, sustain.label, release.label) == ("onset", "sustain", "release")
    assert samples(onset.onset) == begin and samples(onset.offset) == begin + 1600 == samples(sustain.onset)
    assert samples(sustain.offset) == end - 320 == samples(release.onset)
    assert samples(release.offset) == min(end + 1280, N_SAMPLES)


@pytest.mark.parametrize("corpus", [SYNTH, EVENTS], ids=lambda c: c.name)
def test_events_and_notes_begin_and_end_where_they_say(corpus: Corpus) -> None:
    for spec in corpus.specs(0)[::97]:
        clip, segments = corpus.timed(spec)
        assert [s.attribute for s in segments] == [corpus.segment_attributes[0]] * len(segments)
        begin = samples(segments[0].onset)
        end = samples(segments[-1].onset) + 320 if corpus is SYNTH else samples(segments[0].offset)
        inside = power(clip, begin, end)
        for start, stop in ((0, begin), (end, N_SAMPLES)):
            assert stop - start < 50 or power(clip, start, stop) < inside / 1000, spec.name


def test_phones_are_named_and_begin_where_their_sound_does(synthesiser: None) -> None:
    """A stop's burst and the hiss of an s are where the synthesiser says, by the sound alone."""
    sound, phones = espeak.said("a sa", "gmw/en", 120, 50)
    named = [name for _, name in phones if name]
    assert "s" in [name.strip("ˈˌ") for name in named]
    at = {name.strip("ˈˌ"): (start, after) for (start, name), (after, _) in pairwise(phones)}
    start, stop = at["s"]
    # The share of the sound above 4 kHz: high in the s, low in the vowels on both sides.
    window = espeak.RATE // 50

    def hiss(middle: int) -> float:
        spectrum = np.abs(np.fft.rfft(sound[middle - window : middle + window])) ** 2
        high = np.fft.rfftfreq(2 * window, 1 / espeak.RATE) > 4000
        return float(spectrum[high].sum() / spectrum.sum())

    assert hiss((start + stop) // 2) > 0.5
    assert hiss(start - 2 * window) < 0.1 and hiss(stop + 2 * window) < 0.1


@BOTH
def test_phones_fill_the_speech_and_nothing_else(corpus: Corpus, synthesiser: None) -> None:
    for spec in corpus.specs(0)[::83]:
        clip, segments = corpus.timed(spec)
        np.testing.assert_array_equal(clip, corpus.render(spec))
        assert segments and {s.attribute for s in segments} == {"phone"}
        assert all(a.offset <= b.onset for a, b in pairwise(segments))
        begin, end = samples(segments[0].onset), samples(segments[-1].offset)
        inside = power(clip, begin, end)
        assert power(clip, 0, begin) < inside / 300 or begin < 50
        assert power(clip, end, N_SAMPLES) < inside / 30 or N_SAMPLES - end < 50  # echoes of the room
        assert sum(s.offset - s.onset for s in segments) > 0.75 * (end - begin) / SAMPLE_RATE


@BOTH
def test_hiss_lies_in_the_clip_where_its_segments_say(
    corpus: Corpus, synthesiser: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the room, whose echoes come later: of all shifts none has more of what is high in an s."""
    monkeypatch.setattr(speech, "reverberate", lambda sound, *_: sound)
    hop, shifts = SAMPLE_RATE // 200, range(-8, 9)
    high = np.fft.rfftfreq(hop, 1 / SAMPLE_RATE) > 4500
    heard = np.zeros(len(shifts))
    for spec in corpus.specs(0)[7::29]:
        clip, segments = corpus.timed(spec)
        power = np.abs(np.fft.rfft(clip.reshape(-1, hop) * np.hanning(hop), axis=1)) ** 2
        share = power[:, high].sum(axis=1) / power.sum(axis=1)
        for s in (s for s in segments if s.label == "s"):
            first, last = (round(at * SAMPLE_RATE / hop) for at in (s.onset, s.offset))
            heard += [share[max(0, first + d) : max(1, last + d)].mean() for d in shifts]
    assert abs(shifts[int(heard.argmax())]) <= 1, heard  # of 5 ms


def test_digits_say_their_phones_each_time(synthesiser: None) -> None:
    spec = next(spec for spec in speech.DIGITS.specs(0) if spec.labels["digit"] == "6")
    labels = [s.label for s in speech.DIGITS.timed(spec)[1]]
    assert labels in (["s", "ɪ", "k", "s"] * 3, ["s", "ɪ", "k", "s"] * 4)


@BOTH
def test_most_of_the_demos_labels_are_phones_of_the_table(corpus: Corpus, synthesiser: None) -> None:
    labels = [s.label for spec in corpus.specs(0)[::41] for s in corpus.timed(spec)[1]]
    unknown = {label for label in labels if phone(label) is None}
    assert sum(label in unknown for label in labels) <= 0.01 * len(labels), unknown


@BOTH
def test_telling_of_phones_changes_no_sample(
    corpus: Corpus, synthesiser: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded models were trained on this sound."""
    specs = corpus.specs(0)[::61]
    told = [corpus.timed(spec) for spec in specs]
    monkeypatch.setattr(espeak, "_PHONEME_EVENTS", 0)
    monkeypatch.setattr(espeak, "_IN_IPA", 0)
    for spec, (clip, segments) in zip(specs, told, strict=True):
        silent_about, none = corpus.timed(spec)
        np.testing.assert_array_equal(clip, silent_about)
        assert segments and not none


class Beeps:
    """Two clips; what they have in time is known."""

    name = "demo-beeps"
    description = source = licence = "test"
    attributes = ("side",)
    segment_attributes = ("note_part",)

    def specs(self, seed: int) -> list[ClipSpec]:
        return [ClipSpec(f"clip-{i}", ("train", "test")[i], {"side": str(i)}, {}, (seed, i)) for i in range(2)]

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        return self.specs(0)[0]

    def render(self, spec: ClipSpec) -> Waveform:
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        rng = spec.rng()
        note = placed(rng.standard_normal(N_SAMPLES), rng)
        return note.clip, note.note_parts()


def test_segments_lie_beside_the_sound_and_are_listed_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path))
    monkeypatch.setattr(demo, "corpora", lambda: (Beeps(),))
    (planned,) = demo.planned()
    assert planned.segment_attributes == ("note_part",) and not any(clip.segments for clip in planned.clips)
    write(Beeps(), tmp_path / "demo-beeps", demo.SOUND_SEED)
    (made,) = demo.planned()
    assert [clip.segments for clip in made.clips] == [Beeps().timed(spec)[1] for spec in Beeps().specs(0)]


def test_phones_of_a_demo_to_be_made_have_their_features() -> None:
    names = {d.name: d.segment_attributes for d in map(demo._planned, (speech.SPEECH, SYNTH))}
    assert names["demo-speech"][:2] == ("phone", "phone-voicing") and len(names["demo-speech"]) == 7
    assert names["demo-synth"] == ("note_part",)
