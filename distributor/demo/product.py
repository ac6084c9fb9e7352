"""The product as any operator runs it: the `distributor` program with a configuration file, in its own process."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from distributor.demo.keeper import GRACE
from distributor.demo.waiting import Stalled

#: Seconds for a command that only reads or writes a little.
PATIENCE = 120.0


def name_program() -> str:
    """What to type at a terminal here to run the product."""
    script = Path(sys.executable).with_name("distributor")
    if not script.is_file():
        return f"{sys.executable} -m distributor"
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


class Product:
    """One running `distributor run`. It ends with this process, also when this process is killed."""

    def __init__(self, config: Path, url: str) -> None:
        self.config = config
        self.url = url
        self.log = config.parent.parent / "distributor.log"
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches the demo, which then stops the product once.
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "distributor.demo.keeper", *self.make_command("run")],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to finish what is on the wire and end; returns its exit code."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return 0
        assert keeper.stdin
        keeper.stdin.close()
        try:
            return keeper.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            keeper.kill()
            return keeper.wait()

    def make_command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "distributor", *words, "--config", str(self.config)]

    def ask(self, *words: str) -> str:
        """What a command of the product prints. Stalled with its own words when it fails."""
        done = subprocess.run(
            self.make_command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        if done.returncode:
            raise Stalled(f"distributor {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def check(self) -> None:
        """Stalled with the end of its log when it has ended by itself."""
        if self._keeper is not None and (code := self._keeper.poll()) is not None:
            raise Stalled(f"the product ended by itself with exit code {code}. Its last words:\n{self.read_log()}")

    def is_up(self) -> bool:
        """Whether its web server answers."""
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"{self.url}/healthz", timeout=5
            ):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def read_log(self, lines: int = 15) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(it said nothing)"
