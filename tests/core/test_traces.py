"""Chosen clips as by brute force; patterns as a forward pass by hand gives them, in the right place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.arrays import blocks
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.encoders import load_encoder
from core.encoders.base import Batch, Encoder, Padding, mean_over_clips
from core.recording import candidates, patterns, top_clips, traces
from core.recording.activations import Activations, open_activations
from core.recording.extract import extract, missing_batches
from core.recording.passes import Passes
from core.results import ClipTraces, TokenGrid
from tests.support.small_study import make_dataset, write_manifest

RATE, HALF, CHUNK = 100, 5, 40


class Toy(Encoder):
    """A token is half a tenth of a second: its mean, times 1, -1 and 2, are the three neurons of both layers.

    Of each tenth the first half is the high band, the second the low one. Token 0 of a row is special;
    rows hold 0.4 s.
    """

    name, sample_rate, layer_widths, n_features, weights_key = "toy", RATE, (3, 3), 3, "toy"

    def __init__(self) -> None:
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.module = self.layers.requires_grad_(False)

    @property
    def projections(self) -> list[nn.Linear]:
        return list(self.layers)  # type: ignore[arg-type]

    def token_grid(self, layer: int) -> TokenGrid:
        return TokenGrid((0.0, 20.0, 50.0), 0.1, 0.1, 0.4, 4)

    def token_places(self, layer: int, n_tokens: int) -> NDArray[np.int64]:
        high, low = np.arange(1, n_tokens).reshape(-1, 2).T
        return np.stack([low, high])

    def prepare(self, waveforms: Sequence[NDArray[np.float32]], padding: Padding = "exclude") -> Batch:
        rows = [(i, w[s : s + CHUNK]) for i, w in enumerate(waveforms) for s in range(0, len(w), CHUNK)]
        longest = -(-max(len(row) for _, row in rows) // (2 * HALF)) * 2 * HALF
        inputs = torch.zeros(len(rows), longest)
        counted = torch.zeros(len(rows), 1 + longest // HALF, dtype=torch.bool)
        for number, (_, row) in enumerate(rows):
            inputs[number, : len(row)] = torch.from_numpy(row)
            counted[number, 1 : 1 + len(row) // HALF] = True
        return Batch(inputs, torch.tensor([i for i, _ in rows]), len(waveforms), counted, counted)

    def begin(self, batch: Batch) -> Tensor:
        means = batch.inputs.unflatten(1, (-1, HALF)).mean(2)
        special = torch.full((len(means), 1), 1000.0)
        return torch.cat([special, means], 1)[:, :, None] * torch.tensor([1.0, -1.0, 2.0])

    def block(self, layer: int, hidden: Tensor, batch: Batch) -> Tensor:
        self.layers[layer](hidden * (layer + 1))
        return hidden

    def finish(self, hidden: Tensor, batch: Batch) -> Tensor:
        return mean_over_clips((hidden * batch.counted[:, :, None]).sum(1), batch.counted.sum(1), batch)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Sixteen clips of 0.2 to 0.95 s whose level steps up every half tenth; clip 3 is the loudest."""
    folder = tmp_path_factory.mktemp("steps")
    rows = []
    for i in range(16):
        level = (0.9 if i == 3 else 0.02 * (i + 1)) * np.arange(1, 5 + i) / (4 + i)
        soundfile.write(folder / f"{i:02}.wav", np.repeat(level, HALF), RATE, subtype="FLOAT")
        rows.append({"file": f"{i:02}.wav", "split": "train", "kind": "a"})
    write_manifest(folder, rows)
    return scan(read(folder), folder.parent / "steps.csv")


def traced(encoder: Encoder, found: Scan, folder: Path, batch_size: int = 5) -> tuple[Activations, ClipTraces]:
    matrices = open_activations(encoder, found, folder, "exclude", "float32")
    extract([(encoder, matrices)], found, Passes(batch_size))
    return matrices, traces.trace(encoder, found, matrices, Passes(batch_size))


def test_known_activations_are_laid_out_by_band_and_time(steps: Scan, tmp_path: Path) -> None:
    matrices, found = traced(Toy(), steps, tmp_path)
    of_neurons = dict(found.patterns)
    assert list(of_neurons) == list(range(6))
    loudest = of_neurons[0][0]
    assert loudest.clip_index == 3
    # Seven half tenths: 1/7 to 7/7 of 0.9. Bands take turns, the high one first; the last low one is not there.
    assert loudest.peak == pytest.approx(0.9)
    sevenths = 255 * np.array([[2, 4, 6, 0], [1, 3, 5, 7]]) / 7
    assert loudest.strength.tolist() == np.round(sevenths).tolist()
    assert of_neurons[5][0].peak == pytest.approx(0.9 * 2 * 2)  # third neuron of the second layer
    never = of_neurons[1]  # negative everywhere
    assert {p.peak for p in never} == {0.0}
    assert not any(p.strength.any() for p in never)
    long = next(p for p in of_neurons[0] if p.clip_index == 15)  # 19 half tenths: rows of 4, 4 and 2 columns
    nineteenths = np.append(np.arange(1, 20), 0).reshape(-1, 2).T[::-1] * 255 / 19
    assert long.strength.tolist() == np.round(nineteenths).tolist()
    assert matrices.complete


def test_each_neuron_has_its_top_middle_and_silent_clips_once(steps: Scan, tmp_path: Path) -> None:
    matrices, found = traced(Toy(), steps, tmp_path)
    top = top_clips.top_clips(steps, matrices)
    for neuron, of_neuron in found.patterns:
        kinds = (top, found.contrast["middle"], found.contrast["silent"])
        clips = [p.clip_index for p in of_neuron]
        assert clips == [clip for kind in kinds for clip in kind.clip_index[neuron].tolist()]
        assert len(set(clips)) == len(clips) == 8 + 3 + 3
    assert found.contrast["silent"].clip_index[0, 0] == 0  # the quietest


def random_activations(n_clips: int, n_neurons: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 9, n_clips).astype(np.int32)
    total = np.round(rng.normal(0, 3, (n_clips, n_neurons))).astype(np.float32)
    positive = rng.integers(0, 1 + tokens[:, None], total.shape).astype(np.uint8)
    return Activations(Path(), positive, total, tokens, total[:, :1], np.ones(n_clips, dtype=np.uint8))


@pytest.mark.parametrize("n_clips", [40, 13, 9, 5])
def test_clips_are_chosen_as_by_brute_force(n_clips: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "NUMBERS", 3 * 4 * n_clips)
    given = random_activations(n_clips, 7)
    found = top_clips.choose("made", given)
    heard = [clip for clip in range(n_clips) if given.tokens[clip]]
    assert 0 < len(heard) < n_clips or n_clips == 5
    for neuron in range(7):
        mean = {clip: given.total[clip, neuron] / given.tokens[clip] for clip in heard}
        ranked = sorted(heard, key=lambda clip: (-mean[clip], clip))
        top, rest = ranked[:8], ranked[8:]
        silent = rest[::-1][:3]
        rest = [clip for clip in rest if clip not in silent]
        median = np.median(list(mean.values()))
        middle = sorted(rest, key=lambda clip: abs(mean[clip] - median))[:3]
        assert found.clips[neuron].tolist() == top + middle + silent
        for kind, clips in (("middle", middle), ("silent", silent)):
            assert found.contrast[kind].clip_index[neuron].tolist() == clips
            np.testing.assert_allclose(found.contrast[kind].mean_activation[neuron], [mean[clip] for clip in clips])
            rate = [given.positive[clip, neuron] / given.tokens[clip] for clip in clips]
            np.testing.assert_allclose(found.contrast[kind].activation_rate[neuron], rate)
        np.testing.assert_allclose(
            found.quantiles[neuron], np.quantile(list(mean.values()), top_clips.LEVELS), rtol=1e-5, atol=1e-6
        )
    assert top_clips.LEVELS[0] == 0
    assert top_clips.LEVELS[-2:] == (0.99, 1.0)


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Sixteen clips, one of them longer than a chunk of the model."""
    folder = make_dataset(tmp_path_factory.mktemp("data") / "pets", n_clips=16)
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(2.5 * 16_000))
    soundfile.write(folder / "001.wav", noise, 16_000)
    return scan(read(folder), folder.parent / "scan.csv")


def test_eight_bits_are_within_half_a_step_of_the_activations(nano: Encoder, pets: Scan, tmp_path: Path) -> None:
    _, found = traced(nano, pets, tmp_path)
    of_neurons = dict(found.patterns)
    waveform, _ = soundfile.read(pets.dataset.root / pets.dataset.clips[1].path, dtype="float32")
    batch = nano.prepare([waveform])
    hidden, checked = nano.begin(batch), 0
    for layer, projection in enumerate(nano.projections):
        caught: list[Tensor] = []
        hook = projection.register_forward_pre_hook(lambda _, x, caught=caught: caught.append(x[0]))
        with torch.inference_mode():
            hidden = nano.block(layer, hidden, batch)
        hook.remove()
        by_place = caught[0].unflatten(1, (2, 13)).clamp(min=0).numpy()
        # 250 frames: 13 columns of the first chunk, of the second two whole ones; what is left is no whole column.
        laid_out = np.concatenate([by_place[0], by_place[1][:, :2]], axis=1)
        for neuron in range(768):
            for pattern in of_neurons[layer * 768 + neuron]:
                if pattern.clip_index == 1:
                    assert pattern.strength.shape == (2, 15)
                    expected = laid_out[:, :, neuron]
                    error = np.abs(pattern.strength * (pattern.peak / 255) - expected)
                    assert error.max() <= pattern.peak / 255 + 1e-4
                    assert pattern.peak == pytest.approx(expected.max(), abs=1e-4)
                    checked += 1
    assert checked > 100


def test_blocks_batches_and_lack_of_memory_change_nothing(
    nano: Encoder, pets: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices, first = traced(nano, pets, tmp_path, batch_size=16)
    expected = dict(first.patterns)
    forward = nano.forward

    def short_of_memory(batch: Batch) -> Tensor:
        if batch.n_clips > 3:
            raise torch.OutOfMemoryError("no room")
        return forward(batch)

    monkeypatch.setattr(nano, "forward", short_of_memory)
    monkeypatch.setattr(patterns, "_CELLS_AT_ONCE", {True: 1000})
    patterns.forget_patterns(matrices.folder)
    told: list[int] = []
    again = traces.trace(nano, pets, matrices, Passes(9), progress=told.append)
    assert told == [9, 16]
    off = []
    for neuron, of_neuron in again.patterns:
        for one, other in zip(of_neuron, expected[neuron], strict=True):
            assert one.clip_index == other.clip_index
            assert one.strength.shape == other.strength.shape
            off.append(np.abs(one.strength.astype(int) - other.strength).max(initial=0))
    assert max(off) <= 1  # other batches, other rounding
    patterns.forget_patterns(matrices.folder)
    assert not [path for path in matrices.folder.iterdir() if path.suffix != ".npy"]


def of_all(found: ClipTraces) -> list[tuple[int, int, float, list[list[int]]]]:
    return [(n, p.clip_index, p.peak, p.strength.tolist()) for n, ps in found.patterns for p in ps]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """More clips than are drawn, of noise of any level; every seventh too short to have a token that counts."""
    folder, rng, rows = tmp_path_factory.mktemp("many"), np.random.default_rng(0), []
    for i in range(150):
        noise = rng.uniform(0.01, 0.5) * rng.standard_normal(HALF * int(rng.integers(2, 19)))
        soundfile.write(folder / f"{i:03}.wav", noise[: HALF - 1] if i % 7 == 0 else noise, RATE, subtype="FLOAT")
        rows.append({"file": f"{i:03}.wav", "split": "train", "kind": "a"})
    write_manifest(folder, rows)
    return scan(read(folder), folder.parent / "many.csv")


@pytest.mark.parametrize("batch_size", [4, 32])
def test_pass_that_counts_takes_what_another_pass_finds_in_the_same_batches(
    many: Scan, tmp_path: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, passes = Toy(), Passes(batch_size)
    matrices = open_activations(encoder, many, tmp_path, "exclude", "float32")
    extract([(encoder, matrices)], many, passes)
    assert (matrices.tokens[::7] == 0).all() and (matrices.tokens > 0).sum() > top_clips.N_DRAWN
    told: list[int] = []
    taken = of_all(traces.trace(encoder, many, matrices, passes, told.append))
    assert told == [], "no clip is passed again"
    (file,) = matrices.folder.glob("patterns-*.part")
    kept = sum(
        len(block.pairs(np.ones(2, int), np.array([0, 3, 6]))[0])
        for block in patterns._blocks(np.fromfile(file, np.uint8))
    )
    assert kept < 6 * candidates.most_candidates(150) < 6 * 150
    patterns.forget_patterns(matrices.folder)
    assert of_all(traces.trace(encoder, many, matrices, passes, told.append)) == taken
    assert told[-1] > 0
    monkeypatch.setattr("core.recording.extract.MOST_BYTES", 3000)
    patterns.forget_patterns(matrices.folder)
    matrices.done[:] = 0
    extract([(encoder, matrices)], many, passes)
    told.clear()
    assert of_all(traces.trace(encoder, many, matrices, passes, told.append)) == taken
    assert told, "what was too much is taken again"


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [4, 7])
def test_shares_of_ranks_and_a_stop_in_the_middle_change_no_pattern(
    many: Scan, tmp_path: Path, n_ranks: int, batch_size: int
) -> None:
    alone, passes = open_activations(Toy(), many, tmp_path / "alone", "exclude", "float32"), Passes(5)
    extract([(Toy(), alone)], many, passes)
    expected = of_all(traces.trace(Toy(), many, alone, passes))
    shared, passes = open_activations(Toy(), many, tmp_path / "shared", "exclude", "float32"), Passes(batch_size)
    batches = missing_batches(shared, batch_size)
    for begin, end in ((0, len(batches) // 2), (len(batches) // 2, None)):  # stopped once
        for rank in range(n_ranks):
            extract([(Toy(), shared)], many, passes, batches=batches[begin:end][rank::n_ranks])
    told: list[int] = []
    assert of_all(traces.trace(Toy(), many, shared, passes, told.append)) == expected
    assert told == [], "no clip is passed again"


@pytest.mark.parametrize("share", [0.0, 2.0], ids=["whole clips", "single pairs"])
def test_clips_taken_as_a_whole_are_what_their_pairs_are(
    nano: Encoder, pets: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    matrices, expected = traced(nano, pets, tmp_path)
    expected_patterns = of_all(expected)
    monkeypatch.setattr(patterns, "WHOLE", share)
    patterns.forget_patterns(matrices.folder)
    matrices.done[:] = 0
    extract([(nano, matrices)], pets, Passes(5))
    told: list[int] = []
    assert of_all(traces.trace(nano, pets, matrices, Passes(5), told.append)) == expected_patterns
    assert told == []


def test_patterns_of_other_rows_do_not_count(many: Scan, tmp_path: Path) -> None:
    matrices, _ = traced(Toy(), many, tmp_path)
    clips = top_clips.choose("many", matrices).clips
    assert not len(patterns.Found.look(Toy(), clips, matrices).missing()[0])
    clip = int(clips[0, 0])
    matrices.sums[clip, 1] += 1
    missing = patterns.Found.look(Toy(), clips, matrices).missing()
    assert set(missing[0].tolist()) == {clip} and 0 in missing[1]


def test_middle_clips_are_nearest_to_the_median_of_all_among_those_drawn() -> None:
    given = random_activations(200, 5)
    found, drawn = top_clips.choose("made", given), np.flatnonzero(top_clips.drawn(200))
    assert len(drawn) == 64 and drawn.tolist() == np.flatnonzero(top_clips.drawn(200)).tolist()
    heard = np.flatnonzero(given.tokens > 0)
    for neuron in range(5):
        mean = {clip: given.total[clip, neuron] / given.tokens[clip] for clip in heard.tolist()}
        median = np.median(list(mean.values()))
        others = {*found.clips[neuron, :8].tolist(), *found.contrast["silent"].clip_index[neuron].tolist()}
        rest = [clip for clip in drawn.tolist() if clip in mean and clip not in others]
        nearest = sorted(rest, key=lambda clip: (abs(mean[clip] - median), -mean[clip], clip))[:3]
        assert found.contrast["middle"].clip_index[neuron].tolist() == nearest
