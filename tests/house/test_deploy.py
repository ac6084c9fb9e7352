"""The files an operator carries to a server name real commands, all roles, and a stop that is long enough."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML

from distributor.cli import app as commands
from distributor.run import GRACE, ROLES, read_roles
from tests.house.source_code import ROOT

DEPLOY = ROOT / "config" / "deploy"
#: Seconds that a stop needs: what is on the wire, and then the rest.
LEAST_STOP = GRACE + 15
COMPOSE: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PROGRAM = {name: one for name, one in COMPOSE["services"].items() if one.get("image") == "distributor"}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def read_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / name).read_text(encoding="utf-8"))
    return unit


def read_procfile() -> dict[str, str]:
    lines = (DEPLOY / "Procfile").read_text(encoding="utf-8").splitlines()
    return {line.partition(": ")[0]: line.partition(": ")[2] for line in lines if not line.startswith("#")}


def list_commands() -> dict[str, list[str]]:
    """Place -> the words behind `distributor`."""
    found = {f"compose {name}": list(one["command"]) for name, one in PROGRAM.items()}
    found |= {f"Procfile {name}": shlex.split(line)[1:] for name, line in read_procfile().items()}
    for name in ("distributor.service", "distributor@.service"):
        line = read_unit(name)["Service"]["ExecStart"]
        for role in ROLES if "@" in name else [""]:
            found[f"{name} {role}".strip()] = shlex.split(line.replace("%i", role))[1:]
    found["Dockerfile"] = re.findall(r'"([^"]+)"', DOCKERFILE.rpartition("\nCMD ")[2])
    return found


def find_roles(words: list[str]) -> frozenset[str]:
    return read_roles(words[words.index("--roles") + 1]) if "--roles" in words else frozenset(ROLES)


@pytest.mark.parametrize(("place", "words"), list_commands().items())
def test_every_command_is_one(place: str, words: list[str]) -> None:
    """Parsed by the command line itself, as far as the configuration's name."""
    command: Any = typer.main.get_command(commands)
    rest = list(words)
    while getattr(command, "commands", None):
        command = command.commands[rest.pop(0)]
    given = command.make_context("distributor", rest, resilient_parsing=False).params
    assert "roles" not in given or read_roles(given["roles"]), place


@pytest.mark.parametrize("kind", ["compose", "Procfile", "distributor@.service"])
def test_together_they_play_every_role_each_once(kind: str) -> None:
    played = [
        find_roles(words) for place, words in list_commands().items() if place.startswith(kind) and "run" in words
    ]
    assert sorted(role for roles in played for role in roles) == sorted(ROLES)


def test_the_single_unit_plays_all_of_them() -> None:
    assert find_roles(list_commands()["distributor.service"]) == frozenset(ROLES)


@pytest.mark.parametrize("name", ["distributor.service", "distributor@.service"])
def test_a_unit_stops_gently_and_long_enough(name: str) -> None:
    service = read_unit(name)["Service"]
    assert int(service["TimeoutStopSec"]) >= LEAST_STOP
    assert service["KillSignal"] == "SIGTERM"
    assert service["KillMode"] == "mixed", "children end with the program, not before it"
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]
    assert service["UMask"] == "0077"
    assert service["User"] not in ("", "root")


def test_the_two_units_differ_in_the_role_only() -> None:
    one, other = (read_unit(name) for name in ("distributor.service", "distributor@.service"))
    for section in one.sections():
        differing = {key for key in one[section] if one[section][key] != other[section].get(key)}
        assert differing <= {"ExecStart", "Description"}, section


@pytest.mark.parametrize("name", PROGRAM)
def test_a_container_stops_gently_and_long_enough(name: str) -> None:
    assert int(PROGRAM[name]["stop_grace_period"].removesuffix("s")) >= LEAST_STOP
    assert PROGRAM[name]["stop_signal"] == "SIGTERM"
    assert PROGRAM[name]["read_only"] is True


def test_what_compose_mounts_and_builds_is_there() -> None:
    build = PROGRAM["web"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    config = next(one for one in PROGRAM["web"]["volumes"] if one.endswith(":ro")).split(":")
    assert (DEPLOY / config[0]).resolve() == ROOT / "config" / "distributor.yaml"
    assert config[1] == re.findall(r"DISTRIBUTOR_CONFIG=(\S+)", DOCKERFILE)[0]
    volumes = {one.split(":")[0] for service in COMPOSE["services"].values() for one in service["volumes"]}
    assert {one for one in volumes if "/" not in one} == set(COMPOSE["volumes"])


def test_nobody_starts_before_the_tables_are_there() -> None:
    assert PROGRAM["upgrade"]["command"] == ["db", "upgrade"]
    for name in ROLES:
        assert PROGRAM[name]["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}


def test_no_secret_is_written_out() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(DEPLOY.iterdir()))
    assert not re.findall(r"(?i)(?:password|token|secret|key)=(?!\.\.\.)[^\s$]{3,}", text)


def test_the_image_holds_what_the_package_is_built_from() -> None:
    kept = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert {
        "distributor",
        "templates",
        "config",
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
    } == kept
    assert all((ROOT / name).exists() for name in kept)


def test_the_image_runs_as_nobody_in_particular() -> None:
    assert re.search(r"^USER distributor$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", DOCKERFILE, re.MULTILINE)
    assert 'ENTRYPOINT ["distributor"]' in DOCKERFILE


def test_the_files_go_with_the_package() -> None:
    shipped = {path.name for path in Path(DEPLOY).iterdir()}
    assert {"compose.yaml", "Dockerfile", "Procfile", "distributor.service", "distributor@.service"} <= shipped
