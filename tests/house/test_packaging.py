"""What is shipped, and that the lock files say the same thing."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from distributor import __version__, shipped
from tests.house.source_code import PACKAGE, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKED = {
    package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
}
BUILD = """
import sys
from hatchling.builders.wheel import WheelBuilder
print(next(WheelBuilder(sys.argv[1]).build(directory=sys.argv[2], versions=["standard"])))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    folder = str(tmp_path_factory.mktemp("wheel"))
    done = subprocess.run([sys.executable, "-c", BUILD, str(ROOT), folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return zipfile.Path(done.stdout.strip())


def test_a_wheel_carries_templates_and_config(wheel: zipfile.Path) -> None:
    packed = set(wheel.root.namelist())
    for name in ("templates", "config"):
        files = [path for path in (ROOT / name).rglob("*") if path.is_file()]
        assert {f"distributor/_shipped/{path.relative_to(ROOT).as_posix()}" for path in files} <= packed
    assert "distributor/_shipped/config/distributor.yaml" in packed
    assert "distributor/py.typed" in packed


def test_a_wheel_carries_the_program_and_nothing_else(wheel: zipfile.Path) -> None:
    tops = {name.partition("/")[0] for name in wheel.root.namelist()}
    assert tops == {"distributor", f"distributor-{__version__}.dist-info"}
    assert not [name for name in wheel.root.namelist() if "__pycache__" in name or "/sandbox_test" in name]


def test_an_installed_wheel_finds_its_templates_and_config(wheel: zipfile.Path, tmp_path: Path) -> None:
    assert wheel.root.filename
    with zipfile.ZipFile(wheel.root.filename) as packed:
        packed.extractall(tmp_path)
    code = "from distributor import shipped; print(shipped.templates_dir(), shipped.config_dir(), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    inside = tmp_path / "distributor/_shipped"
    assert done.stdout.split() == [str(inside / "templates"), str(inside / "config")]


def test_a_checkout_finds_its_templates_and_config() -> None:
    assert shipped.templates_dir() == ROOT / "templates"
    assert shipped.config_dir() == ROOT / "config"


def test_the_version_is_said_once_or_the_same() -> None:
    assert PROJECT["project"]["version"] == __version__


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_pins_what_uv_lock_pins_with_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        pin = re.match(r"([a-z0-9-]+)==(\S+)", block)
        assert pin, block[:80]
        package = LOCKED[pin[1]]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert pin[2] == package["version"], f"{pin[1]}: run make lock"
        assert set(re.findall(r"sha256:[0-9a-f]{64}", block)) == {file["hash"] for file in files}


def test_every_dependency_is_locked_and_has_a_wheel() -> None:
    groups = PROJECT["dependency-groups"].values()
    named = [*PROJECT["project"]["dependencies"], *(line for group in groups for line in group)]
    text = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    for requirement in (line for line in named if isinstance(line, str)):
        package = re.match(r"[a-z0-9.-]+", requirement)
        assert package, requirement
        name = package[0].replace(".", "-")
        assert f"\n{name}==" in f"\n{text}", f"{name}: run make lock"
        assert LOCKED[name].get("wheels"), f"{name} has no wheel"


def test_every_dependency_has_a_lowest_version() -> None:
    for requirement in PROJECT["project"]["dependencies"]:
        assert ">=" in requirement, requirement


def test_no_file_but_uv_lock_names_a_package_registry() -> None:
    hosts = re.compile(r"\b(?:files\.)?py(?:pi|thonhosted)\.(?:org|io)\b|registry\.npm" + r"js")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    files = [ROOT / name for name in tracked if name and name != "uv.lock"] or list(PACKAGE.rglob("*.py"))
    wrong = [
        str(path.relative_to(ROOT))
        for path in files
        if path.is_file() and hosts.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not wrong, wrong
