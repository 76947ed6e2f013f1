"""What may change places: clips, clips within a group, whole groups; and what is told where nothing may."""

from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from core.datasets.scan import Scan
from core.datasets.task import Task
from core.evidence.exchange import Exchange
from core.evidence.exchange_of_task import exchange_of
from tests.support.planted import scan_without_files


def made(*, groups: tuple[str, ...] = (), multilabel: bool = False, **labels: str) -> Scan:
    """One clip for each word of ``labels``; ``-`` is no label."""
    columns = {name: words.split() for name, words in labels.items()}
    n_clips = {len(words) for words in columns.values()}.pop()
    clips = [("train", {k: v[i] for k, v in columns.items() if v[i] != "-"}) for i in range(n_clips)]
    scan = scan_without_files(clips, tuple(columns))
    dataset = replace(scan.dataset, groups=groups, multilabel=("kind",) if multilabel else ())
    return replace(scan, dataset=dataset)


def exchange(scan: Scan, attribute: str = "kind") -> Exchange:
    return exchange_of(Task(scan, attribute), np.ones(len(scan.dataset.clips), dtype=bool))


def test_clips_are_dealt_where_no_group_is_known() -> None:
    found = exchange(made(kind="a b a b", mood="x x y y"))
    assert found.description == "clips"
    assert found.unit.tolist() == [0, 1, 2, 3]
    assert found.stratum.tolist() == [0, 0, 0, 0]
    assert found.warning == ""


def test_clips_are_dealt_within_a_group_that_holds_several_classes() -> None:
    found = exchange(made(kind="a b a b a b a", main_speaker="x x y y x y x"))
    assert found.description == "clips within main speaker"
    assert found.unit.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.stratum.tolist() == [0, 0, 1, 1, 0, 1, 0]


def test_groups_of_one_class_are_dealt_as_wholes() -> None:
    found = exchange(made(kind="a a b b a a b b a b", voice="1 1 2 2 3 3 4 4 5 6"))
    assert found.description == "whole voices"
    assert found.unit.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    assert found.stratum.tolist() == [0] * 6
    assert found.first.tolist() == [0, 2, 4, 6, 8, 9]
    assert found.sizes.tolist() == [6]


def test_groups_of_one_class_go_as_wholes_beside_clips_of_the_others() -> None:
    # Voice 3 holds both classes; the last clip's voice is not known: a group of its own.
    found = exchange(made(kind="a a a b b b a b", voice="1 3 1 3 2 2 3 -"))
    assert found.description == "clips within voice, whole voices that have one kind"
    assert found.unit.tolist() == [0, 1, 0, 2, 3, 3, 4, 5]
    whole, within = found.stratum[0], found.stratum[1]
    assert whole != within
    assert found.stratum.tolist() == [whole, within, within, whole, within, whole]


def test_group_that_the_dataset_names_comes_first() -> None:
    labels = {"kind": "a b a b a b", "voice": "1 1 2 2 3 3", "take": "5 5 5 6 6 6"}
    assert exchange(made(**labels)).description == "clips within voice"
    assert exchange(made(groups=("take",), **labels)).description == "clips within take"


def test_tasks_own_attribute_is_not_its_group() -> None:
    scan = made(voice="1 1 2 2 3 3", session="5 6 7 8 9 9")
    assert exchange(scan, "voice").description == "whole sessions"
    assert exchange(made(voice="1 1 2 2 3 3"), "voice").description == "clips"


@pytest.mark.parametrize("voice", ["1 2 3 4 5 6", "1 1 1 1 1 1", "- - - - - -", "1 2 3 - - -"])
def test_one_group_a_clip_and_one_group_in_all_are_no_groups(voice: str) -> None:
    assert exchange(made(kind="a b a b a b", voice=voice)).description == "clips"


def test_only_the_chosen_clips_are_asked() -> None:
    scan = made(kind="a b a b a b b", voice="1 1 1 2 2 2 3")
    chosen = np.array([True, False, True, False, True, False, True])
    found = exchange_of(Task(scan, "kind"), chosen)
    # Of what is chosen voice 1 says a, 2 says a, 3 says b.
    assert found.description == "whole voices"
    assert found.unit.tolist() == [0, 0, 1, 2]


def test_set_of_labels_is_the_class_of_a_clip_that_has_several() -> None:
    same = made(kind="a,b b,a c c a,b c", multilabel=True, source="1 1 2 2 3 4")
    assert exchange(same).description == "whole sources"
    apart = made(kind="a,b a c c,a a c", multilabel=True, source="1 1 2 2 1 2")
    assert exchange(apart).description == "clips within source"


def test_where_each_class_is_one_group_clips_are_dealt_and_a_warning_tells_why() -> None:
    found = exchange(made(language="a a b b c c", session="1 1 2 2 3 3"), "language")
    assert found.description == "clips (each language is one session: nothing tells them apart)"
    assert found.warning == (
        "each language is one session: a neuron for the session and one for the language cannot be told apart"
    )
    assert found.sizes.tolist() == [6]


def test_too_few_groups_for_evidence_are_told() -> None:
    found = exchange(made(kind="a a b b a a b b", voice="1 1 2 2 3 3 4 4"))
    assert found.description == "whole voices"
    assert "2 of 2 classes" in found.warning
    assert "never under 0.17" in found.warning  # 1 of C(4, 2)
    for n_voices, enough in ((10, False), (14, True)):  # 1 of C(10, 5) = 252, 1 of C(14, 7) = 3432
        voices = " ".join(str(i // 2) for i in range(2 * n_voices))
        kinds = " ".join("ab"[i // 2 % 2] for i in range(2 * n_voices))
        assert (exchange(made(kind=kinds, voice=voices)).warning == "") == enough


def test_least_p_is_one_over_the_ways_to_draw_the_class() -> None:
    found = Exchange(np.arange(9), np.array([0, 0, 0, 0, 0, 1, 1, 1, 1]), "strata")
    members = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0], dtype=bool)[:, None] == [True, False]
    drawn = found.drawn(members)
    assert drawn.tolist() == [[2, 1], [3, 3]]
    np.testing.assert_allclose(found.least_p(drawn), 1 / (comb(5, 2) * comb(4, 1)))


def test_labels_are_dealt_evenly_within_strata() -> None:
    found = Exchange(np.arange(6), np.array([1, 0, 1, 0, 1, 0]), "strata")
    rng = np.random.default_rng(0)
    deals = np.array([found.deal(rng) for _ in range(3000)])
    assert (np.sort(deals, axis=1) == np.arange(6)).all()
    for unit in range(6):
        came_from = np.bincount(deals[:, unit], minlength=6) / 3000
        expected = np.where(np.arange(6) % 2 == unit % 2, 1 / 3, 0)
        np.testing.assert_allclose(came_from, expected, atol=0.04)


def test_sums_are_over_the_clips_of_each_unit() -> None:
    found = Exchange(np.array([0, 1, 0, 2, 1]), np.zeros(3, dtype=np.int64), "whole voices")
    assert found.sums(np.array([1, 2, 4, 8, 16])).tolist() == [5, 18, 8]
    assert found.sums(np.array([[1, 1], [2, 0], [4, 0], [8, 0], [16, 3]])).tolist() == [[5, 1], [18, 3], [8, 0]]
