"""Versions of the code and of the packages that a run stores."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "audio-neuron-atlas",
    "torch",
    "torchaudio",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "sqlalchemy",
)


def code_version() -> str:
    """Version of this package, as installed."""
    return versions().get("audio-neuron-atlas", "not installed")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    installed = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
