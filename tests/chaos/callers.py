"""Those who call the product's web from outside while it is killed: readers who leave, services that report."""

from __future__ import annotations

import http.client
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from distributor.core.tokens import sign_unsubscribe
from tests.chaos.stage import LEAVERS, Stage

TIMEOUT = 5.0
#: An edition that there is not: who leaves because of it leaves every list.
NO_EDITION = 999_999_999


@dataclass
class Callers:
    """What was acknowledged must be there, once; what was not may be there or not."""

    left: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    _leavers: dict[str, int] = field(default_factory=dict)
    _secret: bytes = b""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def leave(self, stage: Stage) -> None:
        """The next reader presses the button."""
        if not self._leavers:
            rows = stage.ask("SELECT id, address FROM subscriber WHERE address LIKE 'leaver%' ORDER BY id")
            self._leavers = {row.address: row.id for row in rows[:LEAVERS]}
            self._secret = bytes.fromhex(stage.ask("SELECT value FROM meta WHERE key = 'secret'")[0][0])
        address = next(iter(self._leavers))
        token = sign_unsubscribe(self._secret, self._leavers.pop(address), NO_EDITION)
        if post(stage, f"/u/{token}", {}, b"List-Unsubscribe=One-Click") == 200:
            self.left.add(address)

    def report(self, stage: Stage) -> None:
        """SendGrid says that a letter has arrived."""
        found = stage.ask(
            "SELECT d.id, s.address FROM delivery d JOIN edition e ON e.id = d.edition_id JOIN subscriber s "
            "ON s.id = d.recipient_id WHERE e.channel = 'letter1' AND d.state = 'sent' ORDER BY d.id LIMIT 1"
        )[0]
        event = {"event": "delivered", "email": found.address, "distributor_delivery": str(found.id)}
        event |= {"timestamp": int(time.time()), "sg_message_id": f"call{next(self._numbers)}.x"}
        headers, body = stage.boxes["letter1"].sign_report([event])
        if post(stage, "/hooks/letter1", headers, body) == 204:
            self.reported.add(event["sg_message_id"])

    def check(self, stage: Stage) -> list[str]:
        """What was acknowledged and is not there."""
        gone = {row[0] for row in stage.ask("SELECT address_key FROM suppression WHERE list = ''")}
        keys = [row[0] for row in stage.ask("SELECT key FROM service_event")]
        wrong = [f"{one} left and is still on the lists" for one in sorted(self.left - gone)]
        for one in sorted(self.reported):
            if not any(key.endswith(one) for key in keys):
                wrong.append(f"the report {one} was taken and is lost")
        return wrong


def post(stage: Stage, path: str, headers: dict[str, str], body: bytes) -> int:
    """The answer's status; 0 when there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=TIMEOUT)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
