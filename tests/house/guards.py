"""The guards against the known disasters of wrong sending, each with the one change that removes it and a test that
must fail without it. `make guards` removes them one after the other (tools/prove_guards.py).

Rows are those of the table in docs/guarantees.md, "Guards".
"""

from __future__ import annotations

from tests.house.guard import Guard
from tests.house.guards_ledger import LEDGER
from tests.house.guards_places import PLACES
from tests.house.guards_stories import STORIES

__all__ = ["GUARDS", "Guard"]

GUARDS = tuple(sorted((*LEDGER, *STORIES, *PLACES), key=lambda guard: guard.row))
