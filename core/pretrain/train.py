"""The training loop, top to bottom. ``python -m core.pretrain.train --help``."""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor

from core.encoders.nano import NanoConfig
from core.pretrain.data import training_set
from core.pretrain.objectives import Duo, MaskedAutoencoder, Objective, Supervised

DESCRIPTION = {
    "duo": "nano ViT, self-supervised (Masked Modeling Duo) on generated sound",
    "autoencoder": "nano ViT, self-supervised (masked autoencoder) on generated sound",
    "supervised": "nano ViT, supervised on the tags of generated sound",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objective", choices=list(DESCRIPTION), required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument("--data", type=Path, default=Path("pretrain-data"), help="log-mel cache")
    parser.add_argument("--clips", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--save-every", type=int, default=250, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    console = Console()
    torch.set_num_threads(args.threads)
    mels, tags, tag_names = training_set(args.data, args.clips, args.seed, workers=args.threads)
    sample = mels[:: max(1, len(mels) // 2_000)].astype(np.float32)
    config = NanoConfig(mel_mean=round(float(sample.mean()), 3), mel_std=round(float(sample.std()), 3))
    console.print(f"{len(mels)} clips, {len(tag_names)} tags, mean {config.mel_mean}, std {config.mel_std}")

    torch.manual_seed(args.seed)
    objective = make_objective(args.objective, config, len(tag_names)).to(args.device)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=args.weight_decay)
    state_path = args.out.with_suffix(".state.pt")
    step = restore(state_path, objective, optimizer) if state_path.exists() else 0

    started, first = time.monotonic(), step
    losses: list[float] = []
    while step < args.steps:
        # One generator a step: an interrupted run draws the same batches as an undisturbed one.
        rng = np.random.default_rng([args.seed, step])
        torch.manual_seed(args.seed * 1_000_003 + step)
        index = np.sort(rng.choice(len(mels), args.batch_size, replace=False))
        mel = torch.from_numpy(mels[index]).to(args.device).float()
        mel = (augment(mel) - config.mel_mean) / config.mel_std
        for group in optimizer.param_groups:
            group["lr"] = args.lr * schedule(step, args.steps)
        loss = objective.loss(mel, torch.from_numpy(tags[index]).to(args.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        step += 1
        objective.after_step(step / args.steps)
        losses.append(loss.item())
        if step % 50 == 0 or step == args.steps:
            rate = (step - first) / (time.monotonic() - started)
            left = (args.steps - step) / rate / 60
            console.print(
                f"step {step}/{args.steps}  loss {np.mean(losses[-50:]):.4f}  "
                f"{rate * args.batch_size:.0f} clips/s  {left:.0f} min left"
            )
        if step % args.save_every == 0 or step == args.steps:
            save_state(state_path, objective, optimizer, step)
            save_weights(args.out, objective, config, args, step, tag_names)


def make_objective(name: str, config: NanoConfig, n_tags: int) -> Objective:
    if name == "supervised":
        return Supervised(config, n_tags)
    return Duo(config) if name == "duo" else MaskedAutoencoder(config)


def schedule(step: int, n_steps: int) -> float:
    """Linear warm-up over the first 5 %, then a half cosine to zero; a factor in [0, 1]."""
    warm_up = max(1, n_steps // 20)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / (n_steps - warm_up))


def augment(mel: Tensor) -> Tensor:
    """Random level and spectral tilt: what a microphone and a room change, in log power."""
    n, n_mels, _ = mel.shape
    level = torch.empty(n, 1, device=mel.device).uniform_(-2.0, 2.0)
    tilt = torch.empty(n, 1, device=mel.device).uniform_(-1.5, 1.5)
    return mel + (level + tilt * torch.linspace(-1, 1, n_mels, device=mel.device))[:, :, None]


def save_state(path: Path, objective: Objective, optimizer: torch.optim.Optimizer, step: int) -> None:
    partial = path.with_suffix(".partial")
    torch.save({"model": objective.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, partial)
    partial.rename(path)


def restore(path: Path, objective: Objective, optimizer: torch.optim.Optimizer) -> int:
    """Load an interrupted run; returns the step to go on from."""
    state = torch.load(path, weights_only=True)
    objective.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def save_weights(
    path: Path, objective: Objective, config: NanoConfig, args: argparse.Namespace, step: int, tags: list[str]
) -> None:
    """Write the encoder alone, float16, with what is needed to know where it comes from."""
    state = {k: v.half().contiguous().cpu() for k, v in objective.encoder.state_dict().items()}
    metadata = {
        "config": json.dumps(asdict(config)),
        "description": DESCRIPTION[args.objective],
        "objective": args.objective,
        "steps": f"{step} of {args.steps}",
        "batch_size": str(args.batch_size),
        "clips": str(args.clips),
        "seed": str(args.seed),
        "date": time.strftime("%Y-%m-%d"),
    }
    if args.objective == "supervised":
        metadata["tags"] = json.dumps(tags)
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata)
    partial.rename(path)


if __name__ == "__main__":
    main()
