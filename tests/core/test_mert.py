"""MERT against its authors' code; what its folder may be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from core.encoders import load_encoder
from core.errors import InputError
from tests.support import by_name, tiny_mert

OFFICIAL = {
    "95M": [0.53121, -0.40696, 0.84785, -0.0179, -0.91599, 0.51531],
    "330M": [1.00356, -0.34507, 0.35455, 0.07274, -0.93892, 0.6559],
}
"""Mean over the last hidden state of ``by_name.noise(12_000)`` at 24 kHz, its first six features, from
``scripts/mert_hf/modeling_MERT.py`` of github.com/yizhilll/MERT, commit 391062e, with transformers 4.41.2's feature
extractor (``do_normalize``) and weights by ``by_name.filled``; the published layouts at width 32 and depth 2."""


@pytest.mark.parametrize("layout", OFFICIAL)
def test_embedding_is_that_of_the_authors_code(layout: str, tmp_path: Path) -> None:
    encoder = load_encoder(*tiny_mert.build(tmp_path, layout))
    assert encoder.sample_rate == 24_000 and encoder.layer_widths == (48, 48)
    found = encoder.embed([by_name.noise(12_000)])[0, :6]
    np.testing.assert_allclose(found, OFFICIAL[layout], atol=2e-5)
    assert encoder.description.startswith("MERT")


@pytest.mark.parametrize("setting", ["feature_extractor_cqt", "deepnorm"])
def test_what_no_published_model_has_is_refused(setting: str, tmp_path: Path) -> None:
    name, _ = tiny_mert.build(tmp_path, **{setting: True})
    with pytest.raises(InputError, match=rf"\({setting}\), as none is published, is not read here"):
        load_encoder(name)


def test_rate_without_a_preprocessor_is_the_configurations(tmp_path: Path) -> None:
    name, _ = tiny_mert.build(tmp_path)
    (tmp_path / "MERT-95M/preprocessor_config.json").unlink()
    encoder: Any = load_encoder(name)
    assert (encoder.sample_rate, encoder.do_normalize) == (24_000, True)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("ran",))


def test_pickle_that_asks_for_code_is_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, _ = tiny_mert.build(tmp_path)
    weights = tmp_path / "MERT-95M/pytorch_model.bin"
    for content in (pickle.dumps({"a": Evil()}), b"not weights"):
        weights.write_bytes(content)
        with pytest.raises(
            InputError, match=r"pytorch_model\.bin (is refused: it asks for|is not a PyTorch)"
        ) as caught:
            load_encoder(name)
        assert "\n" not in str(caught.value)
    assert "ran" not in capsys.readouterr().out
