"""The site of the documentation: it builds without a complaint, is complete, and asks for nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

# The site is built once for all tests here, so one worker takes them all.
pytestmark = pytest.mark.xdist_group("site")

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md") if path.stem != "0000-template"
)
SPECS = sorted((ROOT / "specs").glob("*.yaml"))


def build(*arguments):
    """Builds it. Never with `--quiet`: what mkdocs does not say, it does not count either."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build("--site-dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page_of(path):
    return path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html")


class Links(HTMLParser):
    """Where a page leads, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.leads, self.loads = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a":
            self.leads.append(given.get("href") or "")
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(given.get("href") or "")
        self.loads += [given["src"]] if "src" in given else []


def test_every_page_is_there_and_can_be_reached(site):
    start = Links((site / "index.html").read_text(encoding="utf-8"))
    reached = {(site / href.partition("#")[0]).resolve() for href in start.leads if not href.startswith("http")}
    for path in PAGES:
        page = site / page_of(path)
        assert page.is_file() and page.resolve() in reached, path


def test_pages_are_named_by_their_titles(site):
    text = (site / "how-it-works.html").read_text(encoding="utf-8")
    assert '<a href="diagnostics.html">Diagnostics</a>' in text and ".md</a>" not in text


def test_specs_are_pages_that_the_models_lead_to(site):
    models = Links((site / "models.html").read_text(encoding="utf-8"))
    for path in SPECS:
        assert f"specs/{path.stem}.html" in models.leads
        text = re.sub("<[^>]+>", "", (site / "specs" / f"{path.stem}.html").read_text(encoding="utf-8"))
        assert "teaspec: 1" in text


def test_nothing_comes_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    loaded = {load for page in pages for load in Links(page.read_text(encoding="utf-8")).loads}
    assert loaded and [load for load in loaded if "//" in load and not load.startswith("data:")] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles and not any(re.search(r"@import|url\(\s*[\"']?(https?:)?//", style) for style in styles)


WIDE_AS_ITS_FRAME = """() => [...document.querySelectorAll('.md-typeset__scrollwrap')]
    .map(frame => frame.scrollWidth - frame.clientWidth)"""


def measured(browser, page_file, width, script):
    """What a script finds on a page of the site, in a window so wide."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(page_file.as_uri())
    found = page.evaluate(script)
    page.close()
    return found


@pytest.mark.parametrize("name", ["index", "models", "serving"])
def test_no_table_scrolls_sideways_on_a_laptop(site, browser, name):
    """Seen red: the table of models with a column for the spec and one for what is carried, beside its headings."""
    beyond = measured(browser, site / f"{name}.html", 1300, WIDE_AS_ITS_FRAME)
    assert beyond and max(beyond) <= 0


WIDE_AS_ITS_BLOCK = (
    """() => [...document.querySelectorAll('pre > code')].map(one => one.scrollWidth - one.clientWidth)"""
)


@pytest.mark.parametrize("name", ["index", "serving"])
def test_what_is_to_be_copied_is_seen_whole_on_a_laptop(site, browser, name):
    """Seen red: `from_pretrained` of docs/serving.md on one line."""
    beyond = measured(browser, site / f"{name}.html", 1300, WIDE_AS_ITS_BLOCK)
    assert beyond and max(beyond) <= 0


@pytest.mark.parametrize("name", ["index", "serving"])
def test_no_table_scrolls_sideways_on_a_phone(site, browser, name):
    """That of the models does, for names of classes stay whole. Seen red: calls that do not break at their blanks."""
    beyond = measured(browser, site / f"{name}.html", 420, WIDE_AS_ITS_FRAME)
    assert beyond and max(beyond) <= 0


@pytest.mark.parametrize("width", [420, 1300])
def test_the_front_door_fits_and_shows_both_pictures(site, browser, width):
    """Seen red: two columns of a fixed width."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((site / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    widths = page.evaluate("[...document.querySelectorAll('.pictures img')].map(one => [one.naturalWidth, one.width])")
    page.close()
    assert len(widths) == 2 and all(natural > 0 and 300 < shown <= width for natural, shown in widths)


@pytest.fixture
def small_site(tmp_path):
    """The same settings with pages of its own; builds them."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "docs" / "stylesheets").mkdir(parents=True)
    (tmp_path / "docs" / "stylesheets" / "site.css").touch()
    text = re.sub(r"(?s)^nav:.*?\n\n", "nav: [index.md]\n\n", text, flags=re.MULTILINE)
    text = text.replace("docs_dir: docs", f"docs_dir: {tmp_path / 'docs'}")
    (tmp_path / "mkdocs.yml").write_text(text.replace("tools/site.py", str(ROOT / "tools" / "site.py")))

    def small_site(**pages):
        for name, page in pages.items():
            (tmp_path / "docs" / f"{name}.md").write_text(page, encoding="utf-8")
        return build("--config-file", tmp_path / "mkdocs.yml", "--site-dir", tmp_path / "site")

    return small_site


def test_a_link_to_nowhere_fails_the_build(small_site, tmp_path):
    done = small_site(index="# Start\n\n[a spec](../specs/flux.yaml)\n", other="# Another page\n")
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "Another page" in index  # in the navigation, though nothing names it
    done = small_site(index="# Start\n\n[a spec](../specs/flucks.yaml)\n")
    assert done.returncode == 1 and "specs/flucks.md" in done.stdout + done.stderr
