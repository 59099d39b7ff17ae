"""Templates of pages. Each package keeps its own; what they have in common lies here."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import jinja2


@lru_cache(maxsize=8)
def load_template(package: str, name: str) -> jinja2.Template:
    """Loads a template; whatever is put into it is text, never markup.

    Args:
        package: Whose `templates` it is in; those of this package can be included.
        name: Its file.
    """
    folders = [files(one).joinpath("templates") for one in (package, __package__)]

    def find(wanted: str) -> str | None:
        paths = (folder.joinpath(wanted) for folder in folders)
        return next((path.read_text(encoding="utf-8") for path in paths if path.is_file()), None)

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(find),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
