"""Templates that try to break out, never end or grow without limit (facts/reliability.md row 24)."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributor.core.errors import TemplateError
from distributor.pipeline.render import Job, Renderer, RenderLimits, Templates
from distributor.pipeline.render_process import RenderProcess
from tests.stories import ToyChannel, make_context, preview

LIMITS = RenderLimits(cpu=1)

COSTLY = {
    "a_loop_in_a_loop": "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a_long_range": "{{ range(999999)|list }}",
    "a_huge_range": "{{ range(10**15, 0, -1)|list }}",
    "a_wide_center": "{{ 'x'|center(900000000) }}",
    "a_wide_ljust": "{{ 'x'.ljust(900000000)|length }}",
    "a_formatted_width": "{{ '%999999999d'|format(1) }}",
    "a_percent_width": "{{ '%999999999d' % 1 }}",
    "a_percent_width_in_markup": "{{ post.body_html % 1 }}",
    "a_method_width": "{{ '{:>999999999}'.format(1) }}",
    "a_hidden_method_width": "{{ ''['form' ~ 'at_map']({}) }}",
    "a_repeated_text": "{{ 'a' * 4000000000 }}",
    "a_repeated_list": "{{ [1] * 4000000000 }}",
    "a_text_repeated_from_the_left": "{{ 4000000000 * 'a' }}",
    "a_huge_power": "{{ 9 ** 999999999 }}",
    "a_tower_of_powers": "{{ 9 ** (9 ** 9) }}",
    "a_huge_product": "{{ (10 ** 15 * 10 ** 15) * 9 }}",
    "a_doubled_text": "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}"
    "{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a_replaced_text": "{{ 'aaaaaaaaa'|replace('a', 'a' * 900)|replace('a', 'a' * 900)|replace('a', 'a' * 900) }}",
    "a_wide_indent": "{{ 'x'|indent(900000000, true) }}",
    "a_huge_batch": "{{ posts|batch(900000000, 1)|list }}",
    "too_much_output": "{% for a in range(1000) %}{% for b in range(1000) %}ab{% endfor %}{% endfor %}",
    "itself_included": "{% include 'each.txt' %}",
    "itself_extended": "{% extends 'each.txt' %}",
    "a_macro_that_calls_itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a_recursive_loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "deep_brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "a_deep_list": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "many_signs": "{{ " + "-" * 50_000 + "1 }}",
    "lorem_ipsum": "{{ lipsum(n=100000) }}",
}

ESCAPES = (
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ [''.__class__]|first }}",
    "{{ posts|map(attribute='__class__')|join }}",
    "{{ posts|groupby('__class__') }}",
    "{{ posts|sum(attribute='__class__') }}",
    "{{ post.__init__ }}",
    "{{ post.get.__self__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ range.__globals__ }}",
    "{{ track.__globals__ }}",
    "{{ loop }}{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{{ (posts|map('upper')).gi_frame }}",
    "{{ namespace.__init__ }}",
    "{{ config }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner }}",
    "{{ dict.__base__ }}",
    "{{ {}.update }}",
    "{{ posts.append(1) }}",
    "{{ post.pop('id') }}",
    "{{ post.update({'id': 1}) }}",
    "{{ '{0.__class__}'.format(post) }}",
    "{{ '<b>'|safe }}",
    "{{ ['<b>']|map('safe')|list }}",
    "{% autoescape false %}{{ post.headline }}{% endautoescape %}",
    "{{ post|tojson }}",
    "{{ environment }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% macro m() %}{{ caller.__closure__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% set x = [].__class__ %}{{ x }}",
    "{{ post.body_html.__html__.__func__ }}",
    "{{ post.body_html.unescape.__self__ }}",
    "{{ ''|string|attr('for' ~ 'mat') }}",
    "{{ none.__class__ }}",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("limits") / "templates"
    (path / "toy").mkdir(parents=True)
    (path / "toy" / "fine.txt").write_text("{{ post.headline }}")
    return path


@pytest.fixture(scope="module")
def renderer(folder: Path) -> Iterator[Renderer]:
    made = Renderer(Templates([folder]), LIMITS)
    yield made
    made.close()


def word(renderer: Renderer, part: str) -> str:
    job = Job(ToyChannel({"each": (part,)}), ("toy",), "each", make_context())
    return renderer.render_texts(job, preview)[part]


@pytest.mark.parametrize("template", COSTLY.values(), ids=COSTLY)
def test_a_costly_template_ends_and_the_next_one_works(renderer: Renderer, folder: Path, template: str) -> None:
    (folder / "toy/each.txt").write_text(template)
    with pytest.raises(TemplateError, match=r"^templates/toy/each\.txt:"):
        word(renderer, "each.txt")
    assert word(renderer, "fine.txt") == "River towns reopen their night ferries"


@pytest.mark.parametrize("template", ESCAPES)
def test_nothing_but_words_is_in_reach(renderer: Renderer, folder: Path, template: str) -> None:
    (folder / "toy/each.html").write_text(template)
    with pytest.raises(TemplateError, match=r"^templates/toy/each\.html:1: "):
        word(renderer, "each.html")


def test_many_templates_from_many_threads_get_their_own_words(renderer: Renderer) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(word(renderer, "fine.txt"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["River towns reopen their night ferries"] * 8


def test_a_template_over_the_wall_clock_is_stopped(folder: Path) -> None:
    (folder / "toy/each.txt").write_text(COSTLY["a_loop_in_a_loop"])
    renderer = Renderer(Templates([folder]), RenderLimits(cpu=60, wall=0.8))
    try:
        with pytest.raises(TemplateError, match=r"each\.txt: took more than 0\.8 s and was stopped"):
            word(renderer, "each.txt")
    finally:
        renderer.close()


def test_the_child_is_told_no_secret_of_the_parents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", "123:secret")
    process = RenderProcess(LIMITS)
    try:
        answer = process.render("x.txt", make_context(), lambda name: {"text": "fine", "label": name})
        assert answer == {"text": "fine"}
        environment = Path(f"/proc/{process.pid}/environ")
        if environment.exists():
            assert b"secret" not in environment.read_bytes()
    finally:
        process.close()


def test_a_child_that_died_between_two_jobs_is_replaced(renderer: Renderer, folder: Path) -> None:
    process = RenderProcess(LIMITS)
    try:
        assert process.render("x", make_context(), lambda name: {"text": "a", "label": name}) == {"text": "a"}
        first = process.pid
        assert first is not None
        os.kill(first, 9)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert process.render("x", make_context(), lambda name: {"text": "b", "label": name}) == {"text": "b"}
        assert process.pid != first
    finally:
        process.close()


def test_closing_twice_and_rendering_again_both_work(folder: Path) -> None:
    renderer = Renderer(Templates([folder]), LIMITS)
    renderer.close()
    assert word(renderer, "fine.txt")
    renderer.close()
    renderer.close()
    assert word(renderer, "fine.txt")
    renderer.close()
