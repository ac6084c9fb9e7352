"""Everything the demo consists of, started in order and always stopped: newsroom, services, product."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.channels.telegram.sandbox import Sandbox as TelegramSandbox
from distributor.channels.x.sandbox import Sandbox as XSandbox
from distributor.core.sandbox import Sighting
from distributor.demo.newsroom.paper import Newsroom
from distributor.demo.newsroom.site import NewsroomSite
from distributor.demo.ports import find_port
from distributor.demo.product import Product
from distributor.demo.setting import HARBOUR_READERS, READERS, Addresses, Rhythm, write_config, write_readers
from distributor.demo.waiting import Stalled, wait_for

CHAT = "@harbour_gazette"
ACCOUNT = "harbour_gazette"

Tell = Callable[[str], None]


class FolderTaken(Exception):
    """The folder has the files of an earlier demo."""


@dataclass(frozen=True)
class Stage:
    """`pages_url` is where the demo's own pages are, or would be."""

    folder: Path
    pages_url: str
    newsroom: Newsroom
    site: NewsroomSite
    telegram: TelegramSandbox
    x: XSandbox
    smtp: SmtpSandbox
    sendgrid: SendgridSandbox
    product: Product

    def wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        wait_for(what, is_there, self.product.check)

    @property
    def mails(self) -> list[Sighting]:
        """Everything in the readers' mailboxes, oldest first."""
        return sorted([*self.smtp.seen, *self.sendgrid.seen], key=lambda sighting: sighting.at)


@contextlib.contextmanager
def open_stage(
    folder: Path, rhythm: Rhythm, pages_url: str, *, newsroom_port: int = 0, product_port: int = 0
) -> Iterator[Stage]:
    """Newsroom and services are up, files are written; the product is not started yet. Ports are wishes."""
    config = folder / "config" / "distributor.yaml"
    if config.exists():
        raise FolderTaken(f"{folder} has the files of an earlier demo: empty it, or name another folder")
    newsroom = Newsroom(lambda: datetime.now(UTC))
    site = NewsroomSite(newsroom, lambda: datetime.now().astimezone(), find_port(newsroom_port))
    product = Product(config, f"http://127.0.0.1:{find_port(product_port)}")
    services = (
        TelegramSandbox(chats=(CHAT,), flood=True),
        XSandbox(username=ACCOUNT),
        SmtpSandbox(),
        SendgridSandbox(),
    )
    with contextlib.ExitStack() as stack:
        for part in (site, *services):
            part.start()
            stack.callback(part.stop)
        stack.callback(product.stop)
        site.report_url = f"{pages_url}/numbers" if pages_url else ""
        telegram, x, smtp, sendgrid = services
        entries = {
            "telegram": telegram.settings(),
            "x": x.settings(),
            "smtp": smtp.settings(),
            "sendgrid": sendgrid.settings(),
        }
        write_config(config, rhythm, Addresses(product.url, site.feed_url, pages_url or site.url), entries)
        yield Stage(folder, pages_url, newsroom, site, telegram, x, smtp, sendgrid, product)


def start_product(stage: Stage, tell: Tell) -> None:
    """The product runs, knows its readers, and has read the feed once: what was in it is history to it."""
    stage.product.start()
    stage.wait_for("the product's web server", stage.product.is_up)
    tell(f"the product runs: {stage.product.url}")
    import_readers(stage, tell)
    stage.wait_for("the product to read the feed for the first time", lambda: stage.site.is_known)
    tell(f"it has read the feed: {len(stage.newsroom.articles)} stories are history and never go out")


def import_readers(stage: Stage, tell: Tell) -> None:
    """`subscribers import`, as an operator would type it, for both lists."""
    files = write_readers(stage.folder)
    commands = {
        name: stage.product.make_command("subscribers", "import", str(file), "--list", name)
        for name, file in files.items()
    }
    running = {
        name: subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name, command in commands.items()
    }
    for name, process in running.items():
        words = process.communicate()[0].strip()
        # 1 says that a line was left out, and one line is there to be left out.
        if process.returncode not in (0, 1):
            raise Stalled(f"the readers of {name} could not be imported: {words}")
    people = f"{len(READERS)} for the letter, {len(HARBOUR_READERS)} for harbour alerts"
    tell(f"readers imported: {people}; one who had left stays out")
