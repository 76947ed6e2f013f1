"""Where datasets of a store lie, told without loading what reads stores where there is none yet."""

from __future__ import annotations

import os

from db.connection.errors import StoreError


def known_folders(location: str) -> dict[str, str]:
    """Folders of the datasets that a store knows, with their names there; none of a store that cannot be read yet."""
    if "://" not in location and not os.path.exists(os.path.expanduser(location)):
        return {}
    from db.connection.open import open_store
    from db.reads.pipeline import dataset_folders

    try:
        engine = open_store(location, read_only=True)
    except (StoreError, OSError):
        return {}
    try:
        return dataset_folders(engine)
    finally:
        engine.dispose()
