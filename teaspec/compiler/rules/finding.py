"""One mistake, before it is known where in the text it stands."""

from __future__ import annotations

from dataclasses import dataclass

from teaspec.compiler.forms.document import Document, Path
from teaspec.compiler.report import Diagnostic
from teaspec.compiler.rules.locations import locate_in


@dataclass(frozen=True)
class Finding:
    """What is wrong with a value of the spec.

    Attributes:
        path: Where in the forms the value is.
        code: Diagnostic code.
        message: What is wrong.
        here: Remark at the place.
        help: What to do about it.
        at_key: Whether the place is the key that holds the value.
        also: Another key that has to do with it, and a remark on that.
    """

    path: Path
    code: str
    message: str
    here: str = "found here"
    help: tuple[str, ...] = ()
    at_key: bool = False
    also: tuple[Path, str] | None = None

    def diagnose(self, document: Document) -> Diagnostic:
        """Finds the place in the text.

        Args:
            document: The document that was checked.
        """
        location = locate_in(document, self.path)
        label = document.key_label if self.at_key or location.is_key else document.label
        labels = [label(self.here, *location.path)]
        if self.also is not None:
            labels.append(document.key_label(self.also[1], *self.also[0]))
        return Diagnostic(self.code, self.message, tuple(labels), self.help)
