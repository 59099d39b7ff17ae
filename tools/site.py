"""What mkdocs does not know of the documentation: the specs that pages link to, and the decisions.

The pages are written to be read in the repository, where `../specs/flux.yaml` lies beside them. The site gets a page
for each spec, and links that lead there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[1]
_BESIDE_DOCS = re.compile(r"\]\((?P<up>(?:\.\./)+)specs/(?P<name>[\w.-]+)\)")
_NAMED_AS_FILE = re.compile(r"\[[\w./-]+\.md\]\((?P<to>[\w./-]+\.md)\)")
_WIDE = {"index.md", "models.md"}
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts every decision into the navigation, under its number and title, and below it what mkdocs.yml does not name.

    Args:
        config: What mkdocs.yml says.
    """
    docs = Path(config.docs_dir)
    decisions = [path for path in docs.glob("decisions/*.md") if not path.stem.startswith("0000")]
    decisions.sort(key=lambda path: (path.name != "README.md", path.name))
    nav: list[Any] = config.nav or []
    named = set(_named(nav))
    others = [path for path in sorted(docs.glob("*.md")) if path.name not in named]
    nav = [{"Decisions": _entries(docs, decisions)} if item == {"Decisions": []} else item for item in nav]
    config.nav = [*nav, {"More": _entries(docs, others)}] if others else nav
    return config


def _named(nav: Any) -> Iterator[str]:
    """The pages that a navigation leads to."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(item)


def _entries(docs: Path, pages: Sequence[Path]) -> list[dict[str, str]]:
    return [{_title(path.read_text(encoding="utf-8"), path.stem): path.relative_to(docs).as_posix()} for path in pages]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each spec, and the schema as it is.

    Args:
        files: The files of the site.
        config: What mkdocs.yml says.
    """
    for path in sorted(one for one in (_ROOT / "specs").iterdir() if one.is_file()):
        if path.suffix == ".yaml":
            # the search would find nothing but its own echo in them
            head = f"---\nsearch: {{exclude: true}}\n---\n\n# {path.name}\n"
            text = f"{head}\n```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```\n"
            files.append(File.generated(config, f"specs/{path.stem}.md", content=text))
        else:
            files.append(File.generated(config, f"specs/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Has links to specs lead to their pages, and names pages by their titles where the repository names files.

    The front door and the table of models take the width that the list of their headings would have.

    Args:
        markdown: The text of a page.
        page: The page.
        config: What mkdocs.yml says.
        files: The files of the site.
    """

    def inside(link: re.Match[str]) -> str:
        name = link["name"].removesuffix(".yaml") + ".md" if link["name"].endswith(".yaml") else link["name"]
        return f"]({link['up'].removeprefix('../')}specs/{name})"

    def titled(link: re.Match[str]) -> str:
        to = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), link["to"]))
        found = files.get_file_from_path(to)
        return link[0] if found is None else f"[{_title(found.content_string, to)}]({link['to']})"

    if page.file.src_uri in _WIDE:
        page.meta["hide"] = ["toc"]
    return _NAMED_AS_FILE.sub(titled, _BESIDE_DOCS.sub(inside, markdown))


def _title(text: str, otherwise: str) -> str:
    found = _TITLE.search(text)
    return found[1] if found else otherwise
