"""The page as a browser shows it: its numbers, its pictures, within its bounds, legible, in both schemes."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.compare import by_hand, loaders
from tests.compare.conftest import PROMPTS, SEEDS, STEPS
from tests.legible import CLIPPED, CONTRAST

# Each comparison is made once, so one worker takes all tests that look at it.
pytestmark = pytest.mark.xdist_group("compare")

SCHEMES = ("light", "dark")


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page, and holds that it asks for nothing else."""
    opened = []

    def open_page(file: Path, scheme: str = "light", width: int = 1300) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        opened.append(page)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
        return page

    yield open_page
    for page in opened:
        page.close()


@pytest.mark.parametrize("loader", ["sd3", pytest.param("wan_video", marks=pytest.mark.thorough)])
def test_nothing_sticks_out_and_all_can_be_read(made: Any, open_page: Any, loader: str) -> None:
    """Mutations: a table of a fixed width; soft text of the light scheme in the dark one."""
    painted = {}
    for scheme in SCHEMES:
        for width in (1300, 420):
            page = open_page(made(loader, 0.12).page, scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
            assert page.evaluate(CLIPPED) == [], (scheme, width)
            found = page.evaluate(CONTRAST)
            assert len(found) > 20
            assert {kind: ratio for kind, ratio in found.items() if ratio < 4.5} == {}
            painted[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert painted["light"] != painted["dark"]


@pytest.mark.parametrize("loader", ["sd3", pytest.param("wan_video", marks=pytest.mark.thorough)])
def test_numbers_and_pictures_are_those_made_by_hand(made: Any, open_page: Any, loader: str) -> None:
    """Mutations: the columns of PSNR exchanged; computed and reused cells exchanged; the uncached picture in place
    of a cached one.
    """
    page = open_page(made(loader, 0.12).page)
    pipeline = getattr(loaders, loader)()
    motifs = [(prompt, seed) for prompt in PROMPTS for seed in SEEDS]
    expected = [by_hand.generate(pipeline, *motif, STEPS)[0] for motif in motifs]
    rows = page.locator("tbody tr").all()
    assert len(rows) == 3
    for row, settings in zip(rows, ({"budget": 2}, {"budget": 4}, {"rel_l1_thresh": 0.12}), strict=True):
        cached = [by_hand.generate(pipeline, *motif, STEPS, **settings)[0] for motif in motifs]
        decibels = [by_hand.psnr(one, two) for one, two in zip(cached, expected, strict=True)]
        name, value = next(iter(settings.items()))
        assert f"{name}={value}" in row.locator("th").inner_text()
        cells = {cell.get_attribute("data-name"): cell.inner_text() for cell in row.locator("td[data-name]").all()}
        assert _decibels(cells["PSNR"]) == pytest.approx(median(decibels), abs=0.06)
        assert _decibels(cells["lowest PSNR"]) == pytest.approx(min(decibels), abs=0.06)
        likeness = median(by_hand.ssim(one, two) for one, two in zip(cached, expected, strict=True))
        assert float(cells["SSIM"]) == pytest.approx(likeness, abs=2e-4)
        if "budget" in settings:
            assert cells["steps computed"] == f"{settings['budget']} of {STEPS}"
        for strip in row.locator(".cells").all():
            marks = strip.evaluate("one => [...one.children].map(cell => cell.className)")
            assert len(marks) == STEPS
            assert marks[0] == "on"
            if "budget" in settings:
                assert marks.count("on") == settings["budget"]
    figures = page.locator("figure img").all()
    assert len(figures) == len(motifs) * 4
    first = [_picture(one.get_attribute("src")) for one in figures[:3]]
    for picture, settings in zip(first, ({}, {"budget": 2}, {"budget": 4}), strict=True):
        frames = by_hand.generate(pipeline, *motifs[0], STEPS, **settings)[0]
        assert picture.shape[0] == frames.shape[1]
        gap = (picture.shape[1] - len(frames) * frames.shape[2]) // max(1, len(frames) - 1)
        for number, frame in enumerate(frames):
            begin = number * (frames.shape[2] + gap)
            shown = picture[:, begin : begin + frames.shape[2]]
            assert np.abs(shown / 255 - frame).max() <= 1 / 255


def test_it_ends_with_the_call_and_says_what_it_rests_on(made: Any, open_page: Any) -> None:
    """Mutations: the first setting taken for the one to copy."""
    found = made("sd3", 0.12)
    page = open_page(found.page)
    assert found.found["advice"]["setting"] != found.found["settings"][0]["setting"]
    assert page.locator(".copy code").inner_text() == found.found["advice"]["call"]
    assert found.found["advice"]["why"] in page.locator(".copy .why").inner_text()
    assert page.locator(".notes li").count() == len(found.found["notes"])
    assert all(
        f"{prompt} seed {seed}" in " ".join(page.inner_text("body").split()) for prompt in PROMPTS for seed in SEEDS
    )


def test_text_is_text(prompts: Path, tmp_path: Path) -> None:
    """Nothing of a prompt becomes markup. Mutations: autoescape off."""
    from tests.compare.conftest import run_compare

    evil = tmp_path / "evil.txt"
    evil.write_text('<script>alert(1)</script> "&amp;\n', encoding="utf-8")
    page = tmp_path / "page.html"
    done = run_compare("tests.compare.loaders:sd3", evil, "--budget", 2, "--steps", 2, "--html", page)
    assert done.exit_code == 0, done.output
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &#34;&amp;amp;" in html
    head = html.partition("</head>")[0]
    assert not any(sign in head for sign in ("<link", "@import", "url(", "src="))


def _decibels(text: str) -> float:
    return float("inf") if text == "equal" else float(re.fullmatch(r"(-?[\d.]+) dB", text)[1])  # type: ignore[index]


def _picture(address: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(b64decode(address.partition("base64,")[2]))).convert("RGB"), np.float64)
