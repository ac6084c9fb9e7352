"""Jinja2 as newsrooms get it: words in, words out, and nothing else. Used in the rendering child only.

jinja2.sandbox stops a template from reaching Python; what it does not stop is cost (facts/reliability.md
row 24). What can be counted is counted here, the rest by the limits of the child process.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import BaseLoader, BytecodeCache, StrictUndefined, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.bccache import Bucket
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from distributor.pipeline.render_filters import Filters
from distributor.pipeline.render_links import LinkSpec, mark_link

LONGEST_RANGE = 1000
LONGEST_REPEAT = 1000
LARGEST_NUMBER = 10**15

#: Costly (format), able to reach attributes (attr, map by attribute goes through the sandbox), different at each
#: call (random), or a way round escaping (safe, urlize, xmlattr, tojson, forceescape).
_NO_FILTERS = ("attr", "forceescape", "format", "pprint", "random", "safe", "tojson", "urlize", "xmlattr")
_NO_GLOBALS = ("cycler", "joiner", "lipsum")
_DICT_METHODS = frozenset(("items", "keys", "values", "get"))
_CACHED_TEMPLATES = 200

#: name -> (text, label), or None when there is no such template.
Fetch = Callable[[str], tuple[str, str] | None]


def is_markup(name: str) -> bool:
    """Whether what a template prints is escaped for HTML."""
    return name.endswith((".html", ".mjml"))


class MissingWord(StrictUndefined):
    """A word that is not there, with the nearest one that is."""

    @property
    def _undefined_message(self) -> str:
        name = self._undefined_name
        if self._undefined_hint or not isinstance(self._undefined_obj, dict) or not isinstance(name, str):
            return super()._undefined_message
        near = difflib.get_close_matches(name, [str(key) for key in self._undefined_obj], n=1)
        return f"there is no word {name!r} here" + (f"; did you mean {near[0]!r}?" if near else "")


class Sandbox(ImmutableSandboxedEnvironment):
    """Renders the templates that `fetch` gives, with plain data only."""

    intercepted_binops = frozenset(("*", "**", "%"))

    def __init__(self, fetch: Fetch, filters: Filters) -> None:
        super().__init__(
            loader=_Loader(fetch),
            undefined=MissingWord,
            autoescape=lambda name: is_markup(name or ""),
            trim_blocks=True,
            lstrip_blocks=True,
            # Templates of two folders share a name, so only code is kept, by content.
            cache_size=0,
            bytecode_cache=_CodeCache(),
            # A filter worked out at compile time would keep the language of one site in the code for all.
            optimized=False,
        )
        for name in _NO_FILTERS:
            del self.filters[name]
        for name in _NO_GLOBALS:
            del self.globals[name]
        self.filters.update(filters.by_name())
        self.globals.update(range=count, track=track)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Words before methods: `post.share.copy` is a link, not the method of a dict."""
        if not isinstance(obj, dict):
            return super().getattr(obj, attribute)
        if attribute in obj:
            return obj[attribute]
        if attribute in _DICT_METHODS:
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is None:
            return None
        return _refuse_format

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, int | float) and isinstance(right, int | float):
            return self._calculate(operator, left, right)
        if operator == "*" and isinstance(left, str) and isinstance(right, int):
            if len(left) * right > LONGEST_REPEAT:
                raise SecurityError(f"a repeated text may have {LONGEST_REPEAT} characters at most")
            return left * right
        raise SecurityError(f"{operator!r} works on numbers only; join texts with ~")

    def _calculate(self, operator: str, left: float, right: float) -> Any:
        if abs(left) > LARGEST_NUMBER or abs(right) > (64 if operator == "**" else LARGEST_NUMBER):
            raise SecurityError(f"the numbers at {operator!r} are too large")
        return self.binop_table[operator](left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in tree.find_all(nodes.EvalContextModifier):
            raise TemplateSyntaxError("escaping cannot be switched off", node.lineno, name, filename)
        return tree


class _Loader(BaseLoader):
    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def get_source(self, environment: Any, template: str) -> tuple[str, str, Callable[[], bool]]:
        found = self._fetch(template)
        if found is None:
            raise TemplateNotFound(template, f"there is no template {template!r} to include")
        return found[0], found[1], lambda: True


class _CodeCache(BytecodeCache):
    """Compiled templates by name and content, the oldest forgotten first."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if len(self._codes) >= _CACHED_TEMPLATES:
            del self._codes[next(iter(self._codes))]
        self._codes[bucket.key, bucket.checksum] = bucket.code


def count(*bounds: int) -> range:
    """`range` of at most 1,000 numbers."""
    numbers = range(*bounds)
    # len() of a huge range overflows.
    if numbers and (abs(numbers[-1] - numbers[0]) // abs(numbers.step)) >= LONGEST_RANGE:
        raise SecurityError(f"range() may have {LONGEST_RANGE} numbers at most")
    return numbers


def track(url: str, slot: str) -> str:
    """Any other web address as a tracked link; `slot` is the word it is counted under."""
    return mark_link(LinkSpec(str(slot), str(url)))


def read_words(data: Any) -> Any:
    """The context as templates get it: what is named *_html was sanitised and is printed as it is."""
    if isinstance(data, Mapping):
        return {
            key: Markup(value) if key.endswith("_html") and isinstance(value, str) else read_words(value)
            for key, value in data.items()
        }
    return [read_words(item) for item in data] if isinstance(data, list) else data


def _refuse_format(*_: Any, **__: Any) -> str:
    raise SecurityError("format is not available in templates; join texts with ~")
