"""The encoder that docs/encoders.md shows, written to a file."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import torch

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"


def write(folder: Path) -> Path:
    """The page's complete example as ``my_encoder.py``."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    complete = [block for block in blocks if "def load(weights, device):" in block]
    assert len(complete) == 1
    path = folder / "my_encoder.py"
    path.write_text(complete[0])
    return path


def build(folder: Path) -> tuple[str, Path]:
    """Write the example and random weights for it; returns what `load_encoder` takes, the name and the file."""
    path, weights = write(folder), folder / "my_weights.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        torch.save(runpy.run_path(str(path))["Network"]().state_dict(), weights)
    return f"python:{path}", weights
