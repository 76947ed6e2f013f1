"""What a user should know of the datasets found, before and after their audio was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.datasets import audio
from core.datasets.base import Dataset
from core.datasets.files import cache_folder
from core.datasets.levels import SAMPLE_RATE
from core.datasets.scan import Scan
from core.datasets.segments.within import within
from core.files import write_whole
from core.results import Problem
from core.untrusted_text import as_csv, as_file_name, one_line

LOOKED_AT = 500
"""Headers read for an estimate of a dataset's hours."""
JUDGED, LONGEST_JUDGED = 50, 300.0
"""Clips that a list reads as a run does, and the seconds of the longest."""
SHOWN = 5


def summary(dataset: Dataset, hours: str = "") -> list[str]:
    """Clips, hours, splits, then each task's classes with their sizes, a line each."""
    splits = Counter(clip.split for clip in dataset.clips)
    parts = ", ".join(f"{name} {splits[name]:,}" for name in sorted(splits, key=_split_order))
    origin = {"ours": "", "manifest": "", "official": ", official"}.get(
        dataset.split_origin, f", {dataset.split_origin}"
    )
    lines = [f"{dataset.name}: {len(dataset.clips):,} clips{f', {hours}' if hours else ''}; {parts}{origin}"]
    for attribute in dataset.attributes:
        sizes = dataset.sizes(attribute)
        if sizes:
            lines.append(f"  {dataset.task(attribute)}: {len(sizes):,} classes, {_sizes(sizes)}")
    return [one_line(line) for line in (*lines, *_in_time(dataset))]


def _in_time(dataset: Dataset) -> Iterator[str]:
    """Each attribute of segments: how many there are, in how many clips, how long, of which classes."""
    lengths = {attribute: list[float]() for attribute in dataset.segment_attributes}
    n_clips: Counter[str] = Counter()
    for clip in dataset.clips:
        n_clips.update({segment.attribute for segment in clip.segments})
        for segment in clip.segments:
            lengths[segment.attribute].append(segment.offset - segment.onset)
    for attribute, seconds in lengths.items():
        sizes, task = dataset.segment_sizes(attribute), dataset.task(attribute)
        if not sizes:
            yield f"  {task}: classes in time, made with the sound"
            continue
        classes = f"{len(sizes):,} {'class' if len(sizes) == 1 else 'classes'} in time"
        yield (
            f"  {task}: {classes}, {len(seconds):,} segments in {n_clips[attribute]:,} clips, "
            f"{_duration(float(np.median(seconds)))} long (median), {_sizes(sizes, 'segments')}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _split_order(name: str) -> tuple[int, int, str]:
    kind = {"train": 0, "valid": 1, "test": 2}.get(name, 3)
    number = name.rpartition(" ")[2]
    return kind, int(number) if number.isdecimal() else 0, name


def _sizes(sizes: Counter[str], of: str = "clips") -> str:
    ordered = sizes.most_common()
    (most, n_most), (least, n_least) = ordered[0], ordered[-1]
    if len(ordered) <= SHOWN:
        return ", ".join(f"{name} {n:,}" for name, n in ordered)
    if n_most == n_least:
        return f"{n_most:,} {of} each"
    return f"{n_least:,} ({least}) to {n_most:,} ({most}) {of}"


def estimated_hours(dataset: Dataset) -> str:
    """From the headers of some clips spread over the dataset, in words."""
    n, some = len(dataset.clips), _some_of(dataset, LOOKED_AT)
    seconds = []
    for path in some:
        try:
            seconds.append(audio.seconds(dataset.root / path))
        except audio.BadAudio:
            continue
    if not seconds:
        return "no clip readable yet"
    about = "about " if len(some) < n or len(seconds) < len(some) else ""
    return f"{about}{np.mean(seconds) * n / 3600:.2g} hours"


def _some_of(dataset: Dataset, most: int) -> list[str]:
    """Paths of some clips all over the dataset; of one that is packed the first, which are unpacked."""
    paths = [clip.path for clip in dataset.clips]
    if dataset.make:
        dataset.make(paths[:JUDGED], None)
        return paths[:JUDGED]
    places = np.unique(np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int))
    return [paths[i] for i in places]


def judged(dataset: Dataset) -> list[str]:
    """What a run would say of some clips, read as it reads all of them; none if they are usable, else a line or two."""
    n, some = len(dataset.clips), _some_of(dataset, JUDGED)
    reasons: dict[str, str] = {}
    lengths: dict[str, float] = {}
    for path in some:
        try:
            lengths[path] = audio.seconds(dataset.root / path)
            if lengths[path] <= LONGEST_JUDGED:
                audio.check(dataset.root / path, SAMPLE_RATE)
        except (audio.BadAudio, OSError) as error:
            reasons[path] = str(error)
    in_time = _beyond(dataset, lengths)
    if not reasons:
        return in_time
    first, reason = next(iter(reasons.items()))
    end = "; a run would leave the dataset out" if len(reasons) == n else ""
    return [
        f"of {len(some):,} clips read as a run reads them {len(reasons):,} cannot be used ({first}: {reason}){end}",
        *in_time,
    ]


def _beyond(dataset: Dataset, lengths: Mapping[str, float]) -> list[str]:
    """What a run would say of segments beside the lengths of some clips."""
    if not dataset.segment_attributes:
        return []
    some = dataset.only([clip for clip in dataset.clips if clip.path in lengths])
    checked, beyond = within(some, [lengths[clip.path] for clip in some.clips])
    lines = list(checked.unexpected[len(dataset.unexpected) :])
    if beyond:
        first = beyond[0]
        lines.append(
            f"segments: of {len(some.clips):,} clips looked at {len(beyond):,} have some that go beyond their end "
            f"({first.path} {first.reason})"
        )
    return lines


def problems(all_problems: Sequence[Problem], where: Path | None) -> list[str]:
    """The first few problems by name, and where all of them are; a line each."""
    lines = [f"{'left out' if p.left_out else 'incomplete'}: {p.path}: {p.reason}" for p in all_problems[:SHOWN]]
    if len(all_problems) > SHOWN:
        place = f"all in {where}" if where else "a run writes all to a file"
        lines.append(f"and {len(all_problems) - SHOWN:,} more, {place}")
    return lines


def write_problems(problems: Sequence[Problem], path: Path) -> None:
    """All problems as CSV; an old file goes where there are none."""
    if not problems:
        path.unlink(missing_ok=True)
        return
    import pandas as pd

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.DataFrame([(p.path, p.reason) for p in problems], columns=["path", "reason"])
    write_whole(path, as_csv(rows).encode(errors="backslashreplace"))


def listed_problems(dataset: Dataset) -> list[str]:
    """The first few problems of a dataset that is only listed; all in the user's cache where they are more."""
    path = cache_folder() / "reports" / f"{as_file_name(dataset.name)}.csv"
    many = len(dataset.problems) > SHOWN
    try:
        write_problems(dataset.problems if many else (), path)
    except OSError:
        return problems(dataset.problems, None)
    return problems(dataset.problems, path)


def duplicates(scan: Scan) -> list[str]:
    """Files of the same content, in words; across splits they make a test easier than it should be."""
    import pandas as pd

    frame = pd.DataFrame({"path": scan.files["path"], "sha256": scan.files["sha256"]})
    frame["split"] = [clip.split for clip in scan.dataset.clips]
    again = frame[frame.duplicated("sha256", keep=False)].sort_values(["sha256", "path"])
    if again.empty:
        return []
    groups = [group for _, group in again.groupby("sha256", sort=False)]
    crossing = sum(group["split"].nunique() > 1 for group in groups)
    shown = "; ".join(" = ".join(group["path"][:3]) for group in groups[:2])
    across = f", {crossing} of them across splits" if crossing else ""
    return [f"{scan.dataset.name}: {len(groups):,} sounds occur more than once{across} ({shown})"]


def shared_recordings(datasets: Sequence[Dataset]) -> list[str]:
    """Freesound recordings that occur in two datasets: what neurons share there may be the recording."""
    ids = {d.name: {clip.labels["freesound_id"] for clip in d.clips if "freesound_id" in clip.labels} for d in datasets}
    names = [name for name, recordings in ids.items() if recordings]
    lines = []
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            both = ids[one] & ids[two]
            if both:
                some = ", ".join(sorted(both)[:SHOWN])
                lines.append(
                    f"{one} and {two} share {len(both):,} Freesound recordings ({some}): neurons that both select may "
                    "know the recording, not the class"
                )
    return lines
