"""Sets up one process when `xfuser` is first imported; its own `__init__` imports its command line and pipelines."""

from __future__ import annotations

from tools.elsewhere.on_import import Watch


def watch() -> None:
    """Looks for imports of xDiT from now on."""
    Watch(package="xfuser", set_up=_set_up).start()


def _set_up() -> None:
    from tools.xdit.world import start

    start()
