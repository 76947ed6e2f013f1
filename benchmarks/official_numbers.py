"""What the authors' own code gives for BEATs, EAT, AudioMAE and ATST-Frame of random weights, small: for the tests.

Needs their repositories beside each other in a folder (``unilm``, ``EAT``, ``AudioMAE``, ``audiossl``), timm and einops;
none of it is part of this project. Writes ``tests/support/official_numbers.json``.

    python benchmarks/official_numbers.py FOLDER beats eat audiomae atst
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torchaudio.compliance.kaldi as kaldi
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.official import NUMBERS, filled, sound  # noqa: E402

Run = Callable[[float], Tensor]


def layout(settings: Mapping[str, Any], network: nn.Module, last: nn.Linear, run: Run, seconds: list[float]) -> Any:
    """Fill a network and run it; ``run`` gives the patch tokens of a sound, (tokens, width)."""
    shapes = {name: list(t.shape) for name, t in network.state_dict().items()}
    network.load_state_dict(filled(shapes))
    network.eval()
    counts: list[Tensor] = []
    special: list[int] = []

    def count(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        counts.append((inputs[0].flatten(0, -2) > 0))

    last.register_forward_pre_hook(count)
    mean, positive = {}, {}
    for each in seconds:
        counts.clear()
        with torch.no_grad():
            tokens = run(each)
        special[:] = [len(counts[-1]) - len(tokens)]  # class tokens come first
        mean[str(each)] = [round(v, 6) for v in tokens.mean(0).tolist()]
        positive[str(each)] = counts[-1][special[0] :].sum(0).tolist()
    return {"settings": dict(settings), "shapes": shapes, "mean": mean, "positive": positive}


def waveform(seconds: float) -> Tensor:
    return torch.from_numpy(sound(seconds))[None]


def beats(folder: Path) -> dict[str, Any]:
    sys.path.insert(0, str(folder / "unilm" / "beats"))
    from BEATs import BEATs, BEATsConfig

    small = {"input_patch_size": 16, "embed_dim": 48, "encoder_layers": 3, "encoder_embed_dim": 64,
             "encoder_ffn_embed_dim": 96, "encoder_attention_heads": 2, "conv_pos": 16, "conv_pos_groups": 4,
             "num_buckets": 40, "max_distance": 100}  # fmt: skip
    published = {**small, "deep_norm": True, "relative_position_embedding": True, "gru_rel_pos": True}
    kinds = {
        "published": published,
        "fine-tuned": {**published, "finetuned_model": True, "predictor_class": 7},
        "norm first": {**published, "deep_norm": False, "layer_norm_first": True},
        "without gate": {**published, "gru_rel_pos": False},
        "without positions": {**small, "conv_bias": True, "embed_dim": 64, "input_patch_size": 32},
    }

    def one(settings: dict[str, Any]) -> Any:
        network = BEATs(BEATsConfig(settings))
        run = layout_run(network)
        return layout(settings, network, network.encoder.layers[-1].fc2, run, [3.0, 10.0])

    def layout_run(network: Any) -> Run:
        def run(seconds: float) -> Tensor:
            network.predictor = None  # so that a fine-tuned one gives tokens, too
            return network.extract_features(waveform(seconds))[0][0]

        return run

    return {name: one(settings) for name, settings in kinds.items()}


def fbank(seconds: float, n_frames: int) -> Tensor:
    """As EAT and AudioMAE have it in their data sets, filled with zeros; (1, 1, n_frames, 128)."""
    wave = waveform(seconds)
    levels = kaldi.fbank(
        wave - wave.mean(), htk_compat=True, sample_frequency=16_000, use_energy=False, window_type="hanning",
        num_mel_bins=128, dither=0.0, frame_shift=10,
    )  # fmt: skip
    assert len(levels) <= n_frames
    return nn.functional.pad(levels, (0, 0, 0, n_frames - len(levels)))[None, None]


FAMILIES = {"beats": beats}


def main() -> None:
    folder, *families = sys.argv[1:]
    found = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    for family in families:
        found[family] = FAMILIES[family](Path(folder))
    lines = [
        f'  "{family}": {{\n' + ",\n".join(f"    {json.dumps(n)}: {json.dumps(v)}" for n, v in kinds.items()) + "\n  }"
        for family, kinds in sorted(found.items())
    ]
    NUMBERS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
