"""What the user can set right: told in one line, exit code 2, never a traceback."""

from __future__ import annotations


class InputError(ValueError):
    """A user's mistake: one clear line that names the thing, what was expected and the next step."""
