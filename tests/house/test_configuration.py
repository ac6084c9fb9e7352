"""The shipped configuration and its page say what the models say."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from distributor import channels, sources
from distributor.app import read_settings
from distributor.settings import Settings
from distributor.settings.alerts import AlertEmail, AlertSettings
from distributor.settings.database import DatabaseSettings
from distributor.settings.explain import list_fields
from distributor.settings.load import SECTIONS
from distributor.settings.model import (
    FilterSettings,
    NetworkSettings,
    ScheduleEntry,
    SiteSettings,
    WebSettings,
)
from tests.house.source_code import ROOT

SHIPPED = ROOT / "config" / "distributor.yaml"
TEXT = SHIPPED.read_text(encoding="utf-8")
#: A # before a setting, an entry, or a line inside an entry; prose has one space behind its #.
SETTING = re.compile(r"^( *)#(?=\S|  )", re.MULTILINE)
EXAMPLES = SETTING.sub(r"\1", TEXT)
ENVIRON = {
    "TELEGRAM_TOKEN": "123456:ABC-DEF",
    "X_API_KEY": "k",
    "X_API_SECRET": "k",
    "X_ACCESS_TOKEN": "k",
    "X_ACCESS_SECRET": "k",
    "SMTP_PASSWORD": "k",
    "SENDGRID_KEY": "SG.k",
}
MODELS: dict[str, type[BaseModel]] = {
    "site": SiteSettings,
    "database": DatabaseSettings,
    "web": WebSettings,
    "network": NetworkSettings,
    "alerts": AlertSettings,
    "alerts.email": AlertEmail,
    "schedules": ScheduleEntry,
    "filter": FilterSettings,
    **{f"source {kind}": sources.settings_model(kind) for kind in sources.kinds()},
    **{f"channel {kind}": channels.settings_model(kind) for kind in channels.kinds()},
}


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config" / "distributor.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read_settings(path, ENVIRON)


def test_the_shipped_file_is_right_as_it_is(tmp_path: Path) -> None:
    settings = load(tmp_path, TEXT)
    assert (settings.sources, settings.channels, settings.schedules) == ((), (), ())
    assert len(settings.doubts) == 3, "that the address is the example's, and what is missing"


def test_its_examples_are_right(tmp_path: Path) -> None:
    settings = load(tmp_path, EXAMPLES)
    assert [one.name for one in settings.channels] == ["tg", "x", "letter", "letter2"]
    assert {one.kind for one in settings.sources} == set(sources.kinds())
    assert {one.kind for one in settings.channels} == set(channels.kinds())
    assert len(settings.schedules) == 4
    assert len(settings.doubts) == 1, "that the address is the example's"


def test_what_it_shows_of_the_sections_are_their_defaults(tmp_path: Path) -> None:
    shown, default = load(tmp_path, EXAMPLES), load(tmp_path, TEXT)
    for part in ("site", "web", "network", "database_url", "state_dir", "templates_dir"):
        assert getattr(shown, part) == getattr(default, part), part
    assert shown.alerts.model_copy(update={"email": None}) == default.alerts
    assert shown.alerts.email is not None


def find_shown_defaults() -> list[Any]:
    lines = enumerate(EXAMPLES.splitlines())
    return [pytest.param(number, id=line.strip()) for number, line in lines if re.match(r" *#[a-z_]+: \S", line)]


@pytest.mark.parametrize("number", find_shown_defaults())
def test_what_it_shows_in_the_examples_are_their_defaults(number: int, tmp_path: Path) -> None:
    lines = EXAMPLES.splitlines()
    lines[number] = lines[number].replace("#", "", 1)
    shown, default = load(tmp_path, "\n".join(lines)), load(tmp_path, EXAMPLES)
    for part in ("sources", "channels", "schedules"):
        assert getattr(shown, part) == getattr(default, part)


@pytest.mark.parametrize("name", MODELS)
def test_it_names_every_setting(name: str) -> None:
    missing = [
        field for field in list_fields(MODELS[name]) if not re.search(rf"^[ #-]*\b{field}:", find_part(name), re.M)
    ]
    assert not missing, f"write these into config/distributor.yaml, with their meaning and default: {missing}"


def find_part(name: str) -> str:
    """The lines of a section, or of all entries of one kind."""
    section, _, kind = name.partition(" ")
    if not kind:
        return EXAMPLES
    _, _, rest = EXAMPLES.partition(f"\n{section}s:\n")
    entries = re.split(r"\n  - ", re.split(r"\n[a-z_]+:\n", rest)[0])
    return "\n".join(entry for entry in entries if re.search(rf"^ *kind: {kind}$", entry, re.M))


def test_it_names_every_section() -> None:
    assert all(re.search(rf"^{section}:", EXAMPLES, re.M) for section in SECTIONS)


def test_the_page_is_as_the_models_say() -> None:
    command = [sys.executable, "tools/document_settings.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_says_what_it_means(name: str) -> None:
    silent = [field for field, info in list_fields(MODELS[name]).items() if not info.description]
    assert set(silent) <= {"kind"}
