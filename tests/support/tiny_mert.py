"""Tiny MERT models as their authors publish them: a pickle of tensors, a configuration that names code on the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers as hf

from tests.support import by_name

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [8] * 7,
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "feat_extract_norm": "group",
    "conv_bias": False,
}
LAYOUTS = {
    "95M": {"do_stable_layer_norm": False, "attention_relax": -1.0},
    "330M": {"do_stable_layer_norm": True, "attention_relax": 32.0},
}
OF_HUB = {
    "model_type": "mert_model",
    "architectures": ["MERTModel"],
    "auto_map": {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
    "sample_rate": 24_000,
    "feature_extractor_cqt": False,
    "feature_extractor_cqt_bins": 336,
    "deepnorm": False,
}


def build(folder: Path, layout: str = "95M", **changes: Any) -> tuple[str, None]:
    """Write a model and give its name for `load_encoder`."""
    folder = folder / f"MERT-{layout}"
    folder.mkdir()
    with torch.device("meta"):
        network = hf.HubertModel(hf.HubertConfig(**TINY, **LAYOUTS[layout]))
    names = ((_as_published(name), tuple(t.shape)) for name, t in network.state_dict().items())
    torch.save(by_name.filled(names), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps({**TINY, **LAYOUTS[layout], **OF_HUB, **changes}))
    hf.Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=24_000).save_pretrained(folder)
    return f"hf:{folder}", None


def _as_published(name: str) -> str:
    parts = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for now, before in parts.items():
        name = name.replace(now, before)
    return name
