"""Counts on disk: as exact as a forward pass by hand, and resumed clip by clip."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from core.datasets import InputError, audio
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.encoders import load_encoder
from core.encoders.base import Batch, Encoder
from core.encoders.device import batch_size_for, batch_size_with_graph
from core.encoders.nano import NanoEncoder
from core.recording.activations import Activations, key, open_activations, reopen
from core.recording.extract import changed_by_precision, extract
from core.recording.passes import Passes
from core.recording.waveforms import read_ahead, unit_length
from tests.support.small_study import RATE, clips_passed, make_dataset, sound


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("nano-ssl")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Twelve clips, one of them longer than a chunk of the model."""
    folder = make_dataset(tmp_path_factory.mktemp("data") / "pets", n_clips=12)
    soundfile.write(folder / "001.wav", sound("low", 2.5, 1), RATE)
    return scan(read(folder), folder.parent / "scan.csv")


@pytest.fixture(scope="module")
def stored(encoder: Encoder, pets: Scan, tmp_path_factory: pytest.TempPathFactory) -> Activations:
    matrices = open_activations(encoder, pets, tmp_path_factory.mktemp("files"), "exclude", "float32")
    assert not matrices.complete
    extract([(encoder, matrices)], pets, Passes(5))
    assert matrices.complete
    return matrices


def test_counts_are_those_of_a_forward_pass_by_hand(encoder: Encoder, pets: Scan, stored: Activations) -> None:
    for row in (1, 2, 11):
        waveform = audio.load(pets.dataset.root / pets.dataset.clips[row].path, RATE)
        batch = encoder.prepare([waveform])
        hidden = encoder.begin(batch)
        positive, total = [], []
        for layer, projection in enumerate(encoder.projections):
            caught: list[torch.Tensor] = []
            hook = projection.register_forward_pre_hook(lambda _, x, caught=caught: caught.append(x[0]))
            with torch.inference_mode():
                hidden = encoder.block(layer, hidden, batch)
            hook.remove()
            of_counted = caught[0][batch.counted]  # (counted tokens, neurons)
            positive.append((of_counted > 0).sum(0).numpy())
            total.append(of_counted.double().sum(0).numpy())
        assert stored.tokens[row] == int(batch.counted.sum())
        # Other batch, other rounding: an activation within 1e-6 of 0 may fall on either side.
        differ = np.concatenate(positive) != stored.positive[row]
        assert differ.mean() < 0.002
        assert np.abs(np.concatenate(positive) - stored.positive[row].astype(int)).max() <= 1
        np.testing.assert_allclose(stored.total[row], np.concatenate(total), atol=2e-3, rtol=1e-3)
        np.testing.assert_allclose(stored.embeddings[row], encoder.embed([waveform])[0], atol=1e-4)


def test_counts_lie_within_their_clips_tokens(stored: Activations) -> None:
    assert (stored.positive.max(axis=1) <= stored.tokens).all()
    assert (stored.tokens > 0).all()
    assert stored.positive.any(axis=1).all()


def test_another_process_opens_the_same_matrices(stored: Activations) -> None:
    stored.of_clips["ranks"] = np.zeros(3)  # what scoring keeps in memory is no file
    opened = reopen(stored.folder)
    for name in ("positive", "total", "tokens", "embeddings", "done", "sums"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(stored, name))
    assert not opened.of_clips


def test_finished_clips_are_not_passed_again(
    encoder: Encoder, pets: Scan, stored: Activations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrices = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    told: list[int] = []
    with clips_passed(monkeypatch) as passes:
        extract([(encoder, matrices)], pets, Passes(5), progress=told.append)
        assert (passes, told) == ([5, 5, 2], [0, 5, 10, 12])
        matrices.done[[0, 3, 7]] = 0
        matrices.positive[[0, 3, 7]] = 0
        again = open_activations(encoder, pets, tmp_path, "exclude", "float32")
        assert again.done.tolist() == matrices.done.tolist()
        extract([(encoder, again)], pets, Passes(5), progress=told.append)
        assert passes[3:] == [5, 5]  # the batches those rows are in, as they were
        assert told[4:] == [2, 7, 12]
        extract([(encoder, again)], pets, Passes(5))
        assert passes[5:] == []
    for name in ("positive", "total", "tokens", "embeddings", "sums"):
        np.testing.assert_array_equal(getattr(again, name), getattr(stored, name))


def test_smallest_type_that_holds_the_tokens(encoder: Encoder, pets: Scan, stored: Activations, tmp_path: Path) -> None:
    assert stored.tokens.max() <= 255
    assert stored.positive.dtype == np.uint8
    longer = replace(pets, files=pets.files.assign(seconds=30.0))
    assert open_activations(encoder, longer, tmp_path, "exclude", "float32").positive.dtype == np.uint16


def test_key_follows_weights_audio_and_settings(encoder: Encoder, pets: Scan) -> None:
    other_weights: Any = load_encoder("nano-ssl")
    other_weights.weights_key = "other"
    other_audio = replace(pets, files=pets.files.assign(sha256="other"))
    keys = [
        key(encoder, pets, "exclude", "float32"),
        key(other_weights, pets, "exclude", "float32"),
        key(encoder, other_audio, "exclude", "float32"),
        key(encoder, pets, "include", "float32"),
        key(encoder, pets, "exclude", "bfloat16"),
    ]
    assert len(set(keys)) == len(keys)
    relabelled = replace(pets, dataset=replace(pets.dataset, attributes=("kind",)))
    assert key(encoder, relabelled, "exclude", "float32") == keys[0]


@pytest.mark.parametrize("damage", ["gone", "cut", "other shape"])
def test_rows_whose_numbers_are_lost_count_as_not_done(
    encoder: Encoder, pets: Scan, tmp_path: Path, damage: str
) -> None:
    first = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    first.done[:] = 1
    file = first.folder / "total.npy"
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        os.truncate(file, 1000)
    else:
        np.save(file, np.zeros((3, 3), dtype=np.float32))
    again = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    assert not again.done.any()
    assert again.total.shape == (12, encoder.n_neurons)


@pytest.mark.parametrize("has_fallocate", [True, False])
def test_disk_space_is_reserved_at_once(
    encoder: Encoder, pets: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_fallocate: bool
) -> None:
    if not has_fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    folder = open_activations(encoder, pets, tmp_path, "exclude", "float32").folder
    status = (folder / "total.npy").stat()
    assert status.st_blocks * 512 >= status.st_size
    assert not np.load(folder / "total.npy").any()


def test_batches_are_read_in_order_with_any_number_of_threads(pets: Scan) -> None:
    batches = [np.array([3, 1]), np.array([0]), np.array([5, 2, 4])]
    for workers in (1, 3):
        waveforms = list(read_ahead(pets, batches, RATE, workers))
        assert [len(w) for w in waveforms] == [2, 1, 3]
        for i, waveform in zip([3, 1, 0, 5, 2, 4], [w for batch in waveforms for w in batch], strict=True):
            expected = audio.load(pets.dataset.root / pets.dataset.clips[i].path, RATE)
            np.testing.assert_array_equal(waveform, expected)
    assert list(read_ahead(pets, [], RATE, 1)) == []


class Cramped(NanoEncoder):
    """An encoder on a device that has room for so many rows at once."""

    room = 4

    def begin(self, batch: Batch) -> torch.Tensor:
        if len(batch.inputs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().begin(batch)


def cramped(encoder: Encoder, room: int) -> Cramped:
    assert isinstance(encoder, NanoEncoder)
    small = Cramped(encoder.name, encoder.network, encoder.weights_key)
    small.room = room
    return small


def test_batch_that_does_not_fit_is_passed_in_parts(
    encoder: Encoder, pets: Scan, stored: Activations, tmp_path: Path
) -> None:
    matrices = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    told: list[int] = []
    extract([(cramped(encoder, 4), matrices)], pets, Passes(12), progress=told.append)
    assert matrices.complete
    assert told == [0, 12]
    assert matrices.tokens.tolist() == stored.tokens.tolist()
    np.testing.assert_allclose(matrices.embeddings, stored.embeddings, atol=1e-4)


def test_clip_that_does_not_fit_is_told_with_what_to_do(encoder: Encoder, pets: Scan, tmp_path: Path) -> None:
    matrices = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    with pytest.raises(InputError, match=r"no memory for one clip of 2 s; cut long files"):
        extract([(cramped(encoder, 1), matrices)], pets, Passes(1))  # the second clip takes two rows
    assert matrices.done.tolist() == [1] + 11 * [0]


def test_error_that_is_not_of_memory_is_not_tried_again(encoder: Encoder, pets: Scan, tmp_path: Path) -> None:
    class Broken(NanoEncoder):
        def begin(self, batch: Batch) -> torch.Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    assert isinstance(encoder, NanoEncoder)
    matrices = open_activations(encoder, pets, tmp_path, "exclude", "float32")
    with pytest.raises(RuntimeError, match="mat1"):
        extract([(Broken("broken", encoder.network, "key"), matrices)], pets, Passes(5))


def test_what_bfloat16_changes_is_told(encoder: Encoder, pets: Scan) -> None:
    told = changed_by_precision(encoder, pets, "exclude", "bfloat16")
    found = re.fullmatch(
        r"pets: in bfloat16 ([\d.]+)% of the counts of 12 clips differ from float32, by ([\d.]+)% of all .*tokens", told
    )
    assert found
    assert 0 < float(found[2]) <= float(found[1]) + 0.05 < 60, "of clips of one token both are the same, one rounded"
    assert "0.0% of the counts" in changed_by_precision(encoder, pets, "exclude", "float32")


@pytest.mark.parametrize(("seconds", "batch", "with_graph"), [(2.0, 32, 16), (60.0, 21, 5), (2000.0, 1, 1)])
def test_longer_clips_go_in_smaller_batches(encoder: Encoder, seconds: float, batch: int, with_graph: int) -> None:
    # 26 tokens each 2.08 s: 60 s are 29 chunks, of which the last is filled to the length of the others.
    assert batch_size_for(encoder, 0, seconds) == batch
    assert batch_size_for(encoder, 7, seconds) == 7
    assert batch_size_with_graph(encoder, batch, 0, seconds) == with_graph, "a quarter of the tokens"
    assert batch_size_with_graph(encoder, 7, 7, seconds) == 1


def test_unit_length_crops_and_fills_as_evar_does() -> None:
    waveform = np.arange(1, 101, dtype=np.float32)
    np.testing.assert_array_equal(unit_length(waveform, 103, "a", "train"), [*waveform, 0, 0, 0])
    np.testing.assert_array_equal(unit_length(waveform, 30, "a", "test"), waveform[:30])
    np.testing.assert_array_equal(unit_length(waveform, 30, "a", "fold 2"), waveform[:30])
    starts = {path: int(unit_length(waveform, 30, path, "train")[0]) - 1 for path in map(str, range(50))}
    assert starts == {path: int(unit_length(waveform, 30, path, "valid")[0]) - 1 for path in starts}
    assert len(set(starts.values())) > 20
    assert 0 <= min(starts.values()) < max(starts.values()) <= 70


def test_clips_of_unit_length_have_as_many_tokens_and_matrices_of_their_own(
    encoder: Encoder, pets: Scan, stored: Activations, tmp_path: Path
) -> None:
    cut = replace(pets, unit_seconds=0.32)
    assert key(encoder, cut, "exclude", "float32") != key(encoder, pets, "exclude", "float32")
    assert (cut.longest, pets.longest) == (0.32, 2.5)
    matrices = open_activations(encoder, cut, tmp_path, "exclude", "float32")
    extract([(encoder, matrices)], cut, Passes(5))
    assert len(set(stored.tokens.tolist())) > 1
    assert matrices.tokens.tolist() == [4] * 12  # 2 columns of 160 ms x 2
