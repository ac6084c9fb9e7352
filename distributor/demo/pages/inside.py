"""For the curious: the configuration, the product's last words, and commands to try."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from html import escape


def write_inside(config: str, log: str, commands: Sequence[tuple[str, str]]) -> str:
    """`commands` are (what it shows, what to type)."""
    shown = "".join(f"<dt>{escape(words)}</dt><dd><code>{escape(line)}</code></dd>" for words, line in commands)
    return f"""<h1>Inside</h1><p class="lead">The product does not know that this is a demo.
It was started with the file below; only the addresses in it lead to stand-ins on this machine.</p>
<section><h2>Try it at a terminal</h2><dl class="commands">{shown}</dl></section>
<section><h2>Its configuration</h2><pre class="sheet wide">{escape(config)}</pre></section>
<section><h2>What it says</h2>
<pre class="sheet wide" id="log" data-live>{escape(_read_lines(log))}</pre></section>"""


def _read_lines(log: str) -> str:
    """JSON lines as a person would like to read them."""
    return "\n".join(_read_line(line) for line in log.splitlines())


def _read_line(line: str) -> str:
    try:
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["at"]).astimezone()
        return f"{at:%H:%M:%S}  {entry['level']:<7}  {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line
