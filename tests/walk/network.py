"""Machines with networks of their own: network namespaces of Linux, joined by a bridge, with cables to pull."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


def find_reason_against() -> str:
    """Why there can be no network namespaces here; "" when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if shutil.which("ip") is None:
        return "network namespaces need the program ip (package iproute2)"
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"ip netns add: {made.stderr.strip()[:200]}"
    call("netns", "del", name)
    return ""


def call(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Network:
    """A bridge and `count` machines on it; what they are asked to forward is found on their loopback."""

    def __init__(self, count: int) -> None:
        number = os.getpid() % 65_000
        self._bridge = f"dbr{number}"
        self._net = f"10.{200 + number // 256 % 50}.{number % 256}"
        #: The address of this side, where the database listens.
        self.address = f"{self._net}.1"
        self.range = f"{self._net}.0/24"
        self.names = [f"dist{number}m{one}" for one in range(count)]
        self._cables = [f"dc{number}m{one}" for one in range(count)]
        self._forwarders: list[subprocess.Popen[bytes]] = []
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        call("link", "add", self._bridge, "type", "bridge")
        call("addr", "add", f"{self.address}/24", "dev", self._bridge)
        call("link", "set", self._bridge, "up")
        for number, (name, cable) in enumerate(zip(self.names, self._cables, strict=True)):
            call("netns", "add", name)
            call("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            call("link", "set", cable, "master", self._bridge, "up")
            for words in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"{self._net}.{number + 2}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
            ):
                call("-n", name, *words)

    def forward(self, ports: list[int]) -> None:
        """What listens on this side's loopback is found on each machine's, too."""
        words = [str(port) for port in ports]
        self._start_forwarder([], self.address, "127.0.0.1", words)
        for number in range(len(self.names)):
            self._start_forwarder(self.enter(number), "127.0.0.1", self.address, words)

    def enter(self, number: int) -> list[str]:
        """What stands before a command that runs on a machine."""
        return ["ip", "netns", "exec", self.names[number]]

    def pull(self, number: int) -> None:
        """The cable: nothing comes through, and nobody is told."""
        call("link", "set", self._cables[number], "down")

    def plug_in(self, number: int) -> None:
        call("link", "set", self._cables[number], "up")

    def _start_forwarder(self, prefix: list[str], here: str, there: str, ports: list[str]) -> None:
        command = [*prefix, sys.executable, "-m", "tests.walk.forwarder", here, there, *ports]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        self._forwarders.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the forwarder at {here} did not start")

    def close(self) -> None:
        for process in self._forwarders:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._bridge], capture_output=True, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
