"""`scale` under the name that scripts import; the hooks themselves are `core.encoders.hooks`."""

from core.encoders.hooks import scale

__all__ = ["scale"]
