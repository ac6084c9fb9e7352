"""Secrets that the tests' newsrooms are run with, and the promise that nobody ever sees one of them.

They stand in the configurations that tests write and in the address of the tests' PostgreSQL. They are looked for
in all that the product says while tests run: log records (before anything is masked), outputs of commands, answers
to browsers, and, when the run is over, every file that was written into the run's temporary folders, databases and
journals included. Only files that exist to hold a secret may: configurations, and what is named as a secret's file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributor.channels.email.sandbox_sendgrid import API_KEY
from distributor.channels.telegram.sandbox import TOKEN
from distributor.channels.x.sandbox import Sandbox as XSandbox

CONSOLE = "canary-console-token-Qm7"
DATABASE = "canary-database-password-Zx3"
MAIL = "canary-mail-password-Kp9"
HOOK = "canary-alert-address-Vw5"
CMS = "canary-telegram-Hj2"
CANARIES = {
    "Telegram's token": TOKEN,
    "SendGrid's key": API_KEY,
    "the console's token": CONSOLE,
    "the database's password": DATABASE,
    "the mail password": MAIL,
    "the alerts' address": HOOK,
    "the commands' Telegram token": CMS,
    **{f"X's {name}": value for name, value in XSandbox().settings().items() if name.endswith(("secret", "token"))},
}
_BYTES = {name: value.encode() for name, value in CANARIES.items()}
#: Files that hold secrets because that is what they are for.
KEEPERS = (".yaml", ".yml", ".env", ".secret", "postgres.address", ".py", ".pyc")
#: Bytes read at once; a canary that lies across the border is found by the overlap.
_CHUNK = 1 << 20
_LONGEST = max(map(len, _BYTES.values()))


def find_canaries(text: str) -> list[str]:
    """The names of the secrets in it."""
    return [name for name, value in CANARIES.items() if value in text]


def look_at(text: str, where: str) -> None:
    """Fail the test that made the product say a secret."""
    found = find_canaries(text)
    assert not found, f"{where} shows {', '.join(found)}"


def search_file(path: Path) -> list[str]:
    """The names of the secrets in a file; none in one that has gone or cannot be read."""
    found: set[str] = set()
    try:
        with path.open("rb") as file:
            before = b""
            while chunk := file.read(_CHUNK):
                found |= {name for name, value in _BYTES.items() if value in before + chunk}
                before = chunk[-_LONGEST:]
    except OSError:
        pass
    return sorted(found)


def search_folder(folder: Path) -> list[str]:
    """A line for each file below that shows a secret and is not there to keep it."""
    return [
        f"{path.relative_to(folder)} shows {name}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith(KEEPERS)
        for name in search_file(path)
    ]


class Ear(logging.Handler):
    """Hears every log record of this process as it was said, arguments and tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{self.format(record)} {vars(record)}"
        self.heard += [f"a log line of {record.name} shows {name}" for name in find_canaries(text)]


class Watch:
    """The plugin: looks at log lines after each test, and at the files when the run is over."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.found: list[str] = []
        logging.getLogger().addHandler(self.ear)

    @pytest.fixture(autouse=True)
    def _no_canary_is_heard(self) -> Iterator[None]:
        yield
        heard, self.ear.heard = self.ear.heard, []
        assert not heard, "; ".join(heard)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """By the process that has the others' folders below its own; the workers of xdist leave it to that."""
        if hasattr(session.config, "workerinput"):
            return
        factory = getattr(session.config, "_tmp_path_factory", None)
        folder = getattr(factory, "_basetemp", None)
        if folder is None:
            return
        self.found = search_folder(folder)
        if self.found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.found:
            terminalreporter.section("secrets in files")
            for line in self.found[:50]:
                terminalreporter.line(line)
