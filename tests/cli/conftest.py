"""Folders that commands are typed into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.desk import Folder, lately
from tests.storage.scene import add_edition, add_post, add_readers


@pytest.fixture
def folder(tmp_path: Path, sqlite_ready: Path) -> Folder:
    """Configured, with an upgraded database and nothing in it."""
    made = Folder(tmp_path)
    made.write_config()
    made.make_database(sqlite_ready)
    return made


@pytest.fixture
def busy(folder: Folder) -> Folder:
    """Three readers, two stories, and an edition of the first on each channel, waiting to be sent."""
    with folder.open() as storage:
        now = lately(0.2)
        add_readers(storage, now, 3)
        add_edition(storage, now, channel="tg", number=1)
        add_edition(storage, now, channel="letter", list_name="readers", number=1)
        add_post(storage, now, 2)
    return folder
