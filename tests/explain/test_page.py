"""The HTML page, as a browser shows it: complete, within its bounds, legible, and by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from teaspec.authoring.build import compile_for_probe
from teaspec.compiler import compile_spec, load_spec
from teaspec.explain.explanation import explain
from teaspec.explain.page import render_page
from tests.explain.models import SPEC, Marked
from tests.legible import CLIPPED, CONTRAST

SPECS = Path(__file__).parents[2] / "specs"
NAMES = ("cosmos3_omni", "flux", "wan")


@cache
def shipped(name):
    spec = load_spec(SPECS / f"{name}.yaml")
    return explain(spec, compile_for_probe(spec))


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens the page of a spec, with all that is folded unfolded, and notes what it asks for."""

    def open_page(explanation, scheme="light", width=1440):
        file = tmp_path / "page.html"
        file.write_text(render_page(explanation), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert asked == [file.as_uri()]
        return page

    return open_page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_complete_and_nothing_sticks_out(open_page, name, scheme):
    explanation = shipped(name)
    lines = [line.text for listing in explanation.listings for line in listing.all_lines]
    assert len(lines) > 100
    for width in (1440, 420):
        page = open_page(explanation, scheme, width)
        assert page.evaluate("[...document.querySelectorAll('.ln code')].map(one => one.textContent)") == lines
        shown = iter(page.inner_text("body").split("\n"))
        assert [line for line in lines if line.strip() and line.strip() not in (one.strip() for one in shown)] == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
        assert page.evaluate(CLIPPED) == [], width
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(open_page, scheme):
    page = open_page(explain(load_spec(SPEC), compile_spec(load_spec(SPEC), Marked())), scheme)
    found = page.evaluate(CONTRAST)
    assert len(found) > 25
    assert {kind: ratio for kind, ratio in found.items() if ratio < 4.5} == {}
    page.close()


def test_the_two_schemes_differ_and_parts_have_colours_of_their_own(open_page):
    explanation = explain(load_spec(SPEC), compile_spec(load_spec(SPEC), Marked()))
    colours = "[...document.querySelectorAll('.legend dt')].map(one => getComputedStyle(one).color)"
    seen = {}
    for scheme in ("light", "dark"):
        page = open_page(explanation, scheme)
        seen[scheme] = page.evaluate("[getComputedStyle(document.body).backgroundColor]") + page.evaluate(colours)
        page.close()
    assert len({*seen["light"], *seen["dark"]}) == 14


def test_a_reused_step_can_be_shown_alone(open_page):
    explanation = shipped("flux")
    page = open_page(explanation)
    by_line = {line.number: line for line in explanation.forward.lines if line.kind == "code"}
    opacity = "number => getComputedStyle(document.getElementById(`L0-${number}`)).opacity"
    numbers = [number for number, line in by_line.items() if line.begins]
    assert {page.evaluate(opacity, number) for number in numbers} == {"1"}
    page.get_by_label("a reused step").check()
    page.add_style_tag(content="* { transition: none !important; }")
    dimmed = [number for number in numbers if page.evaluate(opacity, number) != "1"]
    assert dimmed == [number for number in numbers if not by_line[number].on_reuse]
    assert 0 < len(dimmed) < len(numbers)
    page.close()


def test_the_numbers_are_those_of_the_explanation(open_page):
    explanation = shipped("flux")
    page = open_page(explanation)
    text = " ".join(page.inner_text("header").split())
    assert f"executes {explanation.reused} of {explanation.total} statements of the forward" in text
    for count in explanation.counts:
        assert f"{count.part.word} {count.number}" in text
    page.close()


def test_text_is_text():
    """Nothing of a spec or a model becomes markup."""
    explanation = explain(load_spec(SPEC), compile_spec(load_spec(SPEC), Marked()))
    evil = "<script>alert(1)</script>&amp;"
    lines = tuple(replace(line, text=f"{line.text} # {evil}") for line in explanation.forward.lines)
    forward = replace(explanation.forward, lines=lines, title=evil, file=evil)
    html = render_page(replace(explanation, spec=evil, class_name=evil, signal=evil, forward=forward, extractor=evil))
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;") > len(lines)


def test_the_page_stands_alone_and_is_the_same_each_time():
    explanation = shipped("flux")
    html = render_page(explanation)
    assert html == render_page(explanation)
    head = html.partition("</head>")[0]
    assert not any(sign in head for sign in ("<link", "<script", "@import", "url(", "src="))
