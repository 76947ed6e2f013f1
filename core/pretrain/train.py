"""The training loop, top to bottom. ``python -m core.pretrain.train --help``.

The learning rate stays up until the last steps of a leg, in which it falls to zero. The state from
before it fell is kept beside the last one: a later call with more steps goes on from there, as if the
rate had never fallen.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file

from core.encoders.nano import NanoConfig
from core.pretrain.data import training_set
from core.pretrain.objectives import Duo, MaskedAutoencoder, Objective, Supervised

DESCRIPTION = {
    "duo": "nano ViT, self-supervised (Masked Modeling Duo) on generated sound",
    "autoencoder": "nano ViT, self-supervised (masked autoencoder) on generated sound",
    "supervised": "nano ViT, supervised on the tags of generated sound",
}

WARM_UP = 100
"""Steps."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objective", choices=list(DESCRIPTION), required=True)
    parser.add_argument("--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument("--data", type=Path, default=Path("pretrain-data"), help="log-mel cache")
    parser.add_argument("--clips", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=3_000, help="of all legs together")
    parser.add_argument("--cooldown", type=float, default=0.3, help="share of the steps in which the rate falls to 0")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--mask-ratio", type=float, default=0.7, help="share of the patches duo and autoencoder hide")
    parser.add_argument("--raw-targets", action="store_true", help="autoencoder's patches are not standardised")
    parser.add_argument("--contrast", type=float, default=0.0, help="weight of duo's loss on whole clips")
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
    objective = make_objective(args, config, len(tag_names)).to(args.device)
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.lr, betas=(0.9, 0.95), weight_decay=args.weight_decay, fused=True)
    state_path, plateau_path = args.out.with_suffix(".state.pt"), args.out.with_suffix(".plateau.pt")
    cooling_from = round((1 - args.cooldown) * args.steps)
    step = restore((state_path, plateau_path), objective, optimizer, args.steps)

    started, first = time.monotonic(), step
    losses: list[float] = []
    while step < args.steps:
        # One generator a step: an interrupted run draws the same batches as an undisturbed one.
        rng = np.random.default_rng([args.seed, step])
        torch.manual_seed(args.seed * 1_000_003 + step)
        index = np.sort(rng.choice(len(mels), args.batch_size, replace=False))
        mel = torch.from_numpy(mels[index]).to(args.device).float()
        for group in optimizer.param_groups:
            group["lr"] = args.lr * schedule(step, args.steps, cooling_from)
        loss = objective.loss(mel, torch.from_numpy(tags[index]).to(args.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimizer.step()
        step += 1
        objective.after_step(step)
        losses.append(loss.item())
        if step == cooling_from:
            save_state(plateau_path, objective, optimizer, step, args.steps)
        if step % 50 == 0 or step == args.steps:
            rate = (step - first) / (time.monotonic() - started)
            left = (args.steps - step) / rate / 60
            console.print(
                f"step {step}/{args.steps}  loss {np.mean(losses[-50:]):.4f}  "
                f"{rate * args.batch_size:.0f} clips/s  {left:.0f} min left"
            )
        if step % args.save_every == 0 or step == args.steps:
            save_state(state_path, objective, optimizer, step, args.steps)
            save_weights(args.out, objective, config, args, step, tag_names)


def make_objective(args: argparse.Namespace, config: NanoConfig, n_tags: int) -> Objective:
    if args.objective == "supervised":
        return Supervised(config, n_tags)
    if args.objective == "duo":
        return Duo(config, args.mask_ratio, args.contrast)
    return MaskedAutoencoder(config, args.mask_ratio, args.raw_targets)


def schedule(step: int, n_steps: int, cooling_from: int) -> float:
    """Linear warm-up over 100 steps, then 1, then linear from ``cooling_from`` to zero; a factor in [0, 1]."""
    warm_up = min(1.0, (step + 1) / WARM_UP)
    return warm_up * min(1.0, (n_steps - step) / max(1, n_steps - cooling_from))


def save_state(path: Path, objective: Objective, optimizer: torch.optim.Optimizer, step: int, n_steps: int) -> None:
    partial = path.with_suffix(".partial")
    state = {"model": objective.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "steps": n_steps}
    torch.save(state, partial)
    partial.rename(path)


def restore(paths: tuple[Path, Path], objective: Objective, optimizer: torch.optim.Optimizer, n_steps: int) -> int:
    """Load the last state, or the one from before the rate fell in a leg of other length; returns its step."""
    last, plateau = paths
    if not last.exists():
        return 0
    state = torch.load(last, weights_only=True)
    if state["steps"] != n_steps and plateau.exists():
        state = torch.load(plateau, weights_only=True)
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
        "mask_ratio": str(args.mask_ratio),
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
