"""Phrases that a CLAP model proposes: a tiny random one, units that follow it, and units that do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from core.describe import clap
from core.describe.describe import Drawn
from core.describe.propose import propose, read_phrases
from core.errors import InputError
from tests.support import tiny_hf
from tests.support.small_study import clips_passed, make_dataset, query, run

WORDS = ("noise", "low", "tone", "high", "of", "a", "sound")
PHRASES = ("noise", "low tone", "high tone", "a sound of noise", "a high sound")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLAP with a tokenizer, as transformers saves them."""
    made = Path(tiny_hf.build(tmp_path_factory.mktemp("clap"), ["clap"])["clap"].removeprefix("hf:"))
    vocabulary = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3} | {word: i for i, word in enumerate(WORDS, 4)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>").save_pretrained(made)
    return made


def test_sounds_and_phrases_are_as_transformers_gives_them(folder: Path) -> None:
    model = clap.load(str(folder), "cpu")
    noise, long = tiny_hf.noise(16_000), tiny_hf.noise(40_000, 1)
    sounds, phrases = model.sounds([noise, long]), model.phrases(PHRASES)
    assert sounds.shape == (2, model.width) and phrases.shape == (len(PHRASES), model.width)
    assert np.linalg.norm(sounds, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(phrases, axis=1) == pytest.approx(1, abs=1e-5)
    assert model.sounds([long[:16_000]]) == pytest.approx(sounds[1:], abs=1e-5), "its beginning"
    with torch.inference_mode():
        ids = torch.tensor([[8, 4]])  # of a phrase alone, nothing is padded
        known = torch.tensor([[WORDS.index("low") + 4, WORDS.index("tone") + 4]])
        alone = model.network.get_text_features(input_ids=known, attention_mask=torch.ones_like(ids)).pooler_output
    assert alone.numpy()[0] == pytest.approx(phrases[1], abs=1e-5)


def drawn(n_clips: int) -> Drawn:
    """Half of them explain; none has a voice in common with another."""
    return Drawn(np.arange(n_clips), n_clips // 2, np.arange(n_clips) % (n_clips // 2))


def test_a_unit_that_follows_a_phrase_has_it_and_one_of_noise_beats_nobody() -> None:
    rng = np.random.default_rng(0)
    likeness = rng.standard_normal((300, 40)).astype(np.float32)
    planted = likeness[:, :20] + 0.7 * rng.standard_normal((300, 20))
    noise = rng.standard_normal((300, 200))
    still = np.ones((300, 1))
    means = np.hstack([planted, noise, still]).astype(np.float32)
    phrases = [f"phrase {i}" for i in range(40)]
    found = propose(means, likeness, drawn(300), phrases, np.zeros((150, 0), np.float32)).set_index("neuron_index")
    assert found.loc[:19, "predicts"].tolist() == phrases[:20] and found.loc[:19, "beats_null"].all()
    assert found.loc[:19, "correlation"].to_numpy() == pytest.approx(0.82, abs=0.1)
    assert found.loc[20:219, "beats_null"].mean() < 0.08 and abs(found.loc[20:219, "correlation"].mean()) < 0.03
    assert (found.loc[20:219, "correlation"] > found.loc[20:219, "shifted_high"]).mean() < 0.06
    assert 220 not in found.index, "one that never varies"
    assert found.index.is_monotonic_increasing and found["description"].equals(found["predicts"])


def test_a_majority_class_that_does_better_is_not_beaten() -> None:
    rng = np.random.default_rng(0)
    of_class = (np.arange(200) % 2).astype(np.float32)[:, None]
    likeness = np.hstack([of_class + rng.standard_normal((200, 1)), rng.standard_normal((200, 1))]).astype(np.float32)
    means = np.hstack([of_class + 0.1 * rng.standard_normal((200, 1)), likeness[:, 1:]]).astype(np.float32)
    beats = [
        propose(means, likeness, drawn(200), ["a", "b"], guess)["beats_null"].tolist()
        for guess in (np.zeros((100, 0), np.float32), of_class[100:])
    ]
    assert beats == [[1, 1], [0, 1]]


def test_the_command_proposes_and_says_what_that_is_worth(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, db, phrases = make_dataset(tmp_path / "pets", 60), tmp_path / "atlas.db", tmp_path / "phrases.txt"
    phrases.write_text("\n".join(PHRASES))
    asked = ("--data-dir", data, "--db", db, "--tasks", "pets-kind", "--stages", "extract,score")
    asked = (*asked, "--propose", f"clap:{folder}", "--phrases", phrases)
    assert run(*asked) == 0
    out = capsys.readouterr().out
    assert "clap:clap: phrases of " in out and " beat other units' phrases, " in out
    rows = query(db, "SELECT description, author, null_correlation_high IS NOT NULL FROM unit_descriptions")
    assert (
        len(rows) > 200 and {row[0] for row in rows} <= set(PHRASES) and {row[1:] for row in rows} == {("clap:clap", 1)}
    )
    heard: list[int] = []
    monkeypatch.setattr(clap.Clap, "sounds", lambda self, waveforms: heard.append(len(waveforms)))
    with clips_passed(monkeypatch) as passes:
        assert run(*asked) == 0
    assert passes == [] and heard == [], "what is there is not done again"
    phrases.write_text("noise\nlow tone\n")
    assert run(*asked) == 0 and heard == [], "sounds are heard once, whatever the phrases"
    assert {row[0] for row in query(db, "SELECT description FROM unit_descriptions")} <= {"noise", "low tone"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "0 phrases; expected 2 to 20,000, one a line"),
        (b"noise\nnoise\n", "1 phrases; expected 2"),
        (b"noise\n" + b"a" * 201, "a phrase of 201 letters; expected at most 200"),
        (b"\xff\xfe\x00", "expected a text file in UTF-8, a phrase a line"),
    ],
)
def test_phrases_that_cannot_be_read_are_told_in_a_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "phrases.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="--phrases") as error:
        read_phrases(str(path))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_whole_clap_is_told_in_a_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder at"):
        clap.load(str(tmp_path / "nowhere"), "cpu")
    other = Path(tiny_hf.build(tmp_path, ["ast"])["ast"].removeprefix("hf:"))
    with pytest.raises(InputError, match="expected a whole CLAP model"):
        clap.load(str(other), "cpu")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (bare / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=r"holds no tokenizer\.json; take the whole model again"):
        clap.load(str(bare), "cpu")
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="its files do not fit: .*; take the whole model again"):
        clap.load(str(bare), "cpu")
    config = json.loads((bare / "config.json").read_text())
    config["model_type"] = "clap_audio_model"
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="clap_audio_model"):
        clap.load(str(bare), "cpu")
