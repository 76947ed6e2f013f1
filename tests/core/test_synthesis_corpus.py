"""Writing a generated corpus: whole, once, and again when it was broken off."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.datasets.base import Segment
from core.datasets.demo.synthesis import notes, speech
from core.datasets.demo.synthesis.clip import N_SAMPLES, SAMPLE_RATE, ClipSpec, Waveform, place
from core.datasets.demo.synthesis.corpus import Corpus, MissingDemoPackage, corpora, write
from core.datasets.demo.synthesis.espeak import speak


class Hiss:
    """Three clips of noise; counts what it renders."""

    name = "hiss"
    description = source = licence = "test"
    attributes = ("side", "colour")
    segment_attributes = ("half",)

    def __init__(self) -> None:
        self.rendered = 0

    def specs(self, seed: int) -> list[ClipSpec]:
        return [
            ClipSpec(f"clip-{i}", split, {"colour": "white", "side": str(i)}, {}, (seed, i))
            for i, split in enumerate(("train", "valid", "test"))
        ]

    def training_spec(self, rng: np.random.Generator) -> ClipSpec:
        return self.specs(int(rng.integers(100)))[0]

    def render(self, spec: ClipSpec) -> Waveform:
        return self.timed(spec)[0]

    def timed(self, spec: ClipSpec) -> tuple[Waveform, tuple[Segment, ...]]:
        self.rendered += 1
        rng = spec.rng()
        return place(rng.standard_normal(N_SAMPLES), rng), (Segment("half", "first", 0.0, 1.04),)


def test_write_is_whole_and_done_once(tmp_path: Path) -> None:
    hiss = Hiss()
    seen: list[int] = []
    manifest = write(hiss, tmp_path, 5, seen.append)
    assert seen == [1, 2, 3]
    with manifest.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["file", "split", "side", "colour"]
    assert [row["split"] for row in rows] == ["train", "valid", "test"]
    segments = (tmp_path / "segments.tsv").read_text(encoding="utf-8").splitlines()
    assert segments[0] == "file\tattribute\tonset\toffset\tlabel" and len(segments) == 4
    assert segments[1] == "audio/clip-0.flac\thalf\t0.0\t1.04\tfirst"
    wave, rate = soundfile.read(tmp_path / rows[1]["file"], dtype="float32")
    assert rate == SAMPLE_RATE and wave.shape == (N_SAMPLES,)
    np.testing.assert_allclose(wave, hiss.render(hiss.specs(5)[1]), atol=1 / 32768)
    hiss.rendered = 0
    write(hiss, tmp_path, 5)
    assert hiss.rendered == 0


@pytest.mark.parametrize("broken", ["manifest.csv", "complete.json"])
def test_broken_off_folder_is_finished(tmp_path: Path, broken: str) -> None:
    hiss = Hiss()
    write(hiss, tmp_path, 5)
    (tmp_path / broken).unlink()
    (tmp_path / "audio" / "stale.flac").touch()
    hiss.rendered = 0
    assert write(hiss, tmp_path, 5).exists()
    assert hiss.rendered == 3
    assert len(list((tmp_path / "audio").iterdir())) == 3


def test_other_seed_is_written_anew(tmp_path: Path) -> None:
    hiss = Hiss()
    write(hiss, tmp_path, 5)
    hiss.rendered = 0
    write(hiss, tmp_path, 6)
    assert hiss.rendered == 3


def test_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDemoPackage, match="espeakng-loader.*pip install"):
        speak("one", "gmw/en", 170, 50)
    notes._sampler.cache_clear()
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(MissingDemoPackage, match="tinysoundfont.*--no-deps"):
        notes.play(0, 60, 90)


def test_generators_have_the_agreed_shape() -> None:
    corpora: tuple[Corpus, ...] = (notes.NOTES, speech.SPEECH, speech.DIGITS)
    for corpus in corpora:
        spec = corpus.training_spec(np.random.default_rng(0))
        assert set(spec.labels) == set(corpus.attributes)
        assert set(corpus.specs(0)[0].labels) == set(corpus.attributes)


def test_every_class_has_twenty_test_clips_and_the_corpora_are_no_larger() -> None:
    specs = {corpus.name: corpus.specs(0) for corpus in corpora()}
    assert sum(map(len, specs.values())) <= 4600
    for corpus in corpora():
        for attribute in corpus.attributes:
            every = {spec.labels[attribute] for spec in specs[corpus.name]}
            test = Counter(spec.labels[attribute] for spec in specs[corpus.name] if spec.split == "test")
            assert len(every) > 20 or (test.keys() == every and min(test.values()) >= 20), (corpus.name, attribute)
