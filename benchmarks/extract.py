"""What recording neurons costs: the bare encoder, ours, hooks that keep everything, nnsight.

    python benchmarks/extract.py                      # nano and an M2D-sized network, tables on the screen

All methods get the same decoded waveforms in the same batches. Times are medians over repeats that
take turns (a, b, c, d, a, b, ...), so that what else the machine does meets all alike. Memory is what a
fresh process holds at most beyond what it held before: anonymous memory, looked at every 10 ms (Linux),
so without the pages of mapped files, which the system drops as it likes; on CUDA the allocator's peak.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.datasets.base import Clip, Dataset  # noqa: E402
from core.datasets.scan import Scan  # noqa: E402
from core.encoders import Encoder, load_encoder  # noqa: E402
from core.encoders.device import batch_size_for, choose_device  # noqa: E402
from core.encoders.m2d.checkpoint import encoder_shapes  # noqa: E402
from core.recording import activations, extract  # noqa: E402
from core.recording.activations import Activations  # noqa: E402
from core.recording.patterns import forget_patterns  # noqa: E402
from core.recording.waveforms import Waveforms  # noqa: E402

SECONDS = {"nano": 2.0, "m2d": 3.0, "whisper": 3.0}
CLIPS = {"nano": 640, "m2d": 24, "whisper": 128}
"""Of the timed repeats."""
DISTINCT = 100
"""Different clips; more are these again."""
MOST_HELD = 6e9
"""Bytes that a method which keeps everything may hold."""
Batches = list[tuple[NDArray[np.int64], Waveforms]]


def load(model: str, device: str, folder: Path) -> Encoder:
    """The embedded nano network, or a ViT-B in M2D's layout with random weights."""
    if model == "nano":
        return load_encoder("nano-untrained", device=device)
    if model == "whisper":
        return whisper_tiny(folder, device)
    generator = torch.Generator().manual_seed(0)
    shapes = encoder_shapes(768, 3072, 12, (16, 16), 1 + 5 * 38)
    state = {
        name: torch.ones(shape) if "norm" in name and "weight" in name
        else torch.randn(shape, generator=generator) / max(shape[-1], 16) ** 0.5
        for name, shape in shapes.items()
    }  # fmt: skip
    path = folder / "m2d_vit_base-80x608p16x16-random.pth"
    torch.save(state, path)
    return load_encoder("m2d", path, device)


def whisper_tiny(folder: Path, device: str) -> Encoder:
    """A network of the size of openai/whisper-tiny with random weights."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    WhisperModel(WhisperConfig(d_model=384, encoder_layers=4, decoder_layers=1)).save_pretrained(folder / "whisper")
    WhisperFeatureExtractor().save_pretrained(folder / "whisper")
    return load_encoder(f"hf:{folder / 'whisper'}", device=device)


def make_batches(encoder: Encoder, seconds: float, n_clips: int, batch_size: int) -> Batches:
    """Noise, the same for everyone."""
    rng = np.random.default_rng(0)
    n = round(seconds * encoder.sample_rate)
    waveforms = [0.1 * rng.standard_normal(n, dtype=np.float32) for _ in range(min(n_clips, DISTINCT))]
    starts = range(0, n_clips, batch_size)
    index = [np.arange(i, min(i + batch_size, n_clips)) for i in starts]
    return [(rows, [waveforms[i % DISTINCT] for i in rows]) for rows in index]


def matrices(encoder: Encoder, seconds: float, n_clips: int, folder: Path) -> Activations:
    """Empty matrices of our own extraction."""
    import pandas as pd

    clips = tuple(Clip(f"{i}.wav", "train", {}) for i in range(n_clips))
    files = pd.DataFrame({"seconds": [seconds] * n_clips, "sha256": ["0"] * n_clips})
    made = Scan(Dataset("noise", folder, (), clips), files, ())
    opened = activations.open_activations(encoder, made, folder, "exclude", "float32")
    opened.done[:] = 0
    return opened


def synchronise(encoder: Encoder) -> None:
    if encoder.device.type == "cuda":
        torch.cuda.synchronize(encoder.device)


@torch.inference_mode()
def bare(encoder: Encoder, batches: Batches, _: Activations) -> None:
    """(a) the encoder alone: waveforms to clip embeddings."""
    for _rows, waveforms in batches:
        encoder.forward(encoder.prepare(waveforms))


def ours(encoder: Encoder, batches: Batches, to: Activations) -> None:
    """(b) counts, means, embeddings, and patterns of clips that may be kept, written to their files."""
    forget_patterns(to.folder)
    for _ in extract.fill([extract.Recorded.of(encoder, to)], batches):
        pass


@torch.inference_mode()
def keep_all(encoder: Encoder, batches: Batches, _: Activations) -> None:
    """(c) hooks that store every activation, then NumPy."""
    kept: list[list[NDArray[np.float32]]] = [[] for _ in encoder.projections]
    hooks = [
        p.register_forward_pre_hook(lambda _m, x, to=to: to.append(x[0].float().cpu().numpy()))
        for p, to in zip(encoder.projections, kept, strict=True)
    ]
    for _rows, waveforms in batches:
        encoder.forward(encoder.prepare(waveforms))
    for hook in hooks:
        hook.remove()
    _count(kept)


def _count(kept: list[list[NDArray[np.float32]]]) -> None:
    for layer in kept:
        [((batch > 0).sum(axis=1), batch.mean(axis=1)) for batch in layer]


def traced(encoder: Encoder, batches: Batches, _: Activations) -> None:
    """(d) nnsight tracing the same modules, reduced inside the trace as a careful user would."""
    from nnsight import NNsight

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = encoder.module
            self.projections = torch.nn.ModuleList(encoder.projections)

        def forward(self, batch: object) -> torch.Tensor:
            return encoder.forward(batch)  # type: ignore[arg-type]

    model = NNsight(Whole())
    with torch.inference_mode():
        for _rows, waveforms in batches:
            batch = SimpleNamespace(batch=encoder.prepare(waveforms)).batch
            found = []
            with model.trace(batch):
                for layer in range(encoder.n_layers):
                    activation = model.projections[layer].input
                    found.append(((activation > 0).sum(1).save(), activation.mean(1).save()))
            [(positive.cpu(), mean.cpu()) for positive, mean in found]


METHODS: dict[str, Callable[[Encoder, Batches, Activations], None]] = {
    "a": bare, "b": ours, "c": keep_all, "d": traced,
}  # fmt: skip
NAMES = {
    "a": "(a) bare encoder",
    "b": "(b) ours: counts, means, embeddings, patterns, on disk",
    "c": "(c) hooks that keep everything, then NumPy",
    "d": "(d) nnsight tracing the same modules",
}


def bytes_kept(encoder: Encoder, seconds: float, n_clips: int) -> float:
    """What (c) holds."""
    batch = encoder.prepare([np.zeros(round(seconds * encoder.sample_rate), np.float32)])
    return float(4 * batch.present.numel() * encoder.n_neurons * n_clips)


def times(model: str, device: str, n_clips: int, repeats: int, methods: str) -> dict[str, list[float]]:
    """Milliseconds a clip of each method, repeats taking turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder, seconds = load(model, device, folder), SECONDS[model]
        batches = make_batches(encoder, seconds, n_clips, batch_size_for(encoder, 0, seconds))
        to = matrices(encoder, seconds, n_clips, folder)
        found: dict[str, list[float]] = {method: [] for method in methods}
        for repeat in range(repeats + 1):  # the first warms up
            for method in methods:
                started = time.perf_counter()
                METHODS[method](encoder, batches, to)
                synchronise(encoder)
                if repeat:
                    found[method].append((time.perf_counter() - started) / n_clips * 1000)
    return found


def growth(model: str, device: str, n_clips: int, method: str) -> dict[str, float]:
    """One pass of one method in this process: milliseconds a clip, peak memory (MB), disk a clip (kB)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder, seconds = load(model, device, folder), SECONDS[model]
        batch_size = batch_size_for(encoder, 0, seconds)
        METHODS["a"](encoder, make_batches(encoder, seconds, batch_size, batch_size), None)  # type: ignore[arg-type]
        batches = make_batches(encoder, seconds, n_clips, batch_size)
        to = matrices(encoder, seconds, n_clips, folder)
        with Held(encoder) as held:
            started = time.perf_counter()
            METHODS[method](encoder, batches, to)
            synchronise(encoder)
            spent = time.perf_counter() - started
        disk = sum(f.stat().st_size for f in to.folder.iterdir()) if method == "b" else 0
        return {"ms": spent / n_clips * 1000, "mb": held.most / 1e6, "kb": disk / n_clips / 1000}


class Held:
    """Bytes held at most inside the block, beyond those held before."""

    def __init__(self, encoder: Encoder) -> None:
        self.on_cuda = encoder.device.type == "cuda"
        self.most = 0.0

    def __enter__(self) -> Held:
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats()
        self.before = self._now()
        self.ended = threading.Event()
        self.watch = threading.Thread(target=self._look)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.watch.join()

    def _look(self) -> None:
        while True:
            self.most = max(self.most, self._now() - self.before)
            if self.ended.wait(0.01):
                return

    def _now(self) -> float:
        if self.on_cuda:
            return float(torch.cuda.max_memory_allocated())
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return 1024.0 * int(fields["RssAnon"].split()[0])


TITLES = {
    "nano": "nano (6 x 768 neurons, clips of 2 s)",
    "whisper": "Whisper-tiny-sized (4 x 1,536 neurons, random weights, clips of 3 s)",
    "m2d": "M2D-sized (12 x 3,072 neurons, random weights, clips of 3 s)",
}


def speed(n_clips: int, repeats: int, model: str, found: dict[str, list[float]]) -> Iterator[str]:
    """A table of times."""
    base = statistics.median(found["a"])
    yield f"\n## {TITLES[model]}\n"
    yield f"{n_clips} clips, median (least to most) of {repeats} repeats that take turns.\n"
    yield "| method | ms a clip | times (a) |\n| --- | --- | --- |"
    for method, values in found.items():
        middle = statistics.median(values)
        yield f"| {NAMES[method]} | {middle:.2f} ({min(values):.2f} to {max(values):.2f}) | {middle / base:.2f} |"


def sizes(given: argparse.Namespace, model: str, ms_a_clip: float) -> Iterator[str]:
    """A table of what grows with the clips."""
    yield "\n| method | clips | ms a clip | held at most, MB | disk a clip, kB |\n| --- | --- | --- | --- | --- |"
    with tempfile.TemporaryDirectory() as folder:
        encoder = load(model, given.device, Path(folder))
    for size in map(int, given.sizes.split(",")):
        for method in given.methods:
            held, minutes = bytes_kept(encoder, SECONDS[model], size), ms_a_clip * size / 60_000
            row = f"| {NAMES[method]} | {size:,} |"
            if method == "c" and held > MOST_HELD:
                yield f"{row} not run: would hold {held / 1e9:.0f} GB | | |"
            elif minutes > given.most_minutes:
                yield f"{row} not run: some {minutes:.0f} minutes | | |"
            else:
                told = in_a_process(model, given.device, size, method)
                yield f"{row} {told['ms']:.2f} | {told['mb']:,.0f} | {told['kb']:.0f} |"


def report(given: argparse.Namespace) -> Iterator[str]:
    """The page, line by line."""
    yield head(given.device, given.methods)
    for model in given.models.split(","):
        n_clips = given.clips or CLIPS[model]
        found = times(model, given.device, n_clips, given.repeats, given.methods)
        yield from speed(n_clips, given.repeats, model, found)
        if given.sizes:
            yield from sizes(given, model, statistics.median(found["a"]))


def in_a_process(model: str, device: str, n_clips: int, method: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", json.dumps([model, device, n_clips, method])]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


def head(device: str, methods: str) -> str:
    """Machine and versions."""
    where = torch.cuda.get_device_name() if device.startswith("cuda") else _processor()
    packages = ["torch", "numpy", *(["nnsight"] if "d" in methods else [])]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{where}, {torch.get_num_threads()} threads; Python {platform.python_version()}, {versions}; float32."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="nano,m2d")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--clips",
        type=int,
        default=0,
        help="of the timed repeats (640 of nano, 24 of M2D's size, 128 of Whisper tiny's)",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default="100,1000,10000", help="numbers of clips for the growth")
    parser.add_argument("--most-minutes", type=float, default=1.5, help="of one growth run; longer ones are left out")
    parser.add_argument("--methods", default="abcd", help="d needs the extra [benchmark]")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(growth(*json.loads(given.one))))
        return
    given.device = choose_device(given.device)
    for line in report(given):
        print(line, flush=True)


if __name__ == "__main__":
    main()
