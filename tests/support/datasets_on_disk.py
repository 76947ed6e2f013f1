"""What the tests of speech and music datasets share."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from pathlib import Path

from core.datasets.base import Dataset
from core.datasets.published import common_voice, cremad, nsynth, surge, vocalsound, voxceleb1, voxforge
from core.datasets.published.base import Options, Published

LOADERS: dict[str, Published] = {
    loader.name: loader
    for loader in (
        voxforge.VoxForge(), voxceleb1.VoxCeleb1(), cremad.CremaD(), nsynth.NSynth(), surge.Surge(),
        vocalsound.VocalSound(), common_voice.CommonVoice(),
    )
}  # fmt: skip


def read(name: str, root: Path, **options: object) -> Dataset:
    return LOADERS[name].read(root, Options(**options))  # type: ignore[arg-type]


def copy(name: str, roots: dict[str, Path], folder: Path) -> Path:
    return Path(shutil.copytree(roots[name], folder / roots[name].name))


def evar(folder: Path, file: str, *lines: str) -> Path:
    path = folder / "EVAR" / "evar" / file
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder / "EVAR"


def splits(dataset: Dataset) -> Counter[str]:
    return Counter(clip.split for clip in dataset.clips)


def values(dataset: Dataset, attribute: str) -> Counter[str]:
    return Counter(clip.labels[attribute] for clip in dataset.clips if attribute in clip.labels)


def problems(dataset: Dataset) -> set[tuple[str, str]]:
    return {(problem.path, problem.reason) for problem in dataset.problems}


def parts_of(dataset: Dataset, attribute: str, splits: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """In which parts each value of an attribute is."""
    parts = defaultdict(set)
    for clip, split in zip(dataset.clips, splits or tuple(clip.split for clip in dataset.clips), strict=True):
        parts[clip.labels.get(attribute, "")].add(split)
    return parts
