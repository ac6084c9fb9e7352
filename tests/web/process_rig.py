"""The product as a process with nothing to send: its log, its port, its children."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from redirect_rig import TARGETS
from sqlalchemy import insert

from distributor.storage.database import Database
from distributor.storage.tables import link

ROOT = Path(__file__).parents[2]
TIMEOUT = 180.0


def add_links(database: Database) -> None:
    rows = [
        {"slug": slug, "key": slug, "target": target, "schedule": "now", "channel": "tg", "slot": "article"}
        for slug, target in TARGETS.items()
    ]
    with database.write() as connection:
        connection.execute(insert(link), [{**row, "created_at": datetime.now(UTC)} for row in rows])


class Product:
    """`distributor run` in a folder. Several may have one state_dir."""

    def __init__(self, folder: Path, database_url: str, roles: str, **web: Any) -> None:
        name = f"product-{len(list(folder.glob('product-*.yaml')))}"
        config = folder / f"{name}.yaml"
        self.log = folder / f"{name}.log"
        self.state_dir = folder / "state"
        settings = {
            "site": {"name": "The Daily Example", "public_url": "http://127.0.0.1:1"},
            "database": {"url": database_url},
            "state_dir": str(self.state_dir),
            "web": {"listen": "127.0.0.1:0", **web},
        }
        config.write_text(json.dumps(settings))
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "distributor", "run", "--config", str(config), "--roles", roles]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(TIMEOUT)

    @property
    def port(self) -> int:
        def find() -> re.Match[str] | None:
            return re.search(r"listening on (?:port |127\.0\.0\.1:)(\d+)", self.log.read_text())

        return int(self.wait_for(find)[1])

    def wait_for(self, find: Callable[[], Any]) -> Any:
        """What `find` finds, once it does."""
        deadline = time.monotonic() + TIMEOUT
        while not (found := find()):
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return found

    def list_children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task")
        return [int(pid) for one in path.glob("*/children") for pid in one.read_text().split()]

    def list_listening(self) -> list[int]:
        """Children that listen already: they have a click journal of their own open."""
        return [pid for pid in self.list_children() if any(map(is_journal, list_files(pid)))]


def is_journal(path: str) -> bool:
    return path.endswith(".clicks")


def list_files(pid: int) -> list[str]:
    found = []
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(str(path.readlink()))
        except OSError:
            continue
    return found
