"""Gradient times activation worked by hand, and against neurons that are really scaled, in every encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import spearmanr

from core.ablation import attribution, gradients
from core.ablation.attribution import Attribution, Sample
from core.ablation.gradients import AT_ONCE, Examined, Questions
from core.arrays.neurons import to_neurons
from core.datasets.task import Task
from core.encoders import Encoder, load_encoder
from core.encoders.hooks import scale
from core.errors import InputError
from core.probes.fit import Part
from core.probes.linear import LinearHead
from core.recording.passes import Passes
from tests.core.test_encoders import NAMES, load
from tests.support.planted import ToyBlock, ToyEncoder, planted_encoder, planted_neurons, random_encoder, scan_tones

Scan = Any
Sounds = Callable[[Sequence[NDArray[np.float32]]], Scan]


@pytest.fixture
def sounds(monkeypatch: pytest.MonkeyPatch) -> Sounds:
    """Clips given as samples, in place of a scan of files."""
    for module in (attribution, gradients):
        monkeypatch.setattr(
            module, "read_ahead", lambda clips, batches, *_: ([clips[i] for i in batch] for batch in batches)
        )
    return lambda waveforms: [np.asarray(w, dtype=np.float32) for w in waveforms]


def random_head(n_features: int, n_classes: int, seed: int = 0) -> LinearHead:
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(n_classes, n_features)), rng.normal(size=n_classes)
    mean, spread = 0.1 * rng.normal(size=n_features), rng.uniform(0.5, 2, n_features)
    return LinearHead(mean, spread, weight, bias, np.arange(n_classes))


def attribute(
    encoder: Encoder,
    scan: Scan,
    parts: Sequence[Part],
    members: NDArray[np.bool_],
    passes: Passes | None = None,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    return Attribution(encoder, scan, parts, members, passes or Passes()).estimates(progress).neurons


def one_part(head: LinearHead, n_clips: int) -> list[Part]:
    return [Part(np.arange(n_clips), head)]


def matrix(table: pd.DataFrame, column: str = "attribution") -> NDArray:
    """(n_classes, n_neurons)."""
    return table.pivot(index="class_index", columns="neuron_index", values=column).to_numpy()


def noise(encoder: Encoder, *seconds: float) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.1, round(s * encoder.sample_rate)).astype(np.float32) for s in seconds]


def margin(encoder: Encoder, waveform: NDArray, head: LinearHead, c: int, neuron: int, gain: float) -> float:
    """Of one clip of class ``c``, one label a clip, with one neuron scaled; the head's outputs are the classes."""
    with scale(encoder, to_neurons(np.array([neuron]), encoder.layer_widths), gain):
        (logits,) = head.logits(encoder.embed([waveform]))
    return float(logits[c] - np.delete(logits, c).max())


# By hand.

# Tokens of two samples: LONG (1, 2), (-1, 3), (0.5, padding), so neurons x, y and -x sum to 1.5, 5 and 1.
LONG, SHORT, THIRD = [1, 2, -1, 3, 0.5], [4, -5], [2, 0]
HEAD = LinearHead(
    np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([[2.0, 0], [0, 4], [1, 1]]), np.zeros(3), np.arange(3)
)
LABELS = np.array([[True, False, False], [False, True, False], [True, False, False]])


def hand_made() -> ToyEncoder:
    """One block, (x, y) += (n0 + 2 n1, 3 n2), two tokens a row."""
    block = ToyBlock(np.array([[1.0, 0], [0, 1], [-1, 0]]), np.zeros(3), np.array([[1.0, 2, 0], [0, 0, 3]]))
    return ToyEncoder([block], lambda frames: frames, frame=2, chunk=2, n_features=2)


def test_attribution_is_the_one_worked_by_hand(sounds: Sounds) -> None:
    # LONG ends at (4, 8/3), logits 3, 2/3, 5/3: the margin's slope is (w0 - w2) / scale = (1/2, -1/4), over 3
    # tokens. SHORT at (8, -5), logits 7, -7, 7/4: slope (-1, 1). THIRD at (4, 0), logits 3, -2, 1: as LONG.
    table = attribute(hand_made(), sounds([LONG, SHORT, THIRD]), one_part(HEAD, 3), LABELS)
    assert list(table) == ["class_index", "neuron_index", "attribution", "standard_error", "n_clips", "selective"]
    assert table["class_index"].tolist() == [0, 0, 0, 1, 1, 1], "no clip is of class 2"
    assert table["neuron_index"].tolist() == [0, 1, 2] * 2
    assert table["n_clips"].tolist() == [2, 2, 2, 1, 1, 1]
    of_long, of_third = np.array([0.25, 5 / 3, -0.25]), np.array([1.0, 0, 0])
    np.testing.assert_allclose(matrix(table), [(of_long + of_third) / 2, [-4, 0, 0]], rtol=1e-6)
    error = np.abs(of_long - of_third) / 2  # of two values: half their distance
    np.testing.assert_allclose(matrix(table, "standard_error"), [error, [np.nan] * 3], rtol=1e-6)
    # The slope of logit 0 is (1, 0): LONG (1/2, 10/3, 0) and THIRD (2, 0, 0) on average, less SHORT (4, 0, 0). That of
    # logit 1 is (0, 1): SHORT 0, less the mean of LONG (0, 0, 1) and THIRD 0.
    np.testing.assert_allclose(matrix(table, "selective"), [[-2.75, 5 / 3, 0], [0, 0, -0.5]], rtol=1e-6)


def test_a_layer_has_the_sum_of_its_neurons_clip_by_clip(sounds: Sounds) -> None:
    # Of class 0 LONG has 1/4 + 5/3 - 1/4 = 5/3 and THIRD 1: mean 4/3, of two values half their distance is the error.
    found = Attribution(hand_made(), sounds([LONG, SHORT, THIRD]), one_part(HEAD, 3), LABELS, Passes()).estimates()
    assert list(found.layers) == ["class_index", "layer", "attribution", "standard_error", "n_clips", "selective"]
    assert found.layers[["class_index", "layer", "n_clips"]].to_numpy().tolist() == [[0, 0, 2], [1, 0, 1]]
    np.testing.assert_allclose(found.layers["attribution"], [4 / 3, -4], rtol=1e-6)
    np.testing.assert_allclose(found.layers["standard_error"], [1 / 3, np.nan], rtol=1e-6)
    encoder = random_encoder()
    clips, parts, members = linear_task(encoder)
    neurons, layers = Attribution(encoder, sounds(clips), parts, members, Passes()).estimates()
    edges = np.cumsum(encoder.layer_widths)[:-1]
    sums = neurons.groupby(["class_index", np.searchsorted(edges, neurons["neuron_index"], side="right")])
    np.testing.assert_allclose(sums["attribution"].sum(), layers["attribution"], rtol=1e-6, atol=1e-9)


def test_measured_loss_is_the_one_worked_by_hand(sounds: Sounds) -> None:
    # Without its neuron 1, LONG ends at (2/3, 8/3): logits -1/3, 2/3, 0. Another class is then the rival,
    # and the margin of 4/3 becomes -1, which the slope does not know. THIRD loses nothing.
    scan, parts = sounds([LONG, SHORT, THIRD]), one_part(HEAD, 3)
    table = attribute(hand_made(), scan, parts, LABELS)
    checked, summary = Attribution(hand_made(), scan, parts, LABELS, Passes()).check(table, Sample(9, 1))
    assert list(checked) == [
        "class_index", "neuron_index", "attribution", "measured", "in_highest", "selective", "measured_total",
        "measured_selective",
    ]  # fmt: skip
    assert checked[["class_index", "neuron_index", "in_highest"]].to_numpy().tolist() == [
        [1, 0, True],
        [0, 1, False],
        [0, 2, False],
    ]
    np.testing.assert_allclose(checked["attribution"], [-4, 5 / 6, -0.125], rtol=1e-6)
    np.testing.assert_allclose(checked["measured"], [-4, 7 / 6, -0.125], rtol=1e-6)
    np.testing.assert_allclose(checked["measured_selective"], [0, 5 / 3, 0], atol=1e-6)
    with_it, without = (log_softmax(logits)[1] for logits in ([7, -7, 1.75], [3, -7, -0.25]))
    assert checked["measured_total"][0] == pytest.approx(with_it - without, rel=1e-6)
    assert summary["spearman_all"] == pytest.approx(1.0)
    assert np.isnan(summary["spearman_highest"]), "of one neuron"
    assert summary["n_clips"] == 3


def test_several_labels_take_the_mean_logit_of_their_own_without_a_rival(sounds: Sounds) -> None:
    # LONG is of classes 0 and 1: slope (w0 + w1) / 2 / scale = (1/2, 1/2), over 3 tokens; told for both.
    both = np.array([[True, True, False], [False, True, False]])
    table = attribute(hand_made(), sounds([LONG, SHORT]), one_part(HEAD, 2), both)
    of_long, of_short = np.array([0.25, 5 / 3, 0.5]), np.array([0.0, 0, 0])  # SHORT's slope is (0, 1)
    np.testing.assert_allclose(matrix(table), [of_long, (of_long + of_short) / 2], rtol=1e-6)


# Properties.


def linear_task(encoder: ToyEncoder, n_clips: int = 6) -> tuple[list[NDArray], list[Part], NDArray[np.bool_]]:
    """Clips of several labels, whose margin is linear in the embedding."""
    clips = noise(encoder, *np.linspace(3, 60, n_clips) / encoder.sample_rate)
    members = np.random.default_rng(2).random((n_clips, 3)) < 0.6
    members[:, 0] = True
    return clips, one_part(random_head(encoder.n_features, 3), n_clips), members


def test_attribution_is_the_measured_loss_where_all_is_linear(sounds: Sounds) -> None:
    encoder = random_encoder(widths=(12,))
    clips, parts, members = linear_task(encoder)
    table = attribute(encoder, sounds(clips), parts, members)
    checked, summary = Attribution(encoder, sounds(clips), parts, members, Passes()).check(
        table, Sample(8, 4, n_clips=6)
    )
    np.testing.assert_allclose(checked["measured"], checked["attribution"], rtol=1e-4, atol=1e-6)
    assert summary["spearman_all"] > 0.99
    assert np.ptp(checked["attribution"]) > 0.01


def test_attributions_sum_to_what_all_neurons_do_where_all_is_linear(sounds: Sounds) -> None:
    encoder = random_encoder(widths=(12,))
    clips, parts, members = linear_task(encoder)
    summed = matrix(attribute(encoder, sounds(clips), parts, members)).sum(axis=1)
    with scale(encoder, [(0, i) for i in range(12)], 0.0):
        without = encoder.embed(clips)
    own = members / members.sum(axis=1, keepdims=True)
    lost = (own * (parts[0].head.logits(encoder.embed(clips)) - parts[0].head.logits(without))).sum(axis=1)
    np.testing.assert_allclose(summed, members.T @ lost / members.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"nano-sl", "nano-untrained"}))  # they are as nano-ssl
def test_slope_and_loss_are_those_of_scaling_one_neuron(name: str, sounds: Sounds) -> None:
    encoder = load(name)
    clips = noise(encoder, 0.9, 0.4)
    encoder.embed(clips)  # what an encoder keeps from a pass in inference mode must not stop a gradient
    head, members = random_head(encoder.n_features, 3), np.array([[False, True, False], [True, False, False]])
    scan, parts = sounds(clips), one_part(head, 2)
    table = attribute(encoder, scan, parts, members)
    checked, _ = Attribution(encoder, scan, parts, members, Passes(rows_per_pass=3)).check(table, Sample(4, 4))
    largest = checked["attribution"].abs().max()
    for row in checked.itertuples():
        clip = clips[int(np.flatnonzero(members[:, row.class_index])[0])]
        at = partial(margin, encoder, clip, head, row.class_index, row.neuron_index)
        assert row.measured == pytest.approx(at(1.0) - at(0.0), rel=1e-3, abs=2e-3 * largest)
        # Near enough that the rival is the same on both sides.
        assert row.attribution == pytest.approx((at(1.01) - at(0.99)) / 0.02, rel=0.02, abs=5e-3 * largest)


def test_clips_of_unequal_lengths_give_together_what_each_gives_alone(sounds: Sounds) -> None:
    encoder = load_encoder("nano-ssl")
    clips = noise(encoder, 0.5, 3.0, 1.2, 0.1, 2.4)
    parts, members = one_part(random_head(encoder.n_features, 5), 5), np.eye(5, dtype=bool)
    told: list[int] = []
    together = attribute(encoder, sounds(clips), parts, members, Passes(batch_size=5))
    alone = attribute(encoder, sounds(clips), parts, members, Passes(batch_size=1), told.append)
    np.testing.assert_allclose(together["attribution"], alone["attribution"], rtol=1e-3, atol=1e-5)
    assert told == [6, 12, 18, 24, 30], "every clip's margin and logit, and the logits of the four other classes"
    np.testing.assert_allclose(together["selective"], alone["selective"], rtol=1e-3, atol=1e-5)


def questions(n_clips: int, n_classes: int = 3) -> Questions:
    own = np.eye(n_classes, dtype=bool)[np.arange(n_clips) % n_classes]
    return Questions.of(Examined(random_head(4, n_classes), np.arange(n_clips), own, several=False), seed=0)


def test_one_forward_pass_serves_all_that_is_asked_of_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = random_encoder()
    batch = encoder.prepare(noise(encoder, 0.1, 0.1, 0.05))
    asked = questions(3)
    assert len(asked.clip) == 3 * (1 + 1 + 2), "margin and logit of each, and two classes that it does not have"
    with mock.patch.object(encoder, "block", wraps=encoder.block) as block:
        together = gradients.of_batch(encoder, batch, asked)
        assert block.call_count == encoder.n_layers
        monkeypatch.setattr(gradients, "MOST_BYTES", 0)  # large graphs, held one at a time
        assert torch.equal(gradients.of_batch(encoder, batch, asked), together)
        assert block.call_count == 3 * encoder.n_layers
    for i, values in enumerate(together):
        one = asked.clip[i : i + 1]
        alone = Questions(asked.examined, one, asked.output[i : i + 1], asked.of_others[i : i + 1])
        torch.testing.assert_close(gradients.of_batch(encoder, batch, alone)[0], values)
    assert len({tuple(values.tolist()) for values in together}) == len(together)


def test_batches_hold_each_question_once_with_its_clip() -> None:
    asked = questions(20, n_classes=12)  # on the few clips of other classes that are drawn, much is asked
    batches = asked.batches(6)
    assert all(len(batch.examined.clips) <= 6 and batch.rank.max() < AT_ONCE for batch in batches)
    assert [batch.rank.max() for batch in batches] == sorted((batch.rank.max() for batch in batches), reverse=True)
    found = [
        (batch.examined.clips[clip], batch.examined.own[clip].argmax(), output, of_others)
        for batch in batches
        for clip, output, of_others in zip(batch.clip, batch.output, batch.of_others, strict=True)
    ]
    assert sorted(found) == sorted(
        (clip, clip % 12, output, of_others)
        for clip, output, of_others in zip(asked.clip, asked.output, asked.of_others, strict=True)
    )
    assert np.bincount(asked.clip).max() > AT_ONCE, "so one clip comes twice"


class SmallMemory(ToyEncoder):
    """Of `random_encoder`; no room for more than ``most`` rows with the backward pass, or ``most_forward`` without."""

    def __init__(self, most: int, most_forward: int) -> None:
        encoder = random_encoder()
        super().__init__(list(encoder.blocks), encoder.features, encoder.frame, encoder.chunk, encoder.n_features)
        self.most, self.most_forward = most, most_forward
        self.refused: list[int] = []

    def block(self, layer: int, hidden: torch.Tensor, batch: Any) -> torch.Tensor:
        if len(hidden) > (self.most if torch.is_grad_enabled() else self.most_forward):
            self.refused.append(len(hidden))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().block(layer, hidden, batch)


def test_batches_that_do_not_fit_are_halved_and_give_the_same(sounds: Sounds) -> None:
    small = SmallMemory(most=3, most_forward=4)
    clips = noise(small, *[20 / small.sample_rate] * 11)  # one row each
    parts, members = one_part(random_head(4, 3), 11), np.eye(3, dtype=bool)[np.arange(11) % 3]
    passes = Passes(batch_size=8, rows_per_pass=12)
    told: list[int] = []
    enough = random_encoder()
    table = attribute(enough, sounds(clips), parts, members, passes)
    found = attribute(small, sounds(clips), parts, members, passes, told.append)
    assert small.refused[:3] == [8, 4, 4]  # forward; then backward, of both halves
    assert told[-1] == 11 + 11 + 7 + 7 + 8 == Attribution(small, sounds(clips), parts, members, passes).n_passes
    pd.testing.assert_frame_equal(found, table, rtol=1e-6)

    small.refused.clear()
    told.clear()
    sample = Sample(9, 4, n_clips=3)
    whole, summary = Attribution(enough, sounds(clips), parts, members, passes).check(table, sample)
    again, told_of = Attribution(small, sounds(clips), parts, members, passes).check(table, sample, told.append)
    assert small.refused[0] == 8 and max(small.refused) <= 12, "a batch as it is; then pairs of neuron and clip"
    assert told[-1] == 13 * (3 + 6)
    pd.testing.assert_frame_equal(again, whole, rtol=1e-5, atol=1e-5)
    assert told_of == pytest.approx(summary)


def test_batches_of_the_check_are_halved_where_one_neuron_at_a_time_is_too_much(sounds: Sounds) -> None:
    small = SmallMemory(most=1, most_forward=2)
    clips = noise(small, *[20 / small.sample_rate] * 6)
    parts, members = one_part(random_head(4, 2), 6), np.eye(2, dtype=bool)[[0, 1] * 3]
    table = attribute(random_encoder(), sounds(clips), parts, members)
    whole, _ = Attribution(random_encoder(), sounds(clips), parts, members, Passes()).check(table, Sample(5, 5))
    again, _ = Attribution(small, sounds(clips), parts, members, Passes()).check(table, Sample(5, 5))
    assert small.refused[0] == 6
    pd.testing.assert_frame_equal(again, whole, rtol=1e-5, atol=1e-5)


def test_neurons_of_all_classes_share_the_passes_of_the_check(sounds: Sounds) -> None:
    encoder = random_encoder()
    clips = noise(encoder, *[20 / encoder.sample_rate] * 12)
    parts, members = one_part(random_head(4, 4), 12), np.eye(4, dtype=bool)[np.arange(12) % 4]
    table = attribute(encoder, sounds(clips), parts, members)
    with mock.patch.object(encoder, "block", wraps=encoder.block) as block:
        Attribution(encoder, sounds(clips), parts, members, Passes(batch_size=12, rows_per_pass=200)).check(
            table, Sample(9, 4)
        )
    assert block.call_count <= encoder.n_layers + sum(range(1, encoder.n_layers + 1)), "one pass a layer of neurons"


@pytest.mark.parametrize("most_forward", [0, 5])
def test_clip_that_does_not_fit_is_told(sounds: Sounds, most_forward: int) -> None:
    small = SmallMemory(most=0, most_forward=most_forward)
    clips = noise(small, *[20 / small.sample_rate] * 3)
    parts, members = one_part(random_head(4, 2), 3), np.eye(2, dtype=bool)[[0, 1, 0]]
    with pytest.raises(InputError, match=r"^toy on cpu has no memory for one clip of 0 s; cut long files, or use"):
        attribute(small, sounds(clips), parts, members)
    if not most_forward:
        table = attribute(random_encoder(), sounds(clips), parts, members)
        with pytest.raises(InputError, match=r"^toy on cpu has no memory for one clip of 0 s"):
            Attribution(small, sounds(clips), parts, members, Passes()).check(table, Sample())


def test_another_error_is_not_taken_for_a_lack_of_memory(sounds: Sounds, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = random_encoder()
    clips, parts, members = linear_task(encoder)
    asked: list[int] = []

    def fails(layer: int, hidden: torch.Tensor, batch: Any) -> torch.Tensor:
        asked.append(len(hidden))
        raise RuntimeError("as a test")

    monkeypatch.setattr(encoder, "block", fails)
    with pytest.raises(RuntimeError, match="as a test"):
        attribute(encoder, sounds(clips), parts, members)
    assert len(asked) == 1


def test_permuting_classes_permutes_results(sounds: Sounds) -> None:
    encoder, order = random_encoder(), np.array([2, 0, 1])
    clips, parts, _ = linear_task(encoder)
    members = np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]]
    head = parts[0].head
    renamed = LinearHead(head.mean, head.scale, head.weight, head.bias, order[head.class_index])
    moved = np.zeros_like(members)
    moved[:, order] = members
    found = attribute(encoder, sounds(clips), parts, members)
    again = attribute(encoder, sounds(clips), one_part(renamed, 6), moved)
    for column in ("attribution", "standard_error", "n_clips"):
        np.testing.assert_allclose(matrix(again, column)[order], matrix(found, column), rtol=1e-12)
    assert len(np.unique(matrix(found).round(6), axis=0)) == 3


def test_every_clip_is_told_on_by_the_head_of_its_fold(sounds: Sounds) -> None:
    encoder = random_encoder()
    clips, _, _ = linear_task(encoder)
    members = np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]]
    first, second = random_head(4, 3), random_head(4, 2, seed=1)
    second = LinearHead(second.mean, second.scale, second.weight, second.bias, np.array([0, 2]))  # does not know 1
    folds = [Part(np.array([0, 1, 5]), first), Part(np.array([2, 3, 4]), second)]
    scan = sounds(clips)
    alone = [matrix(attribute(encoder, scan, [part], members)) for part in folds]
    table = attribute(encoder, scan, folds, members, Passes(batch_size=2))
    assert matrix(table, "n_clips")[:, 0].tolist() == [2, 1, 2], "clip 4 has no class that its head knows"
    expected = [(alone[0][0] + alone[1][0]) / 2, alone[0][1], (alone[0][2] + alone[1][1]) / 2]
    np.testing.assert_allclose(matrix(table), expected, rtol=1e-6)
    checked, summary = Attribution(encoder, scan, folds, members, Passes()).check(table, Sample(16, 0))
    assert summary["n_clips"] == 5
    for row in checked.itertuples():
        losses = []
        for part in folds:
            known = part.head.class_index.tolist()
            for i in part.clips[members[part.clips, row.class_index]]:
                if row.class_index in known:
                    at = partial(margin, encoder, clips[i], part.head, known.index(row.class_index), row.neuron_index)
                    losses.append(at(1.0) - at(0.0))
        assert row.measured == pytest.approx(np.mean(losses), rel=1e-4, abs=1e-5)


def test_planted_neurons_lead_for_their_tone(tmp_path_factory: pytest.TempPathFactory) -> None:
    encoder, scan = planted_encoder(), scan_tones(tmp_path_factory.mktemp("attribution"))
    members, names = Task(scan, "tone").members, Task(scan, "tone").class_names
    head = LinearHead(np.zeros(5), np.ones(5), np.eye(5), np.zeros(5), np.array([names.index(c) for c in "abcd"] + [4]))
    clips = np.flatnonzero(Task(scan, "tone").tested)
    found = matrix(attribute(encoder, scan, [Part(clips, head)], members, Passes(batch_size=7)))
    for name, neurons in planted_neurons().items():
        assert set(np.argsort(-found[names.index(name)])[:3]) == set(neurons)
    assert np.abs(found[:, 5::20]).max() == 0, "a neuron that never fires does nothing"


# The sample, and what is left behind.


def test_highest_are_the_strongest_and_the_rest_are_drawn_without_them() -> None:
    values = np.random.default_rng(3).normal(size=(3, 40))
    table = pd.DataFrame(values, index=[0, 1, 4]).rename_axis("class_index").rename_axis("neuron_index", axis=1)
    table = table.stack().rename("attribution").reset_index().assign(selective=0.0)
    choose = partial(attribution._choose, table)
    chosen = choose(Sample(10, 5), np.random.default_rng(0))
    strength = np.abs(values).max(axis=0)
    assert chosen["neuron_index"][:5].tolist() == np.argsort(-strength)[:5].tolist()
    assert chosen["in_highest"].tolist() == [True] * 5 + [False] * 10
    assert chosen["neuron_index"].is_unique
    of_class = np.array([0, 1, 4])[np.abs(values).argmax(axis=0)]
    assert chosen["class_index"].tolist() == of_class[chosen["neuron_index"]].tolist()
    assert chosen["attribution"].abs().tolist() == strength[chosen["neuron_index"]].tolist()
    assert choose(Sample(10, 5), np.random.default_rng(0)).equals(chosen)
    assert not choose(Sample(10, 5), np.random.default_rng(1)).equals(chosen)
    assert len(choose(Sample(200, 5), np.random.default_rng(0))) == 40, "there are no more"


def test_rank_correlations_are_spearmans(sounds: Sounds) -> None:
    encoder = random_encoder(widths=(9, 9, 9))
    clips, parts, _ = linear_task(encoder)
    members = np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 2]]
    table = attribute(encoder, sounds(clips), parts, members)
    told: list[int] = []
    attributed, sample = Attribution(encoder, sounds(clips), parts, members, Passes()), Sample(15, 8, 1, seed=3)
    checked, summary = attributed.check(table, sample, told.append)
    groups = {"random": ~checked["in_highest"], "highest": checked["in_highest"], "all": checked["measured"] < np.inf}
    for name, which in groups.items():
        expected = spearmanr(checked["attribution"][which], checked["measured"][which]).statistic
        assert summary[f"spearman_{name}"] == pytest.approx(expected)
    for predictor, column in (("margin", "attribution"), ("selective", "selective")):
        for kind in ("total", "selective"):
            expected = spearmanr(checked[column], checked[f"measured_{kind}"]).statistic
            assert summary[f"{predictor}_{kind}"] == pytest.approx(expected)
    assert told[-1] == 23 * (1 + 2), "one clip a neuron, and two of others"
    assert summary["n_clips"] <= 6


def state(encoder: Encoder) -> list[object]:
    """All that a backward pass may leave behind."""
    hooks = [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in encoder.module.modules()]
    flags = [(p.requires_grad, p.grad) for p in encoder.module.parameters()]
    return [hooks, flags, [m.training for m in encoder.module.modules()], torch.is_grad_enabled()]


@pytest.mark.parametrize("fails_at", [None, 0, 2])
def test_nothing_is_left_behind(sounds: Sounds, monkeypatch: pytest.MonkeyPatch, fails_at: int | None) -> None:
    encoder = random_encoder()
    clips, parts, members = linear_task(encoder)
    encoder.blocks[1].fc.weight.requires_grad_(False)
    before, block = state(encoder), encoder.block

    def fails(layer: int, *arguments: Any) -> torch.Tensor:
        if torch.is_grad_enabled() and layer == fails_at:
            block(layer, *arguments)
            raise RuntimeError("as a test")
        return block(layer, *arguments)

    monkeypatch.setattr(encoder, "block", fails)
    with torch.no_grad():
        before_call = state(encoder)
        if fails_at is None:
            attribute(encoder, sounds(clips), parts, members)
        else:
            with pytest.raises(RuntimeError, match="as a test"):
                attribute(encoder, sounds(clips), parts, members)
        assert state(encoder) == before_call
    assert state(encoder) == before
    assert sum(p.requires_grad for p in encoder.module.parameters()) == len(before[1]) - 1  # type: ignore[arg-type]
