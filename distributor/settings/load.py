"""From the file and the environment to one frozen Settings, or to all that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from distributor.settings.alerts import AlertEmail, AlertSettings
from distributor.settings.database import DatabaseSettings
from distributor.settings.doubts import find_doubts
from distributor.settings.explain import add_errors
from distributor.settings.model import (
    NetworkSettings,
    ScheduleEntry,
    Settings,
    SiteSettings,
    WebSettings,
)
from distributor.settings.problems import Problems, Trail, suggest
from distributor.settings.reader import Document, read_document
from distributor.settings.schedules import build_schedules
from distributor.settings.secrets import find_literal_secrets, read_secret_files

#: The pydantic model of a kind; LookupError, naming the kinds there are, for an unknown one.
FindModel = Callable[[str], Any]
M = TypeVar("M", bound=BaseModel)

#: Names stand in keys, reports and addresses, and a channel may have a folder of templates by its name.
_NAME = re.compile(r"(?!\.)[^\s@:/\\]{1,60}")

SECTIONS = (
    *("site", "database", "web", "network", "alerts"),
    *("sources", "channels", "schedules", "templates_dir", "state_dir", "engine"),
)
ENGINES = ("auto", "local", "procrastinate")
DEFAULT_FOLDERS = {"templates_dir": "../templates", "state_dir": "../var"}


def load_settings(
    path: Path,
    environ: Mapping[str, str],
    *,
    source_model: FindModel,
    channel_model: FindModel,
    check_network: Callable[[str], object] = str,
) -> Settings:
    """Read the file, fill in `${NAME}` from `environ` and `*_file` from files, check everything.

    Relative paths start at the folder of the file. SettingsError lists every problem as "file:line:column:
    path.to.field: what is wrong; the fix". `check_network` raises ValueError for a line of network.allow_private
    that means nothing.
    """
    problems = Problems(path)
    document = read_document(path, environ, problems)
    loader = _Loader(document, problems)
    settings = loader.load(source_model, channel_model, check_network)
    problems.raise_if_any()
    assert settings is not None
    return settings


class _Loader:
    def __init__(self, document: Document, problems: Problems) -> None:
        self._data = document.data
        self._expanded = document.expanded
        self._problems = problems
        self._doubts: list[str] = []

    def load(
        self, source_model: FindModel, channel_model: FindModel, check_network: Callable[[str], object]
    ) -> Settings | None:
        """None only when there are problems."""
        self._refuse_unknown_sections()
        site = self._read_section("site", SiteSettings)
        database = self._read_section("database", DatabaseSettings)
        web = self._read_section("web", WebSettings)
        network = self._read_section("network", NetworkSettings)
        self._check_network(network, check_network)
        alerts = self._read_alerts()
        sources = self._read_entries("sources", "source", source_model)
        channels = self._read_entries("channels", "channel", channel_model)
        entries = [
            (("schedules", index), data, self._validate(data, ScheduleEntry, ("schedules", index)))
            for index, data in self._list_entries("schedules", "schedule")
        ]
        names = {section: self._list_names(section) for section in ("sources", "channels")}
        schedules = build_schedules(entries, names, site.timezone if site else "UTC", self._problems)
        folders = {name: self._read_folder(name) for name in DEFAULT_FOLDERS}
        if site is None or database is None or web is None or network is None or alerts is None:
            return None
        state_dir = folders["state_dir"]
        settings = Settings(
            self._problems.path,
            site,
            self._place_database(database, state_dir),
            web,
            network,
            alerts,
            sources,
            channels,
            schedules,
            folders["templates_dir"],
            state_dir,
            engine=self._read_engine(database.url),
            backup_every=database.backup_every,
            backups_kept=database.backups_kept,
        )
        return find_doubts(settings, self._doubts, self._problems)

    def _refuse_unknown_sections(self) -> None:
        for name in self._data:
            if name not in SECTIONS:
                self._problems.add_at_key((name,), f"is not a setting; {suggest(name, SECTIONS)}")

    def _read_section(self, name: str, model: type[M]) -> M | None:
        data = self._data.get(name)
        return self._validate({} if data is None else data, model, (name,))

    def _read_alerts(self) -> AlertSettings | None:
        """Mail is a section within the section, with a secret of its own."""
        data = self._data.get("alerts")
        if not isinstance(data, dict) or data.get("email") is None:
            return self._read_section("alerts", AlertSettings)
        email = self._validate(data["email"], AlertEmail, ("alerts", "email"))
        return self._validate({**data, "email": email}, AlertSettings, ("alerts",))

    def _validate(self, data: Any, model: type[M], trail: Trail) -> M | None:
        if not isinstance(data, dict):
            self._problems.add(trail, "must hold settings of its own, such as name: value")
            return None
        filled, read = read_secret_files(data, model, trail, self._problems)
        self._expanded |= {(*trail, name) for name in read}
        self._doubts += find_literal_secrets(filled, model, trail, self._expanded, self._problems)
        try:
            return model.model_validate(filled)
        except ValidationError as error:
            add_errors(error, model, trail, self._problems)
            return None

    def _read_entries(self, section: str, what: str, find_model: FindModel) -> tuple[Any, ...]:
        entries = []
        for index, data in self._list_entries(section, what):
            trail = (section, index)
            model = self._find_model(data.get("kind"), (*trail, "kind"), find_model)
            entries.append(self._validate(data, model, trail) if model else None)
        return tuple(entry for entry in entries if entry is not None)

    def _find_model(self, kind: Any, trail: Trail, find_model: FindModel) -> Any:
        try:
            return find_model(kind if isinstance(kind, str) else "")
        except LookupError as error:
            text = str(error.args[0])
            self._problems.add(trail, text if kind is not None else f"is missing; {text.partition('; ')[2]}")
            return None

    def _list_entries(self, section: str, what: str) -> list[tuple[int, dict[str, Any]]]:
        """The entries of a list that are mappings; their names are checked to be there once."""
        entries = self._data.get(section) or []
        if not isinstance(entries, list):
            self._problems.add((section,), f'must be a list; begin each {what} with "- name: ..."')
            return []
        seen: dict[str, int] = {}
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._problems.add(
                    (section, index), f'must be a {what}; write "- name: ..." and its other settings'
                )
            else:
                self._check_name(entry.get("name"), (section, index), what, seen)
        return [(index, entry) for index, entry in enumerate(entries) if isinstance(entry, dict)]

    def _check_name(self, name: Any, trail: Trail, what: str, seen: dict[str, int]) -> None:
        if not isinstance(name, str) or not name:
            return
        if not _NAME.fullmatch(name):
            text = f'"{name[:60]}" is no name; write up to 60 characters without spaces, @, : and /'
            self._problems.add((*trail, "name"), text)
            return
        if name in seen:
            text = f'"{name}" is already the name of the {what} in line {seen[name]}; choose another'
            self._problems.add((*trail, "name"), text)
            return
        seen[name] = self._problems.find_line((*trail, "name"))
        self._problems.note_name(trail, name)

    def _list_names(self, section: str) -> set[str]:
        """Every name that is written, of faulty entries too: they have their own problem."""
        entries = self._data.get(section)
        entries = entries if isinstance(entries, list) else []
        return {str(entry["name"]) for entry in entries if isinstance(entry, dict) and entry.get("name")}

    def _check_network(self, network: NetworkSettings | None, check: Callable[[str], object]) -> None:
        for index, line in enumerate(network.allow_private if network else ()):
            try:
                check(line)
            except ValueError as error:
                self._problems.add(("network", "allow_private", index), str(error))

    def _read_folder(self, name: str) -> Path:
        value = self._data.get(name)
        if value is None or value == "":
            value = DEFAULT_FOLDERS[name]
        if not isinstance(value, str):
            self._problems.add((name,), "must be the path of a folder")
            value = "."
        return self._resolve(value)

    def _read_engine(self, url: SecretStr | None) -> str:
        name = self._data.get("engine") or "auto"
        if name not in ENGINES:
            self._problems.add(("engine",), f"is no engine; write one of {', '.join(ENGINES)}")
        elif name == "procrastinate" and (url is None or url.get_secret_value().startswith("sqlite:")):
            text = "procrastinate needs PostgreSQL; set database.url, or remove this line"
            self._problems.add(("engine",), text)
        return str(name)

    def _resolve(self, path: str) -> Path:
        """From the folder of the configuration file; not through symbolic links, which a release may be behind."""
        from os.path import normpath

        return Path(normpath(self._problems.path.absolute().parent / Path(path).expanduser()))

    def _place_database(self, database: DatabaseSettings, state_dir: Path) -> SecretStr:
        if database.url is None:
            return SecretStr(f"sqlite:///{state_dir / 'distributor.db'}")
        url = database.url.get_secret_value()
        if not url.startswith("sqlite:///"):
            return database.url
        return SecretStr(f"sqlite:///{self._resolve(url.removeprefix('sqlite:///'))}")
