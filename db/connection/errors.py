"""What a user is told when the store cannot be used."""

from __future__ import annotations


class StoreError(RuntimeError):
    """The store cannot be used as asked; one line that names it and says what to do."""


class DiskError(StoreError, OSError):
    """The store's disk is full or fails: no fault of what was asked, and later it may go well."""
