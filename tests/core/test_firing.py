"""In which tokens units fire, as a pass by hand gives it; kills, damage and ranks change no bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from core.datasets.base import Segment
from core.datasets.scan import Scan
from core.encoders import Encoder, load_encoder
from core.encoders.hooks import keep
from core.recording import checksums
from core.recording.activations import Activations, open_activations
from core.recording.extract import all_batches, extract
from core.recording.firing import Firing, _packed, with_segments
from core.recording.passes import Passes
from core.recording.traces import take_firing
from core.recording.waveforms import read_ahead
from core.timing import tracks
from core.timing.evidence import Design, Found, find
from core.timing.tracks import SegmentTask, Tracks
from tests.support.in_time import noise_scan
from tests.support.small_study import small_network

N_CLIPS = 7
WITH = [0, 2, 3, 6]


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl", small_network()[1])


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    segments = [[Segment("phone" if i < 6 else "other", "a", 0.0, 0.5)] if i in WITH else [] for i in range(N_CLIPS)]
    return noise_scan(tmp_path_factory.mktemp("noise") / "audio", N_CLIPS, 2.6, segments)


def recorded(nano: Encoder, noise: Scan, folder: Path) -> Activations:
    matrices = open_activations(nano, noise, folder, "exclude", "float32")
    extract([(nano, matrices)], noise, Passes(3), timed=with_segments(noise, ["phone", "other"]))
    return matrices


def everything(found: Firing) -> list[list[list[float]]]:
    return [found.columns(clip, layer).tolist() for clip in WITH for layer in range(len(found.widths))]


def test_clips_with_segments_of_what_is_asked_for_are_taken(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    assert np.flatnonzero(with_segments(noise, ["phone"])).tolist() == WITH[:-1]
    matrices = recorded(nano, noise, tmp_path)
    found = Firing.look(nano.layer_widths, matrices)
    assert np.flatnonzero(found.file_of >= 0).tolist() == WITH
    assert found.missing(np.ones(N_CLIPS, dtype=np.bool_)).tolist() == [1, 4, 5]


def test_bits_are_those_of_a_pass_by_hand_and_add_up_to_the_counts(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    matrices = recorded(nano, noise, tmp_path)
    found = Firing.look(nano.layer_widths, matrices)
    width = nano.layer_widths[0]
    for layer in range(nano.n_layers):
        counts = np.stack([found.columns(clip, layer).sum(axis=0) for clip in WITH])
        assert (counts == matrices.positive[WITH][:, layer * width : (layer + 1) * width]).all()
        assert [found.counted(clip, layer).sum() for clip in WITH] == matrices.tokens[WITH].tolist()
    (waveforms,) = read_ahead(noise, [np.arange(3)], nano.sample_rate, 1)
    batch = nano.prepare(waveforms)
    with torch.inference_mode(), keep(nano, [1]) as kept:
        nano.forward(batch)
    rows = torch.nonzero(batch.clip == 2).ravel()
    n_bands, n_columns = found.shape[2, 1]
    of_rows = (kept[1][rows] > 0).reshape(len(rows), n_bands, -1, width).numpy()
    by_hand = np.concatenate(of_rows.transpose(0, 2, 1, 3).sum(axis=2))[:n_columns]
    counted = found.counted(2, 1)
    assert counted.all(axis=0).any()
    whole = counted.all(axis=0)
    assert (found.columns(2, 1)[whole] == by_hand[whole]).all()


def test_units_that_are_no_multiple_of_eight_are_packed_alike_on_every_device() -> None:
    above = torch.rand(5, 13) > 0.5
    assert (_packed(above) == np.packbits(above.numpy(), axis=1)).all()
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8)
    padded = torch.nn.functional.pad(above, (0, -above.shape[1] % 8)).unflatten(1, (-1, 8))
    assert ((padded * weights).sum(-1, dtype=torch.uint8).numpy() == _packed(above)).all()


def test_a_damaged_file_is_not_believed_and_taken_again(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    matrices = recorded(nano, noise, tmp_path)
    before = everything(Firing.look(nano.layer_widths, matrices))
    (path,) = matrices.folder.glob("firing-*.part")
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    found = Firing.look(nano.layer_widths, matrices)
    missing = found.missing(with_segments(noise, ["phone", "other"]))
    assert missing.tolist() == [6], "the blocks before the damage hold"
    batches = [batch for batch in all_batches(N_CLIPS, 3) if np.isin(missing, batch).any()]
    take_firing(nano, noise, matrices, (missing, batches), Passes(3))
    assert everything(Firing.look(nano.layer_widths, matrices)) == before


def test_bits_of_other_rows_than_there_are_do_not_count(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    matrices = recorded(nano, noise, tmp_path)
    matrices.sums[2] += 1
    assert Firing.look(nano.layer_widths, matrices).file_of[2] == -1


def test_a_run_that_was_killed_goes_on_where_it_stood(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    whole = everything(Firing.look(nano.layer_widths, recorded(nano, noise, tmp_path / "whole")))
    matrices = checksums.with_sums(open_activations(nano, noise, tmp_path / "killed", "exclude", "float32"))
    timed = with_segments(noise, ["phone", "other"])
    for some in (all_batches(N_CLIPS, 3)[:1], None):
        extract([(nano, matrices)], noise, Passes(3), batches=some, timed=timed)
    assert len(list(matrices.folder.glob("firing-*.part"))) == 2
    assert everything(Firing.look(nano.layer_widths, matrices)) == whole


def test_counts_are_the_same_with_and_without(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    timed = recorded(nano, noise, tmp_path / "with")
    without = open_activations(nano, noise, tmp_path / "without", "exclude", "float32")
    extract([(nano, without)], noise, Passes(3))
    assert (timed.positive == without.positive).all() and (timed.sums == without.sums).all()
    assert not list(without.folder.glob("firing-*.part"))


def test_layers_give_the_same_alone_and_in_one_block(
    nano: Encoder, noise: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> tuple[list[range], Found]:
        made = Tracks(SegmentTask(noise, "phone"), Firing.look(nano.layer_widths, matrices), nano.token_grid)
        return made.blocks, find(made, Design.of(made, ("train",), 0))

    matrices = recorded(nano, noise, tmp_path)
    together, one = found()
    monkeypatch.setattr(tracks, "_PAIRS", 1)
    alone, other = found()
    assert (together, alone) == ([range(2)], [range(1), range(1, 2)])
    for name in ("positive", "tokens", "rate", "p", "q", "is_specific", "null"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-9), name


def test_some_units_are_read_as_among_all(nano: Encoder, noise: Scan, tmp_path: Path) -> None:
    firing = Firing.look(nano.layer_widths, recorded(nano, noise, tmp_path))
    made, width = Tracks(SegmentTask(noise, "phone"), firing, nano.token_grid), nano.layer_widths[0]
    units = np.array([0, 3, 8, width - 1, width, width + 5])
    for clip in WITH[:-1]:
        every = made.fires(made.of(clip, 0), range(2))
        assert every.any() and (made.fires(made.of(clip, 0), range(2), units) == every[:, units]).all()
        assert (made.fires(made.of(clip, 0), range(2), units[4:]) == every[:, units[4:]]).all(), "of one layer alone"
