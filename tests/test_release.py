"""What is released: it builds, holds what its commands need and no more, and reads well on a package index.

Everything here is about the files that `make dist` makes: they are built once, from a copy of what git would hand over.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://example.org/someone/teaspec"

# They are built once for all tests here, so one worker takes them all.
pytestmark = pytest.mark.xdist_group("release")


def build(folder, repository, *options):
    environment = {**os.environ, "TEASPEC_REPOSITORY": repository}
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"), REPOSITORY)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    """Built by somebody who does not say where the repository is."""
    return build(tmp_path_factory.mktemp("nowhere"), "", "--wheel")


def wheel_of(dist):
    (wheel,) = dist.glob("*.whl")
    return zipfile.ZipFile(wheel)


def metadata_of(dist):
    wheel = wheel_of(dist)
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(wheel.read(name))


class Page(HTMLParser):
    """Where a page leads, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        elsewhere = tag == "a" and not (given.get("href") or "#").startswith("#")
        self.links += [given["href"]] if elsewhere else []
        self.pictures += [given.get("src")] if tag == "img" else []

    def handle_data(self, data):
        self.text += data


def shown(dist):
    """The page as a package index shows it: by the very renderer of the index."""
    from readme_renderer import markdown

    html = markdown.render(metadata_of(dist).get_payload(decode=True).decode())
    assert html is not None
    return Page(html)


def test_twine_has_nothing_against_them(dist, nowhere):
    """Seen red: `text/x-rst` in hatch_build.py."""
    files = sorted(map(str, (*dist.iterdir(), *nowhere.iterdir())))
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert len(files) == 3 and done.returncode == 0, done.stdout + done.stderr


def test_links_and_pictures_of_the_readme_work_on_the_index(dist):
    """Each is absolute, and each that leads into the repository leads to a file that is there.

    Seen red: `_PICTURE` not replaced; a link of the README misspelt.
    """
    page, version = shown(dist), metadata_of(dist)["Version"]
    assert len(page.pictures) == 2 and len(page.links) > 10
    for address in (*page.links, *page.pictures):
        assert address.startswith("https://"), address
        if address.startswith(REPOSITORY):
            kind, ref, path = address.removeprefix(f"{REPOSITORY}/").split("/", 2)
            assert kind == ("raw" if address in page.pictures else "blob") and ref == f"v{version}"
            assert (ROOT / path.partition("#")[0]).is_file(), address


def test_nothing_of_the_readmes_markup_is_left_on_the_page(dist):
    """Seen red: a blank line within a table of the README."""
    page = shown(dist)
    assert re.findall(r"\[\^\w+\]|\]\(|^#+ |^\s*\|", page.text, re.MULTILINE) == []
    assert "TeaCache for diffusion transformers" in page.text


def test_without_an_address_the_page_leads_nowhere_instead_of_astray(nowhere):
    """Seen red: relative links kept where there is no repository."""
    page = shown(nowhere)
    assert page.pictures == [] and [link for link in page.links if not link.startswith("https://")] == []
    assert "whose call is it" in page.text  # the words of a link stay
    assert metadata_of(nowhere).get_all("Project-URL") is None


def test_the_projects_addresses(dist):
    addresses = dict(line.split(", ", 1) for line in metadata_of(dist).get_all("Project-URL"))
    assert addresses.keys() == {"Repository", "Documentation", "Changelog", "Issues"}
    assert all(address.startswith(REPOSITORY) for address in addresses.values())


def test_an_address_that_is_none_is_refused(monkeypatch):
    """Seen red: the question left out."""
    found = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setenv("TEASPEC_REPOSITORY", "git@example.org:someone/teaspec")
    with pytest.raises(ValueError, match="expected the repository's address, https://host/owner/name"):
        module.LongDescription(str(ROOT), {}).update({"version": "1.0"})


NEEDED = {
    "py.typed": "type checkers",
    "specs": "the specs that are shipped, and their schema: `check`, `schema`, the runtime",
    "docs/diagnostics.md": "`teaspec explain CODE`",
    "models/models.json": "`teaspec list`",
    "versions/history.json": "what other versions of diffusers have: `check`",
    "demo/digits/weights": "`teaspec demo`",
    "demo/videos/weights": "`teaspec demo`",
    "compiler/templates": "the compiler",
    "explain/templates": "`teaspec explain --html`",
    "compare/templates": "`teaspec compare --html`",
    "pages/templates": "both pages",
}
"""What lies in the wheel beside Python, and who reads it."""


def test_the_wheel_holds_what_a_command_reads_and_no_more(dist):
    """Seen red: all of docs/ in the wheel; the digits' weights left out."""
    names = [name.removeprefix("teaspec/") for name in wheel_of(dist).namelist() if name.startswith("teaspec/")]
    others = [name for name in names if not name.endswith(".py")]
    assert [name for name in others if not name.startswith(tuple(NEEDED))] == []
    assert [need for need in NEEDED if not any(name.startswith(need) for name in others)] == []
    assert sum(name.startswith("specs/") and name.endswith(".yaml") for name in names) == len(
        [*(ROOT / "specs").rglob("*.yaml")]
    )
    assert not [name for name in wheel_of(dist).namelist() if name.startswith(("tests/", "tools/", "benchmarks/"))]


def test_the_source_distribution_can_be_tested(dist):
    """Everything that a test of the checkout reads. Seen red: mkdocs.yml left out."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no checkout: only git knows what belongs to the project")
    assert [name for name in listed.stdout.splitlines() if name not in names] == []


def requirements_of(name, extras=()):
    """The distributions that a requirement brings along, itself included."""
    found, todo = set(), [(name, tuple(extras))]
    while todo:
        current, wanted = todo.pop()
        if current in found:
            continue
        try:
            asked = distribution(current).requires or []
        except PackageNotFoundError:
            continue  # for another platform
        found.add(current)
        for requirement in map(Requirement, asked):
            markers = [{"extra": extra} for extra in ("", *wanted)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, markers)):
                todo.append((requirement.name.lower().replace("_", "-"), tuple(requirement.extras)))
    return found


@pytest.fixture(scope="module")
def alone(dist, tmp_path_factory):
    """Runs a command in an environment with the wheel and what it requires, without any extra."""
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    wheel_of(dist).extractall(packages)
    required = {
        requirement.name
        for requirement in map(Requirement, metadata_of(dist).get_all("Requires-Dist"))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    for name in set().union(*map(requirements_of, required)):
        for file in distribution(name).files or []:
            top = file.parts[0]
            target = Path(str(distribution(name).locate_file(top)))
            if top not in ("..", "__pycache__", ".") and target.exists() and not (packages / top).exists():
                (packages / top).symlink_to(target)
    (folder / "here").mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "TEASPEC"))}
    python = folder / "venv" / "bin" / "python"

    def alone(*arguments):
        program = "import sys; from teaspec.cli import main; sys.argv[0] = 'teaspec'; main()"
        command = [str(python), "-c", program, *arguments]
        return subprocess.run(
            command, cwd=folder / "here", env=environment, capture_output=True, text=True, check=False
        )

    return alone


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "calibrate"),
        (["--version"], "teaspec "),
        (["list"], "FluxTransformer2DModel"),
        (["check", "FluxTransformer2DModel", "--examples", "1"], "properties hold"),
        (["explain", "FluxTransformer2DModel"], "time_text_embed"),
        (["explain", "unknown-head"], "unknown-head"),
        (["schema"], "draft/2020-12"),
        (["init", "diffusers:DiTTransformer2DModel"], "transformer_blocks.0.norm1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_wheel_alone(alone, arguments, said):
    """Each command does its work with nothing but what the wheel requires. Seen red: pygments not required."""
    done = alone(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["demo"], "teaspec[demo]"),
        (["check", "FluxTransformer2DModel", "--watch"], "teaspec[authoring]"),
    ],
    ids=["demo", "check --watch"],
)
def test_what_needs_an_extra_names_it(alone, arguments, extra):
    """Seen red: the extra not named in `teaspec demo`."""
    done = alone(*arguments)
    assert done.returncode in (1, 2) and f"pip install {extra}" in " ".join(done.stderr.split()).replace("'", "")
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr
