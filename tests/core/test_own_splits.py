"""Splits that are ours, drawn again: as the loader itself would under another seed, with groups whole."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from core.datasets import PUBLISHED, Clip, Dataset, manifest
from core.datasets.base import draw_evenly, shuffled_labels
from core.datasets.published.base import Options, Published
from tests.support import replicas_events, replicas_speech_music
from tests.support.small_study import query, run

REPLICAS = {**replicas_events.REPLICAS, **replicas_speech_music.REPLICAS}
BY_NAME = {published.name: published for published in PUBLISHED}
GROUP = {"cremad": "actor", "gise51": "freesound_id", "gtzan": "track", "surge": "tone", "vocalsound": "speaker",
         "voxforge": "speaker", "vc1": "video"}  # fmt: skip
"""What each dataset's own split keeps together."""


def _without_lists(root: Path) -> None:
    for path in [*root.glob("*_filtered.txt"), *root.glob("iden_split.txt")]:
        path.unlink()
    shutil.rmtree(root / "datafiles", ignore_errors=True)


def _classes_in_the_root(root: Path) -> None:
    """Of GISE-51; brackets in class names are missing in one part only."""
    for folder in [*root.glob("*/*/")]:
        shutil.copytree(folder, root / folder.name.partition("_(")[0], dirs_exist_ok=True)
    for part in ("train", "val", "eval"):
        shutil.rmtree(root / part)


UNSPLIT: dict[str, Callable[[Path], None]] = dict.fromkeys(GROUP, _without_lists) | {"gise51": _classes_in_the_root}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Replicas that tell no split; to be read only."""
    found = {}
    for name, unsplit in UNSPLIT.items():
        found[name] = REPLICAS[name](tmp_path_factory.mktemp(name))
        unsplit(found[name])
    return found


def read(name: str, roots: dict[str, Path], seed: int = 0) -> Dataset:
    return BY_NAME[name].read(roots[name], Options(seed=seed))


def in_force(dataset: Dataset) -> list[str]:
    return [clip.split for clip in dataset.clips]


def together(dataset: Dataset, group: str, splits: list[str]) -> bool:
    """Whether no group is in two parts; a clip without one is left out."""
    parts = defaultdict(set)
    for clip, split in zip(dataset.clips, splits, strict=True):
        if group in clip.labels:
            parts[clip.labels[group]].add(split)
    return len(parts) > 1 and all(len(of_group) == 1 for of_group in parts.values())


@pytest.mark.parametrize("name", GROUP)
def test_another_seed_gives_what_the_loader_gives_with_it(name: str, roots: dict[str, Path]) -> None:
    dataset = read(name, roots)
    assert dataset.split_origin == "ours"
    drawn = [dataset.redraw(seed) for seed in range(6)]
    assert drawn[0] == in_force(dataset)
    assert drawn[1] == in_force(read(name, roots, seed=1))
    assert any(splits != drawn[0] for splits in drawn[1:])
    assert all(splits is not None and together(dataset, GROUP[name], splits) for splits in drawn)


@pytest.mark.parametrize("name", GROUP)
def test_some_of_the_clips_and_dealt_labels_keep_their_split_and_their_groups(
    name: str, roots: dict[str, Path]
) -> None:
    dataset = read(name, roots)
    for some in (
        dataset.only(draw_evenly(dataset, [dataset.attributes[0]], 20, seed=3)),
        dataset.only(dataset.clips[::-2]),
        shuffled_labels(dataset, seed=1),
    ):
        assert len(some.kept_together) == len(some.clips)
        assert some.redraw(0) == in_force(some)
        for seed in range(1, 4):
            splits = some.redraw(seed)
            assert splits is not None and together(some, GROUP[name], splits)


def test_dealt_labels_are_dealt() -> None:
    """So that the test above could fail: the groups are not where they were."""
    labels = [{"kind": "xy"[i % 2], "speaker": str(i // 2)} for i in range(40)]
    names = tuple(each["speaker"] for each in labels)
    table = Dataset("made", Path("made"), ("kind",), _clips(labels), split_origin="ours", kept_together=names)
    assert shuffled_labels(table, seed=1).kept_together != names


def _clips(labels: list[dict[str, str]]) -> tuple[Clip, ...]:
    return tuple(Clip(f"{i}.wav", "train", of_clip) for i, of_clip in enumerate(labels))


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda p: p.name)
def test_only_a_split_of_ours_is_drawn_again(published: Published, tmp_path: Path) -> None:
    dataset = published.read(REPLICAS[published.name](tmp_path), Options())
    assert (dataset.redraw(1) is not None) == (dataset.split_origin == "ours")


def test_an_attribute_with_a_split_of_its_own_has_no_other_draw(roots: dict[str, Path]) -> None:
    dataset = read("vc1", roots)
    assert dataset.redraw(1, "gender_by_speaker") is None
    assert dataset.redraw(1, "gender") == dataset.redraw(1) != in_force(dataset)


def test_a_manifest_is_drawn_again_where_it_tells_no_split(tmp_path: Path) -> None:
    rows = [f"{i}.wav,{'ab'[i % 2]}" for i in range(24)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,kind", *rows]))
    dataset = manifest.read(tmp_path, seed=3)
    assert dataset.redraw(3) == in_force(dataset) == in_force(dataset.drawn_again())
    assert dataset.redraw(4) == in_force(manifest.read(tmp_path, seed=4)) != in_force(dataset)
    (tmp_path / "manifest.csv").write_text("\n".join(["file,kind,split", *(f"{row},train" for row in rows)]))
    assert manifest.read(tmp_path).redraw(3) is None


def _told(db: Path) -> list[tuple[object, ...]]:
    return query(db, "SELECT n_draws, share_of_draws, share_expected FROM selection_stability WHERE preset = 'lape'")


def test_stability_of_a_hashed_split_tells_the_share_of_draws(roots: dict[str, Path], tmp_path: Path) -> None:
    stages = ("--stages", "extract,score")
    assert run("--data-dir", roots["gtzan"], "--db", tmp_path / "ours.db", *stages) == 0
    ((n_draws, share, expected),) = _told(tmp_path / "ours.db")
    assert n_draws == 5
    assert 0 < expected < share < 1
    shares = {row[0] for row in query(tmp_path / "ours.db", "SELECT share_of_draws FROM class_specific_neurons")}
    assert shares <= {0, 0.2, 0.4, 0.6, 0.8, 1.0} and len(shares) > 1

    # Where test clips choose too, nothing hangs on the split.
    assert run("--data-dir", roots["gtzan"], "--db", tmp_path / "ours.db", *stages, "--select-on", "all") == 0
    assert _told(tmp_path / "ours.db") == [(None, None, None)]
