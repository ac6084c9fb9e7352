"""The list of guards is whole and true; that each guard has a test which fails without it, `make guards` proves."""

from __future__ import annotations

import re

import pytest

from tests.house.guards import GUARDS, Guard
from tests.house.source_code import PACKAGE, ROOT

ROWS = range(1, 13)


def test_every_known_disaster_has_a_guard() -> None:
    assert {guard.row for guard in GUARDS} == set(ROWS)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.what)
def test_a_guard_stands_where_the_list_says_and_its_test_exists(guard: Guard) -> None:
    assert (PACKAGE / guard.file).read_text(encoding="utf-8").count(guard.text) == 1
    assert guard.text != guard.replacement
    path, _, name = guard.test.partition("::")
    plain = name.partition("[")[0]
    assert re.search(rf"^def {plain}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), guard.test
