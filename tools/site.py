"""What mkdocs does not know of the documentation: the specs that pages link to, and the decisions.

The pages are written to be read in the repository, where `../specs/flux.yaml` lies beside them. The site gets a page
for each spec, and links that lead there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_ROOT = Path(__file__).parents[1]
_BESIDE_DOCS = re.compile(r"\]\((?P<up>(?:\.\./)+)specs/(?P<name>[\w.-]+)\)")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts every decision into the navigation, under its number and title; not the template of one.

    Args:
        config: What mkdocs.yml says.
    """
    folder = Path(config.docs_dir) / "decisions"
    entries: list[dict[str, str]] = []
    pages = [path for path in folder.glob("*.md") if not path.stem.startswith("0000")]
    for path in sorted(pages, key=lambda path: (path.name != "README.md", path.name)):
        title = _TITLE.search(path.read_text(encoding="utf-8"))
        entries.append({title[1] if title else path.stem: f"decisions/{path.name}"})
    nav: list[Any] = config.nav or []
    config.nav = [{"Decisions": entries} if item == {"Decisions": []} else item for item in nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each spec, and the schema as it is.

    Args:
        files: The files of the site.
        config: What mkdocs.yml says.
    """
    for path in sorted((_ROOT / "specs").iterdir()):
        if path.suffix == ".yaml":
            # the search would find nothing but its own echo in them
            head = f"---\nsearch: {{exclude: true}}\n---\n\n# {path.name}\n"
            text = f"{head}\n```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```\n"
            files.append(File.generated(config, f"specs/{path.stem}.md", content=text))
        else:
            files.append(File.generated(config, f"specs/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Has links to specs lead to their pages.

    Args:
        markdown: The text of a page.
        page: The page.
        config: What mkdocs.yml says.
        files: The files of the site.
    """

    def inside(link: re.Match[str]) -> str:
        name = link["name"].removesuffix(".yaml") + ".md" if link["name"].endswith(".yaml") else link["name"]
        return f"]({link['up'].removeprefix('../')}specs/{name})"

    return _BESIDE_DOCS.sub(inside, markdown)
