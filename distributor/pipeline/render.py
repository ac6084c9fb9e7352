"""Words: one template per channel and form; preview is the same call with links that are not kept.

What templates may say is listed in `render_context`. A template that does not parse, misses a word, raises,
never ends or grows without limit is a TemplateError that names it and its line; the next one renders as ever.
"""

from __future__ import annotations

import hashlib
import html
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from distributor.core.contracts import Channel
from distributor.core.errors import TemplateError
from distributor.core.message import Content
from distributor.pipeline.render_context import (
    EditionView,
    OverflowView,
    PostView,
    ScheduleView,
    build_context,
    build_page_context,
    find_direction,
)
from distributor.pipeline.render_lines import LineMap, map_lines
from distributor.pipeline.render_links import LinkSpec, Mint, fill_links
from distributor.pipeline.render_process import ChildEnded, RenderLimits, RenderProcess
from distributor.pipeline.render_templates import FALLBACK_FOLDER, Template, Templates

__all__ = [
    "EditionView",
    "Job",
    "LinkSpec",
    "Mint",
    "OverflowView",
    "PostView",
    "RenderLimits",
    "Renderer",
    "ScheduleView",
    "Templates",
    "build_context",
    "build_page_context",
    "find_direction",
]

PAGES_FOLDER = "pages"
_KEPT_COMPILED = 100


@dataclass(frozen=True)
class Job:
    """One edition to be worded: the template folders to search in order, and what `build_context` gave."""

    channel: Channel
    folders: tuple[str, ...]
    form: str
    context: Mapping[str, Any]


@dataclass(frozen=True)
class _Compiled:
    template: Template
    text: str
    lines: LineMap


class Renderer:
    """Renders in a bounded child process, one template at a time; threads wait for each other.

    Costs about 40 MB while the child lives. `close` ends it; the next render starts another (about 0.3 s).
    """

    def __init__(self, templates: Templates, limits: RenderLimits | None = None) -> None:
        self.templates = templates
        self._process = RenderProcess(limits or RenderLimits())
        self._lock = threading.Lock()
        self._compiled: dict[tuple[str, str, str], _Compiled] = {}

    def render(self, job: Job, mint: Mint) -> Content:
        """The frozen content of an edition. Raises TemplateError, and Unsupported where it cannot fit.

        `mint` gives each link its address, and is called once for each different link that the words really
        use; for share buttons it gives the address of the network's own share page.
        """
        return job.channel.compose(self.render_texts(job, mint), job.form)

    def render_texts(self, job: Job, mint: Mint) -> dict[str, str]:
        """The rendered parts by name, with final links, before the channel makes them fit."""
        if job.form not in job.channel.parts:
            forms = ", ".join(job.channel.parts)
            raise TemplateError(f"the channel {job.channel.name} has no form {job.form!r}; it has {forms}")
        mint_once = cache(mint)
        return {name: self._render_part(job, name, mint_once) for name in job.channel.parts[job.form]}

    def render_page(self, name: str, context: Mapping[str, Any]) -> str:
        """A page of `templates/pages/` with what `build_page_context` gave; personal slots stay."""
        found = self.templates.find((PAGES_FOLDER,), name)
        if found is None:
            raise TemplateError(f"there is no such template in the folder {PAGES_FOLDER}", name)
        return self._render_template(found, (PAGES_FOLDER,), context, None)

    def close(self) -> None:
        with self._lock:
            self._process.close()

    def _render_part(self, job: Job, name: str, mint: Mint) -> str:
        template = self.templates.find_part(job.folders, name, job.form)
        text = self._render_template(template, (*job.folders, FALLBACK_FOLDER), job.context, job.channel)
        is_markup = name.endswith((".html", ".mjml"))
        if is_markup and template.name.endswith(".txt"):
            # A channel whose parts are markup is served by the plain words of default/.
            text = html.escape(text, quote=False)
        return fill_links(text, mint, template.label, is_markup)

    def _render_template(
        self, template: Template, folders: Sequence[str], context: Mapping[str, Any], channel: Channel | None
    ) -> str:
        # Before the child is asked, so that a part that does not compile costs no child.
        compiled = {template.label: self._compile(template, channel)}

        def fetch(name: str) -> dict[str, str]:
            found = template if name == template.name else self.templates.find(folders, name)
            if found is None:
                return {}
            done = self._compile(found, channel)
            compiled[found.label] = done
            return {"text": done.text, "label": found.label}

        words = {**context, "words": self.templates.read_words(context["site"]["language"])}
        with self._lock:
            try:
                answer = self._process.render(template.name, words, fetch)
            except ChildEnded as ended:
                raise TemplateError(str(ended), template.label) from ended
        if "error" in answer:
            raise _explain(answer, template, compiled)
        return str(answer["text"])

    def _compile(self, template: Template, channel: Channel | None) -> _Compiled:
        if channel is None:
            return _Compiled(template, template.text, LineMap())
        digest = hashlib.blake2b(template.text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        key = (channel.kind, template.label, digest)
        if key not in self._compiled:
            if len(self._compiled) >= _KEPT_COMPILED:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[key] = _compile(template, channel)
        return self._compiled[key]


def _compile(template: Template, channel: Channel) -> _Compiled:
    text = channel.compile_template(template.label, template.text)
    if text == template.text:
        return _Compiled(template, text, LineMap())
    return _Compiled(template, *map_lines(template.text, text))


def _explain(answer: Mapping[str, Any], template: Template, compiled: Mapping[str, _Compiled]) -> TemplateError:
    label, line = answer.get("template") or template.label, answer.get("line")
    lines = compiled[label].lines if label in compiled else LineMap()
    if lines.compiled:
        line = lines.find_line(line)
    return TemplateError(str(answer["error"]), label, line)
