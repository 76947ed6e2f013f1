"""Did training teach something? Linear probes on the demo's corpora, as a table for the model cards.

``python -m core.pretrain.card weights.safetensors ...`` compares the given weights with the untrained
network and with mean and deviation of the log-mel, and prints a Markdown table. The demo's test clips
hold instruments, voices and synthesiser patches that training never used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from core.datasets import audio
from core.datasets.demo import corpora
from core.datasets.scan import Scan, scan
from core.datasets.task import Task
from core.encoders import nano
from core.probes import fit
from core.progress.progress import Progress
from core.recording.activations import Activations, open_activations
from core.recording.extract import extract
from core.recording.passes import Passes
from core.scoring.counts import count
from core.scoring.scores import masks, replication
from core.selectivity.presets import SelectionSettings

TASKS = {
    "demo-notes": ("family", "pitch", "octave"),
    "demo-synth": ("timbre", "pitch"),
    "demo-speech": ("language", "gender"),
    "demo-digits": ("digit", "gender"),
    "demo-events": ("event",),
}
Embed = Callable[[Scan], NDArray[np.float32]]


def log_mel_statistics(scanned: Scan) -> NDArray[np.float32]:
    """Mean and standard deviation over time of the log-mel, (n_clips, 160): no network at all."""
    log_mel = nano.LogMel()
    rows = []
    for clip in scanned.dataset.clips:
        mel = log_mel(torch.from_numpy(audio.load(scanned.dataset.root / clip.path, nano.SAMPLE_RATE)))
        rows.append(torch.cat([mel.mean(1), mel.std(1)]).numpy())
    return np.stack(rows)


def accuracy(task: Task, embeddings: NDArray[np.float32]) -> float:
    """Test accuracy of the linear head."""
    splits = np.array([clip.split for clip in task.dataset.clips])
    rows = fit.fit(task.name, embeddings, task.labels, splits, task.class_names).result.rows
    return float(rows[(rows["split"] == "test") & rows["class_name"].isna()]["accuracy"].iloc[0])


def evidence(task: Task, matrices: Activations) -> str:
    """Neurons and classes under ``calibrated``, and of those pairs the share that holds on test clips."""
    counts = count(task, matrices, "positive", ("train", "valid"))
    (mask,) = masks(counts, [SelectionSettings("calibrated")])
    holds, all_pairs = replication(counts, 2.0)
    held = np.nanmean(holds[mask]) if mask.any() else np.nan
    return (
        f"{mask.any(0).sum()} neurons, {mask.any(1).sum()}/{len(mask)} classes, hold {held:.2f} (all {all_pairs:.2f})"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("pretrain-data/check"), help="where activations are kept")
    args = parser.parse_args(argv)
    console = Console(width=200)
    encoders = {path.stem: nano.load("nano-ssl", path) for path in args.weights}
    encoders["untrained"] = nano.untrained_like(next(iter(encoders.values())))
    header = ["task", "log-mel mean", "log-mel mean and deviation", *encoders]
    tables: dict[str, list[list[str]]] = {"accuracy": [], "calibrated": []}
    for dataset in corpora.datasets(Progress(console)):
        scanned = scan(dataset, args.work / "scans" / f"{dataset.name}.csv")
        mels = log_mel_statistics(scanned)
        matrices = {}
        for name, encoder in encoders.items():
            matrices[name] = open_activations(encoder, scanned, args.work, "exclude", "float32")
            extract([(encoder, matrices[name])], scanned, Passes(batch_size=32))
        for attribute in TASKS[dataset.name]:
            task = Task(scanned, attribute)
            scores = [mels[:, :80], mels, *(np.asarray(m.embeddings) for m in matrices.values())]
            tables["accuracy"].append([task.name, *(f"{accuracy(task, e):.2f}" for e in scores)])
            tables["calibrated"].append([task.name, "", "", *(evidence(task, m) for m in matrices.values())])
    for title, rows in tables.items():
        console.print(f"\n{title}\n", highlight=False)
        for row in [header, ["---"] * len(header), *rows]:
            console.print("| " + " | ".join(row) + " |", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
