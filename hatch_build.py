"""What a package index shows of the project: the README with links that lead somewhere, and the project's addresses.

The README's links are relative, so that they work in a checkout and wherever the repository is shown. A package index
has no repository to resolve them in. `TEASPEC_REPOSITORY` says where that is; without it nobody can say where a link
would lead, so the text stays and the link goes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ADDRESS = "TEASPEC_REPOSITORY"
_PICTURE = re.compile(r"!\[(?P<text>[^\]]*)\]\((?P<to>[^)\s]+)\)")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<to>[^)\s]+)\)")


class LongDescription(MetadataHookInterface):
    """Fills in `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds both to the project's metadata.

        Args:
            metadata: The `project` table of pyproject.toml.

        Raises:
            ValueError: If the address is none of the web.
        """
        repository = os.environ.get(ADDRESS, "").rstrip("/")
        if repository and not repository.startswith("https://"):
            raise ValueError(f"{ADDRESS} is {repository!r}; expected the repository's address, https://host/owner/name")
        ref = f"v{metadata['version']}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": for_an_index(text, repository, ref)}
        metadata["urls"] = urls(repository, ref) if repository else {}


def for_an_index(text: str, repository: str, ref: str) -> str:
    """The README with absolute links; without an address, without the relative ones.

    Args:
        text: The README.
        repository: The repository's address, or nothing.
        ref: The tag of the version, whose files are meant.
    """

    def picture(found: re.Match[str]) -> str:
        if _is_absolute(found["to"]):
            return found[0]
        return f"![{found['text']}]({repository}/raw/{ref}/{found['to']})" if repository else ""

    def link(found: re.Match[str]) -> str:
        if _is_absolute(found["to"]):
            return found[0]
        return f"[{found['text']}]({repository}/blob/{ref}/{found['to']})" if repository else found["text"]

    return _LINK.sub(link, _PICTURE.sub(picture, text))


def urls(repository: str, ref: str) -> dict[str, str]:
    """The project's addresses, as an index lists them.

    Args:
        repository: The repository's address.
        ref: The tag of the version.
    """
    return {
        "Repository": repository,
        "Documentation": f"{repository}/blob/{ref}/docs/index.md",
        "Changelog": f"{repository}/blob/{ref}/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


def _is_absolute(to: str) -> bool:
    return to.startswith(("https://", "mailto:", "#"))
