"""What the selection presets mean, in one sentence each."""

from __future__ import annotations

from dashboard.shared.text.glossary import TERMS

MEANING = {preset: TERMS[preset] for preset in ("calibrated", "aape", "lape")}
