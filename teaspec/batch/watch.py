"""Which specs to check again when files are saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from teaspec.batch.checked import Checked

_ALSO_LOOKS_AFTER_MS = 1000

Stamp = tuple[int, int] | None
"""When a file was written and how long it is; None while it is not there, as in the midst of some editors' saving."""


class Watched:
    """Specs, the files of their models, and how these looked before the last check of each."""

    def __init__(self, specs: Sequence[Path]) -> None:
        """Takes the specs; their models become known with the first result.

        Args:
            specs: The files of the specs.
        """
        self._specs = list(dict.fromkeys(specs))
        self._models: dict[Path, Path] = {}
        self._stamps: dict[Path, Stamp] = {}
        self.note(self._specs)

    @property
    def models(self) -> list[Path]:
        """The files of the models, as far as they are known."""
        return list(dict.fromkeys(self._models.values()))

    @property
    def folders(self) -> list[Path]:
        """The folders of all files. To be watched in their place: many editors save by putting a new file there."""
        return sorted({path.absolute().parent for path in [*self._specs, *self.models]})

    def note(self, specs: Sequence[Path]) -> None:
        """Remembers how specs and their models look now, ahead of a check.

        Args:
            specs: The specs that are going to be checked.
        """
        for path in [*specs, *(self._models[spec] for spec in specs if spec in self._models)]:
            self._stamps[path] = _stamp(path)

    def learn(self, result: Checked) -> None:
        """Remembers where the model of a spec lies.

        Args:
            result: What became of the spec.
        """
        if result.model_file is None:
            return
        file = Path(result.model_file)
        self._models[Path(result.spec)] = file
        self._stamps.setdefault(file, _stamp(file))

    def saved(self) -> tuple[list[Path], list[Path]]:
        """Finds what was saved since it was last noted.

        Returns:
            The specs to check again, in their order, and the files of models among what was saved.
        """
        changed = {path for path, stamp in self._stamps.items() if _stamp(path) not in (stamp, None)}
        again = [spec for spec in self._specs if spec in changed or self._models.get(spec) in changed]
        return again, [model for model in self.models if model in changed]


def wait_for_saves(watched: Watched) -> Iterator[None]:
    """Waits for something to happen in the folders of watched files.

    Args:
        watched: The files.

    Yields:
        When something may have been saved, and every second in case the system does not tell: ask `watched.saved()`.

    Raises:
        ModuleNotFoundError: watchfiles is not installed.
        KeyboardInterrupt: The user has seen enough.
    """
    from watchfiles import watch

    while True:
        folders = watched.folders
        for _changes in watch(*folders, recursive=False, rust_timeout=_ALSO_LOOKS_AFTER_MS, yield_on_timeout=True):
            yield
            if watched.folders != folders:
                break


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
