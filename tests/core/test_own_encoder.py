"""The example on docs/encoders.md is asked what every encoder is asked; then what a user's module can get wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.arrays.neurons import to_neurons
from core.encoders import Encoder, known_encoders, load_encoder
from core.encoders.base import Padding
from core.encoders.hooks import Counts, record, scale
from core.errors import InputError
from tests.support import tiny_own


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return tiny_own.build(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def encoder(shown: tuple[str, Path]) -> Encoder:
    return load_encoder(*shown)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


def counts_of(encoder: Encoder, sounds: list[np.ndarray], padding: Padding = "exclude") -> Counts:
    batch = encoder.prepare(sounds, padding)
    with torch.inference_mode(), record(encoder, batch) as counts:
        encoder.forward(batch)
    return counts


# The page's example.


def test_the_page_tells_of_every_encoder() -> None:
    page = tiny_own.PAGE.read_text()
    for name in known_encoders():
        assert f"`{name.partition('<')[0]}" in page, name


def test_widths_name_and_projections_in_order(encoder: Encoder) -> None:
    assert encoder.name == "python:my_encoder"
    assert encoder.layer_widths == (256, 256, 256)
    order: list[int] = []
    hooks = [p.register_forward_pre_hook(lambda *_, i=i: order.append(i)) for i, p in enumerate(encoder.projections)]
    encoder.embed([noise(0.3)])
    for hook in hooks:
        hook.remove()
    assert order == [0, 1, 2]


def test_embeddings_differ_by_sound_and_not_by_load(encoder: Encoder, shown: tuple[str, Path]) -> None:
    again = load_encoder(*shown)
    found = encoder.embed([noise(0.3, 0), noise(0.3, 1)])
    assert found.shape == (2, encoder.n_features) and np.isfinite(found).all()
    assert not np.allclose(found[0], found[1], atol=1e-3)
    np.testing.assert_array_equal(again.embed([noise(0.3, 0), noise(0.3, 1)]), found)
    assert again.weights_key == encoder.weights_key != load_encoder(shown[0]).weights_key
    assert not np.allclose(load_encoder(shown[0]).embed([noise(0.3)]), found[0], atol=1e-2), "weights are not read"


def test_batch_of_unequal_lengths_equals_one_by_one(encoder: Encoder) -> None:
    sounds = [noise(s, i) for i, s in enumerate((0.1, 0.75, 0.31, 10.5, 3.0))]
    together, counts = encoder.embed(sounds), counts_of(encoder, sounds)
    for i, sound in enumerate(sounds):
        alone = counts_of(encoder, [sound])
        np.testing.assert_allclose(together[i], encoder.embed([sound])[0], atol=2e-4, rtol=1e-3)
        assert counts.tokens[i] == alone.tokens[0]
        torch.testing.assert_close(counts.total[i], alone.total[0], atol=1e-2, rtol=1e-3)
        assert (counts.positive[i] != alone.positive[0]).float().mean() < 0.01
        assert (counts.positive[i] <= counts.tokens[i]).all()


@pytest.mark.parametrize(
    ("n_samples", "rows", "exclude", "include"),
    [
        (1, 1, 1, 1),
        (640, 1, 1, 1),
        (641, 1, 1, 2),
        (160_000, 1, 250, 250),
        (160_001, 2, 250, 251),
        (496_000, 4, 775, 775),
    ],
)
def test_tokens_of_short_and_long_clips(
    encoder: Encoder, n_samples: int, rows: int, exclude: int, include: int
) -> None:
    sound = noise(31.0)[:n_samples]
    for padding, tokens in (("exclude", exclude), ("include", include)):
        batch = encoder.prepare([noise(0.5), sound], padding)  # type: ignore[arg-type]
        assert batch.clip.tolist() == [0] + [1] * rows
        assert int(batch.counted[1:].sum()) == tokens
    assert np.isfinite(encoder.embed([sound])).all()


def test_gain_1_changes_no_bit_gain_0_equals_zeroed_columns_and_hooks_go(
    encoder: Encoder, shown: tuple[str, Path]
) -> None:
    sounds = [noise(0.3), noise(0.5, 1)]
    before = encoder.embed(sounds)
    for layer in range(3):
        neurons = [(layer, i) for i in range(128)]
        with scale(encoder, neurons, 1.0):
            np.testing.assert_array_equal(encoder.embed(sounds), before)
        with scale(encoder, neurons, 0.0):
            without = encoder.embed(sounds)
        changed = load_encoder(*shown)
        changed.projections[layer].weight.data[:, :128] = 0
        np.testing.assert_allclose(without, changed.embed(sounds), atol=1e-5)
        assert not np.allclose(without, before, atol=1e-3)
    with pytest.raises(RuntimeError), scale(encoder, to_neurons(np.arange(768), encoder.layer_widths), 0.0):
        raise RuntimeError
    np.testing.assert_array_equal(encoder.embed(sounds), before)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in encoder.module.modules())


def test_blocks_run_on_copies_of_rows_and_in_bfloat16(encoder: Encoder) -> None:
    batch = encoder.prepare([noise(0.3), noise(0.5, 1)])
    with torch.inference_mode():
        hidden = encoder.begin(batch)
        copies = batch.repeat(2)
        twice = encoder.finish(encoder.block(1, hidden.repeat(2, 1, 1), copies), copies)
        once = encoder.finish(encoder.block(1, hidden, batch), batch)
        with torch.autocast("cpu", torch.bfloat16):
            rough = encoder.forward(batch)
    torch.testing.assert_close(twice, once.repeat(2, 1), atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(rough.float(), encoder.embed([noise(0.3), noise(0.5, 1)]), atol=0.15)


# Where a module comes from.


def test_module_of_the_current_folder_also_in_a_package_and_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])  # as for an installed command
    tiny_own.write(tmp_path)
    folder = tmp_path / "lab_models"
    folder.mkdir()
    (folder / "other.py").write_text(
        "def load(weights, device):\n"
        "    import lab_beside\n"  # late, and from the folder
        "    encoder = lab_beside.load(weights, device)\n"
        "    encoder.name = 'mine'\n"
        "    return encoder\n"
    )
    (tmp_path / "lab_beside.py").write_text(tiny_own.write(folder).read_text())
    path = list(sys.path)
    assert load_encoder("python:my_encoder").name == "python:my_encoder"
    assert load_encoder("python:lab_models.my_encoder").name == "python:lab_models.my_encoder"
    assert load_encoder("python:lab_models.other").name == "mine"
    assert load_encoder("python:lab_models/my_encoder.py").name == "python:my_encoder"
    (folder / "lab_beside.py").write_text((folder / "my_encoder.py").read_text())
    assert load_encoder("python:lab_models/other.py").name == "mine"
    assert sys.path == path


# What a user can get wrong: one line that names it.


def message_of(name: str, weights: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_encoder(name, weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["no_such_module_here", "core.no_such", "no-such", "models/mine", "..", "a..b"])
def test_module_that_is_not_there(name: str) -> None:
    message = message_of(f"python:{name}")
    assert f"no module '{name}' in {Path.cwd()} or among the installed packages" in message


def test_file_and_weights_that_are_not_there(tmp_path: Path, shown: tuple[str, Path]) -> None:
    assert f"no file {tmp_path}/none.py" in message_of(f"python:{tmp_path}/none.py")
    assert f"no weights at {tmp_path}/none.pt" in message_of(shown[0], tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (1", r"importing .*mine\.py raised SyntaxError: '\(' was never closed"),
        (
            "\nimport no_such_thing",
            r"importing .*mine\.py raised ModuleNotFoundError: .*'no_such_thing' \(mine\.py, line 2\)",
        ),
        ("raise SystemExit(3)", r"importing .*mine\.py raised SystemExit: 3 \(mine\.py, line 1\)"),
        ("x = 1", r"mine\.py has no function load; expected load\(weights, device\), see docs/encoders\.md"),
        ("load = 1", r"has no function load"),
        (
            "def load(weights):\n    pass",
            r"the load function of .* raised TypeError: load\(\) takes 1 positional argument but 2",
        ),
        ("def load(w, d):\n    return {}['a\\nb']", r"raised KeyError: .* \(mine\.py, line 2\)"),
        (
            "def load(w, d):\n    import torch\n    torch.zeros(2) @ torch.zeros(3)",
            r"raised RuntimeError: .* \(mine\.py, line 3\)",
        ),
        (
            "from core.datasets.base import InputError\ndef load(w, d):\n    raise InputError('mine; do that')",
            r"^mine; do that$",
        ),
        ("def load(w, d):\n    return w", r"returned NoneType; expected an Encoder of core\.encoders\.base"),
        (
            "from core.encoders import Encoder\nclass Mine(Encoder):\n    pass\ndef load(w, d):\n    return Mine()",
            r"raised TypeError: Can't instantiate abstract class Mine .*begin.* \(mine\.py, line 5\)",
        ),
    ],
)
def test_module_that_does_not_load(tmp_path: Path, code: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(code)
    with pytest.raises(InputError, match=message):
        load_encoder(f"python:{path}")
    assert "\n" not in message_of(f"python:{path}")
    assert "own_encoder_mine" not in sys.modules or "importing" not in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "sample_rate, n_features = 16_000, 64",
            "n_features = 64",
            "MelTransformer.sample_rate is not set; expected int, not 0",
        ),
        ("16_000, 64\n", "16e3, 64\n", "sample_rate is 16000.0; expected int, not 0"),
        ("16_000, 64\n", "0, 64\n", "sample_rate is 0; expected"),
        ("16_000, 64\n", "-16_000, 64\n", "sample_rate -16000 and n_features 64 must be > 0"),
        ("16_000, 64\n", "16_000, 65\n", r"shape \(2, 64\); expected finite numbers, \(2, 65\)"),
        ("self.module, self.weights_key = network, weights_key", "self.module = network", "weights_key is not set"),
        (
            'b"random weights, seed 0").hexdigest()',
            "b'').hexdigest()[:0]",
            "weights_key is ''; expected str, not 0 or empty",
        ),
        (
            "tuple(projection.in_features for",
            "tuple(projection.out_features for",
            r"layer_widths is \(64, 64, 64\), but .* \(256,",
        ),
        ("return self.found", "return self.fund", "MelTransformer.projections raised AttributeError: .*'fund'.*line"),
        (
            "return self.found",
            "return [nn.Linear(256, 9) for _ in self.found]",
            "projection of layer 0 is not part of MelTr",
        ),
        ("blocks[layer](", "blocks[2 - layer](", r"in the order \[2, 1, 0\]; expected each once, first to last"),
        ("summed = (hidden *", "summed = (hidden * torch.nan *", "expected finite numbers"),
        (
            "summed = (hidden *",
            "summed = (hidden * torch.rand(1) *",
            "two passes .* different embeddings; expected nothing random",
        ),
        ("else whole | clips_first", "else whole & False", "a clip of 0.33 s has no counted token"),
        ("hidden, src_key", "hidden[:, :, 1:], src_key", r"a pass over two clips of noise raised \w+: .* \("),
    ],
)
def test_encoder_that_is_not_as_it_should_be(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tiny_own.write(tmp_path)
    code = path.read_text()
    assert code.count(old) == 1
    path.write_text(code.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_encoder(f"python:{path}")
    assert str(path) in message_of(f"python:{path}")


def test_network_left_in_training_mode_is_put_in_eval_mode(tmp_path: Path) -> None:
    path = tiny_own.write(tmp_path)
    code = path.read_text()
    assert code.count(".eval()") == 1
    path.write_text(code.replace(".eval()", ""))
    encoder = load_encoder(f"python:{path}")
    np.testing.assert_array_equal(encoder.embed([noise(0.2)]), encoder.embed([noise(0.2)]))
