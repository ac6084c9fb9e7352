"""What a person types about deliveries that wait or are in doubt."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from distributor.cli import app
from distributor.core.sending import Evidence
from distributor.storage import open_storage
from tests.storage.scene import add_edition

CONFIG = """
site: {name: The Daily Example, public_url: https://go.news.example}
database: {url: "URL"}
"""


@pytest.fixture
def desk(ready_database_url: str, tmp_path: Path, now: datetime) -> Any:
    """Types commands on a database with one edition of each kind: in doubt, in doubt, waiting."""
    config = tmp_path / "config" / "distributor.yaml"
    config.parent.mkdir()
    config.write_text(CONFIG.replace("URL", ready_database_url))
    storage = open_storage(ready_database_url)
    for number in (1, 2, 3):
        add_edition(storage, now, number=number)
    for _ in range(2):
        batch: Any = storage.ledger.claim("tg", limit=1, paces=(), fence="gone", lease=60, now=now)
        storage.ledger.start([one.delivery_id for one in batch.claimed], "gone", now)
    storage.recovery.recover(Evidence(), [], now)
    storage.close()

    def type_in(*words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--config", str(config)])

    return type_in


def read_states(desk: Any) -> dict[int, str]:
    return {row["id"]: row["state"] for row in json.loads(desk("deliveries", "--json").stdout)}


def test_several_unknown_deliveries_are_settled_at_once(desk: Any) -> None:
    assert read_states(desk) == {1: "unknown", 2: "unknown", 3: "queued"}
    done = desk("deliveries", "resolve", "1", "2", "3", "--sent")
    assert (done.exit_code, done.stderr) == (0, "sent: 2\n")
    assert read_states(desk) == {1: "sent", 2: "sent", 3: "queued"}


def test_all_unknown_deliveries_of_one_edition_are_settled(desk: Any) -> None:
    assert desk("deliveries", "resolve", "--edition", "2", "--leave").exit_code == 0
    assert read_states(desk) == {1: "unknown", 2: "presumed", 3: "queued"}


def test_what_is_not_unknown_cannot_be_settled(desk: Any) -> None:
    done = desk("deliveries", "resolve", "3", "--resend")
    assert done.exit_code == 1
    assert "none of these deliveries is unknown" in done.stderr
    assert desk("deliveries", "resolve", "1").exit_code == 2


def test_an_edition_that_waits_is_given_up(desk: Any) -> None:
    done = desk("editions", "drop", "3", "--reason", "old news")
    assert (done.exit_code, done.stderr) == (0, "dropped: 0 editions, 1 waiting deliveries\n")
    assert read_states(desk)[3] == "skipped"
    assert desk("editions", "drop", "3").exit_code == 1


def test_a_config_named_too_early_is_refused_and_not_ignored(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from distributor.cli import app

    done = CliRunner().invoke(app, ["posts", "--config", str(tmp_path / "other.yaml"), "release", "1"])
    assert done.exit_code == 2
    assert "after the whole command" in done.stderr
