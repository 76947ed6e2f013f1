"""The store's tables, gathered from the modules that declare them (SQLAlchemy 2, declarative).

They may change from version to version; what people script against are the views (``db/schema/views/study.py``).

Three choices hold throughout. Keys are integers, and a model's neurons carry consecutive ids
(``neuron.id = model.first_neuron_id + flat index``), so that a count matrix becomes rows without
a lookup. The large tables are ``WITHOUT ROWID``, ordered as the pages read them. They reference
only the row that owns them, not ``neuron`` or ``task_class``: those references would need an index
each to delete a neuron or a class in reasonable time, and double the store.
"""

from __future__ import annotations

from sqlalchemy import MetaData

from db.schema import (  # noqa: F401 (importing declares tables)
    ablation,
    descriptions,
    evidence,
    layers,
    mapping,
    matching,
    scores,
    segments,
    sound,
    stamp,
    stimuli,
    units,
)
from db.schema.study import Base

METADATA: MetaData = Base.metadata
"""Every table by its name; ``sorted_tables`` has those first that others refer to."""
