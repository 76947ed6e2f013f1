"""Units other than neurons: recorded and changed at their places, numbers worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.ablation.conditions import run, whole_pass
from core.ablation.gradients import _block
from core.datasets.manifest import read
from core.datasets.scan import Scan, scan
from core.encoders import Encoder, load_encoder
from core.encoders.base import model_record
from core.encoders.hooks import Change, Counts, change_conditions, keep, record
from core.encoders.structure import attention_outputs
from core.errors import InputError
from core.recording.activations import MATRICES, Activations, open_activations
from core.recording.extract import extract
from core.recording.passes import Passes
from core.units import files
from core.units.encoder import Code, StreamPlace, UnitEncoder, head_places
from core.units.fit import fit
from core.units.kinds import KINDS, parse_kinds
from core.units.sample import Draw, Sample, drawn_clips, sample
from core.units.twins import Twins
from tests.core.test_hooks import LONG, SHORT, hand_made
from tests.support.small_study import clips_passed, make_dataset

TURNED = np.array([[1.0, -1.0], [1.0, 1.0]], dtype=np.float32) / np.sqrt(2)
"""Directions half-way between the two coordinates of `hand_made`, a column each."""
KINDS_FOUND = ("residual", "residual-low", "random", "pca", "head")


def units_of(encoder: Encoder, directions: np.ndarray, thresholds: Sequence[Sequence[float]] | None) -> UnitEncoder:
    """The same directions in every layer."""
    places = [StreamPlace(Code(torch.from_numpy(directions).float())) for _ in range(encoder.n_layers)]
    limits = None if thresholds is None else [torch.tensor(each, dtype=torch.float32) for each in thresholds]
    return UnitEncoder(encoder, "residual", places, limits)


def counted(encoder: Encoder, waveforms: list[np.ndarray]) -> tuple[Counts, Tensor]:
    batch = encoder.prepare(waveforms)
    with torch.inference_mode(), record(encoder, batch) as counts:
        return counts, encoder.forward(batch)


def changed(encoder: Encoder, waveforms: list[np.ndarray], change: Change) -> np.ndarray:
    """Embeddings by a whole pass; from the first changed layer alone they are the same."""
    batch = encoder.prepare(waveforms)
    with torch.inference_mode():
        with change_conditions(encoder, [change]):
            whole: np.ndarray = encoder.forward(batch).numpy()
        unchanged = whole_pass(encoder, batch, {0})
        np.testing.assert_allclose(run(encoder, unchanged, [change], 0), whole, rtol=1e-5, atol=1e-6)
    return whole


def test_coordinates_are_counted_above_their_own_limits() -> None:
    # After layer 0 LONG's whole tokens are (6, 2) and (5, 6), after layer 1 (15, 2) and (17, 6); SHORT's are (8, -5)
    # and (12, -5).
    counts, _ = counted(units_of(hand_made(), np.eye(2), [[5.5, 3], [16, 1]]), [LONG, SHORT])
    assert counts.tokens.tolist() == [2, 1]
    assert counts.positive.tolist() == [[1, 1, 1, 2], [1, 0, 0, 0]]
    assert counts.total.tolist() == [[11, 8, 32, 8], [8, -5, 12, -5]]


def test_directions_are_read_from_the_stream() -> None:
    # (x + y) / sqrt 2 and (y - x) / sqrt 2 of the same tokens, above 0.
    counts, _ = counted(units_of(hand_made(), TURNED, None), [LONG, SHORT])
    assert counts.positive.tolist() == [[2, 1, 2, 0], [1, 0, 1, 0]]
    np.testing.assert_allclose(
        counts.total * np.sqrt(2), [[19, -3, 40, -24], [3, -13, 7, -17]], rtol=1e-6
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS_FOUND)
def test_looking_changes_no_bit(kind: str, found: dict[str, UnitEncoder], nano: Encoder) -> None:
    waveforms = [np.sin(np.arange(n) / 7).astype(np.float32) for n in (9_000, 40_000)]
    batch = nano.prepare(waveforms)
    with torch.inference_mode():
        assert torch.equal(counted(found[kind], waveforms)[1], nano.forward(batch))


def test_a_coordinate_that_is_set_takes_its_part_along() -> None:
    # Layer 0's first coordinate at 0: LONG (0, 2), (0, 6), (0, 0) -> (3, 2), (7, 6), (1, 0); SHORT (0, -5) stays.
    units = units_of(hand_made(), np.eye(2), None)
    got = changed(units, [LONG, SHORT], Change(np.array([0])))
    np.testing.assert_allclose(got, [[11 / 3, 8 / 3], [0, -5]], rtol=1e-6)
    # Half of it and 1 more: (4, 2), (3.5, 6), (1.5, 0) -> (11, 2), (14, 6), (4, 0); (5, -5) -> (6, -5).
    got = changed(units, [LONG, SHORT], Change(np.array([0]), 0.5, np.array([1.0])))
    np.testing.assert_allclose(got, [[29 / 3, 8 / 3], [6, -5]], rtol=1e-6)


def test_a_direction_that_is_taken_out_is_projected_out() -> None:
    # Of (6, 2), (5, 6), (1, 0) and (8, -5) the mean of both coordinates goes, so layer 1 sees a sum of 0 and adds 1 to
    # x of (2, -2), (-0.5, 0.5), (0.5, -0.5), (6.5, -6.5).
    got = changed(units_of(hand_made(), TURNED, None), [LONG, SHORT], Change(np.array([0])))
    np.testing.assert_allclose(got, [[(3 + 0.5 + 1.5) / 3, -2 / 3], [7.5, -6.5]], rtol=1e-5)


def test_all_directions_kept_or_turned_around_are_the_stream() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.normal(size=24).astype(np.float32)
    turned = units_of(hand_made(chunk=12), TURNED, None)
    got = changed(turned, [waveform], Change(np.arange(2), 0.0))
    plain = units_of(hand_made(chunk=12), np.eye(2), None)
    np.testing.assert_allclose(got, changed(plain, [waveform], Change(np.arange(2), 0.0)), atol=1e-5)


def test_the_slope_by_a_unit_is_what_it_writes() -> None:
    # Behind layer 0 the embedding is x + relu(x + y + 1) and y: by x 2 and 0, by y 1 and 1, where that fires.
    units = units_of(hand_made(), np.eye(2), None)
    batch = units.prepare([LONG])
    before, activation, after = _block(units, 0, units.begin(batch), batch)
    last = _block(units, 1, after, batch)[2]
    by_unit, by_before = torch.autograd.grad(last[..., 0].sum(), [activation, before])
    assert by_unit[0, 0].tolist() == [2, 1]
    # No second way leads back through the unit: x by x is 1 + n0's 1 (LONG begins at (1, 2)), seen through 2.
    assert by_before[0, 0].tolist() == [4, 2 * 2 + 1]


def test_heads_are_as_long_as_what_they_give(nano: Encoder) -> None:
    heads = UnitEncoder(nano, "head", head_places(nano), None)
    batch = nano.prepare([np.sin(np.arange(20_000) / 9).astype(np.float32)])
    outputs, n_heads = attention_outputs(nano.module, nano.projections)
    given: list[Tensor] = []
    handles = [each.register_forward_pre_hook(lambda _, x: given.append(x[0].clone())) for each in outputs]
    with torch.inference_mode(), keep(heads, range(6)) as lengths:
        heads.forward(batch)
    for handle in handles:
        handle.remove()
    assert n_heads == 3 and heads.layer_widths == (3,) * 6
    for layer in range(6):
        by_hand = given[layer].unflatten(-1, (3, 64)).square().sum(-1).sqrt()
        torch.testing.assert_close(lengths[layer], by_hand)


def test_a_head_at_0_gives_nothing_and_one_at_half_gives_half(nano: Encoder) -> None:
    heads = UnitEncoder(nano, "head", head_places(nano), None)
    waveforms = [np.sin(np.arange(20_000) / 9).astype(np.float32)]
    output = nano.attention_outputs[2]
    for factor in (0.0, 0.5):
        got = changed(heads, waveforms, Change(np.array([2 * 3 + 1]), factor))
        with torch.no_grad():
            kept = output.weight[:, 64:128].clone()
            output.weight[:, 64:128] *= factor
        try:
            np.testing.assert_allclose(got, nano.embed(waveforms), rtol=1e-4, atol=1e-6)
        finally:
            with torch.no_grad():
                output.weight[:, 64:128] = kept


def test_no_attention_is_told(nano: Encoder) -> None:
    with pytest.raises(InputError, match=r"0\.proj: no attention output projection .* leave head out of --units"):
        head_places(hand_made())


@pytest.fixture(scope="module")
def nano() -> Encoder:
    return load_encoder("nano-ssl")


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    folder = make_dataset(tmp_path_factory.mktemp("data") / "pets", n_clips=12)
    return scan(read(folder), folder.parent / "scan.csv")


@pytest.fixture(scope="module")
def drawn(nano: Encoder, pets: Scan) -> Sample:
    clips = [(pets, drawn_clips(pets, ("train", "valid"), 0))]
    return sample(nano, clips, Passes(workers=1), Draw(0, with_heads=True), lambda _: None)


@pytest.fixture(scope="module")
def found(nano: Encoder, drawn: Sample) -> dict[str, UnitEncoder]:
    return {kind: fit(nano, kind, drawn, 0) for kind in KINDS_FOUND}


def test_a_dataset_without_clips_to_draw_takes_nothing_from_the_others(
    nano: Encoder, pets: Scan, drawn: Sample
) -> None:
    clips = [(pets, drawn_clips(pets, ("train", "valid"), 0)), (pets, np.zeros(0, dtype=np.int64))]
    again = sample(nano, clips, Passes(workers=1), Draw(0), lambda _: None)
    assert torch.equal(again.stream[2], drawn.stream[2])


def test_only_selection_clips_are_drawn_from(pets: Scan) -> None:
    splits = [pets.dataset.clips[i].split for i in drawn_clips(pets, ("train", "valid"), 0)]
    assert set(splits) <= {"train", "valid"}
    assert len(splits) == sum(clip.split in ("train", "valid") for clip in pets.dataset.clips)


@pytest.mark.parametrize("kind", KINDS_FOUND)
def test_a_unit_is_active_in_a_twentieth_of_the_tokens(kind: str, found: dict[str, UnitEncoder], drawn: Sample) -> None:
    units = found[kind]
    assert units.thresholds is not None
    for layer, limit in enumerate(units.thresholds):
        place = units.places[layer]
        values = place.code(drawn.stream[layer]) if isinstance(place, StreamPlace) else drawn.heads[layer]
        of_rank = slice(len(values) // 2)  # principal directions beyond the tokens' own are those of rounding
        share = (values > limit).float().mean(0)[of_rank]
        assert (share - 0.05).abs().max() <= 1 / len(values)


def test_units_with_their_sign_turned_fire_at_the_other_end(found: dict[str, UnitEncoder], drawn: Sample) -> None:
    high, low = found["residual"].thresholds, found["residual-low"].thresholds
    assert high is not None and low is not None
    np.testing.assert_allclose(-low[3], np.percentile(drawn.stream[3], 5, axis=0), rtol=1e-5)
    np.testing.assert_allclose(high[3], np.percentile(drawn.stream[3], 95, axis=0), rtol=1e-5)


def test_principal_directions_are_uncorrelated_and_the_first_vary_most(
    found: dict[str, UnitEncoder], drawn: Sample
) -> None:
    place = found["pca"].places[4]
    assert isinstance(place, StreamPlace)
    covariance = np.cov(place.code(drawn.stream[4]).double().numpy(), rowvar=False)
    variance = np.diag(covariance)
    assert (np.diff(variance) <= 1e-6 * variance[0]).all()
    assert np.abs(covariance - np.diag(variance)).max() < 1e-5 * variance[0]


@pytest.mark.parametrize("kind", ["random", "pca"])
def test_directions_are_orthogonal(kind: str, found: dict[str, UnitEncoder]) -> None:
    for place in found[kind].places:
        assert isinstance(place, StreamPlace)
        written = place.values.weight
        torch.testing.assert_close(written.T @ written, torch.eye(len(written)), atol=1e-5, rtol=0)


def test_layers_and_seeds_have_rotations_of_their_own(nano: Encoder, drawn: Sample) -> None:
    one, again, other = (fit(nano, "random", drawn, seed) for seed in (0, 0, 1))
    first, second = (place.values.weight for place in one.places[:2])
    assert (first - second).abs().max() > 0.01
    assert one.weights_key == again.weights_key != other.weights_key


def matrices_of(encoder: Encoder, pets: Scan, folder: Path) -> Activations:
    return open_activations(encoder, pets, folder, "exclude", "float32")


def test_one_pass_shows_all_units_as_passes_of_their_own_do(
    nano: Encoder, found: dict[str, UnitEncoder], pets: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [nano, *found.values()]
    together = [matrices_of(each, pets, tmp_path / "together") for each in views]
    with clips_passed(monkeypatch) as passed:
        extract(list(zip(views, together, strict=True)), pets, Passes(5, workers=1))
    assert sum(passed) == len(pets.dataset.clips)
    for encoder, ours in zip(views, together, strict=True):
        alone = matrices_of(encoder, pets, tmp_path / "alone")
        extract([(encoder, alone)], pets, Passes(5, workers=1))
        assert ours.complete
        for name in (*MATRICES, "sums"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(alone, name))


def test_units_that_came_later_pass_alone_and_leave_what_is_there(
    nano: Encoder, found: dict[str, UnitEncoder], pets: Scan, tmp_path: Path
) -> None:
    first, second = matrices_of(nano, pets, tmp_path), matrices_of(found["pca"], pets, tmp_path)
    extract([(nano, first)], pets, Passes(5, workers=1))
    first.total[:] = -1.0
    second.done[:5] = 1
    extract([(found["pca"], second), (nano, first)], pets, Passes(5, workers=1))
    assert second.complete and (first.total[:] == -1.0).all()
    assert not second.total[:5].any() and second.total[5:].all()


def test_kept_units_are_the_same_units(nano: Encoder, found: dict[str, UnitEncoder], tmp_path: Path) -> None:
    for kind, units in found.items():
        path = files.path_of(tmp_path, nano, kind)
        assert files.read(path, nano, kind) is None
        twins = {1: Twins(torch.tensor([0.75, torch.nan]), torch.tensor([True, False]), 0.25)}
        files.write(path, units, {"datasets": ["pets"], "seed": 0}, twins)
        again = files.read(path, nano, kind)
        assert again is not None and again[1]["datasets"] == ["pets"]
        (kept,) = again[1]["twins"].values()
        torch.testing.assert_close(kept.cosine, twins[1].cosine, equal_nan=True)
        assert (kept.is_mutual.tolist(), kept.null_high) == ([True, False], 0.25)
        assert again[0].weights_key == units.weights_key
        assert again[0].layer_widths == units.layer_widths


def test_units_of_other_weights_and_broken_files_are_refused_in_one_line(
    nano: Encoder, found: dict[str, UnitEncoder], tmp_path: Path
) -> None:
    path = files.path_of(tmp_path, nano, "pca")
    files.write(path, found["pca"], {"datasets": []}, {})
    with pytest.raises(InputError, match="holds units of other weights .* move it away"):
        files.read(path, load_encoder("nano-sl"), "pca")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="is not whole"):
        files.read(path, nano, "pca")


def test_the_store_is_told_of_which_encoder_they_are(found: dict[str, UnitEncoder], nano: Encoder) -> None:
    told = model_record(found["pca"])
    assert (told.name, told.encoder, told.unit_kind) == ("nano-ssl/pca", "nano-ssl", "pca")
    assert told.weights_key != model_record(nano).weights_key
    of_neurons = model_record(nano)
    assert (of_neurons.encoder, of_neurons.unit_kind) == ("nano-ssl", "mlp")


def test_kinds_come_in_one_order_each_once() -> None:
    assert parse_kinds("pca, mlp,pca") == ("mlp", "pca")
    assert set(KINDS_FOUND) < set(KINDS)
    with pytest.raises(InputError, match="--units mlp,neurons: neurons is no kind; expected mlp,residual"):
        parse_kinds("mlp,neurons")
    with pytest.raises(InputError, match="nothing is no kind"):
        parse_kinds(",")
