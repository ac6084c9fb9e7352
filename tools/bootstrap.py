"""Make .venv/ ready to use: `python3 tools/bootstrap.py`, with `--dev` what tests and checks need too.

Installs exactly what requirements.lock (or requirements-dev.lock) pins, wheels with checked hashes only, and the
project itself as an editable install. Uses uv where it is on the PATH, else pip: the interpreter's own, or, where
the interpreter has none, the wheel that uv.lock pins. A second run with nothing changed does nothing. A .venv whose
setting up was cut short is made anew.

PIP_INDEX_URL names another package index, PIP_CERT its certificates; PIP_NO_INDEX=1 with PIP_FIND_LINKS a folder
of wheels. Only the standard library, and nothing that Python 3.6 could not parse: it has to say that it is too old.
"""

import os
import sys

OLDEST = (3, 11)
NEWEST_KNOWN = 14


def continue_on_newer_python() -> None:
    import shutil

    for minor in range(NEWEST_KNOWN, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])
    sys.exit(
        f"setup: Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, {sys.executable} is {sys.version.split()[0]}. "
        "Install a newer one and name it: make PYTHON=/path/to/python3"
    )


if sys.version_info < OLDEST:
    continue_on_newer_python()

import fcntl  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup-stamp.json"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}


class SetupError(Exception):
    """One sentence that says what is wrong and what to do."""


def main() -> int:
    level = "dev" if "--dev" in sys.argv[1:] else "run"
    with Path(__file__).open("rb") as own_file:
        fcntl.flock(own_file, fcntl.LOCK_EX)
        stamp = read_stamp()
        if level == "run" and stamp.get("level") == "dev":
            level = "dev"
        if stamp == make_stamp(level) and PYTHON.exists():
            return 0
        try:
            set_up(level, is_reusable=bool(stamp) and stamp.get("place") == str(VENV) and PYTHON.exists())
        except SetupError as error:
            print(f"setup: {error}", file=sys.stderr)
            return 1
    return 0


def read_stamp() -> dict[str, str]:
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def make_stamp(level: str) -> dict[str, str]:
    digest = hashlib.sha256()
    for path in (LOCKS[level], ROOT / "pyproject.toml", Path(__file__)):
        digest.update(path.read_bytes())
    return {"level": level, "digest": digest.hexdigest(), "place": str(VENV)}


def set_up(level: str, is_reusable: bool) -> None:
    import shutil

    if is_reusable:
        STAMP.unlink(missing_ok=True)
    elif VENV.exists() or VENV.is_symlink():
        remove_venv()
    stamp = make_stamp(level)
    uv = shutil.which("uv")
    if not (uv and install_with_uv(uv, LOCKS[level])):
        install_with_pip(LOCKS[level])
    install_project()
    compile_bytecode()
    STAMP.write_text(json.dumps(stamp))


def remove_venv() -> None:
    import shutil

    print("setup: .venv is incomplete or was moved; making it anew", flush=True)
    try:
        VENV.unlink() if VENV.is_symlink() else shutil.rmtree(VENV)
    except OSError as error:
        raise SetupError(f"{VENV} cannot be removed ({error.strerror}); remove it by hand") from error


def install_with_uv(uv: str, lock: Path) -> bool:
    """False where uv could not do it, for example because only pip is told of the house's own index."""
    announce("uv", lock)
    if "PIP_INDEX_URL" in os.environ:
        os.environ.setdefault("UV_DEFAULT_INDEX", os.environ["PIP_INDEX_URL"])
    options = ["--quiet", "--python", str(PYTHON), "--require-hashes", "--no-build"]
    is_made = PYTHON.exists() or run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)])
    return is_made and run([uv, "pip", "sync", *options, str(lock)])


def install_with_pip(lock: Path) -> None:
    announce("pip, this takes half a minute", lock)
    if not PYTHON.exists() and not run([sys.executable, "-m", "venv", "--without-pip", str(VENV)]):
        raise SetupError(f"{sys.executable} cannot make a virtual environment; install its venv module")
    options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check"]
    if not run([*find_pip(), "install", *options, "--requirement", str(lock)]):
        raise SetupError(
            "the packages could not be installed, pip says why above. Is the package index reachable? "
            "PIP_INDEX_URL names a mirror; PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER take wheels from a folder"
        )


def install_project() -> None:
    """The build backend comes from the lock file too: nothing is fetched here."""
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    if not run([str(PYTHON), "-m", "pip", "install", *options, "--editable", str(ROOT)]):
        raise SetupError("the project itself could not be installed into .venv; pip says why above")


def compile_bytecode() -> None:
    """What Python would do at each first import: uv leaves it out, and some hosts forbid Python to keep the result.

    A start without it takes more than twice as long. A file that cannot be compiled (a template for another
    Python) is skipped.
    """
    folders = [str(VENV / "lib"), str(ROOT / "distributor")]
    run([str(PYTHON), "-m", "compileall", "-q", "-q", "-j", "0", *folders], is_quiet=True)


def find_pip() -> list[str]:
    """The command of a pip that installs into .venv."""
    from importlib.util import find_spec

    own = [str(PYTHON), "-m", "pip"]
    if run([*own, "--version"], is_quiet=True):
        return own
    if find_spec("ensurepip") and run([str(PYTHON), "-m", "ensurepip", "--default-pip"], is_quiet=True):
        return own
    outer = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if run([*outer, "--version"], is_quiet=True):
        return outer
    return [str(PYTHON), str(fetch_pip() / "pip")]


def fetch_pip() -> Path:
    """Download the pip wheel that uv.lock pins: a wheel is a zip file that Python can run."""
    import tomllib

    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (wheel,) = next(package["wheels"] for package in packages if package["name"] == "pip")
    name: str = wheel["url"].rpartition("/")[2]
    index = os.environ.get("PIP_INDEX_URL")
    data = download(find_on_index(index, name) if index else wheel["url"])
    if wheel["hash"] != "sha256:" + hashlib.sha256(data).hexdigest():
        raise SetupError(f"{name} is not the file that uv.lock pins; ask whoever runs the package index")
    path = VENV / name
    path.write_bytes(data)
    return path


def find_on_index(index: str, name: str) -> str:
    import re
    from urllib.parse import urljoin

    page = index.rstrip("/") + "/pip/"
    found = re.search(rf'href="([^"#]*{re.escape(name)})["#]', download(page).decode("utf-8", "replace"))
    if not found:
        raise SetupError(f"the package index has no {name}; install pip for {sys.executable} by hand")
    return urljoin(page, str(found[1]))


def download(url: str) -> bytes:
    import ssl
    from urllib.request import urlopen

    try:
        context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
        with urlopen(url, timeout=30, context=context) as answer:
            data: bytes = answer.read()
    except OSError as error:
        raise SetupError(
            f"{sys.executable} has no pip, and pip cannot be downloaded ({error}). Connect to the network, "
            "name your mirror in PIP_INDEX_URL, or install the packages python3-venv or python3-pip"
        ) from error
    return data


def announce(tool: str, lock: Path) -> None:
    print(f"setup: installing the packages of {lock.name} into .venv with {tool}", flush=True)


def run(command: list[str], is_quiet: bool = False) -> bool:
    import subprocess

    quiet = subprocess.DEVNULL if is_quiet else None
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=quiet, stderr=quiet).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
