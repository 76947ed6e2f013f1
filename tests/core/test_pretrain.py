"""The training code: objectives learn, only the encoder is kept, an interrupted run goes on exactly."""

from __future__ import annotations

import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from core.datasets.demo.synthesis import notes
from core.encoders import nano
from core.encoders.nano import NanoConfig
from core.pretrain import data, objectives, train
from core.pretrain.objectives import Duo, MaskedAutoencoder, Objective, Supervised, split_tokens, take

TINY = NanoConfig(width=32, n_heads=2, n_layers=2, mlp_width=64)


@pytest.fixture
def mels() -> torch.Tensor:
    return torch.randn(8, 80, 208, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "make",
    [
        Duo,
        partial(Duo, contrast=1.0),
        MaskedAutoencoder,
        partial(MaskedAutoencoder, raw=True),
        partial(Supervised, n_tags=4),
    ],
)
def test_each_objective_learns_to_fit_one_batch(make, mels: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    objective: Objective = make(TINY)
    tags = torch.arange(8) % 4
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)
    losses = []
    for _ in range(30):
        loss = objective.loss(mels, tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        objective.after_step(50)
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_split_tokens_parts_are_disjoint_and_whole() -> None:
    visible, masked = split_tokens(torch.zeros(3, 65, 8), 20)
    both = torch.cat([visible, masked], 1).sort(1).values
    assert visible.shape == (3, 20) and masked.shape == (3, 45)
    assert (both == torch.arange(65)).all()
    tokens = torch.randn(3, 65, 8)
    assert (take(tokens, visible)[1, 4] == tokens[1, visible[1, 4]]).all()


def test_the_target_follows_the_online_encoder_and_gets_no_gradient(mels: torch.Tensor) -> None:
    duo = Duo(TINY)
    duo.loss(mels, torch.zeros(8, dtype=torch.long)).backward()
    assert all(p.grad is None for p in duo.target.parameters())
    before = duo.target.patch_embed.weight.clone()
    with torch.no_grad():
        duo.encoder.patch_embed.weight += 1
    duo.after_step(0)
    torch.testing.assert_close(duo.target.patch_embed.weight, before + 0.01)


def test_schedule_warms_up_stays_and_falls_to_zero() -> None:
    factors = [train.schedule(step, 1000, 700) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01) and factors[1000] == 0
    assert all(a < b for a, b in pairwise(factors[:100]))
    assert set(factors[99:701]) == {1.0}
    assert all(a > b for a, b in pairwise(factors[700:]))


def run(monkeypatch: pytest.MonkeyPatch, out: Path, steps: int = 4) -> None:
    arguments = f"train --objective duo --steps {steps} --save-every 2 --batch-size 4 --clips 8 --threads 1 --out {out}"
    monkeypatch.setattr(sys, "argv", arguments.split())
    train.main()


@pytest.fixture
def noise_to_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(-9, 4, (8, 80, 208)).astype(np.float16)
    monkeypatch.setattr(train, "training_set", lambda *a, **k: (clips, np.zeros(8, dtype=np.int64), ["x"]))
    monkeypatch.setattr(train, "NanoConfig", lambda **k: NanoConfig(width=32, n_heads=2, n_layers=1, mlp_width=64, **k))


def same_weights(first: Path, second: Path) -> bool:
    a, b = (nano.read_weights(path)[0].state_dict() for path in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_leg_more_gives_the_weights_of_one_long_run(
    noise_to_train_on: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path / "whole.safetensors", steps=6)
    run(monkeypatch, tmp_path / "legs.safetensors", steps=4)
    assert not same_weights(tmp_path / "whole.safetensors", tmp_path / "legs.safetensors")
    run(monkeypatch, tmp_path / "legs.safetensors", steps=6)
    assert same_weights(tmp_path / "whole.safetensors", tmp_path / "legs.safetensors")


def test_an_interrupted_run_gives_the_same_weights(
    noise_to_train_on: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, tmp_path / "whole.safetensors")

    seen = 0
    view = objectives.augment

    def stop_at_the_fourth(mel: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += 1
        if seen == 7:  # two views a step: the fourth step's first
            raise KeyboardInterrupt
        return view(mel)

    monkeypatch.setattr(objectives, "augment", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, tmp_path / "parts.safetensors")
    run(monkeypatch, tmp_path / "parts.safetensors")
    assert seen == 11  # steps 1 to 3 and the stop, then 3 and 4 again from the checkpoint
    assert same_weights(tmp_path / "whole.safetensors", tmp_path / "parts.safetensors")


def test_training_clips_repeat_and_carry_a_general_tag() -> None:
    pytest.importorskip("tinysoundfont")
    pytest.importorskip("espeakng_loader")
    first, tag = data.make_clip(np.random.default_rng([0, 1]))
    again, same = data.make_clip(np.random.default_rng([0, 1]))
    np.testing.assert_array_equal(first, again)
    assert tag == same


def test_no_tag_tells_what_it_does_not_name() -> None:
    """Given the tag, every attribute that no tag names is distributed as under any other tag."""
    rng = np.random.default_rng(0)
    seen: dict[str, list[tuple[str, str]]] = {}
    tags: dict[str, set[str]] = {}
    for _ in range(12_000):
        corpus, spec = data.draw(rng)
        tag = data.tag_of(corpus.name, spec.labels)
        tags.setdefault(corpus.name, set()).add(tag)
        for attribute, value in spec.labels.items():
            seen.setdefault(attribute, []).append((tag, value))
    assert tags["demo-speech"] == tags["demo-digits"] == {"speech"} and tags["demo-synth"] == {"synthesiser"}
    named = {"event", "group", "family", "instrument"}  # an instrument tells its family, a group is several events
    for attribute in seen.keys() - named:
        tag, value = (np.unique(column, return_inverse=True)[1] for column in zip(*seen[attribute], strict=True))
        table = np.zeros((tag.max() + 1, value.max() + 1))
        np.add.at(table, (tag, value), 1)
        assert table.shape[1] > 1
        if len(table) > 1:
            assert chi2_contingency(table).pvalue > 0.001, attribute
    assert {"pitch", "octave", "pitch_class", "timbre", "language", "gender", "voice", "digit"} <= seen.keys()
    assert tags["demo-notes"] == {*notes.FAMILIES, *notes.EXTRA_FAMILIES}
    assert not set().union(*tags.values()) & {value for a in seen.keys() - named for _, value in seen[a]}
