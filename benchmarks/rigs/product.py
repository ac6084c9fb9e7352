"""The whole product as a process of its own, and what the system says about it."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@dataclass(frozen=True)
class Product:
    """A running product: its process, and the address of its pages."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def wait_for(self, path: str) -> None:
        """Until the page answers 200."""
        deadline = time.monotonic() + PATIENCE
        while ask(self.port, path) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the product did not answer {path}:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.005)

    def wait_for_log(self, words: str) -> None:
        """Until the log has these words."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.log.read_text(encoding="utf-8"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the product did not say {words!r}:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def read_cpu(self) -> float:
        """User and system seconds of the process and of the children it has waited for or still has."""
        return sum(read_cpu_of(pid) for pid in (self.process.pid, *list_children(self.process.pid)))

    def read_megabytes(self) -> dict[str, float]:
        """Memory of the process and its children. "resident" counts pages that they share with each other and with
        other programs (the interpreter, libraries) for each of them; "own" gives everybody its part of such a page
        (the kernel's PSS)."""
        found = [_read_memory(pid) for pid in (self.process.pid, *list_children(self.process.pid))]
        return {name: sum(one[field] for one in found) for name, field in (("resident", "Rss"), ("own", "Pss"))}


def write_config(folder: Path, **sections: Any) -> Path:
    """A configuration of a whole newsroom: what `sections` leave out is filled in. Its port is in `web`."""
    port = find_port()
    settings: dict[str, Any] = {
        "site": {"name": "The Daily Example", "public_url": f"http://127.0.0.1:{port}", "timezone": "Europe/Kyiv"},
        "web": {"listen": f"127.0.0.1:{port}"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        **sections,
    }
    config = folder / "config" / "distributor.yaml"
    config.parent.mkdir(parents=True)
    with config.open("w", encoding="utf-8") as file:
        YAML().dump(settings, file)
    return config


def make_channels(base: str, smtp_port: int) -> list[dict[str, Any]]:
    """One channel of each kind and transport; `base` is where the services' addresses begin."""
    letter = {"kind": "email", "from": "Daily <news@example.org>", "list": "readers"}
    keys = dict.fromkeys(("api_key", "api_secret", "access_token", "access_secret"), "key")
    return [
        {"name": "tg", "kind": "telegram", "token": "4242:bench", "chat": "@daily", "api_base": base},
        {"name": "x", "kind": "x", "api_base": base, **keys},
        {"name": "smtp", **letter, "host": "127.0.0.1", "port": smtp_port, "tls": "none"},
        {"name": "grid", **letter, "transport": "sendgrid", "api_key": "SG.key", "api_base": base},
    ]


@contextmanager
def run_product(config: Path, *options: str) -> Iterator[Product]:
    """`distributor run` until the block ends. Its log goes to run.log beside the configuration's folder."""
    port = int(str(YAML(typ="safe").load(config)["web"]["listen"]).rpartition(":")[2])
    command = [sys.executable, "-m", "distributor", "run", "--config", str(config), *options]
    log = config.parents[1] / "run.log"
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, stderr=file, stdout=file)
    try:
        yield Product(process, port, log)
    finally:
        process.terminate()
        process.wait()


def compile_bytecode() -> None:
    """As `make setup` does: a checkout that was edited since would be compiled at each start on some hosts."""
    command = [sys.executable, "-m", "compileall", "-q", "-q", str(ROOT / "distributor")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ask(port: int, path: str) -> int:
    """The status of the answer; 0 when there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def read_cpu_of(pid: int) -> float:
    """User and system seconds of a process, with those of children it has waited for; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def list_children(pid: int) -> Sequence[int]:
    """The processes that it started and that still run, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        own = [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
        found += [pid for child in own for pid in (child, *list_children(child))]
    return found


def _read_memory(pid: int) -> dict[str, float]:
    """Megabytes by the names of the kernel's smaps_rollup; nothing of a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {"Rss": 0.0, "Pss": 0.0}
    return {name: int(rest.split()[0]) * 1024 / 1e6 for name, _, rest in (line.partition(":") for line in lines)}
