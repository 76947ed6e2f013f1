"""What the authors' own code gives for BEATs, EAT, AudioMAE and ATST-Frame of random weights, small: for the tests.

Needs their repositories beside each other in a folder (``unilm``, ``EAT``, ``AudioMAE``, ``audiossl``), timm, einops;
none of it is part of this project. Writes ``tests/support/official_numbers.json``.

    python benchmarks/official_numbers.py FOLDER beats eat audiomae atst
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import torchaudio
import torchaudio.compliance.kaldi as kaldi
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.official import NUMBERS, filled, sound  # noqa: E402

Run = Callable[[float], Tensor]
Embed = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Official:
    """A network of the authors' code.

    ``last`` is the last MLP's output projection. ``run`` gives a sound's patch tokens, (tokens, width), ``embed``
    follows their mean. ``renamed`` is the name that a published file has for a tensor.
    """

    network: nn.Module
    last: nn.Linear
    run: Run
    embed: Embed = lambda mean: mean
    renamed: Callable[[str], str] = str


def layout(settings: Mapping[str, Any], official: Official, seconds: list[float]) -> Any:
    """Fill a network and run it on sounds of so many seconds."""
    network, renamed = official.network, official.renamed
    shapes = {renamed(name): list(t.shape) for name, t in network.state_dict().items()}
    state = filled(shapes)
    network.load_state_dict({name: state[renamed(name)] for name in network.state_dict()})
    network.eval()
    fired: list[Tensor] = []
    official.last.register_forward_pre_hook(lambda _, inputs: fired.append(inputs[0].flatten(0, -2) > 0))
    mean, positive = {}, {}
    for each in seconds:
        fired.clear()
        with torch.no_grad():
            tokens = official.run(each)
            mean[str(each)] = [round(v, 6) for v in official.embed(tokens.mean(0)).tolist()]
        positive[str(each)] = fired[-1][-len(tokens) :].sum(0).tolist()  # class tokens come first
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
        return layout(settings, Official(network, network.encoder.layers[-1].fc2, run), [3.0, 10.0])

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


WHOLE = (1023 * 160 + 400) / 16_000
"""Seconds of 1024 frames."""


def hashed(kind: Any = None, /, **options: Any) -> Any:
    """A dataclass; those of EAT have each other as defaults, which needs a hash since Python 3.11."""
    if kind is None:
        return lambda kind: hashed(kind, **options)
    return dataclass(kind, **options | ({"unsafe_hash": True} if kind.__module__.startswith("models.") else {}))


def eat(folder: Path) -> dict[str, Any]:
    """On as many frames as whole patches take; in a Hugging Face folder the names are others, the network is not."""
    for name in ("omegaconf", "fairseq", "fairseq.modules", "fairseq.dataclass", "fairseq.models", "fairseq.data",
                 "fairseq.data.data_utils", "fairseq.utils", "fairseq.tasks", "fairseq.models.wav2vec",
                 "fairseq.models.wav2vec.wav2vec2", "fairseq.modules.transformer_sentence_encoder"):  # fmt: skip
        sys.modules[name] = MagicMock()
    modules = sys.modules["fairseq.modules"]
    modules.LayerNorm = modules.SamePad2d = modules.TransposeLast = nn.Identity  # of the decoder, which does not run
    sys.modules["fairseq.models"].BaseFairseqModel = nn.Module
    sys.modules["fairseq.models"].register_model = lambda *_, **__: lambda kind: kind
    sys.modules["fairseq.dataclass"].FairseqDataclass = object
    dataclasses.dataclass = hashed  # type: ignore[assignment]
    sys.path.insert(0, str(folder / "EAT"))
    from models.EAT_pretraining import Data2VecMultiConfig, Data2VecMultiModel, Modality

    def made() -> Any:
        config = Data2VecMultiConfig()
        vars(config).update(depth=3, embed_dim=128, num_heads=2, mlp_ratio=1.25, skip_ema=True, average_top_k_layers=3)
        image = config.modalities.image
        vars(image).update(
            in_chans=1,
            embed_dim=128,
            prenet_depth=0,
            num_extra_tokens=1,
            num_alibi_heads=1,
            model_depth=3,
            max_length=66,
        )
        image.decoder.decoder_dim, image.decoder.decoder_layers = 32, 1
        return Data2VecMultiModel(config, [Modality.IMAGE], skip_ema=True)

    def run_of(network: Any) -> Run:
        def run(seconds: float) -> Tensor:
            n_frames = -(-(1 + (round(seconds * 16_000) - 400) // 160) // 16) * 16
            features = (fbank(seconds, n_frames) + 4.268) / (4.569 * 2)
            return network.extract_features(features, mode="IMAGE", remove_extra_tokens=False)["x"][0, 1:]

        return run

    pretrained = made()
    tuned = nn.Module()
    tuned.model, tuned.fc_norm, tuned.head = made(), nn.LayerNorm(128), nn.Linear(128, 7)
    tuned.model.remove_pretraining_modules("image")
    found = {
        "fairseq": layout({}, Official(pretrained, pretrained.blocks[-1].mlp.fc2, run_of(pretrained)), [3.0, WHOLE]),
        "fairseq, fine-tuned": layout({}, Official(tuned, tuned.model.blocks[-1].mlp.fc2, run_of(tuned.model)), [3.0]),
    }
    hub = made()
    hub.remove_pretraining_modules("image")
    found["Hugging Face"] = layout({}, Official(hub, hub.blocks[-1].mlp.fc2, run_of(hub), renamed=hugging_face), [3.0])
    return found


def hugging_face(name: str) -> str:
    """The name of a tensor of EAT's in a folder of Hugging Face's."""
    name = name.replace("modality_encoders.IMAGE.context_encoder.norm", "pre_norm")
    return "model." + name.replace("modality_encoders.IMAGE.", "")


def audiomae(folder: Path) -> dict[str, Any]:
    """Their code is of timm 0.3.2: what a newer one no longer takes is taken off."""
    import timm.models.vision_transformer as vision

    block = vision.Block
    vision.Block = lambda *args, qk_scale=None, **options: block(*args, **options)
    sys.modules["util.misc"] = MagicMock()
    setattr(np, "float", float)  # noqa: B010
    sys.path.insert(0, str(folder / "AudioMAE"))
    import models_mae
    import models_vit

    norm = partial(nn.LayerNorm, eps=1e-6)
    small = {"img_size": (1024, 128), "patch_size": 16, "in_chans": 1, "embed_dim": 128, "depth": 3, "num_heads": 2,
             "mlp_ratio": 1.25, "norm_layer": norm}  # fmt: skip
    decoder = {"decoder_embed_dim": 32, "decoder_depth": 1, "decoder_num_heads": 1}
    pretrained = models_mae.MaskedAutoencoderViT(**small, **decoder, audio_exp=True)
    vision.Block = block
    tuned = models_vit.VisionTransformer(**small, num_classes=7, global_pool=True, qkv_bias=True)
    port = vision.VisionTransformer(**small, num_classes=0, global_pool="avg", qkv_bias=True)

    def features(seconds: float) -> Tensor:
        return (fbank(seconds, 1024) + 4.2677393) / (4.5689974 * 2)

    def tokens_of_tuned(seconds: float) -> Tensor:
        seen: list[Tensor] = []
        hook = tuned.blocks[-1].register_forward_hook(lambda *args: seen.append(args[2]))
        tuned.forward_features(features(seconds))
        hook.remove()
        return seen[0][0, 1:]

    return {
        "self-supervised": layout({}, Official(
            pretrained, pretrained.blocks[-1].mlp.fc2,
            lambda seconds: pretrained.forward_encoder(features(seconds), 0.0)[0][0, 1:],
        ), [WHOLE]),
        "fine-tuned": layout({}, Official(tuned, tuned.blocks[-1].mlp.fc2, tokens_of_tuned, tuned.fc_norm), [WHOLE]),
        "timm": layout({}, Official(
            port, port.blocks[-1].mlp.fc2, lambda seconds: port.forward_features(features(seconds))[0, 1:],
            port.fc_norm,
        ), [WHOLE]),
    }  # fmt: skip


def atst(folder: Path) -> dict[str, Any]:
    for name in ("fairseq", "fairseq.data", "fairseq.data.data_utils"):
        sys.modules[name] = MagicMock()
    sys.path.insert(0, str(folder / "audiossl"))
    from audiossl.methods.atstframe.audio_transformer import FrameAST
    from audiossl.transforms.common import MinMax

    mel = torchaudio.transforms.MelSpectrogram(
        16_000, f_min=60, f_max=7800, hop_length=160, win_length=1024, n_fft=1024, n_mels=64
    )
    decibels = torchaudio.transforms.AmplitudeToDB(stype="power", top_db=80)

    def one(prefix: str) -> Any:
        network = FrameAST(
            patch_h=64, patch_w=4, embed_dim=128, depth=3, num_heads=2, mlp_ratio=1.25, qkv_bias=False,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )  # fmt: skip

        def run(seconds: float) -> Tensor:
            features = MinMax(min=-79.6482, max=50.6842)(decibels(mel(waveform(seconds)[None])))
            return network.get_intermediate_layers(features, torch.tensor([features.shape[-1]]), 1, scene=False)[0]

        last = network.blocks[-1].mlp.fc2
        return layout({}, Official(network, last, run, renamed=lambda name: prefix + name), [3.0, 10.0])

    return {"as trained": one("model.teacher.encoder."), "fine-tuned": one("encoder.encoder.")}


FAMILIES = {"atst": atst, "beats": beats, "eat": eat, "audiomae": audiomae}


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
