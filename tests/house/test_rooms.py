"""Who may import whom. The rooms are in pyproject.toml (import-linter); the rest of HOUSE.md's rule is here."""

import subprocess
import sys
from fnmatch import fnmatch

from tests.house.source_code import ROOT, File, find_imports, list_files

#: Third-party package -> the places that may import it, inside distributor/. Whatever is new is put here first.
OUTSIDE = {
    "alembic": ("storage/*",),
    "apscheduler": ("clock*",),
    "babel": ("channels/email/*", "pipeline/render*", "core/*", "web/*", "cli*"),
    "certifi": ("sources/*", "channels/*"),
    "crawleruseragents": ("core/*", "pipeline/track*"),
    "cryptography": ("channels/email/*", "storage/leavings.py"),
    "css_inline": ("channels/email/*",),
    "email_validator": ("core/*", "pipeline/*", "channels/email/*", "cli*"),
    "feedparser": ("sources/*",),
    "httptools": ("sources/*", "web/*"),
    "httpx": ("channels/telegram/*",),
    "httpx2": ("sources/*",),
    "jinja2": ("pipeline/render*",),
    "lxml": ("sources/*",),
    "markupsafe": ("pipeline/render*",),
    "mjml": ("channels/email/*",),
    "nh3": ("core/*", "sources/*"),
    "procrastinate": ("engine/procrastinate*",),
    "prometheus_client": ("web/*", "app*"),
    "psycopg": ("storage/*",),
    "psycopg_pool": ("engine/procrastinate*",),
    "pydantic": ("settings*", "channels/*/settings.py", "sources/*", "channels/fields.py"),
    "python_http_client": ("channels/email/*",),
    "regex": ("core/*", "channels/*", "pipeline/render*"),
    "requests": ("channels/x/*",),
    "requests_oauthlib": ("channels/x/*",),
    "rich": ("cli*",),
    "ruamel": ("settings*",),
    "selectolax": ("core/*", "sources/*", "channels/email/*"),
    "sendgrid": ("channels/email/*",),
    "sqlalchemy": ("storage/*",),
    "starlette": ("web/*",),
    "structlog": ("app*", "cli*", "clock*", "web/*"),
    "telegram": ("channels/telegram/*",),
    "trafilatura": ("sources/*",),
    "tweepy": ("channels/x/*",),
    "typer": ("cli*", "__main__.py"),
    "tzdata": ("core/*",),
    "uvicorn": ("web/*", "app*"),
    "urllib3": ("channels/x/*",),
    "uvloop": ("web/*", "app*", "channels/email/*"),
}


def test_the_import_contract_holds() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run([*command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_third_party_code_stays_in_its_room() -> None:
    wrong = [
        f"{file.name}:{line}: {package} may be imported in {OUTSIDE.get(package, 'no place yet')}"
        for file in list_files()
        for package, line in find_outside_imports(file)
        if not any(fnmatch(file.name, place) for place in OUTSIDE.get(package, ()))
    ]
    assert not wrong, "\n".join(wrong)


def find_outside_imports(file: File) -> set[tuple[str, int]]:
    known = sys.stdlib_module_names | {"distributor"}
    found = ((module.partition(".")[0], line) for module, line in find_imports(file))
    return {(package, line) for package, line in found if package not in known}


def test_a_source_or_channel_never_imports_its_neighbour() -> None:
    wrong = [
        f"{file.name}:{line}: imports {module}"
        for file in list_files()
        if file.room in ("sources", "channels") and file.name.count("/") == 2
        for module, line in find_imports(file)
        if is_neighbour(file, module)
    ]
    assert not wrong, "\n".join(wrong)


def is_neighbour(file: File, module: str) -> bool:
    room, own_folder, _ = file.name.split("/")
    parts = module.split(".")
    if parts[:2] != ["distributor", room] or len(parts) < 3 or parts[2] == own_folder:
        return False
    return (ROOT / "distributor" / room / parts[2]).is_dir()


def test_core_names_no_channel_or_source() -> None:
    wrong = [
        f"{file.name}:{line}: imports {module}"
        for file in list_files()
        if file.room == "core"
        for module, line in find_imports(file)
        if module.startswith("distributor.") and not module.startswith("distributor.core")
    ]
    assert not wrong, "\n".join(wrong)
