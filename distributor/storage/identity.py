"""What makes this database this installation: its id and its secret, made once."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from distributor.storage.database import Database
from distributor.storage.inserting import insert_new
from distributor.storage.tables import meta


def read_or_make(database: Database, key: str, size: int = 32) -> str:
    """The hex value under `key`, made from `size` random bytes on first asking."""
    with database.read() as connection:
        found = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    if found is not None:
        return str(found)
    with database.write("identity.read_or_make") as connection:
        connection.execute(insert_new(connection, meta).values(key=key, value=secrets.token_hex(size)))
        return str(connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar_one())
