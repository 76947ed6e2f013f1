"""What counts in time depend on beside the sound."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.datasets.scan import Scan


def segments_key(scan: Scan, attribute: str) -> str:
    """sha256 over the clips' paths, splits and segments of one attribute, in order.

    The dataset's own key (`Scan.content_key`) knows no segments: other segments over the same sound are no other
    dataset, and nothing that was recorded from it is recorded again.

    Parameters
    ----------
    scan : Scan
    attribute : str
        One of the dataset's ``segment_attributes``.
    """
    digest = hashlib.sha256(attribute.encode())
    for clip in scan.dataset.clips:
        own = [[s.label, s.onset, s.offset] for s in clip.segments if s.attribute == attribute]
        digest.update(json.dumps([clip.path, clip.split, own]).encode())
    return digest.hexdigest()
