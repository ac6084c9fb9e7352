"""1,000 readers in one SendGrid call: byte segments against the library's own Mail objects, sent to a sink.

Goal: at most 1/12 of the CPU.

python -m benchmarks.email_sendgrid [--full]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from benchmarks.rigs.letters import SENDER, make_edition, make_messages
from benchmarks.rigs.rounds import choose, end, measure_cpu, print_ratio, run_child, run_rounds
from benchmarks.rigs.sinks import run_sink
from distributor.channels import Surroundings, open_channel
from distributor.channels.email.settings import Settings
from distributor.core.contracts import Site, Wire
from distributor.core.message import Accepted, Message, Outcome

MODULE = "benchmarks.email_sendgrid"
PER_CALL = 1000


class OpenWire(Wire):
    """Says yes to everything and keeps the outcomes."""

    def __init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}

    def start(self, indexes: Sequence[int]) -> bool:
        return True

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome


def send_usual(port: int, messages: Sequence[Message]) -> None:
    import sendgrid
    from sendgrid.helpers.mail import (
        ClickTracking,
        Content,
        CustomArg,
        Header,
        Mail,
        Personalization,
        SubscriptionTracking,
        Substitution,
        To,
        TrackingSettings,
    )

    payload = messages[0].edition.content.payload
    mail = Mail(from_email="news@example.org", subject=payload["subject"])
    mail.add_content(Content("text/plain", payload["text"]))
    mail.add_content(Content("text/html", payload["html"]))
    mail.tracking_settings = TrackingSettings(
        click_tracking=ClickTracking(False, False), subscription_tracking=SubscriptionTracking(False)
    )
    for message in messages:
        link = message.slots["unsubscribe_url"]
        one = Personalization()
        one.add_to(To(message.recipient.address, message.recipient.name or None))
        one.add_header(Header("List-Unsubscribe", f"<{link}>"))
        one.add_header(Header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        one.add_header(Header("List-Id", "The Daily <readers.example.org>"))
        for kind in ("plain", "html"):
            one.add_substitution(Substitution(f"-name.{kind}-", message.recipient.name))
            one.add_substitution(Substitution(f"-address.{kind}-", message.recipient.address))
            one.add_substitution(Substitution(f"-link.{kind}-", link))
        one.add_custom_arg(CustomArg("delivery", str(message.delivery_id)))
        mail.add_personalization(one)
    client = sendgrid.SendGridAPIClient("SG.key", host=f"http://127.0.0.1:{port}")
    client.client.timeout = 30
    assert client.send(mail).status_code == 202


def run_ours(port: int, calls: int) -> None:
    settings = Settings.model_validate(
        {
            "name": "letter",
            "transport": "sendgrid",
            "api_key": "SG.key",
            "api_base": f"http://127.0.0.1:{port}",
            "from": SENDER,
            "list": "readers",
        }
    )
    channel = open_channel(settings, Surroundings(Site("The Daily", "https://go.example.org")))
    messages = list(make_messages(make_edition(), PER_CALL))

    def send_once() -> None:
        outcomes = channel.send(messages, OpenWire())
        assert len(outcomes) == PER_CALL and isinstance(outcomes[-1], Accepted)

    send_once()
    cpu = measure_cpu(send_once, calls)
    print(json.dumps({"ms": cpu / calls * 1e3}))


def run_usual(port: int, calls: int) -> None:
    messages = list(make_messages(make_edition(), PER_CALL))
    send_usual(port, messages)
    cpu = measure_cpu(lambda: send_usual(port, messages), calls)
    print(json.dumps({"ms": cpu / calls * 1e3}))


def main() -> int:
    if "--child" in sys.argv:
        way, target, count = sys.argv[2:]
        {"ours": run_ours, "usual": run_usual}[way](int(target), int(count))
        return 0
    rounds, ours, usual = choose((1, 1, 1), (5, 100, 10), (9, 200, 30))
    with run_sink("sendgrid") as port:
        medians = run_rounds(
            {
                "ours": lambda: run_child(MODULE, "ours", str(port), str(ours))["ms"],
                "usual": lambda: run_child(MODULE, "usual", str(port), str(usual))["ms"],
            },
            rounds,
        )
    return end(print_ratio("one SendGrid call", medians["ours"], medians["usual"], 1 / 12))


if __name__ == "__main__":
    sys.exit(main())
