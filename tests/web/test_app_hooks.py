"""Reports of mail services over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from distributor.core.errors import StorageError
from distributor.core.message import ServiceEvent
from distributor.storage import Storage
from tests.web.app_rig import Away, add_letter, dump, make_parts, serving


class Service:
    """Understands reports of the form {"events": [[kind, delivery id]]} with the right secret in a header."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []

    def read(self, name: str, headers: Mapping[str, str], body: bytes) -> Sequence[ServiceEvent]:
        self.seen.append((name, headers, body))
        if headers.get("x-secret") != "right":
            raise PermissionError("the report is not signed")
        events = json.loads(body)["events"]
        return [ServiceEvent(kind, f"{kind}{number}", 1.0, delivery_id=number) for kind, number in events]


RIGHT = {"X-Secret": "right"}


def test_a_genuine_report_is_stored_before_it_is_answered(storage: Storage) -> None:
    add_letter(storage)
    number = storage.reports.list_deliveries()[0].id
    service = Service()
    body = b'{"events": [["complained", %d]]}\r\n' % number
    with serving(make_parts(storage, read_events=service.read)) as browser:
        answer = browser.ask("/hooks/letter", "POST", RIGHT, body)
        assert (answer.status, answer.body) == (204, b"")
        assert browser.ask("/hooks/letter", "POST", RIGHT, body).status == 204
    assert service.seen[0][0] == "letter"
    assert service.seen[0][2] == body
    assert storage.recipients.list_lists() == {"readers": 2}
    assert len(dump(storage)["service_event"]) == 1


def test_a_forged_report_changes_nothing(storage: Storage) -> None:
    add_letter(storage)
    number = storage.reports.list_deliveries()[0].id
    right = b'{"events": [["complained", %d]]}' % number
    with serving(make_parts(storage, read_events=Service().read)) as browser:
        before = dump(storage)
        assert browser.ask("/hooks/letter", "POST", {"X-Secret": "wrong"}, right).status == 403
        assert browser.ask("/hooks/letter", "POST", {}, right).status == 403
        assert browser.ask("/hooks/letter", "POST", RIGHT, b"\x00\xff{").status == 400
        assert browser.ask("/hooks/letter", "POST", RIGHT, b'{"events": []}').status == 204
        assert browser.ask("/hooks/other", "POST", RIGHT, right).status == 404
        assert browser.ask("/hooks/letter", "GET").status == 405
        assert browser.ask("/hooks/", "POST", RIGHT, right).status == 404
        assert dump(storage) == before


def test_a_report_may_be_twice_as_large_as_other_requests(storage: Storage) -> None:
    service = Service()
    with serving(make_parts(storage, read_events=service.read)) as browser:
        padded = b'{"events": []}' + b" " * (1536 * 1024)
        assert browser.ask("/hooks/letter", "POST", RIGHT, padded).status == 204
        assert browser.ask("/hooks/letter", "POST", RIGHT, padded + b" " * 1024 * 1024).status == 413
    assert len(service.seen) == 1


def test_a_channel_without_reports_takes_any_and_keeps_none(storage: Storage) -> None:
    with serving(make_parts(storage)) as browser:
        before = dump(storage)
        assert browser.ask("/hooks/tg", "POST", {}, b"anything").status == 204
        assert dump(storage) == before


def test_the_service_is_asked_to_repeat_what_could_not_be_stored() -> None:
    def read(name: str, headers: Mapping[str, str], body: bytes) -> Sequence[ServiceEvent]:
        return [ServiceEvent("delivered", "k", 1.0)]

    with serving(make_parts(Away(), read_events=read)) as browser:
        answer = browser.ask("/hooks/letter", "POST", {}, b"x")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")


def test_reports_are_counted_by_what_became_of_them(storage: Storage) -> None:
    add_letter(storage)
    number = storage.reports.list_deliveries()[0].id
    with serving(make_parts(storage, read_events=Service().read)) as browser:
        body = b'{"events": [["delivered", %d], ["delivered", 999]]}' % number
        browser.ask("/hooks/letter", "POST", RIGHT, body)
        browser.ask("/hooks/letter", "POST", {}, body)
        page = browser.ask("/metrics").text
    for result, times in (("new", 1), ("unmatched", 1), ("repeated", 0), ("refused", 1)):
        assert f'distributor_service_events_total{{channel="letter",result="{result}"}} {times}.0' in page


def test_a_storage_error_while_reading_is_no_refusal(storage: Storage) -> None:
    def read(name: str, headers: Mapping[str, str], body: bytes) -> Sequence[ServiceEvent]:
        raise StorageError("locked")

    with serving(make_parts(storage, read_events=read)) as browser:
        assert browser.ask("/hooks/letter", "POST", {}, b"x").status == 503
