"""The first schema that is kept, as it is declared in the tables' modules; its predecessors were never released.

A new store is made from those declarations and stamped with the newest revision, so nothing is left to do here.
The next revision, 0009, changes what stores of this one hold.
"""

revision = "0008"
down_revision = None


def upgrade() -> None:
    """Nothing: no store is older."""
