"""Keys of any kind and number are found again, on both databases."""

from collections.abc import Sequence
from datetime import datetime

import pytest
from sqlalchemy import insert, select

from distributor.storage import Storage
from distributor.storage.among import is_among
from distributor.storage.asking import ask, ask_together
from distributor.storage.tables import edition, suppression

ODD = ["plain@example.org", "", "NULL", "null", "o'clock", 'said "so"', "back\\slash", "{a,b}", "tab\t", "你好"]


@pytest.mark.parametrize("wanted", [[], ODD[:1], ODD[::2], ODD])
def test_texts_are_found_whatever_signs_they_have(storage: Storage, now: datetime, wanted: Sequence[str]) -> None:
    rows = [{"address_key": key, "list": "", "reason": "", "at": now} for key in ODD]
    with storage.database.write("test.write") as connection:
        connection.execute(insert(suppression), rows)
        asked = select(suppression.c.address_key).where(is_among(connection, suppression.c.address_key, wanted))
        assert sorted(connection.execute(asked).scalars()) == sorted(wanted)


@pytest.mark.parametrize("wanted", [[], [1], [1, 3, 2**40], range(1, 2000)])
def test_numbers_are_found_however_many_are_asked_for(
    storage: Storage, now: datetime, wanted: Sequence[int]
) -> None:
    rows = [
        {"schedule": "s", "channel": "c", "form": "each", "key": f"{i}", "token": f"{i}", "due_at": now}
        | {"id": i, "state": "planned", "title": "", "created_at": now}
        for i in range(1, 6)
    ]
    with storage.database.write("test.write") as connection:
        connection.execute(insert(edition), rows)
        asked = select(edition.c.id).where(is_among(connection, edition.c.id, list(wanted)))
        assert sorted(connection.execute(asked).scalars()) == [i for i in range(1, 6) if i in wanted]


def test_rows_that_come_together_are_those_that_come_one_by_one(storage: Storage, now: datetime) -> None:
    rows = [{"address_key": key, "list": "", "reason": key[::-1], "at": now} for key in ODD]
    columns = ("address_key", "reason", "size", "missing")
    asked = """SELECT address_key, reason, length(reason) + 9007199254740993 AS size, NULL AS missing
    FROM suppression WHERE list = :list ORDER BY address_key"""
    with storage.database.write("test.write") as connection:
        connection.execute(insert(suppression), rows)
        for name, number in (("", len(ODD)), ("another", 0)):
            together = ask_together(connection, asked, columns, {"list": name})
            assert together == ask(connection, asked, {"list": name})
            assert len(together) == number
