"""Where a database lives: what a copy of it, however it was made, cannot have too.

A file is known by its path and by the number its file system gave it; a database of a server by the server's own
identifier and the number of the database. Ordinary restarts, upgrades and VACUUM change neither.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from distributor.storage.database import Database

#: Asks ext4, XFS, btrfs and others how often a file's number was given away (linux/fs.h).
_FS_IOC_GETVERSION = 0x80087601


def find_home(database: Database, connection: Connection) -> str:
    """Where this database is now, as text that is compared by `is_same_home`."""
    if database.is_sqlite:
        return describe_home(database.path, database.path)
    return json.dumps(_describe_server(connection), sort_keys=True)


def is_same_home(one: str, other: str) -> bool:
    """Whether two descriptions may be of one place: what one of them does not know is no difference."""
    first, second = json.loads(one), json.loads(other)
    return all(first.get(key) == second.get(key) for key in first.keys() & second.keys())


def describe_home(path: Path, final: Path) -> str:
    """As `find_home` of a database file that is going to be named `final`."""
    place = {"path": str(final.resolve()), "file": f"{path.stat().st_ino}.{_read_generation(path)}"}
    machine = _read_machine()
    return json.dumps({**place, "machine": machine} if machine else place, sort_keys=True)


def _read_generation(path: Path) -> int:
    """Tells apart two files that had one number after another; 0 where the file system does not say.

    Asked through a descriptor that is open already, where there is one: closing any descriptor of a file gives up
    all locks that this process holds on it, SQLite's too, and the next program that looks at the database and goes
    would then take the write-ahead log from under us (sqlite.org/howtocorrupt.html, 2.2).
    """
    found = _find_open(path)
    handle = found if found is not None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(handle, _FS_IOC_GETVERSION, b"\0" * 8)
        return int(struct.unpack("=l", answer[:4])[0])
    except OSError:
        return 0
    finally:
        if found is None:
            os.close(handle)


def _find_open(path: Path) -> int | None:
    """A descriptor of this process for the file; None when it has none, and so no lock on it."""
    wanted = path.stat()
    for folder in (Path("/proc/self/fd"), Path("/dev/fd")):
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(int(entry.name)), wanted):
                    return int(entry.name)
        return None
    return None


def _read_machine() -> str:
    """This installation of the system; "" in containers, whose id comes from their image or from nowhere."""
    try:
        if _is_container():
            return ""
        return Path("/etc/machine-id").read_text("ascii").strip()
    except OSError:
        return ""


def _is_container() -> bool:
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return True
    mounts = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    return any(line.split()[1:3] == ["/", "overlay"] for line in mounts)


def _describe_server(connection: Connection) -> dict[str, str]:
    number = connection.execute(text("SELECT oid FROM pg_database WHERE datname = current_database()")).scalar_one()
    place = {"database": str(number)}
    try:
        with connection.begin_nested():
            found = connection.execute(text("SELECT system_identifier FROM pg_control_system()")).scalar_one()
    except DBAPIError:  # not every host lets its tenants ask
        return place
    return {**place, "server": str(found)}
