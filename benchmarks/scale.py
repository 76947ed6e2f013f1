"""Time and memory by number of clips, model skipped: listing, scan, store, top clips, scoring, pages.

    python benchmarks/scale.py                                   # 1e3, 1e4, 1e5 and 1e6 clips of 512 neurons
    python benchmarks/scale.py --neurons 36864 --sizes 1000,4000,16000 --parts top,traces,score
    python benchmarks/scale.py --sizes 1000 --folder made --keep

Counts and sums of activations are made up and lie on the disk as extraction leaves them. Each size runs in a process of
its own. Times are of its processor, all threads together, which other work disturbs least. Told is what it holds at
most in each part, the libraries' 0.4 GB included, without what it has mapped of the files, which the system takes back
when it needs to. The exponent is the slope of log time over log clips from the last but one size to the last
(1 = linear). Prints Markdown.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.arrays.blocks import WORTH_THREADS
from core.arrays.threads import one_thread
from core.datasets import manifest
from core.datasets.scan import _COLUMNS, _FEATURES, Scan, _write_cache, scan
from core.datasets.task import Task
from core.probes import fit
from core.recording import top_clips
from core.recording.activations import Activations, open_map
from core.results import ClipTraces, ModelRecord
from core.run.config import AnalysisConfig
from core.run.stages.score import score as score_task
from core.scoring import scores as scoring
from core.scoring.counts import count
from db.connection.open import open_store
from db.writes.store import Store

TOKENS, FEATURES, TILE = 100, 32, 4096
PAGES = ("overview", "heatmap", "coverage", "neuron", "listen")
Times = dict[str, float]


class Study:
    """One made-up dataset of some clips and neurons in a folder of its own."""

    def __init__(self, folder: Path, n_clips: int, n_neurons: int, n_classes: int, n_shuffles: int) -> None:
        self.folder, self.n_clips, self.n_neurons, self.n_classes = folder, n_clips, n_neurons, n_classes
        self.config = AnalysisConfig(shuffles=n_shuffles)
        self.db = folder / "scale.db"
        self.widths = (n_neurons // 4,) * 4

    # fmt: off
    @property
    def shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        n, width = self.n_clips, self.n_neurons
        return {"positive": ((n, width), np.uint8), "total": ((n, width), np.float32),
                "tokens": ((n,), np.int32), "embeddings": ((n, FEATURES), np.float32), "done": ((n,), np.uint8)}

    # fmt: on
    def activations(self) -> Activations:
        maps = {name: open_map(self.folder / f"{name}.npy", *shape) for name, shape in self.shapes.items()}
        return Activations(self.folder, **maps)

    def make(self) -> None:
        """The manifest, the scan's table, and the matrices, tile by tile; a tenth of the neurons answer to a class."""
        rng = np.random.default_rng(0)
        kind = rng.permutation(self.n_clips) % self.n_classes
        paths = [f"{i // 1000:04d}/{i:07d}.wav" for i in range(self.n_clips)]
        data = self.folder / "scale"
        data.mkdir()
        split = np.array(["train", "train", "train", "valid", "test"])[rng.integers(0, 5, self.n_clips)]
        pd.DataFrame({"file": paths, "split": split, "kind": np.char.add("kind ", kind.astype(str))}).to_csv(
            data / "manifest.csv", index=False
        )
        # Files that are not there have size -1 and time 0: the table tells that they were looked at.
        known = pd.DataFrame(rng.normal(size=(self.n_clips, len(_FEATURES))).round(2), columns=_FEATURES)
        known = known.assign(
            path=paths, size=-1, mtime_ns=0, sha256=[f"{i:064x}" for i in range(self.n_clips)], reason=""
        )
        _write_cache(self.folder / "scan.csv", known[_COLUMNS].assign(seconds=1.0).set_index("path"))
        made = self.activations()
        rate, own = rng.beta(0.3, 2, self.n_neurons), rng.integers(0, 10 * self.n_classes, self.n_neurons)
        for start in range(0, self.n_clips, TILE):
            tile = slice(start, min(start + TILE, self.n_clips))
            shape = tile.stop - tile.start, self.n_neurons
            fires = rng.random(shape, dtype=np.float32) < np.where(kind[tile, None] == own, 0.5, rate)
            made.positive[tile] = np.where(fires, rng.integers(1, TOKENS + 1, shape, dtype=np.uint8), 0)
            made.total[tile] = made.positive[tile] * rng.random(shape, dtype=np.float32) - 1
            made.embeddings[tile] = rng.normal(size=(shape[0], FEATURES))
            made.embeddings[tile][:, 0] += kind[tile]
        made.tokens[:], made.done[:] = TOKENS, 1

    @cached_property
    def scan(self) -> Scan:
        return scan(manifest.read(self.folder / "scale"), self.folder / "scan.csv")

    def store(self) -> Store:
        return Store(open_store(self.db))

    def model(self, store: Store) -> tuple[int, int]:
        model_id = store.register_model(ModelRecord("made-up", "made-up", self.widths, 16000))
        return model_id, store.start_run("made-up", {}, 0, "0", {}, "cpu")


@contextmanager
def timing(times: Times, name: str) -> Iterator[None]:
    started = time.process_time()
    yield
    times[name] = time.process_time() - started


def listing(study: Study, times: Times) -> None:
    with timing(times, "list: a manifest's rows to clips"):
        manifest.read(study.folder / "scale")
    with timing(times, "list and scan again: what is known of each file"):
        scanned = study.scan
    with timing(times, "content hash, classes of each clip"):
        _ = scanned.content_key, Task(scanned, "kind").members


def register(study: Study, times: Times) -> None:
    scanned, store = study.scan, study.store()
    with timing(times, "register: clips and labels into the store"):
        store.register_dataset(scanned.record())
    with timing(times, "register again: nothing has changed"):
        store.register_dataset(scanned.record())


def top(study: Study, times: Times) -> None:
    scanned, matrices, store = study.scan, study.activations(), study.store()
    with timing(times, "top clips"):
        found = top_clips.top_clips(scanned, matrices)
    with timing(times, "top clips into the store"):
        store.write_top_clips((model := study.model(store))[1], "top", model[0], found)


def contrasts(study: Study, times: Times) -> None:
    matrices, store = study.activations(), study.store()
    with timing(times, "middle and silent clips, quantiles"):
        found = top_clips.choose("scale", matrices)
    with timing(times, "these into the store"):
        made = ClipTraces("scale", found.contrast, iter(()), top_clips.LEVELS, found.quantiles)
        store.write_traces((model := study.model(store))[1], "traces", model[0], made)


def score(study: Study, times: Times) -> None:
    scanned, matrices, config = study.scan, study.activations(), study.config
    with one_thread(study.n_neurons < WORTH_THREADS), timing(times, "counts by class, evidence"):
        counts = count(Task(scanned, "kind"), matrices, config.event, config.selection_splits())
    n = config.shuffles
    with one_thread(study.n_neurons < WORTH_THREADS), timing(times, f"three presets, {n} shuffles"):
        settings = config.selections(None)
        scores = scoring.score(Task(scanned, "kind"), counts, settings, n, 0)
    store = study.store()
    with timing(times, "scores into the store"):
        store.write_scores((model := study.model(store))[1], "score", model[0], scores)


def worth(study: Study, times: Times) -> None:
    scanned, matrices, config = study.scan, study.activations(), replace(study.config, shuffles=0)
    with timing(times, f"linear head ({FEATURES} features)"):
        heads = fit.fit_task(Task(scanned, "kind"), matrices.embeddings)
    counts = count(Task(scanned, "kind"), matrices, config.event, config.selection_splits())
    began: list[float] = [time.process_time()]
    names = ("", "", "intervals", "confounds", "stability: 10 halves", "folds", "other selectors", "preferences")

    def tick(done: int) -> None:
        began.append(time.process_time())
        if len(began) > 2 and names[len(began) - 1] != "folds":
            times[f"beside the scores: {names[len(began) - 1]}"] = began[-1] - began[-2]

    tick(0)
    score_task(config, Task(scanned, "kind"), matrices, counts, heads, tick)


def pages(study: Study, times: Times) -> None:
    from benchmarks import dashboard  # Streamlit, which the others do without

    os.environ["ATLAS_DB"] = str(study.db)
    for page in PAGES:
        app = dashboard.opened(page)
        first, again = dashboard.timed(app), dashboard.timed(app)
        times[f"page {page}: first visit"], times[f"page {page}: again"] = first[1] / 1e3, again[1] / 1e3


PARTS: dict[str, Callable[[Study, Times], None]] = {
    "list": listing,
    "register": register,
    "top": top,
    "traces": contrasts,
    "score": score,
    "worth": worth,
    "pages": pages,
}


def held_bytes() -> int:
    """Memory of this process that is no file's (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def one(part: str, study: Study) -> None:
    """Run a part and print what it took as JSON: seconds of its steps, bytes held before, and at most."""
    times: Times = {}
    before, done = held_bytes(), threading.Event()
    peak = [before]

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], held_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        PARTS[part](study, times)
    except Exception:
        print(f"{part} of {study.n_clips:,} clips failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    finally:
        done.set()
        watcher.join()
    told = {"part": part, "times": times, "before": before, "peak": max(peak[0], held_bytes())}
    print(json.dumps(told), file=sys.stdout, flush=True)
    gc.collect()


def exponent(sizes: Sequence[int], seconds: Sequence[float | None]) -> str:
    known = [(n, s) for n, s in zip(sizes, seconds, strict=True) if s]
    if len(known) < 2:
        return ""
    (n, before), (more, after) = known[-2:]
    return f"{np.log(after / before) / np.log(more / n):.2f}"


def table(sizes: Sequence[int], found: dict[str, dict[int, dict]]) -> None:
    head = " | ".join(f"{n:,}" for n in sizes)
    print(f"| CPU seconds | {head} | exponent |\n| --- |{' --- |' * (len(sizes) + 1)}")
    for of_sizes in found.values():
        names = list(dict.fromkeys(name for told in of_sizes.values() for name in told["times"]))
        for name in names:
            seconds = [of_sizes[n]["times"].get(name) if n in of_sizes else None for n in sizes]
            cells = " | ".join("-" if s is None else f"{s:.2f}" for s in seconds)
            print(f"| {name} | {cells} | {exponent(sizes, seconds)} |")
    print(f"\n| held at most, MB | {head} |\n| --- |{' --- |' * len(sizes)}")
    for part, of_sizes in found.items():
        cells = " | ".join(f"{of_sizes[n]['peak'] / 1e6:,.0f}" if n in of_sizes else "-" for n in sizes)
        print(f"| {part} | {cells} |")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--shuffles", type=int, default=16)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--folder", type=Path, help="where the data are made; a temporary folder by default")
    parser.add_argument("--keep", action="store_true", help="keep what is made")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    sizes = [int(float(size)) for size in args.sizes.split(",")]
    made = partial(Study, n_neurons=args.neurons, n_classes=args.classes, n_shuffles=args.shuffles)
    if args.one:
        study = made(args.folder, sizes[0])
        started = time.perf_counter()
        study.make()
        size = sum(f.stat().st_size for f in args.folder.iterdir() if f.is_file()) / 1e9
        print(f"{sizes[0]:,} clips: {size:.2f} GB made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        for part in args.one.split(","):
            one(part, study)
        return
    root = Path(args.folder or tempfile.mkdtemp(prefix="scale-"))
    found: dict[str, dict[int, dict]] = {part: {} for part in args.parts.split(",")}
    try:
        for n in sizes:
            folder = root / str(n)
            folder.mkdir(parents=True)
            command = [sys.executable, __file__, "--one", args.parts, "--sizes", str(n), "--neurons", str(args.neurons)]
            command += ["--classes", str(args.classes), "--shuffles", str(args.shuffles), "--folder", str(folder)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    told = json.loads(line)
                    found[told["part"]][n] = told
                    print(f"{n:,} {line}", end="", file=sys.stderr, flush=True)
            if not args.keep:
                shutil.rmtree(folder)
    finally:
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{args.neurons:,} neurons, {args.classes} classes, {TOKENS} tokens a clip; {platform.machine()}, "
          f"{os.cpu_count()} CPUs\n")  # fmt: skip
    table(sizes, found)


if __name__ == "__main__":
    main()
